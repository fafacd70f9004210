/**
 * Where a gzip file can be inflated from. For a file of event members each event is a place of its own; for any other there are points: the state of
 * the inflater shortly before an event, with the 32 KiB that came before it (deflated: about 12 KB for camera pixels).
 */
import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { promisify } from 'node:util'
import { crc32, deflateRawSync, inflateRaw } from 'node:zlib'
import { windowBytes } from './inflate-machine.ts'
import type { Checkpoint } from './gzip-stream.ts'

/** A checkpoint whose window lies deflated elsewhere, at [windowAt, windowAt + windowSize). */
export interface SeekPoint extends Omit<Checkpoint, 'window'> {
  windowAt: number
  windowSize: number
  windowCrc: number
}

export type SeekTable =
  | {
      kind: 'points'
      points: SeekPoint[]
      /** CRC32 of each event, header and body, in the order of the entries. */
      checksums: number[]
      windows: Windows
    }
  | {
      kind: 'members'
      /** Byte of the file at which the member of each event begins. */
      offsets: number[]
    }

/** In memory while they are made; in the index file later, read one at a time. */
export type Windows = { bytes: Uint8Array[] } | { path: string; offset: number }

/** The windows take at most a hundredth of the compressed file, and this. */
const freeBytes = 64 * 1024
/** Closer than that a further point would save nothing that anybody notices: 3 ms. */
const apartBytes = 1024 * 1024

export interface PointCollector {
  onPlace(position: number, consumedBytes: number, place: () => Checkpoint | undefined): void
  points: SeekPoint[]
  windows: Uint8Array[]
}

export function collectPoints(): PointCollector {
  const points: SeekPoint[] = []
  const windows: Uint8Array[] = []
  let taken = 0
  let last = 0
  return {
    points,
    windows,
    onPlace: (position, consumedBytes, place) => {
      if (position - last < apartBytes || taken > freeBytes + consumedBytes / 100 - windowBytes) return
      const checkpoint = place()
      if (!checkpoint) return
      const { window, ...rest } = checkpoint
      const deflated = window.length === 0 ? window : deflateRawSync(window, { level: 6 })
      points.push({ ...rest, windowAt: taken, windowSize: deflated.length, windowCrc: crc32(window) })
      windows.push(deflated)
      taken += deflated.length
      last = position
    },
  }
}

/** The last point at or before a position of the uncompressed stream; undefined = the beginning of the file. */
export function pointBefore(points: readonly SeekPoint[], position: number): SeekPoint | undefined {
  let low = 0
  let high = points.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (points[middle]!.uncompressed <= position) low = middle + 1
    else high = middle
  }
  return points[low - 1]
}

/** Undefined when the window is not what was saved. */
export async function checkpointOf(
  table: SeekTable & { kind: 'points' },
  point: SeekPoint,
): Promise<Checkpoint | undefined> {
  const { windowAt: _, windowSize, windowCrc, ...rest } = point
  if (windowSize === 0) return { ...rest, window: new Uint8Array(0) }
  const deflated = await deflatedWindow(table, point)
  const window =
    deflated && (await promisify(inflateRaw)(deflated, { maxOutputLength: windowBytes }).catch(() => undefined))
  return window && crc32(window) === windowCrc ? { ...rest, window } : undefined
}

async function deflatedWindow(
  { windows, points }: SeekTable & { kind: 'points' },
  point: SeekPoint,
): Promise<Uint8Array | undefined> {
  if ('bytes' in windows) return windows.bytes[points.indexOf(point)]
  const file: FileHandle | undefined = await open(windows.path, 'r').catch(() => undefined)
  if (!file) return undefined
  try {
    const bytes = new Uint8Array(point.windowSize)
    const { bytesRead } = await file.read(bytes, 0, bytes.length, windows.offset + point.windowAt)
    return bytesRead === bytes.length ? bytes : undefined
  } finally {
    await file.close()
  }
}
