/** Whatever a caller shows as a bearer token: a JWT of ours, or a personal token. One result for the API, exchange and STS. */
import { verifyAccessTokenWith, type Actor } from '../access-token.ts'
import { identityFaults } from '../errors.ts'
import type { Room } from '../room.ts'
import type { IdentitySnapshot } from '../snapshot.ts'
import type { Subject } from '../subject.ts'
import { isPersonalToken, sourceOfPersonalToken, verifyPersonalToken } from './personal-tokens.ts'
import { TokenRefusal } from './strict-jwt.ts'

export interface Bearer {
  subject: Subject
  tokenId: string
  clientId: string
  expiresAtMs: number
  /** Who issued it, and the one experiment it speaks of, if it speaks of one. */
  issuer: string
  audience: string
  experiment?: string | undefined
  act?: Actor | undefined
  source?: string | undefined
  accessKeyId?: string | undefined
  /** What the token itself says (wlcg.groups). */
  groups?: readonly string[] | undefined
}

/** @throws Fault identity.invalid_token, whose cause is a TokenRefusal */
export async function verifyBearer(
  room: Room,
  snapshot: IdentitySnapshot,
  token: string,
  audiences: readonly string[] = [snapshot.audience],
): Promise<Bearer> {
  if (!isPersonalToken(token)) {
    const { subject, tokenId, clientId, expiresAtMs, experiment, claims } = await verifyAccessTokenWith(
      snapshot,
      token,
      room.clock.nowMs(),
      audiences,
    )
    const { source, accessKeyId } = claims.cygnet
    return {
      subject,
      tokenId,
      clientId,
      expiresAtMs,
      issuer: claims.iss,
      audience: claims.aud,
      experiment,
      act: claims.act,
      source,
      accessKeyId,
      groups: claims['wlcg.groups'],
    }
  }
  try {
    const { subject, id, expiresAtMs } = await verifyPersonalToken(room, snapshot, token)
    return {
      subject,
      tokenId: id,
      clientId: 'personal-token',
      expiresAtMs,
      issuer: snapshot.issuer,
      audience: snapshot.audience,
      experiment: subject.limits?.experiment,
      source: sourceOfPersonalToken(id),
    }
  } catch (cause) {
    if (!(cause instanceof TokenRefusal)) throw cause
    throw identityFaults.invalidToken('The personal token is not valid, or no longer.', {
      cause,
      hint: 'Make a new one on the page about yourself, or with: cygnet tokens create.',
    })
  }
}
