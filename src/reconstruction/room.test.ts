import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { writeSimulatedRun } from '../detector/index.ts'
import { openDatabase } from '../foundation/database.ts'
import { createApp } from '../foundation/http.ts'
import type { Gate } from '../foundation/http.ts'
import { silentLogger } from '../foundation/log.ts'
import { temporaryDirectory } from '../foundation/testing.ts'
import type { TemporaryDirectory } from '../foundation/testing.ts'
import { tasksOfRun } from './tasks.ts'
import { openTestRoom } from './testing.ts'
import type { TestRoom } from './testing.ts'

let runs: TemporaryDirectory
const side = 256

beforeAll(async () => {
  runs = await temporaryDirectory()
  const common = { seed: 5, frame: { width: side, height: side }, startMs: Date.UTC(2026, 0, 1), waveforms: false }
  await writeSimulatedRun(runs.path, { ...common, number: 1, kind: 'pedestal', images: 20 })
  await writeSimulatedRun(runs.path, {
    ...common,
    number: 2,
    kind: 'data',
    images: 5,
    // Well inside: spots at the border are cut by it and may be lost.
    tracks: [
      { kind: 'iron', xPx: 70, yPx: 90 },
      { kind: 'iron', xPx: 180, yPx: 170 },
    ],
    tracksPerImage: {},
  })
})
afterAll(() => runs[Symbol.asyncDispose]())

async function room(): Promise<TestRoom> {
  const folder = await temporaryDirectory()
  const database = await openDatabase({ url: `sqlite:${join(folder.path, 'test.sqlite')}` })
  const opened = await openTestRoom(database, folder.path)
  onTestFinished(async () => {
    await opened.close()
    await database.close()
  })
  return opened
}

/** Waits for the jobs of a run, and for those that their end makes. */
async function reconstructed(opened: TestRoom, runId: string) {
  for (;;) {
    await opened.facts.settled()
    const tasks = await tasksOfRun(opened.database.kysely, runId)
    const open = tasks.find(({ state }) => state === 'submitted' || state === 'waiting')
    if (open === undefined) return tasks
    if (open.jobId !== null) await opened.compute.ended(open.jobId)
    else await opened.compute.changed((await opened.compute.list({ experiment: 'demo', limit: 1 })).items[0]!.id, 500)
  }
}

const everybody: Gate = {
  authenticate: async () => ({ id: 'person', kind: 'person', name: 'person', subject: undefined }),
  require: () => undefined,
}

