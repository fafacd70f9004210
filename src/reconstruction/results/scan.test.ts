import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parquetWriteBuffer } from 'hyparquet-writer'
import { parquetReadObjects } from 'hyparquet'
import fc from 'fast-check'
import { expect, onTestFinished, test } from 'vitest'
import { rounds, temporaryDirectory } from '../../foundation/testing.ts'
import type { Cluster } from '../contract.ts'
import { createColumnReader } from './column-reader.ts'
import { exportRows } from './export-rows.ts'
import { binOf, chooseRange, createHistogram, createPlane, seededRandom } from './histogram.ts'
import { createScanPool } from './scan-pool.ts'
import { scan } from './scan.ts'
import type { ScanFile, ScanRequest, ScanState } from './scan.ts'
import { writeRun } from './testing.ts'

const never = new AbortController().signal

/** Runs of random clusters; the same numbers as plain objects beside the files. */
async function runs(count: number, imagesPerRun: number, clustersPerImage: number) {
  const { path } = await temporaryDirectory()
  const random = seededRandom(99)
  const files: ScanFile[] = []
  const rows: (Pick<Cluster, 'integralCounts' | 'rmsCounts' | 'lengthPx' | 'selected'> & {
    run: number
    event: number
  })[] = []
  for (let number = count; number >= 1; number--) {
    const images = Array.from({ length: imagesPerRun }, (_, event) =>
      Array.from({ length: clustersPerImage }, () => {
        const cluster = {
          integralCounts: Math.fround(500 + 20_000 * random()),
          rmsCounts: Math.fround(20 * random()),
          lengthPx: Math.fround(400 * random() ** 2),
          selected: random() > 0.5,
        }
        rows.push({ ...cluster, run: number, event })
        return cluster
      }),
    )
    const folder = join(path, String(number))
    await writeRun(folder, number, images)
    files.push({ path: join(folder, 'clusters.parquet'), number, images: imagesPerRun })
  }
  return { files, rows }
}

async function last(request: ScanRequest): Promise<ScanState> {
  let state: ScanState | undefined
  for await (const one of scan(request, { reader: createColumnReader(), signal: never })) state = one
  return state!
}

test('histogram, plane, cut flow and moments are those of a naive count over the rows', async () => {
  const { files, rows } = await runs(4, 30, 25)
  const cuts = 'rmsCounts > 6 and 10 < lengthPx < 200 and (selected or run == 2)'
  const y = { quantity: 'log10(integralCounts)', unit: '', low: 2.5, high: 4.5, bins: 8 }
  const x = { quantity: '0.152*lengthPx', unit: 'mm', low: 2, high: 20, bins: 36 }
  const state = await last({ source: 'cluster', cuts, files, x, plane: { x: { ...x, bins: 9 }, y } })
  const first = rows.filter((row) => row.rmsCounts > 6)
  const second = first.filter((row) => 10 < row.lengthPx && row.lengthPx < 200)
  const kept = second.filter((row) => row.selected || row.run === 2)
  expect(kept.length).toBeGreaterThan(200)
  expect(state).toMatchObject({ filesDone: 4, images: 120, rows: rows.length, passed: kept.length, missing: [] })
  expect(state.cuts).toEqual([
    { cut: 'rmsCounts > 6', left: first.length, alone: first.length },
    {
      cut: '10 < lengthPx < 200',
      left: second.length,
      alone: rows.filter((row) => 10 < row.lengthPx && row.lengthPx < 200).length,
    },
    {
      cut: '(selected or run == 2)',
      left: kept.length,
      alone: rows.filter((row) => row.selected || row.run === 2).length,
    },
  ])
  const values = kept.map((row) => 0.152 * row.lengthPx)
  const counts = new Array<number>(36).fill(0)
  for (const value of values) if (value >= 2 && value < 20) counts[Math.floor((value - 2) / 0.5)]!++
  const inside = values.filter((value) => value >= 2 && value < 20)
  const mean = inside.reduce((sum, value) => sum + value, 0) / inside.length
  expect(state.histogram!.counts).toEqual(counts)
  expect(state.histogram).toMatchObject({
    underflow: values.filter((value) => value < 2).length,
    overflow: values.filter((value) => value >= 20).length,
    invalid: 0,
  })
  expect(state.histogram!.mean).toBeCloseTo(mean, 9)
  const cells = new Array<number>(72).fill(0)
  let outside = 0
  kept.forEach((row) => {
    const column = Math.floor((0.152 * row.lengthPx - 2) / 2)
    const line = Math.floor((Math.log10(row.integralCounts) - 2.5) / 0.25)
    if (column >= 0 && column < 9 && line >= 0 && line < 8) cells[line * 9 + column]!++
    else outside++
  })
  expect(state.plane).toMatchObject({ counts: cells, outside })
  expect(state.sample).toMatchObject({ of: kept.length - outside, isSample: false })
})

