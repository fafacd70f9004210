/** Letting nobody in under a name any more, and letting him in again. */
import type { Origin } from '../audit.ts'
import { identityFaults } from '../errors.ts'
import type { Room } from '../room.ts'
import { bumpEpoch, endEverySignIn, requireSubject } from '../subject-rows.ts'
import type { IdentityTransaction } from '../tables.ts'
import { backOnBoard, offBoard } from './off-boarding.ts'

/** @throws Fault identity.last_admin when nobody could administer the site afterwards */
export async function suspendPerson(
  room: Room,
  trx: IdentityTransaction,
  personId: string,
  origin: Origin,
): Promise<void> {
  const person = await requireSubject(trx, personId, 'person')
  if (person.state === 'archived' || person.state === 'erased')
    throw identityFaults.notInThisState(`${person.name} is ${person.state} already.`)
  if (person.site_admin === 1) {
    const others = await trx
      .selectFrom('identity_subject')
      .select('id')
      .where('site_admin', '=', 1)
      .where('state', '=', 'active')
      .where('id', '!=', personId)
      .executeTakeFirst()
    if (others === undefined) {
      throw identityFaults.lastAdmin(`${person.name} is the only site admin.`, {
        hint: 'Create another site admin first.',
      })
    }
  }
  await trx.updateTable('identity_subject').set({ state: 'suspended' }).where('id', '=', personId).execute()
  await endEverySignIn(room, trx, personId, 'suspended')
  await room.audit(trx, origin, { action: 'person-suspended', target: personId, detail: { name: person.name } })
  await offBoard(room, trx, personId, origin)
}

export async function reinstatePerson(
  room: Room,
  trx: IdentityTransaction,
  personId: string,
  origin: Origin,
): Promise<void> {
  const person = await requireSubject(trx, personId, 'person')
  if (person.state === 'archived' || person.state === 'erased') {
    throw identityFaults.notInThisState(`${person.name} is ${person.state}.`, { hint: 'Invite the person anew.' })
  }
  await backOnBoard(room, trx, personId)
  await trx.updateTable('identity_subject').set({ state: 'active' }).where('id', '=', personId).execute()
  await bumpEpoch(room, trx, personId, 'reinstated')
  await room.audit(trx, origin, { action: 'person-reinstated', target: personId, detail: { name: person.name } })
}
