import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { migrate, openDatabase, type DatabaseAddress } from '../foundation/database.ts'
import { compareDatabases, moveDatabase } from '../foundation/database-move.ts'
import { openFacts } from '../foundation/facts.ts'
import { acquireLock } from '../foundation/lock.ts'
import { silentLogger } from '../foundation/log.ts'
import {
  createPostgresDatabase,
  dumpOf,
  fillEveryTable,
  postgresBinaries,
  rounds,
  temporaryDirectory,
} from '../foundation/testing.ts'
import { systemClock } from '../foundation/time.ts'
import { openIdentity } from '../identity/index.ts'
import { requireCurrentDatabase } from './database-place.ts'
import { homeAt } from './home.ts'
import { roomMigrations } from './room-migrations.ts'

const withPostgres = test.skipIf(postgresBinaries() === undefined)
const skipped = postgresBinaries() === undefined ? ' [skipped: no PostgreSQL server; apt-get install postgresql]' : ''

/** A home whose SQLite database has rows in every table of every room. */
async function filledHome(rows: number) {
  const { path } = await temporaryDirectory()
  const home = homeAt(join(path, 'home'))
  await mkdir(join(home.folder, 'database'), { recursive: true })
  const sqlite: DatabaseAddress = { url: `sqlite:${home.database}` }
  await using database = await openDatabase(sqlite)
  await migrate(database, roomMigrations, { allRooms: true })
  await fillEveryTable(database, rows)
  return { home, sqlite, dump: await dumpOf(database) }
}

async function dumpAt(address: DatabaseAddress): Promise<string> {
  await using database = await openDatabase(address)
  return await dumpOf(database)
}

interface Ended {
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
}

async function cygnet(home: string, argv: string[], failpoints?: string): Promise<Ended> {
  const cli = join(import.meta.dirname, 'cli.ts')
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', cli, '--home', home, ...argv], {
    env: { ...process.env, ...(failpoints !== undefined && { CYGNET_TEST: '1', CYGNET_FAILPOINTS: failpoints }) },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
  return { code, signal, stdout, stderr }
}

withPostgres(`SQLite to PostgreSQL to SQLite: every row of every table comes back as it was${skipped}`, async () => {
  const { home, sqlite, dump } = await filledHome(150)
  const postgres = { url: await createPostgresDatabase() }
  const back = { url: `sqlite:${join(home.folder, 'database', 'back.sqlite')}` }
  const switched: string[] = []
  const move = async (from: DatabaseAddress, to: DatabaseAddress) =>
    await moveDatabase({
      from,
      to,
      rooms: roomMigrations,
      mayReplace: false,
      copiesFolder: join(home.folder, 'copies'),
      switchOver: async () => void switched.push(to.url),
    })
  const report = await move(sqlite, postgres)
  expect(report.tables.length).toBeGreaterThan(30)
  expect(report.tables.filter(({ rows }) => rows === 0)).toEqual([])
  expect(await dumpAt(postgres)).toBe(dump)
  await move(postgres, back)
  expect(await dumpAt(back)).toBe(dump)
  expect(await dumpAt(sqlite)).toBe(dump)
  expect(switched).toEqual([postgres.url, back.url])
  expect((await compareDatabases({ from: sqlite, to: back })).length).toBe(report.tables.length)
  await expect(move(sqlite, postgres)).rejects.toMatchObject({ detail: expect.stringContaining('not empty') })
  // One changed letter in one row is seen.
  {
    await using database = await openDatabase(back)
    await database.kysely.updateTable('fact').set({ subject: 'other' }).where('sequence', '=', 0).execute()
    await database.kysely.updateTable('identity_subject').set({ name: 'other' }).where('epoch', '=', 0).execute()
  }
  await expect(compareDatabases({ from: sqlite, to: back })).rejects.toMatchObject({
    code: 'foundation.databases_differ',
    detail: expect.stringMatching(/identity_subject \(150 and 150 rows\)/),
  })
})

