/** From a selection to the files that hold it, newest run first, and the runs that have none, with the reason. */
import type { Kysely } from 'kysely'
import type { AnyKysely } from '../../foundation/database.ts'
import { Fault } from '../../foundation/errors.ts'
import type { Logbook } from '../../logbook/index.ts'
import type { Run } from '../../logbook/contract.ts'
import { reconstructionFaults } from '../errors.ts'
import type { ProductStore } from '../job-kinds.ts'
import type { Selection } from '../results-contract.ts'
import type { ReconstructionTables } from '../tables.ts'
import { sources } from './quantities.ts'
import type { Source } from './quantities.ts'
import type { ScanFile } from './scan.ts'

export interface SelectionContext {
  kysely: AnyKysely
  logbook: Logbook
  storage: ProductStore
}

export interface SelectedRuns {
  source: Source
  series: string
  /** Newest first. */
  files: ScanFile[]
  missing: { number: number; reason: string }[]
  /** Of the runs with files, by number. */
  runs: ReadonlyMap<number, Pick<Run, 'startedMs' | 'endedMs' | 'kind'>>
}

/** A scan is of so many runs at most; more is refused with words, not cut off. */
const mostRuns = 10_000

export async function selectRuns(
  experiment: string,
  selection: Pick<Selection, 'series' | 'from' | 'to' | 'campaign' | 'source'>,
  { kysely, logbook, storage }: SelectionContext,
): Promise<SelectedRuns> {
  const source = sources[selection.source]
  if (source === undefined) throw reconstructionFaults.noSuchTable(`There is no table of ${selection.source}s here.`)
  const { series, campaign, from = 0, to = 999_999_999 } = selection
  const runs = await runsOf(logbook, experiment, series, from, to)
  const db: Kysely<ReconstructionTables> = kysely
  const summaries = await db
    .selectFrom('reconstruction_summary')
    .select(['number', 'bucket', 'prefix', 'images'])
    .where('experiment', '=', experiment)
    .where('series', '=', series)
    .where('campaign', '=', campaign)
    .where('number', '>=', from)
    .where('number', '<=', to)
    .execute()
  const tasks = await db
    .selectFrom('reconstruction_task')
    .select(['number', 'campaign', 'state', 'reason', 'kind'])
    .where('experiment', '=', experiment)
    .where('series', '=', series)
    .where('number', '>=', from)
    .where('number', '<=', to)
    .orderBy('updated_ms')
    .execute()
  const summaryOf = new Map(summaries.map((summary) => [summary.number, summary]))
  const taskOf = new Map(tasks.filter((task) => task.campaign === campaign).map((task) => [task.number, task]))
  const files: ScanFile[] = []
  const missing: SelectedRuns['missing'] = []
  for (const run of runs) {
    const { number } = run
    const summary = summaryOf.get(number)
    const path = summary === undefined ? undefined : pathOf(storage, summary.bucket, `${summary.prefix}/${source.file}`)
    if (summary !== undefined && path !== undefined) files.push({ path, number, images: summary.images })
    else missing.push({ number, reason: summary === undefined ? whyNot(run, taskOf.get(number), campaign) : noTable })
  }
  return { source, series, files, missing, runs: new Map(runs.map((run) => [run.number, run])) }
}

const noTable = 'its table is not in the store'

function whyNot(run: Run, task: { state: string; reason: string | null } | undefined, campaign: string): string {
  if (run.kind === 'pedestal') return 'a pedestal run: it has no tracks'
  if (run.state === 'recording' || run.state === 'closing') return 'still being recorded'
  if (task === undefined) return `not reconstructed in campaign '${campaign}'`
  const because = task.reason === null ? '' : `: ${task.reason}`
  if (task.state === 'waiting') return `its reconstruction waits${because}`
  if (task.state === 'failed') return `its reconstruction failed${because}`
  return task.state === 'submitted' ? 'being reconstructed' : `its reconstruction is ${task.state}${because}`
}

/** Not asked whether the file is there: with thousands of runs the thread that reads finds out by itself. */
function pathOf(storage: ProductStore, bucket: string, key: string): string | undefined {
  try {
    return storage.pathOf(bucket, key)
  } catch (error) {
    if (error instanceof Fault && error.status === 404) return undefined
    throw error
  }
}

async function runsOf(logbook: Logbook, experiment: string, series: string, from: number, to: number): Promise<Run[]> {
  const runs: Run[] = []
  let cursor: string | undefined
  do {
    const page = await logbook.listRuns(
      experiment,
      { series, numbers: `${from}-${to}` },
      { limit: 1000, ...(cursor !== undefined && { cursor }) },
    )
    runs.push(...page.items)
    cursor = page.nextCursor ?? undefined
    if (runs.length > mostRuns)
      throw reconstructionFaults.tooManyRuns(`The selection has more than ${mostRuns} runs.`, {
        hint: 'Choose a range of runs.',
      })
  } while (cursor !== undefined)
  return runs.sort((a, b) => b.number - a.number)
}
