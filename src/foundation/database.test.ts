import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { sql } from 'kysely'
import { expect, test } from 'vitest'
import { migrate, openDatabase, transact, type AnyKysely, type Migration } from './database.ts'
import type { AnyTransaction } from './database.ts'
import { createLogger } from './log.ts'
import { forEachDatabase, temporaryDirectory } from './testing.ts'

const notes: Migration = {
  async up(kysely: AnyKysely) {
    await kysely.schema
      .createTable('note')
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('size_bytes', 'bigint')
      .addColumn('weight', 'double precision')
      .execute()
  },
}
const colours: Migration = {
  up: async (kysely: AnyKysely) => (await sql`alter table note add column colour text`.execute(kysely)) as never,
}
const broken: Migration = {
  async up(kysely: AnyKysely) {
    await sql`create table half (id text)`.execute(kysely)
    await sql`this is not sql`.execute(kysely)
  },
}

forEachDatabase('database', (open, kind) => {
  test('migrations run once, in order, all or nothing', async () => {
    await using database = await open()
    expect(await migrate(database, [{ room: 'notes', migrations: { '0001-notes': notes } }])).toEqual({
      applied: ['foundation/0001-facts-and-jobs', 'notes/0001-notes'],
      copy: undefined,
    })
    const again = await migrate(database, [{ room: 'notes', migrations: { '0001-notes': notes } }])
    expect(again).toEqual({ applied: [], copy: undefined })
    const failing = migrate(database, [{ room: 'notes', migrations: { '0001-notes': notes, '0002-broken': broken } }])
    await expect(failing).rejects.toMatchObject({ code: 'foundation.migration_failed' })
    const migrations = { '0001-notes': notes, '0002-colour': colours }
    expect((await migrate(database, [{ room: 'notes', migrations }])).applied).toEqual(['notes/0002-colour'])
    await expect(database.kysely.selectFrom('half').selectAll().execute()).rejects.toThrow()
  })

  test('a database that a newer program has migrated is refused', async () => {
    await using database = await open()
    await migrate(database, [{ room: 'notes', migrations: { '0001-notes': notes, '0002-colour': colours } }])
    const older = migrate(database, [{ room: 'notes', migrations: { '0001-notes': notes } }])
    await expect(older).rejects.toMatchObject({
      code: 'foundation.migration_failed',
      hint: expect.stringContaining('newer'),
    })
  })

  test('numbers, texts and nulls come back as they went in, on both kinds alike', async () => {
    await using database = await open()
    await migrate(database, [{ room: 'notes', migrations: { '0001-notes': notes } }])
    const row = { id: 'a', size_bytes: 2 ** 53 - 1, weight: 3 }
    const { kysely } = database
    expect(await kysely.insertInto('note').values(row).returningAll().execute()).toEqual([row])
    await kysely.insertInto('note').values({ id: 'b', size_bytes: 1, weight: 0.5 }).execute()
    await kysely.insertInto('note').values({ id: 'c', size_bytes: null, weight: undefined }).execute()
    const sums = await kysely
      .selectFrom('note')
      .select([sql`count(*)`.as('count'), sql`sum(size_bytes)`.as('sum')])
      .where('id', '!=', 'a')
      .executeTakeFirst()
    expect(sums).toEqual({ count: 2, sum: 1 })
    const { numUpdatedRows } = await kysely
      .updateTable('note')
      .set({ weight: 1 })
      .where('id', '=', 'b')
      .executeTakeFirst()
    expect(numUpdatedRows).toBe(1n)
    await expect(kysely.insertInto('note').values({ id: 'd', size_bytes: true }).execute()).rejects.toThrow()
  })

  test('a transaction that throws leaves nothing; concurrent ones do not mix', async () => {
    await using database = await open()
    await migrate(database, [{ room: 'notes', migrations: { '0001-notes': notes } }])
    const failing = transact(database, async (trx) => {
      await trx.insertInto('note').values({ id: 'lost' }).execute()
      throw new Error('no')
    })
    await expect(failing).rejects.toThrow('no')
    await transact(database, async (trx) => {
      await trx.insertInto('note').values({ id: 'total', size_bytes: 0 }).execute()
    })
    const addOne = () =>
      transact(database, async (trx) => {
        await trx
          .updateTable('note')
          .set((row) => ({ size_bytes: row('size_bytes', '+', 1) }))
          .where('id', '=', 'total')
          .execute()
      })
    await Promise.all(Array.from({ length: 20 }, addOne))
    expect(await database.kysely.selectFrom('note').select(['id', 'size_bytes']).execute()).toEqual([
      { id: 'total', size_bytes: 20 },
    ])
  })

  test('each commit that changed something rings; a rolled back one and a mere look do not', async () => {
    await using database = await open()
    await migrate(database, [{ room: 'notes', migrations: { '0001-notes': notes } }])
    await new Promise((resolve) => setImmediate(resolve))
    let rings = 0
    database.onCommit(() => (rings += 1))
    const insert = async (trx: AnyTransaction) => await trx.insertInto('note').values({ id: 'no' }).execute()
    await transact(database, async (trx) => {
      await insert(trx)
      throw new Error('no')
    }).catch(() => {})
    await transact(database, async (trx) => await trx.selectFrom('note').selectAll().execute())
    await transact(database, async (trx) => await trx.deleteFrom('note').where('id', '=', 'nothing').execute())
    await new Promise((resolve) => setTimeout(resolve, 5))
    expect(rings).toBe(0)
    const rung = new Promise<void>((resolve) => database.onCommit(resolve))
    await transact(database, async (trx) => await trx.insertInto('note').values({ id: 'x' }).execute())
    await rung
    expect(rings).toBe(1)
  })

  test('a transaction that holds the database too long is logged', async () => {
    const lines: string[] = []
    const destination = new Writable({
      write(chunk: Buffer, _encoding, done) {
        lines.push(chunk.toString())
        done()
      },
    })
    await using database = await open({ log: createLogger({ process: 'test', destination }) })
    await transact(database, async () => await new Promise((resolve) => setTimeout(resolve, 120)))
    expect(lines.join('')).toContain('slow transaction')
  })

  test('a second writer is refused in words, and admitted after the first has gone', async () => {
    const first = await open({ exclusive: true })
    const url = kind === 'sqlite' ? `sqlite:${first.path}` : await urlOf(first)
    const second = openDatabase({ url, exclusive: true })
    await expect(second).rejects.toMatchObject({
      code: 'foundation.locked',
      detail: expect.stringContaining('already written by'),
    })
    await (await openDatabase({ url })).close()
    await first.close()
    await (await openDatabase({ url, exclusive: true })).close()
  })
})

