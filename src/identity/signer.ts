/**
 * The one signer. Everything signed in this installation (access tokens of people, machines, sessions and jobs, ID tokens
 * of the provider, tokens of the experiments' issuers) passes `sign`, which itself refuses a foreign issuer or an overlong
 * life: a bug above cannot mint a ten-year token. Keys live in the secrets folder (tokens/signing-keys.ts).
 */
import { createPrivateKey, createPublicKey, sign as signBytes, type KeyObject } from 'node:crypto'
import { z } from 'zod'
import type { Clock } from '../foundation/time.ts'
import { openSigningKeys, type SigningKey, type SigningKeys } from './tokens/signing-keys.ts'

/** No token of any kind lives longer. */
export const longestTokenMs = 12 * 3_600_000
/** A token begun under a key that has just been followed by another is still signed. */
const handOverMs = 60_000

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

export interface Signer {
  /** Of the site: who signs people in. Each experiment has an issuer of its own beside it, with the same keys. */
  readonly issuer: string
  /** The id of the key that signs now. */
  readonly kid: string
  /** Public keys that verifiers accept: the next one, the one in use, and those before it for two days and six hours. */
  readonly jwks: { keys: PublicKey[] }
  readonly keys: SigningKeys
  publicKey(kid: string): KeyObject
  /** Signs a JWS signing input (`header.payload`); throws for anything this issuer must not say. */
  sign(signingInput: Uint8Array): Uint8Array
  /** A compact JWT of these claims; `iss`, `iat` and `kid` are set here. `issuer`: of an experiment, else the site's. */
  token(claims: Record<string, unknown> & { lifetimeMs: number; issuer?: string }, type: 'at+jwt' | 'JWT'): string
}

export async function openSigner(options: { secretsDirectory: string; issuer: string; clock: Clock }): Promise<Signer> {
  const { issuer, clock } = options
  const keys = await openSigningKeys(options.secretsDirectory, clock)
  await keys.tend()
  const root = new URL(issuer).origin
  const opened = new Map<string, KeyObject>()

  function privateKeyOf({ kid, key }: SigningKey): KeyObject {
    const present = opened.get(kid) ?? createPrivateKey({ key: { ...key }, format: 'jwk' })
    opened.set(kid, present)
    return present
  }

  function mayStillSign(kid: unknown): SigningKey | undefined {
    const now = clock.nowMs()
    const all = keys.list()
    const index = all.findIndex((each) => each.kid === kid)
    const key = all[index]
    const followed = all[index + 1]?.signsFromMs ?? Infinity
    return key !== undefined && (key === keys.current() || (key.signsFromMs <= now && followed + handOverMs > now))
      ? key
      : undefined
  }

  function sign(signingInput: Uint8Array): Uint8Array {
    const [header, claims] = Buffer.from(signingInput).toString('utf8').split('.').map(decodeJson)
    const key = mayStillSign(header?.kid)
    const now = clock.nowMs() / 1000
    const lives = typeof claims?.exp === 'number' && claims.exp - now <= longestTokenMs / 1000 + 60
    const isOurs = claims?.iss === issuer || experimentOfIssuer(root, claims?.iss) !== undefined
    if (header?.alg !== 'ES256' || key === undefined || !isOurs || !lives) {
      throw new Error('the signer refuses this token')
    }
    return signBytes('sha256', signingInput, { key: privateKeyOf(key), dsaEncoding: 'ieee-p1363' })
  }

  return {
    issuer,
    keys,
    get kid() {
      return keys.current().kid
    },
    get jwks() {
      return {
        keys: keys.list().map(({ kid, key: { kty, crv, x, y } }) => ({
          kty,
          crv,
          x,
          y,
          kid,
          alg: 'ES256' as const,
          use: 'sig' as const,
        })),
      }
    },
    publicKey: (kid) => createPublicKey(privateKeyOf(keys.list().find((each) => each.kid === kid) ?? keys.current())),
    sign,
    token({ lifetimeMs, issuer: named, ...claims }, type) {
      const issuedAt = Math.floor(clock.nowMs() / 1000)
      const body = {
        nbf: issuedAt,
        ...claims,
        iss: named ?? issuer,
        iat: issuedAt,
        exp: issuedAt + Math.floor(lifetimeMs / 1000),
      }
      const input = `${encodeJson({ alg: 'ES256', typ: type, kid: keys.current().kid })}.${encodeJson(body)}`
      return `${input}.${Buffer.from(sign(Buffer.from(input))).toString('base64url')}`
    },
  }
}

/** `<publicUrl>/e/<experiment>`: whose tokens speak of one experiment only, as the WLCG profile wants it. */
export function experimentIssuer(publicUrl: string, experiment: string): string {
  return `${publicUrl}/e/${experiment}`
}

/** The experiment of an issuer of ours; undefined for everything that is not exactly one. */
export function experimentOfIssuer(publicUrl: string, issuer: unknown): string | undefined {
  const prefix = `${publicUrl}/e/`
  if (typeof issuer !== 'string' || !issuer.startsWith(prefix)) return undefined
  const name = issuer.slice(prefix.length)
  return /^[a-z][a-z0-9-]{0,38}[a-z0-9]$/.test(name) ? name : undefined
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
