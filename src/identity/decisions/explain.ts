/** The decision said in words: for one person and thing, or everybody who may do something. */
import type { z } from 'zod'
import type { Action } from '../../foundation/contract.ts'
import { decide, type Decision, type Resource } from '../decide.ts'
import { subjectOf, type IdentitySnapshot, type SnapshotSubject } from '../snapshot.ts'
import type { Subject } from '../subject.ts'
import { formatCapability } from './capability.ts'
import type { explanationSchema, whoCanSchema } from './contract.ts'

export interface Asked {
  action: Action
  experiment?: string | undefined
  place?: string | undefined
  group?: string | undefined
  ownerId?: string | undefined
}

export function explain(
  subject: Subject,
  asked: Asked,
  resource: Resource,
  nowMs: number,
): z.infer<typeof explanationSchema> {
  const { action, experiment, place } = asked
  const decision = decide(subject, action, resource, nowMs)
  const here = subject.roles.filter((grant) => grant.experiment === experiment)
  return {
    ...verdictOf(decision),
    subject: { id: subject.id, name: subject.name, kind: subject.kind },
    action,
    experiment: experiment ?? null,
    place: place?.replace(/^\//, '') ?? null,
    grants: here.map((grant) => ({
      ...verdictOf(
        decide({ ...subject, siteAdmin: grant.role === 'break-glass', roles: [grant] }, action, resource, nowMs),
      ),
      role: grant.role,
      group: grant.group ?? `/${grant.experiment}`,
      untilMs: grant.untilMs ?? null,
      capabilities: grant.capabilities?.map(formatCapability) ?? null,
    })),
  }
}

/** By account name. */
export function whoCan(
  snapshot: IdentitySnapshot,
  asked: Asked,
  resource: Resource,
  nowMs: number,
): z.infer<typeof whoCanSchema>[] {
  return Object.values(snapshot.subjects)
    .filter(isThere)
    .flatMap((found) => {
      const decision = decide(subjectOf(found), asked.action, resource, nowMs)
      const { id, name, displayName, kind } = found
      return decision.allow ? [{ id, name, displayName, kind, reason: decision.reason }] : []
    })
    .sort((one, other) => (one.name < other.name ? -1 : one.name > other.name ? 1 : 0))
}

/** With `bucket/key` taken apart. */
export function resourceOf({ experiment, place, group, ownerId }: Asked): Resource {
  const [bucket, ...key] = place?.replace(/^\//, '').split('/') ?? []
  return {
    experiment,
    ...(bucket === undefined ? {} : { bucket, key: key.join('/') }),
    ...(group === undefined ? {} : { group }),
    ...(ownerId === undefined ? {} : { ownerId }),
  }
}

function isThere({ state, standing }: SnapshotSubject): boolean {
  return state === 'active' || standing === 'reading'
}

function verdictOf(decision: Decision) {
  return { allow: decision.allow, reason: decision.reason, cut: decision.allow ? null : decision.cut }
}
