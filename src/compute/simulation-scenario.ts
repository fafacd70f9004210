/**
 * The executor under trouble: people submit and cancel, control dies, shims and payloads are killed, the power goes, the
 * disk is full, clocks jump. In the end every job has ended, a success had its effect once, no two attempts of a job ever
 * ran at the same time, and the usage of each attempt is one stretch without gap or overlap, as long as it really was.
 */
import type { Kysely } from 'kysely'
import { migrate, openDatabase, transact, type AnyKysely, type AnyTransaction } from '../foundation/database.ts'
import { silentLogger } from '../foundation/log.ts'
import {
  beginMs,
  contentOf,
  disturb,
  type Outcome,
  type Scenario,
  type SimulatedProcess,
  type Simulation,
} from '../foundation/simulation.ts'
import { systemClock } from '../foundation/time.ts'
import { Executor } from './executor.ts'
import * as store from './job-store.ts'
import { computeMigrations } from './migrations/index.ts'
import type { JobKind, JobSpec } from './model.ts'
import type { Sandbox } from './sandbox/sandbox.ts'
import { createSimulatedShim, type PayloadPlan } from './simulation-shim.ts'
import type { ComputeTables } from './tables.ts'

const databasePath = '/database/cygnet.sqlite'
const troubleMs = 120_000
const patienceMs = 2 * 3_600_000
const log = silentLogger()
let content: string

const effects = {
  async up(kysely: AnyKysely) {
    await kysely.schema.createTable('effect').addColumn('job_id', 'text').addColumn('attempt', 'integer').execute()
  },
}

export const scenario: Scenario = {
  async prepare({ world, databases }) {
    let made = false
    const process = world.start(world.machine('site'), 'migrate', async () => {
      const database = await openDatabase({ url: `sqlite:${databasePath}` })
      await migrate(database, [computeMigrations, { room: 'effects', migrations: { '0001-effects': effects } }])
      made = true
    })
    await world.run(patienceMs, () => !process.alive)
    if (!made) throw new Error(`the tables were not made: ${world.recent.at(-1)}`)
    content = contentOf(databases.file('site', databasePath))
  },
  run: play,
}

const sandbox = {
  status: {
    available: true,
    reason: null,
    bubblewrap: null,
    identity: 'own-uid',
    limits: 'none',
    python: null,
    notes: [],
  },
  python: { path: 'python3', version: '3.11.2', basePrefix: '/usr' },
  cgroups: undefined,
  base: {},
  prepare: () => ({ command: ['payload'], environment: {}, descriptors: [], directory: null, sandboxed: true }),
} as unknown as Sandbox

