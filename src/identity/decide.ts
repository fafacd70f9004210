/**
 * The one decision of this platform: pure, deny by default, the same in the browser, the control and the gateways.
 * role (matrix.ts) ∩ what policies leave of it ∩ how far its group reaches ∩ its end ∩ limits of the credential ∩ kind
 * of the account. The matrix is data; code only cuts what it gives and never adds.
 */
import { actions, type Action } from '../foundation/contract.ts'
import { covers, placedActions } from './decisions/capability.ts'
import { cuts, type Cut } from './decisions/contract.ts'
import {
  experimentRoles,
  groupActions,
  overseeingActions,
  personOnlyActions,
  personRights,
  roleRights,
  siteActions,
  siteAdminRights,
  workRights,
  type Reach,
} from './decisions/matrix.ts'
import { heldBack } from './decisions/standing.ts'
import { personRoles, type Limits, type PersonRole, type Role, type RoleGrant, type Subject } from './subject.ts'

export { personOnlyActions, roleRights, siteAdminRights } from './decisions/matrix.ts'

/** What the action is about. Say everything that is known: what is left out is never assumed in the asker's favour. */
export interface Resource {
  experiment?: string | undefined
  bucket?: string | undefined
  /** Object key, or the prefix of a listing. */
  key?: string | undefined
  /** `key` is the beginning of names: everything that begins so is asked for. */
  listing?: boolean | undefined
  /** Raw buckets are stricter; unknown is read off the bucket's name. */
  purpose?: 'raw' | 'reco' | 'work' | undefined
  /** Person who owns the job or session. Without it, rights to one's *own* things do not apply. */
  ownerId?: string | undefined
  /** Groups the owner is in, as paths: who oversees a group oversees people who are in nothing else. */
  ownerGroups?: readonly string[] | undefined
  /** Path of the group whose people or policy are meant: `/cygno/analysis`. Absent: the experiment itself. */
  group?: string | undefined
}

export type Decision =
  /** `reason`: for the log and for the person, why, in words. */
  { allow: true; reason: string } | { allow: false; reason: string; cut: Cut }

interface Source {
  name: string
  rights: Readonly<Partial<Record<Action, Reach>>>
  grant?: RoleGrant
}

/** May `subject` do `action` to `resource`, at that moment? Pure; no answer ever comes from a thrown error. */
export function decide(subject: Subject, action: Action, resource: Resource = {}, nowMs = Date.now()): Decision {
  if (subject.kind === 'anonymous') return deny('account', 'nobody is signed in')
  if (subject.kind !== 'person' && personOnlyActions.has(action))
    return deny('account', `a ${subject.kind} never may ${action}`)
  const work = subject.kind === 'session' || subject.kind === 'job' ? workRights[action] : undefined
  if (work === 'never') return deny('account', `a ${subject.kind} never may ${action}`)
  if (work === 'not-raw' && isRaw(resource)) return deny('account', `a ${subject.kind} never may ${action} raw data`)
  const byStanding = heldBack(subject.standing, action)
  if (byStanding !== undefined) return deny('account', byStanding)
  const byLimits = cutByLimits(subject.limits, action, resource)
  if (byLimits !== undefined) return byLimits
  const where = resource.experiment === undefined ? '' : ` in ${resource.experiment}`
  let nearest: Decision = deny('no-role', `no role of ${subject.name} gives ${action}${where}`)
  for (const source of sourcesOf(subject, resource.experiment)) {
    const answer = decideBy(source, subject, action, resource, nowMs)
    if (answer.allow) return answer
    // That nobody has it by himself is said by `nearest` already.
    if (source.grant !== undefined && depthOf(answer) > depthOf(nearest)) nearest = answer
  }
  return nearest
}

