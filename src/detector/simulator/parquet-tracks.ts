import { Worker } from 'node:worker_threads'
import type { DecodedArray } from 'hyparquet'
import { badTracks, checkColumns, depositRow } from './deposit-row.ts'
import type { DepositColumn } from './deposit-row.ts'
import type { DepositRow } from './track-source.ts'

export interface ParquetGroup {
  firstRow: number
  rows: number
  values: Map<DepositColumn, DecodedArray[]>
}

/** What the reading thread says (see parquet-worker.ts). */
export type ParquetAnswer =
  | { columns: string[] }
  | { group: ParquetGroup }
  | { end: true }
  | { problem: string; code?: string }

/** A group of rows takes seconds at most. */
const patienceMs = 120_000

/** Rows of a Parquet file with columns of the same names as a CSV, group of rows by group of rows, read in a thread of its own. */
export async function* parquetRows(
  path: string,
  name: string,
  signal?: AbortSignal,
  stallMs = patienceMs,
): AsyncGenerator<{ row: DepositRow; place: string }> {
  const worker = new Worker(new URL('parquet-worker.ts', import.meta.url), {
    workerData: { path },
    resourceLimits: { maxOldGenerationSizeMb: 2048 },
  })
  try {
    let place = 'footer'
    for (;;) {
      signal?.throwIfAborted()
      const said = await ask(worker, stallMs)
      if ('end' in said) return
      if ('problem' in said) {
        if (said.code !== undefined) throw Object.assign(new Error(said.problem), { code: said.code })
        const what = `it cannot be read as Parquet (${said.problem}).`
        throw badTracks(name, place, what, 'Write it again, with one row per deposit and plain columns.')
      }
      if ('columns' in said) checkColumns(name, place, said.columns)
      else {
        yield* rowsOf(name, said.group)
        place = `after row ${said.group.firstRow + said.group.rows}`
      }
    }
  } finally {
    await worker.terminate()
  }
}

/** The next answer; a thread that dies or is silent for too long is a problem of the file. */
async function ask(worker: Worker, stallMs: number): Promise<ParquetAnswer> {
  const waiting = new AbortController()
  const { promise, resolve } = Promise.withResolvers<ParquetAnswer>()
  const silence = setTimeout(() => resolve({ problem: 'reading it does not come to an end' }), stallMs)
  const listen = (event: 'message' | 'error' | 'exit', hear: (value: unknown) => void): void => {
    worker.once(event, hear)
    waiting.signal.addEventListener('abort', () => worker.off(event, hear), { once: true })
  }
  listen('message', (message) => resolve(message as ParquetAnswer))
  listen('error', (error) => resolve({ problem: (error as Error).message }))
  listen('exit', () => resolve({ problem: 'the reading thread ended' }))
  worker.postMessage('next')
  try {
    return await promise
  } finally {
    clearTimeout(silence)
    waiting.abort()
  }
}

function* rowsOf(
  name: string,
  { firstRow, rows, values }: ParquetGroup,
): Generator<{ row: DepositRow; place: string }> {
  const current: Partial<Record<DepositColumn, unknown>> = {}
  const cursors = [...values].map(([column, chunks]) => ({ column, chunks, chunk: 0, at: 0 }))
  const valueOf = (column: DepositColumn): unknown => current[column]
  for (let i = 0; i < rows; i++) {
    for (const cursor of cursors) {
      while (cursor.at >= (cursor.chunks[cursor.chunk] as DecodedArray).length) {
        cursor.chunk++
        cursor.at = 0
      }
      current[cursor.column] = (cursor.chunks[cursor.chunk] as DecodedArray)[cursor.at++]
    }
    const place = `row ${firstRow + i + 1}`
    yield { row: depositRow(name, place, valueOf), place }
  }
}
