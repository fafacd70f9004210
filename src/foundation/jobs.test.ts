import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { migrate, openDatabase, transact, type OpenedDatabase } from './database.ts'
import { catalogue } from './errors.ts'
import { enqueueJob, openJobs, type NewJob } from './jobs.ts'
import { silentLogger } from './log.ts'
import { forEachDatabase, temporaryDirectory } from './testing.ts'
import { fakeClock, type Clock } from './time.ts'

const log = silentLogger()
const payload = z.object({ n: z.number() })

async function enqueue(database: OpenedDatabase, job: NewJob, clock: Clock) {
  return await transact(database, async (trx) => await enqueueJob(trx, job, clock))
}

forEachDatabase('background jobs', (open) => {
  test('a job runs once, with its payload, and only if its transaction commits', async () => {
    await using database = await open()
    await migrate(database, [])
    const clock = fakeClock()
    const jobs = openJobs({ database, clock, log })
    const seen: unknown[] = []
    jobs.register('count', payload, async ({ n }, { attempt }) => {
      seen.push([n, attempt])
    })
    jobs.start()
    await transact(database, async (trx) => {
      await enqueueJob(trx, { kind: 'count', payload: { n: 0 } }, clock)
      throw new Error('no')
    }).catch(() => {})
    await enqueue(database, { kind: 'count', payload: { n: 1 } }, clock)
    await jobs.settled()
    expect(seen).toEqual([[1, 1]])
    expect(await jobs.counts()).toEqual({ waiting: 0, running: 0, dead: 0 })
    await jobs.close()
  })

  test('one idempotency key is one job, also after it is done', async () => {
    await using database = await open()
    await migrate(database, [])
    const clock = fakeClock()
    const jobs = openJobs({ database, clock, log })
    let runs = 0
    jobs.register('once', payload, async () => {
      runs += 1
    })
    jobs.start()
    const first = await enqueue(database, { kind: 'once', payload: { n: 1 }, idempotencyKey: 'k' }, clock)
    await jobs.settled()
    const second = await enqueue(database, { kind: 'once', payload: { n: 2 }, idempotencyKey: 'k' }, clock)
    const other = await enqueue(database, { kind: 'once', payload: { n: 3 }, idempotencyKey: 'l' }, clock)
    await jobs.settled()
    expect(first.created).toBe(true)
    expect(second).toEqual({ id: first.id, created: false })
    expect(other.created).toBe(true)
    expect(runs).toBe(2)
    await jobs.close()
  })

  test('a failing job is tried again later and later, then kept as a dead letter that can be revived', async () => {
    await using database = await open()
    await migrate(database, [])
    const clock = fakeClock()
    const jobs = openJobs({ database, clock, log })
    const attempts: number[] = []
    let works = false
    jobs.register(
      'fragile',
      payload,
      async (_payload, { attempt }) => {
        attempts.push(attempt)
        if (!works) throw new Error('the detector is asleep')
      },
      { maxAttempts: 3 },
    )
    jobs.start()
    const { id } = await enqueue(database, { kind: 'fragile', payload: { n: 7 } }, clock)
    await jobs.settled()
    expect(attempts).toEqual([1])
    for (const waitMs of [1000, 2000]) {
      clock.advance(waitMs)
      jobs.poke()
      await jobs.settled()
    }
    expect(attempts).toEqual([1, 2, 3])
    clock.advance(3_600_000)
    jobs.poke()
    await jobs.settled()
    expect(await jobs.deadLetters()).toMatchObject([
      { id, kind: 'fragile', payload: { n: 7 }, attempts: 3, reason: 'the detector is asleep' },
    ])
    works = true
    await jobs.revive(id)
    await jobs.settled()
    expect(attempts).toEqual([1, 2, 3, 1])
    expect(await jobs.deadLetters()).toEqual([])
    await expect(jobs.revive(id)).rejects.toMatchObject({ code: 'foundation.no_such_job' })
    await jobs.close()
  })

  test('a refusal that will not get better, or a payload of another shape, is a dead letter', async () => {
    await using database = await open()
    await migrate(database, [])
    const clock = fakeClock()
    const faults = catalogue('test', {
      gone: { status: 404, title: 'Gone' },
      busy: { status: 503, title: 'Busy', retry: true },
    })
    const jobs = openJobs({ database, clock, log })
    jobs.register('refused', payload, async ({ n }) => {
      throw n === 1 ? faults.gone('it is gone') : faults.busy('later')
    })
    jobs.register('shape', payload, async () => {}, { maxAttempts: 1 })
    jobs.start()
    for (const n of [1, 2]) await enqueue(database, { kind: 'refused', payload: { n } }, clock)
    await enqueue(database, { kind: 'shape', payload: { other: true } }, clock)
    await jobs.settled()
    const dead = await jobs.deadLetters()
    expect(dead.map(({ kind }) => kind).toSorted()).toEqual(['refused', 'shape'])
    expect(await jobs.counts()).toEqual({ waiting: 1, running: 0, dead: 2 })
    await jobs.close()
  })

  test('a job whose worker is gone is taken when its lease was not renewed for so long, whatever the wall clock does', async () => {
    await using database = await open()
    await migrate(database, [])
    const clock = fakeClock()
    await enqueue(database, { kind: 'left', payload: { n: 1 } }, clock)
    await database.kysely
      .updateTable('background_job')
      .set({ state: 'running', worker: 'dead', attempts: 1, lease_until_ms: clock.nowMs() + 30_000 })
      .execute()
    const attempts: number[] = []
    const working = (leaseMs: number) => {
      const jobs = openJobs({ database, clock, log, leaseMs })
      jobs.register('left', payload, async (_payload, { attempt }) => {
        attempts.push(attempt)
      })
      jobs.start()
      return jobs
    }
    const patient = working(3_600_000)
    for (const jumpMs of [86_400_000, -2 * 86_400_000]) {
      clock.advance(jumpMs)
      await enqueue(database, { kind: 'left', payload: { n: 2 } }, clock)
      await expect.poll(() => attempts.splice(0)).toEqual([1])
    }
    await patient.close()
    const impatient = working(1)
    await impatient.settled()
    expect(attempts).toEqual([2])
    await impatient.close()
  })

  test('a wall clock that is put back holds up no job that was to run at once, nor one that is tried again', async () => {
    await using database = await open()
    await migrate(database, [])
    const clock = fakeClock()
    await enqueue(database, { kind: 'back', payload: { n: 1 } }, clock)
    clock.advance(-86_400_000)
    const jobs = openJobs({ database, clock, log })
    const attempts: number[] = []
    jobs.register('back', payload, async (_payload, { attempt }) => {
      attempts.push(attempt)
      if (attempt === 1) throw new Error('once')
    })
    jobs.start()
    const waitsAgain = async () => attempts.length === 1 && (await jobs.counts()).waiting === 1
    await expect.poll(waitsAgain, { timeout: 20_000 }).toBe(true)
    clock.advance(-86_400_000)
    jobs.poke()
    await expect.poll(() => attempts, { timeout: 20_000 }).toEqual([1, 2])
    await jobs.close()
  })

  test('the sole worker takes at once what a dead one left', async () => {
    await using database = await open()
    await migrate(database, [])
    const clock = fakeClock()
    await enqueue(database, { kind: 'left', payload: { n: 1 } }, clock)
    await database.kysely
      .updateTable('background_job')
      .set({ state: 'running', worker: 'dead', attempts: 1, lease_until_ms: clock.nowMs() + 30_000 })
      .execute()
    const jobs = openJobs({ database, clock, log, soleWorker: true })
    const attempts: number[] = []
    jobs.register('left', payload, async (_payload, { attempt }) => {
      attempts.push(attempt)
    })
    jobs.start()
    await jobs.settled()
    expect(attempts).toEqual([2])
    await jobs.close()
  })

  test('many jobs and two workers: each job runs once, never more at once than allowed', async () => {
    await using database = await open()
    await migrate(database, [])
    const clock = fakeClock()
    const seen: number[] = []
    const running = new Map<number, number>()
    let most = 0
    const workers = [0, 1].map((worker) => {
      const jobs = openJobs({ database, clock, log })
      jobs.register(
        'many',
        payload,
        async ({ n }) => {
          running.set(worker, (running.get(worker) ?? 0) + 1)
          most = Math.max(most, running.get(worker)!)
          await new Promise((resolve) => setImmediate(resolve))
          running.set(worker, running.get(worker)! - 1)
          seen.push(n)
        },
        { concurrency: 3 },
      )
      return jobs
    })
    await transact(database, async (trx) => {
      for (let n = 0; n < 60; n++) await enqueueJob(trx, { kind: 'many', payload: { n } }, clock)
    })
    for (const jobs of workers) jobs.start()
    await Promise.all(workers.map((jobs) => jobs.settled()))
    expect(seen.toSorted((one, other) => one - other)).toEqual(Array.from({ length: 60 }, (_, n) => n))
    expect(most).toBeLessThanOrEqual(3)
    await Promise.all(workers.map((jobs) => jobs.close()))
  })

  test('stopping aborts a running job and leaves it for the next start, without counting the try', async () => {
    await using database = await open()
    await migrate(database, [])
    const clock = fakeClock()
    const jobs = openJobs({ database, clock, log })
    const begun = new Promise<void>((resolve) => {
      jobs.register('long', payload, async (_payload, { signal }) => {
        resolve()
        await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)))
      })
    })
    jobs.start()
    await enqueue(database, { kind: 'long', payload: { n: 1 } }, clock)
    await begun
    await jobs.close()
    const next = openJobs({ database, clock, log })
    const attempts: number[] = []
    next.register('long', payload, async (_payload, { attempt }) => {
      attempts.push(attempt)
    })
    next.start()
    await next.settled()
    expect(attempts).toEqual([1])
    await next.close()
  })

  test('a job waits for its time', async () => {
    await using database = await open()
    await migrate(database, [])
    const clock = fakeClock()
    const jobs = openJobs({ database, clock, log })
    let runs = 0
    jobs.register('later', payload, async () => {
      runs += 1
    })
    jobs.start()
    await enqueue(database, { kind: 'later', payload: { n: 1 }, runAfterMs: clock.nowMs() + 5000 }, clock)
    await jobs.settled()
    expect(runs).toBe(0)
    clock.advance(5000)
    jobs.poke()
    await jobs.settled()
    expect(runs).toBe(1)
    await jobs.close()
  })
})

