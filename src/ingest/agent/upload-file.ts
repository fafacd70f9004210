/**
 * Brings one closed file into the store: parts with signed SHA-256, a durable journal, resume after a kill of either
 * side. The file is read once more from its beginning on every try, and parts whose bytes are journalled are not sent
 * again: so a resumed upload proves that the file is still the same.
 */
import { createHash } from 'node:crypto'
import { open, type FileHandle } from 'node:fs/promises'
import { Fault } from '../../foundation/errors.ts'
import { failpoint } from '../../foundation/failpoints.ts'
import { ingestFaults } from '../errors.ts'
import { sameStamp, type AgentJournal, type Stamp, type UploadRecord } from './agent-journal.ts'
import type { S3Client } from './s3-client.ts'

export interface UploadOptions {
  s3: S3Client
  journal: AgentJournal
  bucket: string
  key: string
  path: string
  file: string
  /** What the file must still be when it is opened. */
  closedStamp: Stamp
  signal: AbortSignal
  /** Called when all bytes were read and hashed, before the store makes the object visible. */
  onHashed(sha256: string): Promise<void>
  /** Smallest part; default 16 MiB. S3 wants at least 5 MiB and at most 10 000 parts. */
  partSizeBytes?: number | undefined
}

export interface Uploaded {
  stamp: Stamp
  sha256: string
  /** What the store said when it would not make the object, perhaps because there is one: its bytes tell. */
  refused: Fault | undefined
}

export const defaultPartBytes = 16 * 1024 * 1024
const mostParts = 9_000
/** Parts on the way at the same time; memory is one part more than that. */
const partsAtOnce = 2

export async function uploadFile(options: UploadOptions): Promise<Uploaded> {
  await failpoint('agent.before-open')
  const handle = await open(options.path, 'r').catch((cause: NodeJS.ErrnoException) => {
    throw unreadable(options, cause)
  })
  try {
    const stamp = options.closedStamp
    requireStamp(options, stamp, await stampOf(handle))
    const smallest = options.partSizeBytes ?? defaultPartBytes
    return stamp.sizeBytes <= smallest
      ? await putWhole(options, handle, stamp)
      : await putParts(options, handle, stamp, partSizeOf(stamp.sizeBytes, smallest))
  } finally {
    await handle.close()
  }
}

/** Whole mebibytes, so that any file fits in the number of parts S3 allows. */
export function partSizeOf(sizeBytes: number, smallest: number): number {
  const mebibyte = 1024 * 1024
  return Math.max(smallest, Math.ceil(sizeBytes / mostParts / mebibyte) * mebibyte)
}

async function putWhole(options: UploadOptions, handle: FileHandle, stamp: Stamp): Promise<Uploaded> {
  const { s3, bucket, key, signal } = options
  const body = await readPart(options, handle, 0, stamp.sizeBytes)
  const sha256 = createHash('sha256').update(body).digest('hex')
  await requireSame(options, handle, stamp)
  await options.onHashed(sha256)
  await failpoint('agent.before-put')
  const refused = await tolerateTaken(() => s3.putObject(bucket, key, body, signal))
  return { stamp, sha256, refused }
}

async function putParts(
  options: UploadOptions,
  handle: FileHandle,
  stamp: Stamp,
  partSizeBytes: number,
): Promise<Uploaded> {
  const { s3, journal, bucket, key, signal } = options
  const record = await resumeOrBegin(options, stamp, partSizeBytes)
  const known = new Map(record.parts.map((part) => [part.number, part]))
  const whole = createHash('sha256')
  const onTheWay = new Set<Promise<void>>()
  let failure: unknown
  let journalled = Promise.resolve()
  // One write at a time, each with all parts so far.
  const writeDown = (): Promise<void> => (journalled = journalled.then(() => journal.writeUpload(record)))
  try {
    for (let number = 1; (number - 1) * partSizeBytes < stamp.sizeBytes; number++) {
      signal.throwIfAborted()
      const offset = (number - 1) * partSizeBytes
      const body = await readPart(options, handle, offset, Math.min(partSizeBytes, stamp.sizeBytes - offset))
      // The part's hash is made by another thread while this one goes on with that of the whole file.
      const hashing = crypto.subtle.digest('SHA-256', body)
      whole.update(body)
      const sha256 = Buffer.from(await hashing).toString('hex')
      const before = known.get(number)
      if (before !== undefined) {
        if (before.sha256 !== sha256) throw changed(options)
        continue
      }
      while (onTheWay.size >= partsAtOnce) await Promise.race(onTheWay)
      if (failure !== undefined) throw failure
      const sending: Promise<void> = s3
        .uploadPart(bucket, key, { uploadId: record.uploadId, number }, body, signal, sha256)
        .then(async ({ etag }) => {
          await failpoint('agent.after-part')
          record.parts.push({ number, etag, sha256 })
          await writeDown()
        })
        .catch((error: unknown) => {
          failure ??= error
        })
        .finally(() => onTheWay.delete(sending))
      onTheWay.add(sending)
    }
  } finally {
    await Promise.all(onTheWay)
  }
  if (failure !== undefined) throw await explained(options, failure)
  await requireSame(options, handle, stamp)
  const sha256 = whole.digest('hex')
  try {
    await options.onHashed(sha256)
    await failpoint('agent.before-complete')
    const parts = record.parts.toSorted((one, other) => one.number - other.number)
    const refused = await tolerateTaken(() => s3.completeMultipartUpload(bucket, key, record.uploadId, parts, signal))
    await failpoint('agent.after-complete')
    await journal.writeUpload({ ...record, sentSha256: sha256 })
    return { stamp, sha256, refused }
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== 'ingest.upload_gone') throw error
    // The answer to a completed upload may have been lost: whoever calls finds out whether the object is there.
    await journal.writeUpload({ ...record, sentSha256: sha256 })
    return { stamp, sha256, refused: error }
  }
}

