/**
 * Worker threads that reconstruct frames. Events are read, or inflated by the workers, straight into memory that all
 * threads share and that is used again; clusters come back as messages.
 */
import { Worker } from 'node:worker_threads'
import type { Drs4Tables, EventMemory, FoundMember, ImageTruth } from '../detector/index.ts'
import type { ImageCalibration } from './kernels/image-cells.ts'
import type { ImageChain, Stage } from './kernels/image-chain.ts'
import type { Cluster } from './contract.ts'
import { createEventSlots } from './event-slots.ts'
import type { EventSlot } from './event-slots.ts'
import type { ReconstructionParameters } from './parameters.ts'
import type { PixelPages } from './pixel-pages.ts'
import type { TruthTally } from './truth-matching.ts'
import type { DigitizerRequest, EventWaveforms } from './waveforms/analyse-event.ts'

export interface PoolStart {
  calibrations: { camera: number; calibration: ImageCalibration }[]
  parameters: ReconstructionParameters
  /** Seeds the faithful directional step, with event and camera. */
  randomSeed: number
  /** Of the fast digitizer, where the experiment has them. */
  drs4Tables?: Drs4Tables | undefined
}

/** Bytes of a slot; its memory comes with the first message that needs it. */
export interface SlotPlace {
  slot: number
  memory?: SharedArrayBuffer
  byteOffset: number
  sizeBytes: number
}

export interface FrameRequest {
  camera: number
  event: number
  truth: ImageTruth | undefined
  /** With the first image of an event that has triggers: its banks, analysed after the image. */
  digitizer?: DigitizerRequest | undefined
}

export type WorkerMessage =
  | ({ task: 'start' } & PoolStart)
  | { task: 'inflate'; ticket: number; fd: number; member: FoundMember; into: SlotPlace }
  | ({ task: 'frame'; ticket: number; pixels: SlotPlace | Uint16Array } & FrameRequest)

export type WorkerAnswer = { ticket: number } & (FrameResult | { inflated: boolean })

export interface FrameResult {
  vetoed: boolean
  suppressedSumCounts: number
  macroHits: number
  clusters: Cluster[]
  /** JSON of the rings of each cluster. */
  outlines: string[]
  /** Of the bright clusters, in cluster order. */
  pixels: PixelPages
  tally: TruthTally | undefined
  /** Answer to `digitizer`, and light of the selected clusters in the tubes, by rank. */
  waveforms?: EventWaveforms | undefined
  tubeGains?: (number[] | undefined)[] | undefined
  stageMs: Record<Stage, number>
  implementation: ImageChain['implementation']
}

export interface FramePool {
  /** Where the reader of the run puts its events; whoever iterates gives `event.data` back when it is done with it. */
  readonly memory: EventMemory
  /** How many events the reader may inflate ahead. */
  readonly ahead: number
  /** What the workers need before the first frame. */
  start(start: PoolStart): void
  /** Hands pixels to a worker; their event's memory is kept until the result has gone to `onResult`. Waits while the workers have enough to do. */
  submit(pixels: Uint16Array, request: FrameRequest, onResult: (result: FrameResult) => void): Promise<void>
  /** Waits for all results. Rejects when a worker failed. */
  drain(): Promise<void>
  close(): Promise<void>
}

/** One in work, one waiting. */
const framesPerWorker = 2
/** Beside what the workers have and what is inflated ahead: an event with the caller, one that the reader holds back. */
const furtherSlots = 2

interface PoolWorker {
  worker: Worker
  /** Asked and not yet answered. */
  pending: Map<number, (answer: WorkerAnswer) => void>
  /** Memory it has been sent, by slot. */
  known: Map<number, SharedArrayBuffer>
}

