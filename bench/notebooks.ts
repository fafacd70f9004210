/**
 * Speed of notebooks: `node bench/notebooks.ts [sessions]`. Start of a session to the first answer of JupyterLab, and cell round trips over the
 * kernel's websocket, directly on the server's socket and through our proxy. JSON lines; the peer is DESIGN's bar.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openKernel } from '../src/notebooks/kernel-client.ts'
import { openTestHouse } from '../src/notebooks/testing.ts'

const starts = Number(process.argv[2] ?? 3)
const cells = 100
const folder = await mkdtemp(join(tmpdir(), 'cygnet-bench-'))

function report(name: string, value: number, unit: string, peer: string, peerValue: number): void {
  const round = (number: number): number => Number(number.toPrecision(4))
  console.log(JSON.stringify({ name, value: round(value), unit, peer, peerValue, ratio: round(peerValue / value) }))
}

const middle = (values: number[]): number =>
  values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)]!

const house = await openTestHouse(folder)
let begun = performance.now()
await house.notebooks.ensureEnvironment()
report('notebooks.environment-ready', performance.now() - begun, 'ms', 'pip install of the same list', 21_000)
await house.compute.start()
await house.notebooks.start()

const startMs: number[] = []
for (let start = 0; start < starts; start++) {
  begun = performance.now()
  let session = await house.notebooks.startSession(house.person, { experiment: 'demo' })
  while (session.state !== 'running') {
    if (session.state === 'failed') throw new Error(session.reason ?? 'the session failed')
    await new Promise((resolve) => setTimeout(resolve, 20))
    session = await house.notebooks.show(session.id)
  }
  startMs.push(performance.now() - begun)
  if (start === starts - 1) await measureCells(session.id)
  const { jobId } = await house.notebooks.stop(session.id)
  begun = performance.now()
  await house.compute.ended(jobId)
  if (start === starts - 1)
    report('notebooks.stop-proved', performance.now() - begun, 'ms', 'bar: cancel proved dead in 10 s', 10_000)
}
report('notebooks.session-start-p50', middle(startMs), 'ms', 'bar: floor 3 s, aim 0.5 s', 500)

async function measureCells(sessionId: string): Promise<void> {
  const kernel = await openKernel({
    baseUrl: `${house.origin}/user/alice/${sessionId}/`,
    cookie: house.cookieFor(sessionId),
  })
  for (let cell = 0; cell < 20; cell++) await kernel.run('1')
  const tookMs: number[] = []
  for (let cell = 0; cell < cells; cell++) {
    const at = performance.now()
    await kernel.run('1')
    tookMs.push(performance.now() - at)
  }
  report('notebooks.cell-round-trip-p50', middle(tookMs), 'ms', 'bar: floor 20 ms, aim 9 ms', 9)
  report(
    'notebooks.cell-round-trip-p95',
    tookMs.toSorted((one, other) => one - other)[Math.floor(cells * 0.95)]!,
    'ms',
    'bar: floor 20 ms, aim 9 ms',
    9,
  )
  await kernel.close()
}

await house.close()
await rm(folder, { recursive: true, force: true })
