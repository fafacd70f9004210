/** The list of runs: filtered and paged where the rows are, newest number first. */
import { sql, type ExpressionBuilder, type Kysely, type SelectQueryBuilder } from 'kysely'
import type { Run, RunFilter } from './contract.ts'
import { logbookFaults } from './errors.ts'
import { runOfRow } from './run-rows.ts'
import type { LogbookTables } from './tables.ts'

export interface RunPage {
  items: Run[]
  nextCursor: string | null
  total?: number
}

/**
 * One page of runs, ordered by (series, number) descending. The cursor names the last run of the page before, so a
 * run that is added meanwhile neither repeats nor hides another. Fault 400 when the cursor is not one of ours.
 */
export async function listRuns(
  database: Kysely<any>,
  experiment: string,
  filter: RunFilter,
  page: { limit: number; cursor?: string | undefined; total?: boolean },
): Promise<RunPage> {
  const db: Kysely<LogbookTables> = database
  const all = db.selectFrom('logbook_run').where('experiment', '=', experiment)
  const matching = filtered(all, experiment, filter)
  let paged = matching
  if (page.cursor !== undefined) {
    const after = readCursor(page.cursor)
    paged = paged.where(sql<boolean>`(series, number) < (${after.series}, ${after.number})`)
  }
  // The inner query walks the index of filters alone; only the rows of the page are read from the table.
  const ids = paged
    .select('id')
    .orderBy('series', 'desc')
    .orderBy('number', 'desc')
    .limit(page.limit + 1)
  const rows = await db
    .selectFrom('logbook_run')
    .selectAll()
    .where('id', 'in', ids)
    .orderBy('series', 'desc')
    .orderBy('number', 'desc')
    .execute()
  const items = rows.slice(0, page.limit).map(runOfRow)
  const last = items.at(-1)
  const nextCursor = rows.length > page.limit && last !== undefined ? writeCursor(last) : null
  if (page.total !== true) return { items, nextCursor }
  const counted = await matching.select((eb) => eb.fn.countAll<number>().as('count')).executeTakeFirstOrThrow()
  return { items, nextCursor, total: Number(counted.count) }
}

type Query = SelectQueryBuilder<LogbookTables, 'logbook_run', object>

function filtered(query: Query, experiment: string, filter: RunFilter): Query {
  let result = query
  if (filter.series !== undefined) result = result.where('series', '=', filter.series)
  if (filter.setup !== undefined) result = result.where('setup', '=', filter.setup)
  if (filter.kind !== undefined) result = result.where('kind', '=', filter.kind)
  if (filter.state !== undefined) result = result.where('state', '=', filter.state)
  if (filter.quality !== undefined) result = result.where('quality', '=', filter.quality)
  if (filter.hasFault === 'yes') result = result.where('fault_count', '>', 0)
  if (filter.hasFault === 'no') result = result.where('fault_count', '=', 0)
  if (filter.startedFromMs !== undefined) result = result.where('started_ms', '>=', filter.startedFromMs)
  if (filter.startedToMs !== undefined) result = result.where('started_ms', '<', filter.startedToMs)
  if (filter.numbers !== undefined) {
    const ranges = filter.numbers
    result = result.where((eb) => inRanges(eb, ranges))
  }
  const words = (filter.text ?? '')
    .toLowerCase()
    .split(/\s+/)
    .filter((one) => one !== '')
  if (words.length > 0) {
    result = result.where('text_id', 'in', (eb) => {
      const texts = eb
        .selectFrom('logbook_text')
        .select('logbook_text.id')
        .where('logbook_text.experiment', '=', experiment)
      return words.reduce(
        (query, word) => query.where(sql<boolean>`search_text like ${patternOf(word)} escape '\\'`),
        texts,
      )
    })
  }
  return result
}

/** A word anywhere in the text, its own signs taken as they are. */
const patternOf = (word: string): string => `%${word.replace(/[\\%_]/g, (sign) => `\\${sign}`)}%`

function inRanges(eb: ExpressionBuilder<LogbookTables, 'logbook_run'>, text: string) {
  return eb.or(
    text.split(',').map((part) => {
      const [first, last = first] = part.split('-').map(Number)
      return eb.between('number', Math.min(first!, last!), Math.max(first!, last!))
    }),
  )
}

function writeCursor(run: Run): string {
  return Buffer.from(JSON.stringify([run.series, run.number])).toString('base64url')
}

function readCursor(cursor: string): { series: string; number: number } {
  try {
    const [series, number] = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8')) as unknown[]
    if (typeof series === 'string' && Number.isSafeInteger(number)) return { series, number: number as number }
  } catch {
    // Said below in words.
  }
  throw logbookFaults.badCursor('The page cursor was not made by this list.', {
    hint: 'Start again from the first page.',
  })
}
