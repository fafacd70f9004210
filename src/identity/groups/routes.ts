/** Binds the contract of groups to its functions. Who may do it is asked of the tree, not only of the experiment. */
import type { Caller, Handlers, RequestContext } from '../../foundation/http.ts'
import { requireAdminProof, requireWholePerson } from '../authority.ts'
import { formatCapability } from '../decisions/capability.ts'
import { identityFaults } from '../errors.ts'
import { originOf, subjectOfCaller } from '../gate.ts'
import type { RouteParts } from '../routes.ts'
import type { Room } from '../room.ts'
import type { PersonRole, Subject } from '../subject.ts'
import { isOfExperiment, mayDo, requireGiveable, rolesToGive } from './authority.ts'
import { ceilingAbove, ceilingText, requireBelow, requireUnderstood } from './ceiling-check.ts'
import type { groupRoutes } from './contract.ts'
import { effectiveGrants, effectivePolicy, type Group, type Groups } from './grants.ts'
import { membershipChange } from './memberships.ts'
import { listExperimentPeople, listMembers, personCalled } from './people-list.ts'
import { applyPolicy, listPolicyVersions, previewPolicy, undoPolicy } from './policies.ts'
import { defaultPolicy, experimentOf, isWithin, rootOf } from './policy.ts'
import { rightsOf } from './preview.ts'
import { readGroups, readMemberships } from './store.ts'
import { firstPolicy, usualPolicy } from './template.ts'
import { archiveGroup, createGroup, requireGroup } from './tree.ts'

export function groupHandlers({ room }: RouteParts): Handlers<typeof groupRoutes> {
  const { kysely, clock } = room
  const now = () => clock.nowMs()

  /** The groups of an experiment, for somebody who is in it; to strangers it looks as if there were none. */
  async function groupsFor(caller: Caller, experiment: string): Promise<Groups> {
    const groups = await readGroups(kysely, experiment)
    if (isOfExperiment(subjectOfCaller(caller), experiment, now()) && groups.size > 0) return groups
    throw identityFaults.noSuchGroup(`There is no group ${rootOf(experiment)}, or you are not in it.`)
  }

  async function shown(subject: Subject, group: string): Promise<ReturnType<typeof shownGroup>> {
    const groups = await readGroups(kysely, experimentOf(group))
    return shownGroup(requireGroup(groups, group), subject, await countOf(room, [group]), now())
  }

  return {
    async listGroups({ params, query }, { caller }) {
      const subject = subjectOfCaller(caller)
      const all = [...(await groupsFor(caller, params.experiment)).values()]
      const counts = await countOf(
        room,
        all.map(({ group }) => group),
      )
      const listed = all.filter(
        (one) => query.archived || !all.some((other) => other.archived && isWithin(one.group, other.group)),
      )
      return { items: listed.map((group) => shownGroup(group, subject, counts, now())) }
    },

    async createGroup({ body }, context) {
      const { caller, request } = context
      requireChange(context, 'experiment.admin', body.group)
      const origin = originOf(caller, request)
      await room.change(async (trx) => {
        await createGroup(room, trx, body, origin)
        const policy = body.policy ?? (await usualPolicy(trx, body.group))
        requireUnderstood(body.group, policy)
        requireBelow(await readGroups(trx, experimentOf(body.group)), body.group, defaultPolicy, policy)
        await firstPolicy(room, trx, body.group, policy, origin)
      })
      return await shown(subjectOfCaller(caller), body.group)
    },

    async archiveGroup({ body }, context) {
      const { caller, request } = context
      requireChange(context, 'experiment.admin', body.group)
      await room.change((trx) => archiveGroup(room, trx, body.group, body.archived, originOf(caller, request)))
      return await shown(subjectOfCaller(caller), body.group)
    },

    async listMembers({ query }, { caller }) {
      const subject = subjectOfCaller(caller)
      requireGroup(await groupsFor(caller, experimentOf(query.group)), query.group)
      const { seeMembers } = mayDo(subject, query.group, now())
      if (!seeMembers)
        throw identityFaults.notAllowed(`Members of ${query.group} are shown to its members and managers.`, {
          hint: 'Ask a manager of the group.',
        })
      return { items: await listMembers(room, subject, query.group) }
    },

    async setMember({ body }, context) {
      const { caller, request } = context
      const { group, role } = body
      requireChange(context, 'people.manage', group)
      const subject = subjectOfCaller(caller)
      await room.change(async (trx) => {
        const personId = await personCalled(trx, body.person)
        const held = (await readMemberships(trx, { personId, group })).map((one) => one.role)
        requireGiveable(subject, group, [...held, ...(role === null ? [] : [role])], now())
        const change = {
          personId,
          group,
          role,
          untilMs: body.untilMs ?? null,
          source: 'direct',
          replacesAll: true,
        } as const
        await membershipChange(room, trx, change, originOf(caller, request))
      })
      return { items: await listMembers(room, subject, group) }
    },

    async listExperimentPeople({ params, query }, context) {
      const subject = subjectOfCaller(context.caller)
      const { experiment } = params
      const groups = await readGroups(kysely, experiment)
      // Before its first role or bucket an experiment has no group yet; the first role makes it.
      const known = groups.size === 0 ? [rootOf(experiment)] : [...groups.keys()]
      const manages = known
        .map((group) => ({ group, give: rolesToGive(subject, group, now()) }))
        .filter(({ give }) => give.length > 0)
      context.require('people.manage', experiment, { group: manages[0]?.group })
      return {
        ...(await listExperimentPeople(
          room,
          subject,
          experiment,
          manages.map(({ group }) => group),
          query,
        )),
        manages,
      }
    },

    async myGroups(_request, { caller }) {
      requireWholePerson(caller)
      const [memberships, groups] = [await readMemberships(kysely, { personId: caller.id }), await readGroups(kysely)]
      const items = memberships.flatMap((membership) => {
        const grants = effectiveGrants(groups, [membership], () => caller.name)
        const open = grants.filter(({ untilMs = Infinity }) => untilMs > now())
        if (open.length === 0) return []
        const { group, role, source, grantedBy, grantedAtMs } = membership
        const end = Math.max(...open.map(({ untilMs }) => untilMs ?? Infinity))
        return {
          ...{ group, role, source, grantedBy, grantedAtMs },
          untilMs: Number.isFinite(end) ? end : null,
          title: groups.get(group)?.title ?? '',
          optional: groups.get(group)?.optional ?? false,
          capabilities: [...new Set(open.flatMap(rightsOf).map(formatCapability))].sort(),
        }
      })
      return { items }
    },

    async showPolicy({ query }, { caller }) {
      const { group } = query
      const groups = await groupsFor(caller, experimentOf(group))
      const { policy, version } = requireGroup(groups, group)
      const newest = (await listPolicyVersions(kysely, { group, limit: 1 })).items[0]
      return {
        group,
        version,
        policy,
        author: newest?.author ?? { id: 'platform', name: 'cygnet' },
        atMs: newest?.atMs ?? 0,
        note: newest?.note ?? '',
        effective: effectivePolicy(groups, group),
        above: ceilingText(ceilingAbove(groups, group)),
        may: mayDo(subjectOfCaller(caller), group, now()),
      }
    },

    async listPolicyVersions({ query }, { caller }) {
      requireGroup(await groupsFor(caller, experimentOf(query.group)), query.group)
      return await listPolicyVersions(kysely, query)
    },

    async previewPolicy({ body }, context) {
      requireOver(context, 'policy.edit', body.group)
      return await previewPolicy(room, subjectOfCaller(context.caller), body)
    },

    async applyPolicy({ body }, context) {
      const { caller, request } = context
      requireChange(context, 'policy.edit', body.group)
      return await applyPolicy(room, subjectOfCaller(caller), body, originOf(caller, request))
    },

    async undoPolicy({ body }, context) {
      const { caller, request } = context
      requireChange(context, 'policy.edit', body.group)
      return await undoPolicy(room, subjectOfCaller(caller), body, originOf(caller, request))
    },
  }
}

