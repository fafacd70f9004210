/**
 * Access tokens of other issuers that the site admin trusts (federation/trust.ts): read as strictly as our own, with keys
 * from the published state and never from the token. They speak for a person whose identity there is linked here, and for
 * nothing but data below the place that is mapped to their issuer.
 */
import { z } from 'zod'
import type { TrustedIssuer } from '../federation/contract.ts'
import type { Room } from '../room.ts'
import { activeSubject, subjectOf, type IdentitySnapshot } from '../snapshot.ts'
import type { Capability } from '../subject.ts'
import type { Bearer } from './bearer.ts'
import { identifierSchema, readJwt, secondsSchema, skewSeconds, TokenRefusal } from './strict-jwt.ts'
import { capabilitiesOf, parseScope } from './wlcg-scope.ts'

const claimsSchema = z.object({
  iss: z.string(),
  aud: z.union([z.string(), z.array(z.string()).max(50)]),
  sub: identifierSchema,
  jti: identifierSchema.optional(),
  client_id: identifierSchema.optional(),
  iat: secondsSchema,
  nbf: secondsSchema.optional(),
  exp: secondsSchema,
  scope: z.string().max(4000).optional(),
  'wlcg.ver': z
    .string()
    .regex(/^1\.\d+$/)
    .optional(),
  /** Only ID tokens have these. */
  nonce: z.unknown().optional(),
  at_hash: z.unknown().optional(),
})

/** @throws TokenRefusal */
export async function verifyForeignToken(
  room: Room,
  snapshot: IdentitySnapshot,
  issuer: string,
  token: string,
): Promise<Bearer> {
  const trusted = await trustedIssuer(room, snapshot, issuer)
  const raw = await readJwt(token, {
    types: trusted.tokenTypes,
    algorithms: ['ES256', 'RS256'],
    keyOf: (kid, { alg }) =>
      trusted.keys.find((key) => key.kid === kid && (key['alg'] === undefined || key['alg'] === alg)),
  })
  const claims = claimsSchema.safeParse(raw)
  if (!claims.success) throw new TokenRefusal('unexpected claims', 'invalid', claims.error)
  const { iss, aud, sub, jti, iat, nbf, exp, scope, nonce, at_hash: atHash, client_id: clientId } = claims.data
  const now = room.clock.nowMs() / 1000
  if (iss !== issuer) throw new TokenRefusal('other issuer')
  if (nonce !== undefined || atHash !== undefined) throw new TokenRefusal('an ID token', 'id-token')
  const audience = [aud].flat().find((one) => trusted.audiences.includes(one))
  if (audience === undefined) throw new TokenRefusal('other audience')
  if (exp <= now) throw new TokenRefusal('expired', 'expired')
  if (iat > now + skewSeconds || (nbf ?? 0) > now + skewSeconds) throw new TokenRefusal('not yet valid')
  if ((exp - iat) * 1000 > trusted.maxLifetimeMs) throw new TokenRefusal('lives too long')
  const linked = await room.kysely
    .selectFrom('identity_identity')
    .select('person_id')
    .where('issuer', '=', issuer)
    .where('subject', '=', sub)
    .executeTakeFirst()
  const person = linked && activeSubject(snapshot, linked.person_id)
  if (person === undefined) throw new TokenRefusal('nobody here has this identity', 'denied')
  const limits = { experiment: trusted.experiment, capabilities: capabilitiesIn(trusted, scope) }
  return {
    subject: { ...subjectOf(person), siteAdmin: false, limits },
    tokenId: jti ?? `${sub} ${iat}`,
    clientId: clientId ?? 'foreign',
    expiresAtMs: exp * 1000,
    issuer,
    audience,
    experiment: trusted.experiment,
  }
}

async function trustedIssuer(room: Room, snapshot: IdentitySnapshot, issuer: string): Promise<TrustedIssuer> {
  const found = snapshot.trustedIssuers?.find((one) => one.issuer === issuer)
  if (found !== undefined) return found
  const known = await room.kysely
    .selectFrom('identity_issuer')
    .select('id')
    .where('issuer', '=', issuer)
    .where('state', '=', 'enabled')
    .where('trust', 'is not', null)
    .executeTakeFirst()
  if (known === undefined) throw new TokenRefusal('issuer not trusted here')
  throw new TokenRefusal('the keys of the issuer could not be fetched for too long', 'unreachable')
}

/**
 * Path scopes are relative to the place mapped to the issuer. A token without any says who somebody is and no more: it then
 * has what is accepted from that issuer at most, cut as always by what the person may do (WLCG profile 2.2.3).
 */
function capabilitiesIn(trusted: TrustedIssuer, scope: string | undefined): Capability[] {
  const names = (scope ?? '').split(' ').filter((name) => name.startsWith('storage.'))
  const said = names.length === 0 ? trusted.scopes.map((name) => `${name}:/`) : names
  return said.flatMap((text) => {
    const items = parseScope(text)
    if (items === undefined) throw new TokenRefusal('a scope with a path that is missing or not normal')
    const item = items[0]!
    if (!trusted.scopes.some((name) => name === item.name)) return []
    // Read as if everything lay in one area, which then is the mapped place.
    const path = item.path === '/' ? '/area' : `/area${item.path}`
    const root = trusted.prefix.replace(/\/$/, '')
    return capabilitiesOf({ name: item.name, path }, 'mapped').map(({ action, place }) => ({
      action,
      place: (place ?? '').replace(/^mapped-area/, () => root),
    }))
  })
}
