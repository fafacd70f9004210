/**
 * The only code that looks inside an access token. Order after the study: length, three canonical base64url parts, exact
 * header, key by `kid`, signature (tokens/strict-jwt.ts), then claims, then the living state (epoch, account, access key,
 * sign-in) of the snapshot. Two kinds of issuer are ours: the site's, whose tokens name actions or `api`, and one per
 * experiment, whose tokens follow the WLCG profile and name capabilities in that experiment.
 * Every refusal is one Fault with one sentence: the caller learns that the token is bad, the log learns why.
 */
import { z } from 'zod'
import { actions, type Action } from '../foundation/contract.ts'
import { identityFaults } from './errors.ts'
import { experimentOfIssuer, longestTokenMs } from './signer.ts'
import { activeSubject, actingSubject, subjectOf, subjectOfAccessKey, type IdentitySnapshot } from './snapshot.ts'
import type { Limits, Subject } from './subject.ts'
import { limitsWith } from './tokens/narrowing.ts'
import { identifierSchema, readJwt, secondsSchema, skewSeconds, TokenRefusal } from './tokens/strict-jwt.ts'
import { capabilitiesOf, isGroupName, parseScope } from './tokens/wlcg-scope.ts'

/** Who acts, and for whom: the outermost is the one who shows the token (RFC 8693, 4.1). */
export interface Actor {
  sub: string
  act?: Actor | undefined
}

/** Longer chains of actors are not made and not taken. */
export const longestChain = 3

const actorSchema: z.ZodType<Actor> = z.lazy(() =>
  z.strictObject({ sub: z.string().regex(/^(session|job|client):[\w.-]{1,200}$/), act: actorSchema.optional() }),
)

const claimsSchema = z.object({
  iss: z.string(),
  aud: z.string(),
  sub: identifierSchema,
  client_id: identifierSchema,
  jti: identifierSchema,
  iat: secondsSchema,
  nbf: secondsSchema.optional(),
  exp: secondsSchema,
  scope: z.string().max(2000),
  epoch: z.number().int().min(0),
  'wlcg.ver': z.string().regex(/^1\.\d+$/),
  'wlcg.groups': z.array(z.string().refine(isGroupName)).max(200).optional(),
  act: actorSchema.optional(),
  cygnet: z.strictObject({
    kind: z.enum(['person', 'client', 'session', 'job']),
    experiment: z.string().optional(),
    accessKeyId: z.string().optional(),
    /** `device:ID`, `machine-key:ID`: revoked with it. */
    source: z.string().optional(),
  }),
})
export type AccessTokenClaims = z.infer<typeof claimsSchema>

export interface VerifiedToken {
  subject: Subject
  tokenId: string
  clientId: string
  expiresAtMs: number
  /** Of the experiment whose issuer made it; undefined: the site's. */
  experiment?: string | undefined
  claims: AccessTokenClaims
}

/**
 * Who this access token speaks for, now, by this snapshot. `audiences`: which services may be meant; the API if not said.
 * @throws Fault identity.invalid_token for every token that is not wholly right; its cause is a TokenRefusal.
 */
export async function verifyAccessTokenWith(
  snapshot: IdentitySnapshot,
  token: string,
  nowMs: number = Date.now(),
  audiences: readonly string[] = [snapshot.audience],
): Promise<VerifiedToken> {
  try {
    const raw = await readJwt(token, {
      types: ['at+jwt'],
      algorithms: ['ES256'],
      keyOf: (kid) => snapshot.jwks.keys.find((key) => key.kid === kid),
      isOurs: true,
    })
    const claims = claimsSchema.safeParse(raw)
    if (!claims.success) throw new TokenRefusal('unexpected claims', 'invalid', claims.error)
    const experiment = checkClaims(claims.data, snapshot, audiences, nowMs / 1000)
    return {
      subject: livingSubject(claims.data, snapshot, experiment, nowMs),
      tokenId: claims.data.jti,
      clientId: claims.data.client_id,
      expiresAtMs: claims.data.exp * 1000,
      experiment,
      claims: claims.data,
    }
  } catch (cause) {
    if (cause instanceof TokenRefusal) throw refused(cause)
    throw cause
  }
}

/** The experiment of the token's issuer, if it is not the site's. */
function checkClaims(
  claims: AccessTokenClaims,
  { issuer, audience }: IdentitySnapshot,
  audiences: readonly string[],
  now: number,
): string | undefined {
  const experiment = experimentOfIssuer(audience, claims.iss)
  if (claims.iss !== issuer && experiment === undefined) throw new TokenRefusal('other issuer')
  if (!audiences.includes(claims.aud)) throw new TokenRefusal('other audience')
  if (claims.exp <= now) throw new TokenRefusal('expired', 'expired')
  if (claims.iat > now + skewSeconds || (claims.nbf ?? 0) > now + skewSeconds) throw new TokenRefusal('not yet valid')
  if (claims.exp - claims.iat > longestTokenMs / 1000) throw new TokenRefusal('lives too long')
  if (chainLength(claims.act) > longestChain) throw new TokenRefusal('too many actors')
  return experiment
}

