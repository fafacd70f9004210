/**
 * The processes of an installation as they are on this machine: started in a session of their own, children of nobody
 * (so that whichever supervisor runs can watch them alike), and known by a record `HOME/run/<name>.process.json` that
 * names them by pid, start time and boot id.
 */
import { spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { readFile, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { failpoint } from '../foundation/failpoints.ts'
import { readJsonFile, writeFileDurable } from '../foundation/files.ts'
import { isSameProcess, processIdentity, type ProcessIdentity } from '../foundation/processes.ts'
import type { Home } from './home.ts'

/** How one process is started. The version that shall run says it; the supervisor that starts it may be older. */
export interface ProcessPlan {
  name: string
  argv: string[]
  /** Put in front of `argv`: another user, fewer rights. */
  wrap?: string[]
  /** Beside what the supervisor has itself. */
  environment?: Record<string, string>
}

export const processPlanSchema: z.ZodType<ProcessPlan> = z.object({
  name: z.string().regex(/^[a-z][a-z0-9-]*$/),
  argv: z.array(z.string()).min(1),
  wrap: z.array(z.string()).exactOptional(),
  environment: z.record(z.string(), z.string()).exactOptional(),
})

export interface ProcessRecord extends ProcessIdentity {
  argv: string[]
}

const recordSchema = z.object({
  pid: z.int(),
  startTicks: z.number(),
  bootId: z.string(),
  argv: z.array(z.string()),
})
const suffix = '.process.json'

/** What a record must hold for a running process to be the one that the plan wants. */
export function commandOf(plan: ProcessPlan): string[] {
  return [...(plan.wrap ?? []), ...plan.argv]
}

export function isAsPlanned(record: ProcessRecord, plan: ProcessPlan): boolean {
  return JSON.stringify(record.argv) === JSON.stringify(commandOf(plan))
}

/** The running process of that name; a record of one that has ended, or a torn record, is none. */
export async function runningProcess(home: Home, name: string): Promise<ProcessRecord | undefined> {
  const record = await readJsonFile(recordPath(home, name), recordSchema).catch(() => undefined)
  return record !== undefined && isSameProcess(record) ? record : undefined
}

/** Of living and dead processes. */
export async function recordNames(home: Home): Promise<string[]> {
  const files = await readdir(home.run).catch(() => [])
  return files.filter((file) => file.endsWith(suffix)).map((file) => file.slice(0, -suffix.length))
}

export async function runningProcesses(home: Home): Promise<Map<string, ProcessRecord>> {
  const running = new Map<string, ProcessRecord>()
  for (const name of await recordNames(home)) {
    const record = await runningProcess(home, name)
    if (record) running.set(name, record)
  }
  return running
}

/**
 * A process of that plan that nobody has a record of: its supervisor was killed between starting it and writing that
 * down. Found by its command line, which names the home. Not found, it would go on beside its successor for ever.
 */
export async function unrecordedProcess(home: Home, plan: ProcessPlan): Promise<ProcessRecord | undefined> {
  if (!plan.argv.some((argument) => argument.includes(home.folder))) return undefined
  const commandLine = `${plan.argv.join('\0')}\0`
  for (const name of await readdir('/proc').catch(() => [])) {
    if (!/^\d+$/.test(name)) continue
    const text = await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '')
    const identity = text === commandLine ? processIdentity(Number(name)) : undefined
    if (identity) return { ...identity, argv: commandOf(plan) }
  }
  return undefined
}

export async function renameRecord(home: Home, from: string, to: string): Promise<void> {
  await rename(recordPath(home, from), recordPath(home, to))
}

export async function forgetRecord(home: Home, name: string): Promise<void> {
  await rm(recordPath(home, name), { force: true })
}

/** Says its pid and is gone: what it started belongs to init, which reaps it. */
const startAlone = '"$@" >&3 2>&3 3>&- & echo $!'

/**
 * Starts a process and writes its record under `recordName` (default: the plan's). A process that ended at once is
 * answered too, as one that does not run. A record that cannot be written (full disk) is `onRecordFailed`'s to tell:
 * the process runs and is watched all the same.
 */
export async function startProcess(
  home: Home,
  plan: ProcessPlan,
  options: {
    environment: NodeJS.ProcessEnv
    recordName?: string
    onRecordFailed?: (error: unknown) => void
  },
): Promise<ProcessRecord> {
  const logPath = logPathOf(home, plan.name)
  const output = openSync(logPath, 'a', 0o600)
  const argv = commandOf(plan)
  try {
    const child = spawn('/bin/sh', ['-c', startAlone, 'sh', ...argv], {
      detached: true,
      stdio: ['ignore', 'pipe', 'ignore', output],
      cwd: '/',
      env: { ...options.environment, ...plan.environment, CYGNET_LOG_FILE: logPath },
    })
    const pid = await new Promise<number>((done, failed) => {
      let said = ''
      child.stdout!.on('data', (chunk: Buffer) => (said += String(chunk)))
      child.once('error', failed)
      child.once('close', () => done(Number(said)))
    })
    const identity = processIdentity(pid) ?? { pid, startTicks: -1, bootId: '' }
    const record = { ...identity, argv }
    await failpoint('supervisor.before-record')
    await writeRecord(home, options.recordName ?? plan.name, record).catch((error: unknown) =>
      options.onRecordFailed?.(error),
    )
    return record
  } finally {
    closeSync(output)
  }
}

export async function writeRecord(home: Home, name: string, record: ProcessRecord): Promise<void> {
  await writeFileDurable(recordPath(home, name), JSON.stringify(record), { mode: 0o600 })
}

/** SIGTERM, time to finish what is in hand, then SIGKILL. Resolves when it is gone. */
export async function endProcess(record: ProcessIdentity, graceMs = 10_000): Promise<void> {
  signalProcess(record, 'SIGTERM')
  // Somebody may have stopped it (SIGSTOP): it can only end when it runs.
  signalProcess(record, 'SIGCONT')
  const deadlineMs = performance.now() + graceMs
  while (isSameProcess(record)) {
    if (performance.now() > deadlineMs) signalProcess(record, 'SIGKILL')
    await sleep(20)
  }
}

export function signalProcess(record: ProcessIdentity, signal: NodeJS.Signals): void {
  try {
    if (isSameProcess(record)) process.kill(record.pid, signal)
  } catch {
    // Gone between the look and the signal.
  }
}

export function logPathOf(home: Home, name: string): string {
  return join(home.logs, `${name}.log`)
}

function recordPath(home: Home, name: string): string {
  return join(home.run, `${name}${suffix}`)
}
