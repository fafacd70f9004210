/** Versions of calibrations and which one is valid for a run. */
import type { Kysely, Selectable, Transaction } from 'kysely'
import type { AnyKysely, AnyTransaction } from '../foundation/database.ts'
import type { Calibration } from './contract.ts'
import type { CalibrationTable, ReconstructionTables } from './tables.ts'

type Reader = Kysely<ReconstructionTables>

/**
 * The pedestal valid for a run: of the same experiment and series, made from the latest run not after it, its newest
 * version. (The reference takes the latest pedestal run <= the run with at least 100 events; how many images a map
 * was made from is a warning in its quality here, not a condition.)
 */
export async function findPedestal(
  database: AnyKysely,
  experiment: string,
  series: string,
  number: number,
): Promise<Calibration | undefined> {
  const db: Reader = database
  const row = await db
    .selectFrom('reconstruction_calibration')
    .selectAll()
    .where('experiment', '=', experiment)
    .where('series', '=', series)
    .where('kind', '=', 'pedestal')
    .where('from_run', '<=', number)
    .orderBy('from_run', 'desc')
    .orderBy('version', 'desc')
    .limit(1)
    .executeTakeFirst()
  return row === undefined ? undefined : calibrationOfRow(row)
}

export async function calibrationById(database: AnyKysely, id: string): Promise<Calibration | undefined> {
  const db: Reader = database
  const row = await db.selectFrom('reconstruction_calibration').selectAll().where('id', '=', id).executeTakeFirst()
  return row === undefined ? undefined : calibrationOfRow(row)
}

/** Newest first. */
export async function listCalibrations(
  database: AnyKysely,
  experiment: string,
  filter: { series?: string | undefined; limit: number; offset: number },
): Promise<Calibration[]> {
  const db: Reader = database
  let query = db.selectFrom('reconstruction_calibration').selectAll().where('experiment', '=', experiment)
  if (filter.series !== undefined) query = query.where('series', '=', filter.series)
  const rows = await query
    .orderBy('made_at_ms', 'desc')
    .orderBy('id', 'desc')
    .limit(filter.limit)
    .offset(filter.offset)
    .execute()
  return rows.map(calibrationOfRow)
}

/** Adds the next version for the run it was made from; the same task adds one once only. */
export async function addCalibration(
  trx: AnyTransaction,
  given: Omit<CalibrationTable, 'version' | 'quality'> & { quality: Record<string, unknown> },
): Promise<Calibration> {
  const db: Transaction<ReconstructionTables> = trx
  const last = await db
    .selectFrom('reconstruction_calibration')
    .select(({ fn }) => fn.max('version').as('version'))
    .where('made_from_run_id', '=', given.made_from_run_id)
    .where('kind', '=', given.kind)
    .executeTakeFirst()
  const row = await db
    .insertInto('reconstruction_calibration')
    .values({ ...given, version: Number(last?.version ?? 0) + 1, quality: JSON.stringify(given.quality) })
    .returningAll()
    .executeTakeFirstOrThrow()
  return calibrationOfRow(row)
}

function calibrationOfRow(row: Selectable<CalibrationTable>): Calibration {
  return {
    id: row.id,
    experiment: row.experiment,
    series: row.series,
    kind: row.kind,
    version: row.version,
    fromRun: row.from_run,
    madeFromRun: row.made_from_number,
    bucket: row.bucket,
    key: row.object_key,
    sha256: row.sha256,
    sizeBytes: row.size_bytes,
    codeVersion: row.code_version,
    madeAtMs: row.made_at_ms,
    quality: JSON.parse(row.quality) as Record<string, unknown>,
  }
}
