/**
 * Making a credential from another: what comes out is never more than what went in. Everything that mints (STS, exchange,
 * personal tokens, machines) passes here, and a property test holds it to `decide`. Pure.
 */
import { decide } from '../decide.ts'
import { intersect, placedActions, reduced } from '../decisions/capability.ts'
import { experimentRoles, roleRights, type Reach } from '../decisions/matrix.ts'
import type { Capability, Limits, RoleGrant, Subject } from '../subject.ts'
import { capabilitiesOf, formatScope, pathOfPlace, type ScopeItem } from './wlcg-scope.ts'

/** What limits leave of capabilities in that experiment. */
export function withinLimits(
  capabilities: readonly Capability[],
  limits: Limits | undefined,
  experiment: string,
): Capability[] {
  if (limits === undefined) return reduced(capabilities)
  if (limits.experiment !== undefined && limits.experiment !== experiment) return []
  const named = capabilities.filter(({ action }) => limits.actions?.includes(action) ?? true)
  const placed = limits.prefix === undefined ? named : named.flatMap((one) => withinPrefix(one, limits.prefix ?? ''))
  return limits.capabilities === undefined ? reduced(placed) : intersect(placed, limits.capabilities)
}

function withinPrefix(capability: Capability, prefix: string): Capability[] {
  if (!placedActions.has(capability.action)) return [capability]
  return intersect([capability], [{ action: capability.action, place: `${prefix.replace(/\/$/, '')}/**` }])
}

/** Limits that also hold to these capabilities. */
export function limitsWith(limits: Limits | undefined, capabilities: readonly Capability[]): Limits {
  const both = limits?.capabilities === undefined ? reduced(capabilities) : intersect(limits.capabilities, capabilities)
  return { ...limits, capabilities: both }
}

/** What of the capabilities the subject holds in that experiment now, by roles, policies and limits. */
export function heldOf(
  subject: Subject,
  experiment: string,
  capabilities: readonly Capability[],
  nowMs: number,
): Capability[] {
  const held = subject.roles
    .filter((grant) => grant.experiment === experiment && (grant.untilMs ?? Infinity) > nowMs)
    .flatMap((grant) => capabilities.flatMap((one) => heldByGrant(grant, one)))
  return withinLimits(held, subject.limits, experiment).filter((one) => isDecided(subject, experiment, one, nowMs))
}

function heldByGrant(grant: RoleGrant, capability: Capability): Capability[] {
  // What was taken for an hour is for the person alone, and for nothing made from him.
  const reach: Reach | undefined =
    grant.role === 'break-glass' ? undefined : roleRights[grant.role]?.[capability.action]
  if (reach === undefined || (reach === 'named' && grant.capabilities === undefined)) return []
  const inGroup = grant.group !== undefined && grant.group !== `/${grant.experiment}`
  if (inGroup && experimentRoles.has(grant.role)) return []
  const left = grant.capabilities === undefined ? [capability] : intersect([capability], grant.capabilities)
  const reached =
    inGroup && placedActions.has(capability.action) ? left.filter(({ place }) => place !== undefined) : left
  return reach === 'not-raw' ? reached.flatMap((one) => besideRaw(one, grant.experiment)) : reached
}

/** A right to everything but raw data can only be written down as one to the buckets that are known not to be. */
function besideRaw({ action, place }: Capability, experiment: string): Capability[] {
  const buckets = [`${experiment}-reco`, `${experiment}-work`]
  if (place === undefined) return buckets.map((bucket) => ({ action, place: `${bucket}/**` }))
  const bucket = place.split('/', 1)[0]!
  if (bucket === '*')
    return intersect(
      [{ action, place }],
      buckets.map((one) => ({ action, place: `${one}/**` })),
    )
  return bucket.endsWith('-raw') || bucket === '**' ? [] : [{ action, place }]
}

/** The last word has the one decision, asked at the place itself (patterns and rights to one's own things aside). */
function isDecided(subject: Subject, experiment: string, { action, place }: Capability, nowMs: number): boolean {
  const own = { experiment, ownerId: subject.id }
  if (place === undefined) {
    return !placedActions.has(action) ? decide(subject, action, own, nowMs).allow : true
  }
  const segments = place.split('/').map((segment) => (segment === '*' || segment === '**' ? 'x' : segment))
  return decide(subject, action, { ...own, bucket: segments[0], key: segments.slice(1).join('/') }, nowMs).allow
}

/** The items of a scope that the subject may have, each cut to what he holds; silent names stay. */
export function narrowedScope(
  asked: readonly ScopeItem[],
  subject: Subject,
  experiment: string,
  nowMs: number,
): ScopeItem[] {
  return asked.flatMap((item) => {
    const wanted = capabilitiesOf(item, experiment)
    if (!item.name.startsWith('storage.')) {
      const held = heldOf(subject, experiment, wanted, nowMs)
      return wanted.length === 0 || held.length === 0 ? [] : [{ name: item.name }]
    }
    if (item.name === 'storage.poll') {
      const places = capabilitiesOf({ name: 'storage.read', path: item.path ?? '' }, experiment)
      return pathsOf(heldOf(subject, experiment, places, nowMs), experiment).map((path) => ({ name: item.name, path }))
    }
    const held = heldOf(subject, experiment, wanted, nowMs)
    // `storage.modify` includes creating: it is only given where both are held.
    const kinds = [...new Set(wanted.map(({ action }) => action))].map((action) =>
      held
        .filter((one) => one.action === action)
        .map(({ place }) => ({ action: wanted[0]!.action, ...(place === undefined ? {} : { place }) })),
    )
    const common = kinds.length === 0 ? [] : kinds.reduce((one, other) => intersect(one, other))
    return pathsOf(common, experiment).map((path) => ({ name: item.name, path }))
  })
}

function pathsOf(capabilities: readonly Capability[], experiment: string): string[] {
  return capabilities.flatMap(({ place }) => pathOfPlace(place, experiment) ?? [])
}

/** The scope that says the most of these capabilities that scopes can say. */
export function formatCapabilitiesAsScope(capabilities: readonly Capability[], experiment: string): string {
  const names: Readonly<Partial<Record<string, string>>> = {
    'data.read': 'storage.read',
    'data.create': 'storage.create',
    'data.modify': 'storage.modify',
    'tape.recall': 'storage.stage',
    'jobs.submit': 'compute.create',
    'jobs.read': 'compute.read',
    'jobs.cancel': 'compute.cancel',
  }
  const items = capabilities.flatMap(({ action, place }): ScopeItem[] => {
    const name = names[action] ?? action
    if (!name.startsWith('storage.')) return place === undefined ? [{ name }] : []
    const path = pathOfPlace(place, experiment)
    return path === undefined ? [] : [{ name, path }]
  })
  return formatScope(items)
}