/** The address of a private PostgreSQL database, asked from itself. */
async function urlOf(database: { kysely: AnyKysely }): Promise<string> {
  const { rows } = await sql<{ name: string; folder: string }>`
    select current_database() as name, split_part(current_setting('unix_socket_directories'), ',', 1) as folder
  `.execute(database.kysely)
  return `postgres://postgres@/${rows[0]!.name}?host=${encodeURIComponent(rows[0]!.folder)}`
}

test('SQLite is in WAL mode with synchronous FULL, so that an acknowledged commit survives a power cut', async () => {
  await using folder = await temporaryDirectory()
  await using database = await openDatabase({ url: `sqlite:${join(folder.path, 'a/b/c.sqlite')}` })
  expect((await sql`pragma journal_mode`.execute(database.kysely)).rows).toEqual([{ journal_mode: 'wal' }])
  expect((await sql`pragma synchronous`.execute(database.kysely)).rows).toEqual([{ synchronous: 2 }])
})

test('an address that is no database is refused with a hint', async () => {
  await expect(openDatabase({ url: 'mysql://somewhere' })).rejects.toMatchObject({
    code: 'foundation.bad_database_url',
  })
  const nobody = openDatabase({ url: 'postgres://nobody@127.0.0.1:1/none' })
  await expect(nobody).rejects.toMatchObject({ code: 'foundation.database_unavailable', retry: true })
})

test('rows committed before a kill -9 are there afterwards, and the writer place is free again', async () => {
  await using folder = await temporaryDirectory()
  const url = `sqlite:${join(folder.path, 'k.sqlite')}`
  const program = `
    import { openDatabase } from ${JSON.stringify(join(import.meta.dirname, 'database.ts'))}
    import { sql } from 'kysely'
    const { kysely } = await openDatabase({ url: ${JSON.stringify(url)}, exclusive: true })
    await sql\`create table t (n integer)\`.execute(kysely)
    for (let n = 1; ; n++) {
      await sql\`insert into t values (\${n})\`.execute(kysely)
      process.stdout.write(n + '\\n')
      await new Promise((resolve) => setImmediate(resolve))
    }`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    cwd: import.meta.dirname,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let said = ''
  for await (const chunk of child.stdout) {
    said += String(chunk)
    if (said.split('\n').length > 50) break
  }
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
  const acknowledged = Number(said.trimEnd().split('\n').at(-1))
  await using database = await openDatabase({ url, exclusive: true })
  const { rows } = await sql<{ n: number }>`select max(n) as n from t`.execute(database.kysely)
  expect(rows[0]!.n).toBeGreaterThanOrEqual(acknowledged)
})

test('a database that was opened and never used is closed all the same', async () => {
  await using folder = await temporaryDirectory()
  const path = join(folder.path, 'unused.sqlite')
  await (await openDatabase({ url: `sqlite:${path}`, exclusive: true })).close()
  expect(await readdir(folder.path)).toEqual(['unused.sqlite'])
})
