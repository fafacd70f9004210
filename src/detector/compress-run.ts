/** A run file as gzip, one member for each event: any gunzip gives the file back byte for byte, our readers hop in it. */
import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { openByteSource, openRunFile, readAt } from './byte-source.ts'
import { detectorFaults } from './errors.ts'
import { compressEvent } from './inflate/compress-event.ts'
import { decodeEventHeader, defaultMaxEventBytes, eventHeaderBytes, implausible } from './midas-event.ts'

export interface CompressedRun {
  /** Of what was written, and of what was read. */
  sizeBytes: number
  originalBytes: number
  sha256: string
  originalSha256: string
}

export interface CompressOptions {
  /** Of deflate; default 1. */
  level?: number
  signal?: AbortSignal
  /** After each piece, bytes of the run file done. */
  onProgress?: (doneBytes: number) => void | Promise<void>
}

/** What is no event (damage, something behind the end) is compressed in pieces of this size. */
const pieceBytes = 4 * 1024 * 1024
/** Pieces compressed at the same time; memory is that many events. */
const atOnce = 2

/**
 * Compresses a closed run file into a new one; the threads of the process do the work. The same file and level give the same bytes. Throws
 * `alreadyThere`, `noSuchFile`, `unreadableFile`, what the disk says when it is full, and the reason of the signal.
 */
export async function compressRun(path: string, target: string, options: CompressOptions = {}): Promise<CompressedRun> {
  const source = await openRunFile(path)
  const out = await open(target, 'wx', 0o600).catch(async (cause: NodeJS.ErrnoException) => {
    await source.close()
    if (cause.code === 'EEXIST') throw detectorFaults.alreadyThere(`${target} exists already.`, { cause })
    throw cause
  })
  const original = createHash('sha256')
  const compressed = createHash('sha256')
  let sizeBytes = 0
  let originalBytes = 0
  const onTheWay: { bytes: Uint8Array; members: Promise<Uint8Array[]> }[] = []
  const settle = async (): Promise<void> => {
    const { bytes, members } = onTheWay.shift()!
    for (const piece of await members) {
      await out.writeFile(piece)
      compressed.update(piece)
      sizeBytes += piece.length
    }
    originalBytes += bytes.length
    await options.onProgress?.(originalBytes)
  }
  try {
    for await (const { bytes, isEvent } of piecesOf(source)) {
      options.signal?.throwIfAborted()
      const level = options.level ?? 1
      const members = isEvent
        ? compressEvent(bytes, level)
        : promisify(gzip)(bytes, { level }).then((member) => [member])
      // Awaited when its turn comes.
      members.catch(() => undefined)
      original.update(bytes)
      onTheWay.push({ bytes, members })
      if (onTheWay.length >= atOnce) await settle()
    }
    while (onTheWay.length > 0) await settle()
    await out.sync()
  } finally {
    await Promise.allSettled(onTheWay.map(({ members }) => members))
    await source.close()
    await out.close()
  }
  return { sizeBytes, originalBytes, sha256: compressed.digest('hex'), originalSha256: original.digest('hex') }
}

/** SHA-256 of what a compressed file inflates to, and whether it did so to its end without damage. */
export async function hashInflated(path: string, signal?: AbortSignal): Promise<{ sha256: string; sound: boolean }> {
  const source = await openByteSource(path)
  const hash = createHash('sha256')
  try {
    for (;;) {
      signal?.throwIfAborted()
      const bytes = await source.read(pieceBytes)
      hash.update(bytes)
      if (bytes.length < pieceBytes) break
    }
    return { sha256: hash.digest('hex'), sound: (await source.damage()) === undefined }
  } finally {
    await source.close()
  }
}

/** All bytes of the file in order: whole events as far as they can be followed, then pieces. */
async function* piecesOf(source: FileHandle): AsyncGenerator<{ bytes: Uint8Array; isEvent: boolean }> {
  const { size } = await source.stat()
  let at = 0
  let following = true
  while (at < size) {
    const head: Uint8Array = following
      ? await readAt(source, Math.min(eventHeaderBytes + 8, size - at), at)
      : new Uint8Array(0)
    const count: number | undefined = following ? eventAt(head, size - at) : undefined
    following &&= count !== undefined
    const bytes: Uint8Array = await readAt(source, count ?? Math.min(pieceBytes, size - at), at)
    if (bytes.length === 0) return
    yield { bytes, isEvent: count !== undefined && bytes.length === count }
    at += bytes.length
  }
}

/** Size of the whole event that begins with `head`; undefined when none does. */
function eventAt(head: Uint8Array, left: number): number | undefined {
  if (head.length < eventHeaderBytes) return undefined
  const header = decodeEventHeader(head)
  const bodyHead = head.subarray(eventHeaderBytes, eventHeaderBytes + Math.min(8, header.dataSizeBytes))
  const size = eventHeaderBytes + header.dataSizeBytes
  if (size > left || header.dataSizeBytes > defaultMaxEventBytes) return undefined
  return implausible(header, bodyHead) === undefined ? size : undefined
}
