/**
 * What the control publishes of this room and a gateway decides from. Pure: no database, no clock of its own.
 * The file holds the secrets of access keys in clear, because SigV4 needs them: it is written 0600.
 */
import { z } from 'zod'
import { actionSchema, actions } from '../foundation/contract.ts'
import { personOnlyActions } from './decide.ts'
import { publicKeySchema } from './signer.ts'
import { personRoles, type Limits, type Subject } from './subject.ts'

const limitsSchema = z.object({
  actions: z.array(actionSchema).optional(),
  prefix: z.string().optional(),
  experiment: z.string().optional(),
})

const snapshotSubjectSchema = z.object({
  id: z.string(),
  kind: z.enum(['person', 'client']),
  name: z.string(),
  displayName: z.string(),
  state: z.enum(['active', 'suspended']),
  epoch: z.number().int(),
  siteAdmin: z.boolean(),
  roles: z.array(z.object({ experiment: z.string(), role: z.enum([...personRoles, 'client']) })),
  /** People only: whose files theirs are on this machine. */
  uid: z.number().int().optional(),
})

const snapshotAccessKeySchema = z.object({
  secret: z.string(),
  subjectId: z.string(),
  limits: limitsSchema,
  actor: z.object({ kind: z.enum(['session', 'job']), id: z.string() }).nullable(),
  expiresAtMs: z.number().int().nullable(),
})

/** The identity part of the published snapshot. */
export const identitySnapshotSchema = z.object({
  issuer: z.string(),
  audience: z.string(),
  subjects: z.record(z.string(), snapshotSubjectSchema),
  accessKeys: z.record(z.string(), snapshotAccessKeySchema),
  /** Groups of experiments on this machine. */
  experiments: z.record(z.string(), z.object({ gid: z.number().int(), writersGid: z.number().int() })).optional(),
  jwks: z.object({ keys: z.array(publicKeySchema) }),
  /** base64url of 32 bytes. */
  contentCookieKey: z.string(),
})
export type IdentitySnapshot = z.infer<typeof identitySnapshotSchema>
export type SnapshotSubject = z.infer<typeof snapshotSubjectSchema>
export type SnapshotAccessKey = z.infer<typeof snapshotAccessKeySchema>

/** The active person or machine of that id. */
export function activeSubject(snapshot: IdentitySnapshot, id: string): SnapshotSubject | undefined {
  const subject = Object.hasOwn(snapshot.subjects, id) ? snapshot.subjects[id] : undefined
  return subject?.state === 'active' ? subject : undefined
}

/** A person or machine as itself, without any limit. */
export function subjectOf({ id, kind, name, epoch, siteAdmin, roles }: SnapshotSubject): Subject {
  return { id, kind, name, epoch, siteAdmin, roles }
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
): { secret: string; subject: Subject } | undefined {
  const key = Object.hasOwn(snapshot.accessKeys, accessKeyId) ? snapshot.accessKeys[accessKeyId] : undefined
  if (key === undefined || (key.expiresAtMs !== null && key.expiresAtMs <= nowMs)) return undefined
  const owner = activeSubject(snapshot, key.subjectId)
  if (owner === undefined) return undefined
  const limits = {
    ...key.limits,
    actions: (key.limits.actions ?? actions).filter((action) => !personOnlyActions.has(action)),
  }
  const subject = key.actor === null ? { ...subjectOf(owner), limits } : actingSubject(owner, key.actor, limits)
  return { secret: key.secret, subject }
}
