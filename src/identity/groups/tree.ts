/** The tree of groups: made, archived, never renamed and never deleted, so that no name and no gid is given twice. */
import { sql } from 'kysely'
import type { Origin } from '../audit.ts'
import { identityFaults } from '../errors.ts'
import { allotExperimentGid } from '../experiment-gids.ts'
import { firstGroupGid } from '../experiment-group.ts'
import type { Room } from '../room.ts'
import type { IdentityTransaction } from '../tables.ts'
import type { Groups } from './grants.ts'
import { experimentOf, lineOf, parentOf, rootOf } from './policy.ts'
import { readGroups } from './store.ts'

/** The root group of an experiment, with its numbers on this machine; made at its first role or bucket. */
export async function ensureRoot(
  room: Room,
  trx: IdentityTransaction,
  experiment: string,
  origin: Origin,
): Promise<void> {
  await allotExperimentGid(trx, experiment)
  await trx
    .insertInto('identity_group')
    .values({
      path: rootOf(experiment),
      experiment,
      title: '',
      optional: 0,
      archived: 0,
      gid: null,
      created_at_ms: room.clock.nowMs(),
      created_by: origin.actor.id,
    })
    .onConflict((conflict) => conflict.column('path').doNothing())
    .execute()
}

/** @throws Fault identity.no_such_group for the one above, name_taken, invalid_membership for an archived one above */
export async function createGroup(
  room: Room,
  trx: IdentityTransaction,
  { group, title, optional }: { group: string; title: string; optional: boolean },
  origin: Origin,
): Promise<void> {
  const above = parentOf(group)
  if (above === undefined)
    throw identityFaults.nameTaken(`${group} is the experiment itself; groups are made below it.`)
  const experiment = experimentOf(group)
  requireOpenGroup(await readGroups(trx, experiment), above)
  const made = await trx
    .insertInto('identity_group')
    .values({
      path: group,
      experiment,
      title,
      optional: optional ? 1 : 0,
      archived: 0,
      gid: null,
      created_at_ms: room.clock.nowMs(),
      created_by: origin.actor.id,
    })
    .onConflict((conflict) => conflict.column('path').doNothing())
    .returning('path')
    .executeTakeFirst()
  if (made === undefined)
    throw identityFaults.nameTaken(`There is, or was, a group ${group}.`, {
      hint: 'An archived group can be taken out again: cygnet groups archive --undo.',
    })
  await allotGroupGid(trx, group)
  await room.audit(trx, origin, { action: 'group-created', target: group, experiment, detail: { title, optional } })
}

/** Its members, and those of the groups below, have nothing from it any more; taken out again, all is as before. */
export async function archiveGroup(
  room: Room,
  trx: IdentityTransaction,
  group: string,
  archived: boolean,
  origin: Origin,
): Promise<void> {
  const experiment = experimentOf(group)
  const groups = await readGroups(trx, experiment)
  const present = requireGroup(groups, group)
  if (parentOf(group) === undefined)
    throw identityFaults.invalidMembership(`${group} is the experiment itself and cannot be archived here.`)
  if (present.archived === archived) return
  await trx
    .updateTable('identity_group')
    .set({ archived: archived ? 1 : 0 })
    .where('path', '=', group)
    .execute()
  const action = archived ? 'group-archived' : 'group-restored'
  await room.audit(trx, origin, { action, target: group, experiment })
  const members = await trx
    .selectFrom('identity_membership')
    .select('person_id')
    .distinct()
    .where(sql<boolean>`(group_path = ${group} or substr(group_path, 1, ${group.length + 1}) = ${`${group}/`})`)
    .execute()
  for (const { person_id } of members) await room.changed(trx, person_id, action)
}

export function requireGroup(groups: Groups, group: string) {
  const found = groups.get(group)
  if (found !== undefined) return found
  throw identityFaults.noSuchGroup(`There is no group ${group}.`, {
    hint: `Groups: cygnet groups list ${experimentOf(group)}`,
  })
}

/** Neither the group nor one above it is archived. */
export function requireOpenGroup(groups: Groups, group: string): void {
  requireGroup(groups, group)
  const archived = lineOf(group).find((path) => groups.get(path)?.archived === true)
  if (archived !== undefined)
    throw identityFaults.invalidMembership(`${archived} is archived.`, { hint: 'Take it out of the archive first.' })
}

/** Given once, never to another group. Safe beside other transactions that do the same. */
async function allotGroupGid(trx: IdentityTransaction, group: string): Promise<void> {
  await sql`
    update identity_group set gid = (select coalesce(max(gid), ${firstGroupGid - 1}) + 1 from identity_group)
    where path = ${group} and gid is null`.execute(trx)
}
