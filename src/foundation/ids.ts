/** Identifiers and randomness. */
import { randomBytes } from 'node:crypto'

let lastMs = 0
let counter = 0

/**
 * A UUID of version 7 (RFC 9562): 48 bits of milliseconds, then 12 bits of counter, then random. Ids made by one
 * process sort in the order in which they were made.
 */
export function uuid7(nowMs: number = Date.now()): string {
  if (nowMs > lastMs) {
    lastMs = nowMs
    counter = 0
  } else if (++counter > 0xfff) {
    lastMs += 1
    counter = 0
  }
  const bytes = randomBytes(16)
  bytes.writeUIntBE(lastMs, 0, 6)
  bytes.writeUInt16BE(0x7000 | counter, 6)
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  const hex = bytes.toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

/** A secret of so many random bytes, in base64url. */
export function randomToken(sizeBytes = 32): string {
  return randomBytes(sizeBytes).toString('base64url')
}

const shortAlphabet = '23456789abcdefghjkmnpqrstuvwxyz'

/** Ten letters and digits without look-alikes (49 bits): for names that people read aloud; not a secret. */
export function shortId(length = 10): string {
  return Array.from(randomBytes(length), (byte) => shortAlphabet[byte % shortAlphabet.length]).join('')
}
