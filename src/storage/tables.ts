/** What this room keeps in SQL: only how far the control has told others about changes of objects. */
import type { Kysely, Transaction } from 'kysely'
import type { AnyTransaction, OpenedDatabase, RoomMigrations } from '../foundation/database.ts'
import * as cursor from './migrations/0001-change-cursor.ts'

export interface StorageTables {
  /** One row: the last change of the index that has become a fact. */
  storage_change_cursor: {
    id: number
    epoch: string
    sequence: number
    /** JSON of {bucket, after} while a new epoch is being told by listing; null otherwise. */
    listing: string | null
  }
}

export const storageMigrations: RoomMigrations = { room: 'storage', migrations: { '0001-change-cursor': cursor } }

export function tablesOf(database: OpenedDatabase | AnyTransaction): Kysely<StorageTables> {
  return ('kysely' in database ? database.kysely : database) as Kysely<StorageTables> | Transaction<StorageTables>
}
