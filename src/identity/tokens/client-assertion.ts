/**
 * How a machine proves that it is itself: a JWT of at most a minute, signed with its private key (RFC 7523), for this issuer
 * only, used once. There is no secret of its own here, only public keys.
 */
import type { JWK } from 'jose'
import { z } from 'zod'
import type { Room } from '../room.ts'
import { hashOf } from '../seal.ts'
import { activeSubject, subjectOf, type IdentitySnapshot } from '../snapshot.ts'
import type { Capability, Subject } from '../subject.ts'
import { declaredBy } from './machine-terms.ts'
import { OauthError } from './oauth-error.ts'
import { identifierSchema, readJwt, secondsSchema, skewSeconds, TokenRefusal } from './strict-jwt.ts'

export const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
const longestSeconds = 60

const claimsSchema = z.object({
  iss: identifierSchema,
  sub: identifierSchema,
  aud: z.string(),
  jti: identifierSchema,
  iat: secondsSchema,
  nbf: secondsSchema.optional(),
  exp: secondsSchema,
})

export interface AuthenticatedClient {
  subject: Subject
  keyId: string
  /** What its owners declared. */
  declared: Capability[]
  /** When the machine itself ends. */
  expiresAtMs: number
}

/** @throws OauthError invalid_client, always with the same words: the log learns why */
export async function authenticateClient(
  room: Room,
  snapshot: IdentitySnapshot,
  assertion: string,
  issuer: string,
  experiment: string,
): Promise<AuthenticatedClient> {
  try {
    return await verified(room, snapshot, assertion, issuer, experiment)
  } catch (cause) {
    if (!(cause instanceof TokenRefusal)) throw cause
    throw new OauthError('invalid_client', 'the client is not known, or its assertion is not right', cause)
  }
}

async function verified(
  room: Room,
  snapshot: IdentitySnapshot,
  assertion: string,
  issuer: string,
  experiment: string,
): Promise<AuthenticatedClient> {
  const nowMs = room.clock.nowMs()
  let key: { key_id: string; client_id: string; expires_at_ms: number; capabilities: string } | undefined
  const raw = await readJwt(assertion, {
    types: ['JWT', 'client-authentication+jwt', undefined],
    algorithms: ['ES256', 'EdDSA'],
    async keyOf(kid, { alg }) {
      const row = await room.kysely
        .selectFrom('identity_machine_key')
        .innerJoin('identity_machine', 'identity_machine.client_id', 'identity_machine_key.client_id')
        .select([
          'identity_machine_key.key_id',
          'identity_machine_key.client_id',
          'identity_machine_key.jwk',
          'identity_machine_key.algorithm',
          'identity_machine.expires_at_ms',
          'identity_machine.capabilities',
        ])
        .where('identity_machine_key.key_id', '=', kid)
        .where('identity_machine_key.revoked_at_ms', 'is', null)
        .executeTakeFirst()
      if (row === undefined || row.algorithm !== alg) return undefined
      key = row
      return JSON.parse(row.jwk) as JWK
    },
  })
  if (key === undefined) throw new TokenRefusal('unknown key')
  const claims = claimsSchema.safeParse(raw)
  if (!claims.success) throw new TokenRefusal('unexpected claims', 'invalid', claims.error)
  const { iss, sub, aud, jti, iat, nbf, exp } = claims.data
  const now = nowMs / 1000
  if (iss !== key.client_id || sub !== key.client_id) throw new TokenRefusal('not of the owner of the key')
  if (aud !== issuer) throw new TokenRefusal('other audience')
  if (exp <= now) throw new TokenRefusal('expired', 'expired')
  if (iat > now + skewSeconds || (nbf ?? 0) > now + skewSeconds) throw new TokenRefusal('not yet valid')
  if (exp - iat > longestSeconds || exp - now > longestSeconds + skewSeconds) throw new TokenRefusal('lives too long')
  const client = activeSubject(snapshot, key.client_id)
  if (client?.kind !== 'client') throw new TokenRefusal('suspended', 'denied')
  if (!client.roles.some((grant) => grant.experiment === experiment)) throw new TokenRefusal('of another experiment')
  if (key.expires_at_ms <= nowMs) throw new TokenRefusal('the machine has ended', 'denied')
  const first = await room.kysely
    .insertInto('identity_assertion')
    .values({ client_id: key.client_id, jti_hash: hashOf(jti), expires_at_ms: (exp + skewSeconds) * 1000 })
    .onConflict((conflict) => conflict.columns(['client_id', 'jti_hash']).doNothing())
    .returning('client_id')
    .executeTakeFirst()
  if (first === undefined) throw new TokenRefusal('used before')
  await room.kysely
    .updateTable('identity_machine_key')
    .set({ last_used_at_ms: nowMs })
    .where('key_id', '=', key.key_id)
    .execute()
  return {
    subject: subjectOf(client),
    keyId: key.key_id,
    declared: declaredBy(key.capabilities),
    expiresAtMs: key.expires_at_ms,
  }
}
