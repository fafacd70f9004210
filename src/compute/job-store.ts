/** What happens to jobs in the database. Every function is one step of the state machine and takes the transaction. */
import { createHash } from 'node:crypto'
import type { Kysely, Selectable, Transaction } from 'kysely'
import { appendFact } from '../foundation/facts.ts'
import { uuid7 } from '../foundation/ids.ts'
import type { Clock } from '../foundation/time.ts'
import { computeErrors } from './errors.ts'
import type { JobSpec, RunningJob, WorkLimits } from './model.ts'
import { requireSessions, requireWithin } from './work-limits.ts'
import { chooseNext, sumOf, type Demand, type Slots } from './queue.ts'
import { endedStates, liveStates, shownState } from './states.ts'
import type { AttemptOutcome, ComputeTables, JobTable, StoredState } from './tables.ts'

export type JobRow = Selectable<JobTable>
export type ComputeTransaction = Transaction<ComputeTables>
type Reader = Kysely<ComputeTables>

export const priorities = { interactive: 0, prompt: 1, batch: 2 } as const
const defaultInfrastructureTries = 5

export interface RetryRule {
  exitCodes: number[]
  maximum: number
  infrastructure: number
}

/**
 * Accepts a job in the caller's transaction. The same (owner, key) gives the same job again; with other content it is
 * compute.key_reused.
 */
export async function insertJob(
  trx: ComputeTransaction,
  spec: JobSpec,
  capacity: Slots,
  clock: Clock,
  limits: WorkLimits = {},
): Promise<JobRow> {
  const { cpuMilli, memoryMiB, walltimeMs } = spec.request
  requireWithin(spec.request, limits)
  if (memoryMiB > capacity.memoryMiB || (spec.class !== 'interactive' && cpuMilli > capacity.cpuMilli)) {
    throw computeErrors.tooLarge(
      `It asks for ${cpuMilli / 1000} cores and ${memoryMiB} MiB; this machine gives jobs ${capacity.cpuMilli / 1000} cores and ${capacity.memoryMiB} MiB.`,
      { hint: 'Ask for less, or raise compute.cpuMilli and compute.memoryMiB in cygnet.yaml.' },
    )
  }
  const payload = JSON.stringify(spec.payload ?? null)
  const hash = createHash('sha256')
    .update(JSON.stringify([spec.kind, spec.experiment, spec.class, payload, spec.request]))
    .digest('hex')
  const nowMs = clock.nowMs()
  const retry: RetryRule = {
    exitCodes: spec.retry?.exitCodes ?? [],
    maximum: spec.retry?.maximum ?? 1,
    infrastructure: spec.retry?.infrastructure ?? defaultInfrastructureTries,
  }
  const inserted = await trx
    .insertInto('compute_job')
    .values({
      id: uuid7(),
      kind: spec.kind,
      title: spec.title,
      experiment: spec.experiment,
      owner_id: spec.ownerId,
      owner_name: spec.ownerName,
      class: spec.class,
      priority: priorities[spec.class],
      subject: spec.subject ?? null,
      payload,
      retry: JSON.stringify(retry),
      idempotency_key: spec.idempotencyKey ?? null,
      request_hash: hash,
      cpu_milli: cpuMilli,
      memory_mib: memoryMiB,
      walltime_ms: walltimeMs,
      state: 'queued',
      reason: null,
      since_ms: nowMs,
      until_ms: null,
      attempt: 0,
      infrastructure_losses: 0,
      user_failures: 0,
      commit_failures: 0,
      cancel_requested_ms: null,
      submitted_ms: nowMs,
      started_ms: null,
      ended_ms: null,
      exit_code: null,
      signal: null,
      cpu_seconds: null,
      peak_memory_bytes: null,
      wall_seconds: null,
      outputs: '[]',
    })
    .onConflict((conflict) => conflict.columns(['owner_id', 'idempotency_key']).doNothing())
    .returningAll()
    .executeTakeFirst()
  if (inserted !== undefined) {
    await tell(trx, 'compute.job-submitted', inserted, clock)
    if (spec.class === 'interactive') await requireFewSessions(trx, spec, limits)
    return inserted
  }
  const existing = await trx
    .selectFrom('compute_job')
    .selectAll()
    .where('owner_id', '=', spec.ownerId)
    .where('idempotency_key', '=', spec.idempotencyKey ?? '')
    .executeTakeFirstOrThrow()
  if (existing.request_hash !== hash) {
    throw computeErrors.keyReused(`The idempotency key was used for the other request of job ${existing.id}.`, {
      hint: 'Use a new key for new work.',
    })
  }
  return existing
}

/** Counted with the new one in it, and after it was told: whoever tells waits for the others that do. */
async function requireFewSessions(trx: ComputeTransaction, spec: JobSpec, limits: WorkLimits): Promise<void> {
  if (limits.sessions === undefined) return
  const { sessions } = await trx
    .selectFrom('compute_job')
    .select((row) => row.fn.countAll<number>().as('sessions'))
    .where('owner_id', '=', spec.ownerId)
    .where('experiment', '=', spec.experiment)
    .where('class', '=', 'interactive')
    .where('state', 'not in', [...endedStates])
    .executeTakeFirstOrThrow()
  requireSessions(Number(sessions), limits)
}

