/**
 * Simulated and reconstructed images, made in memory by worker threads: the ground of every validation and training.
 *
 * Deterministic by seed, whatever the number of threads: a sample is cut into blocks of `blockImages` images, each a
 * simulated run of its own (number = block + 1), and the images come in order. The pedestal map is made from simulated
 * dark frames of the same detector. Nothing grows with the sample: threads are at most two blocks ahead each.
 */
import { Worker } from 'node:worker_threads'
import type { SimulationOptions } from '../../detector/index.ts'
import type { ImageCalibration } from '../kernels/image-cells.ts'
import { defaultParameters } from '../parameters.ts'
import type { ReconstructionParameters } from '../parameters.ts'
import type { SampleAnswer, SampleImage, SampleRequest, SampleTask, TrackLayout } from './sample-protocol.ts'

export type { SampleImage, TrackLayout } from './sample-protocol.ts'

export interface SampleOptions {
  /** Seeds what happens; the detector itself is `simulation.detectorSeed`. */
  seed: number
  images: number
  /** The simulator's own options; default 2304 x 2304, its usual mixture of tracks, no digitizer banks. */
  simulation?: Partial<SimulationOptions>
  parameters?: Partial<ReconstructionParameters>
  /** Tracks on a grid instead of drawn ones (then `simulation.tracksPerImage` is taken as zero). */
  layout?: TrackLayout
  /** Use only so many of the source's threads; default all. */
  threads?: number
  /** Keep points and labels of the first so many images; default none. */
  keepPointsOf?: number
  /** Of those, how many go through both modes of the directional step; default none. */
  compareModesOf?: number
  signal?: AbortSignal
  onProgress?(done: number, of: number): void
}

/** Threads and pedestal maps that several samples share. */
export interface SampleSource {
  samples(options: SampleOptions): AsyncGenerator<SampleImage>
  /** The pedestal map the samples of this detector use; made once. */
  calibrationOf(options: Pick<SampleOptions, 'simulation' | 'parameters'>): Promise<ImageCalibration>
  close(): Promise<void>
}

const blockImages = 16
const noDrawnTracks = { iron: 0, muon: 0, alpha: 0 }
const blocksAhead = 2

/** Simulates and reconstructs in memory with `workers` threads of its own. */
export async function* reconstructedSamples(options: SampleOptions & { workers: number }): AsyncGenerator<SampleImage> {
  const source = openSampleSource(options.workers)
  try {
    yield* source.samples(options)
  } finally {
    await source.close()
  }
}

/** `pedestalImages`: dark frames per pedestal map, the reference asks for 100. One sample at a time. */
export function openSampleSource(workers: number, pedestalImages = 100): SampleSource {
  const threads = Array.from({ length: workers }, () => openThread())
  const calibrations = new Map<string, Promise<ImageCalibration>>()

  function calibrationOf(
    key: string,
    simulation: SampleRequest['simulation'],
    parameters: ReconstructionParameters,
  ): Promise<ImageCalibration> {
    let made = calibrations.get(key)
    if (made === undefined) {
      made = new Promise((resolve, reject) => {
        const task: SampleTask = {
          task: 'pedestal',
          simulation: darkOf(simulation),
          parameters,
          images: pedestalImages,
        }
        threads[0]!.give(task, (answer) => {
          if (answer.answer === 'pedestal') resolve(answer.calibration)
          else if (answer.answer === 'failed') reject(new Error(`the pedestal map failed: ${answer.reason}`))
        })
      })
      calibrations.set(key, made)
    }
    return made
  }

  async function* samples(options: SampleOptions): AsyncGenerator<SampleImage> {
    const { images, signal } = options
    const request = requestOf(options)
    const key = calibrationKeyOf(request.simulation, request.parameters)
    const calibration = await calibrationOf(key, request.simulation, request.parameters)
    const ready = new Map<number, SampleImage>()
    const state = { given: 0, ended: 0, failure: undefined as Error | undefined, wake: () => {} }
    const blocks = Math.ceil(images / blockImages)
    const using = threads.slice(0, options.threads ?? threads.length)
    const giveBlock = () => {
      const block = state.given++
      const first = block * blockImages
      const task: SampleTask = {
        task: 'block',
        request,
        calibrationKey: key,
        calibration,
        block,
        first,
        images: Math.min(blockImages, images - first),
      }
      leastBusy(using).give(task, (answer) => {
        if (answer.answer === 'image') ready.set(answer.image.event, answer.image)
        else if (answer.answer === 'failed') state.failure ??= new Error(`a sample failed: ${answer.reason}`)
        else state.ended++
        state.wake()
      })
    }
    const onAbort = () => {
      state.failure ??= signal?.reason instanceof Error ? signal.reason : new Error('stopped')
      state.wake()
    }
    signal?.throwIfAborted()
    signal?.addEventListener('abort', onAbort)
    try {
      for (let next = 0; next < images; next++) {
        // Blocks whose images nobody has taken yet count as ahead, so that a slow reader holds the threads back.
        while (state.given < blocks && state.given - Math.floor(next / blockImages) < blocksAhead * using.length)
          giveBlock()
        while (!ready.has(next) && state.failure === undefined) {
          if (state.ended === state.given && state.given > Math.floor(next / blockImages)) {
            throw new Error(`the simulator gave no image ${next}`)
          }
          await new Promise<void>((resume) => (state.wake = resume))
        }
        if (state.failure !== undefined) throw state.failure
        const image = ready.get(next)!
        ready.delete(next)
        options.onProgress?.(next + 1, images)
        yield image
      }
    } finally {
      signal?.removeEventListener('abort', onAbort)
    }
  }

  return {
    samples,
    calibrationOf(options) {
      const request = requestOf({ seed: 0, images: 0, ...options })
      const key = calibrationKeyOf(request.simulation, request.parameters)
      return calibrationOf(key, request.simulation, request.parameters)
    },
    async close() {
      await Promise.all(threads.map((thread) => thread.close()))
    },
  }
}

