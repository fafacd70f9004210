/** From a key to the file that holds it, and what that file says about itself. Never by the index, never by a link. */
import { closeSync, type BigIntStats } from 'node:fs'
import { storageFaults } from './errors.ts'
import { atticName, placeOfKey } from './key-place.ts'
import type { ObjectInfo } from './model.ts'
import { foreignEtag, unpackParts, type FileMetadata, type MetadataStore } from './object-metadata.ts'
import type { Ownership } from './ownership.ts'
import { openDirectory, openRegularFile, statEntry, type SafeDirectory } from './safe-directory.ts'
import type { Volume } from './volume.ts'

export interface Located {
  isAttic: boolean
  directory: SafeDirectory
  name: string
  stat: BigIntStats
  metadata: FileMetadata | undefined
}

export interface ObjectFiles {
  /** The object's file, not opened; undefined if there is none. The folder stays open: close it. */
  locate(bucket: string, key: string): Located | undefined
  /** The object's file, opened. Close the descriptor. */
  open(bucket: string, key: string): { fd: number; stat: BigIntStats; metadata: FileMetadata | undefined } | undefined
  /** Its file as a path; undefined for keys in the attic or without an object. */
  pathOf(bucket: string, key: string): string | undefined
}

/** The two places in which a key can lie, the one that its name asks for first. */
function* candidates(
  volume: Volume,
  bucket: string,
  key: string,
): Generator<{ isAttic: boolean; root: string; directory: string; name: string }> {
  const place = placeOfKey(key)
  if (place.kind === 'path')
    yield { isAttic: false, root: volume.bucketRoot(bucket), directory: place.directory, name: place.name }
  const hashed = atticName(key)
  yield { isAttic: true, root: volume.atticRoot(bucket), directory: hashed.slice(0, 3), name: hashed.slice(3) }
}

export function createObjectFiles(volume: Volume, metadataStore: MetadataStore, { belongs }: Ownership): ObjectFiles {
  return {
    locate(bucket, key) {
      for (const { isAttic, root, directory: relative, name } of candidates(volume, bucket, key)) {
        const directory = openDirectory(root, relative)
        if (typeof directory === 'string') continue
        const stat = statEntry(directory, name)
        if (stat?.isFile() && belongs(bucket, stat))
          return { isAttic, directory, name, stat, metadata: metadataStore.read(directory.at(name), stat) }
        directory.close()
      }
      return undefined
    },
    open(bucket, key) {
      for (const { root, directory: relative, name } of candidates(volume, bucket, key)) {
        const directory = openDirectory(root, relative)
        if (typeof directory === 'string') continue
        try {
          const found = openConsistently(directory, name, metadataStore)
          if (found !== undefined && belongs(bucket, found.stat)) return found
          if (found !== undefined) closeSync(found.fd)
        } finally {
          directory.close()
        }
      }
      return undefined
    },
    pathOf(bucket, key) {
      const place = placeOfKey(key)
      if (place.kind === 'attic') return undefined
      const directory = openDirectory(volume.bucketRoot(bucket), place.directory)
      if (typeof directory === 'string') return undefined
      const stat = statEntry(directory, place.name)
      directory.close()
      return stat?.isFile() && belongs(bucket, stat) ? `${volume.bucketRoot(bucket)}/${key}` : undefined
    },
  }
}

/** Bytes and metadata of the same file, although it may be replaced between the two system calls. */
function openConsistently(directory: SafeDirectory, name: string, metadataStore: MetadataStore) {
  for (let attempt = 0; ; attempt += 1) {
    const file = openRegularFile(directory, name)
    if (file === undefined) return undefined
    const metadata = metadataStore.read(directory.at(name), file.stat)
    if (metadata !== undefined || attempt === 3 || statEntry(directory, name)?.ino === file.stat.ino)
      return { ...file, metadata }
    closeSync(file.fd)
  }
}

/** What callers see of a file. */
export function infoOf(bucket: string, key: string, stat: BigIntStats, metadata: FileMetadata | undefined): ObjectInfo {
  return {
    bucket,
    key,
    sizeBytes: Number(stat.size),
    modifiedMs: Number(stat.mtimeNs / 1_000_000n),
    etag: metadata?.etag ?? foreignEtag(stat),
    sha256: metadata?.sha256,
    checksum: metadata?.checksum,
    contentType: metadata?.contentType ?? contentTypeOf(key),
    headers: metadata?.headers ?? {},
    userMetadata: metadata?.userMetadata ?? {},
    partSizes: metadata?.parts === undefined ? undefined : unpackParts(metadata.parts),
    uploadId: metadata?.uploadId,
    isForeign: metadata === undefined,
  }
}

export function noSuchKey(bucket: string, key: string): Error {
  return storageFaults.noSuchKey(`There is no object '${key}' in ${bucket}.`)
}

const contentTypes: Record<string, string> = {
  txt: 'text/plain',
  md: 'text/plain',
  log: 'text/plain',
  csv: 'text/csv',
  json: 'application/json',
  xml: 'application/xml',
  html: 'text/html',
  pdf: 'application/pdf',
  png: 'image/png',
  jpg: 'image/jpeg',
  jpeg: 'image/jpeg',
  svg: 'image/svg+xml',
  gz: 'application/gzip',
  zip: 'application/zip',
  parquet: 'application/vnd.apache.parquet',
  ipynb: 'application/x-ipynb+json',
}

/** Of an object whose uploader did not say: by its suffix. */
function contentTypeOf(key: string): string {
  const suffix = /\.(\w+)$/.exec(key)?.[1]?.toLowerCase()
  return (suffix === undefined ? undefined : contentTypes[suffix]) ?? 'binary/octet-stream'
}
