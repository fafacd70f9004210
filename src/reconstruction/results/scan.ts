/**
 * One pass over the files of a selection: cuts, histogram, plane, one value per run. Runs in a worker thread
 * (scan-worker.ts); reads only the columns that are asked for, one row group at a time.
 */
import type { FilledHistogram, Plane, Sample } from '../results-contract.ts'
import type { ColumnReader, OpenTable, TableGroup } from './column-reader.ts'
import { parseCuts, parseExpression, quantitiesOf } from './expression.ts'
import type { Quantity } from './expression.ts'
import { compileExpression } from './expression-values.ts'
import type { Batch, Evaluate } from './expression-values.ts'
import { createHistogram, createPlane } from './histogram.ts'
import type { AxisRequest } from './histogram.ts'
import { createRunValue } from './run-value.ts'
import type { RunValue, RunValueRequest } from './run-value.ts'
import { sources } from './quantities.ts'
import type { SourceName } from './quantities.ts'

export interface ScanFile {
  path: string
  number: number
  images: number
}

/** Its expressions have been checked. */
export interface ScanRequest {
  source: SourceName
  cuts: string
  /** In the order in which they are read: newest first. */
  files: ScanFile[]
  x?: AxisRequest
  y?: AxisRequest
  /** Axes of the plane of x and y, when one is wanted. */
  plane?: { x: AxisRequest; y: AxisRequest }
  perRun?: RunValueRequest
}

export interface ScanState {
  filesDone: number
  images: number
  rows: number
  passed: number
  /** Files that could not be used. */
  missing: { number: number; reason: string }[]
  cuts: { cut: string; left: number; alone: number }[]
  histogram?: FilledHistogram
  plane?: Plane
  sample?: Sample
  runs?: RunValue[]
}

export interface ScanOptions {
  reader: ColumnReader
  signal: AbortSignal
  /** For coarse answers between; default the real one. */
  nowMs?: () => number
}

/** A first answer is given early when it is worth something, others at most every so often. */
const betweenMs = 250
const firstRows = 500
const firstPatienceMs = 600

/** Compiled parts of a request, and which columns they read. */
export interface Compiled {
  quantities: ReadonlyMap<string, Quantity>
  cuts: { cut: string; passes: Evaluate }[]
  columns: string[]
  evaluate(text: string): Evaluate
}

export function compileRequest(source: SourceName, cuts: string, expressions: readonly string[]): Compiled {
  const all = sources[source]!.quantities
  const read = new Set<string>()
  const parsed = parseCuts(cuts, all)
  if (parsed.problem !== undefined) throw new Error(parsed.problem.message)
  for (const { node } of parsed.cuts) for (const name of quantitiesOf(node)) read.add(name)
  const made = new Map<string, Evaluate>()
  for (const text of expressions) {
    const { node, problem } = parseExpression(text, all, 'number')
    if (problem !== undefined) throw new Error(problem.message)
    for (const name of quantitiesOf(node)) read.add(name)
    made.set(text, compileExpression(node))
  }
  return {
    quantities: new Map(all.map((quantity) => [quantity.name, quantity])),
    cuts: parsed.cuts.map(({ node, text }) => ({ cut: text.trim(), passes: compileExpression(node) })),
    columns: [...read],
    evaluate: (text) => made.get(text)!,
  }
}

