/** One closed file, from the DAQ disk to a compared copy in the store. */
import { stat } from 'node:fs/promises'
import { failpoint } from '../../foundation/failpoints.ts'
import { ingestFaults } from '../errors.ts'
import { hashFile } from '../hash-file.ts'
import { sameStamp, type AgentJournal, type Stamp } from './agent-journal.ts'
import { compressedCopyOf, forgetCopy, isToBeCompressed, type CompressedCopy } from './compressed-copy.ts'
import type { Platform } from './platform.ts'
import type { Reporter } from './reporter.ts'
import type { S3Client } from './s3-client.ts'
import { defaultPartBytes, partSizeOf, uploadFile, type Uploaded } from './upload-file.ts'
import { verifyStored } from './verify-stored.ts'
import type { WatchedFile } from './watched-folder.ts'

export interface SafetyOptions {
  file: WatchedFile
  /** How the file was when it counted as closed. Other bytes than those are never sent: a store that takes a name once would keep them. */
  closedStamp: Stamp
  s3: S3Client
  platform: Platform
  journal: AgentJournal
  reporter: Reporter
  bucket: string
  partSizeBytes?: number | undefined
  signal: AbortSignal
}

/** What is sent: the file itself, or a compressed copy of it. */
interface Body {
  path: string
  stamp: Stamp
}

/** How long the receiver may take to read a file back before other ways of comparing are tried. */
const patienceMs = 20_000

export async function bringToSafety(options: SafetyOptions): Promise<void> {
  const { file, s3, platform, journal, reporter, bucket, signal } = options
  const { key } = file
  const startedMs = performance.now()
  const copy = isToBeCompressed(file) ? await compressed(options) : undefined
  const body: Body = copy ?? { path: file.path, stamp: options.closedStamp }
  const { path } = body
  reporter.say({ event: 'uploading', file: file.name, run: file.run, sizeBytes: body.stamp.sizeBytes })
  const sent =
    (await alreadyStored(options, body)) ?? (await alreadySent(options, body)) ?? (await upload(options, body))
  const isTold = await reporter.hashed(platform, file, sent.sha256)
  reporter.say({ event: 'uploaded', file: file.name, run: file.run, tookMs: Math.round(performance.now() - startedMs) })
  const smallest = options.partSizeBytes ?? defaultPartBytes
  const { sizeBytes } = sent.stamp
  const verifiedBy = await verifyStored({
    s3,
    platform,
    bucket,
    key,
    path,
    sizeBytes,
    sha256: sent.sha256,
    isTold,
    partSizeBytes: partSizeOf(sizeBytes, smallest),
    signal,
    patienceMs,
  })
  if (verifiedBy === undefined) {
    await journal.forgetUpload(file.name)
    throw (
      sent.refused ?? ingestFaults.storeFailed(`The store took ${bucket}/${key} but does not have it.`, { retry: true })
    )
  }
  await failpoint('agent.before-safe')
  const stamp = copy?.originalStamp ?? sent.stamp
  await requireUnchanged(file, stamp)
  const safeMs = Date.now()
  const record = { file: file.name, stamp, bucket, key, sizeBytes, sha256: sent.sha256, verifiedBy, safeMs }
  await journal.writeSafe(copy ? { ...record, originalSha256: copy.originalSha256 } : record)
  await journal.forgetUpload(file.name)
  if (copy) await forgetCopy(journal, file.name)
  // A file that grows from here on is met by the next scan: it is then neither closed nor safe any more.
  if (sameStamp(file.stamp, stamp)) file.phase = 'safe'
  await reporter.succeeded(platform, file)
  const tookMs = Math.round(performance.now() - startedMs)
  reporter.say({
    event: 'safe',
    file: file.name,
    run: file.run,
    key,
    bucket,
    sizeBytes,
    sha256: sent.sha256,
    verifiedBy,
    tookMs,
  })
}

/** The sending may have taken long, and whoever writes the file may have only rested: what is stored is then not this file. */
async function requireUnchanged(file: WatchedFile, stamp: Stamp): Promise<void> {
  if (sameStamp(await stampOfPath(file.path), stamp)) return
  throw ingestFaults.fileChanged(`${file.path} changed while it was sent.`, {
    hint: 'It counted as closed too early: write an end of run, or give the agent a longer --idle. The store holds what was sent.',
  })
}

async function stampOfPath(path: string): Promise<Stamp> {
  const found = await stat(path)
  return { sizeBytes: found.size, mtimeMs: found.mtimeMs, inode: found.ino }
}

async function compressed({ file, closedStamp, journal, reporter, signal }: SafetyOptions): Promise<CompressedCopy> {
  const startedMs = performance.now()
  const copy = await compressedCopyOf(file, closedStamp, journal, signal)
  file.storedBytes = copy.stamp.sizeBytes
  reporter.say({
    event: 'compressed',
    file: file.name,
    run: file.run,
    sizeBytes: copy.stamp.sizeBytes,
    originalBytes: copy.originalStamp.sizeBytes,
    tookMs: Math.round(performance.now() - startedMs),
  })
  return copy
}

/** All was sent before, only nobody could tell then what the store holds. */
async function alreadySent({ file, journal, bucket }: SafetyOptions, body: Body): Promise<Uploaded | undefined> {
  const record = await journal.readUpload(file.name)
  if (record?.sentSha256 === undefined || record.bucket !== bucket || record.key !== file.key) return undefined
  return sameStamp(record.stamp, body.stamp)
    ? { stamp: record.stamp, sha256: record.sentSha256, refused: undefined }
    : undefined
}

async function upload(
  { file, s3, platform, journal, reporter, bucket, partSizeBytes, signal }: SafetyOptions,
  body: Body,
): Promise<Uploaded> {
  return await uploadFile({
    s3,
    journal,
    bucket,
    key: file.key,
    path: body.path,
    file: file.name,
    closedStamp: body.stamp,
    signal,
    partSizeBytes,
    onHashed: async (sha256) => void (await reporter.hashed(platform, file, sha256)),
  })
}

/** An object that is there (the journal was lost, or another agent was faster) is compared instead of sent again. */
async function alreadyStored({ file, platform, signal }: SafetyOptions, body: Body): Promise<Uploaded | undefined> {
  const status = await platform.objectStatus(file.key).catch(() => undefined)
  const there =
    status !== undefined && status.sha256 !== null && (status.state === 'safe' || status.state === 'damaged')
  if (!there) return undefined
  const stamp = await stampOfPath(body.path)
  return { stamp, sha256: await hashFile(body.path, signal), refused: undefined }
}
