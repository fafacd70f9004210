/** Who may invite whom: roles below one's own, or guests where the policy of the group names one as a sponsor. */
import { identityFaults } from '../errors.ts'
import { rolesToGive } from '../groups/authority.ts'
import { effectivePolicy, type Groups } from '../groups/grants.ts'
import { isWithin, rootOf, type Policy } from '../groups/policy.ts'
import { readGroups } from '../groups/store.ts'
import { requireOpenGroup } from '../groups/tree.ts'
import { isGuest } from './guest-accounts.ts'
import type { Room } from '../room.ts'
import type { PersonRole, Subject } from '../subject.ts'
import type { IdentityKysely, IdentityTransaction } from '../tables.ts'

export interface InvitedPlace {
  experiment: string
  group: string
  role: PersonRole
}

type Reading = IdentityKysely | IdentityTransaction

/** The policy that holds in the group, all ceilings counted in. @throws Fault identity.no_such_group */
export async function policyAt(kysely: Reading, { experiment, group }: Omit<InvitedPlace, 'role'>): Promise<Policy> {
  const groups = await readGroups(kysely, experiment)
  requireKnown(groups, group, experiment)
  return effectivePolicy(groups, group)
}

/** An experiment without any group yet has its root. */
function requireKnown(groups: Groups, group: string, experiment: string): void {
  if (!isWithin(group, rootOf(experiment))) {
    throw identityFaults.noSuchGroup(`${group} is no group of ${experiment}.`, {
      hint: `Its groups begin with /${experiment}.`,
    })
  }
  if (group !== rootOf(experiment) || groups.has(group)) requireOpenGroup(groups, group)
}

/**
 * May he invite into this place? With the right to manage people he gives what he may give anyway; as a sponsor named by
 * the policy he invites guests. Guests invite nobody.
 */
export async function mayInvite(
  room: Room,
  kysely: Reading,
  subject: Subject,
  place: InvitedPlace,
  policy: Policy,
): Promise<boolean> {
  if (subject.kind !== 'person' || subject.standing === 'reading' || (await isGuest(kysely, subject.id))) return false
  if (rolesToGive(subject, place.group, room.clock.nowMs()).includes(place.role)) return true
  return place.role === 'guest' && isSponsor(subject, place, policy, room.clock.nowMs())
}

/** Named by the policy, by account or by a role held in the group or above it. */
export function isSponsor(subject: Subject, place: InvitedPlace, policy: Policy, nowMs: number): boolean {
  return policy.sponsors.some((sponsor) => {
    const [kind, name] = sponsor.split(':')
    if (kind === 'person') return name === subject.name
    return subject.roles.some(
      (grant) =>
        grant.role === name &&
        grant.experiment === place.experiment &&
        (grant.untilMs ?? Infinity) > nowMs &&
        isWithin(place.group, grant.group ?? rootOf(grant.experiment)),
    )
  })
}

/** @throws Fault identity.beyond_ceiling */
export async function requireInviter(
  room: Room,
  kysely: Reading,
  subject: Subject,
  place: InvitedPlace,
  policy: Policy,
): Promise<void> {
  if (await mayInvite(room, kysely, subject, place, policy)) return
  const give = rolesToGive(subject, place.group, room.clock.nowMs())
  throw identityFaults.beyondCeiling(`You may not invite somebody as ${place.role} into ${place.group}.`, {
    hint: give.length === 0 ? 'Ask a manager of the group.' : `You may invite as: ${give.join(', ')}.`,
  })
}

/**
 * Room for one more guest of this sponsor; those who came by class links are counted by their seats.
 * @throws Fault identity.sponsor_limit
 */
export async function requireSponsorRoom(
  kysely: Reading,
  sponsor: { id: string; name: string },
  policy: Policy,
  { countOpen, nowMs, but }: { countOpen: boolean; nowMs: number; but?: string },
): Promise<void> {
  const guests = await kysely
    .selectFrom('identity_account as account')
    .innerJoin('identity_subject as subject', 'subject.id', 'account.person_id')
    .leftJoin('identity_invitation as invitation', 'invitation.id', 'account.invitation_id')
    .select('account.person_id')
    .where('account.sponsor_id', '=', sponsor.id)
    .where('account.guest', '=', 1)
    .where('subject.state', 'in', ['active', 'grace'])
    .where((row) => row.or([row('invitation.kind', 'is', null), row('invitation.kind', '!=', 'class')]))
    .execute()
  const open = countOpen
    ? await kysely
        .selectFrom('identity_invitation')
        .select('id')
        .where('sponsor_id', '=', sponsor.id)
        .where('kind', '=', 'person')
        .where('role', '=', 'guest')
        .where('state', '=', 'open')
        .where('expires_at_ms', '>', nowMs)
        .execute()
    : []
  const count = guests.filter(({ person_id }) => person_id !== but).length + open.length
  if (count < policy.sponsorLimit) return
  throw identityFaults.sponsorLimit(`${sponsor.name} already answers for ${count} guests or open invitations.`, {
    hint: `The policy of the group allows ${policy.sponsorLimit}. Let somebody else invite, or revoke what is not needed.`,
  })
}
