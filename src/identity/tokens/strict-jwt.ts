/**
 * Reading a JWT strictly, before anything in it is believed: length, three canonical base64url parts, a header of exactly
 * the expected kind, a key by its id, the signature, JSON without two readings. Times and the rest are for the caller.
 */
import { compactVerify, importJWK, type JWK } from 'jose'
import { z } from 'zod'

export const longestTokenBytes = 8192
/** How far ahead of us a clock may be that says when a token begins. None for its end. */
export const skewSeconds = 60

/** Why a token was refused, for those who must answer each kind with another code (STS). */
export type RefusalKind = 'invalid' | 'expired' | 'denied' | 'id-token' | 'unreachable'

/** What the log learns; the caller only learns that the token is bad. */
export class TokenRefusal extends Error {
  readonly kind: RefusalKind

  constructor(reason: string, kind: RefusalKind = 'invalid', cause?: unknown) {
    super(`token refused: ${reason}`, { cause })
    this.kind = kind
  }
}

export const secondsSchema = z.number().int().min(0).max(100_000_000_000)
export const identifierSchema = z.string().min(1).max(255)

export interface ExpectedJwt {
  /** The `typ` of the header; undefined among them: it may be absent. */
  types: readonly (string | undefined)[]
  algorithms: readonly ('ES256' | 'RS256' | 'EdDSA')[]
  /** By id only: nothing is fetched, and nothing else in the header leads to a key. */
  keyOf(kid: string, header: { alg: string }): JWK | undefined | Promise<JWK | undefined>
  /** Made by ourselves: the JSON must be exactly what our own writer writes. */
  isOurs?: boolean
}

const headerSchema = z.strictObject({ alg: z.string(), typ: z.string().optional(), kid: identifierSchema })
/** Members some issuers add that say nothing about the key; everything else is refused. */
const foreignHeaderSchema = headerSchema.extend({ x5t: z.string().optional(), 'x5t#S256': z.string().optional() })

/** The claims, whose signature is right. @throws TokenRefusal */
export async function readJwt(token: string, expected: ExpectedJwt): Promise<Record<string, unknown>> {
  if (token.length > longestTokenBytes) throw new TokenRefusal('too long')
  const parts = token.split('.')
  if (parts.length !== 3 || !parts.every(isCanonical)) throw new TokenRefusal('not three canonical base64url parts')
  const isOurs = expected.isOurs === true
  const header = (isOurs ? headerSchema : foreignHeaderSchema).safeParse(readJson(parts[0]!, isOurs))
  if (!header.success) throw new TokenRefusal('unexpected header', 'invalid', header.error)
  const { alg, typ, kid } = header.data
  const algorithm = expected.algorithms.find((one) => one === alg)
  if (algorithm === undefined) throw new TokenRefusal('unexpected algorithm')
  if (!expected.types.includes(typ)) throw new TokenRefusal('unexpected type', typ === 'JWT' ? 'id-token' : 'invalid')
  const key = await expected.keyOf(kid, { alg })
  if (key === undefined) throw new TokenRefusal('unknown key')
  const imported = await importJWK(key, algorithm).catch((cause: unknown) => {
    throw new TokenRefusal('unusable key', 'invalid', cause)
  })
  await compactVerify(token, imported, { algorithms: [algorithm] }).catch((cause: unknown) => {
    throw new TokenRefusal('bad signature', 'invalid', cause)
  })
  const claims = readJson(parts[1]!, isOurs)
  if (typeof claims !== 'object' || claims === null || Array.isArray(claims))
    throw new TokenRefusal('claims are not a JSON object')
  return claims as Record<string, unknown>
}

/** The claims of a token whose signature nobody has looked at yet: only to find out whose key must be asked. */
export function unverifiedIssuer(token: string): string | undefined {
  const part = token.length > longestTokenBytes ? undefined : token.split('.')[1]
  const claims = part === undefined || !isCanonical(part) ? undefined : readJson(part, false)
  const issuer = (claims as { iss?: unknown } | undefined)?.iss
  return typeof issuer === 'string' ? issuer : undefined
}

/** One token has one spelling: no padding, no blanks, no second encoding of the last character. */
function isCanonical(part: string): boolean {
  return part !== '' && Buffer.from(part, 'base64url').toString('base64url') === part
}

/** The JSON of a part; undefined unless it has exactly one reading. */
function readJson(part: string, isOurs: boolean): unknown {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(part, 'base64url'))
    const value: unknown = JSON.parse(text)
    if (text.includes('__proto__')) return undefined
    const hasOneReading = isOurs ? JSON.stringify(value) === text : !repeatsMember(text)
    return hasOneReading ? value : undefined
  } catch {
    return undefined
  }
}

/** Does an object of this valid JSON name a member twice, however it is spelled? */
function repeatsMember(text: string): boolean {
  const open: (Set<string> | undefined)[] = []
  const tokens = text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\],:]/g)
  let last: string | undefined
  for (const [token] of tokens) {
    if (token === '{') open.push(new Set())
    else if (token === '[') open.push(undefined)
    else if (token === '}' || token === ']') open.pop()
    else if (token === ':') {
      const names = open.at(-1)
      const name = JSON.parse(last ?? '""') as string
      if (names?.has(name)) return true
      names?.add(name)
    }
    last = token
  }
  return false
}
