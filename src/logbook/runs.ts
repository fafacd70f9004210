/**
 * The life of a run: recording -> closing (the file will not grow any more) -> closed or crashed (its file was read).
 * Every function may be called again with the same or with older news, in any order: a run never goes back.
 */
import type { Transaction } from 'kysely'
import { uuid7 } from '../foundation/ids.ts'
import type { AnyTransaction } from '../foundation/database.ts'
import type { Clock } from '../foundation/time.ts'
import type { Run, RunKind, RunQuality } from './contract.ts'
import { requireSetup } from './experiments.ts'
import { appendRunFact, findRunRow, requireRunRow, runOfRow, runRowById, type RunRow } from './run-rows.ts'
import { rememberText } from './run-text.ts'
import type { LogbookTables } from './tables.ts'

export interface RunOpening {
  experiment: string
  setup: string
  series: string
  number: number
  /** 'recording' when someone watches it being written, 'closing' when only its file arrived. */
  state: 'recording' | 'closing'
  startedMs: number | null
  kind?: RunKind | undefined
  description?: string | undefined
}

/** What was read from the run's file; replaces what was known before. */
export interface RunClosing {
  state: 'closed' | 'crashed'
  kind: RunKind
  description: string
  startedMs: number | null
  endedMs: number | null
  images: number
  triggers: number
  sizeBytes: number
}

/** The run, made if it was not there. A run that exists keeps its state. Fault 404 for an unknown setup or series. */
export async function openRun(
  trx: AnyTransaction,
  given: RunOpening,
  clock: Clock,
): Promise<{ run: Run; created: boolean }> {
  const db: Transaction<LogbookTables> = trx
  await requireSetup(trx, given.experiment, given)
  const nowMs = clock.nowMs()
  const description = given.description ?? ''
  const created = await db
    .insertInto('logbook_run')
    .values({
      id: uuid7(),
      experiment: given.experiment,
      setup: given.setup,
      series: given.series,
      number: given.number,
      kind: given.kind ?? 'data',
      state: given.state,
      quality: 'unjudged',
      quality_reason: '',
      description,
      text_id: await rememberText(trx, given.experiment, description),
      started_ms: given.startedMs,
      ended_ms: null,
      images: null,
      triggers: null,
      size_bytes: null,
      fault_count: 0,
      last_seen_ms: nowMs,
      created_ms: nowMs,
      updated_ms: nowMs,
    })
    .onConflict((conflict) => conflict.columns(['experiment', 'series', 'number']).doNothing())
    .returningAll()
    .executeTakeFirst()
  if (created !== undefined) {
    await appendRunFact(trx, 'logbook.run-opened', created, clock)
    return { run: runOfRow(created), created: true }
  }
  const row = (await findRunRow(trx, given.experiment, given.series, given.number))!
  return { run: runOfRow(await completeOpening(trx, row, given, clock)), created: false }
}

/** A run that was opened before its begin-of-run record was written learns what it is, while nothing better is known. */
async function completeOpening(trx: AnyTransaction, row: RunRow, given: RunOpening, clock: Clock): Promise<RunRow> {
  const open = row.state === 'recording' || row.state === 'closing'
  const kind = given.kind ?? row.kind
  const started = given.startedMs ?? row.started_ms
  const description = given.description === undefined || given.description === '' ? row.description : given.description
  if (!open || (kind === row.kind && started === row.started_ms && description === row.description)) return row
  const db: Transaction<LogbookTables> = trx
  const changed = await db
    .updateTable('logbook_run')
    .set({
      kind,
      started_ms: started,
      description,
      text_id: await rememberText(trx, row.experiment, description),
      last_seen_ms: clock.nowMs(),
      updated_ms: clock.nowMs(),
    })
    .where('id', '=', row.id)
    .returningAll()
    .executeTakeFirstOrThrow()
  await appendRunFact(trx, 'logbook.run-updated', changed, clock, { changed: 'description' })
  return changed
}

