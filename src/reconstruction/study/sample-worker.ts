/** One thread that simulates images and reconstructs them in memory (see samples.ts). */
import { parentPort } from 'node:worker_threads'
import { decodeDigitizer, simulateRun } from '../../detector/index.ts'
import type { Frame, ImageTruth, MidasBank, TrackRequest } from '../../detector/index.ts'
import { clusterRowsOf } from '../cluster-rows.ts'
import { createImageChain } from '../kernels/image-chain.ts'
import type { ImageChain, ReconstructedImage } from '../kernels/image-chain.ts'
import { prepareCalibration } from '../kernels/image-cells.ts'
import { addPedestalImage, createPedestalAccumulator, finishPedestalMap } from '../kernels/pedestal-map.ts'
import type { PedestalAccumulator } from '../kernels/pedestal-map.ts'
import { lightCorrectionOf } from '../kernels/vignetting.ts'
import { matchImage } from '../truth-matching.ts'
import { analyseEvent } from '../waveforms/analyse-event.ts'
import { clusterTubeGains } from '../waveforms/tube-light.ts'
import { createPointKeeper } from './kept-points.ts'
import type { PointKeeper } from './kept-points.ts'
import { roiLightOf } from './roi-light.ts'
import type { SampleAnswer, SampleImage, SampleRequest, SampleTask, TrackLayout } from './sample-protocol.ts'
import { startMs } from './sample-time.ts'

type BlockTask = Extract<SampleTask, { task: 'block' }>

/** Memory for the calibration in use; the keeper only where points are kept. */
let present: { key: string; chain: ImageChain; keeper?: PointKeeper } | undefined

const answer = (what: SampleAnswer) => parentPort!.postMessage(what)