/** In the order in which a move passes them; each try is taken up where the one before was killed. */
const places = {
  there: ['opened', 'made', 'batch@3rd', 'verified', 'switching', 'switched'],
  back: ['put-aside', 'batch@40th', 'copied', 'marked'],
  thereAgain: ['opened', 'put-aside', 'made', 'batch@1st', 'batch@20th', 'copied', 'verified', 'switching', 'finished'],
}

withPostgres(
  `killed at every step, a move is taken up again, there and back${skipped}`,
  { timeout: 300_000 },
  async () => {
    const { home, sqlite, dump } = await filledHome(rounds(40, 2_000))
    await writeFile(home.config, '# of this site\ncompute: { cpuMilli: 4000 } # four\n')
    const url = await createPostgresDatabase()
    const legs = [
      { argv: ['--to', url], to: url, kills: places.there },
      { argv: ['--back'], to: sqlite.url, kills: places.back },
      // A PostgreSQL database that was left is replaced: the long version.
      { argv: ['--back'], to: url, kills: places.thereAgain },
    ]
    for (const { argv, to, kills } of legs.slice(0, rounds(2, 3))) {
      for (const place of kills) {
        const [name, nth] = place.split('@')
        const died = await cygnet(
          home.folder,
          ['move', ...argv],
          `move.${name}=kill${nth === undefined ? '' : `@${nth}`}`,
        )
        expect(died.signal, `${place}: ${died.stderr}`).toBe('SIGKILL')
        // Whichever is in use by now is whole.
        const text = await readFile(home.config, 'utf8')
        expect(text).toContain('# of this site\ncompute: { cpuMilli: 4000 } # four\n')
        expect(await dumpAt({ url: text.includes('postgres') ? url : sqlite.url }), place).toBe(dump)
      }
      if (kills.at(-1) === 'switched') {
        const ended = await cygnet(home.folder, ['move', ...argv, '--json'])
        expect(ended.code, ended.stderr).toBe(0)
        expect(JSON.parse(ended.stdout)).toMatchObject({ to, finished: true })
      }
      const compared = await cygnet(home.folder, ['move', '--verify', '--json'])
      expect(compared.code, compared.stderr).toBe(0)
      expect(JSON.parse(compared.stdout)).toMatchObject({ from: to, equal: true })
      expect(await dumpAt({ url: to })).toBe(dump)
    }
  },
)

withPostgres(`what was written between a killed move and the next try is moved as well${skipped}`, async () => {
  const { home, sqlite } = await filledHome(40)
  const url = await createPostgresDatabase()
  expect((await cygnet(home.folder, ['move', '--to', url], 'move.verified=kill')).signal).toBe('SIGKILL')
  // The platform runs on the old one again: rows are changed and removed, which no cursor would notice.
  {
    await using database = await openDatabase(sqlite)
    await database.kysely.updateTable('logbook_run').set({ description: 'changed since' }).execute()
    await database.kysely.deleteFrom('fact').where('sequence', '>', 5).execute()
  }
  expect((await cygnet(home.folder, ['move', '--to', url], 'move.batch=kill@60th')).signal).toBe('SIGKILL')
  {
    await using unfinished = await openDatabase({ url })
    await expect(migrate(unfinished, roomMigrations)).rejects.toMatchObject({ code: 'foundation.database_moving' })
  }
  const ended = await cygnet(home.folder, ['move', '--to', url, '--json'])
  expect(ended.code, ended.stderr).toBe(0)
  expect(await dumpAt({ url })).toBe(await dumpAt(sqlite))
})