test('a range that was not given holds nearly all values; whole numbers get whole bins', () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 300 }),
      fc.integer({ min: 1, max: 80 }),
      (values, bins) => {
        const range = chooseRange(values, { quantity: 'x', unit: '', bins })
        expect(range.high).toBeGreaterThan(range.low)
        expect(range.bins).toBeLessThanOrEqual(Math.max(bins, 2))
        const within = values.filter((value) => {
          const bin = binOf(value, range)
          return bin >= 0 && bin < range.bins
        })
        expect(within.length).toBeGreaterThanOrEqual(Math.floor(0.98 * values.length) - 2)
      },
    ),
    { numRuns: rounds(200) },
  )
  expect(chooseRange([0, 1, 2, 3, 3, -999], { quantity: 'x', unit: '', bins: 60 })).toEqual({
    low: -0.5,
    high: 3.5,
    bins: 4,
  })
  const nothing = createHistogram({ quantity: 'x', unit: '', bins: 5 }).snapshot()
  expect(nothing).toMatchObject({ low: 0, high: 1, counts: [0, 0, 0, 0, 0], mean: null, rms: null })
})

test('a scatter plot holds a fair random sample and says so', () => {
  const plane = createPlane(
    { quantity: 'x', unit: '', low: 0, high: 1, bins: 10 },
    { quantity: 'y', unit: '', low: 0, high: 1, bins: 10 },
  )
  const rows = 40_000
  const x = Float64Array.from({ length: rows }, (_, row) => row / rows)
  plane.add({ x, y: x, run: 1, event: x.map((_, row) => row) })
  const { points, of, isSample } = plane.sample()
  expect({ of, isSample, count: points.length }).toEqual({ of: rows, isSample: true, count: 4000 })
  const firstTenth = points.filter((point) => point.x < 0.1).length
  expect(firstTenth).toBeGreaterThan(300)
  expect(firstTenth).toBeLessThan(500)
  expect(points.every((point) => point.event === Math.round(point.x * rows))).toBe(true)
})

test('files that are gone, broken or older than a column are named, the others count', async () => {
  const { files, rows } = await runs(1, 3, 4)
  const { path } = await temporaryDirectory()
  await writeFile(join(path, 'broken.parquet'), 'PAR1 this is not a table PAR1')
  const old = parquetWriteBuffer({ columnData: [{ name: 'event', type: 'INT32', data: [1, 2] }] })
  await writeFile(join(path, 'old.parquet'), new Uint8Array(old))
  const others = ['gone.parquet', 'broken.parquet', 'old.parquet'].map((name, index) => ({
    path: join(path, name),
    number: 10 + index,
    images: 1,
  }))
  const x = { quantity: 'rmsCounts', unit: '', bins: 5 }
  const state = await last({ source: 'cluster', cuts: '', files: [...others, ...files], x })
  expect(state).toMatchObject({ filesDone: 4, rows: rows.length, images: 3 })
  expect(state.missing).toEqual([
    { number: 10, reason: 'its table is not in the store' },
    { number: 11, reason: expect.stringMatching(/cannot be read/) },
    { number: 12, reason: 'made before there was rmsCounts; reconstruct it again' },
  ])
})

test('the coarse answer of the newest runs comes first and is refined; remembered columns give the same', async () => {
  const { files } = await runs(6, 20, 30)
  const reader = createColumnReader(20_000)
  const clock = { ms: 0 }
  const request: ScanRequest = {
    source: 'cluster',
    cuts: 'rmsCounts > 1',
    files,
    x: { quantity: 'integralCounts', unit: '', bins: 40 },
  }
  for (const round of [1, 2]) {
    const states: ScanState[] = []
    for await (const state of scan(request, { reader, signal: never, nowMs: () => (clock.ms += 300) }))
      states.push(state)
    expect(
      states.map(({ filesDone }) => filesDone),
      `round ${round}`,
    ).toEqual([1, 2, 3, 4, 5, 6])
    const [first] = states
    const whole = states.at(-1)!
    expect([first!.histogram!.low, first!.histogram!.high]).toEqual([whole.histogram!.low, whole.histogram!.high])
    expect(first!.passed).toBeLessThan(whole.passed)
    expect(whole.histogram).toEqual((await last(request)).histogram)
  }
})

test('medians, means and peaks per run', async () => {
  const { files, rows } = await runs(3, 10, 21)
  for (const aggregate of ['mean', 'median', 'rms'] as const) {
    const perRun = { aggregate, quantity: 'lengthPx', unit: 'px', bins: 60 }
    const state = await last({ source: 'cluster', cuts: 'selected', files, perRun })
    for (const run of state.runs!) {
      const values = rows
        .filter((row) => row.run === run.number && row.selected)
        .map(({ lengthPx }) => lengthPx)
        .sort((a, b) => a - b)
      const n = values.length
      const mean = values.reduce((sum, value) => sum + value, 0) / n
      const spread = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1))
      const median = n % 2 === 1 ? values[n >> 1]! : (values[n / 2]! + values[n / 2 - 1]!) / 2
      expect(run.entries).toBe(n)
      expect(run.value).toBeCloseTo({ mean, median, rms: spread }[aggregate], 6)
      expect(run.error).toBeGreaterThan(0)
    }
  }
  const peak = await last({
    source: 'cluster',
    cuts: '',
    files,
    perRun: { aggregate: 'ironPeak', quantity: 'integralCounts', unit: '', bins: 60 },
  })
  expect(peak.runs!.every(({ value, reason }) => value === null && reason!.startsWith('fit failed: '))).toBe(true)
})

