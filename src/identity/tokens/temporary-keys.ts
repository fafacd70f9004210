import type { z } from 'zod'
import type { Room } from '../room.ts'
import type { temporaryKeySchema } from './contract.ts'

/** S3 credentials that STS made for a person, for himself and for his sessions and jobs, newest first. */
export async function listTemporaryKeys(
  room: Room,
  { subjectId, limit, cursor }: { subjectId: string; limit: number; cursor?: string | undefined },
): Promise<{ items: z.infer<typeof temporaryKeySchema>[]; nextCursor: string | null }> {
  let query = room.kysely
    .selectFrom('identity_access_key')
    .selectAll()
    .where('subject_id', '=', subjectId)
    .where('kind', '=', 'sts')
    .where('revoked_at_ms', 'is', null)
    .where('expires_at_ms', '>', room.clock.nowMs())
    .orderBy('access_key_id')
    .limit(limit + 1)
  if (cursor !== undefined) query = query.where('access_key_id', '>', cursor)
  const rows = await query.execute()
  const items = rows.slice(0, limit).map((row) => ({
    accessKeyId: row.access_key_id,
    label: row.label,
    actor: row.actor_kind === null ? null : `${row.actor_kind} ${row.actor_id ?? ''}`,
    createdAtMs: row.created_at_ms,
    expiresAtMs: row.expires_at_ms ?? row.created_at_ms,
  }))
  return { items, nextCursor: rows.length > limit ? items.at(-1)!.accessKeyId : null }
}
