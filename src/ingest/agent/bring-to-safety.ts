/** One closed file, from the DAQ disk to a compared copy in the store. */
import { stat } from 'node:fs/promises'
import { failpoint } from '../../foundation/failpoints.ts'
import { ingestFaults } from '../errors.ts'
import { hashFile } from '../hash-file.ts'
import { sameStamp, type AgentJournal, type Stamp } from './agent-journal.ts'
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

/** How long the receiver may take to read a file back before other ways of comparing are tried. */
const patienceMs = 20_000

export async function bringToSafety(options: SafetyOptions): Promise<void> {
  const { file, s3, platform, journal, reporter, bucket, signal } = options
  const { key, path } = file
  const startedMs = performance.now()
  reporter.say({ event: 'uploading', file: file.name, run: file.run, sizeBytes: file.stamp.sizeBytes })
  const sent = (await alreadyStored(options)) ?? (await alreadySent(options)) ?? (await upload(options))
  file.sha256 = sent.sha256
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
  const safeMs = Date.now()
  const record = { file: file.name, stamp: sent.stamp, bucket, key, sizeBytes, sha256: sent.sha256, verifiedBy, safeMs }
  await journal.writeSafe(record)
  await journal.forgetUpload(file.name)
  // A file that grew meanwhile is met by the next scan: it is then neither closed nor safe any more.
  if (sameStamp(file.stamp, sent.stamp)) file.phase = 'safe'
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

/** All was sent before, only nobody could tell then what the store holds. */
async function alreadySent({ file, journal, bucket }: SafetyOptions): Promise<Uploaded | undefined> {
  const record = await journal.readUpload(file.name)
  if (record?.sentSha256 === undefined || record.bucket !== bucket || record.key !== file.key) return undefined
  return sameStamp(record.stamp, file.stamp)
    ? { stamp: record.stamp, sha256: record.sentSha256, refused: undefined }
    : undefined
}

async function upload({
  file,
  closedStamp,
  s3,
  platform,
  journal,
  reporter,
  bucket,
  partSizeBytes,
  signal,
}: SafetyOptions): Promise<Uploaded> {
  return await uploadFile({
    s3,
    journal,
    bucket,
    key: file.key,
    path: file.path,
    file: file.name,
    closedStamp,
    signal,
    partSizeBytes,
    onHashed: (sha256) => reporter.hashed(platform, file, sha256),
  })
}

/** An object that is there (the journal was lost, or another agent was faster) is compared instead of sent again. */
async function alreadyStored({ file, platform, signal }: SafetyOptions): Promise<Uploaded | undefined> {
  const status = await platform.objectStatus(file.key).catch(() => undefined)
  const there =
    status !== undefined && status.sha256 !== null && (status.state === 'safe' || status.state === 'damaged')
  if (!there) return undefined
  const found = await stat(file.path)
  const stamp: Stamp = { sizeBytes: found.size, mtimeMs: found.mtimeMs, inode: found.ino }
  return { stamp, sha256: await hashFile(file.path, signal), refused: undefined }
}
