/** Forward-only migrations, per room, applied in the order of the floors. */
import { readdir, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { sql } from 'kysely'
import type { Migration } from 'kysely/migration'
import type { OpenedDatabase } from '../database.ts'
import { foundationFaults } from '../errors.ts'
import * as factsAndJobs from '../migrations/0001-facts-and-jobs.ts'

export interface RoomMigrations {
  room: string
  /** By name, '0001-runs', '0002-...'; never renamed, never edited once released. */
  migrations: Record<string, Migration>
}

const copiesKept = 3

/**
 * Brings the tables of these rooms (and the foundation's) up to date: all pending migrations in one transaction, after
 * a copy of the SQLite file beside it. A database that is newer than the program is refused.
 */
export async function migrate(database: OpenedDatabase, rooms: readonly RoomMigrations[]): Promise<string[]> {
  const { kysely } = database
  await sql`create table if not exists migration (name text primary key, applied_ms bigint not null)`.execute(kysely)
  const applied = new Set((await kysely.selectFrom('migration').select('name').execute()).map((row) => row.name))
  const own: RoomMigrations = { room: 'foundation', migrations: { '0001-facts-and-jobs': factsAndJobs } }
  const known = [own, ...rooms].flatMap(({ room, migrations }) =>
    Object.entries(migrations)
      .map(([name, migration]) => ({ name: `${room}/${name}`, room, migration }))
      .toSorted((one, other) => (one.name < other.name ? -1 : 1)),
  )
  refuseNewer(applied, known)
  const pending = known.filter(({ name }) => !applied.has(name))
  if (pending.length === 0) return []
  if (applied.size > 0) await copyAside(database)
  await kysely.transaction().execute(async (trx) => {
    for (const { name, migration } of pending) {
      try {
        await migration.up(trx)
      } catch (cause) {
        throw foundationFaults.migrationFailed(`Migration ${name} failed; the database is as it was before.`, { cause })
      }
      await trx.insertInto('migration').values({ name, applied_ms: Date.now() }).execute()
    }
  })
  return pending.map(({ name }) => name)
}

function refuseNewer(applied: Set<string>, known: { name: string; room: string }[]): void {
  const rooms = new Set(known.map(({ room }) => room))
  const names = new Set(known.map(({ name }) => name))
  const newer = [...applied].find((name) => rooms.has(name.split('/')[0]!) && !names.has(name))
  if (newer === undefined) return
  throw foundationFaults.migrationFailed(`The database was made by a newer Cygnet (it has ${newer}).`, {
    hint: 'Start the newer version, or restore the copy that was made beside the database before the upgrade.',
  })
}

async function copyAside({ kysely, path }: OpenedDatabase): Promise<void> {
  if (path === undefined) return
  const stamp = new Date().toISOString().replaceAll(/[-:]|\.\d+/g, '')
  const prefix = `${basename(path)}.before-migration-`
  const copy = join(dirname(path), `${prefix}${stamp}`)
  await rm(copy, { force: true })
  await sql`vacuum into ${copy}`.execute(kysely)
  const copies = (await readdir(dirname(path))).filter((name) => name.startsWith(prefix)).toSorted()
  for (const old of copies.slice(0, -copiesKept)) await rm(join(dirname(path), old), { force: true })
}