function decideBy(
  { name, rights, grant }: Source,
  subject: Subject,
  action: Action,
  resource: Resource,
  nowMs: number,
): Decision {
  const reach = Object.hasOwn(rights, action) ? rights[action] : undefined
  if (reach === undefined) return deny('role', `${name} does not give ${action}`)
  if (grant?.untilMs !== undefined && grant.untilMs <= nowMs) return deny('ended', `${name} has ended`)
  const isOwn = resource.ownerId === subject.id
  const byGroup = grant && cutByGroup(grant, name, isOwn ? 'own' : reach, action, resource)
  if (byGroup !== undefined) return byGroup
  if (reach === 'named' && grant?.capabilities === undefined) return deny('policy', `${name} was not given ${action}`)
  const byPolicy = grant && cutByPolicy(grant, name, action, resource)
  if (byPolicy !== undefined) return byPolicy
  if (reach === 'own' && !isOwn) return deny('not-own', `${name} gives ${action} only for one's own`)
  if (reach === 'not-raw' && isRaw(resource)) return deny('raw', `${name} does not give ${action} on raw data`)
  return { allow: true, reason: name }
}

/** A grant in a group below the experiment reaches less than the same role in the experiment. */
function cutByGroup(
  grant: RoleGrant,
  name: string,
  reach: Reach,
  action: Action,
  resource: Resource,
): Decision | undefined {
  if (!isBelowExperiment(grant)) return undefined
  const { group, experiment } = grant
  if (!isInsideGroup(`/${experiment}`, group)) return deny('group', `${group} is no group of ${experiment}`)
  if (experimentRoles.has(grant.role)) return deny('group', `${grant.role} is a role of a whole experiment`)
  if (
    groupActions.has(action) &&
    !(action === 'audit.read' && reach === 'own') &&
    !isInsideGroup(group, resource.group)
  )
    return deny('group', `${name} gives ${action} only in ${group}`)
  if (overseeingActions.has(action) && reach === 'any') {
    const { ownerGroups = [] } = resource
    if (ownerGroups.length === 0 || !ownerGroups.every((one) => isInsideGroup(group, one)))
      return deny('group', `${name} gives ${action} only over people of ${group}`)
  }
  return undefined
}

/** What policies leave of the role. In a group below the experiment data are only where they name a place. */
function cutByPolicy(grant: RoleGrant, name: string, action: Action, resource: Resource): Decision | undefined {
  const { capabilities } = grant
  if (isBelowExperiment(grant) && placedActions.has(action)) {
    const placed = capabilities?.filter((one) => one.action === action && one.place !== undefined) ?? []
    if (placed.some((one) => covers(one, action, resource))) return undefined
    return placed.length > 0
      ? deny('policy', `the policies of ${name} do not leave ${action} here`)
      : deny('group', `${name} gives ${action} only at places that its policy names`)
  }
  if (capabilities?.some((one) => covers(one, action, resource)) !== false) return undefined
  const elsewhere = capabilities.some((one) => one.action === action)
  return deny('policy', `the policies of ${name} do not leave ${action}${elsewhere ? ' here' : ''}`)
}

function isBelowExperiment(grant: RoleGrant): grant is RoleGrant & { group: string } {
  return grant.group !== undefined && grant.group !== `/${grant.experiment}`
}

/** Is the group that one, or below it? */
export function isInsideGroup(tree: string, group: string | undefined): boolean {
  return group === tree || group?.startsWith(`${tree}/`) === true
}

/**
 * Actions a subject may do in an experiment (or on the site) to things of others: for showing buttons, never for deciding.
 * Data actions count as allowed if they are outside raw buckets, and somewhere; rights to one's own things come on top.
 */
export function rightsOf(subject: Subject, experiment?: string, nowMs = Date.now()): Action[] {
  const grants = subject.roles.filter((grant) => grant.experiment === experiment)
  const capabilities = [...(subject.limits?.capabilities ?? []), ...grants.flatMap((grant) => grant.capabilities ?? [])]
  const somewhere: Resource[] = [
    placeWithin(subject.limits),
    ...[...new Set(capabilities.map(({ place }) => place))].flatMap((place) =>
      place === undefined ? [] : [sampleOf(place)],
    ),
    ...grants.flatMap(({ group }) => (group === undefined ? [] : [{ group, ownerGroups: [group] }])),
  ]
  return actions.filter(
    (action) =>
      siteActions.has(action) === (experiment === undefined) &&
      somewhere.some((place) => decide(subject, action, { experiment, ...place }, nowMs).allow),
  )
}

/**
 * Roles that a person may give or take in an experiment, or in a group of it: those that hold nothing he does not hold,
 * and not his own.
 */
