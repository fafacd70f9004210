/** npm run check: everything that can be known without running the program, in seconds; one line per check. */
import { existsSync, readFileSync } from 'node:fs'
import { relative } from 'node:path'
import { fileChecks } from './check-files.ts'
import { runTool, type Check, type Finding } from './check-tools.ts'
import { checkFloors } from './floors.ts'
import { openApiPath, openApiText } from './openapi.ts'
import { isProgram, projectFiles, root } from './sources.ts'

export interface CheckResult extends Finding {
  name: string
  tookMs: number
}

const checks: Check[] = [
  {
    name: 'types',
    run: () =>
      runTool(
        'typescript/bin/tsc',
        ['--noEmit', '-p', '.', '--incremental', '--tsBuildInfoFile', '.cache/types.tsbuildinfo'],
        `${programCount()} files`,
      ),
  },
  { name: 'lint', run: () => runTool('oxlint/bin/oxlint', ['--quiet', '--format=unix'], `${programCount()} files`) },
  {
    name: 'format',
    run: () =>
      runTool(
        'oxfmt/bin/oxfmt',
        ['--list-different', 'src', 'e2e', 'bench', 'tools', 'bin'],
        `${programCount()} files`,
        "'npm run format' repairs it",
      ),
  },
  {
    name: 'floors',
    async run() {
      const { read, expected, violations } = await checkFloors()
      return { problems: violations, words: `${read} of ${expected} files read` }
    },
  },
  {
    name: 'openapi',
    async run() {
      const { text, routes } = await openApiText()
      const committed = existsSync(openApiPath) ? readFileSync(openApiPath, 'utf8') : ''
      const drifted = `${relative(root, openApiPath)} is not what the contracts say; 'npm run openapi' writes it`
      return { problems: text === committed ? [] : [drifted], words: `${routes} routes` }
    },
  },
  ...fileChecks,
  {
    name: 'dead code',
    // Knip sees no dynamic use; its word is advice.
    advice: true,
    run: () => runTool('knip/bin/knip.js', ['--no-progress', '--reporter', 'compact'], ''),
  },
]

function programCount(): number {
  return projectFiles().filter(isProgram).length
}

export async function runChecks(report: (result: CheckResult) => void = () => {}): Promise<CheckResult[]> {
  const waiting = [...checks]
  const results: CheckResult[] = []
  const worker = async () => {
    for (let check = waiting.shift(); check !== undefined; check = waiting.shift()) {
      const startedMs = Date.now()
      const finding = await check.run().catch((error: unknown): Finding => ({ problems: [String(error)], words: '' }))
      const result = {
        name: check.name,
        ...finding,
        tookMs: Date.now() - startedMs,
        ...(check.advice && { advice: true }),
      }
      results.push(result)
      report(result)
    }
  }
  await Promise.all([worker(), worker()])
  return results
}

export function printCheck({ name, problems, words, tookMs, advice }: CheckResult): void {
  const verdict = problems.length === 0 ? 'ok    ' : advice ? 'advice' : 'FAILED'
  const count = problems.length === 0 ? '' : `${problems.length} problem${problems.length === 1 ? '' : 's'}, `
  console.log(`${verdict} ${name.padEnd(16)} ${count}${words} (${(tookMs / 1000).toFixed(1)} s)`)
  if (problems.length === 0) return
  const shown = advice ? 5 : 60
  for (const problem of problems.slice(0, shown)) console.log(`         ${problem}`)
  if (problems.length > shown) console.log(`         … and ${problems.length - shown} more`)
}

if (import.meta.main) {
  const results = await runChecks(printCheck)
  const failed = results.filter(({ problems, advice }) => problems.length > 0 && !advice)
  console.log(
    failed.length === 0
      ? 'all checks passed'
      : `${failed.length} checks failed: ${failed.map(({ name }) => name).join(', ')}`,
  )
  process.exitCode = failed.length === 0 ? 0 : 1
}
