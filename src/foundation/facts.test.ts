import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import fc from 'fast-check'
import { sql } from 'kysely'
import { expect, test } from 'vitest'
import { migrate, openDatabase, transact, type AnyKysely, type OpenedDatabase } from './database.ts'
import { appendFact, openFacts, type Fact } from './facts.ts'
import { silentLogger } from './log.ts'
import { forEachDatabase, rounds, temporaryDirectory } from './testing.ts'
import { fakeClock, systemClock } from './time.ts'

const effects = {
  async up(kysely: AnyKysely) {
    await kysely.schema.createTable('effect').addColumn('sequence', 'bigint').addColumn('subject', 'text').execute()
  },
}
const rooms = [{ room: 'effects', migrations: { '0001-effects': effects } }]
const clock = fakeClock()
const log = silentLogger()

async function append(database: OpenedDatabase, kind: string, subject: string): Promise<number> {
  return await transact(database, async (trx) => {
    const { sequence } = await appendFact(trx, { kind, subject, data: { of: subject } }, clock)
    return sequence
  })
}

async function effectsOf(database: OpenedDatabase): Promise<string[]> {
  const rows = await database.kysely.selectFrom('effect').select('subject').orderBy('sequence').execute()
  return rows.map((row) => row.subject)
}

forEachDatabase('facts', (open) => {
  test('a follower gets each fact of its kinds once, in order, with what was said', async () => {
    await using database = await open()
    await migrate(database, rooms)
    const facts = openFacts({ database, clock, log })
    await append(database, 'a.made', 'before')
    const seen: Fact[] = []
    facts.follow('one', ['a.made'], async (fact) => {
      seen.push(fact)
    })
    await append(database, 'b.made', 'other')
    await append(database, 'a.made', 'after')
    await facts.settled()
    expect(seen).toMatchObject([
      { kind: 'a.made', subject: 'before', sequence: 1, data: { of: 'before' }, atMs: clock.nowMs() },
      { kind: 'a.made', subject: 'after', sequence: 3, epoch: expect.stringMatching(/^[0-9a-f-]{36}$/) },
    ])
    expect(await facts.status()).toEqual([{ name: 'one', sequence: 3, behind: 0 }])
    await facts.close()
  })

  test('a fact of a transaction that is rolled back never was, and leaves no gap', async () => {
    await using database = await open()
    await migrate(database, rooms)
    await append(database, 'a', '1')
    const failing = transact(database, async (trx) => {
      await appendFact(trx, { kind: 'a', subject: 'lost', data: {} }, clock)
      throw new Error('no')
    })
    await expect(failing).rejects.toThrow('no')
    expect(await append(database, 'a', '2')).toBe(2)
  })

  test('transactions that append at the same time get sequences in the order of their commits', async () => {
    await using database = await open()
    await migrate(database, rooms)
    const facts = openFacts({ database, clock, log })
    const seen: number[] = []
    facts.follow('all', ['*'], async (fact) => {
      seen.push(fact.sequence)
    })
    await Promise.all(Array.from({ length: 40 }, (_, index) => append(database, `kind${index % 3}`, `${index}`)))
    await facts.settled()
    expect(seen).toEqual(Array.from({ length: 40 }, (_, index) => index + 1))
    await facts.close()
  })

  test('when a handler throws, its effect is undone, the fact is tried again, and the others wait', async () => {
    await using database = await open()
    await migrate(database, rooms)
    const facts = openFacts({ database, clock, log })
    for (const subject of ['1', '2', '3']) await append(database, 'a', subject)
    let failures = 0
    facts.follow('fragile', ['a'], async (fact, trx) => {
      await trx.insertInto('effect').values({ sequence: fact.sequence, subject: fact.subject }).execute()
      if (fact.subject === '2' && failures < 2) {
        failures += 1
        throw new Error('not yet')
      }
    })
    await facts.settled()
    expect(await facts.status()).toMatchObject([{ sequence: 1, failing: { sequence: 2, reason: 'not yet' } }])
    expect(await effectsOf(database)).toEqual(['1'])
    await expect.poll(async () => await effectsOf(database), { timeout: 20_000 }).toEqual(['1', '2', '3'])
    await facts.settled()
    expect((await facts.status())[0]?.failing).toBeUndefined()
    await facts.close()
  })

  test('two followers under one name in two programs do each fact once together', async () => {
    await using database = await open()
    await migrate(database, rooms)
    const programs = [openFacts({ database, clock, log }), openFacts({ database, clock, log })]
    for (const facts of programs) {
      facts.follow('same', ['a'], async (fact, trx) => {
        await trx.insertInto('effect').values({ sequence: fact.sequence, subject: fact.subject }).execute()
      })
    }
    const subjects = Array.from({ length: 20 }, (_, index) => `${index}`)
    for (const subject of subjects) await append(database, 'a', subject)
    await Promise.all(programs.map((facts) => facts.settled()))
    expect(await effectsOf(database)).toEqual(subjects)
    await Promise.all(programs.map((facts) => facts.close()))
  })

  test('tail gives what comes after a sequence, live, until its signal aborts', async () => {
    await using database = await open()
    await migrate(database, rooms)
    const facts = openFacts({ database, clock, log })
    for (const subject of ['1', '2', '3']) await append(database, 'a', subject)
    const stop = new AbortController()
    const seen: string[] = []
    const reading = (async () => {
      for await (const fact of facts.tail({ since: 1, signal: stop.signal })) {
        seen.push(fact.subject)
        if (seen.length === 2) await append(database, 'a', '4')
        if (seen.length === 3) stop.abort()
      }
    })()
    await reading
    expect(seen).toEqual(['2', '3', '4'])
    await facts.close()
  })
})

