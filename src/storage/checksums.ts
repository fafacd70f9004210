/**
 * The checksums of S3 that Node does not have: CRC-32C (RFC 3720) and CRC-64/NVME (NVM Express, "64-bit CRC"), both
 * reflected, and how the CRC of a whole follows from the CRCs of its parts. Tables of eight bytes at a time.
 */
import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import type { ChecksumName } from './model.ts'

export const checksumNames: readonly ChecksumName[] = ['crc32', 'crc32c', 'crc64nvme', 'sha1', 'sha256']

export const checksumSizeBytes: Readonly<Record<ChecksumName, number>> = {
  crc32: 4,
  crc32c: 4,
  crc64nvme: 8,
  sha1: 20,
  sha256: 32,
}

export interface Checksum {
  update(bytes: Uint8Array): void
  digest(): Buffer
}

export function createChecksum(name: ChecksumName | 'md5'): Checksum {
  switch (name) {
    case 'crc32': {
      let value = 0
      return {
        update(bytes) {
          value = crc32(bytes, value)
        },
        digest: () => uint32(value),
      }
    }
    case 'crc32c':
      return createCrc32c()
    case 'crc64nvme':
      return createCrc64nvme()
    default: {
      const hash = createHash(name)
      return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest() }
    }
  }
}

function uint32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4)
  bytes.writeUInt32BE(value >>> 0)
  return bytes
}

let crc32cTables: Int32Array[] | undefined

function tablesOfCrc32c(): Int32Array[] {
  const tables = Array.from({ length: 8 }, () => new Int32Array(256))
  for (let byte = 0; byte < 256; byte += 1) {
    let value = byte
    for (let bit = 0; bit < 8; bit += 1) value = (value & 1) !== 0 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1
    tables[0]![byte] = value
  }
  for (let table = 1; table < 8; table += 1) {
    for (let byte = 0; byte < 256; byte += 1) {
      const before = tables[table - 1]![byte]!
      tables[table]![byte] = (before >>> 8) ^ tables[0]![before & 255]!
    }
  }
  return tables
}

function createCrc32c(): Checksum {
  crc32cTables ??= tablesOfCrc32c()
  const [t0, t1, t2, t3, t4, t5, t6, t7] = crc32cTables as [
    Int32Array,
    Int32Array,
    Int32Array,
    Int32Array,
    Int32Array,
    Int32Array,
    Int32Array,
    Int32Array,
  ]
  let state = -1
  return {
    update(bytes) {
      let value = state
      const whole = bytes.length - (bytes.length % 8)
      let at = 0
      for (; at < whole; at += 8) {
        const low = value ^ (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24))
        value =
          t7[low & 255]! ^
          t6[(low >>> 8) & 255]! ^
          t5[(low >>> 16) & 255]! ^
          t4[low >>> 24]! ^
          t3[bytes[at + 4]!]! ^
          t2[bytes[at + 5]!]! ^
          t1[bytes[at + 6]!]! ^
          t0[bytes[at + 7]!]!
      }
      for (; at < bytes.length; at += 1) value = (value >>> 8) ^ t0[(value ^ bytes[at]!) & 255]!
      state = value
    },
    digest: () => uint32(~state),
  }
}

interface WideTables {
  low: Int32Array
  high: Int32Array
}

let crc64Tables: WideTables | undefined

/** Entry `table * 256 + byte`, split into halves of 32 bits. */
function tablesOfCrc64nvme(): WideTables {
  const low = new Int32Array(8 * 256)
  const high = new Int32Array(8 * 256)
  for (let byte = 0; byte < 256; byte += 1) {
    let l = byte
    let h = 0
    for (let bit = 0; bit < 8; bit += 1) {
      const odd = (l & 1) !== 0
      l = (l >>> 1) | (h << 31)
      h >>>= 1
      if (odd) {
        l ^= 0xac4bc9b5
        h ^= 0x9a6c9329
      }
    }
    low[byte] = l
    high[byte] = h
  }
  for (let table = 1; table < 8; table += 1) {
    for (let byte = 0; byte < 256; byte += 1) {
      const from = (table - 1) * 256 + byte
      const l = low[from]!
      const h = high[from]!
      low[table * 256 + byte] = ((l >>> 8) | (h << 24)) ^ low[l & 255]!
      high[table * 256 + byte] = (h >>> 8) ^ high[l & 255]!
    }
  }
  return { low, high }
}

