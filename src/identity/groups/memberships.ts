/** The only way in which memberships of people change. */
import type { AnyTransaction } from '../../foundation/database.ts'
import type { Origin } from '../audit.ts'
import { identityFaults } from '../errors.ts'
import { bumpEpoch, requireSubject } from '../subject-rows.ts'
import { isGuest, rolesOfGuests } from '../invitations/guest-accounts.ts'
import type { Room } from '../room.ts'
import type { PersonRole } from '../subject.ts'
import { ownTables, type IdentityTransaction } from '../tables.ts'
import { endOfMembership, metCeiling, type Groups } from './grants.ts'
import { experimentOf, groupRoles, lineOf, rootOf, rootRoles } from './policy.ts'
import { readGroups } from './store.ts'
import { ensureRoot } from './tree.ts'

/** Who or what gave a membership: a person here, a template, a rule about an institute's groups, an invitation. */
type MembershipSource = 'direct' | 'template' | `import:${string}` | `invitation:${string}`

export interface MembershipChange {
  personId: string
  group: string
  /** The one role that `source` gives the person in the group; null: none. */
  role: PersonRole | null
  /** Null: as long as the policies allow. Absent: the same, and what is there already is not given anew. */
  untilMs?: number | null | undefined
  source: MembershipSource
  /** What other sources gave in this group goes too. */
  replacesAll?: boolean
  /** Roles that the source gave before stay beside the new one. */
  adds?: boolean
}

const dayMs = 86_400_000

/**
 * Changes, audits, announces; says nothing if nothing changes. A person asks for an end beyond the policies' in vain;
 * rules, templates and invitations get as much as the policies allow.
 * @throws Fault identity.no_such_person, no_such_group, invalid_membership, beyond_ceiling
 */
export async function membershipChange(
  room: Room,
  trx: AnyTransaction,
  change: MembershipChange,
  origin: Origin,
): Promise<{ changed: boolean }> {
  const own = ownTables(trx)
  const { personId, group, role, source } = change
  await requireSubject(own, personId, 'person')
  if (role !== null && !rolesOfGuests.includes(role) && (await isGuest(own, personId)))
    throw identityFaults.invalidMembership(`A guest cannot be ${role}.`, {
      hint: 'Invite the person as a member: then nobody has to answer for the account any more.',
    })
  const experiment = experimentOf(group)
  if (role !== null) await ensureRoot(room, own, experiment, origin)
  const groups = await readGroups(own, experiment)
  const untilMs = change.untilMs ?? null
  if (role !== null) requirePossible(groups, { ...change, role, untilMs }, room.clock.nowMs())

  const rows = await own
    .selectFrom('identity_membership')
    .selectAll()
    .where('person_id', '=', personId)
    .where('group_path', '=', group)
    .execute()
  const present = rows.find((row) => row.role === role && row.source === source)
  const isNew = role !== null && (present === undefined || change.untilMs !== undefined)
  const gone = rows.filter(
    (row) => row !== present && change.adds !== true && (change.replacesAll === true || row.source === source),
  )
  if (!isNew && gone.length === 0) return { changed: false }

  const nowMs = room.clock.nowMs()
  if (role !== null && isNew) {
    const row = {
      person_id: personId,
      group_path: group,
      role,
      source,
      until_ms: untilMs,
      granted_by: origin.actor.id,
      granted_at_ms: nowMs,
    }
    const { until_ms, granted_by, granted_at_ms } = row
    await own
      .insertInto('identity_membership')
      .values(row)
      .onConflict((conflict) =>
        conflict
          .columns(['person_id', 'group_path', 'role', 'source'])
          .doUpdateSet({ until_ms, granted_by, granted_at_ms }),
      )
      .execute()
    const detail = { role, ...place(group), ...(untilMs === null ? {} : { untilMs }), ...from(source) }
    // What a rule renews at every sign-in is no news.
    if (present === undefined || source === 'direct')
      await room.audit(own, origin, { action: 'role-granted', target: personId, experiment, detail })
    await room.changed(own, personId, 'role-granted')
  }
  for (const row of gone) {
    await own
      .deleteFrom('identity_membership')
      .where('person_id', '=', personId)
      .where('group_path', '=', group)
      .where('role', '=', row.role)
      .where('source', '=', row.source)
      .execute()
    const detail = { role: row.role, ...place(group), ...from(row.source) }
    await room.audit(own, origin, { action: 'role-removed', target: personId, experiment, detail })
  }
  if (gone.length > 0) await bumpEpoch(room, own, personId, 'role-removed')
  return { changed: true }
}

/** Removes memberships that have ended by themselves, and announces it. Returns whose they were. */
export async function sweepMemberships(room: Room, trx: IdentityTransaction, origin: Origin): Promise<Set<string>> {
  const ended = await trx
    .deleteFrom('identity_membership')
    .where('until_ms', '<=', room.clock.nowMs())
    .returningAll()
    .execute()
  for (const row of ended) {
    const detail = { role: row.role, ...place(row.group_path), untilMs: row.until_ms, ...from(row.source) }
    const experiment = experimentOf(row.group_path)
    await room.audit(trx, origin, { action: 'membership-ended', target: row.person_id, experiment, detail })
  }
  const people = new Set(ended.map((row) => row.person_id))
  for (const personId of people) await bumpEpoch(room, trx, personId, 'membership-ended')
  return people
}

function requirePossible(
  groups: Groups,
  change: MembershipChange & { role: PersonRole; untilMs: number | null },
  nowMs: number,
): void {
  const { group, role, untilMs, source } = change
  const line = lineOf(group)
  const missing = line.find((path) => !groups.has(path))
  if (missing !== undefined)
    throw identityFaults.noSuchGroup(`There is no group ${missing}.`, {
      hint: `Groups: cygnet groups list ${line[0]!.slice(1)}`,
    })
  if (line.some((path) => groups.get(path)!.archived))
    throw identityFaults.invalidMembership(`${group} is archived; nobody joins it any more.`)
  const possible: readonly PersonRole[] = line.length === 1 ? rootRoles : groupRoles
  if (!possible.includes(role))
    throw identityFaults.invalidMembership(`${role} is a role of a whole experiment, not of ${group}.`, {
      hint: `Roles of a group: ${groupRoles.join(', ')}.`,
    })
  const ceiling = metCeiling(groups, group)
  if (role === 'guest' && !ceiling.guestAllowed)
    throw identityFaults.beyondCeiling(`The policy of ${group} lets no guests in.`, {
      hint: 'Who sets its ceiling can change that.',
    })
  if (source !== 'direct' || untilMs === null) return
  if (untilMs <= nowMs) throw identityFaults.invalidMembership('This end is already over.')
  const latest = endOfMembership({ untilMs: null, grantedAtMs: nowMs }, ceiling)
  if (latest !== undefined && untilMs > latest)
    throw identityFaults.beyondCeiling(
      `Membership in ${group} lasts ${Math.round((latest - nowMs) / dayMs)} days at most.`,
      { hint: 'Choose an earlier end; it can be renewed.' },
    )
}

/** In the audit, the group of an experiment's own role is the experiment. */
function place(group: string): { group?: string } {
  return group === rootOf(experimentOf(group)) ? {} : { group }
}

function from(source: string): { source?: string } {
  return source === 'direct' ? {} : { source }
}
