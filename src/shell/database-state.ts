/**
 * Run by a supervisor (`node database-state.ts VERB --home DIR [--copy FILE]`), from the version that knows the newest
 * tables: what migrations the database has, how it differs from a copy, and its return to a copy. Prints JSON. A
 * process of its own, so that the supervisor itself opens no database.
 */
import { existsSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { openDatabase, restoreDatabaseCopy, type DatabaseAddress } from '../foundation/database.ts'
import { faultLines } from '../foundation/errors.ts'
import { copyFromBefore } from './database-copy.ts'
import { databaseAddressOf } from './database-place.ts'
import { homeAt } from './home.ts'
import { readSettings } from './settings.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    home: { type: 'string' },
    copy: { type: 'string' },
    since: { type: 'string' },
    before: { type: 'string' },
  },
})

try {
  process.stdout.write(`${JSON.stringify(await answer(positionals[0]))}\n`)
} catch (error) {
  process.stderr.write(`${faultLines(error).join('\n')}\n`)
  process.exitCode = 1
}

async function answer(verb: string | undefined): Promise<unknown> {
  const home = homeAt(values.home)
  const address = databaseAddressOf(home, await readSettings(home, undefined))
  switch (verb) {
    case 'applied':
      return { applied: await appliedMigrations(address) }
    case 'difference':
      return { tables: await differenceToCopy(address, values.copy!) }
    case 'restore':
      return await restore(address, values.copy!)
    case 'return': {
      const before = JSON.parse(values.before!) as string[]
      const applied = (await appliedMigrations(address)) ?? []
      if (applied.every((name) => before.includes(name))) return { database: 'unchanged' }
      const copy = await copyFromBefore(home, Number(values.since), before)
      if (copy === null) return { database: 'no copy' }
      await restore(address, copy)
      return { database: 'returned' }
    }
    default:
      throw new Error(`'${verb}' is no verb`)
  }
}

async function restore(address: DatabaseAddress, copy: string) {
  const { roomMigrations } = await import('./room-migrations.ts')
  return await restoreDatabaseCopy({ ...address, copy, rooms: roomMigrations })
}

/** In order of names; null when there is no database yet. */
async function appliedMigrations(address: DatabaseAddress): Promise<string[] | null> {
  if (!isThere(address)) return null
  await using database = await openDatabase(address)
  const tables = await database.kysely.introspection.getTables()
  if (!tables.some(({ name }) => name === 'migration')) return []
  const rows = await database.kysely.selectFrom('migration').select('name').orderBy('name').execute()
  return rows.map((row) => String(row.name)).toSorted()
}

/** How many rows each table has more (or less) than the copy: what a return to it would undo. */
async function differenceToCopy(address: DatabaseAddress, copy: string) {
  const now = (await rowCounts(address)) ?? new Map<string, number>()
  const before = (await rowCounts({ url: `sqlite:${copy}` })) ?? new Map<string, number>()
  return [...new Set([...now.keys(), ...before.keys()])]
    .toSorted()
    .map((table) => ({ table, now: now.get(table) ?? 0, before: before.get(table) ?? 0 }))
    .filter((row) => row.now !== row.before)
}

function isThere({ url }: DatabaseAddress): boolean {
  return !url.startsWith('sqlite:') || existsSync(url.slice('sqlite:'.length))
}

async function rowCounts(address: DatabaseAddress): Promise<Map<string, number> | null> {
  if (!isThere(address)) return null
  await using database = await openDatabase(address)
  const counts = new Map<string, number>()
  for (const { name } of await database.kysely.introspection.getTables()) {
    const { count } = await database.kysely
      .selectFrom(name)
      .select(({ fn }) => fn.countAll<number | string>().as('count'))
      .executeTakeFirstOrThrow()
    counts.set(name, Number(count))
  }
  return counts
}
