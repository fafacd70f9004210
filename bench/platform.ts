/**
 * The platform as a whole, from outside: how soon it serves, what it needs when idle, how soon a closed run has tracks,
 * how soon a notebook is usable. JSON lines {name, value, unit, floor}; the floors are those of the design.
 */
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'

const commandLine = join(import.meta.dirname, '..', 'src', 'shell', 'cli.ts')
const node = (...argv: string[]) => ['--disable-warning=ExperimentalWarning', commandLine, ...argv]
const home = mkdtempSync(join(tmpdir(), 'cygnet-bench-'))

function report(name: string, value: number, unit: string, floor: number): void {
  console.log(JSON.stringify({ name, value: Number(value.toPrecision(4)), unit, floor }))
}

const starts: number[] = []
for (let round = 0; round < 4; round++) {
  const { child, ready } = await up()
  // The first start also copies the program and makes the database.
  if (round > 0) starts.push(ready.platformUpSeconds)
  if (round === 3) {
    await sleep(15_000)
    report('idle memory of the platform, all processes, proportional set size', idleMegabytes(), 'MB', 350)
  }
  const ended = new Promise((done) => child.once('exit', done))
  child.kill('SIGTERM')
  await ended
}
starts.sort((one, other) => one - other)
report('platform up: first process started to page and S3 served, warm, median of 3', starts[1]!, 's', 3)
rmSync(home, { recursive: true, force: true })

const demo = JSON.parse(
  execFileSync(process.execPath, node('demo', '--once', '--json'), { stdio: ['ignore', 'pipe', 'ignore'] }).toString(),
) as {
  rawBytes: number
  runs: number
  truthEfficiency: number
  truthPurity: number
  seconds: { ingestPerRun: number[]; closeToTracksPerRun: number[]; notebookReady: number }
}
report(
  'run file closed on the DAQ to safe in the store, 10-image run, slowest of 3',
  Math.max(...demo.seconds.ingestPerRun),
  's',
  10,
)
report(
  'run file closed on the DAQ to tracks, 10-image run, slowest of 2',
  Math.max(...demo.seconds.closeToTracksPerRun.slice(1)),
  's',
  10,
)
report('session start to a usable JupyterLab, cold server, warm environment', demo.seconds.notebookReady, 's', 3)
report('truth efficiency of the demo', demo.truthEfficiency, 'fraction', 0.8)
report('truth purity of the demo', demo.truthPurity, 'fraction', 0.8)

async function up() {
  const child = spawn(process.execPath, node('up', '--home', home, '--port', '28410', '--json'), {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  for await (const line of createInterface({ input: child.stdout })) {
    const ready = JSON.parse(line) as { event: string; platformUpSeconds: number }
    if (ready.event === 'ready') return { child, ready }
  }
  throw new Error('the platform did not start')
}

function idleMegabytes(): number {
  const records = readdirSync(join(home, 'run')).filter((name) => name.endsWith('.process.json'))
  const pids = records.map((name) => (JSON.parse(readFileSync(join(home, 'run', name), 'utf8')) as { pid: number }).pid)
  const kilobytes = pids.map((pid) =>
    Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0),
  )
  return kilobytes.reduce((sum, each) => sum + each, 0) / 1000
}
