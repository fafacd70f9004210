/** Rows of tasks and of summaries, and what the contract shows of them. */
import type { Kysely, Selectable, Transaction } from 'kysely'
import type { AnyKysely, AnyTransaction } from '../foundation/database.ts'
import type { RunSelection } from './campaign-contract.ts'
import type { ReconstructionSummary, ReconstructionTask, RunProductsSummary, TrendPoint } from './contract.ts'
import type { ReconstructionTables, SummaryTable, TaskTable } from './tables.ts'

export type TaskRow = Selectable<TaskTable>
type Reader = Kysely<ReconstructionTables>

export function taskOfRow(row: TaskRow): ReconstructionTask {
  return {
    id: row.id,
    kind: row.kind,
    series: row.series,
    number: row.number,
    campaign: row.campaign,
    codeVersion: row.code_version,
    calibrationId: row.calibration_id === '' ? null : row.calibration_id,
    campaignVersion: row.campaign_version,
    jobId: row.job_id,
    state: row.state,
    reason: row.reason,
    createdAtMs: row.created_ms,
    updatedAtMs: row.updated_ms,
  }
}

export async function taskById(database: AnyKysely, id: string): Promise<TaskRow | undefined> {
  const db: Reader = database
  return await db.selectFrom('reconstruction_task').selectAll().where('id', '=', id).executeTakeFirst()
}

export async function findTask(
  database: AnyKysely,
  key: Pick<TaskRow, 'run_id' | 'campaign' | 'code_version' | 'calibration_id'>,
): Promise<TaskRow | undefined> {
  const db: Reader = database
  return await db
    .selectFrom('reconstruction_task')
    .selectAll()
    .where('run_id', '=', key.run_id)
    .where('campaign', '=', key.campaign)
    .where('code_version', '=', key.code_version)
    .where('calibration_id', '=', key.calibration_id)
    .executeTakeFirst()
}

export async function insertTask(trx: AnyTransaction, row: TaskRow): Promise<TaskRow> {
  const db: Transaction<ReconstructionTables> = trx
  return await db.insertInto('reconstruction_task').values(row).returningAll().executeTakeFirstOrThrow()
}

export async function changeTask(
  trx: AnyTransaction,
  id: string,
  change: Partial<Omit<TaskRow, 'id'>> & { updated_ms: number },
): Promise<TaskRow> {
  const db: Transaction<ReconstructionTables> = trx
  return await db
    .updateTable('reconstruction_task')
    .set(change)
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirstOrThrow()
}

export async function removeTask(trx: AnyTransaction, id: string): Promise<void> {
  const db: Transaction<ReconstructionTables> = trx
  await db.deleteFrom('reconstruction_task').where('id', '=', id).execute()
}

export async function tasksOfRun(database: AnyKysely, runId: string): Promise<ReconstructionTask[]> {
  return (await taskRowsOfRun(database, runId)).map(taskOfRow)
}

/** Newest first. */
export async function taskRowsOfRun(database: AnyKysely, runId: string): Promise<TaskRow[]> {
  const db: Reader = database
  return await db
    .selectFrom('reconstruction_task')
    .selectAll()
    .where('run_id', '=', runId)
    .orderBy('updated_ms', 'desc')
    .orderBy('id', 'desc')
    .execute()
}

/**
 * One wish at a time for a run and campaign: older ones that still run (other code, parameters or calibration) would
 * put their products over the newer ones. Returns their jobs.
 */
export async function supersedeOthers(trx: AnyTransaction, task: TaskRow): Promise<string[]> {
  const db: Transaction<ReconstructionTables> = trx
  const rows = await db
    .updateTable('reconstruction_task')
    // Its time stays: the wish that took its place is the newest one.
    .set({ state: 'cancelled', reason: 'a newer wish for this run and campaign took its place' })
    .where('run_id', '=', task.run_id)
    .where('campaign', '=', task.campaign)
    .where('id', '!=', task.id)
    .where('state', '=', 'submitted')
    .returning('job_id')
    .execute()
  return rows.flatMap(({ job_id }) => (job_id === null ? [] : [job_id]))
}

/** Newest first. */
export async function listTasks(
  database: AnyKysely,
  experiment: string,
  filter: {
    campaign?: string | undefined
    series?: string | undefined
    state?: TaskRow['state'] | undefined
    limit: number
    offset: number
  },
): Promise<ReconstructionTask[]> {
  const db: Reader = database
  let query = db.selectFrom('reconstruction_task').selectAll().where('experiment', '=', experiment)
  if (filter.campaign !== undefined) query = query.where('campaign', '=', filter.campaign)
  if (filter.series !== undefined) query = query.where('series', '=', filter.series)
  if (filter.state !== undefined) query = query.where('state', '=', filter.state)
  const rows = await query
    .orderBy('created_ms', 'desc')
    .orderBy('id', 'desc')
    .limit(filter.limit)
    .offset(filter.offset)
    .execute()
  return rows.map(taskOfRow)
}

/** Waiting tasks of a series from a run number on, in run order. */
export async function waitingTasks(
  database: AnyKysely,
  experiment: string,
  series: string,
  fromNumber: number,
): Promise<TaskRow[]> {
  const db: Reader = database
  return await db
    .selectFrom('reconstruction_task')
    .selectAll()
    .where('experiment', '=', experiment)
    .where('series', '=', series)
    .where('state', '=', 'waiting')
    .where('number', '>=', fromNumber)
    .orderBy('number')
    .execute()
}