/** An upload that the store has forgotten is begun anew at the next try. */
async function explained(options: UploadOptions, failure: unknown): Promise<unknown> {
  if (failure instanceof Fault && failure.code === 'ingest.upload_gone')
    await options.journal.forgetUpload(options.file)
  return failure
}

async function resumeOrBegin(options: UploadOptions, stamp: Stamp, partSizeBytes: number): Promise<UploadRecord> {
  const { s3, journal, bucket, key, file, signal } = options
  const record = await journal.readUpload(file)
  if (record !== undefined) {
    const fits = sameStamp(record.stamp, stamp) && record.bucket === bucket && record.key === key
    if (fits && record.partSizeBytes === partSizeBytes) return record
    await dropUpload(options, record)
  }
  await endForgotten(options)
  const uploadId = await s3.createMultipartUpload(bucket, key, signal)
  await failpoint('agent.before-upload-record')
  const fresh: UploadRecord = { file, stamp, bucket, key, uploadId, partSizeBytes, parts: [] }
  await journal.writeUpload(fresh)
  await failpoint('agent.after-create')
  return fresh
}

/** An upload that was begun by a life which died before it wrote that down would stay open for ever. */
async function endForgotten({ s3, bucket, key, signal }: UploadOptions): Promise<void> {
  const forgotten = await s3.listUploads(bucket, key, signal).catch(() => [])
  for (const uploadId of forgotten) await s3.abortMultipartUpload(bucket, key, uploadId, signal).catch(() => undefined)
}

/** Gives an upload up: the store forgets its parts (as far as it can be reached), the journal forgets it. */
export async function dropUpload(
  { s3, journal, signal }: Pick<UploadOptions, 's3' | 'journal' | 'signal'>,
  record: UploadRecord,
): Promise<void> {
  await s3.abortMultipartUpload(record.bucket, record.key, record.uploadId, signal).catch(() => undefined)
  await journal.forgetUpload(record.file)
}

/** An object that is there already is no failure yet: whoever calls compares its bytes. */
async function tolerateTaken(send: () => Promise<unknown>): Promise<Fault | undefined> {
  try {
    await send()
    return undefined
  } catch (error) {
    // A key that may only create is told 403 or 409 when the object exists.
    if (!(error instanceof Fault)) throw error
    if (error.code === 'ingest.already_different' || error.extra?.s3Code === 'AccessDenied') return error
    throw error
  }
}

async function readPart(
  options: UploadOptions,
  handle: FileHandle,
  offset: number,
  sizeBytes: number,
): Promise<Buffer<ArrayBuffer>> {
  const body = Buffer.from(new ArrayBuffer(sizeBytes))
  let filled = 0
  while (filled < sizeBytes) {
    const { bytesRead } = await handle.read(body, filled, sizeBytes - filled, offset + filled).catch((cause: Error) => {
      throw unreadable(options, cause)
    })
    if (bytesRead === 0) {
      throw ingestFaults.fileShrank(`${options.path} became shorter while it was read, at byte ${offset + filled}.`, {
        hint: 'It is sent again when it has stopped changing. Look for what cuts run files on the DAQ machine.',
      })
    }
    filled += bytesRead
  }
  return body
}

async function requireSame(options: UploadOptions, handle: FileHandle, stamp: Stamp): Promise<void> {
  await failpoint('agent.before-recheck')
  requireStamp(options, stamp, await stampOf(handle))
}

function requireStamp(options: UploadOptions, stamp: Stamp, now: Stamp): void {
  if (sameStamp(now, stamp)) return
  if (now.sizeBytes < stamp.sizeBytes) {
    throw ingestFaults.fileShrank(
      `${options.path} shrank from ${stamp.sizeBytes} to ${now.sizeBytes} bytes while it was read.`,
      { hint: 'It is sent again when it has stopped changing. Look for what cuts run files on the DAQ machine.' },
    )
  }
  throw changed(options)
}

const changed = (options: UploadOptions): Fault =>
  ingestFaults.fileChanged(`${options.path} changed while it was read.`, {
    hint: 'It is sent again when it has stopped changing. Something writes into a closed run.',
  })

const unreadable = (options: UploadOptions, cause: Error): Fault =>
  ingestFaults.fileUnreadable(`${options.path} cannot be read (${cause.message}).`, {
    cause,
    hint: 'Check the disk and the rights of the DAQ folder. It is tried again.',
  })

export async function stampOf(handle: FileHandle): Promise<Stamp> {
  const { size, mtimeMs, ino } = await handle.stat()
  return { sizeBytes: size, mtimeMs, inode: ino }
}
