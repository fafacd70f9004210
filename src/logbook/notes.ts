/** Notes people write about the experiment or a run. A note is never changed or removed. */
import type { Kysely, Transaction } from 'kysely'
import type { AnyTransaction } from '../foundation/database.ts'
import { appendFact } from '../foundation/facts.ts'
import { uuid7 } from '../foundation/ids.ts'
import type { Clock } from '../foundation/time.ts'
import type { Note } from './contract.ts'
import { logbookFaults } from './errors.ts'
import { requireExperiment } from './experiments.ts'
import { requireRunRow } from './run-rows.ts'
import type { LogbookTables } from './tables.ts'

/** Writes a note; Fault 404 when the experiment or run does not exist. */
export async function addNote(
  trx: AnyTransaction,
  experiment: string,
  given: { run?: string | undefined; text: string },
  author: { id: string; name: string },
  clock: Clock,
): Promise<Note> {
  const db: Transaction<LogbookTables> = trx
  const run = given.run === undefined ? undefined : await requireRunRow(trx, experiment, given.run)
  if (run === undefined) await requireExperiment(trx, experiment)
  const note: Note = {
    id: uuid7(),
    run: given.run ?? null,
    text: given.text,
    author: author.name,
    authorId: author.id,
    atMs: clock.nowMs(),
  }
  await db
    .insertInto('logbook_note')
    .values({
      id: note.id,
      experiment,
      run_id: run?.id ?? null,
      text: note.text,
      author: note.author,
      author_id: note.authorId,
      at_ms: note.atMs,
    })
    .execute()
  await appendFact(
    trx,
    {
      kind: 'logbook.note-added',
      subject: given.run === undefined ? experiment : `${experiment}/${given.run}`,
      data: { experiment, ...note },
    },
    clock,
  )
  return note
}

/** Notes newest first, of one run or of the whole experiment (those of its runs included). */
export async function listNotes(
  database: Kysely<any>,
  experiment: string,
  of: { runId?: string | undefined },
  page: { limit: number; cursor?: string | undefined },
): Promise<{ items: Note[]; nextCursor: string | null }> {
  const db: Kysely<LogbookTables> = database
  let query = db
    .selectFrom('logbook_note')
    .leftJoin('logbook_run', 'logbook_run.id', 'logbook_note.run_id')
    .selectAll('logbook_note')
    .select(['logbook_run.series as run_series', 'logbook_run.number as run_number'])
    .where('logbook_note.experiment', '=', experiment)
  if (of.runId !== undefined) query = query.where('logbook_note.run_id', '=', of.runId)
  if (page.cursor !== undefined) {
    if (!/^[0-9a-f-]{36}$/.test(page.cursor))
      throw logbookFaults.badCursor('The page cursor was not made by this list.')
    query = query.where('logbook_note.id', '<', page.cursor)
  }
  const rows = await query
    .orderBy('logbook_note.id', 'desc')
    .limit(page.limit + 1)
    .execute()
  const items = rows.slice(0, page.limit).map((row) => ({
    id: row.id,
    run: row.run_series === null ? null : `${row.run_series}:${row.run_number}`,
    text: row.text,
    author: row.author,
    authorId: row.author_id,
    atMs: row.at_ms,
  }))
  return { items, nextCursor: rows.length > page.limit ? (items.at(-1)?.id ?? null) : null }
}
