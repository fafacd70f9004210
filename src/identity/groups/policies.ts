/** Policies of groups: versions that only ever add up, checked against the ceiling above, previewed, undone. */
import type { z } from 'zod'
import type { Origin } from '../audit.ts'
import { limitsOf } from '../directory.ts'
import { intersect } from '../decisions/capability.ts'
import { identityFaults } from '../errors.ts'
import type { Room } from '../room.ts'
import type { Capability, Limits, Subject } from '../subject.ts'
import type { IdentityTransaction } from '../tables.ts'
import { readMachineTerms } from '../tokens/machine-terms.ts'
import { requireMayEdit } from './authority.ts'
import { requireBelow, requireUnderstood } from './ceiling-check.ts'
import type { policyPreviewSchema, policyVersionSchema } from './contract.ts'
import { effectivePolicy, type Groups } from './grants.ts'
import { defaultPolicy, experimentOf, type Policy } from './policy.ts'
import { previewOf, type Holder, type HolderChange } from './preview.ts'
import { documentOf, machineMembership, readGroups, readMemberships, type Reading } from './store.ts'
import { requireGroup } from './tree.ts'
import { differencesOf } from './words.ts'

export type PolicyPreview = z.infer<typeof policyPreviewSchema>
type PolicyVersion = z.infer<typeof policyVersionSchema>

type Planned = Omit<PolicyPreview, 'running'>

interface PolicyEdit {
  group: string
  policy: Policy
  /** The version that was edited. */
  ifVersion: number
  note: string
}

/** The policy that really counts for a group: its own, cut by every ceiling above. */
export async function policyOf(trx: Reading, group: string): Promise<Policy> {
  const groups = await readGroups(trx, experimentOf(group))
  requireGroup(groups, group)
  return effectivePolicy(groups, group)
}

/**
 * What the edit would do. Nothing changes.
 * @throws Fault identity.invalid_policy, beyond_ceiling, not_allowed
 */
export async function previewPolicy(
  room: Room,
  subject: Subject,
  { group, policy }: Pick<PolicyEdit, 'group' | 'policy'>,
): Promise<PolicyPreview> {
  const { preview, holders } = await planOf(room, room.kysely, subject, { group, policy })
  return { ...preview, running: await runningOf(room, experimentOf(group), losersOf(holders)) }
}

/**
 * The same, made so: published when the promise resolves.
 * @throws also Fault identity.policy_changed when somebody else was faster
 */
export async function applyPolicy(
  room: Room,
  subject: Subject,
  edit: PolicyEdit,
  origin: Origin,
): Promise<PolicyPreview & { applied: { version: number } }> {
  // What runs is asked of rooms above, outside of the transaction.
  const { running } = await previewPolicy(room, subject, edit)
  const applied = await room.change((trx) => applyWithin(room, trx, subject, edit, origin))
  return { ...applied, running }
}

async function applyWithin(
  room: Room,
  trx: IdentityTransaction,
  subject: Subject,
  edit: PolicyEdit,
  origin: Origin,
): Promise<Planned & { applied: { version: number } }> {
  const { group, policy, ifVersion, note } = edit
  const { preview, holders } = await planOf(room, trx, subject, edit)
  if (preview.version !== ifVersion) throw await changedMeanwhile(trx, group, preview.version, ifVersion)
  const version = await writePolicy(room, trx, { group, policy, version: ifVersion + 1, note }, origin)
  const differences = preview.differences.slice(0, 20).map((line) => line.slice(0, 150))
  const detail = { version, note, differences }
  const experiment = experimentOf(group)
  await room.audit(trx, origin, { action: 'policy-changed', target: group, experiment, detail })
  for (const { holder } of holders) await room.changed(trx, holder.id, 'policy-changed')
  return { ...preview, applied: { version } }
}