function createCrc64nvme(): Checksum {
  crc64Tables ??= tablesOfCrc64nvme()
  const { low, high } = crc64Tables
  let stateLow = -1
  let stateHigh = -1
  return {
    update(bytes) {
      let l = stateLow
      let h = stateHigh
      const whole = bytes.length - (bytes.length % 8)
      let at = 0
      for (; at < whole; at += 8) {
        l ^= bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
        h ^= bytes[at + 4]! | (bytes[at + 5]! << 8) | (bytes[at + 6]! << 16) | (bytes[at + 7]! << 24)
        const a = 1792 + (l & 255)
        const b = 1536 + ((l >>> 8) & 255)
        const c = 1280 + ((l >>> 16) & 255)
        const d = 1024 + (l >>> 24)
        const e = 768 + (h & 255)
        const f = 512 + ((h >>> 8) & 255)
        const g = 256 + ((h >>> 16) & 255)
        const i = h >>> 24
        l = low[a]! ^ low[b]! ^ low[c]! ^ low[d]! ^ low[e]! ^ low[f]! ^ low[g]! ^ low[i]!
        h = high[a]! ^ high[b]! ^ high[c]! ^ high[d]! ^ high[e]! ^ high[f]! ^ high[g]! ^ high[i]!
      }
      for (; at < bytes.length; at += 1) {
        const index = (l ^ bytes[at]!) & 255
        l = ((l >>> 8) | (h << 24)) ^ low[index]!
        h = (h >>> 8) ^ high[index]!
      }
      stateLow = l
      stateHigh = h
    },
    digest() {
      const bytes = Buffer.allocUnsafe(8)
      bytes.writeUInt32BE(~stateHigh >>> 0, 0)
      bytes.writeUInt32BE(~stateLow >>> 0, 4)
      return bytes
    },
  }
}

const polynomials = {
  crc32: { width: 32n, polynomial: 0xedb88320n },
  crc32c: { width: 32n, polynomial: 0x82f63b78n },
  crc64nvme: { width: 64n, polynomial: 0x9a6c9329ac4bc9b5n },
}

export type CrcName = keyof typeof polynomials

export function isCrc(name: ChecksumName): name is CrcName {
  return name in polynomials
}

/**
 * The CRC of the concatenation of parts, from the CRC and the size of each: crc(a|b) = crc(a) * x^(8|b|) + crc(b) in
 * GF(2)[x] modulo the polynomial, all reflected.
 */
export function combineCrcs(name: CrcName, parts: readonly { digest: Buffer; sizeBytes: number }[]): Buffer {
  const { width, polynomial } = polynomials[name]
  const one = 1n << (width - 1n)
  const multiply = (a: bigint, b: bigint): bigint => {
    let product = 0n
    for (let bit = one, shifted = b; bit > 0n; bit >>= 1n) {
      if ((a & bit) !== 0n) product ^= shifted
      shifted = (shifted & 1n) !== 0n ? (shifted >> 1n) ^ polynomial : shifted >> 1n
    }
    return product
  }
  const shifts = new Map<number, bigint>()
  const shiftBy = (sizeBytes: number): bigint => {
    let shift = shifts.get(sizeBytes)
    if (shift === undefined) {
      shift = one
      for (
        let rest = BigInt(sizeBytes) * 8n, power = one >> 1n;
        rest > 0n;
        rest >>= 1n, power = multiply(power, power)
      ) {
        if ((rest & 1n) !== 0n) shift = multiply(shift, power)
      }
      shifts.set(sizeBytes, shift)
    }
    return shift
  }
  let whole = 0n
  for (const { digest, sizeBytes } of parts) {
    whole = multiply(shiftBy(sizeBytes), whole) ^ BigInt(`0x${digest.toString('hex')}`)
  }
  return Buffer.from(whole.toString(16).padStart(Number(width) / 4, '0'), 'hex')
}