/** Who changes something as site admin proves himself lately. */
function requireChange(context: Pick<RequestContext, 'require' | 'caller'>, action: string, group: string): void {
  requireOver(context, action, group)
  requireAdminProof(context.caller)
}

function requireOver({ require }: Pick<RequestContext, 'require'>, action: string, group: string): void {
  require(action, experimentOf(group), { group })
}

function shownGroup(
  { group, title, optional, archived, gid, version }: Group,
  subject: Subject,
  counts: ReadonlyMap<string, number>,
  nowMs: number,
) {
  const mine = subject.roles
    .filter((grant) => (grant.group ?? rootOf(grant.experiment)) === group && (grant.untilMs ?? Infinity) > nowMs)
    .map(({ role }) => role)
    .filter((role): role is PersonRole => role !== 'client' && role !== 'break-glass')
  return {
    group,
    experiment: experimentOf(group),
    title,
    optional,
    archived,
    gid,
    members: counts.get(group) ?? 0,
    policyVersion: version,
    mine: [...new Set(mine)],
    may: mayDo(subject, group, nowMs),
  }
}

/** People in each of these groups itself. */
async function countOf(room: Room, groups: readonly string[]): Promise<ReadonlyMap<string, number>> {
  if (groups.length === 0) return new Map()
  const rows = await room.kysely
    .selectFrom('identity_membership')
    .select(['group_path', ({ fn }) => fn.count<number>('person_id').distinct().as('people')])
    .where('group_path', 'in', groups)
    .groupBy('group_path')
    .execute()
  return new Map(rows.map((row) => [row.group_path, Number(row.people)]))
}
