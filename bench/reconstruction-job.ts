/**
 * Whole reconstruction jobs on full-size simulated runs: from the raw file to the products, in processes of their own.
 *
 *   node bench/reconstruction-job.ts [--images 96]
 *
 * Per scene (sparse, busy) and input (plain, gzip with one member per image, gzip of one stream): images per second with
 * one and two workers, processor time per image, resident memory at its peak. "steady" leaves out the start and the end:
 * it is what a long run adds per image, from the difference of a long and a short run.
 * Prints one JSON line per figure: {name, value, unit, peer, peerValue, ratio}.
 */
import { spawnSync } from 'node:child_process'
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { createMidasWriter, simulateRun } from '../src/detector/index.ts'
import type { SimulatedEvent } from '../src/detector/index.ts'
import { defaultParameters } from '../src/reconstruction/index.ts'
import { productNames } from '../src/reconstruction/payload-spec.ts'
import { makePedestal } from '../src/reconstruction/pedestal-payload.ts'
import { reconstructRun } from '../src/reconstruction/reconstruction-payload.ts'

interface Job {
  task: 'pedestal' | 'reconstruction'
  rawPath: string
  outFolder: string
  pedestalPath: string
  workers: number
}

interface Outcome {
  images: number
  wallMs: number
  cpuMs: number
  peakBytes: number
}

const flag = (name: string) => (process.argv.includes(name) ? process.argv[process.argv.indexOf(name) + 1] : undefined)
const images = Number(flag('--images') ?? 96)
/** Simulated pictures, repeated to fill a run. */
const distinct = 24
const pedestalImages = 100
const short = Math.max(8, Math.floor(images / 6))
const scenes = [
  { name: 'sparse', tracksPerImage: { iron: 4, muon: 0.3, alpha: 0.3 } },
  { name: 'busy', tracksPerImage: { iron: 8, muon: 8, alpha: 1 } },
]

const job = flag('--job')
if (job === undefined) await bench()
else console.log(JSON.stringify(await runJob(JSON.parse(job) as Job)))

async function bench(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'cygnet-bench-'))
  try {
    const pedestalPath = join(folder, productNames.pedestal)
    const dark = join(folder, 'pedestal.mid')
    await writeRun(dark, pedestalImages, await pictures('pedestal'), false)
    const pedestal = run({ task: 'pedestal', rawPath: dark, outFolder: folder, pedestalPath, workers: 1 })
    print(`reconstruction.pedestal.${pedestalImages}-images`, pedestal.wallMs / 1000, 's')
    print('reconstruction.pedestal.peak-memory', pedestal.peakBytes / 1e6, 'MB')
    await rm(dark)
    for (const { name, tracksPerImage } of scenes) {
      const frames = await pictures('data', tracksPerImage)
      for (const input of ['plain', 'gzip', 'foreign-gzip'] as const) {
        const long = await writeInput(folder, input, images, frames)
        const brief = await writeInput(folder, input, short, frames)
        for (const workers of [1, 2]) {
          const outFolder = join(folder, 'out')
          const measure = (rawPath: string) =>
            run({ task: 'reconstruction', rawPath, outFolder, pedestalPath, workers })
          const few = measure(brief)
          const many = measure(long)
          const steadyMs = (many.wallMs - few.wallMs) / (many.images - few.images)
          const cpuMs = (many.cpuMs - few.cpuMs) / (many.images - few.images)
          const head = `reconstruction.${name}.${input}.${workers}-worker${workers === 1 ? '' : 's'}`
          print(`${head}.throughput`, (1000 * many.images) / many.wallMs, 'images/s')
          print(`${head}.throughput-steady`, 1000 / steadyMs, 'images/s')
          print(`${head}.processor-time-steady`, cpuMs, 'ms/image')
          print(`${head}.peak-memory`, many.peakBytes / 1e6, 'MB')
        }
        await rm(long)
        await rm(brief)
      }
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function pictures(kind: 'pedestal' | 'data', tracksPerImage = {}): Promise<SimulatedEvent[]> {
  const options = { seed: 20, number: 1, kind, images: distinct, startMs: 0, waveforms: false, tracksPerImage }
  const found: SimulatedEvent[] = []
  for await (const event of simulateRun(options)) if (event.kind === 'event' && event.frame) found.push(event)
  return found
}

async function writeInput(
  folder: string,
  input: 'plain' | 'gzip' | 'foreign-gzip',
  count: number,
  frames: SimulatedEvent[],
): Promise<string> {
  const path = join(folder, `run-${count}.mid${input === 'gzip' ? '.gz' : ''}`)
  await writeRun(path, count, frames, input === 'gzip')
  if (input !== 'foreign-gzip') return path
  await pipeline(createReadStream(path), createGzip({ level: 1 }), createWriteStream(`${path}.gz`))
  await rm(path)
  return `${path}.gz`
}

async function writeRun(path: string, count: number, frames: SimulatedEvent[], gzip: boolean): Promise<void> {
  const writer = await createMidasWriter(path, { gzip, level: 1 })
  await writer.beginOfRun({ number: 1, timestampSeconds: 0, odb: {} })
  for (let image = 0; image < count; image++) {
    const event = frames[image % frames.length]!
    if (event.kind === 'event') await writer.event({ ...event, serialNumber: image })
  }
  await writer.endOfRun({ number: 1, timestampSeconds: 1, odb: {} })
  await writer.close()
}

function run(spec: Job): Outcome {
  const argv = [import.meta.filename, '--job', JSON.stringify(spec)]
  const child = spawnSync(process.execPath, argv, { encoding: 'utf8', maxBuffer: 1 << 26 })
  if (child.status !== 0) throw new Error(`the job failed: ${child.stderr}`)
  return JSON.parse(child.stdout.trim().split('\n').at(-1)!) as Outcome
}

async function runJob({ task, ...rest }: Job): Promise<Outcome> {
  await mkdir(rest.outFolder, { recursive: true })
  const common = { run: 'bench/sim:1', rawPath: rest.rawPath, outFolder: rest.outFolder, codeVersion: 'bench' }
  const begin = performance.now()
  const summary =
    task === 'pedestal'
      ? await makePedestal({ task, ...common }, () => undefined)
      : await reconstructRun(
          {
            task,
            ...common,
            campaign: 'main',
            pedestalPath: rest.pedestalPath,
            truthPath: null,
            calibrationId: 'bench',
            workers: rest.workers,
            parameters: { ...defaultParameters },
          },
          () => undefined,
        )
  if (!summary.complete) throw new Error(`not complete: ${summary.problems.join('; ')}`)
  const { user, system } = process.cpuUsage()
  return {
    images: summary.images,
    wallMs: performance.now() - begin,
    cpuMs: (user + system) / 1000,
    peakBytes: process.resourceUsage().maxRSS * 1024,
  }
}

function print(name: string, value: number, unit: string): void {
  console.log(
    JSON.stringify({ name, value: Number(value.toPrecision(4)), unit, peer: null, peerValue: null, ratio: null }),
  )
}
