import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { createGunzip } from 'node:zlib'
import { detectorFaults } from './errors.ts'

/** A forward reader of the uncompressed bytes of a file. */
export interface ByteSource {
  compressed: boolean
  /** Size of the file on disk when it was opened. */
  fileSizeBytes: number
  /** Position in the uncompressed stream. */
  position(): number
  /** Bytes of the file on disk consumed so far. */
  consumedBytes(): number
  /** The next `count` bytes in a buffer of their own; fewer only at the end. Memory grows with what is there, not with `count`. */
  read(count: number): Promise<Uint8Array>
  /** Passes over up to `count` bytes; the answer is how many there were. */
  skip(count: number): Promise<number>
  /** Why the stream ended before its time (damaged or cut gzip, file changed while read); only known at the end. */
  damage(): Promise<SourceDamage | undefined>
  close(): Promise<void>
}

export interface SourceDamage {
  code: 'bad-gzip' | 'truncated' | 'changed-while-read' | 'trailing-data'
  reason: string
}

/** Opens a file, plain or gzip by its first two bytes. Throws `noSuchFile` or `unreadableFile`. */
export async function openByteSource(path: string): Promise<ByteSource> {
  const handle = await openRunFile(path)
  try {
    const { size } = await handle.stat()
    return (await isGzip(handle)) ? gzipSource(handle, size) : plainSource(handle, size)
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

/** Reads up to `count` bytes at a position; fewer only where the file ends. Throws `unreadableFile` when the disk fails. */
export async function readAt(handle: FileHandle, count: number, position: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(count)
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

function plainSource(handle: FileHandle, size: number): ByteSource {
  let position = 0
  const read = async (count: number): Promise<Uint8Array> => {
    const bytes = await readAt(handle, Math.min(count, Math.max(0, size - position)), position)
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
    damage: () => sizeChange(handle, size),
    close: () => handle.close(),
  }
}

/** How much compressed data is fed at a time: at most about 1000 times as much comes out, which bounds the memory of a bomb. */
const feedBytes = 64 * 1024

interface Inflater {
  feed(bytes: Uint8Array): Promise<void>
  end(): Promise<void>
  state: { ended: boolean; failure: NodeJS.ErrnoException | undefined }
  destroy(): void
}

/** Inflates what it is fed; `give` gets the output before the promise of `feed` resolves. */
function startInflater(give: (chunk: Uint8Array) => void): Inflater {
  const gunzip = createGunzip({ chunkSize: 64 * 1024 })
  const state: Inflater['state'] = { ended: false, failure: undefined }
  let wake = (): void => undefined
  // A readable stream that fails throws away what it still holds. Everything inflated before the damage is wanted, so it is taken where it is born.
  gunzip.push = (chunk: Uint8Array | null): boolean => {
    if (chunk !== null) give(chunk)
    else {
      state.ended = true
      wake()
    }
    return true
  }
  gunzip.on('error', (error) => {
    state.failure = error
    state.ended = true
    wake()
  })
  const settle = (act: (done: () => void) => void): Promise<void> =>
    new Promise((resolve) => {
      wake = resolve
      if (state.ended) resolve()
      else act(resolve)
    })
  return {
    feed: (bytes) => settle((done) => gunzip.write(bytes, done)),
    end: () => settle(() => gunzip.end()),
    state,
    destroy: () => gunzip.destroy(),
  }
}

function gzipSource(handle: FileHandle, size: number): ByteSource {
  let queue: Uint8Array[] = []
  let queuedBytes = 0
  let inflatedBytes = 0
  let consumed = 0
  let position = 0
  const give = (chunk: Uint8Array): void => {
    queue.push(chunk)
    queuedBytes += chunk.length
    inflatedBytes += chunk.length
  }
  let inflater = startInflater(give)
  const feed = async (): Promise<void> => {
    const chunk = await readAt(handle, feedBytes, consumed)
    await (chunk.length === 0 ? inflater.end() : inflater.feed(chunk))
    if (inflater.state.failure && chunk.length > 0) await again(chunk)
    consumed += chunk.length
  }
  // The step that meets damage loses what it inflated before it. So the way to the damaged piece is made again, and that piece fed byte by byte.
  const again = async (damaged: Uint8Array): Promise<void> => {
    inflater.destroy()
    let known = inflatedBytes
    inflater = startInflater((chunk) => {
      const fresh = chunk.subarray(Math.min(known, chunk.length))
      known -= chunk.length - fresh.length
      if (fresh.length > 0) give(fresh)
    })
    for (let at = 0; at < consumed; at += feedBytes)
      await inflater.feed(await readAt(handle, Math.min(feedBytes, consumed - at), at))
    for (let at = 0; at < damaged.length && !inflater.state.ended; at++)
      await inflater.feed(damaged.subarray(at, at + 1))
  }
  const take = async (count: number, keep: boolean): Promise<{ pieces: Uint8Array[]; taken: number }> => {
    const pieces: Uint8Array[] = []
    let taken = 0
    while (taken < count) {
      if (queuedBytes === 0) {
        if (inflater.state.ended) break
        await feed()
        continue
      }
      const fresh = queue
      queue = []
      for (const chunk of fresh) {
        const wanted = count - taken
        if (wanted === 0) queue.push(chunk)
        else {
          const piece = chunk.length <= wanted ? chunk : chunk.subarray(0, wanted)
          if (piece.length < chunk.length) queue.push(chunk.subarray(wanted))
          if (keep) pieces.push(piece)
          taken += piece.length
          queuedBytes -= piece.length
        }
      }
    }
    position += taken
    return { pieces, taken }
  }
  return {
    compressed: true,
    fileSizeBytes: size,
    position: () => position,
    consumedBytes: () => consumed,
    read: async (count) => {
      const { pieces, taken } = await take(count, true)
      const bytes = new Uint8Array(taken)
      let offset = 0
      for (const piece of pieces) {
        bytes.set(piece, offset)
        offset += piece.length
      }
      return bytes
    },
    skip: async (count) => (await take(count, false)).taken,
    damage: async () => {
      const change = await sizeChange(handle, size)
      if (change) return change
      const { failure } = inflater.state
      if (!failure) return undefined
      if (failure.code === 'Z_BUF_ERROR')
        return { code: 'truncated', reason: 'the gzip file ends before its last member does' }
      if (failure.message === 'incorrect header check')
        return { code: 'trailing-data', reason: 'something that is not gzip follows the compressed data' }
      return { code: 'bad-gzip', reason: `the compressed data are damaged (${failure.message})` }
    },
    close: async () => {
      inflater.destroy()
      await handle.close()
    },
  }
}
