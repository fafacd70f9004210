/** The way back: a database becomes again what a copy of it holds. */
import { constants, existsSync } from 'node:fs'
import { copyFile, link, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { DatabaseAddress } from '../database.ts'
import { failpoint } from '../failpoints.ts'
import { fsyncDirectory } from '../files.ts'
import { acquireLock } from '../lock.ts'
import type { Logger } from '../log.ts'
import { fillFrom, requireWholeCopy, syncFile } from './database-copies.ts'
import type { RoomMigrations } from './make-schema.ts'
import { openDatabase } from './open-database.ts'
import { openSqliteFile } from './sqlite-dialect.ts'
import { tableShapes } from './table-shapes.ts'

export interface RestoreOptions extends DatabaseAddress {
  /** A file of the copies folder, as `migrate` answered it. */
  copy: string
  /** PostgreSQL: the rooms whose tables the copy has; a SQLite file needs none. */
  rooms?: readonly RoomMigrations[]
  log?: Logger
}

/**
 * Puts the copy back in the place of the database. Control must have stopped: the writer's place is taken meanwhile,
 * and 'foundation.locked' thrown otherwise. At any moment, a kill -9 included, the database is wholly the one or wholly
 * the other. What is replaced is kept: of SQLite as '<file>.replaced' (answered), of PostgreSQL not (one transaction).
 */
export async function restoreDatabaseCopy(options: RestoreOptions): Promise<{ replaced: string | undefined }> {
  await requireWholeCopy(options.copy)
  if (options.url.startsWith('sqlite:')) return await restoreFile(options.url.slice('sqlite:'.length), options.copy)
  await using database = await openDatabase({ ...options, exclusive: true })
  await using copy = await openDatabase({ url: `sqlite:${options.copy}` })
  await database.kysely.transaction().execute(async (trx) => {
    const side = { kysely: trx, kind: database.kind }
    for (const { name } of (await tableShapes(side)).toReversed()) await trx.schema.dropTable(name).execute()
    await fillFrom(copy, side, options.rooms ?? [])
    await failpoint('restore.filled')
  })
  return { replaced: undefined }
}

async function restoreFile(path: string, copy: string): Promise<{ replaced: string | undefined }> {
  await using _lock = await acquireLock(`${path}.lock`)
  const arriving = `${path}.arriving`
  const replaced = `${path}.replaced`
  await rm(arriving, { force: true })
  await copyFile(copy, arriving, constants.COPYFILE_FICLONE)
  await syncFile(arriving)
  await failpoint('restore.copied')
  if (existsSync(path)) {
    // A write-ahead log that stayed behind would be played into the wrong file: put it into its own first.
    foldWriteAheadLog(path)
    await rm(replaced, { force: true })
    await link(path, replaced)
  }
  await failpoint('restore.linked')
  for (const left of ['-wal', '-shm']) await rm(path + left, { force: true })
  await rename(arriving, path)
  await fsyncDirectory(dirname(path))
  await failpoint('restore.renamed')
  return { replaced: existsSync(replaced) ? replaced : undefined }
}

function foldWriteAheadLog(path: string): void {
  try {
    openSqliteFile(path).close()
  } catch {
    // Too damaged to be opened; that is why somebody restores.
  }
}
