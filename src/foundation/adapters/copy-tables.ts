/** Rows from one database to another of whatever kind, in the order of their keys, in batches, and proof of equality. */
import { createHash } from 'node:crypto'
import { sql, type AnyColumn } from 'kysely'
import type { AnyKysely } from '../database.ts'
import type { Side, TableShape } from './table-shapes.ts'

export type Row = Record<string, string | number | null>

/** Where the reading of a table is: the key of the last row, and how many rows there were. */
export interface Position {
  after: (string | number)[] | null
  rows: number
}

/** Of one table: how many rows, and a sum over the hashes of all rows, whatever their order. */
export interface TableDigest {
  name: string
  rows: number
  sha256: string
}

const firstBatchRows = 16
const mostBatchRows = 2_000
/** Of text in a batch, about: rows differ by a factor of a thousand. */
const batchBytes = 4 * 1024 * 1024

/** Batches of a table in the order of its key; memory does not grow with the table, whatever the size of its rows. */
export async function* readTable(
  { kysely }: Side,
  { name, key }: TableShape,
  after: Position['after'],
): AsyncGenerator<Row[]> {
  let position = after
  let limit = firstBatchRows
  for (;;) {
    let query = kysely.selectFrom(name).selectAll().limit(limit)
    for (const column of key) query = query.orderBy(column as AnyColumn<never, never>)
    if (position !== null)
      query = query.where(sql<boolean>`(${sql.join(key.map((each) => sql.ref(each)))}) > (${sql.join(position)})`)
    const rows = (await query.execute()) as Row[]
    if (rows.length > 0) yield rows
    if (rows.length < limit) return
    position = keyOf(rows.at(-1)!, key)
    const bytesPerRow = rows.reduce((sum, row) => sum + sizeOf(row), 0) / rows.length
    limit = Math.max(1, Math.min(mostBatchRows, limit * 4, Math.floor(batchBytes / bytesPerRow)))
  }
}

export function keyOf(row: Row, key: string[]): (string | number)[] {
  return key.map((column) => row[column]!)
}

function sizeOf(row: Row): number {
  return Object.values(row).reduce<number>((sum, value) => sum + (typeof value === 'string' ? value.length : 8), 0)
}

/** Parameters of one statement: PostgreSQL takes 65 535; SQLite is quickest with one row at a time. */
const mostParameters = 20_000

export async function insertRows(trx: AnyKysely, kind: Side['kind'], table: TableShape, rows: Row[]): Promise<void> {
  const atOnce = kind === 'sqlite' ? 1 : Math.max(1, Math.floor(mostParameters / table.columns.length))
  for (let start = 0; start < rows.length; start += atOnce) {
    await trx
      .insertInto(table.name)
      .values(rows.slice(start, start + atOnce))
      .execute()
  }
}

/** Takes all rows out, of the tables that lean on others first. */
export async function emptyTables(trx: AnyKysely, tables: readonly TableShape[]): Promise<void> {
  for (const { name } of tables.toReversed()) await trx.deleteFrom(name).execute()
}

/** Copies whole tables in one go, inside one transaction of the target if `to.kysely` is one. */
export async function copyAllTables(from: Side, to: Side, tables: readonly TableShape[]): Promise<void> {
  for (const table of tables) {
    for await (const rows of readTable(from, table, null)) {
      if (to.kysely.isTransaction) await insertRows(to.kysely, to.kind, table, rows)
      else await to.kysely.transaction().execute(async (trx) => await insertRows(trx, to.kind, table, rows))
    }
  }
}

export async function digestOf(side: Side, table: TableShape): Promise<TableDigest> {
  let rows = 0
  let sum = 0n
  for await (const batch of readTable(side, table, null)) {
    rows += batch.length
    for (const row of batch) sum += BigInt(`0x${createHash('sha256').update(canonical(row, table)).digest('hex')}`)
    sum &= (1n << 256n) - 1n
  }
  return { name: table.name, rows, sha256: sum.toString(16).padStart(64, '0') }
}

/** The same text for the same row, whichever database it was read from. */
function canonical(row: Row, { columns }: TableShape): string {
  return JSON.stringify(
    columns.map(({ name }) => {
      const value = row[name]!
      return typeof value === 'number' && !Number.isFinite(value) ? { number: String(value) } : value
    }),
  )
}

export interface TableDifference {
  name: string
  rows: number
  otherRows: number
}

/** Compares all tables; answers the digests of the first side and the tables that differ. */
export async function compareTables(
  one: Side,
  other: Side,
  tables: readonly TableShape[],
  onTable: (name: string) => void = () => {},
): Promise<{ digests: TableDigest[]; differences: TableDifference[] }> {
  const digests: TableDigest[] = []
  const differences: TableDifference[] = []
  for (const table of tables) {
    onTable(table.name)
    const digest = await digestOf(one, table)
    const otherDigest = await digestOf(other, table)
    digests.push(digest)
    if (digest.rows !== otherDigest.rows || digest.sha256 !== otherDigest.sha256)
      differences.push({ name: table.name, rows: digest.rows, otherRows: otherDigest.rows })
  }
  return { digests, differences }
}
