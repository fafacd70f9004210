/** People: their account, their roles, their platform uid. Never deleted, so that no name, id or uid is given twice. */
import { sql } from 'kysely'
import type { z } from 'zod'
import type { AnyTransaction } from '../foundation/database.ts'
import { uuid7 } from '../foundation/ids.ts'
import type { Origin } from './audit.ts'
import type { personSchema } from './contract.ts'
import { identityFaults } from './errors.ts'
import { allotExperimentGid } from './experiment-gids.ts'
import type { Room } from './room.ts'
import { personRoles, type PersonRole, type Role } from './subject.ts'
import { ownTables, type IdentityKysely, type IdentityTables, type IdentityTransaction } from './tables.ts'

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

/** Adds a role, idempotently, in the caller's transaction. Adding never ends a session or a token. */
export async function grantRole(
  room: Room,
  trx: AnyTransaction,
  personId: string,
  experiment: string,
  role: PersonRole,
  origin: Origin,
): Promise<void> {
  const own = ownTables(trx)
  await requireSubject(own, personId, 'person')
  const added = await own
    .insertInto('identity_role')
    .values({
      subject_id: personId,
      experiment,
      role,
      granted_by: origin.actor.id,
      granted_at_ms: room.clock.nowMs(),
    })
    .onConflict((conflict) => conflict.columns(['subject_id', 'experiment', 'role']).doNothing())
    .returning('role')
    .executeTakeFirst()
  if (added === undefined) return
  await allotExperimentGid(own, experiment)
  await room.audit(own, origin, { action: 'role-granted', target: personId, experiment, detail: { role } })
  await room.changed(trx, personId, 'role-granted')
}

/** Makes `role` the person's only role in the experiment; `null` removes him from it. */
export async function setRole(
  room: Room,
  trx: IdentityTransaction,
  personId: string,
  experiment: string,
  role: PersonRole | null,
  origin: Origin,
): Promise<void> {
  await requireSubject(trx, personId, 'person')
  const removed = await trx
    .deleteFrom('identity_role')
    .where('subject_id', '=', personId)
    .where('experiment', '=', experiment)
    .where('role', '!=', role ?? '')
    .returning('role')
    .execute()
  if (role !== null) await grantRole(room, trx, personId, experiment, role, origin)
  for (const row of removed) {
    await room.audit(trx, origin, { action: 'role-removed', target: personId, experiment, detail: { role: row.role } })
  }
  if (removed.length > 0) await bumpEpoch(room, trx, personId, 'role-removed')
}

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
  await bumpEpoch(room, trx, personId, change)
}

/** @throws Fault identity.last_admin when nobody could administer the site afterwards */
export async function suspendPerson(
  room: Room,
  trx: IdentityTransaction,
  personId: string,
  origin: Origin,
): Promise<void> {
  const person = await requireSubject(trx, personId, 'person')
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
}

export async function reinstatePerson(
  room: Room,
  trx: IdentityTransaction,
  personId: string,
  origin: Origin,
): Promise<void> {
  const person = await requireSubject(trx, personId, 'person')
  await trx.updateTable('identity_subject').set({ state: 'active' }).where('id', '=', personId).execute()
  await bumpEpoch(room, trx, personId, 'reinstated')
  await room.audit(trx, origin, { action: 'person-reinstated', target: personId, detail: { name: person.name } })
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

export async function showPerson(kysely: IdentityKysely, id: string): Promise<Person> {
  const row = await requireSubject(kysely, id, 'person')
  const roles = await kysely.selectFrom('identity_role').selectAll().where('subject_id', '=', id).execute()
  return personOf(row, roles)
}

/** By name. With an experiment: those who hold a role in it, showing only that role. */
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
    const holders = kysely.selectFrom('identity_role').select('subject_id').where('experiment', '=', experiment)
    query = query.where('id', 'in', holders)
  }
  const rows = await query.execute()
  const ids = rows.map((row) => row.id)
  let rolesQuery = kysely.selectFrom('identity_role').selectAll().where('subject_id', 'in', ids)
  if (experiment !== undefined) rolesQuery = rolesQuery.where('experiment', '=', experiment)
  const roles = ids.length === 0 ? [] : await rolesQuery.execute()
  const items = rows.slice(0, limit).map((row) => personOf(row, roles))
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

function personOf(row: IdentityTables['identity_subject'], roles: IdentityTables['identity_role'][]): Person {
  return {
    id: row.id,
    name: row.name,
    displayName: row.display_name,
    state: row.state,
    siteAdmin: row.site_admin === 1,
    roles: rolesOf(row.id, roles),
    createdAtMs: row.created_at_ms,
  }
}

/** Widest role first. A role this version does not know gives nothing and is left out. */
export function rolesOf(
  subjectId: string,
  rows: Pick<IdentityTables['identity_role'], 'subject_id' | 'experiment' | 'role'>[],
): { experiment: string; role: Role }[] {
  const order: readonly string[] = [...personRoles, 'client']
  return rows
    .filter((row) => row.subject_id === subjectId && order.includes(row.role))
    .map(({ experiment, role }) => ({ experiment, role: role as Role }))
    .sort(
      (one, other) =>
        one.experiment.localeCompare(other.experiment) || order.indexOf(one.role) - order.indexOf(other.role),
    )
}