test('a worker killed in the middle of a job: the job is done by the next one', async () => {
  await using folder = await temporaryDirectory()
  const url = `sqlite:${join(folder.path, 'j.sqlite')}`
  const clock = fakeClock(Date.now())
  {
    await using database = await openDatabase({ url })
    await migrate(database, [])
    await enqueue(database, { kind: 'killed', payload: { n: 1 } }, clock)
  }
  const program = `
    const { openDatabase } = await import(${JSON.stringify(join(import.meta.dirname, 'database.ts'))})
    const { openJobs } = await import(${JSON.stringify(join(import.meta.dirname, 'jobs.ts'))})
    const { silentLogger } = await import(${JSON.stringify(join(import.meta.dirname, 'log.ts'))})
    const { z } = await import('zod')
    const database = await openDatabase({ url: ${JSON.stringify(url)} })
    const jobs = openJobs({ database, clock: { nowMs: Date.now }, log: silentLogger() })
    jobs.register('killed', z.object({ n: z.number() }), async () => { process.kill(process.pid, 'SIGKILL') })
    jobs.start()`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    cwd: import.meta.dirname,
    stdio: 'inherit',
  })
  const [, signal] = (await once(child, 'exit')) as [number | null, string | null]
  expect(signal).toBe('SIGKILL')
  await using database = await openDatabase({ url })
  const jobs = openJobs({ database, clock, log, leaseMs: 1 })
  const attempts: number[] = []
  jobs.register('killed', payload, async (_payload, { attempt }) => {
    attempts.push(attempt)
  })
  jobs.start()
  await jobs.settled()
  expect(attempts).toEqual([2])
  await jobs.close()
})