/** The threads begin to load at once; they wait for `start`. */
export function createFramePool(workers: number): FramePool {
  const waiting: (() => void)[] = []
  const state: { frames: number; tickets: number; failure: Error | undefined } = {
    frames: 0,
    tickets: 0,
    failure: undefined,
  }
  const slots = createEventSlots(workers * framesPerWorker + furtherSlots)
  const refused: ((error: Error) => void)[] = []
  const wake = () => {
    for (const resume of waiting.splice(0)) resume()
  }
  const fail = (error: unknown) => {
    state.failure ??= error instanceof Error ? error : new Error(String(error))
    slots.refuse(state.failure)
    for (const refuse of refused.splice(0)) refuse(state.failure)
    wake()
  }
  const pool = Array.from({ length: workers }, (): PoolWorker => {
    const worker = new Worker(new URL('./reconstruction-worker.ts', import.meta.url))
    const pending: PoolWorker['pending'] = new Map()
    worker.on('message', (answer: WorkerAnswer) => {
      const onAnswer = pending.get(answer.ticket)
      pending.delete(answer.ticket)
      try {
        onAnswer?.(answer)
      } catch (error) {
        // Thrown from here it would end the process without a word to whoever waits in `drain`.
        fail(error)
      }
      wake()
    })
    worker.on('error', fail)
    worker.on('exit', (code) => {
      if (code !== 0) fail(new Error(`a reconstruction thread ended with code ${code}`))
    })
    return { worker, pending, known: new Map() }
  })
  const idlest = () => pool.reduce((best, one) => (one.pending.size < best.pending.size ? one : best))
  const wait = () => new Promise<void>((resume) => waiting.push(resume))

  function placeOf({ known }: PoolWorker, { slot, memory }: EventSlot, bytes: ArrayBufferView): SlotPlace {
    const place = { slot, byteOffset: bytes.byteOffset, sizeBytes: bytes.byteLength }
    if (known.get(slot) === memory) return place
    known.set(slot, memory)
    return { ...place, memory }
  }
  function ask(
    { worker, pending }: PoolWorker,
    message: WorkerMessage & { ticket: number },
    onAnswer: (answer: WorkerAnswer) => void,
    moved: ArrayBuffer[] = [],
  ): void {
    pending.set(message.ticket, onAnswer)
    worker.postMessage(message, moved)
  }

  return {
    ahead: workers * framesPerWorker,
    memory: {
      take: slots.take,
      giveBack: slots.giveBack,
      inflate: (fd, member, into) =>
        new Promise((resolve, reject) => {
          if (state.failure !== undefined) return reject(state.failure)
          refused.push(reject)
          const one = idlest()
          const place = placeOf(one, slots.slotOf(into)!, into)
          ask(one, { task: 'inflate', ticket: state.tickets++, fd, member, into: place }, (answer) => {
            refused.splice(refused.indexOf(reject), 1)
            resolve('inflated' in answer && answer.inflated)
          })
        }),
    },
    start(start) {
      for (const { worker } of pool) worker.postMessage({ task: 'start', ...start } satisfies WorkerMessage)
    },
    async submit(pixels, request, onResult) {
      while (state.frames >= workers * framesPerWorker && state.failure === undefined) await wait()
      if (state.failure !== undefined) throw state.failure
      const one = idlest()
      const slot = slots.slotOf(pixels)
      const { digitizer } = request
      const moved = digitizer === undefined ? [] : [digitizer.header.buffer, digitizer.samples.buffer]
      state.frames++
      if (slot) slots.keep(pixels)
      const given = slot ? placeOf(one, slot, pixels) : pixels.slice()
      if (given instanceof Uint16Array) moved.push(given.buffer)
      const onAnswer = (answer: WorkerAnswer): void => {
        state.frames--
        if (slot) slots.giveBack(pixels)
        if ('clusters' in answer) onResult(answer)
      }
      ask(one, { task: 'frame', ticket: state.tickets++, pixels: given, ...request }, onAnswer, moved)
    },
    async drain() {
      while (state.frames > 0 && state.failure === undefined) await wait()
      if (state.failure !== undefined) throw state.failure
    },
    async close() {
      await Promise.all(pool.map(({ worker }) => worker.terminate()))
    },
  }
}
