/**
 * What a kill -9 of the whole platform costs while notebooks work: kernels alive afterwards, and how long nobody is served.
 * `node bench/survival.ts [kernels] [kills]`. JSON lines {name, value, unit, floor}; the floors are those of the design.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { enterSession, runCell, startKernel } from '../e2e/kernel.ts'
import { eventually, startPlatform } from '../e2e/platform.ts'
import { experiment, setUpExperiment } from '../e2e/scenario.ts'

const kernelCount = Number(process.argv[2] ?? 50)
const kills = Number(process.argv[3] ?? 3)

/** Goes on by itself, whoever is connected. */
const counting = `
import threading, time
ticks = 0
def count():
    global ticks
    while True:
        time.sleep(0.1)
        ticks += 1
threading.Thread(target=count, daemon=True).start()
`

function report(name: string, value: number, unit: string, floor: number): void {
  console.log(JSON.stringify({ name, value: Number(value.toPrecision(4)), unit, floor }))
}

const home = mkdtempSync(join(tmpdir(), 'cygnet-survival-'))
writeFileSync(join(home, 'cygnet.yaml'), 'compute:\n  memoryMiB: 14000\nnotebooks:\n  memoryMiB: 10000\n')
const platform = await startPlatform({ home })
try {
  const { call } = await setUpExperiment(platform)
  interface Session {
    id: string
    state: string
    url: string
  }
  const { id } = await call<Session>('POST', '/api/notebooks/sessions', { experiment })
  const session = await eventually(
    'the session',
    async () => {
      const shown = await call<Session>('GET', `/api/notebooks/sessions/${id}`)
      return shown.state === 'running' ? shown : undefined
    },
    300_000,
  )
  const ticket = await call<{ url: string }>('POST', `/api/notebooks/sessions/${id}/ticket`, {})
  const door = await enterSession(ticket.url, session.url)
  const kernels: string[] = []
  while (kernels.length < kernelCount) {
    const kernel = await startKernel(door)
    await runCell(door, kernel, counting)
    kernels.push(kernel)
  }
  const ticksOf = async (kernel: string): Promise<number> =>
    Number(await runCell(door, kernel, 'print(ticks)').catch(() => 'gone'))

  const outages: number[] = []
  let alive = kernelCount
  for (let kill = 0; kill < kills; kill += 1) {
    const before = new Map<string, number>()
    for (const kernel of kernels) before.set(kernel, await ticksOf(kernel))
    const killedMs = performance.now()
    for (const name of ['supervisor', 'control', 'gateway-1', 'gateway-2'])
      process.kill(platform.pidOf(name), 'SIGKILL')
    // As an init system does; served is what answers, not what says that it does.
    const started = platform.restart()
    await serving()
    outages.push(performance.now() - killedMs)
    await started
    await sleep(500)
    let living = 0
    for (const kernel of kernels) if ((await ticksOf(kernel)) > before.get(kernel)!) living += 1
    alive = Math.min(alive, living)
  }
  outages.sort((one, other) => one - other)
  report(
    `kernels alive after each of ${kills} kill -9 of supervisor, control and gateways`,
    alive,
    'kernels',
    kernelCount,
  )
  report(
    `serving again (page, API, S3) after that kill, ${kernelCount} kernels counting, median of ${kills}`,
    outages[Math.floor(outages.length / 2)]! / 1000,
    's',
    2,
  )

  /** The page, an answer of control, and S3. */
  async function serving(): Promise<void> {
    for (const url of [platform.platformUrl, `${platform.platformUrl}/api/health`, platform.s3Url])
      while (
        !(await fetch(url)
          .then(({ status }) => status < 500)
          .catch(() => false))
      )
        await sleep(5)
  }
} finally {
  await platform.stop()
  rmSync(home, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })
}
