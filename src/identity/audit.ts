/** Who did what to whom, when and from where. Rows are only ever added; they never hold a secret. */
import { uuid7 } from '../foundation/ids.ts'
import type { Clock } from '../foundation/time.ts'
import type { z } from 'zod'
import type { auditEntrySchema } from './contract.ts'
import type { IdentityKysely, IdentityTransaction } from './tables.ts'

/** On whose behalf something happens, and from where; goes into every audit row. */
export interface Origin {
  actor: { id: string; kind: string; name: string }
  address: string
  requestId: string
}

/** What the platform does by itself: first start, sweeps, the composition root. */
export const platformOrigin: Origin = {
  actor: { id: 'platform', kind: 'platform', name: 'cygnet' },
  address: 'local',
  requestId: '-',
}

export type AuditAction =
  | 'sign-in'
  | 'sign-in-refused'
  | 'sign-out'
  | 'sign-out-everywhere'
  | 'token-issued'
  | 'device-approved'
  | 'device-denied'
  | 'application-approved'
  | 'application-denied'
  | 'sign-in-link-created'
  | 'person-created'
  | 'person-suspended'
  | 'person-reinstated'
  | 'role-granted'
  | 'role-removed'
  | 'client-registered'
  | 'client-revoked'
  | 'access-key-created'
  | 'access-key-revoked'

export interface AuditEvent {
  action: AuditAction
  target: string
  experiment?: string | undefined
  detail?: Record<string, unknown>
}

const longestDetail = 4000
const longestText = 200

export async function writeAudit(
  trx: IdentityTransaction | IdentityKysely,
  clock: Clock,
  origin: Origin,
  event: AuditEvent,
): Promise<void> {
  const detail = JSON.stringify(event.detail ?? {})
  const atMs = clock.nowMs()
  await trx
    .insertInto('identity_audit')
    .values({
      id: uuid7(atMs),
      at_ms: atMs,
      actor_id: cap(origin.actor.id),
      actor_kind: cap(origin.actor.kind),
      actor_name: cap(origin.actor.name),
      action: event.action,
      target: cap(event.target),
      experiment: event.experiment ?? null,
      address: cap(origin.address),
      request_id: cap(origin.requestId),
      detail: detail.length > longestDetail ? '{"cut":true}' : detail,
    })
    .execute()
}

export interface AuditFilter {
  experiment?: string | undefined
  /** Rows by this subject, or about it. */
  about?: string | undefined
  limit: number
  /** Id of the last row already seen. */
  cursor?: string | undefined
}

/** Newest first. */
export async function listAudit(
  kysely: IdentityKysely,
  { experiment, about, limit, cursor }: AuditFilter,
): Promise<{ items: z.infer<typeof auditEntrySchema>[]; nextCursor: string | null }> {
  let query = kysely
    .selectFrom('identity_audit')
    .selectAll()
    .orderBy('id', 'desc')
    .limit(limit + 1)
  if (experiment !== undefined) query = query.where('experiment', '=', experiment)
  if (about !== undefined)
    query = query.where((row) => row.or([row('actor_id', '=', about), row('target', '=', about)]))
  if (cursor !== undefined) query = query.where('id', '<', cursor)
  const rows = await query.execute()
  const items = rows.slice(0, limit).map((row) => ({
    id: row.id,
    atMs: row.at_ms,
    actorId: row.actor_id,
    actorKind: row.actor_kind,
    actorName: row.actor_name,
    action: row.action,
    target: row.target,
    experiment: row.experiment,
    address: row.address,
    requestId: row.request_id,
    detail: JSON.parse(row.detail) as Record<string, unknown>,
  }))
  return { items, nextCursor: rows.length > limit ? items.at(-1)!.id : null }
}

/** Control characters and length are taken care of here, whatever the caller was given from outside. */
function cap(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '?').slice(0, longestText)
}
