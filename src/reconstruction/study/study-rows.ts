/** Rows of studies, and what the contract shows of them. */
import type { Kysely, Selectable, Transaction } from 'kysely'
import type { AnyKysely, AnyTransaction } from '../../foundation/database.ts'
import type { Study, StudyKindName } from '../study-contract.ts'
import type { ReconstructionTables, StudyTable } from '../tables.ts'

export type StudyRow = Selectable<StudyTable>
type Reader = Kysely<ReconstructionTables>

export function studyOfRow(row: StudyRow): Study {
  return {
    id: row.id,
    experiment: row.experiment,
    kind: row.kind,
    options: JSON.parse(row.options) as Study['options'],
    state: row.state,
    reason: row.reason,
    jobId: row.job_id,
    codeVersion: row.code_version,
    bucket: row.bucket,
    prefix: row.prefix,
    files: JSON.parse(row.files) as Study['files'],
    headline: row.headline === null ? null : (JSON.parse(row.headline) as Study['headline']),
    requestedBy: row.requested_by,
    createdAtMs: row.created_ms,
    updatedAtMs: row.updated_ms,
  }
}

export async function insertStudy(trx: AnyTransaction, row: StudyRow): Promise<StudyRow> {
  const db: Transaction<ReconstructionTables> = trx
  return await db.insertInto('reconstruction_study').values(row).returningAll().executeTakeFirstOrThrow()
}

export async function changeStudy(
  trx: AnyTransaction,
  id: string,
  change: Partial<Omit<StudyRow, 'id'>> & { updated_ms: number },
): Promise<StudyRow> {
  const db: Transaction<ReconstructionTables> = trx
  return await db
    .updateTable('reconstruction_study')
    .set(change)
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirstOrThrow()
}

export async function studyById(database: AnyKysely, id: string): Promise<StudyRow | undefined> {
  const db: Reader = database
  return await db.selectFrom('reconstruction_study').selectAll().where('id', '=', id).executeTakeFirst()
}

/** Newest first. */
export async function listStudies(
  database: AnyKysely,
  experiment: string,
  filter: { kind?: StudyKindName | undefined; limit: number; offset: number },
): Promise<Study[]> {
  const db: Reader = database
  let query = db.selectFrom('reconstruction_study').selectAll().where('experiment', '=', experiment)
  if (filter.kind !== undefined) query = query.where('kind', '=', filter.kind)
  const rows = await query
    .orderBy('created_ms', 'desc')
    .orderBy('id', 'desc')
    .limit(filter.limit)
    .offset(filter.offset)
    .execute()
  return rows.map(studyOfRow)
}
