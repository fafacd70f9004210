/** The shapes of this room. Sizes in bytes, times UTC milliseconds, checksums as named. */
import type { Readable } from 'node:stream'

export type Purpose = 'raw' | 'reco' | 'work'

export interface Bucket {
  name: string
  experiment: string
  purpose: Purpose
  createdAtMs: number
}

/** Checksum algorithms of S3; digests travel in base64. */
export type ChecksumName = 'crc32' | 'crc32c' | 'crc64nvme' | 'sha1' | 'sha256'

export interface StoredChecksum {
  algorithm: ChecksumName
  /** base64; of a COMPOSITE one with '-<parts>' behind it. */
  value: string
  type: 'FULL_OBJECT' | 'COMPOSITE'
}

/** Headers that are stored with an object and given back as they came. */
export type ContentHeader =
  | 'cache-control'
  | 'content-disposition'
  | 'content-encoding'
  | 'content-language'
  | 'expires'

export interface ObjectDescription {
  contentType?: string
  headers?: Partial<Record<ContentHeader, string>>
  /** Without the 'x-amz-meta-' of S3; lower-case names. */
  userMetadata?: Record<string, string>
}

export interface ObjectInfo extends Required<ObjectDescription> {
  bucket: string
  key: string
  sizeBytes: number
  modifiedMs: number
  /** Unquoted: MD5 in hexadecimal, `<hex>-<parts>` of a multipart upload, or `x...` of a foreign file. */
  etag: string
  /** Hexadecimal; undefined until somebody computed it. */
  sha256: string | undefined
  checksum: StoredChecksum | undefined
  /** Sizes of the parts it was uploaded in; undefined for a single PUT. */
  partSizes: number[] | undefined
  /** The multipart upload that made it. */
  uploadId: string | undefined
  /** True for a file that did not come through us, or was changed since: its checksums are not known yet. */
  isForeign: boolean
}

/** One object in a listing. */
export interface ObjectRow {
  key: string
  sizeBytes: number
  modifiedMs: number
  etag: string
}

export interface Listing {
  objects: ObjectRow[]
  /** Rolled-up keys, delimiter included; empty without a delimiter. */
  prefixes: string[]
  /** Give it back as `after` for the next page; undefined on the last page. */
  next: string | undefined
}

export interface ListOptions {
  bucket: string
  prefix?: string
  delimiter?: string
  /** Only keys behind this one in the order of UTF-8 bytes; may also be a rolled-up prefix of the page before. */
  after?: string
  /** Objects plus prefixes on a page; default 1000. */
  limit?: number
}

export type Digests = Partial<Record<ChecksumName, Buffer>> & { sizeBytes: number; md5: Buffer }

export interface PutRules {
  /** 'create': an existing object is refused with 'storage.object_exists', unless its content is the same. Default 'replace'. */
  may?: 'create' | 'replace'
  /** Refuse with 'storage.precondition_failed' if the key exists (If-None-Match: *). */
  ifAbsent?: boolean
  /** Refuse unless the present object has this ETag (If-Match). */
  ifEtag?: string
  /** Whose the file shall be: id of a person; without, and for machines, the service account's. */
  ownerId?: string
}

export interface PutObject extends ObjectDescription, PutRules {
  bucket: string
  key: string
  body: AsyncIterable<Uint8Array>
  /** If known: checked against free space before, and against what came after. */
  sizeBytes?: number
  /** Beyond MD5 and SHA-256, which are always computed. */
  checksums?: readonly ChecksumName[]
  /** Called when the whole body is in, before anything is published: throw to refuse. May name the checksum to keep. */
  verify?: (digests: Digests) => StoredChecksum | undefined
}

export interface Stored {
  etag: string
  sizeBytes: number
  modifiedMs: number
  sha256: string | undefined
  checksum: StoredChecksum | undefined
  /** True when the same content was there already and nothing was written. */
  unchanged: boolean
}

/** An open object: its bytes cannot change their name under the reader. Close it. */
export interface OpenObject {
  info: ObjectInfo
  fd: number
  close(): void
}

export interface ByteRange {
  start: number
  /** Included. */
  end: number
}

export interface GotObject {
  info: ObjectInfo
  body: Readable
}

export interface Change {
  sequence: number
  type: 'created' | 'deleted'
  bucket: string
  experiment: string
  purpose: Purpose
  key: string
  sizeBytes: number
  etag: string
  atMs: number
}

export interface ChangePosition {
  epoch: string
  sequence: number
}

export interface Changes {
  epoch: string
  items: Change[]
  /** Where to go on. */
  next: ChangePosition
  /** True when `since` is of another epoch or already trimmed: list everything once, then go on from `next`. */
  reset: boolean
}

export interface Upload {
  bucket: string
  key: string
  uploadId: string
  startedMs: number
  /** Who began it; others need the right to modify. */
  ownerId: string
  description: ObjectDescription
  checksum?: { algorithm: ChecksumName; type: 'FULL_OBJECT' | 'COMPOSITE' }
}

export interface UploadedPart {
  number: number
  sizeBytes: number
  /** MD5, hexadecimal. */
  etag: string
  modifiedMs: number
  checksum?: StoredChecksum
}
