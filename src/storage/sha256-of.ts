/** Content hashes that are not known yet: of files that people wrote, and of objects that came in parts. */
import { closeSync, fstatSync } from 'node:fs'
import { storageFaults } from './errors.ts'
import { readAt, syncFile } from './file-reader.ts'
import { slabBytes } from './hash-threads.ts'
import type { Digests } from './model.ts'
import { noSuchKey } from './object-files.ts'
import type { FileMetadata } from './object-metadata.ts'
import type { StorageParts } from './parts.ts'
import { openDirectory, statEntry } from './safe-directory.ts'
import { atticName, placeOfKey } from './key-place.ts'

/** MD5 and SHA-256 of a whole open file, hashed beside the event loop. */
export async function hashFile({ threads }: Pick<StorageParts, 'threads'>, fd: number): Promise<Digests> {
  const sizeBytes = fstatSync(fd).size
  const hash = sizeBytes < slabBytes ? threads.beginInline(['sha256']) : threads.beginThreaded(['sha256'])
  const pending: Promise<void>[] = []
  let at = 0
  try {
    for (;;) {
      const slab = threads.takeSlab()
      const { length } = await readAt(fd, slab.bytes, at)
      if (length === 0) {
        threads.giveSlab(slab)
        break
      }
      at += length
      const done = hash.update(slab, length).then(() => threads.giveSlab(slab))
      done.catch(() => {})
      pending.push(done)
      if (pending.length >= 4) await pending.shift()
    }
    await Promise.all(pending)
    return await hash.digests(at)
  } finally {
    hash.drop()
  }
}

/** SHA-256 of an object in hexadecimal, computed now and kept if it was not known. */
export async function sha256Of(parts: StorageParts, bucket: string, key: string): Promise<string> {
  const file = parts.files.open(bucket, key)
  if (file === undefined) throw noSuchKey(bucket, key)
  try {
    if (file.metadata?.sha256 !== undefined) return file.metadata.sha256
    const digests = await hashFile(parts, file.fd)
    const sha256 = digests.sha256!.toString('hex')
    const after = fstatSync(file.fd, { bigint: true })
    if (after.mtimeNs !== file.stat.mtimeNs || after.size !== file.stat.size) {
      throw storageFaults.fileChanged(`'${key}' in ${bucket} was written while it was read.`)
    }
    const metadata: FileMetadata =
      file.metadata === undefined
        ? { etag: digests.md5.toString('hex'), sha256, adoptedMs: parts.clock.nowMs() }
        : { ...file.metadata, sha256 }
    await keep(parts, { bucket, key, fd: file.fd, metadata })
    return sha256
  } finally {
    closeSync(file.fd)
  }
}

/** Writes what was found out onto the file, unless it has become another one meanwhile. Not being able to is no error. */
async function keep(
  parts: StorageParts,
  { bucket, key, fd, metadata }: { bucket: string; key: string; fd: number; metadata: FileMetadata },
): Promise<void> {
  const stat = fstatSync(fd, { bigint: true })
  const place = placeOfKey(key)
  for (const isAttic of place.kind === 'attic' ? [true] : [false, true]) {
    const path = isAttic ? atticName(key) : key
    const slash = path.lastIndexOf('/') + 1
    const directory = openDirectory(
      isAttic ? parts.volume.atticRoot(bucket) : parts.volume.bucketRoot(bucket),
      path.slice(0, slash),
    )
    if (typeof directory === 'string') continue
    try {
      const name = path.slice(slash)
      if (statEntry(directory, name)?.ino !== stat.ino) continue
      await parts.metadataStore.write(directory.at(name), stat, metadata)
      await syncFile(fd)
      await parts.queue.submit(() => {
        const row = parts.index.row(bucket, key)
        if (row?.inode === stat.ino && row.mtimeNs === stat.mtimeNs && row.size === stat.size) {
          parts.index.putRow(bucket, key, { ...row, etag: metadata.etag })
        }
        return { result: undefined }
      })
      return
    } catch (error) {
      parts.log.warn({ error, bucket, key }, 'a checksum was computed but could not be kept')
    } finally {
      directory.close()
    }
  }
}
