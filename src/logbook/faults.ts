/**
 * Faults: what is wrong with a run, or with something that arrived and belongs to no run, in words a person can act on.
 * A topic names one trouble; telling of it again updates it, and what is over stays as history with the time it ended.
 */
import type { Kysely, Selectable, Transaction } from 'kysely'
import type { AnyTransaction } from '../foundation/database.ts'
import { appendFact } from '../foundation/facts.ts'
import { uuid7 } from '../foundation/ids.ts'
import type { Clock } from '../foundation/time.ts'
import type { LogbookFault } from './contract.ts'
import { runRowById } from './run-rows.ts'
import type { FaultTable, LogbookTables } from './tables.ts'

export interface FaultNews {
  experiment: string
  runId?: string | null
  /** Unique in the experiment, for example 'ingest.damaged_file demo-raw/lime/sim/run00012.mid'. */
  topic: string
  code: string
  severity: 'warning' | 'error'
  detail: string
  hint: string
  place: string
}

/** Raises a fault or renews it. 'logbook.fault-raised' is appended when it is new, came back, or says something else. */
export async function raiseFault(trx: AnyTransaction, news: FaultNews, clock: Clock): Promise<void> {
  const db: Transaction<LogbookTables> = trx
  const nowMs = clock.nowMs()
  const before = await db
    .selectFrom('logbook_fault')
    .selectAll()
    .where('experiment', '=', news.experiment)
    .where('topic', '=', news.topic)
    .executeTakeFirst()
  const said = {
    run_id: news.runId ?? before?.run_id ?? null,
    code: news.code,
    severity: news.severity,
    detail: news.detail,
    hint: news.hint,
    place: news.place,
    last_ms: nowMs,
    resolved_ms: null,
  }
  await db
    .insertInto('logbook_fault')
    .values({ id: uuid7(), experiment: news.experiment, topic: news.topic, first_ms: nowMs, ...said })
    .onConflict((conflict) =>
      conflict
        .columns(['experiment', 'topic'])
        .doUpdateSet(before !== undefined && before.resolved_ms !== null ? { ...said, first_ms: nowMs } : said),
    )
    .execute()
  const known =
    before !== undefined &&
    before.resolved_ms === null &&
    before.detail === news.detail &&
    before.run_id === said.run_id
  if (!known) await tell(trx, 'logbook.fault-raised', { ...news, runId: said.run_id }, clock)
}

/** Ends every open fault whose topic is one of these; unknown topics are no error. */
export async function resolveFaults(
  trx: AnyTransaction,
  experiment: string,
  topics: readonly string[],
  clock: Clock,
): Promise<void> {
  if (topics.length === 0) return
  const db: Transaction<LogbookTables> = trx
  const ended = await db
    .updateTable('logbook_fault')
    .set({ resolved_ms: clock.nowMs() })
    .where('experiment', '=', experiment)
    .where('topic', 'in', [...topics])
    .where('resolved_ms', 'is', null)
    .returningAll()
    .execute()
  for (const row of ended) {
    await tell(trx, 'logbook.fault-resolved', { ...row, runId: row.run_id }, clock)
  }
}

async function tell(
  trx: AnyTransaction,
  kind: string,
  news: { experiment: string; runId: string | null; code: string; severity: string; detail: string; place: string },
  clock: Clock,
): Promise<void> {
  const run = news.runId === null ? undefined : await countFaults(trx, news.runId)
  const { experiment, code, severity, detail, place } = news
  await appendFact(
    trx,
    {
      kind,
      subject: run === undefined ? experiment : `${experiment}/${run}`,
      data: { experiment, run: run ?? null, code, severity, detail, place },
    },
    clock,
  )
}

/** Keeps the run's number of open faults right; gives the run's reference. */
async function countFaults(trx: AnyTransaction, runId: string): Promise<string> {
  const db: Transaction<LogbookTables> = trx
  await db
    .updateTable('logbook_run')
    .set((eb) => ({
      fault_count: eb
        .selectFrom('logbook_fault')
        .select((inner) => inner.fn.countAll<number>().as('count'))
        .where('logbook_fault.run_id', '=', runId)
        .where('logbook_fault.resolved_ms', 'is', null),
    }))
    .where('id', '=', runId)
    .execute()
  const row = await runRowById(trx, runId)
  return `${row.series}:${row.number}`
}

export interface StoredFault extends LogbookFault {
  topic: string
  runId: string | null
}

/** Faults of a run (history included), or the open ones of the whole experiment; newest first. */
export async function listFaults(
  database: Kysely<any>,
  of: { runId: string } | { experiment: string },
  limit = 200,
): Promise<StoredFault[]> {
  const db: Kysely<LogbookTables> = database
  const rows = await db
    .selectFrom('logbook_fault')
    .leftJoin('logbook_run', 'logbook_run.id', 'logbook_fault.run_id')
    .selectAll('logbook_fault')
    .select(['logbook_run.series as run_series', 'logbook_run.number as run_number'])
    .where((eb) =>
      'runId' in of
        ? eb('logbook_fault.run_id', '=', of.runId)
        : eb.and([eb('logbook_fault.experiment', '=', of.experiment), eb('logbook_fault.resolved_ms', 'is', null)]),
    )
    .orderBy('logbook_fault.last_ms', 'desc')
    .orderBy('logbook_fault.id', 'desc')
    .limit(limit)
    .execute()
  return rows.map(faultOfRow)
}

type FaultRow = Selectable<FaultTable> & { run_series: string | null; run_number: number | null }

function faultOfRow(row: FaultRow): StoredFault {
  return {
    id: row.id,
    topic: row.topic,
    runId: row.run_id,
    run: row.run_series === null ? null : `${row.run_series}:${row.run_number}`,
    code: row.code,
    severity: row.severity,
    detail: row.detail,
    hint: row.hint,
    place: row.place,
    firstMs: row.first_ms,
    lastMs: row.last_ms,
    resolvedMs: row.resolved_ms,
  }
}
