/** When somebody who answers for a machine leaves: the others are told, and with the last one it goes to the admins. */
import { platformOrigin } from '../audit.ts'
import { mailPerson } from '../invitations/outbox.ts'
import type { Room } from '../room.ts'
import type { IdentityTransaction } from '../tables.ts'

/** In the transaction of a follower of changes: takes the person out of machines that he may no longer answer for. */
export async function ownerMayHaveLeft(room: Room, trx: IdentityTransaction, personId: string): Promise<void> {
  const owned = await trx
    .selectFrom('identity_machine_owner')
    .innerJoin('identity_subject', 'identity_subject.id', 'identity_machine_owner.client_id')
    .select(['identity_subject.id', 'identity_subject.experiment', 'identity_subject.display_name'])
    .where('identity_machine_owner.person_id', '=', personId)
    .execute()
  if (owned.length === 0) return
  const person = await trx
    .selectFrom('identity_subject')
    .select(['state', 'display_name'])
    .where('id', '=', personId)
    .executeTakeFirst()
  for (const { id, experiment, display_name: client } of owned) {
    if (person?.state === 'active' && (await isAtHome(room, trx, personId, experiment ?? ''))) continue
    await trx
      .deleteFrom('identity_machine_owner')
      .where('client_id', '=', id)
      .where('person_id', '=', personId)
      .execute()
    const left = await trx
      .selectFrom('identity_machine_owner')
      .select('person_id')
      .where('client_id', '=', id)
      .execute()
    const told = left.length > 0 ? left.map((row) => row.person_id) : await adminsOf(trx, experiment ?? '')
    await room.audit(trx, platformOrigin, {
      action: 'machine-owner-left',
      target: id,
      experiment: experiment ?? undefined,
      detail: { personId, owners: left.map((row) => row.person_id) },
    })
    const url = `${room.publicUrl}/e/${experiment}/people`
    const data = { person: person?.display_name ?? personId, client, url }
    for (const each of told) await mailPerson(room, trx, each, { template: 'client-owner-left', data })
  }
}

async function isAtHome(room: Room, trx: IdentityTransaction, personId: string, experiment: string): Promise<boolean> {
  const nowMs = room.clock.nowMs()
  const roles = await trx
    .selectFrom('identity_membership')
    .innerJoin('identity_group', 'identity_group.path', 'identity_membership.group_path')
    .select(['identity_membership.role', 'identity_membership.until_ms'])
    .where('identity_membership.person_id', '=', personId)
    .where('identity_group.experiment', '=', experiment)
    .execute()
  return roles.some(({ role, until_ms }) => role !== 'guest' && role !== 'auditor' && (until_ms ?? Infinity) > nowMs)
}

async function adminsOf(trx: IdentityTransaction, experiment: string): Promise<string[]> {
  const rows = await trx
    .selectFrom('identity_membership')
    .select('person_id')
    .distinct()
    .where('group_path', '=', `/${experiment}`)
    .where('role', '=', 'exp-admin')
    .execute()
  return rows.map((row) => row.person_id)
}
