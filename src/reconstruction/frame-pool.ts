/**
 * Worker threads that reconstruct frames. Pixels travel through shared memory (one copy in), clusters come back as
 * messages. Each worker owns two slots, so that the next frame is read while the present one is worked on.
 */
import { Worker } from 'node:worker_threads'
import type { ImageTruth } from '../detector/index.ts'
import type { ImageCalibration } from './kernels/image-cells.ts'
import type { Stage } from './kernels/image-chain.ts'
import type { Cluster } from './contract.ts'
import type { ReconstructionParameters } from './parameters.ts'
import type { TruthTally } from './truth-matching.ts'

export interface PoolStart {
  calibrations: { camera: number; calibration: ImageCalibration }[]
  parameters: ReconstructionParameters
  slots: SharedArrayBuffer[]
}

export interface FrameRequest {
  slot: number
  camera: number
  event: number
  truth: ImageTruth | undefined
}

export interface FrameResult {
  slot: number
  vetoed: boolean
  suppressedSumCounts: number
  macroHits: number
  clusters: Cluster[]
  /** JSON of the rings of each cluster. */
  outlines: string[]
  tally: TruthTally | undefined
  stageMs: Record<Stage, number>
}

export interface FramePool {
  /** Copies the pixels and hands them to a worker; resolves when they are copied. The result goes to `onResult`. */
  submit(
    pixels: Uint16Array,
    request: Omit<FrameRequest, 'slot'>,
    onResult: (result: FrameResult) => void,
  ): Promise<void>
  /** Waits for all results. Rejects when a worker failed. */
  drain(): Promise<void>
  close(): Promise<void>
}

const slotsPerWorker = 2

export function createFramePool(workers: number, framePixels: number, start: Omit<PoolStart, 'slots'>): FramePool {
  const free: { worker: Worker; slot: number; pixels: Uint16Array }[] = []
  const busy = new Map<Worker, Map<number, (result: FrameResult) => void>>()
  const waiting: (() => void)[] = []
  const state: { inFlight: number; failure: Error | undefined } = { inFlight: 0, failure: undefined }
  const wake = () => {
    for (const resume of waiting.splice(0)) resume()
  }
  const pool = Array.from({ length: workers }, () => {
    const slots = Array.from({ length: slotsPerWorker }, () => new SharedArrayBuffer(framePixels * 2))
    const worker = new Worker(new URL('./reconstruction-worker.ts', import.meta.url), {
      workerData: { ...start, slots } satisfies PoolStart,
    })
    const results = new Map<number, (result: FrameResult) => void>()
    busy.set(worker, results)
    const pixels = slots.map((slot) => new Uint16Array(slot))
    worker.on('message', (result: FrameResult) => {
      const onResult = results.get(result.slot)
      results.delete(result.slot)
      state.inFlight--
      free.push({ worker, slot: result.slot, pixels: pixels[result.slot]! })
      onResult?.(result)
      wake()
    })
    worker.on('error', (error) => {
      state.failure ??= error instanceof Error ? error : new Error(String(error))
      wake()
    })
    worker.on('exit', (code) => {
      if (code !== 0) state.failure ??= new Error(`a reconstruction thread ended with code ${code}`)
      wake()
    })
    return { worker, pixels }
  })
  // First slots of all workers before second slots, so that a short run uses every worker.
  for (let slot = slotsPerWorker - 1; slot >= 0; slot--) {
    for (const { worker, pixels } of pool) free.push({ worker, slot, pixels: pixels[slot]! })
  }
  const wait = () => new Promise<void>((resume) => waiting.push(resume))
  return {
    async submit(pixels, request, onResult) {
      while (free.length === 0 && state.failure === undefined) await wait()
      if (state.failure !== undefined) throw state.failure
      const place = free.pop()!
      place.pixels.set(pixels)
      state.inFlight++
      busy.get(place.worker)!.set(place.slot, onResult)
      place.worker.postMessage({ ...request, slot: place.slot } satisfies FrameRequest)
    },
    async drain() {
      while (state.inFlight > 0 && state.failure === undefined) await wait()
      if (state.failure !== undefined) throw state.failure
    },
    async close() {
      await Promise.all(pool.map(({ worker }) => worker.terminate()))
    },
  }
}
