/** The row of a person or machine, its epoch, and the end of all it signed in with: what every part of this room needs. */
import { platformOrigin } from './audit.ts'
import { identityFaults } from './errors.ts'
import type { Room } from './room.ts'
import type { IdentityKysely, IdentityTables, IdentityTransaction } from './tables.ts'
import { revokePersonalTokensOf } from './tokens/personal-tokens.ts'

/** From now on every token and content cookie made before is dead; browser sessions go on, with today's rights. */
export async function bumpEpoch(
  room: Room,
  trx: IdentityTransaction,
  subjectId: string,
  change: string,
): Promise<void> {
  await trx
    .updateTable('identity_subject')
    .set((row) => ({ epoch: row('epoch', '+', 1) }))
    .where('id', '=', subjectId)
    .execute()
  await room.changed(trx, subjectId, change)
}

/** Ends everything that lets this person act: browser sessions, codes, the provider's grants and refresh tokens, tokens. */
export async function endEverySignIn(
  room: Room,
  trx: IdentityTransaction,
  personId: string,
  change: string,
): Promise<void> {
  await trx.deleteFrom('identity_browser_session').where('person_id', '=', personId).execute()
  await trx.deleteFrom('identity_one_time_code').where('person_id', '=', personId).execute()
  await trx.deleteFrom('identity_content_ticket').where('person_id', '=', personId).execute()
  await trx.deleteFrom('identity_oidc').where('account_id', '=', personId).execute()
  await revokePersonalTokensOf(room, trx, personId, platformOrigin)
  await bumpEpoch(room, trx, personId, change)
}

export async function requireSubject(
  kysely: IdentityKysely | IdentityTransaction,
  id: string,
  kind: 'person' | 'client',
): Promise<IdentityTables['identity_subject']> {
  const row = await kysely
    .selectFrom('identity_subject')
    .selectAll()
    .where('id', '=', id)
    .where('kind', '=', kind)
    .executeTakeFirst()
  if (row !== undefined) return row
  throw kind === 'person'
    ? identityFaults.noSuchPerson(`There is no person with the id '${id}'.`)
    : identityFaults.noSuchClient(`There is no client with the id '${id}'.`)
}