/** A job that waits and has no end of its waiting is held: nothing but `release` takes it up again. Answers which. */
export async function hold(
  trx: ComputeTransaction,
  jobIds: readonly string[],
  reason: string,
  clock: Clock,
): Promise<string[]> {
  if (jobIds.length === 0) return []
  const rows = await trx
    .updateTable('compute_job')
    .set({ state: 'parked', reason, since_ms: clock.nowMs(), until_ms: null })
    .where('id', 'in', jobIds)
    .where('state', 'in', ['queued', 'parked'])
    .returning('id')
    .execute()
  return rows.map((row) => row.id)
}

export async function release(trx: ComputeTransaction, jobIds: readonly string[], clock: Clock): Promise<string[]> {
  if (jobIds.length === 0) return []
  const rows = await trx
    .updateTable('compute_job')
    .set({ state: 'queued', reason: null, since_ms: clock.nowMs() })
    .where('id', 'in', jobIds)
    .where('state', '=', 'parked')
    .where('until_ms', 'is', null)
    .returning('id')
    .execute()
  return rows.map((row) => row.id)
}

/** Gives free slots to the next jobs: attempt k+1 is written before anything of it exists. */
export async function startNext(
  trx: ComputeTransaction,
  capacity: Slots,
  floor: Slots,
  limit: number,
  clock: Clock,
): Promise<JobRow[]> {
  const nowMs = clock.nowMs()
  const waiting = await trx
    .selectFrom('compute_job')
    .select(['id', 'class', 'cpu_milli', 'memory_mib'])
    .where((row) =>
      row.or([
        row('state', '=', 'queued'),
        // Parked in what is now the future: the clock was put back, and nobody waits for it to come again.
        row.and([
          row('state', '=', 'parked'),
          row('until_ms', 'is not', null),
          row.or([row('until_ms', '<=', nowMs), row('since_ms', '>', nowMs)]),
        ]),
      ]),
    )
    .orderBy('priority')
    .orderBy('id')
    .limit(limit)
    .execute()
  if (waiting.length === 0) return []
  const live = await trx
    .selectFrom('compute_job')
    .select(['id', 'class', 'cpu_milli', 'memory_mib'])
    .where('state', 'in', liveStates)
    .execute()
  const chosen = chooseNext(waiting.map(demandOf), sumOf(live.map(demandOf)), capacity, floor)
  if (chosen.length === 0) return []
  const started = await trx
    .updateTable('compute_job')
    .set((row) => ({
      state: 'starting',
      reason: null,
      since_ms: nowMs,
      until_ms: null,
      attempt: row('attempt', '+', 1),
    }))
    .where('id', 'in', chosen)
    .returningAll()
    .execute()
  await trx
    .insertInto('compute_attempt')
    .values(
      started.map((job) => ({
        job_id: job.id,
        number: job.attempt,
        state: 'starting' as const,
        outcome: null,
        reason: null,
        created_ms: nowMs,
        claimed_ms: null,
        ended_ms: null,
        exit_code: null,
        signal: null,
        recorded_until_ms: null,
      })),
    )
    .execute()
  return started.sort((one, other) => one.priority - other.priority || (one.id < other.id ? -1 : 1))
}

function demandOf(row: Pick<JobRow, 'id' | 'class' | 'cpu_milli' | 'memory_mib'>): Demand {
  return { id: row.id, class: row.class, cpuMilli: Number(row.cpu_milli), memoryMiB: Number(row.memory_mib) }
}

/** The shim has claimed. False: not the current attempt any more, or already known. */
export async function markRunning(
  trx: ComputeTransaction,
  jobId: string,
  attempt: number,
  claimedMs: number,
  clock: Clock,
): Promise<boolean> {
  const job = await trx
    .updateTable('compute_job')
    .set((row) => ({
      state: 'running',
      reason: null,
      since_ms: claimedMs,
      until_ms: row(row.val(claimedMs), '+', row.ref('walltime_ms')),
      started_ms: claimedMs,
    }))
    .where('id', '=', jobId)
    .where('attempt', '=', attempt)
    .where('state', '=', 'starting')
    .returningAll()
    .executeTakeFirst()
  if (job === undefined) return false
  await trx
    .updateTable('compute_attempt')
    .set({ state: 'running', claimed_ms: claimedMs, recorded_until_ms: claimedMs })
    .where('job_id', '=', jobId)
    .where('number', '=', attempt)
    .execute()
  await tell(trx, 'compute.job-started', job, clock)
  return true
}

/** The payload is over, its results are being kept. */
export async function markFinishing(
  trx: ComputeTransaction,
  jobId: string,
  attempt: number,
  clock: Clock,
): Promise<boolean> {
  const row = await trx
    .updateTable('compute_job')
    .set({ state: 'finishing', reason: 'keeping the results', since_ms: clock.nowMs(), until_ms: null })
    .where('id', '=', jobId)
    .where('attempt', '=', attempt)
    .where('state', 'in', liveStates)
    .returning('id')
    .executeTakeFirst()
  return row !== undefined
}

