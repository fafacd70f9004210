/** The road of a body to an object: temporary file, checksums, metadata, fsync, name, fsync of the folder; then an answer. */
import { closeSync, fstatSync } from 'node:fs'
import { failpoint } from '../foundation/failpoints.ts'
import { isDiskBroken } from './disk-trust.ts'
import { storageFaults } from './errors.ts'
import { atticName, checkKey, placeOfKey } from './key-place.ts'
import type { ObjectInfo, PutObject, PutRules, Stored, StoredChecksum } from './model.ts'
import { infoOf } from './object-files.ts'
import type { FileMetadata } from './object-metadata.ts'
import type { MakeFolder } from './ownership.ts'
import { requireBucket, type StorageParts } from './parts.ts'
import { receiveBody } from './receive-body.ts'
import { hashFile, sha256Of } from './sha256-of.ts'
import type { Temporary } from './volume.ts'

/** No object may be larger: 5 TiB, as on AWS. */
export const maxObjectBytes = 5 * 1024 ** 4

/** How often a folder that vanishes under our hands is made again. */
const maxAttempts = 8

/** Stores a body. When it resolves, the object survives a power cut; when it rejects, nothing has changed. */
export async function putObject(parts: StorageParts, put: PutObject): Promise<Stored> {
  const { volume, threads } = parts
  const { bucket, key, sizeBytes, description } = checked(parts, put)
  await volume.checkRoom(sizeBytes ?? 0)
  const temporary = volume.newTemporary(0o600)
  try {
    const digests = await receiveBody({
      source: put.body,
      fd: temporary.fd,
      maxBytes: sizeBytes ?? maxObjectBytes,
      threads,
      checksums: ['sha256', ...(put.checksums ?? [])],
    })
    if (sizeBytes !== undefined && digests.sizeBytes !== sizeBytes) {
      throw storageFaults.incompleteBody(`${digests.sizeBytes} of ${sizeBytes} bytes came.`)
    }
    const checksum = put.verify?.(digests)
    const metadata: FileMetadata = {
      ...description,
      etag: digests.md5.toString('hex'),
      sha256: digests.sha256!.toString('hex'),
      ...(checksum === undefined ? {} : { checksum }),
    }
    return await publish(parts, { bucket, key, temporary, metadata, rules: put })
  } finally {
    temporary.discard()
  }
}

function checked(parts: StorageParts, put: PutObject) {
  requireBucket(parts, put.bucket)
  checkKey(put.key)
  if (put.sizeBytes !== undefined && put.sizeBytes > maxObjectBytes)
    throw storageFaults.entityTooLarge('An object has at most 5 TiB.')
  // Said before the body is sent, so that nobody uploads a gigabyte for nothing; decided again at the commit.
  const present = put.ifAbsent || put.ifEtag !== undefined ? parts.files.locate(put.bucket, put.key) : undefined
  present?.directory.close()
  if (put.ifAbsent && present !== undefined)
    throw storageFaults.preconditionFailed(`'${put.key}' exists in ${put.bucket}.`)
  const { bucket, key, sizeBytes, contentType, headers, userMetadata } = put
  const description = {
    ...(contentType === undefined ? {} : { contentType }),
    ...(headers === undefined ? {} : { headers }),
    ...(userMetadata === undefined ? {} : { userMetadata }),
  }
  return { bucket, key, sizeBytes, description }
}

export interface Publishing {
  bucket: string
  key: string
  temporary: Pick<Temporary, 'fd' | 'path'>
  metadata: FileMetadata
  rules: PutRules
}

