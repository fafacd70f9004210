/** The files of a run and where their bytes are. The receiver and the agent write here; pages read. */
import type { Kysely, Selectable, Transaction } from 'kysely'
import type { AnyTransaction } from '../foundation/database.ts'
import type { Clock } from '../foundation/time.ts'
import type { RunFile } from './contract.ts'
import { appendRunFact, runRowById } from './run-rows.ts'
import type { LogbookTables, RunFileTable } from './tables.ts'

export interface FileNews {
  bucket: string
  key: string
  role: 'raw' | 'sidecar'
  state: RunFile['state']
  sizeBytes?: number | null
  /** Of the bytes the store holds, read back. */
  sha256?: string | null
  /** Of the bytes the sender read from its disk. */
  expectedSha256?: string | null
  etag?: string | null
  verifiedMs?: number | null
  reason?: string
}

export interface StoredRunFile extends RunFile {
  runId: string
  /** What the sender said the SHA-256 is, if it did. */
  expectedSha256: string | null
}

/** Records a file of a run, or what is new about it; fields that are left out keep their value. */
export async function recordFile(
  trx: AnyTransaction,
  runId: string,
  news: FileNews,
  clock: Clock,
): Promise<StoredRunFile> {
  const db: Transaction<LogbookTables> = trx
  const nowMs = clock.nowMs()
  const before = await findFile(trx, news.bucket, news.key)
  const values = {
    run_id: runId,
    role: news.role,
    state: news.state,
    size_bytes: news.sizeBytes === undefined ? (before?.sizeBytes ?? null) : news.sizeBytes,
    sha256: news.sha256 === undefined ? (before?.sha256 ?? null) : news.sha256,
    expected_sha256: news.expectedSha256 === undefined ? (before?.expectedSha256 ?? null) : news.expectedSha256,
    etag: news.etag === undefined ? (before?.etag ?? null) : news.etag,
    verified_ms: news.verifiedMs === undefined ? (before?.verifiedMs ?? null) : news.verifiedMs,
    reason: news.reason ?? '',
    updated_ms: nowMs,
  }
  const row = await db
    .insertInto('logbook_run_file')
    .values({ bucket: news.bucket, key: news.key, ...values })
    .onConflict((conflict) => conflict.columns(['bucket', 'key']).doUpdateSet(values))
    .returningAll()
    .executeTakeFirstOrThrow()
  const file = fileOfRow(row)
  const told = before !== undefined && before.state === file.state && before.sha256 === file.sha256
  if (!told) await appendRunFact(trx, 'logbook.run-updated', await runRowById(trx, runId), clock, { changed: 'files' })
  return file
}

export async function findFile(database: Kysely<any>, bucket: string, key: string): Promise<StoredRunFile | undefined> {
  const db: Kysely<LogbookTables> = database
  const row = await db
    .selectFrom('logbook_run_file')
    .selectAll()
    .where('bucket', '=', bucket)
    .where('key', '=', key)
    .executeTakeFirst()
  return row === undefined ? undefined : fileOfRow(row)
}

export async function listFiles(database: Kysely<any>, runId: string): Promise<StoredRunFile[]> {
  const db: Kysely<LogbookTables> = database
  const rows = await db
    .selectFrom('logbook_run_file')
    .selectAll()
    .where('run_id', '=', runId)
    .orderBy('role')
    .orderBy('key')
    .execute()
  return rows.map(fileOfRow)
}

function fileOfRow(row: Selectable<RunFileTable>): StoredRunFile {
  return {
    runId: row.run_id,
    bucket: row.bucket,
    key: row.key,
    role: row.role,
    state: row.state,
    sizeBytes: row.size_bytes,
    sha256: row.sha256,
    expectedSha256: row.expected_sha256,
    etag: row.etag,
    verifiedMs: row.verified_ms,
    reason: row.reason,
    updatedMs: row.updated_ms,
  }
}
