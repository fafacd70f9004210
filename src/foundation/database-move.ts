/**
 * Moves a whole database to another place, of either kind: schema by the same migrations, rows in the order of their
 * keys, proof that both hold the same, and only then the switch. May be killed at any moment and begun again.
 */
import { existsSync } from 'node:fs'
import { rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import { sql } from 'kysely'
import {
  compareTables,
  emptyTables,
  insertRows,
  keyOf,
  readTable,
  type Position,
  type TableDifference,
  type TableDigest,
} from './adapters/copy-tables.ts'
import { keepCopy } from './adapters/database-copies.ts'
import { appliedMigrations, makeSchema, type RoomMigrations } from './adapters/make-schema.ts'
import { openDatabase } from './adapters/open-database.ts'
import { hasTable, moveTable, requireSameShapes, tableShapes, type TableShape } from './adapters/table-shapes.ts'
import type { AnyKysely, AnyTransaction, DatabaseAddress, OpenedDatabase } from './database.ts'
import { foundationFaults } from './errors.ts'
import { failpoint } from './failpoints.ts'
import { fsyncDirectory } from './files.ts'
import type { Logger } from './log.ts'
import { programVersion } from './version.ts'

export interface MoveOptions {
  from: DatabaseAddress
  to: DatabaseAddress
  rooms: readonly RoomMigrations[]
  /** `to` is the database that was left by an earlier move: what it holds is put aside and replaced. */
  mayReplace: boolean
  /** Where a copy of a replaced PostgreSQL database goes. */
  copiesFolder: string
  log?: Logger
  onProgress?: (progress: MoveProgress) => void
  /**
   * Called when both are proven equal, while nobody else can write either; makes `to`, which it is given, the one that is
   * used.
   */
  switchOver(copy: OpenedDatabase): Promise<void>
}

export interface MoveProgress {
  step: 'copying' | 'verifying'
  table: string
  rows: number
}

export interface MoveReport {
  tables: TableDigest[]
  /** Rows that were already there from an earlier, interrupted try. */
  resumedRows: number
  /** Where a replaced SQLite file or a copy of a replaced PostgreSQL database was put. */
  putAside: string | undefined
}

/**
 * Copies, verifies (count and order-independent SHA-256 of every table), calls `switchOver`. Both writer's places are
 * held meanwhile ('foundation.locked' if somebody writes). `from` is not changed.
 */
export async function moveDatabase(options: MoveOptions): Promise<MoveReport> {
  const { from, log } = options
  if (from.url === options.to.url) throw foundationFaults.badRequest('The database is already there.')
  await using source = await openDatabase({ ...from, exclusive: true, ...(log && { log }) })
  if ((await appliedMigrations(source)).size === 0) {
    throw foundationFaults.badRequest('There is nothing to move: the database is empty.')
  }
  await failpoint('move.opened')
  const { target, putAside } = await openTarget(options, source)
  await using _target = target
  const tables = await prepare(options, source, target)
  let resumedRows = await copyRows(source, target, tables, options.onProgress)
  await failpoint('move.copied')
  let compared = await compare(source, target, tables, options.onProgress)
  if (compared.differences.length > 0 && resumedRows > 0) {
    // The platform ran in between: what was copied then is no longer true.
    log?.warn({ tables: compared.differences }, 'the database was changed since the interrupted move; copying it anew')
    resumedRows = 0
    await target.kysely.transaction().execute(async (trx) => await beginAgain(trx, tables))
    await copyRows(source, target, tables, options.onProgress)
    compared = await compare(source, target, tables, options.onProgress)
  }
  if (compared.differences.length > 0) throw notEqual(compared.differences)
  await target.kysely.updateTable(moveTable).set({ state: 'verified' }).where('name', '=', '').execute()
  await failpoint('move.verified')
  await options.switchOver(target)
  await endMove(target)
  await failpoint('move.finished')
  return { tables: compared.digests, resumedRows, putAside }
}

/** What is left to do for a move that died right after its switch. */
export async function finishMove(address: DatabaseAddress): Promise<void> {
  await using database = await openDatabase({ ...address, exclusive: true })
  await endMove(database)
}

async function endMove({ kysely }: OpenedDatabase): Promise<void> {
  await kysely.schema.dropTable(moveTable).ifExists().execute()
  // Statistics for the planner, which a freshly filled database has not yet.
  await sql`analyze`.execute(kysely)
}

/** Only compares; throws 'foundation.databases_differ' if they do. */
export async function compareDatabases(
  options: Pick<MoveOptions, 'from' | 'to' | 'log' | 'onProgress'>,
): Promise<TableDigest[]> {
  await using one = await openDatabase({ ...options.from, exclusive: true })
  await using other = await openDatabase({ ...options.to, exclusive: true })
  const tables = await tableShapes(one)
  requireSameShapes(tables, await tableShapes(other))
  const { digests, differences } = await compare(one, other, tables, options.onProgress)
  if (differences.length > 0) throw notEqual(differences)
  return digests
}

function notEqual(differences: TableDifference[]) {
  const words = differences.map(({ name, rows, otherRows }) => `${name} (${rows} and ${otherRows} rows)`).join(', ')
  return foundationFaults.databasesDiffer(`The two databases differ in ${words}.`, { extra: { differences } })
}

/** The target, of which nobody else is the writer, free for what comes. */
async function openTarget(
  options: MoveOptions,
  source: OpenedDatabase,
): Promise<{ target: OpenedDatabase; putAside: string | undefined }> {
  const { to, log } = options
  const open = async () => await openDatabase({ ...to, exclusive: true, ...(log && { log }) })
  const isNew = !to.url.startsWith('sqlite:') || !existsSync(to.url.slice('sqlite:'.length))
  const target = await open()
  try {
    const present = await tableShapes(target)
    if ((await isOurs(source, target, options.from)) || present.length === 0) return { target, putAside: undefined }
    if (!options.mayReplace) {
      throw foundationFaults.badRequest('The database to move to is not empty.', {
        hint: 'Give it an empty one: on PostgreSQL createdb --encoding UTF8 NAME.',
      })
    }
    const stamp = new Date().toISOString().replaceAll(/[-:.]/g, '')
    if (target.path !== undefined && !isNew) {
      const putAside = `${target.path}.left-${stamp}`
      // Closing folds the write-ahead log into the file.
      await target.close()
      if (existsSync(`${target.path}-wal`)) {
        throw foundationFaults.locked(`Another program has ${target.path} open.`, { hint: 'Close it and try again.' })
      }
      await rename(target.path, putAside)
      await fsyncDirectory(dirname(putAside))
      await failpoint('move.put-aside')
      return { target: await open(), putAside }
    }
    const copy = { folder: options.copiesFolder, version: programVersion(), withoutCopy: false }
    const putAside = await keepCopy(target, options.rooms, copy)
    await failpoint('move.put-aside')
    await target.kysely.transaction().execute(async (trx) => {
      for (const { name } of present.toReversed()) await trx.schema.dropTable(name).execute()
      await trx.schema.dropTable(moveTable).ifExists().execute()
    })
    return { target, putAside }
  } catch (error) {
    await target.close()
    throw error
  }
}

/** True if `target` is being filled, or has been filled, from this very source by a move that was interrupted. */
async function isOurs(source: OpenedDatabase, target: OpenedDatabase, from: DatabaseAddress): Promise<boolean> {
  if (!(await hasTable(target, moveTable))) return false
  const row = await target.kysely.selectFrom(moveTable).selectAll().where('name', '=', '').executeTakeFirst()
  if (row?.position === (await identityOf(source.kysely, from))) return true
  throw foundationFaults.databaseMoving('Another database is being moved to that place.', {
    hint: 'Finish that move first, or give this one an empty database of its own.',
  })
}

/** What a database is known by: where it is and the epoch of its history. */
async function identityOf(kysely: AnyKysely, { url }: DatabaseAddress): Promise<string> {
  const log = await kysely.selectFrom('fact_log').select('epoch').executeTakeFirst()
  return JSON.stringify({ url, epoch: log?.epoch ?? null })
}

/** Empty tables like the source's, and the bookkeeping, in one transaction; nothing to do for a move taken up again. */
async function prepare(
  { rooms, from }: MoveOptions,
  source: OpenedDatabase,
  target: OpenedDatabase,
): Promise<TableShape[]> {
  const tables = await tableShapes(source)
  if (!(await hasTable(target, moveTable))) {
    const identity = await identityOf(source.kysely, from)
    await target.kysely.transaction().execute(async (trx) => {
      await makeSchema(trx, target.kind, rooms, source)
      await trx.schema
        .createTable(moveTable)
        .addColumn('name', 'text', (column) => column.primaryKey())
        .addColumn('state', 'text', (column) => column.notNull())
        .addColumn('position', 'text', (column) => column.notNull())
        .execute()
      requireSameShapes(tables, await tableShapes({ kysely: trx, kind: target.kind }))
      await trx.insertInto(moveTable).values({ name: '', state: 'copying', position: identity }).execute()
      await emptyTables(trx, tables)
    })
    await failpoint('move.made')
  }
  requireSameShapes(tables, await tableShapes(target))
  // A finished copy that was never switched to: the platform may have run on the old one since.
  await target.kysely.updateTable(moveTable).set({ state: 'copying' }).where('name', '=', '').execute()
  return tables
}

async function beginAgain(trx: AnyTransaction, tables: readonly TableShape[]): Promise<void> {
  await emptyTables(trx, tables)
  await trx.deleteFrom(moveTable).where('name', '!=', '').execute()
}

/** Copies what is not there yet; answers how many rows were. */
async function copyRows(
  source: OpenedDatabase,
  target: OpenedDatabase,
  tables: readonly TableShape[],
  onProgress: MoveOptions['onProgress'],
): Promise<number> {
  let resumedRows = 0
  for (const table of tables) {
    const kept = await target.kysely.selectFrom(moveTable).selectAll().where('name', '=', table.name).executeTakeFirst()
    const position: Position = kept === undefined ? { after: null, rows: 0 } : (JSON.parse(kept.position) as Position)
    resumedRows += position.rows
    for await (const rows of readTable(source, table, position.after)) {
      position.after = keyOf(rows.at(-1)!, table.key)
      position.rows += rows.length
      const row = { name: table.name, state: 'copying', position: JSON.stringify(position) }
      await target.kysely.transaction().execute(async (trx) => {
        await insertRows(trx, target.kind, table, rows)
        await trx
          .insertInto(moveTable)
          .values(row)
          .onConflict((conflict) => conflict.column('name').doUpdateSet(row))
          .execute()
      })
      onProgress?.({ step: 'copying', table: table.name, rows: position.rows })
      await failpoint('move.batch')
    }
  }
  return resumedRows
}

async function compare(
  source: OpenedDatabase,
  target: OpenedDatabase,
  tables: readonly TableShape[],
  onProgress: MoveOptions['onProgress'],
) {
  return await compareTables(source, target, tables, (table) => onProgress?.({ step: 'verifying', table, rows: 0 }))
}
