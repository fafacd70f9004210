/** For somebody who lost everything: somebody who may answer for him removes the old factors and hands over a one-time link. */
import type { Caller } from '../../foundation/http.ts'
import type { Origin } from '../audit.ts'
import { decide, grantableRoles } from '../decide.ts'
import { identityFaults } from '../errors.ts'
import { subjectOfCaller } from '../gate.ts'
import { mailPerson } from '../invitations/outbox.ts'
import { endEverySignIn, requireSubject } from '../people.ts'
import type { Room } from '../room.ts'
import { createSignInLink, type SignInLink } from '../sign-in.ts'
import type { RoleGrant } from '../subject.ts'
import type { IdentityTransaction } from '../tables.ts'

/** Takes every passkey, password, app and recovery code away; ends every session and token. */
async function removeFactors(room: Room, trx: IdentityTransaction, personId: string, origin: Origin): Promise<void> {
  for (const table of ['identity_passkey', 'identity_password', 'identity_totp', 'identity_recovery_code'] as const)
    await trx.deleteFrom(table).where('person_id', '=', personId).execute()
  await endEverySignIn(room, trx, personId, 'factors-removed')
  await room.audit(trx, origin, { action: 'factors-removed', target: personId })
}

/** The link opens a session that can do nothing but make a new factor; after that everything is as before. */
export async function recoverPerson(
  room: Room,
  trx: IdentityTransaction,
  personId: string,
  origin: Origin,
): Promise<SignInLink> {
  const { name } = await requireSubject(trx, personId, 'person')
  const data = { by: origin.actor.name, account: name }
  await mailPerson(room, trx, personId, { template: 'factors-removed', data })
  await removeFactors(room, trx, personId, origin)
  return await createSignInLink(room, trx, personId, origin, { purpose: 'recovery' })
}

/** What the published state says of the one who is to be recovered. */
export interface Standing {
  id: string
  name: string
  siteAdmin: boolean
  roles: readonly RoleGrant[]
  /** Of a guest: who answers for him. */
  sponsorId: string | null
}

/**
 * Whoever holds the link can become this person; so only those may make it who could give and take every right that he
 * has: the site admin, a manager of everything that he is in, or a guest's sponsor. Never for oneself.
 * @throws Fault identity.beyond_ceiling
 */
export function requireMayRecover(caller: Caller, person: Standing): void {
  const subject = subjectOfCaller(caller)
  if (person.id === subject.id)
    throw identityFaults.beyondCeiling('Nobody recovers himself.', {
      hint: 'Use another passkey or a recovery code, or ask a manager.',
    })
  if (decide(subject, 'site.admin').allow) return
  const onlyGuest = person.roles.every(({ role }) => role === 'guest')
  if (person.sponsorId === subject.id && onlyGuest && !person.siteAdmin) return
  const within = person.roles.every(({ experiment, group, role }) => {
    const grantable: readonly string[] = grantableRoles(subject, experiment, group)
    return grantable.includes(role)
  })
  if (!person.siteAdmin && person.roles.length > 0 && within) return
  throw identityFaults.beyondCeiling('This person has rights that you could not give.', {
    hint: 'Ask the site admin for a recovery link.',
  })
}
