import { randomBytes } from 'node:crypto'
import type { Kysely, Selectable, Transaction } from 'kysely'
import type { AnyTransaction } from '../foundation/database.ts'
import { randomToken } from '../foundation/ids.ts'
import { notebookErrors } from './errors.ts'
import type { NotebookTables, SessionTable } from './tables.ts'

export type NotebookKysely = Kysely<NotebookTables>
export type SessionRow = Selectable<SessionTable>

/** The living session of a person in an experiment; makes the row when there is none (`made`). */
export async function findOrInsert(
  trx: Transaction<NotebookTables>,
  wanted: {
    ownerId: string
    ownerName: string
    experiment: string
    jobIdOf(sessionId: string): Promise<string>
    nowMs: number
  },
): Promise<SessionRow> {
  const living = () =>
    trx
      .selectFrom('notebook_session')
      .selectAll()
      .where('owner_id', '=', wanted.ownerId)
      .where('experiment', '=', wanted.experiment)
      .where('living', '=', 'yes')
      .executeTakeFirst()
  const existing = await living()
  if (existing !== undefined) return existing
  const id = randomBytes(10).toString('hex')
  const inserted = await trx
    .insertInto('notebook_session')
    .values({
      id,
      job_id: await wanted.jobIdOf(id),
      owner_id: wanted.ownerId,
      owner_name: wanted.ownerName,
      experiment: wanted.experiment,
      header_key: randomToken(32),
      living: 'yes',
      ready_ms: null,
      wanted_run: null,
      wanted_results: null,
      open_path: null,
      created_ms: wanted.nowMs,
    })
    .returningAll()
    .executeTakeFirstOrThrow()
  return inserted
}

export async function findSession(kysely: NotebookKysely, id: string): Promise<SessionRow> {
  const row = await kysely.selectFrom('notebook_session').selectAll().where('id', '=', id).executeTakeFirst()
  if (row === undefined)
    throw notebookErrors.noSuchSession(`There is no session ${id}.`, { hint: 'See `cygnet sessions list`.' })
  return row
}

export async function sessionOfJob(kysely: NotebookKysely, jobId: string): Promise<SessionRow> {
  return await kysely.selectFrom('notebook_session').selectAll().where('job_id', '=', jobId).executeTakeFirstOrThrow()
}

export async function livingSessions(kysely: NotebookKysely): Promise<SessionRow[]> {
  return await kysely.selectFrom('notebook_session').selectAll().where('living', '=', 'yes').execute()
}

/** In the transaction that ends the job. */
export async function endSession(trx: AnyTransaction, jobId: string): Promise<void> {
  await trx
    .updateTable('notebook_session')
    .set({ living: null, wanted_run: null, wanted_results: null })
    .where('job_id', '=', jobId)
    .execute()
}

export function basePathOf(session: Pick<SessionRow, 'id' | 'owner_name'>): string {
  return `/user/${session.owner_name}/${session.id}/`
}
