/** Multipart uploads: begun, filled in any order by any number of connections, completed or aborted. */
import {
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { failpoint } from '../foundation/failpoints.ts'
import { readJsonFile, writeFileDurable } from '../foundation/files.ts'
import { randomToken } from '../foundation/ids.ts'
import { storageFaults } from './errors.ts'
import { checkKey } from './key-place.ts'
import type { ChecksumName, Digests, ObjectDescription, StoredChecksum, Upload, UploadedPart } from './model.ts'
import { requireBucket, type StorageParts } from './parts.ts'
import { receiveBody } from './receive-body.ts'
import {
  agreeOnPartSize,
  appendPart,
  claimRegion,
  hasPartSize,
  isBeingCompleted,
  isCompleting,
  isUploadId,
  noSuchUpload,
  readParts,
  uploadSchema,
} from './upload-folder.ts'

export const maxParts = 10_000
/** Of every part but the last. */
export const minPartBytes = 5 * 1024 * 1024
export const maxPartBytes = 5 * 1024 ** 3
/** Beginning an upload takes less than this. */
const unfinishedMs = 60_000

export interface UploadAddress {
  bucket: string
  key: string
  uploadId: string
}

export interface NewUpload extends ObjectDescription {
  bucket: string
  key: string
  ownerId: string
  checksum?: { algorithm: ChecksumName; type: 'FULL_OBJECT' | 'COMPOSITE' }
}

export interface PutPart extends UploadAddress {
  number: number
  body: AsyncIterable<Uint8Array>
  sizeBytes?: number
  checksums?: readonly ChecksumName[]
  verify?: (digests: Digests) => StoredChecksum | undefined
}

export async function createUpload(parts: StorageParts, wanted: NewUpload): Promise<Upload> {
  const { bucket, key, ownerId, checksum, contentType, headers, userMetadata } = wanted
  requireBucket(parts, bucket)
  checkKey(key)
  await parts.volume.checkRoom(0)
  const upload: Upload = {
    bucket,
    key,
    uploadId: randomToken(24),
    startedMs: parts.clock.nowMs(),
    ownerId,
    description: {
      ...(contentType === undefined ? {} : { contentType }),
      ...(headers === undefined ? {} : { headers }),
      ...(userMetadata === undefined ? {} : { userMetadata }),
    },
    ...(checksum === undefined ? {} : { checksum }),
  }
  const folder = join(parts.volume.uploadRoot(bucket), upload.uploadId)
  try {
    mkdirSync(folder, { mode: 0o700 })
    writeFileSync(join(folder, 'parts.jsonl'), '', { mode: 0o600 })
    writeFileSync(join(folder, 'data'), '', { mode: 0o600 })
    await writeFileDurable(join(folder, 'upload.json'), JSON.stringify(upload), { mode: 0o600 })
    await parts.volume.syncDirectory(parts.volume.uploadRoot(bucket))
  } catch (error) {
    rmSync(folder, { recursive: true, force: true })
    throw error
  }
  return upload
}

/** The upload, if it is of that bucket and key. Throws 'storage.no_such_upload'. */
export async function requireUpload(
  parts: StorageParts,
  { bucket, key, uploadId }: UploadAddress,
): Promise<{ upload: Upload; folder: string }> {
  requireBucket(parts, bucket)
  if (!isUploadId(uploadId)) throw noSuchUpload()
  const folder = join(parts.volume.uploadRoot(bucket), uploadId)
  const upload = await readJsonFile(join(folder, 'upload.json'), uploadSchema)
  if (upload === undefined || upload.key !== key) throw noSuchUpload()
  return { upload: upload as Upload, folder }
}

/** Stores one part, durably. A number sent again replaces the earlier one. */
export async function putPart(parts: StorageParts, put: PutPart): Promise<UploadedPart> {
  const { number, sizeBytes } = put
  if (!Number.isInteger(number) || number < 1 || number > maxParts) {
    throw storageFaults.invalidArgument(`A part number is between 1 and ${maxParts}.`)
  }
  if (sizeBytes !== undefined && sizeBytes > maxPartBytes)
    throw storageFaults.entityTooLarge('A part has at most 5 GiB.')
  const { folder } = await requireUpload(parts, put)
  await parts.volume.checkRoom(sizeBytes ?? 0)
  const place = choosePlace(folder, number, sizeBytes)
  let isKept = false
  try {
    const fd = openPlace(folder, place)
    let digests: Digests
    let checksum: StoredChecksum | undefined
    try {
      digests = await receiveBody({
        source: put.body,
        fd,
        offset: typeof place === 'number' ? place : 0,
        maxBytes: sizeBytes ?? maxPartBytes,
        threads: parts.threads,
        ...(put.checksums === undefined ? {} : { checksums: put.checksums }),
      })
      if (sizeBytes !== undefined && digests.sizeBytes !== sizeBytes) {
        throw storageFaults.incompleteBody(`${digests.sizeBytes} of ${sizeBytes} bytes came.`)
      }
      checksum = put.verify?.(digests)
      await failpoint('storage.part-received')
      await parts.volume.syncFile(fd)
    } finally {
      closeSync(fd)
    }
    // The claim, too: without it a part sent again would be written over this one.
    await parts.volume.syncDirectory(folder)
    const part = {
      number,
      sizeBytes: digests.sizeBytes,
      etag: digests.md5.toString('hex'),
      modifiedMs: parts.clock.nowMs(),
      ...(checksum === undefined ? {} : { checksum }),
    }
    await appendPart(folder, { ...part, place }, parts.volume)
    isKept = true
    return part
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw noSuchUpload(error)
    throw error
  } finally {
    if (!isKept && typeof place === 'string') rmSync(join(folder, place), { force: true })
  }
}

/**
 * The region of the shared file if this attempt is the only one that will ever write it, a file of its own otherwise.
 * First the claim, then the look whether the upload is being completed: whoever completes does it the other way round.
 */
function choosePlace(folder: string, number: number, sizeBytes: number | undefined): number | string {
  // A smaller one is the last: its size says nothing about the others.
  if (sizeBytes !== undefined && (sizeBytes >= minPartBytes || hasPartSize(folder))) {
    const partSize = agreeOnPartSize(folder, sizeBytes)
    if (sizeBytes <= partSize && claimRegion(folder, number) && !isCompleting(folder)) return (number - 1) * partSize
  }
  return `part.${number}.${randomToken(6)}`
}

function openPlace(folder: string, place: number | string): number {
  if (typeof place === 'string') return openSync(join(folder, place), 'wx', 0o600)
  const fd = openSync(join(folder, 'data'), constants.O_WRONLY)
  if (fstatSync(fd).nlink === 1) return fd
  // It already is an object: a crash came between its publication and the end of the upload.
  closeSync(fd)
  throw noSuchUpload()
}

/** Throws 'storage.no_such_upload' if there is none; parts in flight fail. */
export async function abortUpload(parts: StorageParts, address: UploadAddress): Promise<void> {
  const { folder } = await requireUpload(parts, address)
  parts.volume.requireTrust()
  if (isCompleting(folder)) throw storageFaults.operationAborted('The upload is being completed.')
  await removeUpload(parts, address.bucket, folder)
}

/** The name goes first, so that nobody finds half an upload. */
export async function removeUpload(parts: StorageParts, bucket: string, folder: string): Promise<void> {
  const trash = parts.volume.newTemporaryPath()
  try {
    renameSync(folder, trash)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  await parts.volume.syncDirectory(parts.volume.uploadRoot(bucket))
  rmSync(trash, { recursive: true, force: true })
}

export async function listParts(
  parts: StorageParts,
  address: UploadAddress,
): Promise<{ upload: Upload; parts: UploadedPart[] }> {
  const { upload, folder } = await requireUpload(parts, address)
  const lines = [...readParts(folder).values()].sort((a, b) => a.number - b.number)
  return { upload, parts: lines.map(({ place: _place, ...part }) => part as UploadedPart) }
}

/** Uploads of a bucket by key (UTF-8 bytes), then by age. */
export async function listUploads(parts: StorageParts, bucket: string): Promise<Upload[]> {
  requireBucket(parts, bucket)
  const root = parts.volume.uploadRoot(bucket)
  const uploads: Upload[] = []
  for (const name of readdirSync(root)) {
    const upload = await readJsonFile(join(root, name, 'upload.json'), uploadSchema).catch(() => undefined)
    if (upload !== undefined) uploads.push(upload as Upload)
  }
  return uploads.sort(
    (a, b) =>
      Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)) ||
      a.startedMs - b.startedMs ||
      (a.uploadId < b.uploadId ? -1 : 1),
  )
}

/** Uploads that are objects already, or whose beginning was never finished: what a crash leaves behind. */
export async function removeLeftovers(parts: StorageParts, bucket: string): Promise<void> {
  const root = parts.volume.uploadRoot(bucket)
  for (const name of readdirSync(root)) {
    const folder = join(root, name)
    const data = statSync(join(folder, 'data'), { throwIfNoEntry: false })
    const begunMs = statSync(folder, { throwIfNoEntry: false })?.mtimeMs ?? 0
    const upload = await readJsonFile(join(folder, 'upload.json'), uploadSchema).catch(() => undefined)
    const isUnfinished = upload === undefined && Date.now() - begunMs > unfinishedMs
    const isPublished =
      upload !== undefined &&
      (data === undefined || data.nlink > 1 || uploadOf(parts, bucket, upload.key) === upload.uploadId)
    if (isUnfinished || (isPublished && !isBeingCompleted(folder))) await removeUpload(parts, bucket, folder)
  }
}

function uploadOf({ files }: StorageParts, bucket: string, key: string): string | undefined {
  const found = files.locate(bucket, key)
  found?.directory.close()
  return found?.metadata?.uploadId
}
