/**
 * Pictures of stored runs for the event display: raw pixels straight from the run file, or counts above pedestal.
 *
 * The table of contents of a file is made once and remembered (milliseconds for a plain file); picture k of a plain
 * run is then one read.
 */
import { stat } from 'node:fs/promises'
import { openMidasIndex, readPictureAt } from '../detector/index.ts'
import type { Frame, MidasIndex } from '../detector/index.ts'
import { reconstructionFaults } from './errors.ts'
import type { PedestalMap } from './kernels/pedestal-map.ts'
import { readPedestalMap } from './pedestal-file.ts'

const rememberedIndexes = 32
/** A mean map of a 5-megapixel camera takes 21 MB. */
const rememberedMaps = 2

export interface FrameReader {
  /** Throws `noSuchEvent`, `noSuchCamera`, `unreadableRun`. */
  raw(path: string, event: number, camera: number, signal?: AbortSignal): Promise<Frame>
  /** Counts above the pedestal mean, rounded and limited to int16. Throws `sizeMismatch` as well. */
  subtracted(
    path: string,
    pedestalPath: string,
    event: number,
    camera: number,
    signal?: AbortSignal,
  ): Promise<{ width: number; height: number; counts: Int16Array }>
}

export function createFrameReader(): FrameReader {
  const indexes = new Map<string, Promise<MidasIndex>>()
  const maps = new Map<string, Promise<PedestalMap | undefined>>()

  async function indexOf(path: string): Promise<MidasIndex> {
    const facts = await stat(path).catch((cause: unknown) => {
      throw reconstructionFaults.noFile(`The file of this run is not in the store.`, { cause })
    })
    return await remembered(indexes, `${path}\0${facts.size}\0${facts.mtimeMs}`, rememberedIndexes, () =>
      openMidasIndex(path),
    )
  }

  async function raw(path: string, event: number, camera: number, signal?: AbortSignal): Promise<Frame> {
    const index = await indexOf(path)
    if (event >= index.pictures.length) {
      const count = index.pictures.length
      throw reconstructionFaults.noSuchEvent(`The run has no event ${event}.`, {
        hint: count === 0 ? 'Its file holds no pictures.' : `Its events are 0 to ${count - 1}.`,
      })
    }
    const { frames } = await readPictureAt(index, event, signal === undefined ? {} : { signal })
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
    async subtracted(path, pedestalPath, event, camera, signal) {
      const frame = await raw(path, event, camera, signal)
      const map = await remembered(maps, `${pedestalPath}\0${camera}`, rememberedMaps, () =>
        readPedestalMap(pedestalPath, camera, 'mean'),
      )
      if (map === undefined || map.width !== frame.width || map.height !== frame.height) {
        throw reconstructionFaults.sizeMismatch(`The pedestal map does not fit the image of camera ${camera}.`)
      }
      const counts = new Int16Array(frame.pixels.length)
      for (let index = 0; index < counts.length; index++) {
        const value = Math.round(frame.pixels[index]! - map.mean[index]!)
        counts[index] = value > 32767 ? 32767 : value < -32768 ? -32768 : value
      }
      return { width: frame.width, height: frame.height, counts }
    },
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