function requestOf(options: SampleOptions): SampleRequest {
  const {
    seed: _seed,
    number: _number,
    kind: _kind,
    images: _images,
    startMs: _start,
    // Functions do not travel to threads: a layout says what they would.
    tracksOf: _tracksOf,
    tracksSource: _tracksSource,
    ...given
  } = options.simulation ?? {}
  return {
    seed: options.seed,
    images: options.images,
    simulation: { waveforms: false, ...given, ...(options.layout !== undefined && { tracksPerImage: noDrawnTracks }) },
    parameters: { ...defaultParameters, ...options.parameters },
    layout: options.layout,
    keepPointsOf: options.keepPointsOf ?? 0,
    compareModesOf: options.compareModesOf ?? 0,
  }
}

/** What decides the pedestal map: the camera, its size and the settings, not what happens in front of it. */
function darkOf(simulation: SampleRequest['simulation']): SampleRequest['simulation'] {
  const { camera, frame, exposureMs, detectorSeed, detector } = simulation
  return {
    waveforms: false,
    ...(camera !== undefined && { camera }),
    ...(frame !== undefined && { frame }),
    ...(exposureMs !== undefined && { exposureMs }),
    ...(detectorSeed !== undefined && { detectorSeed }),
    ...(detector !== undefined && { detector }),
  }
}

function calibrationKeyOf(simulation: SampleRequest['simulation'], parameters: ReconstructionParameters): string {
  return JSON.stringify([darkOf(simulation), Object.entries(parameters).sort(([a], [b]) => (a < b ? -1 : 1))])
}

interface Thread {
  /** Tasks of one thread are done one after the other; `onAnswer` hears all answers of this one. */
  give(task: SampleTask, onAnswer: (answer: SampleAnswer) => void): void
  readonly waiting: number
  close(): Promise<void>
}

function openThread(): Thread {
  const worker = new Worker(new URL('./sample-worker.ts', import.meta.url))
  const queue: { task: SampleTask; onAnswer: (answer: SampleAnswer) => void }[] = []
  let over: string | undefined
  const failAll = (reason: string) => {
    over = reason
    for (const { onAnswer } of queue.splice(0)) onAnswer({ answer: 'failed', reason })
  }
  worker.on('message', (answer: SampleAnswer) => {
    const { onAnswer } = queue[0]!
    if (answer.answer !== 'image') {
      queue.shift()
      if (queue.length > 0) worker.postMessage(queue[0]!.task)
    }
    onAnswer(answer)
  })
  worker.on('error', (error) => failAll(error instanceof Error ? error.message : String(error)))
  worker.on('exit', (code) => failAll(`the thread ended with code ${code}`))
  return {
    give(task, onAnswer) {
      if (over !== undefined) return onAnswer({ answer: 'failed', reason: over })
      queue.push({ task, onAnswer })
      if (queue.length === 1) worker.postMessage(task)
    },
    get waiting() {
      return queue.length
    },
    async close() {
      await worker.terminate()
    },
  }
}

function leastBusy(threads: readonly Thread[]): Thread {
  return threads.reduce((best, thread) => (thread.waiting < best.waiting ? thread : best))
}