export function grantableRoles(
  subject: Subject,
  experiment: string,
  group?: string,
  nowMs = Date.now(),
): readonly PersonRole[] {
  if (!decide(subject, 'people.manage', { experiment, group }, nowMs).allow) return []
  const here = personRoles.filter(
    (role) =>
      !(isBelowExperiment({ experiment, role, ...(group !== undefined && { group }) }) && experimentRoles.has(role)),
  )
  if (subject.siteAdmin) return here
  if (decide(subject, 'experiment.admin', { experiment }, nowMs).allow)
    return here.filter((role) => role !== 'exp-admin')
  return ['member', 'guest']
}

/** `prefix` is `bucket` or `bucket/path`; whole segments only: `a-raw/lime` covers `a-raw/lime/x`, never `a-raw/limex`. */
export function isInsidePrefix(prefix: string, bucket: string, key: string | undefined): boolean {
  const wanted = prefix.split('/')
  if (wanted.at(-1) === '') wanted.pop()
  const given = [bucket, ...(key === undefined || key === '' ? [] : key.split('/'))]
  if (wanted.length === 0 || given.includes('.') || given.includes('..')) return false
  return wanted.length <= given.length && wanted.every((segment, index) => segment === given[index])
}

function* sourcesOf(subject: Subject, experiment: string | undefined): Iterable<Source> {
  if (subject.kind === 'person') yield { name: 'every person', rights: personRights }
  if (subject.siteAdmin) yield { name: 'site admin', rights: siteAdminRights }
  if (experiment === undefined) return
  for (const grant of subject.roles) {
    const { role } = grant
    if (grant.experiment !== experiment || !isHeldBy(role, subject)) continue
    const name = `${role} of ${grant.group ?? experiment}`
    yield { name, rights: Object.hasOwn(roleRights, role) ? roleRights[role] : {}, grant }
  }
}

/** A machine never holds a person's role, nor a person a machine's; what was taken for an hour is for the person alone. */
function isHeldBy(role: Role, subject: Subject): boolean {
  if (role === 'break-glass') return subject.kind === 'person' && subject.siteAdmin && subject.limits === undefined
  return (role === 'client') === (subject.kind === 'client')
}

function cutByLimits(limits: Limits | undefined, action: Action, resource: Resource): Decision | undefined {
  if (limits === undefined) return undefined
  if (limits.actions !== undefined && !limits.actions.includes(action))
    return deny('credential', `this credential is not for ${action}`)
  if (limits.experiment !== undefined && limits.experiment !== resource.experiment)
    return deny('credential', `this credential is only for ${limits.experiment}`)
  if (limits.prefix !== undefined && placedActions.has(action)) {
    const { bucket, key, listing } = resource
    // Of the beginning of names only the folder before it is sure.
    const sure = listing === true ? key?.slice(0, key.lastIndexOf('/') + 1) : key
    if (bucket === undefined || !isInsidePrefix(limits.prefix, bucket, sure))
      return deny('credential', `this credential is only for ${limits.prefix}`)
  }
  if (limits.capabilities?.some((one) => covers(one, action, resource)) === false)
    return deny('credential', `this credential is not for ${action} here`)
  return undefined
}

/** A bucket nobody named counts as raw: the strict reading. */
function isRaw({ purpose, bucket }: Resource): boolean {
  if (purpose === undefined && bucket === undefined) return true
  return purpose === 'raw' || bucket?.endsWith('-raw') === true
}

/** A place inside the prefix limit, so that the limit itself does not hide a right. */
function placeWithin(limits: Limits | undefined): Resource {
  if (limits?.prefix === undefined) return { purpose: 'work' }
  const [bucket, ...rest] = limits.prefix.split('/')
  return { bucket, key: rest.join('/').replace(/\/$/, '') }
}

/** An object that a place of a capability covers. */
function sampleOf(place: string): Resource {
  const [bucket, ...rest] = place.split('/').map((segment) => (segment === '*' || segment === '**' ? 'x' : segment))
  return { bucket, key: rest.join('/') }
}

function deny(cut: Cut, reason: string): Decision {
  return { allow: false, reason, cut }
}

/** Of several refusals the one that came closest to a yes is told. */
function depthOf(decision: Decision): number {
  return decision.allow ? cuts.length : cuts.indexOf(decision.cut)
}
