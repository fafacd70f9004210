/** From parts to an object. Where all parts lie in the shared file nothing is copied: cut, synced, named. */
import { createHash } from 'node:crypto'
import { closeSync, constants, ftruncateSync, openSync, read, readlinkSync, statSync, write } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { combineCrcs, createChecksum, isCrc } from './checksums.ts'
import { storageFaults } from './errors.ts'
import type { PutRules, Stored, StoredChecksum, Upload } from './model.ts'
import { infoOf } from './object-files.ts'
import { packParts, type FileMetadata } from './object-metadata.ts'
import { minPartBytes, removeUpload, requireUpload, type UploadAddress } from './multipart.ts'
import type { StorageParts } from './parts.ts'
import { confirm, maxObjectBytes, publish, stored } from './put-object.ts'
import {
  beginCompleting,
  claimedRegions,
  endCompleting,
  isBeingCompleted,
  isUploadId,
  noSuchUpload,
  readParts,
  type PartLine,
} from './upload-folder.ts'

const waitForOtherMs = 120_000

export interface CompletePart {
  number: number
  etag: string
  /** base64, as the client knows it. */
  checksum?: string
}

export interface CompleteUpload extends UploadAddress, PutRules {
  parts: readonly CompletePart[]
  /** Of the whole object, base64, if the client knows it. */
  checksum?: { algorithm: StoredChecksum['algorithm']; value: string }
  /** Size of the whole object, if the client says so. */
  sizeBytes?: number
}

/** Publishes the upload as an object. Completing it again after a lost answer gives the same answer. */
export async function completeUpload(parts: StorageParts, complete: CompleteUpload): Promise<Stored> {
  const done = await completedBefore(parts, complete)
  if (done !== undefined) {
    const leftover = isUploadId(complete.uploadId)
      ? join(parts.volume.uploadRoot(complete.bucket), complete.uploadId)
      : undefined
    if (leftover !== undefined && !isBeingCompleted(leftover)) await removeUpload(parts, complete.bucket, leftover)
    return done
  }
  const { upload, folder } = await requireUpload(parts, complete)
  const deadlineMs = performance.now() + waitForOtherMs
  while (!begun(folder)) {
    if (performance.now() > deadlineMs)
      throw storageFaults.operationAborted('The upload is being completed by another request.')
    await sleep(100)
    const finished = await completedBefore(parts, complete)
    if (finished !== undefined) return finished
  }
  try {
    const present = readParts(folder)
    const chosen = choose(complete, present)
    const metadata = metadataOf(upload, chosen, complete)
    const rules: PutRules = {
      ...(complete.may === undefined ? {} : { may: complete.may }),
      ...(complete.ifAbsent === undefined ? {} : { ifAbsent: complete.ifAbsent }),
      ...(complete.ifEtag === undefined ? {} : { ifEtag: complete.ifEtag }),
      ownerId: upload.ownerId,
    }
    const { bucket, key } = upload
    const result = await assemble(parts, folder, chosen, present, async (temporary) => {
      return await publish(parts, { bucket, key, temporary, metadata, rules })
    })
    await removeUpload(parts, bucket, folder)
    return result
  } catch (error) {
    endCompleting(folder)
    throw error
  }
}

function begun(folder: string): boolean {
  try {
    return beginCompleting(folder)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw noSuchUpload(error)
    throw error
  }
}

async function completedBefore(
  parts: StorageParts,
  { bucket, key, uploadId }: UploadAddress,
): Promise<Stored | undefined> {
  const found = parts.files.locate(bucket, key)
  if (found === undefined) return undefined
  const folder = readlinkSync(`/proc/self/fd/${found.directory.fd}`)
  found.directory.close()
  if (found.metadata?.uploadId !== uploadId) return undefined
  const info = infoOf(bucket, key, found.stat, found.metadata)
  // Whoever completed it may have died before it was durable.
  await confirm(parts, info, folder)
  return stored(info, true)
}

/** The parts the client names, in its order, checked against what came. */
function choose(complete: CompleteUpload, present: ReadonlyMap<number, PartLine>): PartLine[] {
  if (complete.parts.length === 0) throw storageFaults.malformedXml('The list names no parts.')
  let sizeBytes = 0
  const isOrdered = complete.parts.every(
    (wanted, index) => index === 0 || complete.parts[index - 1]!.number < wanted.number,
  )
  if (!isOrdered) throw storageFaults.invalidPartOrder('Parts are not in ascending order.')
  const chosen = complete.parts.map((wanted, index) => {
    const part = present.get(wanted.number)
    if (part === undefined) throw storageFaults.invalidPart(`Part ${wanted.number} was never uploaded.`)
    if (part.etag !== wanted.etag.toLowerCase())
      throw storageFaults.invalidPart(`Part ${wanted.number} has another ETag.`)
    if (wanted.checksum !== undefined && part.checksum !== undefined && part.checksum.value !== wanted.checksum) {
      throw storageFaults.invalidPart(`Part ${wanted.number} has another checksum.`)
    }
    if (part.sizeBytes < minPartBytes && index < complete.parts.length - 1) {
      throw storageFaults.entityTooSmall(`Part ${wanted.number} has ${part.sizeBytes} bytes.`)
    }
    sizeBytes += part.sizeBytes
    return part
  })
  if (sizeBytes > maxObjectBytes) throw storageFaults.entityTooLarge('An object has at most 5 TiB.')
  if (complete.sizeBytes !== undefined && complete.sizeBytes !== sizeBytes) {
    throw storageFaults.invalidRequest(`The parts have ${sizeBytes} bytes, not ${complete.sizeBytes}.`)
  }
  return chosen
}