withPostgres(
  `the setting follows, the old database is refused, nobody moves a running platform${skipped}`,
  async () => {
    const { home, sqlite, dump } = await filledHome(20)
    const url = await createPostgresDatabase()
    await mkdir(home.run, { recursive: true })
    {
      await using _running = await acquireLock(join(home.run, 'supervisor.lock'))
      expect((await cygnet(home.folder, ['move', '--to', url])).stderr).toContain('shell.already_running')
    }
    {
      await using _control = await openDatabase({ ...sqlite, exclusive: true })
      expect((await cygnet(home.folder, ['move', '--to', url])).stderr).toContain('foundation.locked')
    }
    expect((await cygnet(home.folder, ['move', '--to', 'postgres://me:hunter2@db/x'])).stderr).toMatch(/password/)
    expect((await cygnet(home.folder, ['move', '--back'])).code).toBe(2)
    const moved = await cygnet(home.folder, ['move', '--to', url])
    expect(moved.code, moved.stderr).toBe(0)
    expect(await readFile(home.config, 'utf8')).toBe(`database:\n  url: ${url}\n`)
    await expect(requireCurrentDatabase(home, sqlite)).rejects.toMatchObject({ code: 'shell.database_moved' })
    await requireCurrentDatabase(home, { url })
    {
      await using database = await openDatabase({ url })
      await database.kysely.updateTable('logbook_run').set({ description: 'written on PostgreSQL' }).execute()
    }
    expect((await cygnet(home.folder, ['move', '--verify'])).code).toBe(8)
    const back = await cygnet(home.folder, ['move', '--back', '--json'])
    expect(back.code, back.stderr).toBe(0)
    const { putAside } = JSON.parse(back.stdout) as { putAside: string }
    expect(await dumpAt({ url: `sqlite:${putAside}` })).toBe(dump)
    expect(await dumpAt(sqlite)).toBe(await dumpAt({ url }))
    expect(await dumpAt(sqlite)).toContain('written on PostgreSQL')
    expect(await readFile(home.config, 'utf8')).toBe('')
    await expect(requireCurrentDatabase(home, { url })).rejects.toMatchObject({ code: 'shell.database_moved' })
    expect((await readdir(join(home.folder, 'database'))).filter((name) => name.endsWith('.lock'))).toEqual([])
    expect(existsSync(join(home.folder, 'database', 'moved.json'))).toBe(true)
  },
)

withPostgres(`the chain of the audit comes along, and a move says when it is not whole${skipped}`, async () => {
  const { path } = await temporaryDirectory()
  const home = homeAt(join(path, 'home'))
  await mkdir(join(home.folder, 'database'), { recursive: true })
  const [sqlite, url] = [{ url: `sqlite:${home.database}` }, await createPostgresDatabase()]
  {
    await using database = await openDatabase({ ...sqlite, exclusive: true })
    await migrate(database, roomMigrations, { allRooms: true })
    const parts = { database, clock: systemClock(), log: silentLogger() }
    const facts = openFacts(parts)
    const places = { secretsDirectory: home.secrets, auditFolder: home.audit, publicUrl: 'http://127.0.0.1:8410' }
    await using identity = await openIdentity({ ...parts, ...places, facts })
    for (const name of ['anna', 'bruno'])
      await identity.createPerson({ name, displayName: name, roles: [], siteAdmin: false })
    await facts.close()
  }
  const moved = await cygnet(home.folder, ['move', '--to', url, '--json'])
  expect(moved.code, moved.stderr).toBe(0)
  const { audit } = JSON.parse(moved.stdout) as { audit: { whole: boolean; rows: number } }
  expect(audit).toEqual({ whole: true, rows: expect.any(Number) as number })
  expect(audit.rows).toBeGreaterThan(3)
  expect((await cygnet(home.folder, ['move', '--verify'])).stderr).toContain(`is whole: ${audit.rows} rows`)
  {
    await using database = await openDatabase({ url })
    await database.kysely.deleteFrom('identity_audit').where('sequence', '=', audit.rows).execute()
  }
  const back = await cygnet(home.folder, ['move', '--back'])
  expect(back.code, back.stderr).toBe(0)
  expect(back.stderr).toContain(`not whole: row ${audit.rows}`)
})
