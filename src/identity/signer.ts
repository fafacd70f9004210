/**
 * The one signer. Everything signed in this installation (access tokens of people, machines, sessions and jobs, ID tokens
 * of the provider) passes `sign`, which itself refuses a foreign issuer or an overlong life: a bug above cannot mint a
 * ten-year token. Keys live in the secrets folder, 0600.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, sign as signBytes, type KeyObject } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { ensureDirectory, readJsonFile, writeFileDurable } from '../foundation/files.ts'
import { shortId } from '../foundation/ids.ts'
import type { Clock } from '../foundation/time.ts'
import { identityFaults } from './errors.ts'

/** No token of any kind lives longer. */
export const longestTokenMs = 12 * 3_600_000

export const publicKeySchema = z.object({
  kty: z.literal('EC'),
  crv: z.literal('P-256'),
  x: z.string(),
  y: z.string(),
  kid: z.string(),
  alg: z.literal('ES256'),
  use: z.literal('sig'),
})
export type PublicKey = z.infer<typeof publicKeySchema>

const privateKeySchema = z.object({
  kty: z.literal('EC'),
  crv: z.literal('P-256'),
  x: z.string(),
  y: z.string(),
  d: z.string(),
})
const keyFileSchema = z.object({
  keys: z.array(z.object({ kid: z.string(), createdAtMs: z.number().int(), key: privateKeySchema })).min(1),
})

export interface Signer {
  readonly issuer: string
  /** The id of the key that signs now. */
  readonly kid: string
  /** Public keys that verifiers accept. */
  readonly jwks: { keys: PublicKey[] }
  publicKey(): KeyObject
  /** Signs a JWS signing input (`header.payload`); throws for anything this issuer must not say. */
  sign(signingInput: Uint8Array): Uint8Array
  /** A compact JWT of these claims; `iss`, `iat` and `kid` are set here. */
  token(claims: Record<string, unknown> & { lifetimeMs: number }, type: 'at+jwt' | 'JWT'): string
}

export async function openSigner(options: { secretsDirectory: string; issuer: string; clock: Clock }): Promise<Signer> {
  const { issuer, clock } = options
  const { keys } = await loadOrCreateKeys(options.secretsDirectory, clock)
  const current = keys.at(-1)!
  const privateKey = createPrivateKey({ key: { ...current.key }, format: 'jwk' })

  function sign(signingInput: Uint8Array): Uint8Array {
    const [header, claims] = Buffer.from(signingInput).toString('utf8').split('.').map(decodeJson)
    const now = clock.nowMs() / 1000
    const lives = typeof claims?.exp === 'number' && claims.exp - now <= longestTokenMs / 1000 + 60
    if (header?.alg !== 'ES256' || header.kid !== current.kid || claims?.iss !== issuer || !lives) {
      throw new Error('the signer refuses this token')
    }
    return signBytes('sha256', signingInput, { key: privateKey, dsaEncoding: 'ieee-p1363' })
  }

  return {
    issuer,
    kid: current.kid,
    jwks: {
      keys: keys.map(({ kid, key: { kty, crv, x, y } }) => ({ kty, crv, x, y, kid, alg: 'ES256', use: 'sig' })),
    },
    publicKey: () => createPublicKey(privateKey),
    sign,
    token({ lifetimeMs, ...claims }, type) {
      const issuedAt = Math.floor(clock.nowMs() / 1000)
      const body = {
        ...claims,
        iss: issuer,
        iat: issuedAt,
        nbf: issuedAt,
        exp: issuedAt + Math.floor(lifetimeMs / 1000),
      }
      const input = `${encodeJson({ alg: 'ES256', typ: type, kid: current.kid })}.${encodeJson(body)}`
      return `${input}.${Buffer.from(sign(Buffer.from(input))).toString('base64url')}`
    },
  }
}

async function loadOrCreateKeys(directory: string, clock: Clock): Promise<z.infer<typeof keyFileSchema>> {
  const path = join(directory, 'signing-keys.json')
  const existing = await readJsonFile(path, keyFileSchema)
  if (existing !== undefined) {
    await refuseIfOthersMayRead(path)
    return existing
  }
  await ensureDirectory(directory, 0o700)
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const createdAtMs = clock.nowMs()
  const kid = `${new Date(createdAtMs).toISOString().slice(0, 10)}-${shortId(6)}`
  const fresh = keyFileSchema.parse({ keys: [{ kid, createdAtMs, key: privateKey.export({ format: 'jwk' }) }] })
  await writeFileDurable(path, JSON.stringify(fresh), { mode: 0o600 })
  return fresh
}

async function refuseIfOthersMayRead(path: string): Promise<void> {
  const { mode } = await stat(path)
  if ((mode & 0o077) === 0) return
  throw identityFaults.insecureSecrets(`${path} can be read by others.`, {
    hint: `chmod 600 ${path}, then make new keys.`,
  })
}

function encodeJson(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

function decodeJson(part: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(Buffer.from(part, 'base64url').toString('utf8')) as Record<string, unknown>
  } catch {
    return undefined
  }
}
