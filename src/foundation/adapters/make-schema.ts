/** The tables of the rooms, made by their migrations. */
import { sql } from 'kysely'
import type { Migration } from 'kysely/migration'
import type { AnyTransaction } from '../database.ts'
import { foundationFaults } from '../errors.ts'
import { failpoint } from '../failpoints.ts'
import * as factsAndJobs from '../migrations/0001-facts-and-jobs.ts'
import { programVersion } from '../version.ts'
import { hasTable, type Side } from './table-shapes.ts'

export interface RoomMigrations {
  room: string
  /** By name, '0001-runs', '0002-...'; never renamed, never edited once released. */
  migrations: Record<string, Migration>
}

export interface KnownMigration {
  name: string
  room: string
  migration: Migration
}

/** Makes the tables that `from` has, at the same state, empty of rows but for what migrations put there. */
export async function makeSchema(
  trx: AnyTransaction,
  kind: Side['kind'],
  rooms: readonly RoomMigrations[],
  from: Side,
): Promise<void> {
  const names = await appliedMigrations(from)
  const known = knownMigrations(rooms)
  refuseNewer(names, known, true)
  await applyMigrations(
    trx,
    kind,
    known.filter(({ name }) => names.has(name)),
  )
  if (!(await hasProgramColumn(from))) await sql`alter table migration drop column program`.execute(trx)
}

/** Names of the applied migrations, and the version of the program that applied each, where it said so. */
export async function appliedMigrations(side: Side): Promise<Map<string, string | undefined>> {
  if (!(await hasTable(side, 'migration'))) return new Map()
  const rows = await side.kysely.selectFrom('migration').selectAll().execute()
  return new Map(rows.map((row) => [row.name as string, (row.program as string | null | undefined) ?? undefined]))
}

/** Applies these in the given transaction; the caller has made the copy. */
export async function applyMigrations(
  trx: AnyTransaction,
  kind: Side['kind'],
  pending: KnownMigration[],
): Promise<void> {
  await sql`create table if not exists migration (name text primary key, applied_ms bigint not null, program text)`.execute(
    trx,
  )
  if (!(await hasProgramColumn({ kysely: trx, kind })))
    await sql`alter table migration add column program text`.execute(trx)
  for (const { name, migration } of pending) {
    try {
      await migration.up(trx)
    } catch (cause) {
      throw foundationFaults.migrationFailed(`Migration ${name} failed; the database is as it was before.`, { cause })
    }
    await trx.insertInto('migration').values({ name, applied_ms: Date.now(), program: programVersion() }).execute()
    await failpoint('migrate.step')
  }
}

/** Databases of the first two releases do not say which program migrated them. */
async function hasProgramColumn({ kysely, kind }: Side): Promise<boolean> {
  const { rows } =
    kind === 'sqlite'
      ? await sql`select 1 from pragma_table_info('migration') where name = 'program'`.execute(kysely)
      : await sql`select 1 from information_schema.columns
                  where table_schema = current_schema() and table_name = 'migration' and column_name = 'program'`.execute(
          kysely,
        )
  return rows.length > 0
}

/** All migrations of these rooms and the foundation, in their order. */
export function knownMigrations(rooms: readonly RoomMigrations[]): KnownMigration[] {
  const own: RoomMigrations = { room: 'foundation', migrations: { '0001-facts-and-jobs': factsAndJobs } }
  return [own, ...rooms].flatMap(({ room, migrations }) =>
    Object.entries(migrations)
      .map(([name, migration]) => ({ name: `${room}/${name}`, room, migration }))
      .toSorted((one, other) => (one.name < other.name ? -1 : 1)),
  )
}

/** Throws if the database has migrations that this program does not know. */
export function refuseNewer(
  applied: ReadonlyMap<string, string | undefined>,
  known: readonly KnownMigration[],
  allRooms: boolean,
): void {
  const rooms = new Set(known.map(({ room }) => room))
  const names = new Set(known.map(({ name }) => name))
  const newer = [...applied.keys()].filter(
    (name) => !names.has(name) && (allRooms || rooms.has(name.slice(0, name.indexOf('/')))),
  )
  if (newer.length === 0) return
  const program = newer.map((name) => applied.get(name)).find((version) => version !== undefined)
  const by = program === undefined ? 'a newer Cygnet' : `Cygnet ${program}`
  throw foundationFaults.migrationFailed(
    `The database was made by ${by} (it has ${newer.join(', ')}); this is Cygnet ${programVersion()}, which does not know that.`,
    {
      hint: "Start the newer version, or go back to the copy made before its migration (database/copies): 'cygnet rollback' does that.",
      extra: { newer, databaseProgram: program ?? null, program: programVersion() },
    },
  )
}
