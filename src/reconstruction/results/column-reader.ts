/** Columns of Parquet files as arrays of numbers, row group by row group, the last ones read kept in memory. */
import { readSync } from 'node:fs'
import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { parquetMetadataAsync, parquetScan } from 'hyparquet'
import type { AsyncBuffer, DecodedArray, FileMetaData } from 'hyparquet'

export interface TableGroup {
  rows: number
  /** Values of a column; flags are 1 or 0, what is absent is NaN. Shared: do not write to it. */
  column(name: string): Promise<Float64Array>
}
export interface OpenTable {
  columns: ReadonlySet<string>
  groups(): AsyncIterable<TableGroup>
  close(): Promise<void>
}
export interface ColumnReader {
  /** Throws what the file system or the Parquet reader says. */
  open(path: string): Promise<OpenTable>
}

/** What is remembered of decoded columns. */
const defaultMemoryBytes = 64 * 1024 * 1024
/** A footer of sixty columns in ten row groups takes about 0.3 MB of objects. */
const rememberedFooters = 100
/** Larger row groups, of files that are not ours, are read in pieces. */
const mostRowsAtOnce = 50_000

export function createColumnReader(memoryBytes = defaultMemoryBytes): ColumnReader {
  const footers = new Map<string, FileMetaData>()
  const columns = new Map<string, Float64Array>()
  let usedBytes = 0
  function remember(key: string, values: Float64Array): void {
    columns.set(key, values)
    usedBytes += values.byteLength
    for (const [oldest, old] of columns) {
      if (usedBytes <= memoryBytes) break
      columns.delete(oldest)
      usedBytes -= old.byteLength
    }
  }
  function recall(key: string): Float64Array | undefined {
    const values = columns.get(key)
    if (values === undefined) return undefined
    columns.delete(key)
    columns.set(key, values)
    return values
  }
  return {
    async open(path) {
      const handle = await open(path, 'r')
      try {
        const { size, mtimeMs, ino } = await handle.stat()
        const file = bufferOf(handle, size)
        const version = `${path}\0${size}\0${mtimeMs}\0${ino}`
        const metadata = footers.get(version) ?? (await parquetMetadataAsync(file))
        footers.delete(version)
        footers.set(version, metadata)
        if (footers.size > rememberedFooters) footers.delete(footers.keys().next().value!)
        return {
          columns: new Set(metadata.schema.map(({ name }) => name)),
          async *groups() {
            const scan = await parquetScan({ file, metadata })
            for (const { rowStart, rowEnd } of scan.ranges) {
              for (let from = rowStart; from < rowEnd; from += mostRowsAtOnce) {
                const to = Math.min(rowEnd, from + mostRowsAtOnce)
                yield {
                  rows: to - from,
                  async column(name) {
                    const key = `${version}\0${from}\0${name}`
                    const known = recall(key)
                    if (known !== undefined) return known
                    const values = numbersOf(await scan.readColumn({ column: name, rowStart: from, rowEnd: to }))
                    remember(key, values)
                    return values
                  },
                }
              }
            }
          },
          close: () => handle.close(),
        }
      } catch (error) {
        await handle.close()
        throw error
      }
    },
  }
}

function numbersOf(values: DecodedArray): Float64Array {
  if (values instanceof Float64Array) return values
  if (values instanceof Float32Array || values instanceof Int32Array) return Float64Array.from(values)
  return Float64Array.from(values as ArrayLike<unknown>, (value) =>
    value === null || value === undefined ? Number.NaN : Number(value),
  )
}

/**
 * Reads wait in place: a column of a row group is some kilobytes, mostly in the page cache, and going through the pool of
 * Node's threads takes longer than the read. The thread has nothing else to do than to read.
 */
function bufferOf(handle: FileHandle, sizeBytes: number): AsyncBuffer {
  return {
    byteLength: sizeBytes,
    slice(start, end = sizeBytes) {
      const bytes = new Uint8Array(end - start)
      const bytesRead = readSync(handle.fd, bytes, 0, bytes.length, start)
      return bytesRead === bytes.length ? bytes.buffer : bytes.buffer.slice(0, bytesRead)
    },
  }
}
