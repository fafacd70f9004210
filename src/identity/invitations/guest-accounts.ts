/** Who is here as a guest. */
import type { PersonRole } from '../subject.ts'
import type { IdentityKysely, IdentityTransaction } from '../tables.ts'

type Reading = IdentityKysely | IdentityTransaction

/** What a guest can be, in whatever group: he manages nothing and answers for nobody. */
export const rolesOfGuests: readonly PersonRole[] = ['guest', 'member']

/** Somebody who came as a guest, and for whom somebody answers. */
export async function isGuest(kysely: Reading, personId: string): Promise<boolean> {
  const account = await kysely
    .selectFrom('identity_account')
    .select('guest')
    .where('person_id', '=', personId)
    .executeTakeFirst()
  return account?.guest === 1
}
