/**
 * Pictures of stored runs for the event display: raw pixels straight from the run file, and the maps they are seen
 * against.
 *
 * Where the pictures of a file lie is found out once and remembered (milliseconds for a plain file; a compressed one is
 * inflated once, by a thread): picture k is then one read, or 40 ms of inflating.
 */
import { stat } from 'node:fs/promises'
import { readPictureAt } from '../detector/index.ts'
import type { DigitizerEvent, Frame, Picture, RunIndexes } from '../detector/index.ts'
import { Fault } from '../foundation/errors.ts'
import { reconstructionFaults } from './errors.ts'
import { hotPixels } from './hot-pixels.ts'
import type { PedestalMap } from './kernels/pedestal-map.ts'
import { readPedestalMap } from './pedestal-file.ts'

/** A mean map of a 5-megapixel camera takes 21 MB. */
const rememberedMaps = 2
const rememberedHots = 32

export interface FrameReader {
  /** Throws `noSuchEvent`, `noSuchCamera`, `unreadableRun`. */
  raw(path: string, event: number, camera: number, signal?: AbortSignal): Promise<Frame>
  /** What the digitizers recorded with a picture; undefined without their banks. Throws `noSuchEvent`, `unreadableRun`. */
  digitizer(path: string, event: number, signal?: AbortSignal): Promise<DigitizerEvent | undefined>
  /** Mean map of a camera (its sigma left empty), remembered; undefined when the file has no such camera. */
  pedestal(pedestalPath: string, camera: number): Promise<PedestalMap | undefined>
  /** Hot, noisy and dead pixels of a camera, remembered (see hot-pixels.ts). */
  hot(
    pedestalPath: string,
    camera: number,
  ): Promise<{ width: number; height: number; indices: Uint32Array } | undefined>
}

/** Without `indexes` a compressed run is inflated anew for each picture, in this thread: for short visits only. */
export function createFrameReader(indexes?: Pick<RunIndexes, 'readPicture'>): FrameReader {
  const maps = new Map<string, Promise<PedestalMap | undefined>>()
  const hots = new Map<string, ReturnType<FrameReader['hot']>>()

  async function pictureOf(path: string, event: number, signal: AbortSignal | undefined): Promise<Picture> {
    await stat(path).catch((cause: unknown) => {
      throw reconstructionFaults.noFile(`The file of this run is not in the store.`, { cause })
    })
    const options = signal === undefined ? {} : { signal }
    try {
      return await (indexes ? indexes.readPicture(path, event, options) : readPictureAt(path, event, options))
    } catch (error) {
      if (!(error instanceof Fault) || error.code !== 'detector.no_such_event') throw error
      const count = Number(error.extra?.pictures ?? 0)
      throw reconstructionFaults.noSuchEvent(`The run has no event ${event}.`, {
        hint: count === 0 ? 'Its file holds no pictures.' : `Its events are 0 to ${count - 1}.`,
      })
    }
  }

  async function raw(path: string, event: number, camera: number, signal?: AbortSignal): Promise<Frame> {
    const { frames } = await pictureOf(path, event, signal)
    const frame = frames.find((one) => one.camera === camera)
    if (frame === undefined) {
      throw reconstructionFaults.noSuchCamera(`Event ${event} has no camera ${camera}.`, {
        hint: `Its cameras are ${frames.map((one) => one.camera).join(', ')}.`,
      })
    }
    return frame
  }

  return {
    raw,
    async digitizer(path, event, signal) {
      const { digitizer, digitizerDamage } = await pictureOf(path, event, signal)
      if (digitizerDamage === undefined) return digitizer
      throw reconstructionFaults.unreadableRun(`The waveforms of event ${event} cannot be read: ${digitizerDamage}`)
    },
    pedestal: (pedestalPath, camera) =>
      remembered(maps, `${pedestalPath}\0${camera}`, rememberedMaps, () =>
        readPedestalMap(pedestalPath, camera, 'mean'),
      ),
    hot: (pedestalPath, camera) =>
      remembered(hots, `${pedestalPath}\0${camera}`, rememberedHots, async () => {
        const map = await readPedestalMap(pedestalPath, camera)
        return map && { width: map.width, height: map.height, indices: hotPixels(map) }
      }),
  }
}

/** Least recently used memory of promises; one that fails is forgotten. */
function remembered<Value>(
  memory: Map<string, Promise<Value>>,
  key: string,
  limit: number,
  make: () => Promise<Value>,
): Promise<Value> {
  const value = memory.get(key) ?? make()
  memory.delete(key)
  memory.set(key, value)
  value.catch(() => memory.delete(key))
  if (memory.size > limit) memory.delete(memory.keys().next().value!)
  return value
}
