/** A file that is already written on this machine becomes an object: hashed, synced, then renamed or copied into place. */
import {
  closeSync,
  constants,
  createReadStream,
  fchownSync,
  fstatSync,
  linkSync,
  lstatSync,
  openSync,
  rmSync,
} from 'node:fs'
import { storageFaults } from './errors.ts'
import { checkKey } from './key-place.ts'
import type { ObjectDescription, PutRules, Stored } from './model.ts'
import type { StorageParts } from './parts.ts'
import { requireBucket } from './parts.ts'
import { publish, putObject } from './put-object.ts'
import { diskFault } from './receive-body.ts'
import { hashFile } from './sha256-of.ts'

export interface AdoptPath extends ObjectDescription, PutRules {
  bucket: string
  key: string
  /** An absolute path; a regular file that nobody writes any more. It is gone afterwards. */
  path: string
}

/** On the same file system nothing is copied; across file systems the bytes are. The source is removed when all is durable. */
export async function adoptPath(parts: StorageParts, adopt: AdoptPath): Promise<Stored> {
  const { bucket, key, path, contentType, headers, userMetadata, ...rules } = adopt
  requireBucket(parts, bucket)
  checkKey(key)
  await parts.volume.checkRoom(0)
  const description = {
    ...(contentType === undefined ? {} : { contentType }),
    ...(headers === undefined ? {} : { headers }),
    ...(userMetadata === undefined ? {} : { userMetadata }),
  }
  const fd = openRegular(path)
  const own = parts.volume.newTemporaryPath()
  try {
    const stat = fstatSync(fd)
    if (stat.nlink === 1 && linked(path, own) && lstatSync(own).ino === stat.ino) {
      // It belongs to us from now on: its former owner can neither write nor chmod it.
      if (stat.uid !== process.getuid!()) fchownSync(fd, process.getuid!(), process.getgid!())
      const digests = await hashFile(parts, fd)
      if (digests.sizeBytes !== stat.size || fstatSync(fd).mtimeMs !== stat.mtimeMs)
        throw storageFaults.fileChanged(`${path} was written while it was read.`)
      const metadata = { ...description, etag: digests.md5.toString('hex'), sha256: digests.sha256!.toString('hex') }
      const stored = await publish(parts, { bucket, key, temporary: { fd, path: own }, metadata, rules })
      rmSync(path, { force: true })
      return stored
    }
    const body = createReadStream('', { fd, autoClose: false, start: 0, highWaterMark: 1024 * 1024 })
    const stored = await putObject(parts, { ...description, ...rules, bucket, key, body, sizeBytes: stat.size })
    rmSync(path, { force: true })
    return stored
  } catch (error) {
    throw diskFault(error)
  } finally {
    closeSync(fd)
    rmSync(own, { force: true })
  }
}

function openRegular(path: string): number {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  if (fstatSync(fd).isFile()) return fd
  closeSync(fd)
  throw storageFaults.invalidArgument(`${path} is not a regular file.`)
}

function linked(from: string, to: string): boolean {
  try {
    linkSync(from, to)
    return true
  } catch {
    return false
  }
}