export function chainLength(actor: Actor | undefined): number {
  return actor === undefined ? 0 : 1 + chainLength(actor.act)
}

/** The rights of the token cut by what its owner is at this moment. */
function livingSubject(
  claims: AccessTokenClaims,
  snapshot: IdentitySnapshot,
  experiment: string | undefined,
  nowMs: number,
): Subject {
  const { kind, accessKeyId, source } = claims.cygnet
  const owner = activeSubject(snapshot, claims.sub)
  if (owner === undefined) throw new TokenRefusal('unknown or suspended account', 'denied')
  if (owner.epoch !== claims.epoch) throw new TokenRefusal('revoked', 'denied')
  if ((owner.kind === 'client') !== (kind === 'client')) throw new TokenRefusal('other kind of account')
  if (source !== undefined && snapshot.revokedSources?.includes(source)) throw new TokenRefusal('revoked', 'denied')
  const bearer = accessKeyId === undefined ? undefined : subjectOfAccessKey(snapshot, accessKeyId, nowMs)?.subject
  if (accessKeyId !== undefined && (bearer?.id !== owner.id || bearer.kind !== kind))
    throw new TokenRefusal('access key revoked', 'denied')
  const limits = experiment === undefined ? siteLimits(claims) : experimentLimits(claims, experiment)
  const actor = innermost(claims.act)
  if (bearer !== undefined) return { ...bearer, limits: both(bearer.limits, limits ?? {}) }
  if (kind === 'session' || kind === 'job') {
    const [actorKind, ...actorId] = actor?.sub.split(':') ?? []
    if (actorKind !== kind || limits === undefined) throw new TokenRefusal('not a token for a session or job')
    const named = { ...limits, actions: limits.actions ?? [...actions] }
    return actingSubject(owner, { kind, id: actorId.join(':') }, named)
  }
  // Of the site's issuer: only a session or job acts for somebody. Of an experiment's, a service may too.
  if (actor !== undefined && (experiment === undefined || !actor.sub.startsWith('client:')))
    throw new TokenRefusal('not a token of this account')
  if (kind === 'client' && experiment === undefined) throw new TokenRefusal('not a token of this account')
  if (limits === undefined) return subjectOf(owner)
  return { ...subjectOf(owner), siteAdmin: owner.siteAdmin && experiment === undefined, limits }
}

function innermost(actor: Actor | undefined): Actor | undefined {
  return actor?.act === undefined ? actor : innermost(actor.act)
}

/** The limits of a key and those of a token made with it. */
function both(key: Limits | undefined, token: Limits): Limits {
  const named: readonly Action[] = key?.actions ?? actions
  // Of the site's issuer, `api` stands for everything that the key may.
  const cut = token.actions === undefined ? [...named] : named.filter((action) => token.actions!.includes(action))
  const whole = { ...key, ...(token.experiment !== undefined && { experiment: token.experiment }), actions: cut }
  return token.capabilities === undefined ? whole : limitsWith(whole, token.capabilities)
}

/** `api` is everything its person may do (undefined: no limit); otherwise single actions. Empty: nothing at all. */
function siteLimits({ scope, cygnet }: AccessTokenClaims): Limits | undefined {
  const known = new Set<string>(['api', ...actions])
  const names = scope === '' ? [] : scope.split(' ')
  if (!names.every((name) => known.has(name))) throw new TokenRefusal('unknown scope')
  if (names.includes('api') && cygnet.accessKeyId === undefined) return undefined
  const { experiment } = cygnet
  return {
    actions: actions.filter((action) => names.includes(action)) as Action[],
    ...(experiment !== undefined && { experiment }),
  }
}

/** Path scopes and the like, in the one experiment of the issuer. A scope that is not wholly understood: no token. */
function experimentLimits({ scope, cygnet }: AccessTokenClaims, experiment: string): Limits {
  const items = parseScope(scope)
  if (items === undefined) throw new TokenRefusal('unknown scope, or one with a path that is not normal')
  if (cygnet.experiment !== undefined && cygnet.experiment !== experiment) throw new TokenRefusal('other experiment')
  return { experiment, capabilities: items.flatMap((item) => capabilitiesOf(item, experiment)) }
}

function refused(cause: TokenRefusal): Error {
  return identityFaults.invalidToken('The access token is not valid here, or no longer.', {
    cause,
    hint: 'Sign in again (cygnet login).',
  })
}