/** A new version equal to an older one; 0 stands for none at all. */
export async function undoPolicy(
  room: Room,
  subject: Subject,
  { group, toVersion, ifVersion, note }: { group: string; toVersion: number; ifVersion: number; note: string },
  origin: Origin,
): Promise<PolicyPreview & { applied: { version: number } }> {
  const policy = await policyAt(room.kysely, group, toVersion)
  const said = note === '' ? `as in version ${toVersion}` : note
  return await applyPolicy(room, subject, { group, policy, ifVersion, note: said }, origin)
}

/** Unchecked and unannounced: for what the platform makes itself. */
export async function writePolicy(
  room: Room,
  trx: IdentityTransaction,
  { group, policy, version, note }: { group: string; policy: Policy; version: number; note: string },
  origin: Origin,
): Promise<number> {
  const written = await trx
    .insertInto('identity_policy')
    .values({
      group_path: group,
      version,
      document: JSON.stringify(policy),
      author_id: origin.actor.id,
      author_name: origin.actor.name,
      at_ms: room.clock.nowMs(),
      note,
    })
    .onConflict((conflict) => conflict.columns(['group_path', 'version']).doNothing())
    .returning('version')
    .executeTakeFirst()
  if (written === undefined) throw await changedMeanwhile(trx, group, version, version - 1)
  return written.version
}

export async function policyAt(kysely: Reading, group: string, version: number): Promise<Policy> {
  if (version === 0) return defaultPolicy
  const row = await kysely
    .selectFrom('identity_policy')
    .select('document')
    .where('group_path', '=', group)
    .where('version', '=', version)
    .executeTakeFirst()
  if (row === undefined) throw identityFaults.noSuchVersion(`The policy of ${group} has no version ${version}.`)
  return documentOf(row.document)
}

/** Newest first, each with what it changed. */
export async function listPolicyVersions(
  kysely: Reading,
  { group, limit, cursor }: { group: string; limit: number; cursor?: string | undefined },
): Promise<{ items: PolicyVersion[]; nextCursor: string | null }> {
  let query = kysely
    .selectFrom('identity_policy')
    .selectAll()
    .where('group_path', '=', group)
    .orderBy('version', 'desc')
    .limit(limit + 1)
  if (cursor !== undefined) query = query.where('version', '<', Number(cursor) || 0)
  const rows = await query.execute()
  const items = rows.slice(0, limit).map((row, index) => {
    const policy = documentOf(row.document)
    const earlier = rows[index + 1]
    return {
      group,
      version: row.version,
      policy,
      author: { id: row.author_id, name: row.author_name },
      atMs: row.at_ms,
      note: row.note,
      differences: differencesOf(earlier === undefined ? defaultPolicy : documentOf(earlier.document), policy),
    }
  })
  return { items, nextCursor: rows.length > limit ? String(items.at(-1)!.version) : null }
}

async function planOf(
  room: Room,
  kysely: Reading,
  subject: Subject,
  { group, policy }: Pick<PolicyEdit, 'group' | 'policy'>,
): Promise<{ preview: Planned; holders: HolderChange[] }> {
  const nowMs = room.clock.nowMs()
  const experiment = experimentOf(group)
  const groups = await readGroups(kysely, experiment)
  const present = requireGroup(groups, group)
  requireUnderstood(group, policy)
  requireMayEdit(subject, group, present.policy, policy, nowMs)
  requireBelow(groups, group, present.policy, policy)
  const after: Groups = new Map(groups).set(group, { ...present, policy, version: present.version + 1 })
  const { changes, holders } = previewOf(experiment, groups, after, await holdersOf(kysely, experiment), nowMs)
  const keys = await keysOf(kysely, experiment, losersOf(holders), nowMs)
  const differences = differencesOf(present.policy, policy)
  return { preview: { group, version: present.version, differences, changes, keys }, holders }
}

function losersOf(holders: readonly HolderChange[]): HolderChange[] {
  return holders.filter(({ lost }) => lost.length > 0)
}

