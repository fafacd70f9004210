/**
 * The database: embedded SQLite by default, PostgreSQL by configuration, Kysely over both. One process writes.
 * Rooms stay in the portable subset (docs/adr/0002): text ids, integer milliseconds, JSON as text, booleans 0/1.
 */
import type { Kysely, Transaction } from 'kysely'
import { mayRunAgain } from './adapters/watched-driver.ts'
import type { Fault } from './errors.ts'
import type { Logger } from './log.ts'

export { migrate, type MigrateOptions, type MigrateResult } from './adapters/migrations.ts'
export type { RoomMigrations } from './adapters/make-schema.ts'
export { openDatabase } from './adapters/open-database.ts'
export { addressHoldsPassword } from './adapters/postgres-address.ts'
export { restoreDatabaseCopy, type RestoreOptions } from './adapters/restore-copy.ts'
export type { Migration } from 'kysely/migration'

/** Kysely before a room has narrowed it to its own tables; what a migration gets. */
export type AnyKysely = Kysely<any>

/** What a transaction's callback gets; stores take it as their first argument. */
export type AnyTransaction = Transaction<any>

export interface OpenedDatabase {
  readonly kysely: AnyKysely
  readonly kind: 'sqlite' | 'postgres'
  /** The SQLite file, if there is one. */
  readonly path: string | undefined
  /** Calls `listener` after each commit of this process; returns what ends it. */
  onCommit(listener: () => void): () => void
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** Where a database is and how one is let in; no part of it is secret. */
export interface DatabaseAddress {
  /** 'sqlite:/path/to/file', 'sqlite::memory:', 'postgres://user@host/name'; one that holds a password is refused. */
  url: string
  /** PostgreSQL only: the file (0600) with the password; read at each new connection. */
  passwordFile?: string | undefined
}

export interface DatabaseOptions extends DatabaseAddress {
  /** The writer's place: a second process that asks for it is refused with 'foundation.locked'. */
  exclusive?: boolean
  log?: Logger
  /**
   * Called once when this process must stop writing at once: the writer's place is lost (PostgreSQL), or the disk of
   * the SQLite file fails. What is on the disk is whole; a process that starts again finds it.
   */
  onUnsafe?: (fault: Fault) => void
}

/**
 * Runs `work` in a transaction and returns its result. Inside, await nothing but calls on `trx`. On PostgreSQL a
 * transaction that lost a race (deadlock, serialization) or its connection is run again, unless its commit was already
 * on the way: then nobody knows, and the caller gets 'foundation.database_unavailable'.
 */
export async function transact<Result>(
  database: Pick<OpenedDatabase, 'kysely'>,
  work: (trx: AnyTransaction) => Promise<Result>,
): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await database.kysely.transaction().execute(work)
    } catch (error) {
      if (attempt >= 5 || !mayRunAgain(error)) throw error
    }
  }
}
