/** Records of a ROOT file: a key (who it is, where it lies), then the bytes of the object, compressed where that helps. */
import { deflateSync } from 'node:zlib'
import type { RootBytes } from './root-bytes.ts'

export interface RecordName {
  className: string
  name: string
  title: string
}

/** Version of a key with 64-bit positions: files may grow past 2 GB. */
const keyVersion = 1004
/** The largest piece one compression block may hold. */
const blockBytes = 0xffffff
const zlibMethod = 8
const compressionLevel = 1
/** What the file says of its compression: 100 x algorithm (1 = zlib) + level. */
export const compressionSettings = 100 + compressionLevel

export function keyLength({ className, name, title }: RecordName): number {
  return 34 + stringLength(className) + stringLength(name) + stringLength(title)
}

export function stringLength(text: string): number {
  const bytes = Buffer.byteLength(text)
  return bytes < 255 ? 1 + bytes : 5 + bytes
}

export interface KeyFields extends RecordName {
  /** Bytes of the object when it is not compressed. */
  objectBytes: number
  storedBytes: number
  position: number
  /** Where the directory lies; 0 for the directory itself. */
  parent: number
  cycle: number
  dateTime: number
  /** Longer than the plain key for a basket, which puts fields of its own behind it. */
  length: number
}

export function writeKey(bytes: RootBytes, key: KeyFields): void {
  bytes
    .i32(key.length + key.storedBytes)
    .i16(keyVersion)
    .i32(key.objectBytes)
    .u32(key.dateTime)
  bytes.i16(key.length).i16(key.cycle).i64(key.position).i64(key.parent)
  bytes.string(key.className).string(key.name).string(key.title)
}

/** zlib blocks with the nine bytes ROOT puts before each, or the bytes as they are where that is not shorter. */
export function compressed(object: Uint8Array): Uint8Array {
  const blocks: Uint8Array[] = []
  for (let start = 0; start < object.length; start += blockBytes) {
    const piece = object.subarray(start, start + blockBytes)
    const packed = deflateSync(piece, { level: compressionLevel })
    if (packed.length > blockBytes) return object
    const head = Uint8Array.of(0x5a, 0x4c, zlibMethod, ...threeBytes(packed.length), ...threeBytes(piece.length))
    blocks.push(head, packed)
  }
  const whole = Buffer.concat(blocks)
  return whole.length < object.length ? whole : object
}

/** Little-endian, unlike everything else. */
const threeBytes = (value: number): number[] => [value & 255, (value >> 8) & 255, (value >> 16) & 255]

/** TDatime: seconds since 1995 in fields of bits, UTC. */
export function dateTimeCode(atMs: number): number {
  const date = new Date(atMs)
  const years = Math.max(0, date.getUTCFullYear() - 1995)
  const day = ((years << 26) | ((date.getUTCMonth() + 1) << 22) | (date.getUTCDate() << 17)) >>> 0
  return (day | (date.getUTCHours() << 12) | (date.getUTCMinutes() << 6) | date.getUTCSeconds()) >>> 0
}