/**
 * The latest pedestal run of a series, not after `number` and after `afterNumber`, whose map is still being made
 * ('submitted') or could not be made ('failed').
 */
export async function latestPedestalTask(
  database: AnyKysely,
  experiment: string,
  series: string,
  state: 'submitted' | 'failed',
  afterNumber: number,
  number: number,
): Promise<TaskRow | undefined> {
  const db: Reader = database
  return await db
    .selectFrom('reconstruction_task')
    .selectAll()
    .where('experiment', '=', experiment)
    .where('series', '=', series)
    .where('kind', '=', 'pedestal')
    .where('state', '=', state)
    .where('number', '<=', number)
    .where('number', '>', afterNumber)
    .orderBy('number', 'desc')
    .limit(1)
    .executeTakeFirst()
}

/** One row per run and campaign: a newer result takes the place of the older one. */
export async function putSummary(trx: AnyTransaction, row: Selectable<SummaryTable>): Promise<void> {
  const db: Transaction<ReconstructionTables> = trx
  const { run_id: _run, campaign: _campaign, ...rest } = row
  await db
    .insertInto('reconstruction_summary')
    .values(row)
    .onConflict((conflict) => conflict.columns(['run_id', 'campaign']).doUpdateSet(rest))
    .execute()
}

export async function summariesOfRun(database: AnyKysely, runId: string): Promise<ReconstructionSummary[]> {
  const db: Reader = database
  const rows = await db
    .selectFrom('reconstruction_summary')
    .selectAll()
    .where('run_id', '=', runId)
    .orderBy('campaign')
    .execute()
  return rows.map(summaryOfRow)
}

export async function findSummary(
  database: AnyKysely,
  runId: string,
  campaign: string,
): Promise<ReconstructionSummary | undefined> {
  const db: Reader = database
  const row = await db
    .selectFrom('reconstruction_summary')
    .selectAll()
    .where('run_id', '=', runId)
    .where('campaign', '=', campaign)
    .executeTakeFirst()
  return row === undefined ? undefined : summaryOfRow(row)
}

/** In run order, after a run number; the details (JSON) are not read. */
export async function trendOf(
  database: AnyKysely,
  experiment: string,
  series: string,
  campaign: string,
  page: { afterNumber: number; limit: number },
): Promise<TrendPoint[]> {
  const db: Reader = database
  const rows = await db
    .selectFrom('reconstruction_summary')
    .select([
      'experiment',
      'series',
      'number',
      'campaign',
      'code_version',
      'calibration_id',
      'made_at_ms',
      'images',
      'clusters',
      'selected_clusters',
      'selected_light_counts',
      'wall_ms',
      'efficiency',
      'purity',
      'complete',
    ])
    .where('experiment', '=', experiment)
    .where('series', '=', series)
    .where('campaign', '=', campaign)
    .where('number', '>', page.afterNumber)
    .orderBy('number')
    .limit(page.limit)
    .execute()
  return rows.map((row) => ({
    ...pointOfRow(row),
    selectedLightCounts: row.selected_light_counts,
    wallMs: row.wall_ms,
  }))
}

type PointRow = Omit<Selectable<SummaryTable>, 'run_id' | 'task_id' | 'bucket' | 'prefix' | 'details'>

function pointOfRow(row: PointRow) {
  return {
    experiment: row.experiment,
    series: row.series,
    number: row.number,
    campaign: row.campaign,
    codeVersion: row.code_version,
    calibrationId: row.calibration_id,
    madeAtMs: row.made_at_ms,
    images: row.images,
    clusters: row.clusters,
    selectedClusters: row.selected_clusters,
    efficiency: row.efficiency,
    purity: row.purity,
    complete: row.complete === 1,
  }
}

function summaryOfRow(row: Selectable<SummaryTable>): ReconstructionSummary {
  return {
    ...pointOfRow(row),
    bucket: row.bucket,
    prefix: row.prefix,
    details: JSON.parse(row.details) as RunProductsSummary,
  }
}

/** The newest wish of some campaigns for each run, where its state is one of those, in run order. */
export async function newestTasks(
  database: AnyKysely,
  experiment: string,
  /** '' for pedestals. */
  campaigns: readonly string[],
  selection: RunSelection,
  states: readonly TaskRow['state'][],
): Promise<TaskRow[]> {
  const db: Reader = database
  let query = db
    .selectFrom('reconstruction_task')
    .selectAll()
    .where('experiment', '=', experiment)
    .where('campaign', 'in', [...campaigns])
  if (selection.series !== undefined) query = query.where('series', '=', selection.series)
  if (selection.range !== undefined) {
    query = query.where('number', '>=', selection.range.from).where('number', '<=', selection.range.to)
  }
  const rows = await query.orderBy('updated_ms', 'desc').orderBy('id', 'desc').execute()
  const newest = new Map<string, TaskRow>()
  for (const row of rows) if (!newest.has(row.run_id)) newest.set(row.run_id, row)
  const wanted = selection.numbers === undefined ? undefined : new Set(selection.numbers)
  return [...newest.values()]
    .filter((row) => states.includes(row.state) && (wanted === undefined || wanted.has(row.number)))
    .sort((a, b) => (a.series === b.series ? a.number - b.number : a.series < b.series ? -1 : 1))
}
