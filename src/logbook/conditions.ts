/** Conditions of a run: typed settings and readings at its begin and, where they differ, at its end. */
import type { Insertable, Kysely, Transaction } from 'kysely'
import type { AnyTransaction } from '../foundation/database.ts'
import type { Condition } from './contract.ts'
import type { ConditionTable, LogbookTables } from './tables.ts'

export interface ConditionValue {
  path: string
  moment: 'begin' | 'end'
  /** For people; the last part of the path says enough if there is no better one. */
  name: string
  value: number | string
  unit: string
}

/** Rows in one statement: 7 columns each, well under the 32 766 parameters SQLite takes. */
const rowsPerStatement = 1000

/** Replaces all conditions of a run. A value at the end that equals the one at the beginning is not stored. */
export async function replaceConditions(
  trx: AnyTransaction,
  runId: string,
  values: readonly ConditionValue[],
): Promise<void> {
  const db: Transaction<LogbookTables> = trx
  const rows = new Map<string, Insertable<ConditionTable>>()
  for (const one of values) if (one.moment === 'begin') rows.set(`begin ${one.path}`, rowOf(runId, one))
  for (const one of values) {
    if (one.moment !== 'end') continue
    const row = rowOf(runId, one)
    const begin = rows.get(`begin ${one.path}`)
    const same = begin?.number_value === row.number_value && begin?.text_value === row.text_value
    if (!same) rows.set(`end ${one.path}`, row)
  }
  await db.deleteFrom('logbook_condition').where('run_id', '=', runId).execute()
  const all = [...rows.values()]
  for (let from = 0; from < all.length; from += rowsPerStatement) {
    await db
      .insertInto('logbook_condition')
      .values(all.slice(from, from + rowsPerStatement))
      .execute()
  }
}

function rowOf(runId: string, one: ConditionValue): Insertable<ConditionTable> {
  const finite = typeof one.value === 'number' && Number.isFinite(one.value)
  return {
    run_id: runId,
    path: one.path,
    moment: one.moment,
    name: one.name,
    number_value: finite ? (one.value as number) : null,
    text_value: finite ? null : String(one.value),
    unit: one.unit,
  }
}

/** The conditions of a run by path; `text` keeps those whose path or name contains it, whatever the case. */
export async function listConditions(database: Kysely<any>, runId: string, text?: string): Promise<Condition[]> {
  const db: Kysely<LogbookTables> = database
  const rows = await db
    .selectFrom('logbook_condition')
    .selectAll()
    .where('run_id', '=', runId)
    .orderBy('path')
    .orderBy('moment')
    .execute()
  const wanted = text?.toLowerCase()
  const found = new Map<string, Condition>()
  for (const row of rows) {
    if (wanted !== undefined && !`${row.path} ${row.name}`.toLowerCase().includes(wanted)) continue
    const value = row.number_value ?? row.text_value
    const condition = found.get(row.path) ?? {
      path: row.path,
      name: row.name,
      begin: null,
      end: null,
      changed: false,
      unit: row.unit,
    }
    if (row.moment === 'begin') condition.begin = value
    else {
      condition.end = value
      condition.changed = true
    }
    found.set(row.path, condition)
  }
  return [...found.values()]
}

/** One condition of the runs from..to of a series, as it was at their begin, by run number; runs without it are left out. */
export async function conditionOfRuns(
  database: Kysely<any>,
  runs: { experiment: string; series: string; from: number; to: number },
  path: string,
): Promise<Map<number, number | string>> {
  const db: Kysely<LogbookTables> = database
  const rows = await db
    .selectFrom('logbook_run')
    .innerJoin('logbook_condition', 'logbook_condition.run_id', 'logbook_run.id')
    .select(['logbook_run.number', 'number_value', 'text_value'])
    .where('experiment', '=', runs.experiment)
    .where('series', '=', runs.series)
    .where('number', '>=', runs.from)
    .where('number', '<=', runs.to)
    .where('path', '=', path)
    .where('moment', '=', 'begin')
    .execute()
  return new Map(rows.map((row) => [row.number, row.number_value ?? row.text_value ?? '']))
}

export async function countConditions(database: Kysely<any>, runId: string): Promise<number> {
  const db: Kysely<LogbookTables> = database
  const counted = await db
    .selectFrom('logbook_condition')
    .select((eb) => eb.fn.count<number>('path').distinct().as('count'))
    .where('run_id', '=', runId)
    .executeTakeFirstOrThrow()
  return Number(counted.count)
}
