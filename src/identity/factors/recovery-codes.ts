/** Ten codes on paper, each good once, for the day when the phone lies in the sea. */
import { createHash, randomBytes } from 'node:crypto'
import type { Origin } from '../audit.ts'
import type { Room } from '../room.ts'
import type { IdentityTransaction } from '../tables.ts'

const recoveryCodeCount = 10
/** Crockford's Base32: nothing in it is read as something else. Twenty of them are 100 random bits. */
const alphabet = '0123456789abcdefghjkmnpqrstvwxyz'
const codeLength = 20

/** Replaces all earlier ones. The only time they are shown. */
export async function createRecoveryCodes(
  room: Room,
  trx: IdentityTransaction,
  personId: string,
  origin: Origin,
): Promise<string[]> {
  const codes = Array.from({ length: recoveryCodeCount }, newCode)
  const atMs = room.clock.nowMs()
  await trx.deleteFrom('identity_recovery_code').where('person_id', '=', personId).execute()
  await trx
    .insertInto('identity_recovery_code')
    .values(
      codes.map((code) => ({
        code_hash: hashOfCode(code),
        person_id: personId,
        created_at_ms: atMs,
        used_at_ms: null,
      })),
    )
    .execute()
  await room.audit(trx, origin, { action: 'recovery-codes-created', target: personId })
  await room.changed(trx, personId, 'factors-changed')
  return codes
}

/** Looks like one of ours, however it was typed. */
export function isRecoveryCode(typed: string): boolean {
  return plain(typed).length === codeLength
}

export async function recoveryCodesLeft(
  kysely: Room['kysely'] | IdentityTransaction,
  personId: string,
): Promise<{ left: number; createdAtMs: number } | undefined> {
  const rows = await kysely
    .selectFrom('identity_recovery_code')
    .select(['created_at_ms', 'used_at_ms'])
    .where('person_id', '=', personId)
    .execute()
  if (rows.length === 0) return undefined
  return { left: rows.filter((row) => row.used_at_ms === null).length, createdAtMs: rows[0]!.created_at_ms }
}

export async function hasRecoveryCode(room: Room, personId: string, typed: string): Promise<boolean> {
  const row = await room.kysely
    .selectFrom('identity_recovery_code')
    .select('person_id')
    .where('code_hash', '=', hashOfCode(typed))
    .where('used_at_ms', 'is', null)
    .executeTakeFirst()
  return row?.person_id === personId
}

/** Uses the code up; false if it is not this person's, or was used. */
export async function takeRecoveryCode(
  room: Room,
  trx: IdentityTransaction,
  { personId, typed }: { personId: string; typed: string },
  origin: Origin,
): Promise<boolean> {
  const used = await trx
    .updateTable('identity_recovery_code')
    .set({ used_at_ms: room.clock.nowMs() })
    .where('code_hash', '=', hashOfCode(typed))
    .where('person_id', '=', personId)
    .where('used_at_ms', 'is', null)
    .returning('person_id')
    .executeTakeFirst()
  if (used === undefined) return false
  await room.audit(trx, origin, { action: 'recovery-code-used', target: personId })
  return true
}

function newCode(): string {
  const letters = Array.from(randomBytes(codeLength), (byte) => alphabet[byte % alphabet.length]).join('')
  return letters.match(/.{5}/g)!.join('-')
}

/** As people copy from paper: capitals, blanks, and letters that Crockford's alphabet reads as digits. */
function plain(typed: string): string {
  return typed.toLowerCase().replace(/[\s-]/g, '').replaceAll('o', '0').replace(/[il]/g, '1')
}

/** One hash is enough: 100 random bits cannot be tried out, and one index finds the row. */
function hashOfCode(typed: string): string {
  return createHash('sha256')
    .update(`recovery.${plain(typed)}`)
    .digest('base64url')
}