/** How far a run has grown; no fact (see `announceProgress`). Ignored once the run is closing. */
export async function noteProgress(
  trx: AnyTransaction,
  experiment: string,
  reference: string,
  progress: { sizeBytes: number; events: number },
  clock: Clock,
): Promise<Run> {
  const row = await requireRunRow(trx, experiment, reference)
  if (row.state !== 'recording') return runOfRow(row)
  const db: Transaction<LogbookTables> = trx
  const changed = await db
    .updateTable('logbook_run')
    .set({
      size_bytes: Math.max(progress.sizeBytes, row.size_bytes ?? 0),
      images: Math.max(progress.events, row.images ?? 0),
      last_seen_ms: clock.nowMs(),
    })
    .where('id', '=', row.id)
    .returningAll()
    .executeTakeFirstOrThrow()
  return runOfRow(changed)
}

/** The DAQ has ended the run; its file is on the way. */
export async function markClosing(
  trx: AnyTransaction,
  runId: string,
  ending: { endedMs: number | null; sizeBytes: number },
  clock: Clock,
): Promise<Run> {
  const row = await runRowById(trx, runId)
  if (row.state !== 'recording') return runOfRow(row)
  const db: Transaction<LogbookTables> = trx
  const nowMs = clock.nowMs()
  const changed = await db
    .updateTable('logbook_run')
    .set({
      state: 'closing',
      ended_ms: ending.endedMs,
      size_bytes: ending.sizeBytes,
      last_seen_ms: nowMs,
      updated_ms: nowMs,
    })
    .where('id', '=', runId)
    .returningAll()
    .executeTakeFirstOrThrow()
  await appendRunFact(trx, 'logbook.run-updated', changed, clock, { changed: 'state' })
  return runOfRow(changed)
}

/**
 * Closes a run with what its file says. 'logbook.run-closed' is appended the first time and when a file that was read
 * again says something else; never for the same news twice (`sameBytes` = the file was read before with this hash).
 */
export async function closeRun(
  trx: AnyTransaction,
  runId: string,
  closing: RunClosing,
  clock: Clock,
  { sameBytes }: { sameBytes: boolean },
): Promise<Run> {
  const row = await runRowById(trx, runId)
  const ended = row.state === 'closed' || row.state === 'crashed'
  if (ended && sameBytes) return runOfRow(row)
  const db: Transaction<LogbookTables> = trx
  const nowMs = clock.nowMs()
  const description = row.description === '' ? closing.description : row.description
  const changed = await db
    .updateTable('logbook_run')
    .set({
      state: closing.state,
      kind: closing.kind,
      description,
      text_id: await rememberText(trx, row.experiment, description),
      started_ms: closing.startedMs ?? row.started_ms,
      ended_ms: closing.endedMs ?? row.ended_ms,
      images: closing.images,
      triggers: closing.triggers,
      size_bytes: closing.sizeBytes,
      last_seen_ms: nowMs,
      updated_ms: nowMs,
    })
    .where('id', '=', runId)
    .returningAll()
    .executeTakeFirstOrThrow()
  await appendRunFact(trx, 'logbook.run-closed', changed, clock)
  return runOfRow(changed)
}

/** Changes what people judge and write; the fact carries who did it. */
export async function updateRun(
  trx: AnyTransaction,
  experiment: string,
  reference: string,
  change: {
    description?: string | undefined
    quality?: RunQuality | undefined
    qualityReason?: string | undefined
  },
  by: string,
  clock: Clock,
): Promise<Run> {
  const row = await requireRunRow(trx, experiment, reference)
  const description = change.description ?? row.description
  const quality = change.quality ?? row.quality
  const qualityReason = change.qualityReason ?? (quality === row.quality ? row.quality_reason : '')
  const same = description === row.description && quality === row.quality && qualityReason === row.quality_reason
  if (same) return runOfRow(row)
  const db: Transaction<LogbookTables> = trx
  const changed = await db
    .updateTable('logbook_run')
    .set({
      description,
      text_id: await rememberText(trx, row.experiment, description),
      quality,
      quality_reason: qualityReason,
      updated_ms: clock.nowMs(),
    })
    .where('id', '=', row.id)
    .returningAll()
    .executeTakeFirstOrThrow()
  const what = quality === row.quality && qualityReason === row.quality_reason ? 'description' : 'quality'
  await appendRunFact(trx, 'logbook.run-updated', changed, clock, { changed: what, by })
  return runOfRow(changed)
}