test('whatever handlers do and wherever a follower is stopped, each effect is there exactly once', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ kind: fc.constantFrom('a', 'b'), fails: fc.nat({ max: 2 }) }), { maxLength: 12 }),
      fc.array(fc.nat({ max: 12 }), { maxLength: 4 }),
      async (appended, stopsAfter) => {
        await using database = await openDatabase({ url: 'sqlite::memory:' })
        await migrate(database, rooms)
        for (const [index, { kind }] of appended.entries()) await append(database, kind, `${index}`)
        const failuresLeft = appended.map(({ fails }) => (stopsAfter.length > 0 ? fails : 0))
        for (const handled of [...stopsAfter, Infinity]) {
          const facts = openFacts({ database, clock, log })
          let count = 0
          const enough = new Promise<void>((resolve) => {
            facts.follow('model', ['a'], async (fact, trx) => {
              await trx.insertInto('effect').values({ sequence: fact.sequence, subject: fact.subject }).execute()
              const index = fact.sequence - 1
              count += 1
              if (count > handled || (handled !== Infinity && failuresLeft[index]!-- > 0)) {
                resolve()
                throw new Error('stopped here')
              }
            })
          })
          await Promise.race([enough, facts.settled()])
          await facts.close()
        }
        const expected = appended.flatMap(({ kind }, index) => (kind === 'a' ? [`${index}`] : []))
        expect(await effectsOf(database)).toEqual(expected)
      },
    ),
    { numRuns: rounds(40) },
  )
})

test('a follower killed again and again in the middle does each fact exactly once', async () => {
  await using folder = await temporaryDirectory()
  const url = `sqlite:${join(folder.path, 'f.sqlite')}`
  const count = 40
  {
    await using database = await openDatabase({ url })
    await migrate(database, rooms)
    for (let index = 0; index < count; index++) await append(database, 'a', `${index}`)
  }
  const program = `
    const { openDatabase } = await import(${JSON.stringify(join(import.meta.dirname, 'database.ts'))})
    const { openFacts } = await import(${JSON.stringify(join(import.meta.dirname, 'facts.ts'))})
    const { silentLogger } = await import(${JSON.stringify(join(import.meta.dirname, 'log.ts'))})
    const { failpoint } = await import(${JSON.stringify(join(import.meta.dirname, 'failpoints.ts'))})
    const database = await openDatabase({ url: ${JSON.stringify(url)}, exclusive: true })
    const facts = openFacts({ database, clock: { nowMs: Date.now }, log: silentLogger() })
    facts.follow('killed', ['a'], async (fact, trx) => {
      await failpoint('test.before-effect')
      await trx.insertInto('effect').values({ sequence: fact.sequence, subject: fact.subject }).execute()
      await failpoint('test.after-effect')
    })
    await facts.settled()
    process.exit(0)`
  let kills = 0
  for (;;) {
    const place = kills % 2 === 0 ? 'test.before-effect' : 'test.after-effect'
    const env = { ...process.env, CYGNET_TEST: '1', CYGNET_FAILPOINTS: `${place}=kill@${7 + kills}th` }
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      env,
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    const [code, signal] = (await once(child, 'exit')) as [number | null, string | null]
    if (code === 0) break
    expect(signal).toBe('SIGKILL')
    kills += 1
  }
  expect(kills).toBeGreaterThanOrEqual(3)
  await using database = await openDatabase({ url })
  expect(await effectsOf(database)).toEqual(Array.from({ length: count }, (_, index) => `${index}`))
  expect((await sql`pragma integrity_check`.execute(database.kysely)).rows).toEqual([{ integrity_check: 'ok' }])
})

test('closing stops a follower that waits, and one that fails', async () => {
  await using database = await openDatabase({ url: 'sqlite::memory:' })
  await migrate(database, rooms)
  await append(database, 'a', '1')
  const facts = openFacts({ database, clock: systemClock(), log })
  facts.follow('waits', ['z'], async () => {})
  const follower = facts.follow('fails', ['a'], async () => await Promise.reject(new Error('never')))
  expect(() => facts.follow('fails', ['a'], async () => {})).toThrow('already')
  await facts.settled()
  await follower.stop()
  await facts.close()
})
