/** The living state that decisions need, read from the database as one value: what gateways get, and what the gate here uses. */
import { actions } from '../foundation/contract.ts'
import { readExperimentGroups } from './experiment-gids.ts'
import { rolesOf } from './people.ts'
import type { Room } from './room.ts'
import type { IdentitySnapshot } from './snapshot.ts'
import type { Limits } from './subject.ts'

export async function readDirectory(
  room: Room,
): Promise<Pick<IdentitySnapshot, 'subjects' | 'accessKeys' | 'experiments'>> {
  const nowMs = room.clock.nowMs()
  const [subjects, roles, keys, uids, experiments] = await Promise.all([
    room.kysely.selectFrom('identity_subject').selectAll().execute(),
    room.kysely.selectFrom('identity_role').select(['subject_id', 'experiment', 'role']).execute(),
    room.kysely
      .selectFrom('identity_access_key')
      .selectAll()
      .where('revoked_at_ms', 'is', null)
      .where((row) => row.or([row('expires_at_ms', 'is', null), row('expires_at_ms', '>', nowMs)]))
      .execute(),
    room.kysely.selectFrom('identity_platform_uid').selectAll().execute(),
    readExperimentGroups(room.kysely),
  ])
  const uidOf = new Map(uids.map((row) => [row.person_id, row.uid]))
  const rolesBySubject = Map.groupBy(roles, (role) => role.subject_id)
  return {
    experiments,
    subjects: Object.fromEntries(
      subjects.map((row) => [
        row.id,
        {
          id: row.id,
          kind: row.kind,
          name: row.name,
          displayName: row.display_name,
          state: row.state,
          epoch: row.epoch,
          siteAdmin: row.site_admin === 1,
          roles: rolesOf(row.id, rolesBySubject.get(row.id) ?? []),
          ...(uidOf.has(row.id) ? { uid: uidOf.get(row.id)! } : {}),
        },
      ]),
    ),
    accessKeys: Object.fromEntries(
      keys.map((row) => [
        row.access_key_id,
        {
          secret: room.seal.open(row.sealed_secret, `access-key.${row.access_key_id}`),
          subjectId: row.subject_id,
          limits: limitsOf(row.limits),
          actor: row.actor_kind === null ? null : { kind: row.actor_kind, id: row.actor_id ?? '' },
          expiresAtMs: row.expires_at_ms,
        },
      ]),
    ),
  }
}

/** Limits of a stored key. An action this version does not know is dropped: a limit may only get tighter. */
export function limitsOf(text: string): Limits {
  const limits = JSON.parse(text) as Limits
  if (limits.actions === undefined) return limits
  return { ...limits, actions: limits.actions.filter((action) => actions.includes(action)) }
}