async function play(simulation: Simulation): Promise<Outcome> {
  const { world, databases, programs } = simulation
  const { chance } = world
  const site = world.machine('site')
  const file = databases.file('site', databasePath, content)
  const plans = new Map<string, PayloadPlan>()
  const planOf = (jobId: string, attempt: number): PayloadPlan => {
    const name = `${jobId}.${attempt}`
    const known = plans.get(name)
    if (known !== undefined) return known
    const plan = { tookMs: chance.pick([0, 500, 5000, 40_000]), exitCode: chance.pick([0, 0, 0, 75, 1]) }
    plans.set(name, plan)
    return plan
  }
  const shim = createSimulatedShim(world, planOf)
  programs.set('python3', shim.program)
  let controls: SimulatedProcess | undefined
  let submitted = 0

  const kind: JobKind<string> = {
    prepare: async () => ({
      argv: ['payload'],
      mounts: [],
      environment: {},
      network: 'none',
      files: [{ name: 'token', content: 'x' }],
    }),
    async publish(job) {
      await new Promise((resolve) => setTimeout(resolve, chance.next() * 1000))
      if (world.nowMs < troubleMs && chance.of(0.1)) throw new Error('the store is away')
      return `published ${job.id}`
    },
    async commit(trx: AnyTransaction, job) {
      await trx.insertInto('effect').values({ job_id: job.id, attempt: job.attempt }).execute()
      if (world.nowMs < troubleMs && chance.of(0.05)) throw new Error('rolled back')
    },
  }

  async function control(): Promise<never> {
    const clock = systemClock()
    const database = await openDatabase({ url: `sqlite:${databasePath}`, exclusive: true, log })
    const capacity = { cpuMilli: 2000, memoryMiB: 2000 }
    const executor = new Executor({
      database,
      clock,
      log,
      sandbox: Promise.resolve(sandbox),
      kinds: new Map([['work', kind as JobKind]]),
      capacity,
      floor: { cpuMilli: 0, memoryMiB: 0 },
      onChange: () => undefined,
      jobsFolder: '/jobs',
      homesFolder: '/homes',
      gatewayFolder: '/run/gateway',
      programFolder: '/program',
      shimPath: '/program/shim.py',
      ports: { platform: 1, s3: 2 },
      trustedOwnerIds: () => [],
      diskReserveBytes: 0,
      workspaceOf: async () => ({ personName: 'alice', uid: 300_001, groups: [], buckets: [] }),
      shimEnvironment: {},
    })
    database.onCommit(() => executor.pump())
    await executor.start()
    while (world.nowMs < troubleMs) {
      await new Promise((resolve) => setTimeout(resolve, chance.next() * 6000))
      if (chance.of(0.7)) {
        const spec: JobSpec = {
          kind: 'work',
          title: 'work',
          experiment: 'demo',
          ownerId: 'alice',
          ownerName: 'alice',
          class: chance.pick(['batch', 'prompt']),
          payload: {},
          request: { cpuMilli: 500, memoryMiB: 100, walltimeMs: 30_000 },
          retry: { exitCodes: [75], maximum: 3 },
        }
        await transact(database, (trx) => store.insertJob(trx, spec, capacity, clock))
        submitted += 1
      } else await cancelOne(database.kysely as Kysely<ComputeTables>, executor)
    }
    return await new Promise(() => {})
  }

  async function cancelOne(kysely: Kysely<ComputeTables>, executor: Executor): Promise<void> {
    const live = await kysely
      .selectFrom('compute_job')
      .select(['id', 'attempt'])
      .where('state', 'in', ['starting', 'running'])
      .orderBy('id')
      .execute()
    if (live.length === 0) return
    const { id, attempt } = chance.pick(live)
    await kysely.updateTable('compute_job').set({ cancel_requested_ms: Date.now() }).where('id', '=', id).execute()
    await executor.stop(id, attempt)
  }

  const keepRunning = (): void => {
    controls = world.start(site, 'control', control)
    controls.onGone.push(() => world.after(chance.next() * 5000, 'control again', keepRunning, 'nobody'))
  }
  keepRunning()
  disturb(simulation, {
    untilMs: troubleMs,
    victims: () => [...site.processes.values()],
    machines: [site],
    clocks: true,
    power: true,
    disks: true,
    network: false,
    stops: true,
    everyMs: 5000,
  })
  world.after(troubleMs + 5000, 'clocks are right', () => site.setClock(Math.floor(beginMs + world.nowMs)), 'nobody')

  const open = (): number =>
    Number(
      file.prepare("select count(*) as n from compute_job where state not in ('succeeded','failed','cancelled')").get()
        ?.n,
    ) + Number(file.prepare("select count(*) as n from compute_attempt where state <> 'ended'").get()?.n)
  let lookedMs = 0
  const ended = await world.run(
    patienceMs,
    () => world.nowMs - lookedMs > 1000 && ((lookedMs = world.nowMs), world.nowMs > troubleMs + 20_000 && open() === 0),
  )
  if (!ended) {
    const left = file
      .prepare(
        "select j.state, j.attempt, j.until_ms, j.since_ms, a.state as now from compute_job j left join compute_attempt a on a.job_id = j.id and a.number = j.attempt where j.state not in ('succeeded','failed','cancelled') or a.state <> 'ended'",
      )
      .all()
    world.violation(`jobs that do not end: ${JSON.stringify(left)} at ${site.wallMs()}`)
  }
  return check()

  function check(): Outcome {
    const jobs = file.prepare('select id, state, attempt from compute_job').all()
    let lost = 0
    let doubled = 0
    for (const { id, state, attempt } of jobs) {
      const had = file.prepare('select attempt from effect where job_id = ?').all(String(id))
      if (had.length > 1) doubled += 1
      if (state === 'succeeded' && had.length === 0) lost += 1
      if (state !== 'succeeded' && had.length > 0) world.violation(`a job that is ${String(state)} had its effect`)
      const last = shim.payloads.get(`${String(id)}.${Number(attempt)}`)
      if (state === 'succeeded' && planOf(String(id), Number(attempt)).exitCode !== 0)
        world.violation('a failure was called a success')
      if (last?.process.alive && ended) world.violation('a payload is alive after the end of its job')
    }
    if (jobs.length < submitted) lost += submitted - jobs.length
    if (lost > 0) world.violation(`${lost} jobs lost`)
    if (doubled > 0) world.violation(`${doubled} effects twice`)
    checkUsage()
    return { acknowledged: submitted, lost, doubled }
  }

  function checkUsage(): void {
    const rows = file
      .prepare(
        "select job_id, attempt, start_ms, end_ms from usage_interval where resource = 'cpu' order by job_id, attempt, start_ms",
      )
      .all()
      .map((row) => ({
        name: `${String(row.job_id)}.${Number(row.attempt)}`,
        startMs: Number(row.start_ms),
        endMs: Number(row.end_ms),
      }))
    for (const [name, stretches] of Map.groupBy(rows, (row) => row.name)) {
      for (const [index, { startMs, endMs }] of stretches.entries()) {
        if (endMs <= startMs) world.violation(`an empty stretch of usage: ${startMs} to ${endMs}`)
        const next = stretches[index + 1]
        if (next !== undefined && next.startMs !== endMs)
          world.violation(`usage from ${startMs} to ${endMs}, then from ${next.startMs}`)
      }
      const span = shim.spans.get(name)
      const wholeMs = stretches.at(-1)!.endMs - stretches[0]!.startMs
      const trueMs = (span?.endedAt ?? span?.goneAt ?? Infinity) - (span?.claimedAt ?? 0)
      // What a dead shim had no time to say is not charged.
      if (wholeMs > trueMs + 3000)
        world.violation(`attempt ${name} of ${Math.round(trueMs)} ms is charged ${wholeMs} ms`)
      if (
        span?.endedAt !== undefined &&
        wholeMs < trueMs - 3000 &&
        file
          .prepare('select outcome from compute_attempt where job_id = ? and number = ?')
          .get(...(name.split('.') as [string, string]))?.outcome !== 'lost'
      )
        world.violation(`attempt ${name} of ${Math.round(trueMs)} ms is charged only ${wholeMs} ms`)
    }
  }
}
