import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sql } from 'kysely'
import { expect, test } from 'vitest'
import { migrationSteps } from './adapters/test-migrations.ts'
import {
  migrate,
  openDatabase,
  restoreDatabaseCopy,
  type AnyKysely,
  type OpenedDatabase,
  type RoomMigrations,
} from './database.ts'
import { createPostgresDatabase, dumpOf, forEachDatabase, postgresBinaries, temporaryDirectory } from './testing.ts'
import { programVersion } from './version.ts'

const rooms = (count: number): RoomMigrations[] => [
  { room: 'notes', migrations: Object.fromEntries(Object.entries(migrationSteps).slice(0, count)) },
]
const broken: RoomMigrations[] = [
  {
    room: 'notes',
    migrations: {
      ...migrationSteps,
      '0004-broken': {
        async up(kysely: AnyKysely) {
          await sql`drop table swan`.execute(kysely)
          await sql`this is not sql`.execute(kysely)
        },
      },
    },
  },
]

async function addNotes({ kysely }: OpenedDatabase): Promise<void> {
  const rows = Array.from({ length: 50 }, (_, n) => ({ id: `n${n}`, size_bytes: n * 2 ** 40 }))
  await kysely.insertInto('note').values(rows).execute()
}

async function namesIn(folder: string): Promise<string[]> {
  return existsSync(folder) ? (await readdir(folder)).toSorted() : []
}

forEachDatabase('migrations', (open) => {
  test('before the tables change a whole copy is kept; five are; the answer names it', async () => {
    await using folder = await temporaryDirectory()
    const copiesFolder = join(folder.path, 'copies')
    await using database = await open()
    expect(await migrate(database, rooms(1), { copiesFolder })).toMatchObject({ copy: undefined })
    await addNotes(database)
    const before = await dumpOf(database)
    await mkdir(copiesFolder)
    for (const year of [2020, 2021, 2022, 2023, 2024]) {
      await writeFile(join(copiesFolder, `${year}0101T000000000Z-before-0.1.0.sqlite`), '')
    }
    await writeFile(join(copiesFolder, 'old.sqlite.partial'), '')
    const { applied, copy } = await migrate(database, rooms(3), { copiesFolder })
    expect(applied).toEqual(['notes/0002-colour', 'notes/0003-swans'])
    const names = await namesIn(copiesFolder)
    expect(names).toHaveLength(5)
    expect(names).not.toContain('20200101T000000000Z-before-0.1.0.sqlite')
    expect(copy).toBe(join(copiesFolder, names.at(-1)!))
    expect(copy).toContain(`-before-${programVersion()}.sqlite`)
    await using kept = await openDatabase({ url: `sqlite:${copy}` })
    expect(await dumpOf(kept)).toBe(before)
  })

  test('a migration that fails leaves the database as it was, to the last row', async () => {
    await using database = await open()
    await migrate(database, rooms(3))
    await addNotes(database)
    const before = await dumpOf(database)
    await expect(migrate(database, broken)).rejects.toMatchObject({
      code: 'foundation.migration_failed',
      detail: expect.stringContaining('notes/0004-broken'),
    })
    expect(await dumpOf(database)).toBe(before)
  })

  test('a database of a newer program is refused, with both versions', async () => {
    await using database = await open()
    await migrate(database, rooms(2))
    await database.kysely
      .updateTable('migration')
      .set({ program: '9.8.7' })
      .where('name', '=', 'notes/0002-colour')
      .execute()
    const words = { detail: expect.stringMatching(`Cygnet 9.8.7.*notes/0002-colour.*Cygnet ${programVersion()}`) }
    await expect(migrate(database, rooms(1))).rejects.toMatchObject(words)
    await expect(migrate(database, [], { allRooms: true })).rejects.toMatchObject({
      detail: expect.stringContaining('notes/0001-notes'),
      hint: expect.stringContaining('rollback'),
    })
    await migrate(database, [])
  })

  test('a database whose migrations do not say who made them is migrated as well', async () => {
    await using folder = await temporaryDirectory()
    await using database = await open()
    await migrate(database, rooms(1))
    await addNotes(database)
    await sql`alter table migration drop column program`.execute(database.kysely)
    const before = await dumpOf(database)
    const { copy } = await migrate(database, rooms(2), { copiesFolder: folder.path })
    await using kept = await openDatabase({ url: `sqlite:${copy}` })
    expect(await dumpOf(kept)).toBe(before)
  })
})

const mayMount = process.getuid?.() === 0 && spawnSync('unshare', ['--mount', 'true']).status === 0