test('a pedestal run and a data run become a calibration, clusters and a summary, by themselves', async () => {
  const opened = await room()
  await opened.compute.start()
  await opened.closeRun(1, 'pedestal', join(runs.path, 'run00001.mid'))
  const run = await opened.closeRun(2, 'data', join(runs.path, 'run00002.mid'))
  expect(await reconstructed(opened, run.id)).toMatchObject([{ state: 'done', campaign: 'main' }])

  const app = createApp({ log: silentLogger() })
  opened.reconstruction.routes(app, everybody)
  onTestFinished(() => app.close())
  const get = async (path: string) => (await app.inject({ url: `/api/experiments/demo${path}` })).json()
  const shown = await get('/runs/sim:2/reconstruction')
  expect(shown.summaries).toMatchObject([
    { campaign: 'main', images: 5, complete: true, efficiency: 1, prefix: 'main/sim/run00002' },
  ])
  expect(await get('/calibrations')).toMatchObject({ items: [{ fromRun: 1, version: 1, series: 'sim' }] })
  const clusters = await get('/runs/sim:2/clusters?selected=true')
  expect(clusters.items.length).toBe(shown.summaries[0].selectedClusters)
  const { event } = clusters.items[0]
  const ofEvent = await get(`/runs/sim:2/events/${event}/clusters`)
  expect(ofEvent.items[0]).toMatchObject({ event, cluster: 0 })
  const outlines = await get(`/runs/sim:2/events/${event}/outlines`)
  expect(outlines).toMatchObject({ acceptance: { firstRow: 0, endRow: side } })
  expect(outlines.items.length).toBe(ofEvent.items.length)
  expect(await get('/runs/sim:2/reconstructed-events')).toMatchObject({ total: 5 })
  expect(await get('/series/sim/reconstruction-trend')).toMatchObject({
    items: [{ number: 2, campaign: 'main' }],
    nextCursor: null,
  })
  const frame = await app.inject({ url: '/api/experiments/demo/runs/sim:2/events/3/frame' })
  expect(frame.headers).toMatchObject({
    'x-frame-width': String(side),
    'x-frame-type': 'uint16',
    'content-type': 'application/octet-stream',
  })
  expect(frame.rawPayload.length).toBe(side * side * 2)
  const subtracted = await app.inject({ url: '/api/experiments/demo/runs/sim:2/events/3/frame?view=subtracted' })
  expect(subtracted.headers['x-frame-type']).toBe('int16')
  expect(await get('/runs/sim:2/clusters?campaign=nothing')).toMatchObject({
    status: 404,
    code: 'reconstruction.not_reconstructed',
  })

  const post = async (path: string, payload: object) =>
    (await app.inject({ method: 'POST', url: `/api/experiments/demo${path}`, payload })).json()
  const wish = { series: 'sim', range: { from: 1, to: 9 }, campaign: 'again' }
  expect(await post('/reconstruction', wish)).toMatchObject({ status: 404, code: 'reconstruction.no_such_campaign' })
  await post('/campaigns', { name: 'again' })
  const answer = await post('/reconstruction', wish)
  expect(answer.tasks).toMatchObject([
    { run: 'sim:1', outcome: 'skipped' },
    { run: 'sim:2', outcome: 'submitted' },
  ])
  await reconstructed(opened, run.id)
  const both = await get('/runs/sim:2/reconstruction')
  const [again, main] = both.summaries
  expect([again.campaign, main.campaign]).toEqual(['again', 'main'])
  expect(again.clusters).toBe(main.clusters)
})

test('a run that cannot make a pedestal is a dead letter with its reason; runs after it say what they wait for', async () => {
  const opened = await room()
  await opened.compute.start()
  const pedestal = await opened.closeRun(1, 'pedestal')
  const run = await opened.closeRun(2, 'data', join(runs.path, 'run00002.mid'))
  const [failed] = await reconstructed(opened, pedestal.id)
  expect(failed).toMatchObject({
    state: 'failed',
    reason: expect.stringMatching(/has no image; a pedestal map needs 5/),
  })
  await opened.facts.settled()
  expect(await tasksOfRun(opened.database.kysely, run.id)).toMatchObject([
    { state: 'waiting', reason: expect.stringMatching(/^pedestal run sim:1 gave no map: .* a pedestal map needs 5/) },
  ])
})

test('a result whose publication was interrupted is published again and counted once', async () => {
  const opened = await room()
  const put = opened.storage.putObject.bind(opened.storage)
  let failures = 0
  opened.storage.putObject = async (given) => {
    if (given.key.endsWith('events.parquet') && failures++ === 0) {
      await rm(await opened.storage.pathOf(given.bucket, given.key.replace('events', 'clusters')))
      throw new Error('the disk went away')
    }
    return await put(given)
  }
  await opened.compute.start()
  await opened.closeRun(1, 'pedestal', join(runs.path, 'run00001.mid'))
  const run = await opened.closeRun(2, 'data', join(runs.path, 'run00002.mid'))
  expect(await reconstructed(opened, run.id)).toMatchObject([{ state: 'done' }])
  expect(failures).toBeGreaterThan(1)
  const rows = await opened.database.kysely.selectFrom('reconstruction_summary').selectAll().execute()
  expect(rows).toHaveLength(1)
  expect(opened.storage.puts.filter((key) => key.endsWith('clusters.parquet')).length).toBe(2)
  const facts = await opened.database.kysely
    .selectFrom('fact')
    .select('kind')
    .where('kind', '=', 'reconstruction.run-done')
    .execute()
  expect(facts).toHaveLength(1)
})
