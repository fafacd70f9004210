/** One run with everything that hangs on it, and the home page of an experiment. */
import type { Kysely } from 'kysely'
import type { Clock } from '../foundation/time.ts'
import { countConditions } from './conditions.ts'
import type { Experiment, LogbookFault, Recording, RunDetail, Series, Setup } from './contract.ts'
import { listSeries, listSetups, requireExperiment } from './experiments.ts'
import { listFaults } from './faults.ts'
import { listNotes } from './notes.ts'
import { recordingStatus } from './recording.ts'
import { listFiles } from './run-files.ts'
import { requireRunRow, runOfRow, type RunRow } from './run-rows.ts'
import type { LogbookTables } from './tables.ts'

/** The run `series:number`; Fault 404 names the last run of the series. */
export async function showRun(database: Kysely<any>, experiment: string, reference: string): Promise<RunDetail> {
  const row = await requireRunRow(database, experiment, reference)
  const notes = await listNotes(database, experiment, { runId: row.id }, { limit: 100 })
  return {
    run: runOfRow(row),
    files: await listFiles(database, row.id),
    notes: notes.items,
    faults: await listFaults(database, { runId: row.id }),
    conditions: await countConditions(database, row.id),
    previous: await neighbour(database, row, 'before'),
    next: await neighbour(database, row, 'after'),
  }
}

async function neighbour(database: Kysely<any>, row: RunRow, side: 'before' | 'after'): Promise<string | null> {
  const db: Kysely<LogbookTables> = database
  const found = await db
    .selectFrom('logbook_run')
    .select('number')
    .where('experiment', '=', row.experiment)
    .where('series', '=', row.series)
    .where('number', side === 'before' ? '<' : '>', row.number)
    .orderBy('number', side === 'before' ? 'desc' : 'asc')
    .limit(1)
    .executeTakeFirst()
  return found === undefined ? null : `${row.series}:${found.number}`
}

export interface ExperimentDetail {
  experiment: Experiment
  setups: Setup[]
  series: Series[]
  recording: Recording[]
  faults: LogbookFault[]
  runs: number
}

export async function showExperiment(database: Kysely<any>, name: string, clock: Clock): Promise<ExperimentDetail> {
  const db: Kysely<LogbookTables> = database
  const experiment = await requireExperiment(database, name)
  const counted = await db
    .selectFrom('logbook_run')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('experiment', '=', name)
    .executeTakeFirstOrThrow()
  return {
    experiment,
    setups: await listSetups(database, name),
    series: await listSeries(database, name),
    recording: await recordingStatus(database, name, clock),
    faults: await listFaults(database, { experiment: name }, 50),
    runs: Number(counted.count),
  }
}
