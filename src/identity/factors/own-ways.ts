import type { IdentityKysely, IdentityTransaction } from '../tables.ts'

/** Can this person sign in by something kept here: a passkey that is accepted, or a password with its confirmed app? */
export async function hasOwnWay(
  kysely: IdentityKysely | IdentityTransaction,
  personId: string,
  without: { passkey?: string; password?: boolean } = {},
): Promise<boolean> {
  const passkeys = await kysely
    .selectFrom('identity_passkey')
    .select('id')
    .where('person_id', '=', personId)
    .where('suspect_at_ms', 'is', null)
    .execute()
  if (passkeys.some(({ id }) => id !== without.passkey)) return true
  if (without.password === true) return false
  const password = await kysely
    .selectFrom('identity_password as word')
    .innerJoin('identity_totp as app', 'app.person_id', 'word.person_id')
    .select('word.person_id')
    .where('word.person_id', '=', personId)
    .where('app.confirmed_at_ms', 'is not', null)
    .executeTakeFirst()
  return password !== undefined
}
