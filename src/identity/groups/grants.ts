/**
 * What memberships give once policies have cut it: grant of the group ∩ ceiling of the group ∩ ceilings of all above.
 * Pure. The same function serves what is published, previews, and tests; nothing else turns a membership into rights.
 */
import { actions, type Action } from '../../foundation/contract.ts'
import {
  formatCapability,
  includes,
  intersect,
  parseCapability,
  placedActions,
  reduced,
  substitute,
} from '../decisions/capability.ts'
import { groupActions, roleRights, siteActions } from '../decisions/matrix.ts'
import { personRoles, roles, type Capability, type Role, type RoleGrant } from '../subject.ts'
import {
  defaultPolicy,
  experimentOf,
  groupRoles,
  lineOf,
  parentOf,
  type Ceiling,
  type Policy,
  type PolicyLimits,
} from './policy.ts'

/** A group with its newest policy. */
export interface Group {
  group: string
  archived: boolean
  optional: boolean
  title: string
  gid: number | null
  /** 0: none was ever written. */
  version: number
  policy: Policy
}
/** By path. Never changed once it is made. */
export type Groups = ReadonlyMap<string, Group>

export interface Membership {
  personId: string
  group: string
  role: Role
  untilMs: number | null
  grantedAtMs: number
  /** Of machines: what their owners declared; absent: what every machine has. */
  declared?: Capability[]
}

/** What no policy takes away: rights over groups are bound by the tree, and what runs can always be stopped. */
const uncut: ReadonlySet<Action> = new Set<Action>([
  ...groupActions,
  'experiment.admin',
  'jobs.cancel',
  'sessions.stop',
])

/** What a policy can give and withhold. */
export const policyActions: readonly Action[] = actions.filter(
  (action) => !uncut.has(action) && !siteActions.has(action),
)

/** What is left of a group after its end. */
const reading: readonly Capability[] = (['logbook.read', 'data.read', 'jobs.read', ...uncut] as const)
  .filter((action) => !groupActions.has(action) && action !== 'experiment.admin')
  .map((action) => ({ action }))

const dayMs = 86_400_000

/** Ceilings from the root down to the group, met. What is absent does not limit. */
export interface MetCeiling {
  capabilities?: Capability[]
  limits: PolicyLimits
  membershipMaxDays?: number
  guestAllowed: boolean
  environments?: string[]
  endsAtMs?: number
}

/**
 * Rights of memberships, which may be those of several people if the caller keeps them apart by himself. Memberships of
 * groups that are unknown or archived, and roles that a group does not have, give nothing.
 */
export function effectiveGrants(
  groups: Groups,
  memberships: readonly Membership[],
  nameOf: (personId: string) => string,
): RoleGrant[] {
  const grants = new Map<string, RoleGrant>()
  for (const membership of memberships) {
    for (const grant of grantsOf(groups, membership, nameOf(membership.personId))) {
      const { untilMs: _, ...what } = grant
      const key = JSON.stringify(what)
      const known = grants.get(key)
      if (known === undefined || endOf(grant) > endOf(known)) grants.set(key, grant)
    }
  }
  return [...grants.values()].sort(
    (one, other) =>
      compare(one.experiment, other.experiment) ||
      compare(one.group ?? '', other.group ?? '') ||
      roles.indexOf(one.role) - roles.indexOf(other.role) ||
      endOf(other) - endOf(one),
  )
}

function grantsOf(groups: Groups, membership: Membership, name: string): RoleGrant[] {
  const { group, role } = membership
  const line = lineOf(group).map((path) => groups.get(path))
  const isRoot = line.length === 1
  if (line.slice(1).includes(undefined) || line.some((one) => one?.archived)) return []
  const allowed: readonly Role[] = isRoot ? roles : groupRoles
  if (!allowed.includes(role)) return []
  const { ceiling, rights, afterEnd } = cutFor(groups, membership, name)
  if (role === 'guest' && !ceiling.guestAllowed) return []
  const untilMs = endOfMembership(membership, ceiling)
  const experiment = experimentOf(group)
  const place = isRoot ? { experiment, role } : { experiment, role, group }
  const until = (endMs: number | undefined) => (endMs === undefined ? {} : { untilMs: endMs })
  const { endsAtMs } = ceiling
  if (endsAtMs === undefined || (untilMs !== undefined && untilMs <= endsAtMs))
    return [{ ...place, ...until(untilMs), ...rights }]
  return [
    { ...place, ...until(endsAtMs), ...rights },
    { ...place, ...until(untilMs), ...afterEnd },
  ]
}

/** What is left of a role in a group, before and after the group's end. */
interface CutRole {
  ceiling: MetCeiling
  rights: { capabilities?: Capability[] }
  afterEnd: { capabilities: Capability[] }
}

