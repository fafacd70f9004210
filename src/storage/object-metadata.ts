/**
 * What a file knows about itself beyond its bytes: one extended attribute `user.cygnet` = 16 bytes of MAC, then JSON.
 * It holds a stamp (inode, size, time of change) of the content it speaks of. The MAC keeps people who may write the
 * file from inventing checksums; a file whose stamp or MAC is wrong is *foreign*: its bytes are served, its checksums
 * are not believed. Where attributes do not exist or the JSON is larger than 3 KiB, the same bytes lie in a sidecar
 * named by inode, which survives `mv` as the attribute does.
 */
import { getAttributeSync, setAttributeSync } from '@napi-rs/xattr'
import { createHmac, timingSafeEqual } from 'node:crypto'
import { mkdirSync, readFileSync, rmSync, type BigIntStats } from 'node:fs'
import { dirname } from 'node:path'
import { fsyncDirectory, writeFileDurable } from '../foundation/files.ts'
import type { ContentHeader, ObjectDescription, StoredChecksum } from './model.ts'

const attribute = 'user.cygnet'
const macBytes = 16
/** ext4 keeps all attributes of a file in one block of 4 KiB. */
const maxAttributeBytes = 3072

export interface FileMetadata extends ObjectDescription {
  etag: string
  sha256?: string
  checksum?: StoredChecksum
  /** Runs of equal part sizes: [count, sizeBytes]. */
  parts?: [number, number][]
  uploadId?: string
  /** Of a file in the attic, whose name does not tell. */
  key?: string
  /** When a foreign file was hashed. */
  adoptedMs?: number
}

interface Packed {
  v: 1
  /** Inode, size, time of change in nanoseconds. */
  s: [string, string, string]
  e: string
  h?: string
  c?: StoredChecksum
  t?: string
  d?: Partial<Record<ContentHeader, string>>
  m?: Record<string, string>
  p?: [number, number][]
  u?: string
  k?: string
  a?: number
}

export interface MetadataStore {
  /** Writes the metadata of the file behind `path`, whose content `stat` describes. Durable with the next fsync of the file. */
  write(path: string, stat: BigIntStats, metadata: FileMetadata): Promise<void>
  /** Metadata of the file behind `path`; undefined if there is none with a valid MAC or it speaks of other content. */
  read(path: string, stat: BigIntStats): FileMetadata | undefined
  /** Takes away a sidecar, if there is one. */
  forget(stat: BigIntStats): void
  /** False where everything goes to sidecars. */
  readonly hasAttributes: boolean
}

export function createMetadataStore(options: {
  sidecars: string
  macKey: Uint8Array
  probePath: string
}): MetadataStore {
  const { sidecars, macKey } = options
  const hasAttributes = canHoldAttributes(options.probePath)

  const macOf = (json: Uint8Array) => createHmac('sha256', macKey).update(json).digest().subarray(0, macBytes)
  const sidecarOf = (stat: BigIntStats) => `${sidecars}/${(stat.ino & 0xffn).toString(16).padStart(2, '0')}/${stat.ino}`

  function unpack(bytes: Buffer | null, stat: BigIntStats): FileMetadata | undefined {
    if (bytes === null || bytes.length <= macBytes) return undefined
    const json = bytes.subarray(macBytes)
    if (!timingSafeEqual(bytes.subarray(0, macBytes), macOf(json))) return undefined
    const packed = JSON.parse(json.toString('utf8')) as Packed
    const [inode, size, changed] = packed.s
    if (packed.v !== 1 || inode !== `${stat.ino}` || size !== `${stat.size}` || changed !== `${stat.mtimeNs}`)
      return undefined
    return metadataOf(packed)
  }

  return {
    hasAttributes,
    async write(path, stat, metadata) {
      const json = Buffer.from(JSON.stringify(packedOf(stat, metadata)))
      const bytes = Buffer.concat([macOf(json), json])
      if (hasAttributes && bytes.length <= maxAttributeBytes) {
        setAttributeSync(path, attribute, bytes)
        rmSync(sidecarOf(stat), { force: true })
        return
      }
      const sidecar = sidecarOf(stat)
      if (mkdirSync(dirname(sidecar), { recursive: true, mode: 0o700 }) !== undefined) await fsyncDirectory(sidecars)
      await writeFileDurable(sidecar, bytes, { mode: 0o600 })
    },
    read(path, stat) {
      const own = hasAttributes ? unpack(attributeOf(path), stat) : undefined
      return own ?? unpack(contentOf(sidecarOf(stat)), stat)
    },
    forget(stat) {
      rmSync(sidecarOf(stat), { force: true })
    },
  }
}

function canHoldAttributes(probePath: string): boolean {
  try {
    setAttributeSync(probePath, attribute, Buffer.from('probe'))
    return getAttributeSync(probePath, attribute)?.toString() === 'probe'
  } catch {
    return false
  }
}

function attributeOf(path: string): Buffer | null {
  try {
    return getAttributeSync(path, attribute)
  } catch {
    return null
  }
}

function contentOf(path: string): Buffer | null {
  try {
    return readFileSync(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

function packedOf(stat: BigIntStats, metadata: FileMetadata): Packed {
  const { etag, sha256, checksum, contentType, headers, userMetadata, parts, uploadId, key, adoptedMs } = metadata
  return {
    v: 1,
    s: [`${stat.ino}`, `${stat.size}`, `${stat.mtimeNs}`],
    e: etag,
    ...(sha256 === undefined ? {} : { h: sha256 }),
    ...(checksum === undefined ? {} : { c: checksum }),
    ...(contentType === undefined ? {} : { t: contentType }),
    ...(headers === undefined || Object.keys(headers).length === 0 ? {} : { d: headers }),
    ...(userMetadata === undefined || Object.keys(userMetadata).length === 0 ? {} : { m: userMetadata }),
    ...(parts === undefined ? {} : { p: parts }),
    ...(uploadId === undefined ? {} : { u: uploadId }),
    ...(key === undefined ? {} : { k: key }),
    ...(adoptedMs === undefined ? {} : { a: adoptedMs }),
  }
}

function metadataOf({ e, h, c, t, d, m, p, u, k, a }: Packed): FileMetadata {
  return {
    etag: e,
    ...(h === undefined ? {} : { sha256: h }),
    ...(c === undefined ? {} : { checksum: c }),
    ...(t === undefined ? {} : { contentType: t }),
    ...(d === undefined ? {} : { headers: d }),
    ...(m === undefined ? {} : { userMetadata: m }),
    ...(p === undefined ? {} : { parts: p }),
    ...(u === undefined ? {} : { uploadId: u }),
    ...(k === undefined ? {} : { key: k }),
    ...(a === undefined ? {} : { adoptedMs: a }),
  }
}

/** [8, 8, 8, 3] as [[3, 8], [1, 3]]: ten thousand parts fit into an attribute. */
export function packParts(sizes: readonly number[]): [number, number][] {
  const runs: [number, number][] = []
  for (const size of sizes) {
    const last = runs.at(-1)
    if (last !== undefined && last[1] === size) last[0] += 1
    else runs.push([1, size])
  }
  return runs
}

export function unpackParts(runs: readonly [number, number][]): number[] {
  return runs.flatMap(([count, size]) => Array.from({ length: count }, () => size))
}

/** Of a file whose content nobody has hashed. Never looks like an MD5; changes when the file does. */
export function foreignEtag(stat: { mtimeNs: bigint; ino: bigint; size: bigint }): string {
  return `x${stat.mtimeNs.toString(36)}-${stat.ino.toString(36)}-${stat.size.toString(36)}`
}