function metadataOf(upload: Upload, chosen: readonly PartLine[], complete: CompleteUpload): FileMetadata {
  const md5OfMd5s = createHash('md5')
  for (const part of chosen) md5OfMd5s.update(Buffer.from(part.etag, 'hex'))
  const checksum = checksumOf(upload, chosen)
  const claimed = complete.checksum
  if (claimed !== undefined && checksum?.algorithm === claimed.algorithm && checksum.value !== claimed.value) {
    throw storageFaults.badDigest(`The ${claimed.algorithm} of the whole is ${checksum.value}, not ${claimed.value}.`)
  }
  return {
    ...upload.description,
    etag: `${md5OfMd5s.digest('hex')}-${chosen.length}`,
    parts: packParts(chosen.map((part) => part.sizeBytes)),
    uploadId: upload.uploadId,
    ...(checksum === undefined ? {} : { checksum }),
  }
}

/** CRCs combine to the CRC of the whole; of the others only the checksum of the checksums can be had. */
function checksumOf(upload: Upload, chosen: readonly PartLine[]): StoredChecksum | undefined {
  const wanted = upload.checksum
  if (wanted === undefined) return undefined
  const { algorithm, type } = wanted
  const digests = chosen.map((part) => ({
    sizeBytes: part.sizeBytes,
    digest: Buffer.from(part.checksum?.value ?? '', 'base64'),
  }))
  if (chosen.some((part) => part.checksum?.algorithm !== algorithm)) return undefined
  if (type === 'FULL_OBJECT') {
    return isCrc(algorithm) ? { algorithm, type, value: combineCrcs(algorithm, digests).toString('base64') } : undefined
  }
  const whole = compositeOf(
    algorithm,
    digests.map(({ digest }) => digest),
  )
  return { algorithm, type, value: `${whole}-${chosen.length}` }
}

function compositeOf(algorithm: StoredChecksum['algorithm'], digests: readonly Buffer[]): string {
  const checksum = createChecksum(algorithm)
  checksum.update(Buffer.concat(digests))
  return checksum.digest().toString('base64')
}

type Publish = (temporary: { fd: number; path: string }) => Promise<Stored>

async function assemble(
  parts: StorageParts,
  folder: string,
  chosen: readonly PartLine[],
  present: ReadonlyMap<number, PartLine>,
  done: Publish,
): Promise<Stored> {
  const data = join(folder, 'data')
  if (!isSharedFileUsable(folder, chosen, present)) return await copied(parts, folder, chosen, done)
  const fd = openSync(data, constants.O_RDWR)
  try {
    let offset = 0
    for (const part of chosen) {
      if (typeof part.place === 'string') await copyInto(join(folder, part.place), 0, part.sizeBytes, fd, offset)
      offset += part.sizeBytes
    }
    ftruncateSync(fd, offset)
    return await done({ fd, path: data })
  } finally {
    closeSync(fd)
  }
}

/**
 * Every region must lie where the part belongs, nobody may still write (a claim without a finished part may have a
 * writer somewhere), and no part that is left out may be cut off: if this is refused, the client may complete with it.
 */
function isSharedFileUsable(
  folder: string,
  chosen: readonly PartLine[],
  present: ReadonlyMap<number, PartLine>,
): boolean {
  if (statSync(join(folder, 'data')).nlink > 1) return false
  const chosenNumbers = new Set(chosen.map((part) => part.number))
  for (const { number, place } of present.values())
    if (typeof place === 'number' && !chosenNumbers.has(number)) return false
  let offset = 0
  for (const part of chosen) {
    if (typeof part.place === 'number' && part.place !== offset) return false
    offset += part.sizeBytes
  }
  return claimedRegions(folder).every((number) => typeof present.get(number)?.place === 'number')
}

async function copied(
  parts: StorageParts,
  folder: string,
  chosen: readonly PartLine[],
  done: Publish,
): Promise<Stored> {
  await parts.volume.checkRoom(chosen.reduce((sum, part) => sum + part.sizeBytes, 0))
  const temporary = parts.volume.newTemporary(0o600)
  try {
    let offset = 0
    for (const part of chosen) {
      const isShared = typeof part.place === 'number'
      await copyInto(
        join(folder, isShared ? 'data' : (part.place as string)),
        isShared ? (part.place as number) : 0,
        part.sizeBytes,
        temporary.fd,
        offset,
      )
      offset += part.sizeBytes
    }
    return await done(temporary)
  } finally {
    temporary.discard()
  }
}

async function copyInto(path: string, from: number, sizeBytes: number, fd: number, offset: number): Promise<void> {
  const source = openSync(path, constants.O_RDONLY)
  const buffer = Buffer.allocUnsafe(Math.min(1024 * 1024, Math.max(sizeBytes, 1)))
  try {
    for (let at = 0; at < sizeBytes;) {
      const count = await transfer(read, source, buffer, Math.min(buffer.length, sizeBytes - at), from + at)
      if (count === 0) throw storageFaults.internalError('A stored part became shorter.')
      for (let written = 0; written < count;) {
        written += await transfer(write, fd, buffer.subarray(written), count - written, offset + at + written)
      }
      at += count
    }
  } finally {
    closeSync(source)
  }
}

type Transfer = (
  fd: number,
  buffer: Buffer,
  offset: number,
  length: number,
  position: number,
  done: (error: Error | null, count: number) => void,
) => void

async function transfer(call: Transfer, fd: number, buffer: Buffer, length: number, position: number): Promise<number> {
  return await new Promise((resolve, reject) =>
    call(fd, buffer, 0, length, position, (error, count) => (error === null ? resolve(count) : reject(error))),
  )
}
