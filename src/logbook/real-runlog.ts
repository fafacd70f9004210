/**
 * The real run logbooks of the domain data as rows of our tables: for tests and benches only. Their traps are theirs:
 * Italian wall time without zone, -1 and NULL for unknown, quotes and commas in descriptions, columns in any order.
 */
import { readFile } from 'node:fs/promises'
import { gunzipSync } from 'node:zlib'
import type { Insertable, Transaction } from 'kysely'
import type { AnyTransaction } from '../foundation/database.ts'
import { uuid7 } from '../foundation/ids.ts'
import { rememberText, textIdOf } from './run-text.ts'
import type { LogbookTables, RunTable } from './tables.ts'

/** Reads a runlog CSV, plain or .gz, into rows of one series of one experiment. Runs without a stop count as crashed. */
export async function readRunlog(
  path: string,
  place: { experiment: string; setup: string; series: string },
): Promise<Insertable<RunTable>[]> {
  const bytes = await readFile(path)
  const text = (path.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8').replace(/^\uFEFF/, '')
  const [head, ...records] = parseCsv(text)
  const column = new Map(head!.map((name, index) => [name, index]))
  let previousMs = 0
  return records
    .filter((record) => record.length === head!.length)
    .map((record) => {
      const of = (name: string): string => record[column.get(name) ?? -1] ?? ''
      const known = (name: string): number | null => (of(name) === '' || Number(of(name)) < 0 ? null : Number(of(name)))
      const started = romeToUtcMs(of('start_time'), previousMs)
      const ended = of('stop_time') === '' ? null : romeToUtcMs(of('stop_time'), started ?? 0)
      previousMs = ended ?? started ?? previousMs
      const description = of('run_description')
      const pedestal = of('pedestal_run').startsWith('1') || (of('HV_STATE') === '0' && /pedestal/i.test(description))
      const nowMs = started ?? 0
      return {
        id: uuid7(),
        ...place,
        number: Number(of('run_number')),
        kind: pedestal ? 'pedestal' : 'data',
        state: ended === null ? 'crashed' : 'closed',
        quality: 'unjudged',
        quality_reason: '',
        description,
        text_id: textIdOf(description),
        started_ms: started,
        ended_ms: ended,
        images: known('number_of_events'),
        triggers: null,
        size_bytes: known('file_size'),
        fault_count: ended === null ? 1 : 0,
        last_seen_ms: nowMs,
        created_ms: nowMs,
        updated_ms: nowMs,
      }
    })
}

/** Stores rows as they are, many at a time, with the texts they are found by. */
export async function insertRuns(trx: AnyTransaction, rows: readonly Insertable<RunTable>[]): Promise<void> {
  const db: Transaction<LogbookTables> = trx
  const texts = new Map(rows.map((row) => [`${row.experiment} ${row.text_id}`, row]))
  for (const { experiment, description } of texts.values()) await rememberText(trx, experiment, description)
  for (let from = 0; from < rows.length; from += 1000) {
    await db
      .insertInto('logbook_run')
      .values(rows.slice(from, from + 1000))
      .execute()
  }
}

/** RFC 4180: quoted fields may hold commas, line breaks and doubled quotes. */
export function parseCsv(text: string): string[][] {
  const rows: string[][] = []
  let row: string[] = []
  let field = ''
  let quoted = false
  for (let index = 0; index < text.length; index++) {
    const sign = text[index]!
    if (quoted) {
      if (sign !== '"') field += sign
      else if (text[index + 1] === '"') field += text[++index]
      else quoted = false
    } else if (sign === '"' && field === '') quoted = true
    else if (sign === ',' || sign === '\n') {
      row.push(field.replace(/\r$/, ''))
      field = ''
      if (sign === '\n') {
        rows.push(row)
        row = []
      }
    } else field += sign
  }
  if (field !== '' || row.length > 0) rows.push([...row, field])
  return rows
}

const rome = new Intl.DateTimeFormat('en-GB', {
  timeZone: 'Europe/Rome',
  hour: '2-digit',
  hour12: false,
  day: '2-digit',
})

/**
 * Wall time of Rome in UTC ms; null for an empty or impossible text. In the hour that comes twice when summer time ends,
 * the first one is meant unless that would lie before `notBeforeMs` (the run before it).
 */
export function romeToUtcMs(text: string, notBeforeMs: number): number | null {
  const match = /^(\d{4})-(\d\d)-(\d\d)[ T](\d\d):(\d\d):(\d\d)/.exec(text)
  if (match === null) return null
  const [year, month, day, hour, minute, second] = match.slice(1).map(Number)
  const wallMs = Date.UTC(year!, month! - 1, day, hour, minute, second)
  const fits = [2, 1]
    .map((offsetHours) => wallMs - offsetHours * 3_600_000)
    .filter((utcMs) => {
      const parts = rome.formatToParts(utcMs)
      const part = (type: string): number => Number(parts.find((one) => one.type === type)?.value)
      return part('hour') % 24 === hour && part('day') === day
    })
  return fits.find((utcMs) => utcMs >= notBeforeMs) ?? fits.at(-1) ?? null
}
