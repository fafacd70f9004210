/**
 * Background jobs of the control process: work that must survive a crash is a row. At least once, so handlers are
 * idempotent; a lease with heartbeat, backoff with jitter, and dead letters kept with the reason. (The batch jobs of
 * people are something else: room `compute`.)
 */
import { hostname } from 'node:os'
import { sql, type Kysely, type Transaction } from 'kysely'
import type { z } from 'zod'
import { backoffMs, WakeUp } from './adapters/wake-up.ts'
import { transact, type AnyTransaction, type OpenedDatabase } from './database.ts'
import { Fault, foundationFaults } from './errors.ts'
import { uuid7 } from './ids.ts'
import type { Logger } from './log.ts'
import type { BackgroundJobTable, FoundationTables } from './tables.ts'
import type { Clock } from './time.ts'

export interface NewJob {
  kind: string
  payload: unknown
  /** A second job of the same kind and key is not made; holds for a week after the first one has ended. */
  idempotencyKey?: string
  /** Not before this time (UTC ms). */
  runAfterMs?: number
}

export interface JobContext {
  /** 1 at the first try. */
  attempt: number
  /** Aborts when the lease was lost or Cygnet stops; the work is then given up, and tried again by whoever comes. */
  signal: AbortSignal
  jobId: string
}

export interface JobOptions {
  /** How many of this kind run at once; default 4. */
  concurrency?: number
  /** After so many failed tries the job is a dead letter; default 8. */
  maxAttempts?: number
}

export interface DeadLetter {
  id: string
  kind: string
  payload: unknown
  attempts: number
  reason: string
  finishedMs: number
}

export interface Jobs {
  /**
   * A handler that throws is tried again later, up to `maxAttempts`. A Fault below 500 that says `retry: false` will
   * not get better: such a job is a dead letter at once.
   */
  register<Schema extends z.ZodType>(
    kind: string,
    schema: Schema,
    handler: (payload: z.output<Schema>, context: JobContext) => Promise<void>,
    options?: JobOptions,
  ): void
  start(): void
  poke(): void
  counts(): Promise<{ waiting: number; running: number; dead: number }>
  deadLetters(): Promise<DeadLetter[]>
  /** Gives a dead letter another life, with all its tries. */
  revive(id: string): Promise<void>
  /** Resolves when no job is due or running. */
  settled(): Promise<void>
  /** Takes no more jobs, aborts the running ones and waits for their handlers to return. */
  close(): Promise<void>
}

interface Registration extends Required<JobOptions> {
  schema: z.ZodType
  handler: (payload: never, context: JobContext) => Promise<void>
  running: Set<Promise<void>>
}

const usualLeaseMs = 30_000
const pollMs = 1000
const longestPauseMs = 300_000
/** `lease_until_ms` of a job whose worker is known to be dead. */
const releasedLease = 0
const keptDoneMs = 7 * 86_400_000
const pruneEveryMs = 3_600_000

/** Adds a job in the caller's transaction: it exists if and only if that transaction commits. */
export async function enqueueJob(
  trx: AnyTransaction,
  job: NewJob,
  clock: Clock,
): Promise<{ id: string; created: boolean }> {
  const nowMs = clock.nowMs()
  const id = uuid7(nowMs)
  const made = await own(trx)
    .insertInto('background_job')
    .values({
      id,
      kind: job.kind,
      payload: JSON.stringify(job.payload),
      idempotency_key: job.idempotencyKey ?? null,
      state: 'waiting',
      run_after_ms: job.runAfterMs ?? nowMs,
      attempts: 0,
      created_ms: nowMs,
    })
    .onConflict((conflict) => conflict.columns(['kind', 'idempotency_key']).doNothing())
    .returning('id')
    .executeTakeFirst()
  if (made !== undefined) return { id, created: true }
  const present = await own(trx)
    .selectFrom('background_job')
    .select('id')
    .where('kind', '=', job.kind)
    .where('idempotency_key', '=', job.idempotencyKey!)
    .executeTakeFirstOrThrow()
  return { id: present.id, created: false }
}

