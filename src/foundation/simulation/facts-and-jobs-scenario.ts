/**
 * Facts, cursors and leases under trouble: two controls on one database (as two would be on PostgreSQL), both of which
 * append, follow and work. Every fact has its effect once and in order, a job is with one of them at a time and ends
 * once, and what is given up is kept as a dead letter with the reason.
 */
import { z } from 'zod'
import { migrate, openDatabase, transact, type AnyKysely, type OpenedDatabase } from '../database.ts'
import { foundationFaults } from '../errors.ts'
import { appendFact, openFacts } from '../facts.ts'
import { enqueueJob, openJobs } from '../jobs.ts'
import { silentLogger } from '../log.ts'
import { systemClock } from '../time.ts'
import { contentOf } from './databases.ts'
import { disturb } from './disturbances.ts'
import type { Outcome, Scenario, Simulation } from './simulation.ts'
import type { SimulatedProcess } from './world.ts'

const tables = {
  async up(kysely: AnyKysely) {
    await kysely.schema
      .createTable('effect')
      .addColumn('place', 'integer', (column) => column.primaryKey())
      .addColumn('sequence', 'integer')
      .addColumn('worker', 'text')
      .execute()
    await kysely.schema
      .createTable('work')
      .addColumn('job', 'text')
      .addColumn('attempt', 'integer')
      .addColumn('number', 'integer')
      .execute()
  },
}
const path = '/database.sqlite'
const troubleMs = 60_000
const patienceMs = 3_600_000
let content: string

const log = silentLogger()
const payload = z.object({ number: z.int(), tookMs: z.number(), fails: z.int(), hopeless: z.boolean() })

export const scenario: Scenario = {
  async prepare({ world, databases }) {
    let made = false
    const process = world.start(world.machine('site'), 'migrate', async () => {
      const database = await openDatabase({ url: `sqlite:${path}` })
      await migrate(database, [{ room: 'effects', migrations: { '0001-effects': tables } }])
      made = true
    })
    await world.run(patienceMs, () => !process.alive)
    if (!made) throw new Error(`the tables were not made: ${world.recent.at(-1)}`)
    content = contentOf(databases.file('site', path))
  },
  run: play,
}

