/** The formats in which selected rows can be taken along. A new one is a line in `rowWriters`. */
import { ByteWriter, ParquetWriter, schemaFromColumnData } from 'hyparquet-writer'
import type { Quantity } from './expression.ts'
import { rootWriter } from './root-rows.ts'

export interface RowBatch {
  rows: number
  /** In the order of the columns; flags are 1 or 0, absent values NaN. */
  values: readonly Float64Array[]
}
/** Turns batches into bytes; nothing of it may grow with the number of rows but what the format's footer needs. */
export interface RowSink {
  rows(batch: RowBatch): Iterable<Uint8Array> | AsyncIterable<Uint8Array>
  end(): Iterable<Uint8Array> | AsyncIterable<Uint8Array>
  /** Called once at the end, also of an export that failed or was left. */
  close?(): Promise<void>
}
export interface RowWriter {
  contentType: string
  /** Of the file, without the dot. */
  extension: string
  /** `about` says where the rows come from, for formats that can keep it. */
  open(columns: readonly Quantity[], about: Readonly<Record<string, string>>): RowSink
}

const encoder = new TextEncoder()

/** Names of columns as in the API; a number in as few digits as give it back. */
const csv: RowWriter = {
  contentType: 'text/csv; charset=utf-8',
  extension: 'csv',
  open(columns) {
    const state = { started: false }
    const head = `${columns.map(({ name }) => name).join(',')}\n`
    return {
      *rows({ rows, values }) {
        const lines: string[] = state.started ? [] : [head]
        state.started = true
        for (let row = 0; row < rows; row++)
          lines.push(`${columns.map(({ storage }, index) => cell(values[index]![row]!, storage)).join(',')}\n`)
        yield encoder.encode(lines.join(''))
      },
      *end() {
        if (!state.started) yield encoder.encode(head)
      },
    }
  },
}

function cell(value: number, storage: Quantity['storage']): string {
  if (Number.isNaN(value)) return ''
  if (storage === 'BOOLEAN') return value === 0 ? 'false' : 'true'
  if (storage !== 'FLOAT') return String(value)
  for (let digits = 6; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits))
    if (Math.fround(short) === value) return String(short)
  }
  return String(Number(value.toPrecision(9)))
}

const rowsPerGroup = 20_000

/** Snake-case columns as in the files the rows come from, and `run`. */
const parquet: RowWriter = {
  contentType: 'application/vnd.apache.parquet',
  extension: 'parquet',
  open(columns, about) {
    const columnData = (batch: RowBatch) =>
      columns.map(({ column, name, storage }, index) => ({
        name: column ?? name,
        type: storage,
        nullable: storage === 'DOUBLE',
        data: typed(batch.values[index]!, storage),
      }))
    const empty: RowBatch = { rows: 0, values: columns.map(() => new Float64Array()) }
    const bytes = new ByteWriter()
    const kvMetadata = Object.entries(about).map(([key, value]) => ({ key: `cygnet.${key}`, value }))
    const schema = schemaFromColumnData({ columnData: columnData(empty) })
    const writer = new ParquetWriter({ writer: bytes, schema, kvMetadata, createdBy: 'cygnet' })
    const held: { rows: number; batches: RowBatch[] } = { rows: 0, batches: [] }
    function* drained(): Generator<Uint8Array> {
      if (bytes.index === 0) return
      yield bytes.getBytes().slice()
      // `offset` goes on counting: the footer speaks of places in the whole file.
      bytes.index = 0
    }
    function* writeHeld(): Generator<Uint8Array> {
      if (held.rows === 0) return
      const values = columns.map((_, index) => joined(held.batches.map((batch) => batch.values[index]!)))
      writer.write({ columnData: columnData({ rows: held.rows, values }), rowGroupSize: held.rows })
      held.rows = 0
      held.batches = []
      yield* drained()
    }
    return {
      *rows(batch) {
        held.batches.push(batch)
        held.rows += batch.rows
        if (held.rows >= rowsPerGroup) yield* writeHeld()
      },
      *end() {
        yield* writeHeld()
        writer.finish()
        yield* drained()
      },
    }
  },
}

function typed(values: Float64Array, storage: Quantity['storage']) {
  if (storage === 'INT32') return Int32Array.from(values)
  if (storage === 'FLOAT') return Float32Array.from(values)
  if (storage === 'BOOLEAN') return Array.from(values, (value) => value !== 0)
  return Array.from(values, (value) => (Number.isNaN(value) ? null : value))
}

function joined(parts: readonly Float64Array[]): Float64Array {
  const out = new Float64Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}

export const rowWriters: Readonly<Record<string, RowWriter>> = { csv, parquet, root: rootWriter() }
