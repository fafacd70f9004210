/**
 * What a credential was made from, and that it ends with it: tokens of a device or of a machine's key (they carry the
 * source, gateways learn which sources were revoked lately) and S3 keys of STS (rows with the source).
 */
import type { Origin } from '../audit.ts'
import type { Room } from '../room.ts'
import { longestTokenMs } from '../signer.ts'
import type { IdentityTransaction } from '../tables.ts'

/** Ends the S3 keys that were made with a credential. */
export async function revokeKeysOfSource(
  room: Room,
  trx: IdentityTransaction,
  source: string,
  origin: Origin,
): Promise<void> {
  const revoked = await trx
    .updateTable('identity_access_key')
    .set({ revoked_at_ms: room.clock.nowMs() })
    .where('source', '=', source)
    .where('revoked_at_ms', 'is', null)
    .returning(['access_key_id', 'subject_id'])
    .execute()
  for (const { access_key_id, subject_id } of revoked) {
    const detail = { subjectId: subject_id, source }
    await room.audit(trx, origin, { action: 'access-key-revoked', target: access_key_id, detail })
  }
}

/** For the published part: sources revoked so lately that a token of theirs could still live. */
export async function readRevokedSources(room: Room): Promise<string[]> {
  const sinceMs = room.clock.nowMs() - longestTokenMs
  const [devices, keys, tokens] = await Promise.all([
    room.kysely.selectFrom('identity_device').select('id').where('revoked_at_ms', '>', sinceMs).execute(),
    room.kysely.selectFrom('identity_machine_key').select('key_id').where('revoked_at_ms', '>', sinceMs).execute(),
    room.kysely.selectFrom('identity_personal_token').select('id').where('revoked_at_ms', '>', sinceMs).execute(),
  ])
  return [
    ...devices.map(({ id }) => `device:${id}`),
    ...keys.map(({ key_id }) => `machine-key:${key_id}`),
    ...tokens.map(({ id }) => `personal-token:${id}`),
  ].sort()
}