test('the rows that leave are those that pass, in CSV and in Parquet', async () => {
  const { files, rows } = await runs(3, 40, 20)
  const wanted = rows.filter((row) => row.rmsCounts > 6 && row.lengthPx < 300)
  const request = { source: 'cluster' as const, cuts: 'rmsCounts > 6 and lengthPx < 300', files, about: { cuts: 'x' } }
  const columns = ['run', 'event', 'integralCounts', 'selected']
  const allColumns = false
  async function taken(format: string): Promise<Buffer> {
    const chunks: Uint8Array[] = []
    for await (const chunk of exportRows(
      { ...request, format, columns, allColumns },
      { reader: createColumnReader(), signal: never },
    ))
      chunks.push(chunk)
    return Buffer.concat(chunks)
  }
  const [head, ...lines] = (await taken('csv')).toString().trimEnd().split('\n')
  expect(head).toBe('run,event,integralCounts,selected')
  expect(
    lines.map((line) =>
      line.split(',').map((cell) => (cell === 'true' ? 1 : cell === 'false' ? 0 : Math.fround(Number(cell)))),
    ),
  ).toEqual(wanted.map((row) => [row.run, row.event, row.integralCounts, Number(row.selected)]))
  const bytes = await taken('parquet')
  const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer
  expect(await parquetReadObjects({ file })).toEqual(
    wanted.map((row) => ({
      run: row.run,
      event: row.event,
      integral_counts: row.integralCounts,
      selected: row.selected,
    })),
  )
})

test('of an older file all columns can be taken, the absent ones as what stands for them, but not named or cut on', async () => {
  const { path } = await temporaryDirectory()
  const bytes = parquetWriteBuffer({
    columnData: [
      { name: 'event', type: 'INT32', data: [1, 2] },
      { name: 'rms_counts', type: 'FLOAT', data: [7, 9] },
    ],
  })
  await writeFile(join(path, 'old.parquet'), new Uint8Array(bytes))
  const files = [{ path: join(path, 'old.parquet'), number: 3, images: 1 }]
  const columns = ['run', 'rmsCounts', 'latGaussSigmaPx', 'latGaussStatus', 'directional']
  async function taken(cuts: string, allColumns: boolean): Promise<string> {
    const chunks: Uint8Array[] = []
    const request = { source: 'cluster' as const, cuts, files, columns, allColumns, format: 'csv', about: {} }
    for await (const chunk of exportRows(request, { reader: createColumnReader(), signal: never })) chunks.push(chunk)
    return Buffer.concat(chunks).toString()
  }
  expect(await taken('rmsCounts > 8', true)).toBe(`${columns.join(',')}\n3,9,-999,-999,false\n`)
  await expect(taken('', false)).rejects.toThrow('run 3 was made before there was latGaussSigmaPx')
  await expect(taken('latGaussSigmaPx > 1', true)).rejects.toThrow('made before there was latGaussSigmaPx;')
})

test('work in another thread is cancelled by leaving or by the signal, and a broken request is a fault', async () => {
  const { files } = await runs(2, 10, 10)
  const pool = createScanPool()
  onTestFinished(() => pool.close())
  const many = Array.from({ length: 3000 }, (_, index) => ({ ...files[index % 2]!, number: index }))
  const request: ScanRequest = {
    source: 'cluster',
    cuts: '',
    files: many,
    x: { quantity: 'rmsCounts', unit: '', bins: 9 },
  }
  let seen = 0
  for await (const state of pool.scan(request, never)) {
    seen = state.filesDone
    break
  }
  expect(seen).toBeGreaterThan(0)
  expect(seen).toBeLessThan(3000)
  const leaving = new AbortController()
  const left = (async () => {
    for await (const _ of pool.scan(request, leaving.signal)) leaving.abort(new Error('gone'))
  })()
  await expect(left).rejects.toThrow('gone')
  // The threads live on and answer the next question whole.
  const states = []
  for await (const state of pool.scan({ ...request, files }, never)) states.push(state)
  expect(states.at(-1)).toMatchObject({ filesDone: 2, rows: 200 })
  const broken = pool.scan({ ...request, cuts: 'nonsense >' }, never).next()
  await expect(broken).rejects.toMatchObject({ code: 'reconstruction.scan_failed' })
  const rows = pool.rows(
    { source: 'cluster', cuts: '', files: many, columns: ['rmsCounts'], allColumns: false, format: 'csv', about: {} },
    never,
  )
  for await (const _ of rows) break
  expect(pool.threads()).toBeGreaterThan(0)
})
