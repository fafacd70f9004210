/** People of groups and experiments, for showing. */
import { sql } from 'kysely'
import type { z } from 'zod'
import { identityFaults } from '../errors.ts'
import type { Room } from '../room.ts'
import type { PersonRole, Subject } from '../subject.ts'
import { mayDo, rolesToGive } from './authority.ts'
import type { experimentPersonSchema, memberSchema } from './contract.ts'
import { endOfMembership, metCeiling, type Groups } from './grants.ts'
import { experimentOf, isWithin } from './policy.ts'
import { readGroups, readMemberships, type MembershipRow, type Reading } from './store.ts'

type Member = z.infer<typeof memberSchema>
type ExperimentPerson = z.infer<typeof experimentPersonSchema>

/** Names for members of the group; what a manager sees too are sources and whether he may change them. */
export async function listMembers(room: Room, subject: Subject, group: string): Promise<Member[]> {
  const groups = await readGroups(room.kysely, experimentOf(group))
  const rows = await room.kysely
    .selectFrom('identity_subject')
    .select(['id', 'name', 'display_name', 'state'])
    .where('id', 'in', (query) =>
      query.selectFrom('identity_membership').select('person_id').where('group_path', '=', group),
    )
    .orderBy('name')
    .execute()
  const people = new Map(rows.map((row) => [row.id, row]))
  const give = rolesToGive(subject, group, room.clock.nowMs())
  const isManager = mayDo(subject, group, room.clock.nowMs()).give.length > 0
  const memberships = await readMemberships(room.kysely, { group })
  return memberships
    .flatMap((membership) => {
      const person = people.get(membership.personId)
      if (person === undefined) return []
      const shown = shownMembership(groups, membership, give)
      return [
        {
          ...shown,
          ...(isManager ? {} : { grantedBy: '' }),
          personId: person.id,
          name: person.name,
          displayName: person.display_name,
          state: person.state,
        },
      ]
    })
    .sort((one, other) => (one.name < other.name ? -1 : one.name > other.name ? 1 : 0))
}

/** People with a membership in one of these groups, and of their memberships those that lie there. */
export async function listExperimentPeople(
  room: Room,
  subject: Subject,
  experiment: string,
  managed: readonly string[],
  filter: {
    search?: string | undefined
    group?: string | undefined
    role?: PersonRole | undefined
    limit: number
    cursor?: string | undefined
  },
): Promise<{ items: ExperimentPerson[]; nextCursor: string | null }> {
  const { search, group, role, limit, cursor } = filter
  const nowMs = room.clock.nowMs()
  const groups = await readGroups(room.kysely, experiment)
  const seen = [...groups.keys()].filter((path) => managed.some((one) => isWithin(path, one)))
  const wanted = group === undefined ? seen : seen.filter((path) => path === group)
  if (wanted.length === 0) return { items: [], nextCursor: null }
  let query = room.kysely
    .selectFrom('identity_subject')
    .selectAll()
    .where('kind', '=', 'person')
    .where('id', 'in', (inner) => {
      const holders = inner.selectFrom('identity_membership').select('person_id').where('group_path', 'in', wanted)
      return role === undefined ? holders : holders.where('role', '=', role)
    })
    .orderBy('name')
    .limit(limit + 1)
  if (cursor !== undefined) query = query.where('name', '>', cursor)
  if (search !== undefined && search.trim() !== '') {
    const part = search.trim().toLowerCase()
    query = query.where(sql<boolean>`(${contains('name', part)} or ${contains('display_name', part)})`)
  }
  const rows = await query.execute()
  const memberships = Map.groupBy(
    (await readMemberships(room.kysely, { experiment })).filter((one) => seen.includes(one.group)),
    ({ personId }) => personId,
  )
  const give = new Map(seen.map((path) => [path, rolesToGive(subject, path, nowMs)]))
  const items = rows.slice(0, limit).map((row) => ({
    id: row.id,
    name: row.name,
    displayName: row.display_name,
    state: row.state,
    siteAdmin: row.site_admin === 1,
    createdAtMs: row.created_at_ms,
    memberships: (memberships.get(row.id) ?? []).map((one) => shownMembership(groups, one, give.get(one.group) ?? [])),
  }))
  return { items, nextCursor: rows.length > limit ? items.at(-1)!.name : null }
}

/** By id or account name. @throws Fault identity.no_such_person */
export async function personCalled(kysely: Reading, reference: string): Promise<string> {
  const rows = await kysely
    .selectFrom('identity_subject')
    .select(['id', 'name'])
    .where('kind', '=', 'person')
    .where((row) => row.or([row('id', '=', reference), row('name', '=', reference.toLowerCase())]))
    .execute()
  const found = rows.find((row) => row.id === reference) ?? rows[0]
  if (found !== undefined) return found.id
  throw identityFaults.noSuchPerson(`There is nobody called '${reference}'.`, {
    hint: 'Give the account name, or invite the person.',
  })
}

function shownMembership(groups: Groups, membership: MembershipRow, give: readonly PersonRole[]) {
  const { group, role, source, grantedBy, grantedAtMs } = membership
  return {
    ...{ group, role, source, grantedBy, grantedAtMs },
    untilMs: endOfMembership(membership, metCeiling(groups, group)) ?? null,
    mayChange: give.includes(role),
  }
}

/** Letter by letter, without patterns; both databases know it. */
function contains(column: 'name' | 'display_name', part: string) {
  return sql`replace(lower(${sql.ref(column)}), ${part}, '') <> lower(${sql.ref(column)})`
}
