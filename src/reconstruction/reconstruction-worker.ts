/** One reconstruction thread: events and frames lie in shared slots, clusters go back as messages (see frame-pool.ts). */
import { parentPort } from 'node:worker_threads'
import { inflateInto } from '../detector/threads.ts'
import type { FrameResult, PoolStart, SlotPlace, WorkerAnswer, WorkerMessage } from './frame-pool.ts'
import { clusterRowsOf } from './cluster-rows.ts'
import { createImageChain } from './kernels/image-chain.ts'
import type { ImageCalibration } from './kernels/image-cells.ts'
import type { ImageChain } from './kernels/image-chain.ts'
import { mixSeed } from './kernels/seeded-random.ts'
import { encodePixelPages } from './pixel-pages.ts'
import { matchImage } from './truth-matching.ts'
import { analyseRequest } from './waveforms/analyse-event.ts'
import { clusterTubeGains } from './waveforms/tube-light.ts'

type FrameMessage = WorkerMessage & { task: 'frame' }

const slots = new Map<number, SharedArrayBuffer>()
const chains = new Map<number, { calibration: ImageCalibration; chain: ImageChain }>()
let run: PoolStart | undefined

parentPort!.on('message', (message: WorkerMessage) => {
  if (message.task === 'start') {
    run = message
    for (const { camera, calibration } of message.calibrations)
      chains.set(camera, { calibration, chain: createImageChain(calibration, message.parameters) })
  } else if (message.task === 'inflate') {
    const into = new Uint8Array(memoryOf(message.into), message.into.byteOffset, message.into.sizeBytes)
    answer({ ticket: message.ticket, inflated: inflateInto(message.fd, message.member, into) })
  } else {
    const result = reconstruct(message)
    answer(
      { ticket: message.ticket, ...result },
      result.pixels.chunks.map(({ bytes }) => bytes.buffer),
    )
  }
})

const answer = (words: WorkerAnswer, moved: ArrayBuffer[] = []) => parentPort!.postMessage(words, moved)

function memoryOf({ slot, memory }: SlotPlace): SharedArrayBuffer {
  if (memory !== undefined) slots.set(slot, memory)
  return slots.get(slot)!
}

function reconstruct({ pixels, camera, event, truth, digitizer }: FrameMessage): FrameResult {
  const { parameters, randomSeed, drs4Tables } = run!
  const { calibration, chain } = chains.get(camera)!
  const frame =
    pixels instanceof Uint16Array
      ? pixels
      : new Uint16Array(memoryOf(pixels), pixels.byteOffset, pixels.sizeBytes / Uint16Array.BYTES_PER_ELEMENT)
  const image = chain.reconstruct(frame, mixSeed(randomSeed, event, camera))
  const truthOf = truth === undefined ? undefined : matchImage(image.clusters, truth, calibration, parameters)
  const encoding = performance.now()
  const pages = encodePixelPages(event, camera, image.pixels)
  image.stageMs.pixels += performance.now() - encoding
  return {
    vetoed: image.vetoed,
    suppressedSumCounts: image.suppressedSumCounts,
    macroHits: image.macroHits,
    clusters: clusterRowsOf(image, { event, camera }, truthOf?.matches),
    outlines: image.clusters.map((cluster) => JSON.stringify(cluster.rings)),
    pixels: pages,
    tally: truthOf?.tally,
    waveforms: digitizer === undefined ? undefined : analyseRequest(digitizer, parameters, drs4Tables),
    tubeGains:
      digitizer === undefined
        ? undefined
        : image.clusters.map(({ cells, selected }) =>
            selected ? clusterTubeGains(cells, frame, calibration, parameters) : undefined,
          ),
    stageMs: image.stageMs,
    implementation: chain.implementation,
  }
}
