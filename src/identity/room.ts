import type { AnyTransaction, OpenedDatabase } from '../foundation/database.ts'
import { transact } from '../foundation/database.ts'
import { appendFact, takeTurn } from '../foundation/facts.ts'
import type { Logger } from '../foundation/log.ts'
import type { Clock } from '../foundation/time.ts'
import { writeAudit, type AuditEvent, type Origin } from './audit.ts'
import type { Seal } from './seal.ts'
import { activeSubject, subjectOf, type IdentitySnapshot } from './snapshot.ts'
import type { Subject } from './subject.ts'
import { ownTables, tablesOf, type IdentityKysely, type IdentityTransaction } from './tables.ts'

/** Something of a person that runs now. */
export interface Running {
  kind: 'session' | 'job'
  id: string
  personId: string
  experiment: string
  title: string
}

/** What this room needs of rooms above it; the composition root plugs it in. */
export interface IdentityPorts {
  /** Sessions and jobs of these people that are not over. */
  runningOf(personIds: readonly string[]): Promise<Running[]>
  /** Makes the experiment itself, in the caller's transaction; a Fault if there is one of that name. */
  createExperiment(trx: AnyTransaction, experiment: { name: string; title: string }): Promise<void>
}

/** What every part of this room works with. */
export interface Room {
  readonly database: OpenedDatabase
  readonly kysely: IdentityKysely
  readonly clock: Clock
  readonly log: Logger
  readonly seal: Seal
  /** `https://host` or `http://127.0.0.1:port`, without a trailing slash. */
  readonly publicUrl: string
  /** Is there a mail server? Without one mails are kept, and pages show links to copy. */
  readonly mailGoesOut: boolean
  /** What rooms above lend. */
  readonly ports: IdentityPorts
  /** A person or machine with the rights that are published now; undefined: unknown, suspended or gone. */
  subjectNow(subjectId: string): Subject | undefined
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
  parts: Pick<Room, 'database' | 'clock' | 'log' | 'seal' | 'publicUrl' | 'ports' | 'mailGoesOut'>,
  {
    refresh,
    appended,
    snapshot,
    alsoChanged,
  }: {
    refresh: () => Promise<void>
    appended: (sequence: number) => void
    snapshot: () => IdentitySnapshot
    /** What else follows from a change of that person or machine, in its transaction. */
    alsoChanged: (trx: IdentityTransaction, subjectId: string) => Promise<void>
  },
): Room {
  const { database, clock } = parts
  return {
    ...parts,
    kysely: tablesOf(database),
    subjectNow(subjectId) {
      const found = activeSubject(snapshot(), subjectId)
      return found && subjectOf(found)
    },
    audit: (trx, origin, event) => writeAudit(trx, clock, origin, event),
    async changed(trx, subjectId, change) {
      const fact = { kind: subjectChanged, subject: subjectId, data: { subjectId, change } }
      const { sequence } = await appendFact(trx, fact, clock)
      appended(sequence)
      await alsoChanged(ownTables(trx), subjectId)
    },
    async change(work) {
      const result = await transact(database, async (trx) => {
        // Every change is audited or announced: taking the turn before any row keeps them from waiting for each other.
        await takeTurn(trx)
        return await work(ownTables(trx))
      })
      await refresh()
      return result
    },
  }
}

export const subjectChanged = 'identity.subject-changed'
