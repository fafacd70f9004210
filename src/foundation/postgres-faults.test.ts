import { readFile, writeFile, chmod } from 'node:fs/promises'
import { Writable } from 'node:stream'
import { expect, test } from 'vitest'
import { migrate, openDatabase, transact, type OpenedDatabase } from './database.ts'
import { appendFact, openFacts } from './facts.ts'
import { enqueueJob, openJobs } from './jobs.ts'
import { createLogger, silentLogger } from './log.ts'
import { postgresBinaries, startPostgresServer, temporaryDirectory } from './testing.ts'
import { systemClock } from './time.ts'
import { z } from 'zod'

const missing = postgresBinaries() === undefined
const withPostgres = test.skipIf(missing)
const skipped = missing ? ' [skipped: no PostgreSQL server on this machine; apt-get install postgresql]' : ''
const clock = systemClock()

async function seen(database: OpenedDatabase): Promise<number> {
  const { count } = await database.kysely
    .selectFrom('background_job')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow()
  return Number(count)
}

withPostgres(
  `a server that is stopped hard, killed in parts and started again costs no acknowledged commit and doubles none${skipped}`,
  { timeout: 180_000 },
  async () => {
    await using server = await startPostgresServer()
    await using database = await openDatabase({ url: server.url, passwordFile: server.passwordFile })
    await migrate(database, [])
    const log = silentLogger()
    const facts = openFacts({ database, clock, log })
    const jobs = openJobs({ database, clock, log })
    const done = new Set<number>()
    jobs.register('note', z.object({ n: z.number() }), async ({ n }) => void done.add(n), { maxAttempts: 1000 })
    // Exactly one job for each fact, or the follower has skipped or doubled one.
    facts.follow('follower', ['t.happened'], async (fact, trx) => {
      await enqueueJob(trx, { kind: 'note', payload: fact.data }, clock)
    })
    jobs.start()
    const acknowledged: number[] = []
    const refusals: unknown[] = []
    const writing = new AbortController()
    const writer = (async () => {
      for (let n = 0; !writing.signal.aborted; n++) {
        try {
          await transact(database, async (trx) => {
            await appendFact(trx, { kind: 't.happened', subject: `s${n}`, data: { n } }, clock)
          })
          acknowledged.push(n)
        } catch (error) {
          refusals.push(error)
        }
        await new Promise((resolve) => setTimeout(resolve, 2))
      }
    })()
    const writtenMore = async (by: number) => {
      const before = acknowledged.length
      await expect.poll(() => acknowledged.length, { timeout: 60_000 }).toBeGreaterThan(before + by)
    }
    await writtenMore(50)
    for (let restart = 0; restart < 2; restart++) {
      await server.stop('immediate')
      await server.start()
      await writtenMore(30)
    }
    for (let killed = 0; killed < 10; killed++) {
      await server.ask(`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'cygnet'`)
      await writtenMore(5)
    }
    writing.abort()
    await writer
    // Whoever was refused was told that it may come again.
    for (const refusal of refusals)
      expect(refusal).toMatchObject({ code: 'foundation.database_unavailable', retry: true })
    const { rows } = await database.kysely
      .selectFrom('fact')
      .select('data')
      .execute()
      .then((all) => ({ rows: all.map(({ data }) => (JSON.parse(String(data)) as { n: number }).n) }))
    expect(acknowledged.filter((n) => !rows.includes(n))).toEqual([])
    expect(new Set(rows).size).toBe(rows.length)
    await expect.poll(() => seen(database), { timeout: 60_000 }).toBe(rows.length)
    await expect.poll(() => done.size, { timeout: 60_000 }).toBe(rows.length)
    await jobs.close()
    await facts.close()
  },
)

withPostgres(`a caller waits for a server that starts again${skipped}`, async () => {
  await using server = await startPostgresServer()
  await using database = await openDatabase({ url: server.url, passwordFile: server.passwordFile })
  await migrate(database, [])
  await server.stop('immediate')
  const asked = seen(database)
  await server.start()
  expect(await asked).toBe(0)
})

