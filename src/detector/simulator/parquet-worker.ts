/**
 * The thread that reads Parquet for `parquet-tracks.ts`: a damaged file can make the decoder loop for ever, which only ending its thread stops.
 * Answers {columns} once, then a group of rows for every message, then {end}; {problem} ends it.
 */
import { open } from 'node:fs/promises'
import { parentPort, workerData } from 'node:worker_threads'
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib'
import { parquetMetadataAsync, parquetRead } from 'hyparquet'
import type { AsyncBuffer, Compressors, DecodedArray, FileMetaData } from 'hyparquet'
import { depositColumns } from './deposit-row.ts'
import type { DepositColumn } from './deposit-row.ts'
import type { ParquetAnswer, ParquetGroup } from './parquet-tracks.ts'

/** One group of rows is in memory at a time. */
const mostRowsPerGroup = 4_000_000
/** A page that unfolds to more than this is not data. */
const maxOutputLength = 512 * 1024 * 1024

const compressors: Compressors = {
  GZIP: (input) => gunzipSync(input, { maxOutputLength }),
  BROTLI: (input) => brotliDecompressSync(input, { maxOutputLength }),
  ZSTD: (input) => zstdDecompressSync(input, { maxOutputLength }),
}

const port = parentPort!
const answer = (message: ParquetAnswer): void => port.postMessage(message)

async function* groups(path: string): AsyncGenerator<ParquetAnswer> {
  const handle = await open(path, 'r')
  try {
    const { size } = await handle.stat()
    const file: AsyncBuffer = {
      byteLength: size,
      async slice(start, end = size) {
        const from = start < 0 ? size + start : start
        if (!(from >= 0 && end <= size && end >= from)) throw new RangeError('a range outside of the file')
        const bytes = Buffer.alloc(end - from)
        const { bytesRead } = await handle.read(bytes, 0, bytes.length, from)
        if (bytesRead < bytes.length) throw new RangeError('the file became shorter')
        return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength)
      },
    }
    const metadata = await parquetMetadataAsync(file)
    const names = metadata.schema.slice(1).map((one) => one.name)
    yield { columns: names }
    const columns = depositColumns.filter((one) => names.includes(one))
    let firstRow = 0
    for (const group of metadata.row_groups) {
      const rows = Number(group.num_rows)
      if (!(rows >= 0 && rows <= mostRowsPerGroup))
        throw new RangeError(`a group of ${rows} rows where ${mostRowsPerGroup} are the most`)
      yield { group: await readGroup(file, metadata, columns, firstRow, rows) }
      firstRow += rows
    }
    yield { end: true }
  } finally {
    await handle.close()
  }
}

async function readGroup(
  file: AsyncBuffer,
  metadata: FileMetaData,
  columns: readonly DepositColumn[],
  firstRow: number,
  rows: number,
): Promise<ParquetGroup> {
  const values = new Map<DepositColumn, DecodedArray[]>(columns.map((one) => [one, []]))
  if (rows > 0)
    await parquetRead({
      file,
      metadata,
      columns: [...columns],
      rowStart: firstRow,
      rowEnd: firstRow + rows,
      compressors,
      onChunk: ({ columnName, columnData }) => values.get(columnName as DepositColumn)?.push(columnData),
    })
  for (const [column, chunks] of values) {
    const found = chunks.reduce((sum, chunk) => sum + chunk.length, 0)
    if (found !== rows) throw new RangeError(`column ${column} has ${found} values instead of ${rows}`)
  }
  return { firstRow, rows, values }
}

const reading = groups((workerData as { path: string }).path)

async function next(): Promise<void> {
  try {
    const step = await reading.next()
    answer(step.done ? { end: true } : step.value)
  } catch (error) {
    // Only what the system says (no such file, no access) is not the file's fault; libraries and zlib have codes too.
    const { code, syscall } = error as NodeJS.ErrnoException
    answer({
      problem: error instanceof Error ? error.message : String(error),
      ...(code === undefined || syscall === undefined ? {} : { code }),
    })
  }
}

port.on('message', () => void next())
