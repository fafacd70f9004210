/**
 * The only code that looks inside an access token. Order after the study: length, three canonical base64url parts, exact
 * header, key by `kid`, signature, then claims, then the living state (epoch, account, access key) of the snapshot.
 * Every refusal is one Fault with one sentence: the caller learns that the token is bad, the log learns why.
 */
import { compactVerify, importJWK } from 'jose'
import { z } from 'zod'
import { actions, type Action } from '../foundation/contract.ts'
import { identityFaults } from './errors.ts'
import { longestTokenMs } from './signer.ts'
import { activeSubject, actingSubject, subjectOf, subjectOfAccessKey, type IdentitySnapshot } from './snapshot.ts'
import type { Subject } from './subject.ts'

const longestTokenBytes = 8192
const skewSeconds = 60

const seconds = z.number().int().min(0).max(100_000_000_000)
const identifier = z.string().min(1).max(255)

const headerSchema = z.strictObject({ alg: z.literal('ES256'), typ: z.literal('at+jwt'), kid: identifier })

const claimsSchema = z.object({
  iss: z.string(),
  aud: z.string(),
  sub: identifier,
  client_id: identifier,
  jti: identifier,
  iat: seconds,
  nbf: seconds.optional(),
  exp: seconds,
  scope: z.string().max(2000),
  epoch: z.number().int().min(0),
  'wlcg.ver': z.string().regex(/^1\.\d+$/),
  act: z.strictObject({ sub: z.string().regex(/^(session|job):[\w.-]{1,200}$/) }).optional(),
  cygnet: z.strictObject({
    kind: z.enum(['person', 'client', 'session', 'job']),
    experiment: z.string().optional(),
    accessKeyId: z.string().optional(),
  }),
})
type Claims = z.infer<typeof claimsSchema>

export interface VerifiedToken {
  subject: Subject
  tokenId: string
  clientId: string
  expiresAtMs: number
}

/**
 * Who this access token speaks for, now, by this snapshot.
 * @throws Fault identity.invalid_token for every token that is not wholly right.
 */
export async function verifyAccessTokenWith(
  snapshot: IdentitySnapshot,
  token: string,
  nowMs: number = Date.now(),
): Promise<VerifiedToken> {
  if (token.length > longestTokenBytes) throw refuse('too long')
  const parts = token.split('.')
  if (parts.length !== 3 || !parts.every(isCanonical)) throw refuse('not three canonical base64url parts')
  const header = headerSchema.safeParse(parseOnce(parts[0]!))
  if (!header.success) throw refuse('unexpected header')
  const key = snapshot.jwks.keys.find(({ kid }) => kid === header.data.kid)
  if (key === undefined) throw refuse('unknown key')
  await compactVerify(token, await importJWK(key, 'ES256'), { algorithms: ['ES256'] }).catch((cause: unknown) => {
    throw refuse('bad signature', cause)
  })
  const claims = claimsSchema.safeParse(parseOnce(parts[1]!))
  if (!claims.success) throw refuse('unexpected claims', claims.error)
  checkClaims(claims.data, snapshot, nowMs / 1000)
  return {
    subject: livingSubject(claims.data, snapshot, nowMs),
    tokenId: claims.data.jti,
    clientId: claims.data.client_id,
    expiresAtMs: claims.data.exp * 1000,
  }
}

function checkClaims(claims: Claims, { issuer, audience }: IdentitySnapshot, now: number): void {
  if (claims.iss !== issuer) throw refuse('other issuer')
  if (claims.aud !== audience) throw refuse('other audience')
  if (claims.exp <= now) throw refuse('expired')
  if (claims.iat > now + skewSeconds || (claims.nbf ?? 0) > now + skewSeconds) throw refuse('not yet valid')
  if (claims.exp - claims.iat > longestTokenMs / 1000) throw refuse('lives too long')
}

/** The rights of the token cut by what its owner is at this moment. */
function livingSubject(claims: Claims, snapshot: IdentitySnapshot, nowMs: number): Subject {
  const { kind, experiment, accessKeyId } = claims.cygnet
  const owner = activeSubject(snapshot, claims.sub)
  if (owner === undefined) throw refuse('unknown or suspended account')
  if (owner.epoch !== claims.epoch) throw refuse('revoked')
  if ((owner.kind === 'client') !== (kind === 'client')) throw refuse('other kind of account')
  const scope = scopeOf(claims.scope)
  if (accessKeyId !== undefined) {
    const key = subjectOfAccessKey(snapshot, accessKeyId, nowMs)
    if (key === undefined || key.subject.id !== owner.id || key.subject.kind !== kind)
      throw refuse('access key revoked')
    const { limits } = key.subject
    return {
      ...key.subject,
      limits: { ...limits, actions: (limits?.actions ?? []).filter((action) => scope.has(action)) },
    }
  }
  if (kind === 'session' || kind === 'job') {
    const [actorKind, ...actorId] = claims.act?.sub.split(':') ?? []
    if (actorKind !== kind || scope.has('api')) throw refuse('not a token for a session or job')
    const named = actions.filter((action) => scope.has(action))
    return actingSubject(
      owner,
      { kind, id: actorId.join(':') },
      { actions: named, ...(experiment === undefined ? {} : { experiment }) },
    )
  }
  if (claims.act !== undefined || kind === 'client') throw refuse('not a token of this account')
  if (scope.has('api')) return subjectOf(owner)
  return { ...subjectOf(owner), limits: { actions: actions.filter((action) => scope.has(action)) } }
}

type ScopeName = Action | 'api'

/** `api` is everything its person may do; otherwise single actions. Absent or empty: nothing at all. */
function scopeOf(scope: string): Set<ScopeName> {
  const known = new Set<string>(['api', ...actions])
  const names = scope === '' ? [] : scope.split(' ')
  if (!names.every((name) => known.has(name))) throw refuse('unknown scope')
  return new Set(names as ScopeName[])
}

/** One token has one spelling: no padding, no blanks, no second encoding of the last character. */
function isCanonical(part: string): boolean {
  return part !== '' && Buffer.from(part, 'base64url').toString('base64url') === part
}

/** The JSON of a part; undefined unless it is exactly what a serialiser writes (so no duplicate members, no tricks). */
function parseOnce(part: string): unknown {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(part, 'base64url'))
    const value: unknown = JSON.parse(text)
    return JSON.stringify(value) === text && !text.includes('__proto__') ? value : undefined
  } catch {
    return undefined
  }
}

function refuse(reason: string, cause?: unknown): Error {
  return identityFaults.invalidToken('The access token is not valid here, or no longer.', {
    cause: new Error(`access token refused: ${reason}`, { cause }),
    hint: 'Sign in again (cygnet login).',
  })
}
