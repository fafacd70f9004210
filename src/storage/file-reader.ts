/** Bytes on their way out of a file. */
import { read } from 'node:fs'
import { Readable } from 'node:stream'
import { storageFaults } from './errors.ts'
import type { ByteRange } from './model.ts'

const chunkBytes = 1024 * 1024

/** Reads a range chunk by chunk; throws 'storage.file_changed' if the file ends before the range does. */
export async function* readRange(fd: number, range: ByteRange): AsyncGenerator<Buffer> {
  for (let at = range.start; at <= range.end;) {
    const wanted = Math.min(chunkBytes, range.end - at + 1)
    const chunk = await readAt(fd, Buffer.allocUnsafe(wanted), at)
    if (chunk.length === 0) throw storageFaults.fileChanged('The file became shorter while it was read.')
    at += chunk.length
    yield chunk
  }
}

/** The same as a stream that closes the file when it ends or is destroyed. */
export function streamRange(fd: number, range: ByteRange, close: () => void): Readable {
  const stream = Readable.from(readRange(fd, range), { objectMode: false })
  stream.once('close', close)
  return stream
}

export async function readAt(fd: number, into: Buffer, position: number): Promise<Buffer> {
  return await new Promise<Buffer>((resolve, reject) => {
    read(fd, into, 0, into.length, position, (error, count) =>
      error === null ? resolve(into.subarray(0, count)) : reject(error),
    )
  })
}
