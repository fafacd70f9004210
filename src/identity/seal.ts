/** Secrets at rest: what must be read again is sealed, what must only be recognised is hashed. */
import { createCipheriv, createDecipheriv, createHash, randomBytes, timingSafeEqual } from 'node:crypto'

export interface Seal {
  /** AES-256-GCM; `purpose` is authenticated, so that a sealed value moved to another row does not open. */
  close(text: string, purpose: string): string
  /** Throws if the value was changed, belongs to another purpose, or was sealed under another key. */
  open(sealed: string, purpose: string): string
}

const nonceBytes = 12
const tagBytes = 16

export function createSeal(key: Uint8Array): Seal {
  return {
    close(text, purpose) {
      const nonce = randomBytes(nonceBytes)
      const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes })
      cipher.setAAD(Buffer.from(purpose))
      const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
      return `1.${Buffer.concat([nonce, body, cipher.getAuthTag()]).toString('base64url')}`
    },
    open(sealed, purpose) {
      if (!sealed.startsWith('1.')) throw new Error('unknown seal')
      const bytes = Buffer.from(sealed.slice(2), 'base64url')
      const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, nonceBytes), { authTagLength: tagBytes })
      decipher.setAAD(Buffer.from(purpose))
      decipher.setAuthTag(bytes.subarray(-tagBytes))
      return Buffer.concat([decipher.update(bytes.subarray(nonceBytes, -tagBytes)), decipher.final()]).toString('utf8')
    },
  }
}

/** For random secrets of at least 160 bits only (never for passwords): the row tells nothing, the lookup stays one index. */
export function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('base64url')
}

/** Compares without telling by its duration where the first difference is. */
export function sameSecret(one: string, other: string): boolean {
  return timingSafeEqual(createHash('sha256').update(one).digest(), createHash('sha256').update(other).digest())
}
