/**
 * What the control publishes of this room and a gateway decides from. Pure: no database, no clock of its own.
 * The file holds the secrets of access keys in clear, because SigV4 needs them: it is written 0600.
 */
import { z } from 'zod'
import { actionSchema, actions, type Action } from '../foundation/contract.ts'
import { decide, personOnlyActions, type Resource } from './decide.ts'
import { standings } from './decisions/standing.ts'
import { workFigures } from './decisions/work-figures.ts'
import { trustedIssuerSchema } from './federation/contract.ts'
import { publicKeySchema } from './signer.ts'
import { roles, type Capability, type Limits, type RoleGrant, type Subject } from './subject.ts'

/** A gateway of another version may not know an action or a role: it then gives nothing. */
const capabilitiesSchema = z
  .array(z.object({ action: z.string(), place: z.string().optional() }))
  .transform((all) => all.filter((one): one is Capability => actionSchema.safeParse(one.action).success))

const limitsSchema = z.object({
  actions: z
    .array(z.string())
    .transform((all) => all.filter((one): one is Action => actionSchema.safeParse(one).success))
    .optional(),
  prefix: z.string().optional(),
  experiment: z.string().optional(),
  capabilities: capabilitiesSchema.optional(),
})

const grantsSchema = z
  .array(
    z.object({
      experiment: z.string(),
      role: z.string(),
      group: z.string().optional(),
      untilMs: z.number().optional(),
      capabilities: capabilitiesSchema.optional(),
    }),
  )
  .transform((all) => all.filter((one): one is RoleGrant => (roles as readonly string[]).includes(one.role)))

const figure = z.number().optional()
const workLimitsSchema = z.object({
  cores: figure,
  memoryBytes: figure,
  walltimeMs: figure,
  sessions: figure,
  environments: z.array(z.string()).optional(),
  by: z.partialRecord(z.enum([...workFigures, 'environments']), z.string()).optional(),
})

const snapshotSubjectFields = z.object({
  id: z.string(),
  kind: z.enum(['person', 'client']),
  name: z.string(),
  displayName: z.string(),
  /** Everybody but the active; those whose access has just ended too, whom `standing` lets read. */
  state: z.enum(['active', 'suspended']),
  standing: z.enum(standings).optional(),
  epoch: z.number().int(),
  siteAdmin: z.boolean(),
  roles: grantsSchema,
  /** Only in what is published: see `forGateways`. Read, they are among the roles. */
  grants: grantsSchema.optional(),
  /** People only: whose files theirs are on this machine. */
  uid: z.number().int().optional(),
  /** People only: what policies leave them of the machine, by experiment. Control enforces it. */
  workLimits: z.record(z.string(), workLimitsSchema).optional(),
})

const snapshotSubjectSchema = snapshotSubjectFields.transform(({ grants = [], ...subject }) => ({
  ...subject,
  roles: [...subject.roles, ...grants],
}))

const snapshotAccessKeySchema = z.object({
  secret: z.string(),
  subjectId: z.string(),
  limits: limitsSchema,
  actor: z.object({ kind: z.enum(['session', 'job']), id: z.string() }).nullable(),
  expiresAtMs: z.number().int().nullable(),
  /** Of keys made by STS: without this session token (hashed as in seal.ts) the key opens nothing. */
  sessionTokenHash: z.string().optional(),
  /** Of keys made by STS: under a newer epoch of its owner the key is dead. */
  epoch: z.number().int().optional(),
})

/** The identity part of the published snapshot. */
export const identitySnapshotSchema = z.object({
  issuer: z.string(),
  audience: z.string(),
  subjects: z.record(z.string(), snapshotSubjectSchema),
  accessKeys: z.record(z.string(), snapshotAccessKeySchema),
  /** Groups of experiments on this machine. */
  experiments: z.record(z.string(), z.object({ gid: z.number().int(), writersGid: z.number().int() })).optional(),
  /** Groups within experiments, by path: their numbers on this machine, and which a token has only when asked for. */
  groups: z.record(z.string(), z.object({ gid: z.number().int(), optional: z.boolean().optional() })).optional(),
  jwks: z.object({ keys: z.array(publicKeySchema) }),
  /** Address of the S3 endpoint, where it is known: the second audience of tokens. */
  s3Audience: z.string().optional(),
  /** Sign-ins of devices and keys of machines revoked lately: tokens made from them are dead. */
  revokedSources: z.array(z.string()).optional(),
  /** Browser sessions that people have ended lately: notebooks opened from them are closed. */
  endedWindows: z.array(z.string()).optional(),
  /** Other issuers whose access tokens are accepted, each for one place, with their public keys. */
  trustedIssuers: z.array(trustedIssuerSchema).optional(),
  /** base64url of 32 bytes. */
  contentCookieKey: z.string(),
})
export type IdentitySnapshot = z.infer<typeof identitySnapshotSchema>
export type SnapshotSubject = z.infer<typeof snapshotSubjectSchema>
export type SnapshotAccessKey = z.infer<typeof snapshotAccessKeySchema>