/** The same for all who hold a role in a group, as long as its policies name no `${user}`: worked out once. */
const sharedCuts = new WeakMap<Groups, Map<string, CutRole>>()

function cutFor(groups: Groups, membership: Membership, name: string): CutRole {
  const { group, role, declared } = membership
  if (declared !== undefined || lineOf(group).some((path) => isPersonal(groups.get(path))))
    return cut(groups, membership, name)
  const known = sharedCuts.get(groups) ?? new Map<string, CutRole>()
  sharedCuts.set(groups, known)
  const key = `${role} ${group}`
  const shared = known.get(key) ?? cut(groups, membership, name)
  known.set(key, shared)
  return shared
}

function isPersonal(group: Group | undefined): boolean {
  if (group === undefined) return false
  const { ceiling, grants } = group.policy
  return [ceiling.capabilities, ...Object.values(grants)].some((texts) =>
    texts?.some((text) => text.includes('${user}')),
  )
}

function cut(groups: Groups, membership: Membership, name: string): CutRole {
  const ceiling = metCeiling(groups, membership.group, { user: name })
  const left = leftOf(groups, membership, ceiling, name)
  const whole = left && reduced([...left, ...uncutOf(membership.role)])
  return {
    ceiling,
    rights: whole === undefined ? {} : { capabilities: whole },
    afterEnd: { capabilities: intersect(whole ?? reading, reading) },
  }
}

/** Undefined: all that the role has, which only the experiment itself can say: in a group below it, data have a place. */
function leftOf(groups: Groups, membership: Membership, ceiling: MetCeiling, name: string): Capability[] | undefined {
  const { group, role } = membership
  if (role === 'break-glass') return undefined
  const granted =
    role === 'client'
      ? (membership.declared ?? (ceiling.capabilities && usualOfMachines))
      : groups.get(group)?.policy.grants[role]?.flatMap((text) => capabilityOf(text, { user: name, group }))
  const { capabilities } = ceiling
  const left =
    granted === undefined || capabilities === undefined ? (granted ?? capabilities) : intersect(granted, capabilities)
  if (parentOf(group) === undefined) return left
  return (left ?? policyActions.map((action): Capability => ({ action }))).map((one) =>
    one.place === undefined && placedActions.has(one.action) ? { action: one.action, place: everywhere } : one,
  )
}

/** Of an experiment: `decide` asks for a place in a group below it, so that no group has data by an oversight. */
const everywhere = '**'

const usualOfMachines: Capability[] = policyActions
  .filter((action) => !['named', undefined].includes(roleRights.client[action]))
  .map((action) => ({ action }))

function uncutOf(role: Role): Capability[] {
  return [...uncut].filter((action) => Object.hasOwn(roleRights[role], action)).map((action) => ({ action }))
}

/** When a membership ends: what it says itself, or what the policies' days of membership leave of it. */
export function endOfMembership(
  { untilMs, grantedAtMs }: Pick<Membership, 'untilMs' | 'grantedAtMs'>,
  { membershipMaxDays }: Pick<MetCeiling, 'membershipMaxDays'>,
): number | undefined {
  const ends = [
    ...(untilMs === null ? [] : [untilMs]),
    ...(membershipMaxDays === undefined ? [] : [grantedAtMs + membershipMaxDays * dayMs]),
  ]
  return ends.length === 0 ? undefined : Math.min(...ends)
}

/** `user` undefined: `${user}` stays as it is, a segment that only equals itself. */
export function metCeiling(groups: Groups, group: string, names: { user?: string } = {}): MetCeiling {
  let met: MetCeiling = { limits: {}, guestAllowed: true }
  for (const path of lineOf(group)) {
    const { ceiling } = groups.get(path)?.policy ?? defaultPolicy
    met = meet(met, ceiling, { ...names, group })
  }
  return met
}

function meet(above: MetCeiling, ceiling: Ceiling, names: { user?: string; group: string }): MetCeiling {
  const own = ceiling.capabilities?.flatMap((text) => capabilityOf(text, names))
  const capabilities =
    own === undefined || above.capabilities === undefined
      ? (own ?? above.capabilities)
      : intersect(above.capabilities, own)
  const environments =
    ceiling.environments === undefined || above.environments === undefined
      ? (ceiling.environments ?? above.environments)
      : above.environments.filter((name) => ceiling.environments!.includes(name))
  return {
    limits: lowest(above.limits, ceiling.limits),
    guestAllowed: above.guestAllowed && ceiling.guestAllowed,
    ...(capabilities === undefined ? {} : { capabilities: reduced(capabilities) }),
    ...(environments === undefined ? {} : { environments }),
    ...least('membershipMaxDays', above, ceiling),
    ...least('endsAtMs', above, ceiling),
  }
}

