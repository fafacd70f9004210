/** What a change of policies does to people's rights, before it is made. Pure. */
import { formatCapability, includes, placedActions } from '../decisions/capability.ts'
import { groupActions, overseeingActions, roleRights, type Reach } from '../decisions/matrix.ts'
import type { Capability, Role, RoleGrant } from '../subject.ts'
import { effectiveGrants, effectiveLimits, type Groups, type Membership } from './grants.ts'
import { isWithin, rootOf, type PolicyLimits } from './policy.ts'
import { limitDifferences } from './words.ts'

/** A person or machine with all memberships in one experiment. */
export interface Holder {
  id: string
  kind: 'person' | 'client'
  name: string
  displayName: string
  memberships: readonly Membership[]
}

interface RightsChange {
  personId: string
  name: string
  displayName: string
  kind: 'person' | 'client'
  group: string
  role: string
  before: string[]
  after: string[]
  lost: string[]
  gained: string[]
  until?: { beforeMs: number | null; afterMs: number | null }
  limits: string[]
}

/** What a holder of changed rights has lost, and what he can still do. */
export interface HolderChange {
  holder: Holder
  lost: Capability[]
  after: Right[]
}

/** One thing a grant lets somebody do. */
export interface Right extends Capability {
  reach: Reach
  /** Where the membership is: rights over people reach that group and those below it. */
  group: string
}

export interface Preview {
  changes: RightsChange[]
  holders: HolderChange[]
}

export function previewOf(
  experiment: string,
  before: Groups,
  after: Groups,
  people: readonly Holder[],
  nowMs: number,
): Preview {
  const preview: Preview = { changes: [], holders: [] }
  for (const holder of people) {
    const grants = (groups: Groups) =>
      effectiveGrants(groups, holder.memberships, () => holder.name).filter(({ untilMs = Infinity }) => untilMs > nowMs)
    const [old, young] = [grants(before), grants(after)]
    const [oldRights, youngRights] = [old.flatMap(rightsOf), young.flatMap(rightsOf)]
    const changes = keysOf([...old, ...young]).flatMap((key) =>
      changeOf(holder, key, { old, young, oldRights, youngRights }),
    )
    const limits = limitWords(before, after, holder, experiment, nowMs)
    if (limits.length > 0) {
      if (changes.length === 0) changes.push(unchanged(holder, old[0] ?? young[0], experiment))
      changes[0]!.limits = limits
    }
    if (changes.length === 0) continue
    preview.changes.push(...changes)
    const lost = oldRights.filter((right) => !isHeld(right, youngRights))
    preview.holders.push({ holder, lost, after: youngRights })
  }
  return preview
}

interface Sides {
  old: RoleGrant[]
  young: RoleGrant[]
  oldRights: Right[]
  youngRights: Right[]
}

interface GrantKey {
  group: string
  role: Role
}

function changeOf(holder: Holder, key: GrantKey, { old, young, oldRights, youngRights }: Sides): RightsChange[] {
  const isIt = (grant: RoleGrant) => grant.role === key.role && groupOf(grant) === key.group
  const [was, is] = [old.filter(isIt), young.filter(isIt)]
  const [rightsBefore, rightsAfter] = [was.flatMap(rightsOf), is.flatMap(rightsOf)]
  const lost = textsOf(rightsBefore.filter((right) => !isHeld(right, youngRights)))
  const gained = textsOf(rightsAfter.filter((right) => !isHeld(right, oldRights)))
  const [beforeMs, afterMs] = [endOf(was), endOf(is)]
  const endChanges = was.length > 0 && is.length > 0 && beforeMs !== afterMs
  if (lost.length === 0 && gained.length === 0 && !endChanges) return []
  return [
    {
      ...whoOf(holder),
      ...key,
      before: textsOf(rightsBefore),
      after: textsOf(rightsAfter),
      lost,
      gained,
      ...(endChanges ? { until: { beforeMs, afterMs } } : {}),
      limits: [],
    },
  ]
}

function unchanged(holder: Holder, grant: RoleGrant | undefined, experiment: string): RightsChange {
  const key = { group: grant === undefined ? rootOf(experiment) : groupOf(grant), role: grant?.role ?? '' }
  const rights = grant === undefined ? [] : textsOf(rightsOf(grant))
  return { ...whoOf(holder), ...key, before: rights, after: rights, lost: [], gained: [], limits: [] }
}

function limitWords(before: Groups, after: Groups, holder: Holder, experiment: string, nowMs: number): string[] {
  const [was, is] = [before, after].map((groups) => effectiveLimits(groups, holder.memberships, experiment, nowMs))
  const { environments: wasIn, ...wasLimits } = was!
  const { environments: isIn, ...isLimits } = is!
  const environments =
    JSON.stringify(wasIn) === JSON.stringify(isIn) ? [] : [`Environments: ${isIn?.join(', ') ?? 'all'}`]
  return [...limitDifferences(wasLimits as PolicyLimits, isLimits as PolicyLimits), ...environments]
}

/** Everything that a grant lets its holder do, with how far it reaches. What has no effect is left out. */
export function rightsOf(grant: RoleGrant): Right[] {
  const rights = roleRights[grant.role]
  const isRoot = grant.group === undefined
  const capabilities: Capability[] =
    grant.capabilities ??
    (Object.entries(rights) as [Capability['action'], Reach][])
      .filter(([, reach]) => reach !== 'named')
      .map(([action]) => ({ action }))
  return capabilities.flatMap((capability) => {
    const reach = Object.hasOwn(rights, capability.action) ? rights[capability.action] : undefined
    if (reach === undefined) return []
    // In a group below the experiment data are only where a place is named.
    if (!isRoot && placedActions.has(capability.action) && capability.place === undefined) return []
    if (reach === 'not-raw' && capability.place?.split('/')[0]?.endsWith('-raw') === true) return []
    // Everywhere in the experiment is the same as no place at all.
    const { action, place } = capability
    return [{ action, ...(place === undefined || place === '**' ? {} : { place }), reach, group: groupOf(grant) }]
  })
}

/** Does one of the rights give at least as much? */
export function isHeld(right: Right, rights: readonly Right[]): boolean {
  const isOverPeople = groupActions.has(right.action) || overseeingActions.has(right.action)
  return rights.some(
    (one) =>
      includes(one, right) &&
      (one.reach === right.reach || one.reach === 'any' || (one.reach === 'not-raw' && isOutsideRaw(right))) &&
      (!isOverPeople || right.reach !== 'any' || isWithin(right.group, one.group)),
  )
}

/** At a bucket that is named, and is none of raw data. */
function isOutsideRaw({ place, reach }: Right): boolean {
  const bucket = place?.split('/')[0]
  return reach !== 'own' && bucket !== undefined && !bucket.startsWith('*') && !bucket.endsWith('-raw')
}

function keysOf(grants: readonly RoleGrant[]): GrantKey[] {
  const keys = grants.map((grant) => ({ group: groupOf(grant), role: grant.role }))
  return [...new Map(keys.map((key) => [`${key.group} ${key.role}`, key])).values()]
}

function groupOf(grant: RoleGrant): string {
  return grant.group ?? rootOf(grant.experiment)
}

function endOf(grants: readonly RoleGrant[]): number | null {
  const end = Math.max(...grants.map(({ untilMs }) => untilMs ?? Infinity))
  return Number.isFinite(end) ? end : null
}

function textsOf(rights: readonly Right[]): string[] {
  return [...new Set(rights.map(formatCapability))].sort()
}

function whoOf({ id, name, displayName, kind }: Holder) {
  return { personId: id, name, displayName, kind }
}