/** Everybody, and every machine, with a membership in the experiment that may count. Suspended ones too: they may come back. */
export async function holdersOf(kysely: Reading, experiment: string): Promise<Holder[]> {
  const memberships = await readMemberships(kysely, { experiment })
  const byPerson = Map.groupBy(memberships, ({ personId }) => personId)
  const terms = await readMachineTerms(kysely)
  const rows = await kysely
    .selectFrom('identity_subject')
    .selectAll()
    .where((row) =>
      row.or([
        row('experiment', '=', experiment),
        row(
          'id',
          'in',
          row
            .selectFrom('identity_membership as membership')
            .innerJoin('identity_group as group', 'group.path', 'membership.group_path')
            .select('membership.person_id')
            .where('group.experiment', '=', experiment),
        ),
      ]),
    )
    .orderBy('name')
    .execute()
  return rows.map((row) => ({
    id: row.id,
    kind: row.kind,
    name: row.name,
    displayName: row.display_name,
    memberships: [...(byPerson.get(row.id) ?? []), ...machineMembership(row, terms.get(row.id))],
  }))
}

async function runningOf(
  room: Room,
  experiment: string,
  losers: readonly HolderChange[],
): Promise<PolicyPreview['running']> {
  if (losers.length === 0) return []
  const byId = new Map(losers.map((one) => [one.holder.id, one]))
  const running = await room.ports.runningOf([...byId.keys()])
  return running.flatMap((work) => {
    const change = byId.get(work.personId)
    if (change === undefined || work.experiment !== experiment) return []
    const needed = work.kind === 'session' ? 'sessions.start' : 'jobs.submit'
    const { kind, id, personId, title } = work
    const stops = !change.after.some(({ action }) => action === needed)
    return [{ kind, id, personId, personName: change.holder.name, title, stops }]
  })
}

/** Keys that open less than before. */
async function keysOf(
  kysely: Reading,
  experiment: string,
  losers: readonly HolderChange[],
  nowMs: number,
): Promise<PolicyPreview['keys']> {
  if (losers.length === 0) return []
  const byId = new Map(losers.map((one) => [one.holder.id, one]))
  const rows = await kysely
    .selectFrom('identity_access_key')
    .select(['access_key_id', 'label', 'subject_id', 'limits'])
    .where('subject_id', 'in', [...byId.keys()])
    .where('revoked_at_ms', 'is', null)
    .where('actor_kind', 'is', null)
    .where((row) => row.or([row('expires_at_ms', 'is', null), row('expires_at_ms', '>', nowMs)]))
    .orderBy('access_key_id')
    .execute()
  return rows.flatMap((row) => {
    const { holder, lost } = byId.get(row.subject_id)!
    if (!lost.some((one) => reaches(limitsOf(row.limits), experiment, one))) return []
    return [{ accessKeyId: row.access_key_id, label: row.label, ownerId: holder.id, ownerName: holder.name }]
  })
}

function reaches(limits: Limits, experiment: string, { action, place }: Capability): boolean {
  if (limits.experiment !== undefined && limits.experiment !== experiment) return false
  if (limits.actions?.includes(action) === false) return false
  const lost: Capability[] = [place === undefined ? { action } : { action, place }]
  const prefix = limits.prefix?.replace(/\/$/, '')
  const inPrefix = prefix === undefined ? lost : intersect(lost, [{ action, place: `${prefix}/**` }])
  return (limits.capabilities === undefined ? inPrefix : intersect(inPrefix, limits.capabilities)).length > 0
}

async function changedMeanwhile(kysely: Reading, group: string, version: number, wanted: number): Promise<Error> {
  const newest = await kysely
    .selectFrom('identity_policy')
    .select(['author_name', 'version', 'document'])
    .where('group_path', '=', group)
    .orderBy('version', 'desc')
    .limit(1)
    .executeTakeFirst()
  const who = newest === undefined ? 'nobody' : newest.author_name
  return identityFaults.policyChanged(
    `You edited version ${wanted} of the policy of ${group}; ${who} has made it version ${newest?.version ?? version} meanwhile.`,
    {
      hint: 'Look at what changed, then apply yours to the newest version.',
      extra: { version: newest?.version ?? version, by: who },
    },
  )
}