withPostgres(
  `who loses the writer's place is told, and what it still has open is ended by the next one${skipped}`,
  async () => {
    await using server = await startPostgresServer()
    const address = { url: server.url, passwordFile: server.passwordFile }
    const lost: string[] = []
    await using first = await openDatabase({ ...address, exclusive: true, onUnsafe: ({ code }) => lost.push(code) })
    await migrate(first, [])
    await expect(openDatabase({ ...address, exclusive: true })).rejects.toMatchObject({ code: 'foundation.locked' })
    // A transaction of the first is under way while it loses its place.
    let goOn = () => {}
    const paused = new Promise<void>((resolve) => (goOn = resolve))
    const late = first.kysely.transaction().execute(async (trx) => {
      await trx.updateTable('fact_log').set({ epoch: 'of the first' }).execute()
      await paused
      await trx.updateTable('fact_log').set({ sequence: 1 }).execute()
    })
    const refused = expect(late).rejects.toMatchObject({ code: 'foundation.database_unavailable' })
    await expect
      .poll(async () => (await server.ask(`select 1 from pg_stat_activity where state = 'idle in transaction'`)).length)
      .toBe(1)
    await server.ask(`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'cygnet writer'`)
    await expect.poll(() => lost).toEqual(['foundation.database_unavailable'])
    await using second = await openDatabase({ ...address, exclusive: true })
    goOn()
    await refused
    const { epoch } = await second.kysely.selectFrom('fact_log').select('epoch').executeTakeFirstOrThrow()
    expect(epoch).not.toBe('of the first')
  },
)

withPostgres(`passwords come from a file that only its owner reads, and show up nowhere${skipped}`, async () => {
  await using server = await startPostgresServer()
  await using folder = await temporaryDirectory()
  const { url, password } = server
  const lines: string[] = []
  const destination = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(chunk.toString())
      done()
    },
  })
  const log = createLogger({ process: 'test', destination })
  const errors: unknown[] = []
  const refused = async (options: { url: string; passwordFile?: string }, words: RegExp) => {
    const error: unknown = await openDatabase({ ...options, log }).then(
      () => undefined,
      (given: unknown) => given,
    )
    const { detail, hint, code } = error as { detail: string; hint: string; code: string }
    expect(`${code} ${detail} ${hint}`).toMatch(words)
    errors.push(error)
    log.error({ error }, 'refused')
  }
  await refused({ url }, /database_unavailable/)
  await refused({ url: url.replace('cygnet@', `cygnet:${password}@`) }, /bad_database_url.*passwordFile/)
  await refused({ url: `${url}&password=${password}` }, /bad_database_url.*passwordFile/)
  const wrong = `${folder.path}/wrong`
  await writeFile(wrong, 'not this one', { mode: 0o600 })
  await refused({ url, passwordFile: wrong }, /password is wrong/)
  await chmod(wrong, 0o640)
  await refused({ url, passwordFile: wrong }, /can be read by others.*chmod 600/)
  await refused({ url, passwordFile: `${folder.path}/none` }, /cannot be read/)
  await using database = await openDatabase({ url, passwordFile: server.passwordFile, log, exclusive: true })
  await migrate(database, [])
  await server.stop('immediate')
  await server.start()
  await seen(database)
  const shown = `${lines.join('')} ${JSON.stringify(errors)} ${await readFile('/proc/self/cmdline', 'utf8')}`
  expect(shown).toContain('refused')
  expect(shown).not.toContain(password)
  expect(await readFile('/proc/self/environ', 'utf8')).not.toContain(password)
})

withPostgres(
  `a server that would change texts is refused; commits are durable whatever its default${skipped}`,
  async () => {
    await using server = await startPostgresServer()
    await server.ask(`create database latin owner cygnet encoding 'LATIN1' template template0`)
    const address = { url: server.url, passwordFile: server.passwordFile }
    await expect(openDatabase({ ...address, url: server.url.replace('/cygnet?', '/latin?') })).rejects.toMatchObject({
      detail: expect.stringContaining('LATIN1'),
      hint: expect.stringContaining('UTF8'),
    })
    await server.ask('alter database cygnet set synchronous_commit = off')
    await using database = await openDatabase(address)
    const settings = await Promise.all(
      Array.from({ length: 4 }, async () =>
        database.kysely
          .selectFrom('pg_settings')
          .select('setting')
          .where('name', '=', 'synchronous_commit')
          .executeTakeFirstOrThrow(),
      ),
    )
    expect(settings).toEqual(Array.from({ length: 4 }, () => ({ setting: 'on' })))
  },
)
