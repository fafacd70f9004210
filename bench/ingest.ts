/**
 * Speed of ingest on one machine: `node bench/ingest.ts [images per file] [files]`. Platform, agent and DAQ are processes
 * of their own. JSON lines {name, value, unit, peer, peerValue, ratio}; the peer is the aim in DESIGN's bar.
 */
import { mkdir, mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createMidasWriter, simulateRun, writeSimulatedRun, type SimulatedEvent } from '../src/detector/index.ts'
import { spawnAgent, spawnPlatform, type TestChild } from '../src/ingest/testing.ts'

const images = Number(process.argv[2] ?? 40)
const files = Number(process.argv[3] ?? 3)
const simulation = { seed: 1, number: 1, kind: 'data' as const, images: 2, startMs: Date.now() }

const folder = await mkdtemp(join(tmpdir(), 'cygnet-bench-'))
const platform = spawnPlatform({ folder: join(folder, 'home'), port: 0, s3Port: 0 })
const { serverUrl, keyFile } = (await platform.until((line) => line.event === 'listening')) as {
  serverUrl: string
  keyFile: string
}

await sustained()
await latency()
await platform.kill()
await rm(folder, { recursive: true })

/** Closed files that wait on the DAQ disk, until all are safe. */
async function sustained(): Promise<void> {
  const directory = join(folder, 'sustained')
  await mkdir(directory)
  let bytes = 0
  for (let number = 1; number <= files; number++) bytes += await writeLongRun(directory, number)
  const startedMs = performance.now()
  const agent = spawnAgent({ directory, serverUrl, keyFile, once: true })
  await agent.until((line) => line.event === 'watching')
  const watchingMs = performance.now()
  await agent.until((line) => line.event === 'finished')
  const endMs = performance.now()
  const uploads = agent.lines
    .filter((line) => line.event === 'uploaded')
    .reduce((sum, line) => sum + Number(line.tookMs), 0)
  report('agent, upload alone', bytes / 1e6 / (uploads / 1000), 'MB/s', 400)
  report('agent, disk to safe, compared', bytes / 1e6 / ((endMs - watchingMs) / 1000), 'MB/s', 400)
  report('agent start', (watchingMs - startedMs) / 1000, 's', 1)
  await agent.kill()
}

/** A run of ten images, from its end of run to safe: stored, read back, closed in the logbook, compared. */
async function latency(): Promise<void> {
  const directory = join(folder, 'latency')
  await mkdir(directory)
  const agent = spawnAgent({ directory, serverUrl, keyFile })
  const times: number[] = []
  for (let number = 101; number <= 103; number++) {
    const run = await writeSimulatedRun(directory, { ...simulation, number, images: 10 })
    const closedMs = Date.now()
    const name = run.path.slice(directory.length + 1)
    times.push((await safeMs(agent, name)) - closedMs)
  }
  report('end of a 10-image run to safe and closed in the logbook', Math.max(...times) / 1000, 's', 3)
  await agent.kill()
}

async function safeMs(agent: TestChild, file: string): Promise<number> {
  return Number((await agent.until((line) => line.event === 'safe' && line.file === file)).atMs)
}

/** Two simulated pictures again and again: a genuine file of any length in little time. */
async function writeLongRun(directory: string, number: number): Promise<number> {
  const path = join(directory, `run${String(number).padStart(5, '0')}.mid`)
  const writer = await createMidasWriter(path)
  const pictures: (SimulatedEvent & { kind: 'event' })[] = []
  for await (const event of simulateRun({ ...simulation, number })) {
    if (event.kind === 'begin-of-run') await writer.beginOfRun(event)
    else if (event.kind === 'event') {
      if (event.frame !== undefined) pictures.push(event)
    } else {
      for (let image = 0; image < images; image++) await writer.event({ ...pictures[image % 2]!, serialNumber: image })
      await writer.endOfRun(event)
    }
  }
  await writer.close()
  return (await stat(path)).size
}

function report(name: string, value: number, unit: string, aim: number): void {
  const ratio = unit === 's' ? aim / value : value / aim
  const round = (number: number): number => Number(number.toPrecision(3))
  console.log(
    JSON.stringify({
      name: `ingest ${name}`,
      value: round(value),
      unit,
      peer: 'aim',
      peerValue: aim,
      ratio: round(ratio),
    }),
  )
}
