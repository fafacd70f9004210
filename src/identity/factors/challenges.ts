/** What a passkey must sign: random, for one purpose, one browser, five minutes and one use. */
import { randomToken } from '../../foundation/ids.ts'
import type { Room } from '../room.ts'
import { hashOf } from '../seal.ts'
import type { FactorTables } from './tables.ts'

export const challengeLifetimeMs = 5 * 60_000
/** What ends later than it can was made by a clock that was ahead, and is not valid. */
const clockToleranceMs = 10 * 60_000

export type ChallengePurpose = FactorTables['identity_challenge']['purpose']

/** `boundTo` is a secret that only the browser knows that asked, or its session's id. */
export async function issueChallenge(
  room: Room,
  { purpose, boundTo, userHandle = null }: { purpose: ChallengePurpose; boundTo: string; userHandle?: string | null },
): Promise<string> {
  const challenge = randomToken(32)
  const nowMs = room.clock.nowMs()
  await room.kysely
    .insertInto('identity_challenge')
    .values({
      challenge_hash: hashOf(challenge),
      purpose,
      bound_to: hashOf(boundTo),
      user_handle: userHandle,
      expires_at_ms: nowMs + challengeLifetimeMs,
    })
    .execute()
  return challenge
}

/** Takes the challenge out, whatever becomes of the answer to it; `undefined` if it was not for this, or is over. */
export async function takeChallenge(
  room: Room,
  { challenge, purpose, boundTo }: { challenge: string; purpose: ChallengePurpose; boundTo: string },
): Promise<{ userHandle: string | null } | undefined> {
  const nowMs = room.clock.nowMs()
  const taken = await room.kysely
    .deleteFrom('identity_challenge')
    .where('challenge_hash', '=', hashOf(challenge))
    .returning(['purpose', 'bound_to', 'user_handle', 'expires_at_ms'])
    .executeTakeFirst()
  const good =
    taken !== undefined &&
    taken.purpose === purpose &&
    taken.bound_to === hashOf(boundTo) &&
    taken.expires_at_ms > nowMs &&
    taken.expires_at_ms <= nowMs + challengeLifetimeMs + clockToleranceMs
  return good ? { userHandle: taken.user_handle } : undefined
}

export async function sweepChallenges(room: Room): Promise<void> {
  await room.kysely.deleteFrom('identity_challenge').where('expires_at_ms', '<=', room.clock.nowMs()).execute()
}
