/** By what else than a link people are known: (issuer, subject), and never anything else. */
import { uuid7 } from '../../foundation/ids.ts'
import type { Origin } from '../audit.ts'
import { identityFaults } from '../errors.ts'
import type { Room } from '../room.ts'
import type { IdentityKysely, IdentityTables, IdentityTransaction } from '../tables.ts'
import { assuranceOf, claimsForRules, labelOf } from './claims.ts'
import type { Arrival, IssuerRow } from './upstream.ts'

export type IdentityRow = IdentityTables['identity_identity']

/** The one identity of this issuer and subject, compared character by character. */
export async function findIdentity(
  kysely: IdentityKysely | IdentityTransaction,
  { issuer, subject }: { issuer: string; subject: string },
): Promise<IdentityRow | undefined> {
  const row = await kysely
    .selectFrom('identity_identity')
    .selectAll()
    .where('issuer', '=', issuer)
    .where('subject', '=', subject)
    .executeTakeFirst()
  // A database that does not tell capitals apart would be a second spelling of somebody.
  return row?.issuer === issuer && row.subject === subject ? row : undefined
}

export interface NewIdentity {
  issuer: string
  subject: string
  /** For showing only. */
  label: string
  assurance: string
}

/**
 * Links an identity to a person, in the caller's transaction; idempotent for the same person.
 * @returns its id
 * @throws Fault identity.identity_taken if it is linked to somebody else
 */
export async function linkIdentity(
  room: Room,
  trx: IdentityTransaction,
  personId: string,
  identity: NewIdentity,
  origin: Origin,
): Promise<string> {
  const present = await findIdentity(trx, identity)
  if (present !== undefined) {
    if (present.person_id === personId) return present.id
    throw identityFaults.identityTaken('This identity of the institute is linked to another account here.', {
      hint: 'Sign in with it to see which; unlink it there first.',
    })
  }
  const nowMs = room.clock.nowMs()
  const id = uuid7(nowMs)
  const { issuer, subject, label, assurance } = identity
  const times = { created_at_ms: nowMs, last_used_at_ms: nowMs }
  await trx
    .insertInto('identity_identity')
    .values({ id, person_id: personId, issuer, subject, label, assurance, ...times })
    .execute()
  await room.audit(trx, origin, { action: 'identity-linked', target: personId, detail: { issuer, subject, label } })
  return id
}

/** Keeps what the institute has just said of a linked identity: label, claims for rules, the right to ask again. */
export async function keepArrival(
  room: Room,
  trx: IdentityTransaction,
  { id, issuer, arrival }: { id: string; issuer: IssuerRow; arrival: Arrival },
): Promise<void> {
  const nowMs = room.clock.nowMs()
  const said = { ...arrival.userInfo, ...arrival.claims }
  await trx
    .updateTable('identity_identity')
    .set({
      label: labelOf(said, arrival.claims.sub),
      assurance: assuranceOf(arrival.claims),
      last_used_at_ms: nowMs,
    })
    .where('id', '=', id)
    .execute()
  const values = {
    issuer_id: issuer.id,
    sealed_refresh: arrival.refreshToken === undefined ? null : room.seal.close(arrival.refreshToken, `upstream.${id}`),
    claims: JSON.stringify(claimsForRules(arrival.claims, arrival.userInfo)),
    signed_in_at_ms: nowMs,
    checked_at_ms: nowMs,
    tried_at_ms: nowMs,
    problem: null,
  }
  await trx
    .insertInto('identity_upstream_grant')
    .values({ identity_id: id, ...values })
    .onConflict((conflict) => conflict.column('identity_id').doUpdateSet(values))
    .execute()
}

/** Forgets identities, with everything that was kept of them; browser sessions that began with one end. */
export async function removeIdentities(
  trx: IdentityTransaction,
  identityIds: readonly string[],
  { exceptSessionId }: { exceptSessionId?: string } = {},
): Promise<void> {
  if (identityIds.length === 0) return
  let sessions = trx.deleteFrom('identity_browser_session').where('identity_id', 'in', identityIds)
  if (exceptSessionId !== undefined) sessions = sessions.where('id', '!=', exceptSessionId)
  await sessions.execute()
  await trx.deleteFrom('identity_upstream_session').where('identity_id', 'in', identityIds).execute()
  await trx.deleteFrom('identity_upstream_grant').where('identity_id', 'in', identityIds).execute()
  await trx.deleteFrom('identity_identity').where('id', 'in', identityIds).execute()
}
