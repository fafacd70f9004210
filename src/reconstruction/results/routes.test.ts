import { expect, onTestFinished, test } from 'vitest'
import { temporaryDirectory } from '../../foundation/testing.ts'
import type { Cluster } from '../contract.ts'
import { seededRandom } from './histogram.ts'
import { openTestResults, resultsContract } from './testing.ts'

async function room() {
  const { path } = await temporaryDirectory()
  const opened = await openTestResults(path)
  onTestFinished(() => opened.close())
  return opened
}

/** Images with 55Fe spots around `mean` and a few long, faint tracks. */
function spots(images: number, mean: number, seed: number): Partial<Cluster>[][] {
  const random = seededRandom(seed)
  const gauss = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
  return Array.from({ length: images }, () => [
    ...Array.from({ length: 10 }, () => ({ integralCounts: mean + 900 * gauss(), rmsCounts: 12, lengthPx: 40 })),
    { integralCounts: 40_000, rmsCounts: 7, lengthPx: 1500, densityCountsPerPx: 5, latGaussSigmaPx: 4 },
  ])
}
const params = { experiment: 'demo' }

test('histogram, fit, cut flow and comparison of runs, and the runs that have no results with the reason', async () => {
  const { client, addRun } = await room()
  for (const number of [1, 2, 3]) await addRun(number, spots(30, 9000, number))
  await addRun(4)
  await addRun(5, spots(20, 8000, 5), 'low')
  const query = { series: 'sim', from: 1, to: 9 }
  const { scanned, flow, fit, histogram } = await client.fitPeak({
    params,
    query: { ...query, quantity: 'sc_integral', low: 4000, high: 18_000, cuts: 'rms > 6 and 0.152*length < 50' },
  })
  expect(scanned).toMatchObject({ runsDone: 3, runsOf: 3, images: 90, rows: 990, passed: 900, missingRuns: 2 })
  expect(scanned.missing).toEqual([
    { run: 'sim:5', reason: "not reconstructed in campaign 'main'" },
    { run: 'sim:4', reason: "not reconstructed in campaign 'main'" },
  ])
  expect(flow).toMatchObject({ cuts: [{ left: 990 }, { left: 900 }], says: '900 of 990 clusters pass.' })
  expect(histogram).toMatchObject({ unit: 'counts', low: 4000, high: 18_000 })
  expect(fit.state).toBe('ok')
  expect(Math.abs(fit.parameters[1]!.value - 9000)).toBeLessThan(5 * fit.parameters[1]!.error)

  const none = await client.showCutFlow({ params, query: { ...query, cuts: 'rmsCounts > 8 and lengthPx > 500' } })
  expect(none.flow.says).toBe('0 of 990 clusters pass; the cut lengthPx > 500 removes the last 900.')
  const nothing = await client.showHistogram({ params, query: { series: 'sim', from: 4, to: 4 } })
  expect(nothing).toMatchObject({ flow: { says: 'No run of the selection has results.' }, scanned: { runsOf: 0 } })

  const compared = await client.compareResults({
    params,
    query: { ...query, quantity: 'integralCounts', low: 4000, high: 18_000, otherCampaign: 'low' },
  })
  expect(compared.comparison).toMatchObject({ scale: 90 / 20, otherScanned: { runsOf: 1, images: 20 } })
  expect(compared.comparison.probability).toBeLessThan(1e-6)
  const same = await client.compareResults({ params, query: { ...query, otherCuts: 'rms > 0' } })
  expect(same.comparison).toMatchObject({ chi2: 0, scale: 1, probability: 1 })

  const images = await client.showHistogram({ params, query: { ...query, source: 'event' } })
  expect(images).toMatchObject({ scanned: { rows: 90 }, histogram: { quantity: 'selectedClusters', mean: 11 } })
})

test('the view comes as events and ends with the whole; density, sample and comparison in it', async () => {
  const { client, addRun } = await room()
  for (let number = 1; number <= 6; number++) await addRun(number, spots(20, 9000, number))
  const query = {
    series: 'sim',
    quantity: 'integralCounts',
    y: 'lengthPx',
    plane: 'both' as const,
    fit: 'iron' as const,
    low: 4000,
    high: 18_000,
    compare: true,
    otherFrom: 1,
    otherTo: 2,
  }
  const views = []
  for await (const { event, data } of client.followResults({ params, query })) {
    expect(event).toBe('view')
    views.push(data)
  }
  const whole = views.at(-1)!
  expect(whole.scanned).toMatchObject({ runsDone: 6, runsOf: 6 })
  expect(whole.plane!.counts.reduce((sum, count) => sum + count, 0) + whole.plane!.outside).toBe(1320)
  expect(whole.sample).toMatchObject({ of: 1200, isSample: false })
  expect(whole.sample!.points[0]).toMatchObject({ run: 6, event: 0 })
  expect(whole.fit!.state).toBe('ok')
  expect(whole.comparison).toMatchObject({ scale: 3, otherScanned: { runsDone: 2, runsOf: 2 } })
  const { plane } = await client.showDensity({ params, query: { series: 'sim', y: 'lengthPx', xBins: 10, yBins: 5 } })
  expect(plane.counts).toHaveLength(50)
  const { sample } = await client.showSample({ params, query: { series: 'sim', y: 'lengthPx', from: 6 } })
  expect(sample.points).toHaveLength(220)
})

