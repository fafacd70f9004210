/** Asks a version of the program, in a process of its own, what only it knows. What it answers is checked. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { runCommand } from '../foundation/processes.ts'
import { shellFaults } from './errors.ts'
import type { Home } from './home.ts'
import { isComplete } from './program-copy.ts'
import { processPlanSchema, type ProcessPlan } from './process-records.ts'

const patienceMs = 60_000
/** A copy of a large database goes at the speed of the disk. */
const restorePatienceMs = 3_600_000

const planAnswer = z.object({ plans: z.array(processPlanSchema).min(2) })
const appliedAnswer = z.object({ applied: z.array(z.string()).nullable() })
const differenceAnswer = z.object({
  tables: z.array(z.object({ table: z.string(), now: z.int(), before: z.int() })),
})
const returnAnswer = z.object({ database: z.enum(['unchanged', 'returned', 'no copy']) })
const restoreAnswer = z.object({ replaced: z.string().optional() })
export type TableDifference = z.infer<typeof differenceAnswer>['tables'][number]

export function programFolder(home: Home, version: string): string {
  return join(home.program, version)
}

/** Throws 'shell.no_such_version' when its copy is not there, or not whole. */
export function requireVersion(home: Home, version: string): void {
  const folder = programFolder(home, version)
  if (isComplete(folder)) return
  const what = existsSync(folder) ? 'is not whole (a power cut, a removal)' : 'is not there'
  throw shellFaults.noSuchVersion(`The copy of version ${version} in ${home.program} ${what}.`, {
    hint: 'Call cygnet from a checkout of that version: it is copied again.',
  })
}

/** How that version's processes are started here; throws with its own words when it cannot read the settings. */
export async function plansOf(
  home: Home,
  version: string,
  { port, listen }: { port?: number | undefined; listen?: string | undefined },
): Promise<ProcessPlan[]> {
  const argv = [
    ...(port === undefined ? [] : ['--port', String(port)]),
    ...(listen === undefined ? [] : ['--listen', listen]),
  ]
  const { plans } = planAnswer.parse(await ask(home, version, 'describe.ts', argv, patienceMs))
  if (plans[0]?.name !== 'control') throw shellFaults.switchFailed(`Version ${version} has no control process.`)
  return plans
}

export async function appliedMigrations(home: Home, version: string): Promise<string[] | null> {
  return appliedAnswer.parse(await ask(home, version, 'database-state.ts', ['applied'], patienceMs)).applied
}

export async function differenceToCopy(home: Home, version: string, copy: string): Promise<TableDifference[]> {
  const argv = ['difference', '--copy', copy]
  return differenceAnswer.parse(await ask(home, version, 'database-state.ts', argv, patienceMs)).tables
}

/** Only while no control runs. Answers where the database that was replaced is kept, if it is. */
export async function restoreCopy(home: Home, version: string, copy: string): Promise<string | undefined> {
  const argv = ['restore', '--copy', copy]
  return restoreAnswer.parse(await ask(home, version, 'database-state.ts', argv, restorePatienceMs)).replaced
}

/** Only while no control runs: undoes migrations that the database did not have before by the copy from before them. */
export async function returnDatabase(home: Home, version: string, sinceMs: number, appliedBefore: readonly string[]) {
  const argv = ['return', '--since', String(sinceMs), '--before', JSON.stringify(appliedBefore)]
  return returnAnswer.parse(await ask(home, version, 'database-state.ts', argv, restorePatienceMs)).database
}

async function ask(
  home: Home,
  version: string,
  script: string,
  argv: readonly string[],
  timeoutMs: number,
): Promise<unknown> {
  const program = programFolder(home, version)
  const path = join(program, 'src', 'shell', script)
  if (!existsSync(path)) throw shellFaults.noSuchVersion(`Version ${version} is not there, or cannot do this.`)
  const node = join(program, 'bin', 'node')
  const { code, stdout, stderr } = await runCommand(
    [node, '--disable-warning=ExperimentalWarning', path, ...argv, '--home', home.folder],
    { timeoutMs, cwd: '/' },
  )
  if (code !== 0) {
    const said = stderr.trim().split('\n').slice(-6).join('\n')
    throw shellFaults.switchFailed(`Version ${version} refuses: ${said.replace(/^error: /, '')}`)
  }
  return JSON.parse(stdout) as unknown
}
