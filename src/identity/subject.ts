import type { Action } from '../foundation/contract.ts'

/** Roles a person may hold in one experiment, widest first. `client` is what a registered machine holds; it is never given to a person. */
export const personRoles = ['exp-admin', 'manager', 'operator', 'member', 'guest'] as const
export type PersonRole = (typeof personRoles)[number]
export type Role = PersonRole | 'client'

export interface RoleGrant {
  experiment: string
  role: Role
}

/** Limits cut what the roles give; they never add. An absent member does not limit. */
export interface Limits {
  /** Only these actions. An empty list allows nothing. */
  actions?: Action[]
  /** `bucket/prefix`, compared by whole path segments. Data actions without a known bucket are then refused. */
  prefix?: string
  /** Only inside this experiment. */
  experiment?: string
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
}

export const anonymousSubject: Subject = {
  id: 'anonymous',
  kind: 'anonymous',
  name: 'anonymous',
  epoch: 0,
  siteAdmin: false,
  roles: [],
}
