/** Rows of the audit as JSON lines, and back: the same in daily files, in what is downloaded and in what is verified. */
import { z } from 'zod'
import { auditEntrySchema } from './contract.ts'
import type { AuditRow } from './chain.ts'
import { jsonLine } from './kept-words.ts'

export function entryOf(row: AuditRow): z.infer<typeof auditEntrySchema> {
  return {
    sequence: row.sequence,
    id: row.id,
    atMs: row.at_ms,
    actorId: row.actor_id,
    actorKind: row.actor_kind,
    actorName: row.actor_name,
    credential: row.credential,
    action: row.action,
    target: row.target,
    experiment: row.experiment,
    decision: row.decision,
    address: row.address,
    requestId: row.request_id,
    detail: detailOf(row),
  }
}

export function lineOf(row: AuditRow): string {
  return `${jsonLine({ ...entryOf(row), prevHash: row.prev_hash, hash: row.hash })}\n`
}

const lineSchema = auditEntrySchema.omit({ targetName: true }).extend({ prevHash: z.string(), hash: z.string() })

/** Throws if the line is no row. */
export function rowOfLine(line: string): AuditRow {
  const { atMs, actorId, actorKind, actorName, requestId, prevHash, detail, ...rest } = lineSchema.parse(
    JSON.parse(line),
  )
  return {
    ...rest,
    at_ms: atMs,
    actor_id: actorId,
    actor_kind: actorKind,
    actor_name: actorName,
    request_id: requestId,
    prev_hash: prevHash,
    detail: jsonLine(detail),
  }
}

/** What somebody has made unreadable in the database is shown as it stands. */
function detailOf({ detail }: AuditRow): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(detail)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  } catch {
    // Shown below.
  }
  return { unreadable: detail }
}
