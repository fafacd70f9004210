/** The living state that decisions need, read from the database as one value: what gateways get, and what the gate here uses. */
import { actions } from '../foundation/contract.ts'
import { openGlass } from './decisions/break-glass.ts'
import type { Standing } from './decisions/standing.ts'
import type { WorkLimits } from './decisions/work-figures.ts'
import { workLimitsOf } from './decisions/work-limits.ts'
import { readExperimentGroups } from './experiment-gids.ts'
import { agreedPeople } from './invitations/terms.ts'
import { effectiveGrants, type Groups } from './groups/grants.ts'
import { machineMembership, readGroups, readMemberships } from './groups/store.ts'
import type { Room } from './room.ts'
import type { IdentitySnapshot } from './snapshot.ts'
import type { Limits } from './subject.ts'
import { readMachineTerms } from './tokens/machine-terms.ts'
import type { IdentityTables } from './tables.ts'

export async function readDirectory(
  room: Room,
): Promise<Pick<IdentitySnapshot, 'subjects' | 'accessKeys' | 'experiments' | 'groups'>> {
  const nowMs = room.clock.nowMs()
  const [subjects, memberships, groups, keys, uids, experiments] = await Promise.all([
    room.kysely.selectFrom('identity_subject').selectAll().execute(),
    readMemberships(room.kysely),
    readGroups(room.kysely),
    room.kysely
      .selectFrom('identity_access_key')
      .selectAll()
      .where('revoked_at_ms', 'is', null)
      .where((row) => row.or([row('expires_at_ms', 'is', null), row('expires_at_ms', '>', nowMs)]))
      .execute(),
    room.kysely.selectFrom('identity_platform_uid').selectAll().execute(),
    readExperimentGroups(room.kysely),
  ])
  const agreed = await agreedPeople(room.kysely)
  const broken = await openGlass(room.kysely, nowMs)
  const machineTerms = await readMachineTerms(room.kysely)
  const uidOf = new Map(uids.map((row) => [row.person_id, row.uid]))
  const membershipsOf = Map.groupBy(memberships, ({ personId }) => personId)
  return {
    experiments,
    groups: publishedGroups(groups),
    subjects: Object.fromEntries(
      subjects.map((row) => [
        row.id,
        {
          id: row.id,
          kind: row.kind,
          name: row.name,
          displayName: row.display_name,
          state: row.state === 'active' ? 'active' : 'suspended',
          ...standingOf(row, agreed),
          epoch: row.epoch,
          siteAdmin: row.site_admin === 1,
          roles: [
            ...effectiveGrants(
              groups,
              row.kind === 'client'
                ? machineMembership(row, machineTerms.get(row.id))
                : (membershipsOf.get(row.id) ?? []),
              () => row.name,
            ),
            ...(broken.get(row.id) ?? []),
          ],
          ...(uidOf.has(row.id) ? { uid: uidOf.get(row.id)! } : {}),
          ...publishedLimits(workLimitsOf(groups, membershipsOf.get(row.id) ?? [], nowMs)),
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
          ...(row.session_token_hash !== null && { sessionTokenHash: row.session_token_hash }),
          ...(row.epoch !== null && { epoch: row.epoch }),
        },
      ]),
    ),
  }
}

/** Who may only read is published as not active: a gateway that does not know of it lets him do nothing. */
function standingOf(
  row: Pick<IdentityTables['identity_subject'], 'id' | 'kind' | 'state'>,
  agreed: ReadonlySet<string> | undefined,
): { standing?: Standing } {
  if (row.kind !== 'person') return {}
  if (row.state === 'grace') return { standing: 'reading' }
  return row.state === 'active' && agreed?.has(row.id) === false ? { standing: 'terms-due' } : {}
}

function publishedLimits(workLimits: Record<string, WorkLimits>): { workLimits?: Record<string, WorkLimits> } {
  return Object.keys(workLimits).length === 0 ? {} : { workLimits }
}

/** Limits of a stored key. An action this version does not know is dropped: a limit may only get tighter. */
export function limitsOf(text: string): Limits {
  const limits = JSON.parse(text) as Limits
  return {
    ...limits,
    ...(limits.actions && { actions: limits.actions.filter((action) => actions.includes(action)) }),
    ...(limits.capabilities && { capabilities: limits.capabilities.filter(({ action }) => actions.includes(action)) }),
  }
}

/** Groups below experiments that are not archived: their numbers, and which must be asked for in a token. */
function publishedGroups(groups: Groups): NonNullable<IdentitySnapshot['groups']> {
  return Object.fromEntries(
    [...groups.values()].flatMap(({ group, gid, optional, archived }) =>
      archived || gid === null ? [] : [[group, { gid, ...(optional ? { optional } : {}) }]],
    ),
  )
}
