/** Forward-only migrations, per room, applied in the order of the floors. */
import type { OpenedDatabase } from '../database.ts'
import { foundationFaults } from '../errors.ts'
import { failpoint } from '../failpoints.ts'
import { programVersion } from '../version.ts'
import { copiesFolderOf, keepCopy } from './database-copies.ts'
import { appliedMigrations, applyMigrations, knownMigrations, refuseNewer, type RoomMigrations } from './make-schema.ts'
import { hasTable, moveTable, type Side } from './table-shapes.ts'

export interface MigrateOptions {
  /** These are all rooms there are: a migration of any other room was made by a newer program, too. */
  allRooms?: boolean
  /** Where copies go; default: 'copies' beside the SQLite file, none of PostgreSQL. */
  copiesFolder?: string
  /** Only if whoever runs the site said so: without room for a copy, go on without one. */
  withoutCopy?: boolean
}

export interface MigrateResult {
  /** In the order in which they were applied: 'room/0001-name'. */
  applied: string[]
  /** The copy of the database as it was before; none of a new database, or if nothing was applied. */
  copy: string | undefined
}

/**
 * Brings the tables of these rooms (and the foundation's) up to date: all pending migrations in one transaction, after
 * a verified copy has been put aside. If one fails the database is as it was. A database that is newer than the program
 * is refused, and so is one into which an unfinished move was filling rows.
 */
export async function migrate(
  database: OpenedDatabase,
  rooms: readonly RoomMigrations[],
  options: MigrateOptions = {},
): Promise<MigrateResult> {
  await endOfMove(database)
  const applied = await appliedMigrations(database)
  const known = knownMigrations(rooms)
  refuseNewer(applied, known, options.allRooms ?? false)
  const pending = known.filter(({ name }) => !applied.has(name))
  if (pending.length === 0) return { applied: [], copy: undefined }
  const folder = options.copiesFolder ?? copiesFolderOf(database)
  const copy =
    applied.size === 0 || folder === undefined
      ? undefined
      : await keepCopy(database, rooms, {
          folder,
          version: programVersion(),
          withoutCopy: options.withoutCopy ?? false,
        })
  await failpoint('migrate.copied')
  await database.kysely.transaction().execute(async (trx) => await applyMigrations(trx, database.kind, pending))
  await failpoint('migrate.committed')
  return { applied: pending.map(({ name }) => name), copy }
}

/** A database that is being filled is not to be used; one that was filled, proven and is used now is no longer moved. */
async function endOfMove(side: Side): Promise<void> {
  if (!(await hasTable(side, moveTable))) return
  const row = await side.kysely.selectFrom(moveTable).selectAll().where('name', '=', '').executeTakeFirst()
  if (row?.state === 'verified') return await side.kysely.schema.dropTable(moveTable).execute()
  throw foundationFaults.databaseMoving('A move into this database was begun and is not finished.', {
    hint: "Finish it with the same 'cygnet move' as before; until then the database it came from is the true one.",
  })
}
