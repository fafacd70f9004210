import type { Action } from '../foundation/contract.ts'
import type { Standing } from './decisions/standing.ts'

/** Roles a person may hold in one experiment or one of its groups, widest first. */
export const personRoles = ['exp-admin', 'manager', 'data-manager', 'operator', 'member', 'guest', 'auditor'] as const
export type PersonRole = (typeof personRoles)[number]
/** `client` is what a registered machine holds, `break-glass` what a site admin took for an hour; nobody is given them. */
export type Role = PersonRole | 'client' | 'break-glass'
export const roles: readonly Role[] = [...personRoles, 'client', 'break-glass']

/** One thing that may be done, everywhere the role reaches or only at a place. See decisions/capability.ts. */
export interface Capability {
  action: Action
  /** `bucket/prefix`, whole segments, `*` = one segment, `**` last = that place and all below; absent: wherever the role reaches. */
  place?: string
}

export interface RoleGrant {
  experiment: string
  role: Role
  /** `/cygno/analysis`; absent: the experiment itself. */
  group?: string
  /** From this moment on the grant gives nothing. */
  untilMs?: number
  /** What policies leave of the role; absent: all of it. */
  capabilities?: Capability[]
}

/** Limits cut what the roles give; they never add. An absent member does not limit. */
export interface Limits {
  /** Only these actions. An empty list allows nothing. */
  actions?: Action[]
  /** `bucket/prefix`, compared by whole path segments. Data actions without a known bucket are then refused. */
  prefix?: string
  /** Only inside this experiment. */
  experiment?: string
  /** Only these (path scopes, session policies, personal tokens). An empty list allows nothing. */
  capabilities?: Capability[]
}

export type SubjectKind = 'person' | 'client' | 'session' | 'job' | 'anonymous'

/**
 * Who asks, with everything a decision needs. For a session or job, `id` and `name` are the *person's*
 * (so that ownership works) and `actorId` says which session or job is acting.
 */
export interface Subject {
  id: string
  kind: SubjectKind
  name: string
  /** Credentials made under an older epoch are dead. */
  epoch: number
  siteAdmin: boolean
  roles: RoleGrant[]
  limits?: Limits
  actorId?: string
  /** What the account itself holds back. */
  standing?: Standing
}

export const anonymousSubject: Subject = {
  id: 'anonymous',
  kind: 'anonymous',
  name: 'anonymous',
  epoch: 0,
  siteAdmin: false,
  roles: [],
}