async function play(simulation: Simulation): Promise<Outcome> {
  const { world, databases } = simulation
  const { chance } = world
  const site = world.machine('site')
  const file = databases.file('site', path, content)
  const controls: SimulatedProcess[] = []
  /** Who is at which job now. */
  const working = new Map<string, { process: SimulatedProcess; attempt: number; signal: AbortSignal }>()
  const acknowledged: number[] = []
  let appended = 0

  async function control(): Promise<void> {
    const database = await openDatabase({ url: `sqlite:${path}` })
    const clock = systemClock()
    const facts = openFacts({ database, clock, log })
    facts.follow('effects', ['made'], async (fact, trx) => {
      await trx.insertInto('effect').values({ sequence: fact.sequence }).execute()
      if (world.nowMs < troubleMs && chance.of(0.05)) throw new Error('the handler fails')
      const job = { kind: 'work', payload: fact.data, idempotencyKey: `fact ${fact.sequence}` }
      await enqueueJob(trx, job, clock)
    })
    const jobs = openJobs({ database, clock, log })
    jobs.register(
      'work',
      payload,
      async ({ number, tookMs, fails, hopeless }, { attempt, signal, jobId }) => {
        const before = working.get(jobId)
        // One that stood still cannot know that its lease is over; one that lives and was not told is the fault.
        const stoodStill = before !== undefined && before.process.stoppedUntilMs > world.nowMs - 30_000
        if (before?.process.alive && !before.signal.aborted && !stoodStill)
          world.violation(
            `job ${attempt} is with ${world.process()!.name} while ${before.process.name} has it (${before.attempt})`,
          )
        const mine = { process: world.process()!, attempt, signal }
        working.set(jobId, mine)
        try {
          for (let leftMs = tookMs; leftMs > 0 && !signal.aborted; leftMs -= 2000) {
            await new Promise((resolve) => setTimeout(resolve, Math.min(leftMs, 2000)))
            // Whoever stood still and lost its job learns it from its next heartbeat.
            const isAwake = mine.process.stoppedUntilMs < world.nowMs - 15_000
            if (isAwake && !signal.aborted && working.get(jobId) !== mine)
              world.violation(`try ${attempt} of a job goes on although another has it`)
          }
          signal.throwIfAborted()
          if (hopeless) throw foundationFaults.badRequest('it will never work')
          if (attempt <= fails) throw new Error('not this time')
          await transact(database, (trx) => trx.insertInto('work').values({ job: jobId, attempt, number }).execute())
        } finally {
          if (working.get(jobId) === mine) working.delete(jobId)
        }
      },
      { concurrency: 2, maxAttempts: 40 },
    )
    jobs.start()
    await append(database)
    await new Promise(() => {})
  }

  /** Says something now and then; what was committed must have its effect. */
  async function append(database: OpenedDatabase): Promise<void> {
    while (world.nowMs < troubleMs) {
      await new Promise((resolve) => setTimeout(resolve, chance.next() * 8000))
      const data = {
        number: (appended += 1),
        tookMs: chance.pick([0, 50, 3000, 45_000]),
        fails: chance.pick([0, 0, 1, 3]),
        hopeless: chance.of(0.1),
      }
      const fact = { kind: chance.of(0.7) ? 'made' : 'other', subject: 'x', data }
      const { sequence } = await transact(database, (trx) => appendFact(trx, fact, systemClock()))
      if (fact.kind === 'made') acknowledged.push(sequence)
    }
  }

  const startAgain = (name: string): void => {
    const process = world.start(site, name, control)
    controls.push(process)
    process.onGone.push(() => world.after(chance.next() * 5000, `${name} again`, () => startAgain(name), 'nobody'))
  }
  startAgain('one')
  startAgain('two')
  disturb(simulation, {
    untilMs: troubleMs,
    victims: () => controls.filter(({ alive }) => alive),
    machines: [site],
    clocks: true,
    power: true,
    disks: false,
    network: false,
    stops: true,
    everyMs: 3000,
  })

  const number = (sql: string): number => Number(Object.values(file.prepare(sql).get() ?? {})[0] ?? 0)
  const isDone = (): boolean =>
    world.nowMs > troubleMs &&
    number("select count(*) from fact where kind = 'made'") === number('select count(*) from effect') &&
    number("select count(*) from background_job where state in ('waiting', 'running')") === 0
  let looked = 0
  const ended = await world.run(patienceMs, () => world.nowMs - looked > 500 && ((looked = world.nowMs), isDone()))
  if (!ended) {
    const left = file.prepare("select * from background_job where state in ('waiting', 'running')").all()
    world.violation(`it does not come to rest: ${JSON.stringify(left.slice(0, 3))}`)
  }

  const effects = file
    .prepare('select sequence from effect order by place')
    .all()
    .map((row) => Number(row.sequence))
  const made = file
    .prepare("select sequence from fact where kind = 'made' order by sequence")
    .all()
    .map((row) => Number(row.sequence))
  const lost = acknowledged.filter((sequence) => !effects.includes(sequence)).length
  const doubled = effects.length - new Set(effects).size
  if (lost > 0) world.violation(`${lost} facts without effect`)
  if (doubled > 0) world.violation(`${doubled} effects twice`)
  if (ended && JSON.stringify(effects) !== JSON.stringify(made))
    world.violation('effects are not in the order of the facts')
  const jobs = file.prepare('select id, state, reason, attempts, payload from background_job').all()
  for (const { id, state, reason, attempts, payload: text } of jobs) {
    const { hopeless } = payload.parse(JSON.parse(String(text)))
    const done = file
      .prepare('select attempt from work where job = ?')
      .all(String(id))
      .map(({ attempt }) => Number(attempt))
    if (new Set(done).size !== done.length) world.violation(`one try of job ${String(id)} had its effect twice`)
    if (done.some((attempt) => attempt > Number(attempts))) world.violation('a try that never was has an effect')
    if (state === 'done' && done.length === 0) world.violation('a job is done without its effect')
    if (ended && hopeless && (state !== 'dead' || reason !== 'it will never work'))
      world.violation(`a hopeless job is ${String(state)}: ${String(reason)}`)
    if (ended && !hopeless && state !== 'done') world.violation(`a job is ${String(state)}: ${String(reason)}`)
  }
  // What was done may be forgotten after a week, and a clock that jumps makes weeks; its effect is there.
  const kept = new Set([
    ...jobs.map((job) => payload.parse(JSON.parse(String(job.payload))).number),
    ...file
      .prepare('select number from work')
      .all()
      .map((row) => Number(row.number)),
  ])
  const asked = file
    .prepare("select data from fact where kind = 'made'")
    .all()
    .map((row) => payload.parse(JSON.parse(String(row.data))).number)
  if (ended && asked.some((number) => !kept.has(number))) world.violation('a job is gone without its effect')
  return { acknowledged: acknowledged.length, lost, doubled }
}
