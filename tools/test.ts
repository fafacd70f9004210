/**
 * ./cygnet test: sets up what the tests need, runs all of them, and ends with exactly 'N passed, N failed, N skipped'.
 * ./cygnet test --long ROOM: the long version of one room's tests (more rounds, more kills).
 * ./cygnet test --long chaos: 1000 random kills over the whole chain (CYGNET_CHAOS_KILLS, CYGNET_CHAOS_SEED change that).
 * ./cygnet test --long simulation: 10 000 seeds of the deterministic simulation. --long faults: power cuts, full and
 * failing disks, cut networks and jumping clocks. CYGNET_SEED replays either; a campaign's last line says what it did.
 * ./cygnet test --long upgrade: 20 notebooks through upgrades and their failures.
 */
import { spawn } from 'node:child_process'
import { existsSync, globSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { printCheck, runChecks } from './check.ts'
import { rooms } from './rooms.ts'
import { root } from './sources.ts'
import type { Tally } from './tally-reporter.ts'
import { setUpIssuer, setUpKeycloak, setUpPackages, setUpPython } from './test-set-up.ts'

const { values } = parseArgs({ options: { long: { type: 'string' } } })
/** A step that hangs is a failure, not a night without answer. */
const stepMs = (values.long === undefined ? 40 : 80) * 60_000
const campaigns: readonly string[] = [...rooms, 'chaos', 'simulation', 'faults', 'upgrade']
if (values.long !== undefined && !campaigns.includes(values.long)) {
  console.error(`error: there is no long campaign '${values.long}'.\n  There are ${campaigns.join(', ')}.`)
  process.exit(2)
}

const total: Tally = { passed: 0, failed: [], skipped: [] }
const out = join(root, 'out')
mkdirSync(out, { recursive: true })

const environment: NodeJS.ProcessEnv = {
  ...process.env,
  ...(values.long !== undefined && { CYGNET_LONG: values.long }),
}
await setUpPackages()
Object.assign(environment, await setUpPython(environment), await setUpIssuer())
if (values.long === 'identity') Object.assign(environment, await setUpKeycloak())

if (values.long === undefined) {
  heading('checks')
  for (const { name, problems, advice } of await runChecks(printCheck)) {
    if (problems.length > 0 && !advice) total.failed.push({ name: `check ${name}`, reason: problems[0]! })
    else total.passed += 1
  }
  await vitest('unit tests', 'unit', [])
  const alone = ['e2e/browser/', 'e2e/chaos.test.ts']
  const [others, oneByOne] = [alone.flatMap((path) => ['--exclude', `${path}**`]), [...alone, '--no-file-parallelism']]
  await vitest('black box tests', 'e2e', ['--config', 'e2e/vitest.config.ts', ...others])
  // A browser and a campaign of kills want the machine for themselves.
  await vitest('browser and chaos', 'e2e-alone', ['--config', 'e2e/vitest.config.ts', ...oneByOne])
  await python()
} else if (values.long === 'chaos') {
  environment.CYGNET_CHAOS_KILLS ??= '1000'
  await vitest('chaos', 'long', ['--config', 'e2e/vitest.config.ts', 'e2e/chaos.test.ts'])
} else if (values.long === 'upgrade') {
  const files = ['upgrade', 'hand-over', 'supervisor', 'unrecorded'].map((name) => `e2e/${name}.test.ts`)
  await vitest('upgrade', 'long', ['--config', 'e2e/vitest.config.ts', ...files])
} else if (values.long === 'simulation') {
  await vitest('simulation', 'long', filesNamed('src/*/simulation.test.ts'))
} else if (values.long === 'faults') {
  await vitest('faults', 'long', filesNamed('src/*/faults/*.test.ts'))
  await vitest('faults of the whole platform', 'long', ['--config', 'e2e/vitest.config.ts', 'e2e/faults.test.ts'])
} else {
  await vitest(`long tests of ${values.long}`, 'long', [`src/${values.long}/`])
}
finish()

function filesNamed(pattern: string): string[] {
  return globSync(pattern, { cwd: root })
}

async function vitest(title: string, name: string, argv: string[]): Promise<void> {
  heading(title)
  const tallyPath = join(out, `${name}.json`)
  rmSync(tallyPath, { force: true })
  const options = [
    'run',
    '--root',
    root,
    '--passWithNoTests',
    '--reporter=default',
    '--reporter=./tools/tally-reporter.ts',
  ]
  const bin = join(root, 'node_modules/vitest/vitest.mjs')
  const code = await run([process.execPath, bin, ...options, ...argv], { ...environment, CYGNET_TALLY: tallyPath })
  if (!existsSync(tallyPath)) {
    total.failed.push({ name: title, reason: `the test runner ended with code ${code} and without a result` })
    return
  }
  const tally = JSON.parse(readFileSync(tallyPath, 'utf8')) as Tally
  if (code !== 0 && tally.failed.length === 0)
    tally.failed.push({ name: title, reason: `the test runner ended with code ${code}` })
  add(tally)
}

async function python(): Promise<void> {
  if (!existsSync(join(root, 'python/tests'))) return
  heading('Python tests')
  let said = ''
  const argv = ['python3', '-m', 'unittest', 'discover', '-v', '-s', 'python/tests']
  const code = await run(
    argv,
    { ...environment, PYTHONPATH: join(root, 'python/src'), PYTHONDONTWRITEBYTECODE: '1' },
    (text) => (said += text),
  )
  const tally: Tally = { passed: 0, failed: [], skipped: [] }
  for (const line of said.split('\n')) {
    const skip = /^(.*?) \.\.\. skipped ['"](.*)['"]$/.exec(line)
    if (skip !== null) tally.skipped.push({ name: `python: ${skip[1]}`, reason: skip[2]! })
    else if (/^(FAIL|ERROR): /.test(line)) tally.failed.push({ name: `python: ${line}`, reason: 'see above' })
  }
  const ran = Number(/^Ran (\d+) tests?/m.exec(said)?.[1] ?? 0)
  tally.passed = Math.max(0, ran - tally.failed.length - tally.skipped.length)
  if (code !== 0 && tally.failed.length === 0)
    tally.failed.push({ name: 'Python tests', reason: `ended with code ${code}` })
  add(tally)
}

async function run(argv: string[], env: NodeJS.ProcessEnv, hear: (text: string) => void = () => {}): Promise<number> {
  const child = spawn(argv[0]!, argv.slice(1), { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      process.stdout.write(chunk)
      hear(chunk.toString())
    })
  }
  const killAll = () => {
    try {
      process.kill(-child.pid!, 'SIGKILL')
    } catch {
      // It has ended.
    }
  }
  const timer = setTimeout(killAll, stepMs)
  const interrupted = () => {
    killAll()
    process.exit(130)
  }
  process.once('SIGINT', interrupted).once('SIGTERM', interrupted)
  const code = await new Promise<number>((resolve) => {
    child.once('error', () => resolve(127))
    child.once('exit', (exitCode) => resolve(exitCode ?? 137))
  })
  clearTimeout(timer)
  process.off('SIGINT', interrupted).off('SIGTERM', interrupted)
  return code
}

function add(tally: Tally): void {
  total.passed += tally.passed
  total.failed.push(...tally.failed)
  total.skipped.push(...tally.skipped)
}

function heading(title: string): void {
  console.log(`\n== ${title}`)
}

function finish(): void {
  if (total.skipped.length > 0) heading('skipped, and why')
  const reasons = Map.groupBy(total.skipped, ({ reason }) => reason)
  for (const [reason, tests] of reasons) {
    console.log(`${reason}:`)
    for (const { name } of tests) console.log(`  ${name}`)
  }
  if (total.failed.length > 0) heading('failed')
  for (const { name, reason } of total.failed) console.log(`${name}\n  ${reason.split('\n')[0]}`)
  console.log(`\n${total.passed} passed, ${total.failed.length} failed, ${total.skipped.length} skipped`)
  process.exitCode = total.failed.length > 0 || total.passed === 0 ? 1 : 0
}
