/** The selected rows of many files as one file, batch by batch. Runs in a worker thread. */
import type { SourceName } from './quantities.ts'
import { rowWriters } from './row-writers.ts'
import { batches, compileRequest, passing, pick, UnusableTable } from './scan.ts'
import type { ScanFile, ScanOptions } from './scan.ts'

export interface ExportRequest {
  source: SourceName
  cuts: string
  files: ScanFile[]
  /** Names of quantities. */
  columns: string[]
  /** Nobody named the columns: those that an older file does not have are filled with what stands for them. */
  allColumns: boolean
  format: string
  about: Record<string, string>
}

/** A file that lacks a column that was named, or is cut on, ends the export: a part must not pass for the whole. */
export async function* exportRows(request: ExportRequest, options: ScanOptions): AsyncGenerator<Uint8Array> {
  const compiled = compileRequest(request.source, request.cuts, [])
  const quantities = request.columns.map((name) => compiled.quantities.get(name)!)
  const sink = rowWriters[request.format]!.open(quantities, request.about)
  const needed = [...new Set([...compiled.columns, ...(request.allColumns ? [] : request.columns)])]
  const optional = request.columns.filter((name) => !needed.includes(name))
  try {
    for (const file of request.files) {
      try {
        for await (const batch of batches(file, needed, compiled.quantities, options, optional)) {
          const kept = passing(batch, compiled)
          if (kept.length === 0) continue
          const values = request.columns.map((name) => pick(batch.columns.get(name)!, kept))
          yield* sink.rows({ rows: kept.length, values })
        }
      } catch (error) {
        if (!(error instanceof UnusableTable)) throw error
        throw new Error(`run ${file.number} was ${error.message}`, { cause: error })
      }
    }
    yield* sink.end()
  } finally {
    await sink.close?.()
  }
}
