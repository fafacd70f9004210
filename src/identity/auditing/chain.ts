/**
 * The chain: each row of the audit holds the hash of the one before, so that what is deleted, changed or put in another
 * order no longer fits. Pure; rows are hashed the same way wherever they are kept (database, daily file, export).
 */
import { createHash } from 'node:crypto'
import type { AuditTable } from './tables.ts'

export type AuditRow = AuditTable
export type UnchainedRow = Omit<AuditRow, 'sequence' | 'prev_hash' | 'hash'>

/** What the first row follows. */
export const beginning = { sequence: 0, hash: '0'.repeat(64) } as const

/** The last row of a chain, or the beginning. */
export interface Head {
  sequence: number
  hash: string
}

/** The row that comes after `head`. */
export function chained(head: Head, row: UnchainedRow): AuditRow {
  const linked = { ...row, sequence: head.sequence + 1, prev_hash: head.hash }
  return { ...linked, hash: hashOf(linked) }
}

/** SHA-256 over a list of all values in this order, as JSON; rows hashed so exist, so it is never changed. */
export function hashOf(row: Omit<AuditRow, 'hash'>): string {
  const canonical = JSON.stringify([
    'cygnet-audit-1',
    row.sequence,
    row.prev_hash,
    row.id,
    row.at_ms,
    row.actor_id,
    row.actor_kind,
    row.actor_name,
    row.credential,
    row.action,
    row.target,
    row.experiment,
    row.decision,
    row.address,
    row.request_id,
    row.detail,
  ])
  return createHash('sha256').update(canonical).digest('hex')
}

/** What is wrong at a place of the chain. */
export interface ChainFault {
  /** Of the row where it shows. */
  sequence: number
  what: string
}

/** A row must follow the one before, and be what its hash says. */
export function faultsOf(before: Head, row: AuditRow): ChainFault[] {
  const faults: ChainFault[] = []
  const expected = before.sequence + 1
  if (row.sequence !== expected) {
    const missing = row.sequence - expected
    const what =
      missing > 0
        ? `${missing === 1 ? `row ${expected} is` : `rows ${expected} to ${row.sequence - 1} are`} missing`
        : `row ${row.sequence} comes again`
    faults.push({ sequence: row.sequence, what })
  } else if (row.prev_hash !== before.hash)
    faults.push({ sequence: row.sequence, what: 'it does not follow the row before it' })
  if (hashOf(row) !== row.hash) faults.push({ sequence: row.sequence, what: 'it was changed' })
  return faults
}
