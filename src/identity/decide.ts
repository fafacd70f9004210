/**
 * The one decision of this platform: pure, deny by default, the same in the browser, the control and the gateways.
 * The matrix below is data; code only cuts what it gives (limits) and never adds.
 */
import { actions, type Action } from '../foundation/contract.ts'
import type { Limits, Role, Subject } from './subject.ts'

/** What the action is about. Say everything that is known: what is left out is never assumed in the asker's favour. */
export interface Resource {
  experiment?: string | undefined
  bucket?: string | undefined
  /** Object key, or the prefix of a listing. */
  key?: string | undefined
  /** Raw buckets are stricter; unknown is read off the bucket's name. */
  purpose?: 'raw' | 'reco' | 'work' | undefined
  /** Person who owns the job or session. Without it, rights to one's *own* things do not apply. */
  ownerId?: string | undefined
}

export interface Decision {
  allow: boolean
  /** For the log and for the person: why, in words. */
  reason: string
}

/** How far a right reaches: `own` only what the subject owns, `not-raw` every bucket but those of raw data. */
type Reach = 'any' | 'own' | 'not-raw'
type Rights = Readonly<Partial<Record<Action, Reach>>>

const guest: Rights = {
  'logbook.read': 'any',
  'data.read': 'any',
  'jobs.submit': 'any',
  'jobs.read': 'any',
  'jobs.cancel': 'own',
  'sessions.start': 'any',
  'sessions.stop': 'own',
}
const member: Rights = {
  ...guest,
  'logbook.write': 'any',
  'data.create': 'not-raw',
  'data.modify': 'not-raw',
  'reconstruction.run': 'any',
}
const operator: Rights = { ...member, 'data.create': 'any', 'daq.write': 'any' }
const manager: Rights = { ...member, 'people.manage': 'any', 'jobs.cancel': 'any', 'sessions.stop': 'any' }

/** What a role gives inside its experiment. */
export const roleRights: Readonly<Record<Role, Rights>> = {
  guest,
  member,
  operator,
  manager,
  'exp-admin': { ...operator, ...manager, 'data.create': 'any', 'data.modify': 'any', 'experiment.admin': 'any' },
  client: { 'data.create': 'any', 'daq.write': 'any' },
}

/** What a site admin may do everywhere. No data, no logbook: those come from a role, given explicitly and audited. */
export const siteAdminRights: Rights = {
  'site.admin': 'any',
  'ops.read': 'any',
  'experiment.admin': 'any',
  'people.manage': 'any',
  'jobs.read': 'any',
  'jobs.cancel': 'any',
  'sessions.stop': 'any',
}

/** What every person may do for himself, in no experiment. */
const personRights: Rights = { 'credentials.create': 'any' }

/** Never in the hands of anything that is not a person at a keyboard. */
export const personOnlyActions: ReadonlySet<Action> = new Set<Action>([
  'site.admin',
  'ops.read',
  'experiment.admin',
  'people.manage',
  'credentials.create',
])

const siteActions: ReadonlySet<Action> = new Set<Action>(['site.admin', 'ops.read', 'credentials.create'])

/** May `subject` do `action` to `resource`? Pure; no answer ever comes from a thrown error. */
export function decide(subject: Subject, action: Action, resource: Resource = {}): Decision {
  if (subject.kind === 'anonymous') return deny('nobody is signed in')
  if (subject.kind !== 'person' && personOnlyActions.has(action)) return deny(`a ${subject.kind} never may ${action}`)
  const cut = cutByLimits(subject.limits, action, resource)
  if (cut !== undefined) return deny(cut)
  let nearest = `no role of ${subject.name} gives ${action}${resource.experiment === undefined ? '' : ` in ${resource.experiment}`}`
  for (const [source, rights] of rightsSources(subject, resource.experiment)) {
    const reach = Object.hasOwn(rights, action) ? rights[action] : undefined
    if (reach === undefined) continue
    if (reach === 'own' && resource.ownerId !== subject.id) nearest = `${source} gives ${action} only for one's own`
    else if (reach === 'not-raw' && isRaw(resource)) nearest = `${source} does not give ${action} on raw data`
    else return { allow: true, reason: source }
  }
  return deny(nearest)
}

/**
 * Actions a subject may do in an experiment (or on the site) to things of others: for showing buttons, never for deciding.
 * Data actions count as allowed if they are outside raw buckets; rights to one's own things come on top.
 */
export function rightsOf(subject: Subject, experiment?: string): Action[] {
  const somewhere = { experiment, ...placeWithin(subject.limits) }
  return actions.filter(
    (action) => siteActions.has(action) === (experiment === undefined) && decide(subject, action, somewhere).allow,
  )
}

/** Roles that a person may give or take in an experiment: those that hold nothing he does not hold, and not his own. */
export function grantableRoles(subject: Subject, experiment: string): readonly Role[] {
  if (!decide(subject, 'people.manage', { experiment }).allow) return []
  if (subject.siteAdmin) return ['exp-admin', 'manager', 'operator', 'member', 'guest']
  const held = rolesIn(subject, experiment)
  if (held.includes('exp-admin')) return ['manager', 'operator', 'member', 'guest']
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

function* rightsSources(subject: Subject, experiment: string | undefined): Iterable<[string, Rights]> {
  if (subject.kind === 'person') yield ['every person', personRights]
  if (subject.siteAdmin) yield ['site admin', siteAdminRights]
  if (experiment === undefined) return
  for (const role of rolesIn(subject, experiment)) {
    // A machine never holds a person's role, nor a person a machine's.
    if ((role === 'client') !== (subject.kind === 'client')) continue
    yield [`${role} of ${experiment}`, roleRights[role] ?? {}]
  }
}

function rolesIn(subject: Subject, experiment: string): Role[] {
  return subject.roles.filter((grant) => grant.experiment === experiment).map((grant) => grant.role)
}

function cutByLimits(limits: Limits | undefined, action: Action, resource: Resource): string | undefined {
  if (limits === undefined) return undefined
  if (limits.actions !== undefined && !limits.actions.includes(action)) return `this credential is not for ${action}`
  if (limits.experiment !== undefined && limits.experiment !== resource.experiment) {
    return `this credential is only for ${limits.experiment}`
  }
  if (limits.prefix !== undefined && action.startsWith('data.')) {
    if (resource.bucket === undefined || !isInsidePrefix(limits.prefix, resource.bucket, resource.key)) {
      return `this credential is only for ${limits.prefix}`
    }
  }
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

function deny(reason: string): Decision {
  return { allow: false, reason }
}
