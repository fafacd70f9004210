/** The code of an invitation: 160 random bits, in letters and digits that survive being read aloud. */
import { randomBytes } from 'node:crypto'
import { hashOf } from '../seal.ts'

/** RFC 4648, section 6. */
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

export function newInvitationCode(): string {
  let bits = BigInt(`0x${randomBytes(20).toString('hex')}`)
  let code = ''
  for (let place = 0; place < 32; place += 1) {
    code = alphabet[Number(bits & 31n)]! + code
    bits >>= 5n
  }
  return code
}

/** What is stored of it. Case and blanks do not count: people copy from mails. */
export function hashOfInvitationCode(code: string): string {
  return hashOf(code.replaceAll(/[\s-]/g, '').toUpperCase())
}

/** The code is in the fragment: it reaches no server log, no proxy and no Referer. */
export function joinUrl(publicUrl: string, code: string): string {
  return `${publicUrl}/join#code=${code}`
}