test.skipIf(!mayMount)(
  `without room for the copy nothing is migrated, unless somebody said so${mayMount ? '' : ' [skipped: needs root and mount]'}`,
  async () => {
    await using folder = await temporaryDirectory('cygnet-small-')
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', folder.path])
    try {
      await using database = await openDatabase({ url: `sqlite:${join(folder.path, 'd.sqlite')}` })
      await migrate(database, rooms(1))
      await expect(migrate(database, rooms(2))).rejects.toMatchObject({
        code: 'foundation.disk_full',
        detail: expect.stringMatching(/MB are needed/),
        hint: expect.stringContaining('migrateWithoutCopy'),
      })
      expect(await database.kysely.selectFrom('migration').select('name').execute()).toHaveLength(2)
      expect(await migrate(database, rooms(2), { withoutCopy: true })).toEqual({
        applied: ['notes/0002-colour'],
        copy: undefined,
      })
      await database.close()
    } finally {
      execFileSync('umount', ['-l', folder.path])
    }
  },
)

const missing = postgresBinaries() === undefined
const kinds = [
  { kind: 'SQLite', create: async (folder: string) => `sqlite:${join(folder, 'database', 'd.sqlite')}`, skip: false },
  { kind: 'PostgreSQL', create: async () => await createPostgresDatabase(), skip: missing },
]

for (const { kind, create, skip } of kinds) {
  test.skipIf(skip)(
    `killed in every step of a migration, and of the way back, on ${kind}`,
    { timeout: 240_000 },
    async () => {
      await using folder = await temporaryDirectory()
      const url = await create(folder.path)
      const copiesFolder = join(folder.path, 'copies')
      const dumpNow = async () => {
        await using database = await openDatabase({ url })
        return await dumpOf(database)
      }
      let old = ''
      {
        await using database = await openDatabase({ url })
        await migrate(database, rooms(1))
        await addNotes(database)
        old = await dumpOf(database)
      }
      const die = async (work: string, failpoint: string) => {
        const child = spawn(process.execPath, ['--input-type=module', '-e', program(work, { url, copiesFolder })], {
          cwd: import.meta.dirname,
          env: { ...process.env, CYGNET_TEST: '1', CYGNET_FAILPOINTS: failpoint },
          stdio: ['ignore', 'ignore', 'pipe'],
        })
        let said = ''
        child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
        const [, signal] = (await once(child, 'close')) as [number | null, string | null]
        expect(signal, `${failpoint}: ${said}`).toBe('SIGKILL')
      }
      for (const place of ['copy.written', 'copy.kept', 'migrate.copied', 'migrate.step@1st', 'migrate.step@2nd']) {
        await die('migrate', place.replace('@', '=kill@') + (place.includes('@') ? '' : '=kill'))
        expect(await dumpNow(), place).toBe(old)
      }
      await die('migrate', 'migrate.committed=kill')
      const migrated = await dumpNow()
      expect(migrated).toContain('swan ')
      const copy = join(copiesFolder, (await namesIn(copiesFolder)).filter((name) => name.endsWith('.sqlite')).at(-1)!)
      const back = kind === 'SQLite' ? ['copied', 'linked'] : ['filled']
      for (const place of back) {
        await die(`restore ${copy}`, `restore.${place}=kill`)
        expect(await dumpNow(), place).toBe(migrated)
      }
      if (kind === 'SQLite') await die(`restore ${copy}`, 'restore.renamed=kill')
      else await restoreDatabaseCopy({ url, copy, rooms: rooms(3) })
      expect(await dumpNow()).toBe(old)
      // And forward again.
      {
        await using database = await openDatabase({ url, exclusive: true })
        expect((await migrate(database, rooms(3), { copiesFolder })).applied).toHaveLength(2)
      }
      const { replaced } = await restoreDatabaseCopy({ url, copy, rooms: rooms(3) })
      expect(await dumpNow()).toBe(old)
      if (kind === 'SQLite') {
        await using database = await openDatabase({ url: `sqlite:${replaced}` })
        expect(await dumpOf(database)).toContain('swan ')
      }
      await using writer = await openDatabase({ url, exclusive: true })
      await expect(restoreDatabaseCopy({ url, copy, rooms: rooms(3) })).rejects.toMatchObject({
        code: 'foundation.locked',
      })
      await writer.close()
      await writeFile(copy, (await readFile(copy)).subarray(0, 9000))
      await expect(restoreDatabaseCopy({ url, copy, rooms: rooms(3) })).rejects.toMatchObject({
        code: 'foundation.database_damaged',
      })
      expect(await dumpNow()).toBe(old)
    },
  )
}

/** A process of its own, which is killed on its way. */
function program(work: string, { url, copiesFolder }: { url: string; copiesFolder: string }): string {
  const [verb, copy] = work.split(' ')
  const place = JSON.stringify(join(import.meta.dirname, 'database.ts'))
  const steps = JSON.stringify(join(import.meta.dirname, 'adapters/test-migrations.ts'))
  return `
    import { migrate, openDatabase, restoreDatabaseCopy } from ${place}
    import { migrationSteps as migrations } from ${steps}
    const rooms = [{ room: 'notes', migrations }]
    const url = ${JSON.stringify(url)}
    if (${JSON.stringify(verb)} === 'restore') await restoreDatabaseCopy({ url, rooms, copy: ${JSON.stringify(copy ?? '')} })
    else await migrate(await openDatabase({ url, exclusive: true }), rooms, { copiesFolder: ${JSON.stringify(copiesFolder)} })
  `
}
