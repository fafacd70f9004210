/** Questions to the audit. Every filter has an index; pages go by the sequence, so that none shifts while rows come. */
import type { z } from 'zod'
import type { IdentityKysely } from '../tables.ts'
import type { AuditRow } from './chain.ts'
import type { auditEntrySchema, auditFilterSchema } from './contract.ts'
import { entryOf } from './export-lines.ts'

export interface AuditFilter extends Partial<Omit<z.output<typeof auditFilterSchema>, 'mine'>> {
  /** Rows by this subject, or about it. */
  about?: string | undefined
}

const rowsAtOnce = 500

/** Newest first. */
export async function listAudit(
  kysely: IdentityKysely,
  filter: AuditFilter,
  { limit, cursor }: { limit: number; cursor?: string | undefined },
): Promise<{ items: z.infer<typeof auditEntrySchema>[]; nextCursor: string | null }> {
  let query = matching(kysely, filter)
    .orderBy('sequence', 'desc')
    .limit(limit + 1)
  if (cursor !== undefined) query = query.where('sequence', '<', Number(cursor))
  const rows = await query.execute()
  const items = rows.slice(0, limit).map(entryOf)
  return { items, nextCursor: rows.length > limit ? String(items.at(-1)!.sequence) : null }
}

/** Oldest first, a few at a time: for a walk over all of them. What is added meanwhile comes too. */
export async function* auditRows(
  kysely: IdentityKysely,
  filter: AuditFilter = {},
  { after = 0, until = Number.MAX_SAFE_INTEGER }: { after?: number; until?: number } = {},
): AsyncGenerator<AuditRow> {
  for (let last = after; ;) {
    const rows = await matching(kysely, filter)
      .where('sequence', '>', last)
      .where('sequence', '<=', until)
      .orderBy('sequence')
      .limit(rowsAtOnce)
      .execute()
    yield* rows
    if (rows.length < rowsAtOnce) return
    last = rows.at(-1)!.sequence
    // Whoever else waits for this process comes first.
    await new Promise(setImmediate)
  }
}

function matching(kysely: IdentityKysely, filter: AuditFilter) {
  const { about, actor, fromMs, untilMs } = filter
  let query = kysely.selectFrom('identity_audit').selectAll()
  for (const column of ['experiment', 'action', 'target', 'address', 'decision'] as const) {
    const wanted = filter[column]
    if (wanted !== undefined) query = query.where(column, '=', wanted as never)
  }
  if (about !== undefined)
    query = query.where((row) => row.or([row('actor_id', '=', about), row('target', '=', about)]))
  if (actor !== undefined)
    query = query.where((row) => row.or([row('actor_id', '=', actor), row('actor_name', '=', actor)]))
  if (fromMs !== undefined) query = query.where('at_ms', '>=', fromMs)
  if (untilMs !== undefined) query = query.where('at_ms', '<', untilMs)
  return query
}