parentPort!.on('message', (task: SampleTask) => {
  const work = task.task === 'pedestal' ? makePedestal(task) : makeBlock(task)
  work.catch((error: unknown) =>
    answer({ answer: 'failed', reason: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
  )
})

async function makePedestal(task: Extract<SampleTask, { task: 'pedestal' }>): Promise<void> {
  let accumulator: PedestalAccumulator | undefined
  const dark = { ...task.simulation, seed: 0, number: 0, kind: 'pedestal', images: task.images, startMs } as const
  for await (const event of simulateRun(dark)) {
    if (event.kind !== 'event' || event.frame === undefined) continue
    const { width, height, pixels } = event.frame
    accumulator ??= createPedestalAccumulator(width, height)
    addPedestalImage(accumulator, pixels)
  }
  const { map } = finishPedestalMap(accumulator!)
  const correction = lightCorrectionOf(map.width, map.height, task.parameters)
  answer({ answer: 'pedestal', calibration: prepareCalibration(map, correction, task.parameters) })
}

async function makeBlock(task: BlockTask): Promise<void> {
  const { request, first } = task
  if (present?.key !== task.calibrationKey) {
    present = { key: task.calibrationKey, chain: createImageChain(task.calibration, request.parameters) }
  }
  const { layout } = request
  const run = simulateRun({
    ...request.simulation,
    seed: request.seed,
    number: task.block + 1,
    kind: 'data',
    images: task.images,
    startMs,
    ...(layout === undefined
      ? {}
      : { tracksOf: (image: number) => tracksOf(layout, task.calibration, request.seed, first + image) }),
  })
  let image = 0
  for await (const event of run) {
    if (event.kind !== 'event' || event.frame === undefined || event.truth === undefined) continue
    const number = first + image++
    const truth = { ...event.truth, event: number }
    answer({ answer: 'image', image: reconstruct(event.frame, truth, event.banks, task, present) })
  }
  answer({ answer: 'block' })
}

function reconstruct(
  frame: Frame,
  truth: ImageTruth,
  banks: readonly MidasBank[],
  task: BlockTask,
  using: NonNullable<typeof present>,
): SampleImage {
  const { calibration, request } = task
  const before = process.threadCpuUsage()
  const image = using.chain.reconstruct(frame.pixels)
  const { user, system } = process.threadCpuUsage(before)
  const matched = matchImage(image.clusters, truth, calibration, request.parameters)
  return {
    event: truth.event,
    truth,
    clusters: clusterRowsOf(image, { event: truth.event, camera: 0 }, matched.matches),
    stageMs: image.stageMs,
    cpuMs: (user + system) / 1000,
    suppressedSumCounts: image.suppressedSumCounts,
    macroHits: image.macroHits,
    vetoed: image.vetoed,
    tracks: matched.tracks,
    tally: matched.tally,
    roi: roiLightOf(image.clusters, truth, calibration),
    ...tubesOf(image, frame, truth.event, banks, task),
    ...(truth.event < request.keepPointsOf && keptOf(frame, truth.event, task, using)),
  }
}

/** Triggers as the reconstruction of a run reads them, from the same banks. */
function tubesOf(
  image: ReconstructedImage,
  { pixels, exposureUs }: Frame,
  event: number,
  banks: readonly MidasBank[],
  { calibration, request: { parameters } }: BlockTask,
): Pick<SampleImage, 'tubes'> {
  const bytes = (name: string) => banks.find((bank) => bank.name === name)?.data
  const [header, samples] = [bytes('DGH0'), bytes('DIG0')]
  if (header === undefined || samples === undefined) return {}
  const context = {
    parameters,
    exposureMs: exposureUs === undefined ? undefined : exposureUs / 1000,
    tables: undefined,
    alreadyCorrected: true,
  }
  const waveforms = analyseEvent(event, decodeDigitizer(header, samples), context)
  const gains = image.clusters.map(({ cells, selected }) =>
    selected ? clusterTubeGains(cells, pixels, calibration, parameters) : undefined,
  )
  return { tubes: { waveforms, gains } }
}

function keptOf(frame: Frame, event: number, { calibration, request }: BlockTask, using: NonNullable<typeof present>) {
  using.keeper ??= createPointKeeper(calibration, request.parameters)
  const points = using.keeper.points(frame.pixels)
  return { points, ...(event < request.compareModesOf && { modes: using.keeper.agreement() }) }
}

/** The tracks of one image of a layout; places in the order of rows. */
function tracksOf(
  layout: TrackLayout,
  frame: Pick<SampleRequest['simulation'] & { width: number; height: number }, 'width' | 'height'>,
  seed: number,
  image: number,
): TrackRequest[] {
  const places = layout.side * layout.side
  const step = unlike(places, layout.requests.length)
  const pitchX = (frame.width - 2 * layout.marginPx) / layout.side
  const pitchY = (frame.height - 2 * layout.marginPx) / layout.side
  return Array.from({ length: places }, (_, place) => {
    const draw = (axis: number) => layout.jitterPx * (2 * uniform(seed, image, place, axis) - 1)
    return {
      ...layout.requests[(image * step + place) % layout.requests.length]!,
      xPx: layout.marginPx + pitchX * ((place % layout.side) + 0.5) + draw(0),
      yPx: layout.marginPx + pitchY * (Math.floor(place / layout.side) + 0.5) + draw(1),
    }
  })
}

/** The smallest step from so many places on that has no divisor in common with the requests: every place sees them all. */
function unlike(places: number, requests: number): number {
  const divisor = (a: number, b: number): number => (b === 0 ? a : divisor(b, a % b))
  let step = places
  while (divisor(step, requests) !== 1) step++
  return step
}

/** In [0, 1), a hash of its arguments (splitmix32 steps): the same on every machine, whatever was drawn before. */
function uniform(...words: number[]): number {
  let state = 0x9e3779b9
  for (const word of words) {
    state = Math.imul(state ^ (word >>> 0), 0x21f0aaad)
    state = Math.imul(state ^ (state >>> 15), 0x735a2d97)
    state ^= state >>> 15
  }
  return (state >>> 0) / 2 ** 32
}
