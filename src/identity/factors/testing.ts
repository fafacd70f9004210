/** For tests: an authenticator in software that does what it is told, also what a real one never would. */
import { createHash, generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto'
import { onTestFinished } from 'vitest'
import { openDatabase } from '../../foundation/database.ts'
import type { OpenTestDatabase } from '../../foundation/testing.ts'
import type { PasskeyAnswer, PasskeyMade } from './passkeys.ts'

/** For what has nothing to do with the kind of database. */
export const memoryDatabase: OpenTestDatabase = async () => {
  const database = await openDatabase({ url: 'sqlite::memory:' })
  onTestFinished(() => database.close())
  return database
}

export interface Told {
  origin: string
  rpId: string
  userVerified?: boolean
  crossOrigin?: boolean
  topOrigin?: string
  /** Of the answer; a real one counts up. */
  counter?: number
  type?: string
  userHandle?: string
}

export interface SoftPasskey {
  id: string
  made: PasskeyMade
  answer(options: Record<string, unknown>, told?: Partial<Told>): PasskeyAnswer
}

interface CreationOptions {
  challenge: string
  user: { id: string }
}

/** Makes a passkey for these options (of `startPasskey`). */
export function makePasskey(options: Record<string, unknown>, told: Told): SoftPasskey {
  const { challenge, user } = options as unknown as CreationOptions
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const credentialId = randomBytes(32)
  const id = credentialId.toString('base64url')
  const attested = Buffer.concat([Buffer.alloc(16), uint16(credentialId.length), credentialId, coseKey(publicKey)])
  const authenticatorData = Buffer.concat([authenticatorHead({ ...told, counter: 0 }, 0x40), attested])
  const attestationObject = Buffer.concat([
    Buffer.from([0xa3]),
    cborText('fmt'),
    cborText('none'),
    cborText('attStmt'),
    Buffer.from([0xa0]),
    cborText('authData'),
    cborBytes(authenticatorData),
  ])
  let counter = 0
  return {
    id,
    made: {
      id,
      rawId: id,
      type: 'public-key',
      response: {
        clientDataJSON: clientData('webauthn.create', challenge, told),
        attestationObject: attestationObject.toString('base64url'),
        transports: ['internal'],
      },
    },
    answer(asked, differently = {}) {
      const how = { ...told, ...differently }
      counter = how.counter ?? counter + 1
      const said = clientData('webauthn.get', (asked as unknown as CreationOptions).challenge, how)
      const head = authenticatorHead({ ...how, counter })
      const signed = Buffer.concat([head, createHash('sha256').update(Buffer.from(said, 'base64url')).digest()])
      return {
        id,
        rawId: id,
        type: 'public-key',
        response: {
          clientDataJSON: said,
          authenticatorData: head.toString('base64url'),
          signature: sign('sha256', signed, privateKey).toString('base64url'),
          userHandle: how.userHandle ?? user.id,
        },
      }
    },
  }
}

function clientData(
  type: string,
  challenge: string,
  { origin, crossOrigin = false, topOrigin, type: other }: Told,
): string {
  const said = { type: other ?? type, challenge, origin, crossOrigin, ...(topOrigin !== undefined && { topOrigin }) }
  return Buffer.from(JSON.stringify(said)).toString('base64url')
}

function authenticatorHead({ rpId, userVerified = true, counter }: Told & { counter: number }, moreFlags = 0): Buffer {
  const flags = 0x01 | (userVerified ? 0x04 : 0) | moreFlags
  const count = Buffer.alloc(4)
  count.writeUInt32BE(counter)
  return Buffer.concat([createHash('sha256').update(rpId).digest(), Buffer.from([flags]), count])
}

/** EC2, ES256, P-256 (RFC 9053). */
function coseKey(publicKey: KeyObject): Buffer {
  const { x, y } = publicKey.export({ format: 'jwk' }) as { x: string; y: string }
  return Buffer.concat([
    Buffer.from([0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21]),
    cborBytes(Buffer.from(x, 'base64url')),
    Buffer.from([0x22]),
    cborBytes(Buffer.from(y, 'base64url')),
  ])
}

function cborText(text: string): Buffer {
  return Buffer.concat([Buffer.from([0x60 + text.length]), Buffer.from(text)])
}

function cborBytes(bytes: Buffer): Buffer {
  const head =
    bytes.length < 24
      ? [0x40 + bytes.length]
      : bytes.length < 256
        ? [0x58, bytes.length]
        : [0x59, bytes.length >> 8, bytes.length & 255]
  return Buffer.concat([Buffer.from(head), bytes])
}

function uint16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 255])
}
