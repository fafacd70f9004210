import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { detectorFaults } from './errors.ts'
import type { EventMemory } from './event-memory.ts'
import { openGzipStream } from './inflate/gzip-stream.ts'
import type { Checkpoint, GzipStream } from './inflate/gzip-stream.ts'
import { windowBytes } from './inflate/inflate-machine.ts'
import { openMemberLane } from './inflate/member-lane.ts'

/** A forward reader of the uncompressed bytes of a file. */
export interface ByteSource {
  compressed: boolean
  /** Size of the file on disk when it was opened. */
  fileSizeBytes: number
  /** Position in the uncompressed stream. */
  position(): number
  /** Bytes of the file on disk consumed so far. */
  consumedBytes(): number
  /** The next `count` bytes in a buffer of their own; fewer only at the end. Memory grows with what is there, not with `count`. `mark`: what follows is worth a place (see `onPlace`). */
  read(count: number, mark?: boolean): Promise<Uint8Array>
  /** Passes over up to `count` bytes; the answer is how many there were. */
  skip(count: number): Promise<number>
  /** False when the gzip member that held just the bytes read last ends here with a wrong checksum. */
  sound(): Promise<boolean>
  /** Why the stream ended before its time (damaged or cut gzip, file changed while read); only known at the end. */
  damage(): Promise<SourceDamage | undefined>
  close(): Promise<void>
}

export interface SourceDamage {
  code: 'bad-gzip' | 'truncated' | 'changed-while-read' | 'trailing-data'
  reason: string
  /** Byte of the file at which damage of the compression was met. */
  compressedOffset?: number
}

export interface SourceOptions {
  /**
   * Members that are one event each are inflated by other threads, so many at a time: sooner where processors are idle, but with more work (zlib, not
   * our own). Default 0.
   */
  ahead?: number
  /** For what is read with `mark`, in place of new memory each time. */
  memory?: EventMemory
  /**
   * Called after a marked read with the position behind it, the bytes of the file used so far, and how to get the place from which a gzip file can be
   * inflated again: at most 257 bytes before that position.
   */
  onPlace?: (position: number, consumedBytes: number, place: () => Checkpoint | undefined) => void
}

/** Opens a file, plain or gzip by its first two bytes. Throws `noSuchFile` or `unreadableFile`. */
export async function openByteSource(path: string, options: SourceOptions = {}): Promise<ByteSource> {
  const handle = await openRunFile(path)
  try {
    const { size } = await handle.stat()
    return (await isGzip(handle)) ? gzipSource(handle, size, options) : plainSource(handle, size, options)
  } catch (error) {
    await handle.close()
    throw error
  }
}

export async function openRunFile(path: string): Promise<FileHandle> {
  const handle = await open(path, 'r').catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT' || cause.code === 'ENOTDIR')
      throw detectorFaults.noSuchFile(`There is no file ${path}.`, { cause })
    throw detectorFaults.unreadableFile(`${path} cannot be opened: ${cause.message}.`, { cause })
  })
  if ((await handle.stat()).isFile()) return handle
  await handle.close()
  throw detectorFaults.unreadableFile(`${path} is not a file.`)
}

/** Reads up to `count` bytes at a position; fewer only where the file ends. Throws `unreadableFile` when the disk fails. `bytes`: to be filled. */
export async function readAt(
  handle: FileHandle,
  count: number,
  position: number,
  bytes: Uint8Array = new Uint8Array(count),
): Promise<Uint8Array> {
  let filled = 0
  try {
    while (filled < count) {
      const { bytesRead } = await handle.read(bytes, filled, count - filled, position + filled)
      if (bytesRead === 0) break
      filled += bytesRead
    }
  } catch (cause) {
    throw detectorFaults.unreadableFile(
      `The file cannot be read at byte ${position + filled}: ${(cause as Error).message}.`,
      { cause },
    )
  }
  return filled === count ? bytes : bytes.slice(0, filled)
}

export async function isGzip(handle: FileHandle): Promise<boolean> {
  const head = await readAt(handle, 2, 0)
  return head[0] === 0x1f && head[1] === 0x8b
}

/** Says whether a file is not the size it had: then what was read may mix two states of it. */
export async function sizeChange(handle: FileHandle, sizeBytes: number): Promise<SourceDamage | undefined> {
  const { size } = await handle.stat()
  if (size === sizeBytes) return undefined
  const how = size < sizeBytes ? 'shrank' : 'grew'
  return { code: 'changed-while-read', reason: `the file ${how} from ${sizeBytes} to ${size} bytes while it was read` }
}