test('trends: rates with errors, the iron peak of each run, what is to be expected', async () => {
  const { client, addRun } = await room()
  for (let number = 1; number <= 5; number++) await addRun(number, spots(30, 8500 + 100 * number, number))
  await addRun(6, spots(1, 9000, 6))
  const query = { series: 'sim' }
  const rate = await client.showResultTrend({
    params,
    query: { ...query, aggregate: 'perSecond', cuts: 'delta < 9 and length > 1000 and tgausssigma < 7' },
  })
  expect(rate).toMatchObject({ unit: 'Hz', scanned: { runsDone: 6 } })
  expect(rate.points[0]).toMatchObject({ run: 'sim:1', atMs: 1e12 + 60_000, images: 30, entries: 30, value: 3 })
  expect(rate.points[0]!.error).toBeCloseTo(Math.sqrt(30) / 10, 12)
  expect(rate.expected).toMatchObject({ value: 3 })
  const points = []
  for await (const { data } of client.followResultTrend({
    params,
    query: { ...query, aggregate: 'ironPeak', cuts: 'lengthPx < 100', quantity: 'integralCounts' },
  }))
    points.push(data.points)
  const peaks = points.at(-1)!
  expect(peaks.map(({ number }) => number)).toEqual([1, 2, 3, 4, 5, 6])
  for (const { number, value, error } of peaks.slice(0, 5))
    expect(Math.abs(value! - (8500 + 100 * number))).toBeLessThan(5 * error!)
  expect(peaks[5]).toMatchObject({ value: null, reason: expect.stringMatching(/^fit failed: only \d+ entries/) })
})

test('runs of a trend are told apart by their kind and by where the source was, as far as the logbook knows', async () => {
  const { client, addRun } = await room()
  const source = (position: number, type: number) => ({
    '/Configurations/SourceState/source_position': position,
    '/Configurations/SourceState/source_type': type,
  })
  for (let number = 1; number <= 5; number++) await addRun(number, spots(2, 9000, number), 'main', source(17.5, 1))
  await addRun(6, spots(4, 9000, 6), 'main', source(3.5, 1))
  await addRun(7, spots(4, 9000, 7), 'main', source(0, 0))
  await addRun(8, spots(4, 9000, 8))
  const ask = (by: 'none' | 'kind' | 'source') => client.showResultTrend({ params, query: { series: 'sim', by } })
  const { points, groups } = await ask('source')
  expect(points.map(({ group }) => group)).toEqual([
    ...Array.from({ length: 5 }, () => '17.5 cm'),
    '3.5 cm',
    'no source',
    'unknown',
  ])
  expect(groups.map(({ group, runs, expected }) => [group, runs, expected === null])).toEqual([
    ['3.5 cm', 1, true],
    ['17.5 cm', 5, false],
    ['no source', 1, true],
    ['unknown', 1, true],
  ])
  expect((await ask('kind')).groups).toMatchObject([{ group: 'data', runs: 8 }])
  expect((await ask('none')).groups).toMatchObject([{ group: '', runs: 8 }])
})

test('whoever may read the data of an experiment may ask, nobody else', () => {
  for (const [name, { permission }] of Object.entries(resultsContract.routes))
    expect(permission, name).toEqual({ action: 'data.read', of: 'params.experiment' })
})

test('what cannot be understood is a 422 that points at the place', async () => {
  const { client, addRun, baseUrl } = await room()
  await addRun(1, spots(3, 9000, 1))
  const ask = (query: object) => client.showHistogram({ params, query: { series: 'sim', ...query } })
  await expect(ask({ cuts: 'rmsCount > 6' })).rejects.toMatchObject({
    code: 'reconstruction.unreadable_expression',
    status: 422,
    extra: { field: 'cuts', at: 0, length: 8, suggestions: ['rmsCounts'] },
  })
  await expect(ask({ quantity: 'selected > 1' })).rejects.toMatchObject({ extra: { field: 'quantity' } })
  await expect(ask({ low: 3, high: 3 })).rejects.toMatchObject({ code: 'reconstruction.empty_range' })
  await expect(ask({ bins: 0 })).rejects.toMatchObject({ status: 422 })
  await expect(client.exportRows({ params, query: { series: 'sim', format: 'toString' } })).rejects.toMatchObject({
    code: 'reconstruction.no_such_format',
  })
  await expect(client.exportRows({ params, query: { series: 'sim', columns: 'run,nothing' } })).rejects.toMatchObject({
    extra: { field: 'columns', at: 4 },
  })
  await expect(client.exportRows({ params, query: { series: 'sim', from: 7 } })).rejects.toMatchObject({ status: 404 })
  const csv = await client.exportRows({
    params,
    query: { series: 'sim', columns: 'run,lengthPx', cuts: 'length > 50' },
  })
  expect(csv.headers.get('content-disposition')).toContain('demo-sim-1-1-main-clusters.csv')
  expect(await csv.text()).toBe('run,lengthPx\n1,1500\n1,1500\n1,1500\n')
  const gone = client.exportRows({ params, query: { series: 'sim', source: 'waveform' } })
  await expect(gone).rejects.toMatchObject({ status: 503, code: 'reconstruction.scan_failed' })
  const listed = await client.listQuantities({ params })
  expect(listed.presets.map(({ id }) => id)).toContain('muons')
  expect(listed.formats.map(({ name }) => name)).toEqual(expect.arrayContaining(['csv', 'parquet']))
  expect((await fetch(`${baseUrl}/api/experiments/nobody/results/quantities`)).status).toBe(404)
})
