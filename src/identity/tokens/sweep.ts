import type { Room } from '../room.ts'
import { longestTokenMs } from '../signer.ts'

/** Removes what is over: spent assertions, requests of machines, temporary keys, sources nobody can have a token of. */
export async function sweepTokens(room: Room): Promise<void> {
  const nowMs = room.clock.nowMs()
  const { kysely } = room
  await kysely.deleteFrom('identity_assertion').where('expires_at_ms', '<=', nowMs).execute()
  await kysely.deleteFrom('identity_enrolment').where('expires_at_ms', '<=', nowMs).execute()
  await kysely.deleteFrom('identity_access_key').where('kind', '=', 'sts').where('expires_at_ms', '<=', nowMs).execute()
  await kysely.deleteFrom('identity_personal_token').where('expires_at_ms', '<=', nowMs).execute()
  // A day more than any token lives, so that a clock put back finds none of them alive.
  const forgottenMs = nowMs - longestTokenMs - 86_400_000
  await kysely.deleteFrom('identity_device').where('revoked_at_ms', '<=', forgottenMs).execute()
}
