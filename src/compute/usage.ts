/** Usage intervals: who held which part of the machine from when to when. Append-only; every report is a sum. */
import type { Kysely } from 'kysely'
import { uuid7 } from '../foundation/ids.ts'
import type { ComputeTransaction, JobRow } from './job-store.ts'
import type { AttemptOutcome, ComputeTables } from './tables.ts'

const hourMs = 3_600_000

/**
 * Closes the open stretch of an attempt at `untilMs` and cuts it at whole hours (UTC). `cpuSeconds` and
 * `peakMemoryBytes` are the attempt's totals so far (null: not measured); what earlier intervals recorded is taken off.
 * Does nothing for an attempt that never claimed, or when nothing is left to close.
 */
export async function recordUsage(
  trx: ComputeTransaction,
  job: JobRow,
  attempt: number,
  untilMs: number,
  measured: { cpuSeconds: number | null; peakMemoryBytes: number | null },
  outcome: 'open' | AttemptOutcome,
): Promise<void> {
  const row = await trx
    .selectFrom('compute_attempt')
    .select('recorded_until_ms')
    .where('job_id', '=', job.id)
    .where('number', '=', attempt)
    .executeTakeFirst()
  const fromMs = row?.recorded_until_ms ?? null
  if (fromMs === null) return
  const stretches = cutAtHours(Number(fromMs), untilMs)
  if (stretches.length === 0) return
  const { sum } = await trx
    .selectFrom('usage_interval')
    .select((builder) => builder.fn.sum<number | null>('used').as('sum'))
    .where('job_id', '=', job.id)
    .where('attempt', '=', attempt)
    .where('resource', '=', 'cpu')
    .executeTakeFirstOrThrow()
  const cpuMs =
    measured.cpuSeconds === null ? null : Math.max(0, Math.round(measured.cpuSeconds * 1000) - Number(sum ?? 0))
  const lengthMs = untilMs - Number(fromMs)
  for (const [index, { startMs, endMs }] of stretches.entries()) {
    const common = {
      job_id: job.id,
      attempt,
      kind: job.kind,
      class: job.class,
      experiment: job.experiment,
      person_id: job.owner_id,
      start_ms: startMs,
      end_ms: endMs,
      tier: 'own' as const,
      outcome: index === stretches.length - 1 ? outcome : ('open' as const),
    }
    await trx
      .insertInto('usage_interval')
      .values([
        {
          ...common,
          id: uuid7(),
          resource: 'cpu',
          allocated: Number(job.cpu_milli),
          used: cpuMs === null ? null : Math.round((cpuMs * (endMs - startMs)) / lengthMs),
        },
        {
          ...common,
          id: uuid7(),
          resource: 'memory',
          allocated: Number(job.memory_mib),
          used: measured.peakMemoryBytes,
        },
      ])
      .execute()
  }
  await trx
    .updateTable('compute_attempt')
    .set({ recorded_until_ms: untilMs })
    .where('job_id', '=', job.id)
    .where('number', '=', attempt)
    .execute()
}

/** [startMs, endMs) as half-open pieces that no whole hour lies inside of. */
export function cutAtHours(startMs: number, endMs: number): { startMs: number; endMs: number }[] {
  const pieces = []
  for (let from = startMs; from < endMs;) {
    const to = Math.min(endMs, (Math.floor(from / hourMs) + 1) * hourMs)
    pieces.push({ startMs: from, endMs: to })
    from = to
  }
  return pieces
}

/** Attempts whose open stretch reaches over a whole hour by now. */
export async function dueForRecording(
  reader: Kysely<ComputeTables>,
  nowMs: number,
): Promise<{ jobId: string; attempt: number }[]> {
  const hour = Math.floor(nowMs / hourMs) * hourMs
  const rows = await reader
    .selectFrom('compute_attempt')
    .select(['job_id', 'number'])
    .where('state', '=', 'running')
    .where('recorded_until_ms', '<', hour)
    .execute()
  return rows.map((row) => ({ jobId: row.job_id, attempt: row.number }))
}
