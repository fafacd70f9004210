/** People: their account, their roles, their platform uid. Never deleted, so that no name, id or uid is given twice. */
import { sql } from 'kysely'
import type { z } from 'zod'
import type { AnyTransaction } from '../foundation/database.ts'
import { uuid7 } from '../foundation/ids.ts'
import type { Origin } from './audit.ts'
import type { personSchema } from './contract.ts'
import { identityFaults } from './errors.ts'
import { requireNoAlias } from './factors/names.ts'
import type { Membership } from './groups/grants.ts'
import { membershipChange } from './groups/memberships.ts'
import { experimentOf, rootOf } from './groups/policy.ts'
import { readMemberships } from './groups/store.ts'
import { isFormerName } from './invitations/former-names.ts'
import type { Room } from './room.ts'
import { roles, type PersonRole } from './subject.ts'
import type { IdentityKysely, IdentityTables, IdentityTransaction } from './tables.ts'
import { requireSubject } from './subject-rows.ts'

export { bumpEpoch, endEverySignIn, requireSubject } from './subject-rows.ts'

export type Person = z.infer<typeof personSchema>

/** Names that mean something else in a path, a host name or a unix system. */
const reservedNames = new Set(
  'root hub api www admin daq cygnet oidc user users lab static health metrics daemon bin sys sync nobody mail system platform'.split(
    ' ',
  ),
)

/** First uid of a person; files and processes of people belong to uids from here on. */
export const firstPlatformUid = 300_000

export interface NewPerson {
  name: string
  displayName: string
  siteAdmin: boolean
  roles: { experiment: string; role: PersonRole }[]
}

/** @throws Fault identity.name_reserved, identity.name_taken */
export async function createPerson(
  room: Room,
  trx: IdentityTransaction,
  input: NewPerson,
  origin: Origin,
  options: { reservedNameAllowed?: boolean } = {},
): Promise<string> {
  if (reservedNames.has(input.name) && options.reservedNameAllowed !== true) {
    throw identityFaults.nameReserved(`The name '${input.name}' is reserved.`, { hint: 'Choose another name.' })
  }
  await requireNoAlias(trx, input.name)
  if (await isFormerName(trx, input.name)) {
    throw identityFaults.nameTaken(`The name '${input.name}' was somebody else's and is not given again.`, {
      hint: 'Choose another name.',
    })
  }
  const id = uuid7(room.clock.nowMs())
  const inserted = await trx
    .insertInto('identity_subject')
    .values({
      id,
      kind: 'person',
      name: input.name,
      display_name: input.displayName,
      state: 'active',
      epoch: 1,
      site_admin: input.siteAdmin ? 1 : 0,
      experiment: null,
      created_at_ms: room.clock.nowMs(),
      created_by: origin.actor.id,
    })
    .onConflict((conflict) => conflict.columns(['kind', 'name']).doNothing())
    .returning('id')
    .executeTakeFirst()
  if (inserted === undefined) throw identityFaults.nameTaken(`There is already somebody named '${input.name}'.`)
  await allotPlatformUid(trx, id)
  const detail = { name: input.name, siteAdmin: input.siteAdmin }
  await room.audit(trx, origin, { action: 'person-created', target: id, detail })
  for (const { experiment, role } of input.roles) await grantRole(room, trx, id, experiment, role, origin)
  await room.changed(trx, id, 'created')
  return id
}

/**
 * Adds a role in the experiment itself, idempotently, in the caller's transaction. Adding never ends a session or a token.
 */
export async function grantRole(
  room: Room,
  trx: AnyTransaction,
  personId: string,
  experiment: string,
  role: PersonRole,
  origin: Origin,
): Promise<void> {
  const change = { personId, group: rootOf(experiment), role, source: 'direct', adds: true } as const
  await membershipChange(room, trx, change, origin)
}

/** Makes `role` the person's only role in the experiment itself; `null` takes it away. His groups stay. */
export async function setRole(
  room: Room,
  trx: IdentityTransaction,
  personId: string,
  experiment: string,
  role: PersonRole | null,
  origin: Origin,
): Promise<void> {
  const change = { personId, group: rootOf(experiment), role, source: 'direct', replacesAll: true } as const
  await membershipChange(room, trx, change, origin)
}

export async function showPerson(kysely: IdentityKysely, id: string): Promise<Person> {
  const row = await requireSubject(kysely, id, 'person')
  return personOf(row, await readMemberships(kysely, { personId: id }))
}

/** By name. With an experiment: those who hold a role in it or in a group of it, showing only those. */
export async function listPeople(
  kysely: IdentityKysely,
  { experiment, limit, cursor }: { experiment?: string | undefined; limit: number; cursor?: string | undefined },
): Promise<{ items: Person[]; nextCursor: string | null }> {
  let query = kysely
    .selectFrom('identity_subject')
    .selectAll()
    .where('kind', '=', 'person')
    .orderBy('name')
    .limit(limit + 1)
  if (cursor !== undefined) query = query.where('name', '>', cursor)
  if (experiment !== undefined) {
    const holders = kysely
      .selectFrom('identity_membership as membership')
      .innerJoin('identity_group as group', 'group.path', 'membership.group_path')
      .select('membership.person_id')
      .where('group.experiment', '=', experiment)
    query = query.where('id', 'in', holders)
  }
  const rows = await query.execute()
  const memberships = await readMemberships(kysely, experiment === undefined ? {} : { experiment })
  const items = rows.slice(0, limit).map((row) => personOf(row, memberships))
  return { items, nextCursor: rows.length > limit ? items.at(-1)!.name : null }
}

/** The person's uid on this installation, the same for ever. Every person has one from the start. */
export async function platformUidOf(kysely: IdentityKysely, personId: string): Promise<number> {
  const row = await kysely
    .selectFrom('identity_platform_uid')
    .select('uid')
    .where('person_id', '=', personId)
    .executeTakeFirst()
  if (row === undefined) throw identityFaults.noSuchPerson(`There is no person with the id '${personId}'.`)
  return row.uid
}

async function allotPlatformUid(trx: IdentityTransaction, personId: string): Promise<void> {
  for (;;) {
    // Another transaction may take the same number first; then this insert does nothing and the next one counts on.
    const taken = await sql<{ uid: number }>`
      insert into identity_platform_uid (uid, person_id)
      select coalesce(max(uid), ${firstPlatformUid - 1}) + 1, ${personId} from identity_platform_uid where true
      on conflict (uid) do nothing returning uid`.execute(trx)
    if (taken.rows.length === 1) return
  }
}

function personOf(row: IdentityTables['identity_subject'], memberships: readonly Membership[]): Person {
  return {
    id: row.id,
    name: row.name,
    displayName: row.display_name,
    state: row.state,
    siteAdmin: row.site_admin === 1,
    roles: rolesOf(row.id, memberships),
    createdAtMs: row.created_at_ms,
  }
}

/** Of the experiment itself first, then of its groups; widest role first. */
function rolesOf(subjectId: string, memberships: readonly Membership[]): Person['roles'] {
  return memberships
    .filter(({ personId }) => personId === subjectId)
    .map(({ group, role, untilMs }) => {
      const experiment = experimentOf(group)
      return {
        experiment,
        role,
        ...(group === rootOf(experiment) ? {} : { group }),
        ...(untilMs === null ? {} : { untilMs }),
      }
    })
    .sort(
      (one, other) =>
        one.experiment.localeCompare(other.experiment) ||
        (one.group ?? '').localeCompare(other.group ?? '') ||
        roles.indexOf(one.role) - roles.indexOf(other.role),
    )
}