/** Gives a finished temporary file its name as an object, durably. The caller discards the temporary. */
export async function publish(
  parts: StorageParts,
  { bucket, key, temporary, metadata, rules }: Publishing,
): Promise<Stored> {
  const { volume, queue, commits, metadataStore, ownership } = parts
  const owned = requireBucket(parts, bucket)
  let toAttic = placeOfKey(key).kind === 'attic'
  const owner = { ownerId: rules.ownerId, mayModify: rules.may !== 'create' }
  ownership.handOver(temporary, owned, owner)
  await failpoint('storage.after-temp')
  const stat = fstatSync(temporary.fd, { bigint: true })
  const write = async () => {
    try {
      await metadataStore.write(temporary.path, stat, toAttic ? { ...metadata, key } : metadata)
    } catch (error) {
      // A sidecar is synced here.
      if (isDiskBroken(error)) volume.suspect('metadata could not be written')
      throw error
    }
  }
  await write()
  await volume.syncFile(temporary.fd)
  await failpoint('storage.after-fsync')

  const created = new Set<string>()
  for (let attempt = 1; attempt <= maxAttempts; attempt += 1) {
    const make = ownership.folderMaker(toAttic ? 'attic' : owned, owner)
    const root = toAttic ? volume.atticRoot(bucket) : volume.bucketRoot(bucket)
    const path = toAttic ? atticName(key) : key
    const made = await volume.directories.ensure(root, path.slice(0, path.lastIndexOf('/') + 1), make)
    if (made !== 'blocked') {
      if (!toAttic) for (const one of made) created.add(one)
      const outcome = await queue.submit(() =>
        commits.publish({
          bucket,
          key,
          temporaryPath: temporary.path,
          stat,
          metadata,
          rules,
          createdDirectories: [...created],
          toAttic,
        }),
      )
      if (outcome.kind === 'stored') {
        if (toAttic && key.endsWith('/')) await makeFolder(parts, bucket, key, ownership.folderMaker(owned, owner))
        await volume.directories.syncNearest(outcome.folder)
        await failpoint('storage.before-answer')
        return stored(infoOf(bucket, key, stat, metadata), false)
      }
      if (outcome.kind === 'exists')
        return await acceptSame(parts, { info: outcome.info, folder: outcome.folder, metadata, temporary })
      if (outcome.kind === 'again') continue
    }
    if (toAttic) throw storageFaults.internalError('The attic is not a folder.')
    toAttic = true
    await write()
    await volume.syncFile(temporary.fd)
  }
  throw storageFaults.operationAborted(`The folders of '${key}' keep being removed.`)
}

/** The folder that the key `a/b/` speaks of; none if a file is in the way or the name cannot be. */
async function makeFolder(parts: StorageParts, bucket: string, key: string, make: MakeFolder): Promise<void> {
  const place = placeOfKey(`${key}x`)
  if (place.kind === 'attic') return
  const made = await parts.volume.directories.ensure(parts.volume.bucketRoot(bucket), key, make)
  if (made === 'blocked') return
  await parts.queue.submit(() => {
    for (const path of made) {
      if (parts.index.directory(bucket, path) === undefined) {
        parts.index.putDirectory(bucket, path, { mtimeNs: -1n, isAuto: true, isRacy: false, scan: 0, entries: 0 })
      }
    }
    return { result: undefined }
  })
}

/**
 * Somebody who may only create sends what is already there: a retry after a lost answer. The same content is a
 * success, made durable again because the first answer may have been lost by a crash; other content is refused.
 */
async function acceptSame(
  parts: StorageParts,
  {
    info,
    folder,
    metadata,
    temporary,
  }: { info: ObjectInfo; folder: string; metadata: FileMetadata; temporary: Pick<Temporary, 'fd'> },
): Promise<Stored> {
  const isSame = info.etag === metadata.etag || (await haveSameBytes(parts, info, metadata, temporary.fd))
  if (!isSame) throw storageFaults.objectExists(`'${info.key}' exists in ${info.bucket} with other content.`)
  await confirm(parts, info, folder)
  return stored(info, true)
}

/** Whoever is told that an object is there already is told so after it has become durable, whoever put it there. */
export async function confirm(
  parts: StorageParts,
  { bucket, key }: Pick<ObjectInfo, 'bucket' | 'key'>,
  folder: string,
): Promise<void> {
  const file = parts.files.open(bucket, key)
  if (file === undefined) throw storageFaults.operationAborted(`'${key}' was removed meanwhile.`)
  try {
    await parts.volume.syncFile(file.fd)
  } finally {
    closeSync(file.fd)
  }
  await parts.volume.directories.syncNearest(folder)
}

async function haveSameBytes(
  parts: StorageParts,
  info: ObjectInfo,
  metadata: FileMetadata,
  fd: number,
): Promise<boolean> {
  if (fstatSync(fd).size !== info.sizeBytes) return false
  const present = await sha256Of(parts, info.bucket, info.key)
  if (metadata.sha256 !== undefined) return metadata.sha256 === present
  return (await hashFile(parts, fd)).sha256!.toString('hex') === present
}

export function stored(info: ObjectInfo, unchanged: boolean): Stored {
  const { etag, sizeBytes, modifiedMs, sha256, checksum } = info
  return { etag, sizeBytes, modifiedMs, sha256, checksum, unchanged }
}

/** Which of the checksums a client named is kept with the object. */
export function keptChecksum(algorithm: StoredChecksum['algorithm'], digest: Buffer): StoredChecksum {
  return { algorithm, value: digest.toString('base64'), type: 'FULL_OBJECT' }
}
