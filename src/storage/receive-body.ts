/** Bytes on their way into a file: gathered to a MiB, written and hashed at the same time. Nothing grows with the body. */
import { write } from 'node:fs'
import { isDiskBroken, isDiskFull } from './disk-trust.ts'
import { storageFaults } from './errors.ts'
import { slabBytes, type BodyHash, type HashThreads, type Slab } from './hash-threads.ts'
import type { ChecksumName, Digests } from './model.ts'

/** Slabs of one body that are being written or hashed. */
const inFlight = 4

export interface ReceiveOptions {
  source: AsyncIterable<Uint8Array>
  fd: number
  /** Where in the file the first byte goes. */
  offset?: number
  checksums?: readonly ChecksumName[]
  /** Refused with 'storage.entity_too_large' as soon as more has come. */
  maxBytes?: number
  threads: HashThreads
}

/** Writes everything `source` gives to `fd` and says what it was. Errors of the disk come as errno errors. */
export async function receiveBody(options: ReceiveOptions): Promise<Digests> {
  const { source, fd, offset = 0, checksums = [], maxBytes = Infinity, threads } = options
  const pending: Promise<void>[] = []
  let hash: BodyHash | undefined
  let slab: Slab | undefined
  let used = 0
  let sizeBytes = 0

  const flush = async () => {
    if (slab === undefined || used === 0) return
    const full = slab
    const length = used
    slab = undefined
    used = 0
    hash ??= length === slabBytes ? threads.beginThreaded(checksums) : threads.beginInline(checksums)
    const work = Promise.all([
      writeAll(fd, full.bytes.subarray(0, length), offset + sizeBytes),
      hash.update(full, length),
    ])
    sizeBytes += length
    const done = work.then(() => threads.giveSlab(full))
    done.catch(() => {})
    pending.push(done)
    if (pending.length >= inFlight) await pending.shift()
  }

  try {
    for await (const chunk of source) {
      if (sizeBytes + used + chunk.length > maxBytes) {
        throw storageFaults.entityTooLarge(`More than the allowed ${maxBytes} bytes came.`)
      }
      for (let at = 0; at < chunk.length;) {
        slab ??= threads.takeSlab()
        const take = Math.min(chunk.length - at, slabBytes - used)
        slab.bytes.set(at === 0 && take === chunk.length ? chunk : chunk.subarray(at, at + take), used)
        used += take
        at += take
        if (used === slabBytes) await flush()
      }
    }
    await flush()
    await Promise.all(pending)
    hash ??= threads.beginInline(checksums)
    return await hash.digests(sizeBytes)
  } catch (error) {
    // The file must not be written any more when the caller removes it or gives it to somebody else.
    await Promise.allSettled(pending)
    hash?.drop()
    throw error
  } finally {
    if (slab !== undefined) threads.giveSlab(slab)
  }
}

async function writeAll(fd: number, bytes: Buffer, position: number): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    at += await new Promise<number>((resolve, reject) => {
      write(fd, bytes, at, bytes.length - at, position + at, (error, written) =>
        error === null ? resolve(written) : reject(error),
      )
    })
  }
}

/** What an errno of the disk means for the caller; anything else is returned as it is. */
export function diskFault(error: unknown): unknown {
  if (isDiskFull(error))
    return storageFaults.insufficientStorage('There is no room left on the data disk.', { cause: error })
  if (isDiskBroken(error)) return storageFaults.deviceFailed('The data disk refused to write.', { cause: error })
  return error
}
