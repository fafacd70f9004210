/** Content hashes that are not known yet: of files that people wrote, and of objects that came in parts. */
import { createHash } from 'node:crypto'
import { closeSync, fstatSync, rmSync, type BigIntStats } from 'node:fs'
import { storageFaults } from './errors.ts'
import { readAt } from './file-reader.ts'
import { slabBytes } from './hash-threads.ts'
import type { Digests } from './model.ts'
import { noSuchKey } from './object-files.ts'
import { unpackParts, type FileMetadata } from './object-metadata.ts'
import { privateName } from './ownership.ts'
import type { StorageParts } from './parts.ts'
import { openDirectory, statEntry, type SafeDirectory } from './safe-directory.ts'
import { atticName, placeOfKey } from './key-place.ts'

/** MD5 and SHA-256 of a whole open file, hashed beside the event loop. */
export async function hashFile(parts: Pick<StorageParts, 'threads'>, fd: number): Promise<Digests> {
  return await hashRange(parts, fd, { at: 0, sizeBytes: fstatSync(fd).size, isOpenEnded: true })
}

/** An open-ended range goes on to the end of the file, also if it has grown. */
async function hashRange(
  { threads }: Pick<StorageParts, 'threads'>,
  fd: number,
  { at: start, sizeBytes, isOpenEnded = false }: { at: number; sizeBytes: number; isOpenEnded?: boolean },
): Promise<Digests> {
  const hash = sizeBytes < slabBytes ? threads.beginInline(['sha256']) : threads.beginThreaded(['sha256'])
  const pending: Promise<void>[] = []
  const end = isOpenEnded ? Infinity : start + sizeBytes
  let at = start
  try {
    for (;;) {
      const slab = threads.takeSlab()
      const { length } = await readAt(fd, slab.bytes.subarray(0, Math.min(slabBytes, end - at)), at)
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
    return await hash.digests(at - start)
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
    await checkEtag(parts, { bucket, key, ...file }, digests)
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

/**
 * What is computed now is only believed if the bytes are those that once came: the MD5 of the object, or of each of its
 * parts, is known. Throws 'storage.damaged_object'.
 */
async function checkEtag(
  parts: StorageParts,
  { bucket, key, fd, metadata }: { bucket: string; key: string; fd: number; metadata: FileMetadata | undefined },
  { md5 }: Digests,
): Promise<void> {
  if (metadata === undefined) return
  let etag = md5.toString('hex')
  if (metadata.parts !== undefined) {
    const ofParts = createHash('md5')
    const sizes = unpackParts(metadata.parts)
    let at = 0
    for (const sizeBytes of sizes) {
      ofParts.update((await hashRange(parts, fd, { at, sizeBytes })).md5)
      at += sizeBytes
    }
    etag = `${ofParts.digest('hex')}-${sizes.length}`
  }
  if (etag !== metadata.etag)
    throw storageFaults.damagedObject(`The bytes of '${key}' in ${bucket} are not those that were stored.`)
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
      const owned = parts.index.bucket(bucket)
      if (owned !== undefined && !isAttic) parts.ownership.takeIn({ fd, directory, name }, owned)
      await writeMetadata(parts, { directory, name, fd }, stat, metadata)
      await parts.volume.syncFile(fd)
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

/**
 * Onto the very file that is open. Its name may lie in a folder of somebody who swaps it for another file meanwhile,
 * so the attribute is set through a name that nobody else can reach.
 */
async function writeMetadata(
  { volume, metadataStore, ownership }: StorageParts,
  file: { directory: SafeDirectory; name: string; fd: number },
  stat: BigIntStats,
  metadata: FileMetadata,
): Promise<void> {
  const own = privateName(volume, file.directory, file.name, file.fd)
  if (own === undefined && !ownership.isPerPerson)
    return await metadataStore.write(file.directory.at(file.name), stat, metadata)
  if (own === undefined) throw storageFaults.fileChanged('The file got another name while it was read.')
  try {
    await metadataStore.write(own, stat, metadata)
  } finally {
    rmSync(own, { force: true })
  }
}