/** A lease as another worker left it, and since when (monotonic) it has not been renewed. */
interface SeenLease {
  job: Pick<BackgroundJobTable, 'id' | 'worker' | 'attempts' | 'lease_until_ms'>
  sinceMs: number
}

export interface JobsOptions {
  database: OpenedDatabase
  clock: Clock
  log: Logger
  /**
   * True for the process that alone may open the database: a job that is running when it starts was left by one that
   * died, and is taken at once instead of when its lease ends.
   */
  soleWorker?: boolean
  /** A job whose worker has not renewed its lease for so long (monotonic time) is taken by another; default 30 s. */
  leaseMs?: number
}

export function openJobs({ database, clock, log, soleWorker = false, leaseMs = usualLeaseMs }: JobsOptions): Jobs {
  const kysely = database.kysely as Kysely<FoundationTables>
  const worker = `${hostname()}:${process.pid}:${uuid7()}`
  const registrations = new Map<string, Registration>()
  const wakeUp = new WakeUp(pollMs)
  const stopListening = database.onCommit(() => wakeUp.all())
  const closing = new AbortController()
  let loop: Promise<void> | undefined
  let prunedMs = 0
  /** Jobs whose handlers run here. */
  const ours = new Set<string>()
  let seenLeases = new Map<string, SeenLease>()

  /**
   * Waiting jobs whose time has come. The wall clock may have been put back since they were written: a job that was to
   * run at once is due whatever it shows now, and no pause after a failure is longer than the longest one.
   */
  function dueJobs() {
    const nowMs = clock.nowMs()
    return kysely
      .selectFrom('background_job')
      .select('id')
      .where('state', '=', 'waiting')
      .where((row) =>
        row.or([
          row('run_after_ms', '<=', nowMs),
          row.and([row('attempts', '=', 0), row('run_after_ms', '<=', row.ref('created_ms'))]),
          row.and([row('attempts', '>', 0), row('run_after_ms', '>', nowMs + longestPauseMs)]),
        ]),
      )
  }

  /** The due jobs of one kind, now ours. */
  async function claim(kind: string, limit: number): Promise<BackgroundJobTable[]> {
    const nowMs = clock.nowMs()
    let due = dueJobs().where('kind', '=', kind).orderBy('run_after_ms').orderBy('id').limit(limit)
    const found = await due.execute()
    if (found.length === 0) return []
    if (database.kind === 'postgres') due = due.forUpdate().skipLocked()
    return await kysely
      .updateTable('background_job')
      .set((row) => ({ state: 'running', worker, lease_until_ms: nowMs + leaseMs, attempts: row('attempts', '+', 1) }))
      .where('id', 'in', due)
      .returningAll()
      .execute()
  }

  /**
   * Jobs whose worker has stopped renewing its lease, now ours. How long that is so is measured here and by the
   * monotonic clock: wall clocks jump, and would take a job from a worker that lives.
   */
  async function takeFromTheDead(free: ReadonlyMap<string, number>): Promise<BackgroundJobTable[]> {
    const running = await kysely
      .selectFrom('background_job')
      .select(['id', 'kind', 'worker', 'attempts', 'lease_until_ms'])
      .where('state', '=', 'running')
      .orderBy('id')
      .execute()
    const nowMs = performance.now()
    const seen = new Map<string, SeenLease>()
    const left = new Map(free)
    const taken: BackgroundJobTable[] = []
    for (const { kind, ...job } of running) {
      if (ours.has(job.id)) continue
      const before = seenLeases.get(job.id)
      const sinceMs = before !== undefined && isSameLease(before.job, job) ? before.sinceMs : nowMs
      seen.set(job.id, { job, sinceMs })
      const places = left.get(kind) ?? 0
      if (places <= 0 || (job.lease_until_ms !== releasedLease && nowMs - sinceMs < leaseMs)) continue
      const row = await kysely
        .updateTable('background_job')
        .set({ worker, lease_until_ms: clock.nowMs() + leaseMs, attempts: job.attempts + 1 })
        .where('id', '=', job.id)
        .where('state', '=', 'running')
        .where('worker', '=', job.worker)
        .where('attempts', '=', job.attempts)
        .where('lease_until_ms', '=', job.lease_until_ms)
        .returningAll()
        .executeTakeFirst()
      if (row === undefined) continue
      left.set(kind, places - 1)
      taken.push(row)
    }
    seenLeases = seen
    return taken
  }

  /** Changes the job only while it is still this try of ours. */
  async function settle(job: BackgroundJobTable, change: Partial<BackgroundJobTable>): Promise<boolean> {
    const { numUpdatedRows } = await kysely
      .updateTable('background_job')
      .set(change)
      .where('id', '=', job.id)
      .where('worker', '=', worker)
      .where('attempts', '=', job.attempts)
      .where('state', '=', 'running')
      .executeTakeFirst()
    return numUpdatedRows === 1n
  }

  async function run(job: BackgroundJobTable, registration: Registration): Promise<void> {
    const lost = new AbortController()
    let renewedMs = performance.now()
    const heartbeat = setInterval(() => {
      const atMs = performance.now()
      // Whoever could not renew for so long has to expect that another has the job.
      if (atMs - renewedMs > leaseMs) lost.abort(new Error('the lease was lost'))
      settle(job, { lease_until_ms: clock.nowMs() + leaseMs }).then(
        (isOurs) => (isOurs ? (renewedMs = atMs) : lost.abort(new Error('the lease was lost'))),
        (error: unknown) => log.warn({ error, jobId: job.id }, 'the lease of a job was not renewed'),
      )
    }, leaseMs / 3)
    try {
      const payload = registration.schema.parse(JSON.parse(job.payload)) as never
      const signal = AbortSignal.any([lost.signal, closing.signal])
      await registration.handler(payload, { attempt: job.attempts, signal, jobId: job.id })
      await settle(job, { state: 'done', finished_ms: clock.nowMs(), lease_until_ms: null, reason: null })
    } catch (error) {
      await failed(job, registration, error)
    } finally {
      clearInterval(heartbeat)
    }
  }

  async function failed(job: BackgroundJobTable, registration: Registration, error: unknown): Promise<void> {
    const nowMs = clock.nowMs()
    if (closing.signal.aborted) {
      // Not its fault: the next start takes it at once, and this try does not count.
      const again = { state: 'waiting', run_after_ms: job.created_ms, attempts: job.attempts - 1 } as const
      await settle(job, { ...again, lease_until_ms: null })
      return
    }
    const reason = error instanceof Error ? error.message : String(error)
    const hopeless = isHopeless(error) || job.attempts >= registration.maxAttempts
    log[hopeless ? 'error' : 'warn'](
      { error, jobId: job.id, kind: job.kind, attempt: job.attempts, hopeless },
      'a job failed',
    )
    if (hopeless) await settle(job, { state: 'dead', reason, finished_ms: nowMs, lease_until_ms: null })
    else {
      const runAfterMs = nowMs + backoffMs(job.attempts, 1000, longestPauseMs)
      await settle(job, { state: 'waiting', reason, run_after_ms: runAfterMs, lease_until_ms: null })
    }
  }

  async function round(): Promise<boolean> {
    let taken = 0
    const begin = (jobs: BackgroundJobTable[]): void => {
      taken += jobs.length
      for (const job of jobs) {
        const { running } = registrations.get(job.kind)!
        ours.add(job.id)
        const handling: Promise<void> = run(job, registrations.get(job.kind)!)
          .catch((error: unknown) => log.error({ error, jobId: job.id }, 'the end of a job was not recorded'))
          .finally(() => {
            running.delete(handling)
            ours.delete(job.id)
            wakeUp.all()
          })
        running.add(handling)
      }
    }
    const freeOf = ({ concurrency, running }: Registration): number => concurrency - running.size
    begin(await takeFromTheDead(new Map([...registrations].map(([kind, one]) => [kind, freeOf(one)]))))
    for (const [kind, registration] of registrations) {
      if (freeOf(registration) <= 0 || closing.signal.aborted) continue
      begin(await claim(kind, freeOf(registration)))
    }
    if (clock.nowMs() - prunedMs > pruneEveryMs) {
      prunedMs = clock.nowMs()
      await kysely
        .deleteFrom('background_job')
        .where('state', '=', 'done')
        .where('finished_ms', '<', prunedMs - keptDoneMs)
        .execute()
    }
    return taken > 0
  }

  async function takeOver(): Promise<void> {
    await kysely
      .updateTable('background_job')
      .set({ lease_until_ms: releasedLease })
      .where('state', '=', 'running')
      .execute()
  }

  async function work(): Promise<void> {
    let mustTakeOver = soleWorker
    while (!closing.signal.aborted) {
      const heard = wakeUp.ticket()
      try {
        if (mustTakeOver) await takeOver()
        mustTakeOver = false
        if (!(await round())) await heard.wait(closing.signal)
      } catch (error) {
        log.error({ error }, 'jobs cannot be taken; trying again')
        await heard.pause(pollMs, closing.signal)
      }
    }
  }

  async function isIdle(): Promise<boolean> {
    if ([...registrations.values()].some(({ running }) => running.size > 0)) return false
    const kinds = [...registrations.keys(), '']
    const due = await dueJobs().where('kind', 'in', kinds).limit(1).executeTakeFirst()
    if (due !== undefined) return false
    const running = await kysely
      .selectFrom('background_job')
      .select('id')
      .where('kind', 'in', kinds)
      .where('state', '=', 'running')
      .limit(1)
      .executeTakeFirst()
    return running === undefined
  }

  return {
    register(kind, schema, handler, { concurrency = 4, maxAttempts = 8 } = {}) {
      if (registrations.has(kind)) throw new Error(`there is already a handler of jobs of kind '${kind}'`)
      registrations.set(kind, { schema, handler, concurrency, maxAttempts, running: new Set() })
      wakeUp.all()
    },
    start() {
      loop ??= work()
    },
    poke: () => wakeUp.all(),
    async counts() {
      const rows = await kysely
        .selectFrom('background_job')
        .select(['state', sql<number>`count(*)`.as('count')])
        .groupBy('state')
        .execute()
      const of = (state: string) => rows.find((row) => row.state === state)?.count ?? 0
      return { waiting: of('waiting'), running: of('running'), dead: of('dead') }
    },
    async deadLetters() {
      const rows = await kysely
        .selectFrom('background_job')
        .selectAll()
        .where('state', '=', 'dead')
        .orderBy('id')
        .execute()
      return rows.map(({ id, kind, payload, attempts, reason, finished_ms }) => {
        return {
          id,
          kind,
          payload: JSON.parse(payload) as unknown,
          attempts,
          reason: reason ?? '',
          finishedMs: finished_ms ?? 0,
        }
      })
    },
    async revive(id) {
      await transact(database, async (trx) => {
        const { numUpdatedRows } = await own(trx)
          .updateTable('background_job')
          .set({ state: 'waiting', attempts: 0, run_after_ms: clock.nowMs(), finished_ms: null })
          .where('id', '=', id)
          .where('state', '=', 'dead')
          .executeTakeFirst()
        if (numUpdatedRows !== 1n) throw foundationFaults.noSuchJob(`There is no dead background job ${id}.`)
      })
    },
    async settled() {
      while (!closing.signal.aborted) {
        if (await isIdle()) return
        wakeUp.all()
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
    },
    async close() {
      closing.abort(new Error('Cygnet stops'))
      stopListening()
      await loop
      await Promise.all([...registrations.values()].flatMap(({ running }) => [...running]))
    },
  }
}

function isSameLease(one: SeenLease['job'], other: SeenLease['job']): boolean {
  return one.worker === other.worker && one.attempts === other.attempts && one.lease_until_ms === other.lease_until_ms
}

/** A refusal that says it will not get better; bugs and everything temporary are tried again. */
function isHopeless(error: unknown): boolean {
  return error instanceof Fault && !error.retry && error.status < 500
}

function own(trx: AnyTransaction): Transaction<FoundationTables> {
  return trx as Transaction<FoundationTables>
}
