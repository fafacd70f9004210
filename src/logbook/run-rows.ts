/** Between the rows of a run and what the contract shows; every fact about a run is appended here. */
import { sql, type Kysely, type Selectable } from 'kysely'
import { appendFact } from '../foundation/facts.ts'
import type { AnyTransaction } from '../foundation/database.ts'
import type { Clock } from '../foundation/time.ts'
import type { Run } from './contract.ts'
import { logbookFaults } from './errors.ts'
import type { LogbookTables, RunTable } from './tables.ts'

export type RunRow = Selectable<RunTable>

export function runOfRow(row: RunRow): Run {
  return {
    id: row.id,
    reference: `${row.series}:${row.number}`,
    experiment: row.experiment,
    setup: row.setup,
    series: row.series,
    number: row.number,
    kind: row.kind,
    state: row.state,
    quality: row.quality,
    qualityReason: row.quality_reason,
    description: row.description,
    startedMs: row.started_ms,
    endedMs: row.ended_ms,
    images: row.images,
    triggers: row.triggers,
    sizeBytes: row.size_bytes,
    faults: row.fault_count,
    lastSeenMs: row.last_seen_ms,
    updatedMs: row.updated_ms,
  }
}

/** Splits `series:number`; the contract's schema has checked the form. */
export function splitReference(reference: string): { series: string; number: number } {
  const colon = reference.lastIndexOf(':')
  return { series: reference.slice(0, colon), number: Number(reference.slice(colon + 1)) }
}

export async function findRunRow(
  database: Kysely<any>,
  experiment: string,
  series: string,
  number: number,
): Promise<RunRow | undefined> {
  const db: Kysely<LogbookTables> = database
  return await db
    .selectFrom('logbook_run')
    .selectAll()
    .where('experiment', '=', experiment)
    .where('series', '=', series)
    .where('number', '=', number)
    .executeTakeFirst()
}

/** The run `series:number`, or Fault 404 that says which is the last one of the series. */
export async function requireRunRow(database: Kysely<any>, experiment: string, reference: string): Promise<RunRow> {
  const { series, number } = splitReference(reference)
  const row = await findRunRow(database, experiment, series, number)
  if (row !== undefined) return row
  const db: Kysely<LogbookTables> = database
  const last = await db
    .selectFrom('logbook_run')
    .select(sql<number | null>`max(number)`.as('number'))
    .where('experiment', '=', experiment)
    .where('series', '=', series)
    .executeTakeFirst()
  const known = await db.selectFrom('logbook_series').select('name').where('experiment', '=', experiment).execute()
  throw logbookFaults.noSuchRun(`Run ${reference} does not exist in experiment '${experiment}'.`, {
    hint:
      last?.number === null || last === undefined
        ? `Series '${series}' has no run yet; series here: ${known.map((one) => one.name).join(', ') || 'none'}.`
        : `The last run of series '${series}' is ${last.number}.`,
  })
}

export async function runRowById(database: Kysely<any>, runId: string): Promise<RunRow> {
  const db: Kysely<LogbookTables> = database
  const row = await db.selectFrom('logbook_run').selectAll().where('id', '=', runId).executeTakeFirst()
  if (row === undefined) throw logbookFaults.noSuchRun(`There is no run with the id '${runId}'.`)
  return row
}

export type RunFactKind = 'logbook.run-opened' | 'logbook.run-updated' | 'logbook.run-closed'

/** Appends a fact about a run, in the transaction that changed it; `more` adds to the data (for example who did it). */
export async function appendRunFact(
  trx: AnyTransaction,
  kind: RunFactKind,
  row: RunRow,
  clock: Clock,
  more: { changed?: string; by?: string } = {},
): Promise<void> {
  await appendFact(
    trx,
    {
      kind,
      subject: `${row.experiment}/${row.series}:${row.number}`,
      data: {
        experiment: row.experiment,
        runId: row.id,
        run: `${row.series}:${row.number}`,
        setup: row.setup,
        series: row.series,
        number: row.number,
        kind: row.kind,
        state: row.state,
        images: row.images,
        sizeBytes: row.size_bytes,
        ...more,
      },
    },
    clock,
  )
}
