import type { AnyTransaction, OpenedDatabase } from '../foundation/database.ts'
import { transact } from '../foundation/database.ts'
import { appendFact } from '../foundation/facts.ts'
import type { Logger } from '../foundation/log.ts'
import type { Clock } from '../foundation/time.ts'
import { writeAudit, type AuditEvent, type Origin } from './audit.ts'
import type { Seal } from './seal.ts'
import { ownTables, tablesOf, type IdentityKysely, type IdentityTransaction } from './tables.ts'

/** What every part of this room works with. */
export interface Room {
  readonly database: OpenedDatabase
  readonly kysely: IdentityKysely
  readonly clock: Clock
  readonly log: Logger
  readonly seal: Seal
  /** `https://host` or `http://127.0.0.1:port`, without a trailing slash. */
  readonly publicUrl: string
  audit(trx: IdentityTransaction | IdentityKysely, origin: Origin, event: AuditEvent): Promise<void>
  /**
   * Appends 'identity.subject-changed' {subjectId, change}: rights or credentials of a person or machine are not what
   * they were. This room reloads its published part on it; upper rooms may follow it.
   */
  changed(trx: AnyTransaction, subjectId: string, change: string): Promise<void>
  /** A transaction of this room, after which the published part is up to date before the promise resolves. */
  change<Result>(work: (trx: IdentityTransaction) => Promise<Result>): Promise<Result>
}

/** `appended` hears the sequence of each fact of a change, whose transaction may still be rolled back. */
export function createRoom(
  parts: Pick<Room, 'database' | 'clock' | 'log' | 'seal' | 'publicUrl'>,
  { refresh, appended }: { refresh: () => Promise<void>; appended: (sequence: number) => void },
): Room {
  const { database, clock } = parts
  return {
    ...parts,
    kysely: tablesOf(database),
    audit: (trx, origin, event) => writeAudit(trx, clock, origin, event),
    async changed(trx, subjectId, change) {
      const fact = { kind: subjectChanged, subject: subjectId, data: { subjectId, change } }
      const { sequence } = await appendFact(trx, fact, clock)
      appended(sequence)
    },
    async change(work) {
      const result = await transact(database, (trx) => work(ownTables(trx)))
      await refresh()
      return result
    },
  }
}

export const subjectChanged = 'identity.subject-changed'
