/**
 * A site admin reads in an experiment that is not his: for a named reason, for an hour at most, and in the sight of
 * those whom it belongs to. The right ends by itself, or by the hand of any of them.
 */
import { uuid7 } from '../../foundation/ids.ts'
import type { Origin } from '../audit.ts'
import { identityFaults } from '../errors.ts'
import { readMemberships } from '../groups/store.ts'
import { rootOf } from '../groups/policy.ts'
import { mailPerson } from '../invitations/outbox.ts'
import type { Room } from '../room.ts'
import { personIn, type IdentitySnapshot } from '../snapshot.ts'
import type { RoleGrant } from '../subject.ts'
import type { IdentityKysely, IdentityTables, IdentityTransaction } from '../tables.ts'
import type { brokenGlassSchema } from './contract.ts'
import type { z } from 'zod'

export type BrokenGlass = z.infer<typeof brokenGlassSchema>
type Row = IdentityTables['identity_break_glass']

const shownMs = 400 * 86_400_000

/** Rights that are open now, by person. */
export async function openGlass(kysely: IdentityKysely, nowMs: number): Promise<Map<string, RoleGrant[]>> {
  const rows = await kysely
    .selectFrom('identity_break_glass')
    .selectAll()
    .where('ended_at_ms', 'is', null)
    .where('until_ms', '>', nowMs)
    .orderBy('id')
    .execute()
  const grants = rows.map(({ person_id: personId, experiment, until_ms: untilMs }) => ({
    personId,
    grant: { experiment, role: 'break-glass' as const, untilMs },
  }))
  const byPerson = Map.groupBy(grants, ({ personId }) => personId)
  return new Map([...byPerson].map(([personId, own]) => [personId, own.map(({ grant }) => grant)]))
}

/** The caller is a site admin and has just proved it. @throws Fault identity.glass_is_broken, identity.no_such_experiment */
export async function breakGlass(
  room: Room,
  trx: IdentityTransaction,
  asked: { personId: string; experiment: string; reason: string; durationMs: number },
  origin: Origin,
): Promise<string> {
  const { personId, experiment, reason, durationMs } = asked
  const nowMs = room.clock.nowMs()
  const known = await trx
    .selectFrom('identity_experiment_gid')
    .select('gid')
    .where('experiment', '=', experiment)
    .executeTakeFirst()
  if (known === undefined) throw identityFaults.noSuchExperiment(`There is no experiment called '${experiment}'.`)
  const open = await trx
    .selectFrom('identity_break_glass')
    .select('id')
    .where('person_id', '=', personId)
    .where('experiment', '=', experiment)
    .where('ended_at_ms', 'is', null)
    .where('until_ms', '>', nowMs)
    .executeTakeFirst()
  if (open !== undefined)
    throw identityFaults.glassIsBroken(`You may read in ${experiment} already.`, {
      hint: 'End that right first, or use it until it ends.',
    })
  const id = uuid7(nowMs)
  const untilMs = nowMs + durationMs
  await trx
    .insertInto('identity_break_glass')
    .values({
      id,
      person_id: personId,
      experiment,
      reason,
      taken_at_ms: nowMs,
      until_ms: untilMs,
      ended_at_ms: null,
      ended_by: null,
    })
    .execute()
  await room.audit(trx, origin, { action: 'glass-broken', target: personId, experiment, detail: { reason, untilMs } })
  await tellOwners(room, trx, { id, experiment, reason, untilMs, admin: origin.actor.name })
  await room.changed(trx, personId, 'glass-broken')
  return id
}

async function tellOwners(
  room: Room,
  trx: IdentityTransaction,
  told: { id: string; experiment: string; reason: string; untilMs: number; admin: string },
): Promise<void> {
  const { id, experiment, ...what } = told
  const memberships = await readMemberships(trx, { group: rootOf(experiment) })
  const admins = new Set(memberships.filter(({ role }) => role === 'exp-admin').map(({ personId }) => personId))
  for (const personId of admins) {
    await mailPerson(room, trx, personId, {
      template: 'glass-broken',
      data: { ...what, experiment, url: `${room.publicUrl}/e/${experiment}/access` },
      onceKey: `glass-broken.${id}.${personId}`,
    })
  }
}

/** @throws Fault identity.no_such_broken_glass */
export async function requireBrokenGlass(kysely: IdentityKysely, id: string): Promise<Row> {
  const row = await kysely.selectFrom('identity_break_glass').selectAll().where('id', '=', id).executeTakeFirst()
  if (row === undefined) throw identityFaults.noSuchBrokenGlass('There is no such right.')
  return row
}

/** Ends it now; one that is over stays as it was. */
export async function mendGlass(room: Room, trx: IdentityTransaction, id: string, origin: Origin): Promise<void> {
  const nowMs = room.clock.nowMs()
  const row = await trx
    .updateTable('identity_break_glass')
    .set({ ended_at_ms: nowMs, ended_by: origin.actor.id })
    .where('id', '=', id)
    .where('ended_at_ms', 'is', null)
    .where('until_ms', '>', nowMs)
    .returningAll()
    .executeTakeFirst()
  if (row === undefined) return
  const { experiment, person_id: personId } = row
  await room.audit(trx, origin, { action: 'glass-mended', target: personId, experiment, detail: { id } })
  await room.changed(trx, personId, 'glass-mended')
}

/** Newest first, of the last thirteen months: those of one experiment, or all. */
export async function listBrokenGlass(
  room: Room,
  snapshot: IdentitySnapshot,
  experiment: string | undefined,
): Promise<BrokenGlass[]> {
  const nowMs = room.clock.nowMs()
  let query = room.kysely
    .selectFrom('identity_break_glass')
    .selectAll()
    .where('taken_at_ms', '>', nowMs - shownMs)
  if (experiment !== undefined) query = query.where('experiment', '=', experiment)
  const rows = await query.orderBy('id', 'desc').limit(500).execute()
  return rows.map((row) => glassOf(row, snapshot, nowMs))
}

export function glassOf(row: Row, snapshot: IdentitySnapshot, nowMs: number): BrokenGlass {
  const nameOf = (id: string) => personIn(snapshot, id)?.name ?? id
  return {
    id: row.id,
    personId: row.person_id,
    personName: nameOf(row.person_id),
    experiment: row.experiment,
    reason: row.reason,
    takenAtMs: row.taken_at_ms,
    endsAtMs: Math.min(row.until_ms, row.ended_at_ms ?? Infinity),
    isOpen: row.ended_at_ms === null && row.until_ms > nowMs,
    endedBy: row.ended_by === null ? null : nameOf(row.ended_by),
  }
}