/** Coarse answers, then the whole one. Stops between row groups when the signal aborts. */
export async function* scan(request: ScanRequest, options: ScanOptions): AsyncGenerator<ScanState> {
  const { signal, nowMs = () => performance.now() } = options
  const expressions = [request.x, request.y, request.plane?.x, request.plane?.y, request.perRun]
    .map((one) => one?.quantity)
    .filter((one) => one !== undefined)
  const compiled = compileRequest(request.source, request.cuts, expressions)
  const histogram = request.x === undefined ? undefined : createHistogram(request.x)
  const plane = request.plane === undefined ? undefined : createPlane(request.plane.x, request.plane.y)
  const runs: RunValue[] = []
  const missing: ScanState['missing'] = []
  const counts = compiled.cuts.map(({ cut }) => ({ cut, left: 0, alone: 0 }))
  const totals = { filesDone: 0, images: 0, rows: 0, passed: 0 }
  const snapshot = (): ScanState => ({
    ...totals,
    missing: [...missing],
    cuts: counts.map((one) => ({ ...one })),
    ...(histogram === undefined ? {} : { histogram: histogram.snapshot() }),
    ...(plane === undefined ? {} : { plane: plane.plane(), sample: plane.sample() }),
    ...(request.perRun === undefined ? {} : { runs: [...runs] }),
  })
  // The event number goes with the points of a plane, so that a point opens its event.
  const columns = plane === undefined ? compiled.columns : [...new Set([...compiled.columns, 'event'])]
  const startMs = nowMs()
  let toldMs = startMs
  let told = false
  for (const file of request.files) {
    signal.throwIfAborted()
    const value = request.perRun === undefined ? undefined : createRunValue(file.number, request.perRun)
    try {
      for await (const batch of batches(file, columns, compiled.quantities, options)) {
        const kept = passing(batch, compiled, counts)
        totals.rows += batch.rows
        totals.passed += kept.length
        if (value !== undefined) value.add(batch.rows, kept.length)
        if (kept.length === 0) continue
        const take = (quantity: string): Float64Array => pick(compiled.evaluate(quantity)(batch), kept)
        if (histogram !== undefined) histogram.add(take(request.x!.quantity))
        if (plane !== undefined) {
          const event = batch.columns.get('event')
          plane.add({
            x: take(request.plane!.x.quantity),
            y: take(request.plane!.y.quantity),
            run: file.number,
            event: event === undefined ? undefined : pick(event, kept),
          })
        }
        if (value?.wantsValues === true) value.values(take(request.perRun!.quantity))
      }
      totals.images += file.images
      if (value !== undefined) runs.push(value.result())
    } catch (error) {
      signal.throwIfAborted()
      missing.push({ number: file.number, reason: reasonOf(error) })
    }
    totals.filesDone++
    const now = nowMs()
    const isWorthIt = told ? now - toldMs >= betweenMs : totals.passed >= firstRows || now - startMs >= firstPatienceMs
    if (isWorthIt && totals.filesDone < request.files.length) {
      toldMs = now
      told = true
      yield snapshot()
    }
  }
  yield snapshot()
}

export class UnusableTable extends Error {}

/**
 * The batches of a file with the columns that are asked for, by the names of their quantities. Columns of `optional`
 * that an older file does not have are filled with what stands for them.
 */
export async function* batches(
  file: ScanFile,
  names: readonly string[],
  quantities: ReadonlyMap<string, Quantity>,
  { reader, signal }: ScanOptions,
  optional: readonly string[] = [],
): AsyncGenerator<Batch> {
  const table = await reader.open(file.path)
  try {
    const absent = absentFrom(table, [...names, ...optional], quantities)
    const needed = absent.filter((name) => names.includes(name))
    if (needed.length > 0) throw new UnusableTable(`made before there was ${needed.join(', ')}; reconstruct it again`)
    const present = [...names, ...optional].filter((name) => !absent.includes(name))
    for await (const group of table.groups()) {
      signal.throwIfAborted()
      const columns = await columnsOf(group, file, present, quantities)
      for (const name of absent) columns.set(name, new Float64Array(group.rows).fill(quantities.get(name)!.neutral))
      yield { rows: group.rows, columns }
    }
  } finally {
    await table.close()
  }
}

async function columnsOf(
  group: TableGroup,
  file: ScanFile,
  names: readonly string[],
  quantities: ReadonlyMap<string, Quantity>,
): Promise<Map<string, Float64Array>> {
  const columns = new Map<string, Float64Array>()
  for (const name of names) {
    const column = quantities.get(name)?.column
    if (column === undefined) continue
    // The only thing known of a row that is not in its file is its run.
    columns.set(name, column === null ? new Float64Array(group.rows).fill(file.number) : await group.column(column))
  }
  return columns
}

function absentFrom(table: OpenTable, names: readonly string[], quantities: ReadonlyMap<string, Quantity>): string[] {
  return names.filter((name) => {
    const column = quantities.get(name)?.column
    return typeof column === 'string' && !table.columns.has(column)
  })
}

/** Row numbers that pass all cuts; counts how many pass each. */
export function passing(
  batch: Batch,
  compiled: Pick<Compiled, 'cuts'>,
  counts?: { left: number; alone: number }[],
): Int32Array {
  const passes = new Uint8Array(batch.rows).fill(1)
  compiled.cuts.forEach((cut, index) => {
    const values = cut.passes(batch)
    let left = 0
    let alone = 0
    for (let row = 0; row < batch.rows; row++) {
      if (values[row] === 0) passes[row] = 0
      else {
        alone++
        left += passes[row]!
      }
    }
    if (counts !== undefined) {
      counts[index]!.left += left
      counts[index]!.alone += alone
    }
  })
  const kept = new Int32Array(batch.rows)
  let found = 0
  for (let row = 0; row < batch.rows; row++) if (passes[row] === 1) kept[found++] = row
  return kept.subarray(0, found)
}

export function pick(values: Float64Array, rows: Int32Array): Float64Array {
  const out = new Float64Array(rows.length)
  for (let index = 0; index < rows.length; index++) out[index] = values[rows[index]!]!
  return out
}

export function reasonOf(error: unknown): string {
  if (error instanceof UnusableTable) return error.message
  if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'its table is not in the store'
  return `its table cannot be read: ${error instanceof Error ? error.message : String(error)}`
}