export interface JobEnd {
  state: Extract<StoredState, 'succeeded' | 'failed' | 'cancelled'>
  reason: string | null
  endedMs: number
  exitCode?: number | null
  signal?: string | null
  measured?: { cpuSeconds: number; peakMemoryBytes: number; wallSeconds: number }
  outputs?: unknown[]
}

/**
 * The fence: ends the job only if `attempt` is its current one and it has not ended. False: too late, and the caller's
 * transaction must have no effect.
 */
export async function endJob(
  trx: ComputeTransaction,
  jobId: string,
  attempt: number,
  end: JobEnd,
  clock: Clock,
): Promise<boolean> {
  const job = await trx
    .updateTable('compute_job')
    .set({
      state: end.state,
      reason: end.reason,
      since_ms: end.endedMs,
      until_ms: null,
      ended_ms: end.endedMs,
      exit_code: end.exitCode ?? null,
      signal: end.signal ?? null,
      outputs: JSON.stringify(end.outputs ?? []),
      ...(end.measured && {
        cpu_seconds: end.measured.cpuSeconds,
        peak_memory_bytes: end.measured.peakMemoryBytes,
        wall_seconds: end.measured.wallSeconds,
      }),
    })
    .where('id', '=', jobId)
    .where('attempt', '=', attempt)
    .where('state', 'not in', ['succeeded', 'failed', 'cancelled'])
    .returningAll()
    .executeTakeFirst()
  if (job === undefined) return false
  await tell(trx, 'compute.job-ended', job, clock)
  return true
}

/** Back to the queue for attempt k+1, not before `untilMs`. False: too late. */
export async function requeue(
  trx: ComputeTransaction,
  jobId: string,
  attempt: number,
  why: { reason: string; untilMs: number | null; counts: 'infrastructure_losses' | 'user_failures' | undefined },
  clock: Clock,
): Promise<boolean> {
  const row = await trx
    .updateTable('compute_job')
    .set((builder) => ({
      state: why.untilMs === null ? 'queued' : 'parked',
      reason: why.reason,
      since_ms: clock.nowMs(),
      until_ms: why.untilMs,
      started_ms: null,
      ...(why.counts === 'infrastructure_losses' && {
        infrastructure_losses: builder('infrastructure_losses', '+', 1),
      }),
      ...(why.counts === 'user_failures' && { user_failures: builder('user_failures', '+', 1) }),
    }))
    .where('id', '=', jobId)
    .where('attempt', '=', attempt)
    .where('state', 'in', liveStates)
    .returning('id')
    .executeTakeFirst()
  return row !== undefined
}

export async function endAttempt(
  trx: ComputeTransaction,
  jobId: string,
  attempt: number,
  end: {
    outcome: AttemptOutcome
    reason: string | null
    endedMs: number
    exitCode?: number | null
    signal?: string | null
  },
): Promise<void> {
  await trx
    .updateTable('compute_attempt')
    .set({
      state: 'ended',
      outcome: end.outcome,
      reason: end.reason,
      ended_ms: end.endedMs,
      exit_code: end.exitCode ?? null,
      signal: end.signal ?? null,
    })
    .where('job_id', '=', jobId)
    .where('number', '=', attempt)
    .where('state', '!=', 'ended')
    .execute()
}

export async function findJob(reader: Reader, jobId: string): Promise<JobRow | undefined> {
  return await reader.selectFrom('compute_job').selectAll().where('id', '=', jobId).executeTakeFirst()
}

/** How many jobs are before it; only for one that waits. */
export async function placeOf(reader: Reader, job: JobRow): Promise<number> {
  const { before } = await reader
    .selectFrom('compute_job')
    .select((row) => row.fn.countAll<number>().as('before'))
    .where('state', 'in', ['queued', 'parked'])
    .where((row) =>
      row.or([
        row('priority', '<', job.priority),
        row.and([row('priority', '=', job.priority), row('id', '<', job.id)]),
      ]),
    )
    .executeTakeFirstOrThrow()
  return Number(before) + 1
}

export function runningJobOf(row: JobRow, folder: string): RunningJob {
  return {
    id: row.id,
    attempt: row.attempt,
    kind: row.kind,
    title: row.title,
    experiment: row.experiment,
    ownerId: row.owner_id,
    ownerName: row.owner_name,
    subject: row.subject,
    payload: JSON.parse(row.payload),
    folder,
    request: {
      cpuMilli: Number(row.cpu_milli),
      memoryMiB: Number(row.memory_mib),
      walltimeMs: Number(row.walltime_ms),
    },
  }
}

async function tell(trx: ComputeTransaction, kind: string, job: JobRow, clock: Clock): Promise<void> {
  const data = {
    jobId: job.id,
    kind: job.kind,
    experiment: job.experiment,
    subject: job.subject,
    state: shownState(job.state),
    reason: job.reason,
    ownerId: job.owner_id,
  }
  await appendFact(trx, { kind, subject: job.id, data }, clock)
}