function plainSource(handle: FileHandle, size: number, { memory }: SourceOptions): ByteSource {
  let position = 0
  const read = async (count: number, mark = false): Promise<Uint8Array> => {
    const there = Math.min(count, Math.max(0, size - position))
    const place = mark ? await memory?.take(there) : undefined
    const bytes = await readAt(handle, there, position, place)
    if (place && bytes !== place) memory?.giveBack(place)
    position += bytes.length
    return bytes
  }
  return {
    compressed: false,
    fileSizeBytes: size,
    position: () => position,
    consumedBytes: () => position,
    read,
    skip: (count) => {
      const step = Math.min(count, Math.max(0, size - position))
      position += step
      return Promise.resolve(step)
    },
    sound: () => Promise.resolve(true),
    damage: () => sizeChange(handle, size),
    close: () => handle.close(),
  }
}

/** What one byte of deflate can become at most. */
const inflationAtMost = 1032
/** Inflating stops this far before the wanted place at most: the longest symbol. */
const symbolBytes = 258
const soundBytes = 1024 * 1024

function gzipSource(handle: FileHandle, size: number, options: SourceOptions): ByteSource {
  let stream: GzipStream | undefined
  let lane = options.onPlace || !options.ahead ? undefined : openMemberLane(handle, size, options.ahead, options.memory)
  let rest: Uint8Array = new Uint8Array(0)
  let position = 0
  let consumed = 0

  /** More bytes, in view of memory that is used again; undefined at the end. Stops shortly before `limit`, then `undefined` too. */
  const more = async (limit: number): Promise<Uint8Array | undefined> => {
    if (lane) {
      const member = await lane.next()
      consumed = lane.position()
      if (member) return member
      await lane.close()
      stream = openGzipStream(handle, { sizeBytes: size, from: memberPlace(consumed, position) })
      lane = undefined
    }
    stream ??= openGzipStream(handle, { sizeBytes: size })
    const chunk = await stream.next(limit)
    consumed = stream.compressedPosition()
    return chunk
  }
  const take = async (count: number, mark: boolean, keep: (piece: Uint8Array) => void): Promise<number> => {
    const target = position + count
    let marked = !mark || !options.onPlace
    while (position < target) {
      if (rest.length === 0) {
        // First up to the wanted place, where the inflater may be taken up again later, then past it.
        const chunk = await more(marked ? target + symbolBytes : target)
        if (chunk) rest = chunk
        else if (stream && !stream.ended() && !marked) {
          tellPlace(target)
          marked = true
        } else break
        continue
      }
      const piece = rest.subarray(0, target - position)
      keep(piece)
      position += piece.length
      rest = rest.subarray(piece.length)
    }
    if (!marked && position === target && rest.length === 0) tellPlace(target)
    // What is left is in memory that is used again.
    if (rest.length > 0 && !lane) rest = rest.slice()
    return count - (target - position)
  }
  const tellPlace = (target: number): void => options.onPlace?.(target, consumed, () => stream?.checkpoint())
  return {
    compressed: true,
    fileSizeBytes: size,
    position: () => position,
    consumedBytes: () => consumed,
    read: async (count, mark = false) => {
      // A member that is just this event is given as it came.
      if (lane && rest.length >= count) {
        const bytes = rest.subarray(0, count)
        rest = rest.subarray(count)
        position += count
        return bytes
      }
      const atMost = Math.min(count, (size - consumed) * inflationAtMost + rest.length + 2 * windowBytes)
      const place = mark ? await options.memory?.take(atMost) : undefined
      const bytes = place ?? new Uint8Array(atMost)
      // `set` of typed arrays goes word by word where memory is shared between threads: six times slower.
      const target = Buffer.from(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.length)
      let filled = 0
      await take(bytes.length, mark, (piece) => {
        Buffer.from(piece.buffer as ArrayBuffer, piece.byteOffset, piece.length).copy(target, filled)
        filled += piece.length
      })
      if (filled === bytes.length) return bytes
      const short = bytes.slice(0, filled)
      if (place) options.memory?.giveBack(place)
      return short
    },
    skip: (count) => take(count, false, () => undefined),
    sound: async () => {
      const member = stream?.eventMember()
      // A member that holds more than its event is looked through as far as memory allows.
      while (stream && member && stream.eventMember() === member && rest.length < soundBytes) {
        const at = stream.position()
        const chunk =
          (await stream.next(at)) ?? (stream.eventMember() ? await stream.next(at + 2 * symbolBytes) : undefined)
        if (chunk) rest = joined(rest, chunk)
      }
      if (stream) consumed = stream.compressedPosition()
      return !member || stream?.damage() === undefined
    },
    damage: async () => (await sizeChange(handle, size)) ?? stream?.damage(),
    close: async () => {
      await lane?.close()
      stream?.close()
      await handle.close()
    },
  }
}

function joined(one: Uint8Array, other: Uint8Array): Uint8Array {
  const both = new Uint8Array(one.length + other.length)
  both.set(one)
  both.set(other, one.length)
  return both
}

/** The head of a member: nothing before it is needed. */
export const memberPlace = (compressed: number, uncompressed: number): Checkpoint => ({
  uncompressed,
  compressedBit: compressed * 8,
  headerBit: -1,
  storedLeft: 0,
  lastBlock: false,
  memberHead: true,
  window: new Uint8Array(0),
})