function least<Name extends 'membershipMaxDays' | 'endsAtMs'>(
  name: Name,
  one: Partial<Record<Name, number | undefined>>,
  other: Partial<Record<Name, number | undefined>>,
): Partial<Record<Name, number>> {
  const figures = [one[name], other[name]].filter((figure) => figure !== undefined)
  return figures.length === 0 ? {} : ({ [name]: Math.min(...figures) } as Partial<Record<Name, number>>)
}

function lowest(one: PolicyLimits, other: PolicyLimits): PolicyLimits {
  const met: PolicyLimits = { ...one }
  for (const [name, figure] of Object.entries(other) as [keyof PolicyLimits, number | undefined][])
    if (figure !== undefined) met[name] = Math.min(figure, met[name] ?? figure)
  return met
}

/**
 * A capability of a document with the names of one person and group put in; none if the document says what this version
 * does not know: a policy may only give less then. Names left out stay as they are.
 */
export function capabilityOf(text: string, names: { user?: string; group?: string }): Capability[] {
  const parsed = parseCapability(text)
  if (parsed === undefined || !policyActions.includes(parsed.action)) return []
  const group = names.group?.split('/').slice(2).join('/')
  const put = substitute(parsed, { user: names.user ?? personStand, ...(group === undefined ? {} : { group }) })
  if (put?.place === undefined || names.user !== undefined) return put === undefined ? [] : [put]
  return [{ action: put.action, place: put.place.replaceAll(personStand, '${user}') }]
}

/** No name of a person: those have no dots. */
const personStand = 'person.of.the.group'

/** Figures for what one person may have at once in an experiment: the most that one of his groups leaves him. */
export function effectiveLimits(
  groups: Groups,
  memberships: readonly Membership[],
  experiment: string,
  nowMs: number,
): PolicyLimits & { environments?: string[] } {
  const all = memberships
    .filter(({ group }) => experimentOf(group) === experiment)
    .filter((membership) => grantsOf(groups, membership, 'x1').some(({ untilMs }) => (untilMs ?? Infinity) > nowMs))
    .map(({ group }) => metCeiling(groups, group))
  if (all.length === 0) return {}
  const [first, ...others] = all
  const limits: PolicyLimits = { ...first!.limits }
  for (const { limits: next } of others) {
    for (const name of Object.keys(limits) as (keyof PolicyLimits)[]) {
      const figure = next[name]
      if (figure === undefined) delete limits[name]
      else limits[name] = Math.max(figure, limits[name]!)
    }
  }
  const environments = all.some((one) => one.environments === undefined)
    ? undefined
    : [...new Set(all.flatMap((one) => one.environments!))]
  return { ...limits, ...(environments === undefined ? {} : { environments }) }
}

/** The policy of a group below all ceilings: what really counts. Groups nobody wrote one for have that of the next above. */
export function effectivePolicy(groups: Groups, group: string): Policy {
  const met = metCeiling(groups, group)
  const own = groups.get(group)?.policy ?? defaultPolicy
  const rules = rulesOf(groups, group)
  const { capabilities, ...rest } = met
  return {
    ceiling: { ...rest, ...(capabilities === undefined ? {} : { capabilities: capabilities.map(formatCapability) }) },
    grants: Object.fromEntries(
      personRoles.flatMap((role) => {
        const granted = own.grants[role]?.flatMap((text) => capabilityOf(text, { group }))
        if (granted === undefined) return []
        const cut = capabilities === undefined ? reduced(granted) : intersect(granted, capabilities)
        return [[role, cut.map(formatCapability)]]
      }),
    ),
    sponsors: rules.sponsors,
    sponsorLimit: rules.sponsorLimit,
    approval: rules.approval,
  }
}

function rulesOf(groups: Groups, group: string): Pick<Policy, 'sponsors' | 'sponsorLimit' | 'approval'> {
  for (let path: string | undefined = group; path !== undefined; path = parentOf(path)) {
    const known = groups.get(path)
    if (known !== undefined && known.version > 0) return known.policy
  }
  return defaultPolicy
}

/** Is everything that the capability gives given by one of these? Undefined: by the role as a whole. */
export function isIncluded(capability: Capability, wide: readonly Capability[] | undefined): boolean {
  return wide === undefined || wide.some((one) => includes(one, capability))
}

export function groupsOf(list: readonly Group[]): Groups {
  return new Map(list.map((one) => [one.group, one]))
}

function endOf({ untilMs }: RoleGrant): number {
  return untilMs ?? Infinity
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0
}