/** Roles that gateways from before there were groups know, which took each for the whole experiment. */
const oldRoles: ReadonlySet<string> = new Set(['exp-admin', 'manager', 'operator', 'member', 'guest', 'client'])

/**
 * As it is published: what a group gives, and what a policy or an end has cut, stands beside the roles, where a gateway
 * of an earlier version, which goes on for a while after an upgrade, does not take it for the whole role.
 */
export function forGateways(snapshot: IdentitySnapshot): z.input<typeof identitySnapshotSchema> {
  return {
    ...snapshot,
    subjects: Object.fromEntries(
      Object.entries(snapshot.subjects).map(([id, { roles: all, ...subject }]) => {
        const plain = all.filter((grant) => oldRoles.has(grant.role) && Object.keys(grant).length === 2)
        const grants = all.filter((grant) => !plain.includes(grant))
        return [id, { ...subject, roles: plain, ...(grants.length > 0 && { grants }) }]
      }),
    ),
  }
}

/** The active person or machine of that id. */
export function activeSubject(snapshot: IdentitySnapshot, id: string): SnapshotSubject | undefined {
  const subject = Object.hasOwn(snapshot.subjects, id) ? snapshot.subjects[id] : undefined
  return subject?.state === 'active' || subject?.standing === 'reading' ? subject : undefined
}

/** A person or machine as itself, without any limit. */
export function subjectOf({ id, kind, name, epoch, siteAdmin, roles, standing }: SnapshotSubject): Subject {
  return { id, kind, name, epoch, siteAdmin, roles, ...(standing !== undefined && { standing }) }
}

/** Anybody of that id, whatever has become of him. */
export function personIn(snapshot: IdentitySnapshot, id: string): SnapshotSubject | undefined {
  return Object.hasOwn(snapshot.subjects, id) ? snapshot.subjects[id] : undefined
}

/**
 * May what somebody has started go on? Undefined: yes; else why not, in words. Terms that are due hold up what is new,
 * never what runs.
 */
export function whyNotOn(
  snapshot: IdentitySnapshot,
  subjectId: string,
  action: Action,
  experiment: string,
  nowMs: number = Date.now(),
): string | undefined {
  const person = activeSubject(snapshot, subjectId)
  if (person === undefined) return 'the account is suspended or gone'
  const { standing, ...plain } = subjectOf(person)
  const decision = decide(
    standing === 'terms-due' ? plain : { ...plain, ...(standing && { standing }) },
    action,
    { experiment },
    nowMs,
  )
  return decision.allow ? undefined : decision.reason
}

/** The resource with the groups that its owner is in: who oversees a group oversees its people. */
export function withOwnerGroups(snapshot: IdentitySnapshot, resource: Resource): Resource {
  const { ownerId, experiment } = resource
  if (ownerId === undefined || !Object.hasOwn(snapshot.subjects, ownerId)) return resource
  const grants = snapshot.subjects[ownerId]!.roles.filter((grant) => grant.experiment === experiment)
  return { ...resource, ownerGroups: grants.map((grant) => grant.group ?? `/${grant.experiment}`) }
}

/** The subject behind a session or job: the person's roles, never his site rights, always limited to named actions. */
export function actingSubject(
  person: SnapshotSubject,
  actor: { kind: 'session' | 'job'; id: string },
  limits: Limits & { actions: NonNullable<Limits['actions']> },
): Subject {
  return { ...subjectOf(person), kind: actor.kind, siteAdmin: false, limits, actorId: actor.id }
}

/**
 * Secret and subject of an S3 access key at `nowMs`; `undefined` if it is unknown, expired or its owner is suspended.
 * A key is for data: it never manages people, keys or the site, whoever owns it.
 */
export function subjectOfAccessKey(
  snapshot: IdentitySnapshot,
  accessKeyId: string,
  nowMs: number = Date.now(),
): { secret: string; subject: Subject; sessionTokenHash?: string } | undefined {
  const key = Object.hasOwn(snapshot.accessKeys, accessKeyId) ? snapshot.accessKeys[accessKeyId] : undefined
  if (key === undefined || (key.expiresAtMs !== null && key.expiresAtMs <= nowMs)) return undefined
  const owner = activeSubject(snapshot, key.subjectId)
  if (owner === undefined || (key.epoch !== undefined && key.epoch !== owner.epoch)) return undefined
  const limits = {
    ...key.limits,
    actions: (key.limits.actions ?? actions).filter((action) => !personOnlyActions.has(action)),
  }
  const subject = key.actor === null ? { ...subjectOf(owner), limits } : actingSubject(owner, key.actor, limits)
  const { secret, sessionTokenHash } = key
  return { secret, subject, ...(sessionTokenHash !== undefined && { sessionTokenHash }) }
}
