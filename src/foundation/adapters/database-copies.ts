/** Whole copies of a database, each one SQLite file: made before migrations, verified, and put back when one regrets. */
import { open, readdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { sql } from 'kysely'
import type { OpenedDatabase } from '../database.ts'
import { foundationFaults } from '../errors.ts'
import { failpoint } from '../failpoints.ts'
import { ensureDirectory, freeBytes, fsyncDirectory } from '../files.ts'
import { compareTables, copyAllTables, emptyTables } from './copy-tables.ts'
import { makeSchema, type RoomMigrations } from './make-schema.ts'
import { openDatabase } from './open-database.ts'
import { checkSqliteFile } from './sqlite-dialect.ts'
import { requireSameShapes, tableShapes, type Side } from './table-shapes.ts'

const copiesKept = 5
/** Beyond the size of the database itself. */
const spareBytes = 16 * 1024 * 1024

/** Where the copies of a SQLite file are. */
export function copiesFolderOf({ path }: Pick<OpenedDatabase, 'path'>): string | undefined {
  return path === undefined ? undefined : join(dirname(path), 'copies')
}

export interface KeepCopyOptions {
  folder: string
  /** Of the program that is about to change the database. */
  version: string
  withoutCopy: boolean
}

/**
 * Makes a verified copy of the database at `folder`/<time>-before-<version>.sqlite and keeps the newest five. Without
 * room for it: 'foundation.disk_full', or `undefined` if `withoutCopy` says that one goes on.
 */
export async function keepCopy(
  database: OpenedDatabase,
  rooms: readonly RoomMigrations[],
  { folder, version, withoutCopy }: KeepCopyOptions,
): Promise<string | undefined> {
  await ensureDirectory(folder, 0o700)
  for (const name of await readdir(folder)) {
    if (name.includes('.partial')) await rm(join(folder, name), { force: true })
  }
  const neededBytes = (await sizeOfDatabase(database)) + spareBytes
  const presentBytes = await freeBytes(folder)
  if (presentBytes < neededBytes) {
    if (withoutCopy) return undefined
    const megabytes = (bytes: number) => `${Math.ceil(bytes / 1e6)} MB`
    throw foundationFaults.diskFull(
      `The database must be copied before it is migrated: ${megabytes(neededBytes)} are needed in ${folder}, ${megabytes(presentBytes)} are free.`,
      {
        hint: "Free some room, or set 'database.migrateWithoutCopy: true' in cygnet.yaml if you have a backup.",
        retry: false,
      },
    )
  }
  const stamp = new Date().toISOString().replaceAll(/[-:.]/g, '')
  const path = join(folder, `${stamp}-before-${version}.sqlite`)
  const partial = `${path}.partial`
  await writeCopy(database, rooms, partial)
  checkSqliteFile(partial, true)
  await syncFile(partial)
  await failpoint('copy.written')
  await rename(partial, path)
  await fsyncDirectory(folder)
  await failpoint('copy.kept')
  const copies = (await readdir(folder)).filter((name) => name.endsWith('.sqlite')).toSorted()
  for (const old of copies.slice(0, -copiesKept)) await rm(join(folder, old), { force: true })
  return path
}

/** Writes all of `database` into a new SQLite file; not yet durable. */
async function writeCopy(database: OpenedDatabase, rooms: readonly RoomMigrations[], path: string): Promise<void> {
  if (database.kind === 'sqlite') {
    await sql`vacuum into ${path}`.execute(database.kysely)
    return
  }
  await using copy = await openDatabase({ url: `sqlite:${path}` })
  await fill(database, copy, rooms)
  // One file, with nothing beside it.
  await sql`pragma journal_mode = delete`.execute(copy.kysely)
}

/** Schema and rows of `from` into `to`, whose tables are new; then both are compared. */
async function fill(from: Side, to: Side, rooms: readonly RoomMigrations[]): Promise<void> {
  const make = async (trx: Parameters<typeof makeSchema>[0]) => {
    await makeSchema(trx, to.kind, rooms, from)
    await emptyTables(trx, await tableShapes({ kysely: trx, kind: to.kind }))
  }
  if (to.kysely.isTransaction) await make(to.kysely as Parameters<typeof makeSchema>[0])
  else await to.kysely.transaction().execute(make)
  const tables = await tableShapes(from)
  requireSameShapes(tables, await tableShapes(to))
  await copyAllTables(from, to, tables)
  const { differences } = await compareTables(from, to, tables)
  if (differences.length > 0) throw new Error(`the copy differs in ${differences.map(({ name }) => name).join(', ')}`)
}

async function sizeOfDatabase({ kind, kysely }: OpenedDatabase): Promise<number> {
  const { rows } =
    kind === 'sqlite'
      ? await sql<{ bytes: number }>`
          select page_count * page_size as bytes from pragma_page_count(), pragma_page_size()`.execute(kysely)
      : await sql<{ bytes: number }>`select pg_database_size(current_database()) as bytes`.execute(kysely)
  return Number(rows[0]!.bytes)
}

async function syncFile(path: string): Promise<void> {
  const file = await open(path, 'r+')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}

/** The newest copy in that folder, or `undefined`. */
export async function newestCopy(folder: string): Promise<string | undefined> {
  const names = await readdir(folder).catch(() => [] as string[])
  const newest = names
    .filter((name) => name.endsWith('.sqlite'))
    .toSorted()
    .at(-1)
  return newest === undefined ? undefined : join(folder, newest)
}

/** Throws unless `path` is a whole SQLite file. */
export async function requireWholeCopy(path: string): Promise<void> {
  const facts = await stat(path).catch((cause: unknown) => {
    throw foundationFaults.invalidFile(`There is no copy ${path}.`, { cause })
  })
  if (facts.size === 0) throw foundationFaults.invalidFile(`The copy ${path} is empty.`)
  checkSqliteFile(path, true)
}

export { fill as fillFrom, syncFile }
