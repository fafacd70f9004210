import { createHash } from 'node:crypto'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { expect, onTestFinished, test } from 'vitest'
import { openMidasFile, writeSimulatedRun } from '../detector/index.ts'
import { migrate, transact } from '../foundation/database.ts'
import { appendFact, openFacts } from '../foundation/facts.ts'
import { openJobs } from '../foundation/jobs.ts'
import { silentLogger } from '../foundation/log.ts'
import { forEachDatabase, temporaryDirectory, type OpenTestDatabase } from '../foundation/testing.ts'
import { systemClock } from '../foundation/time.ts'
import { logbookMigrations, openLogbook } from '../logbook/index.ts'
import { ingestMigrations, openIngest } from './index.ts'
import { reportClosed, reportFailed, reportOpened, reportProgress, reportRecovered } from './reports.ts'
import { midasRunFormat } from './adapters/midas-run-format.ts'

const log = silentLogger()

async function openRoom(open: OpenTestDatabase) {
  const database = await open()
  await migrate(database, [logbookMigrations, ingestMigrations])
  const folder = await temporaryDirectory()
  const clock = systemClock()
  const facts = openFacts({ database, clock, log })
  const jobs = openJobs({ database, clock, log })
  const logbook = openLogbook({ database, facts, clock })
  await logbook.transact((trx) =>
    logbook.createExperiment(trx, {
      name: 'demo',
      title: 'Demo',
      template: 'single-setup',
      setup: 'lime',
      series: 'sim',
    }),
  )
  const pathOf = (bucket: string, key: string) => join(folder.path, bucket, key)
  const s3 = { url: 'http://127.0.0.1:1', region: 'local' }
  const ingest = openIngest({ database, facts, jobs, logbook, files: { pathOf }, clock, log, s3 })
  ingest.start()
  jobs.start()
  const settle = async () => {
    await facts.settled()
    await jobs.settled()
  }
  /** A file in the store, as storage announces it. */
  const announce = async (key: string, kind = 'storage.object-created') => {
    const data = { experiment: 'demo', bucket: 'demo-raw', key, purpose: 'raw', sizeBytes: 0, etag: 'x' }
    await transact(database, (trx) => appendFact(trx, { kind, subject: `demo-raw/${key}`, data }, clock))
    await settle()
  }
  const put = async (key: string, bytes: Uint8Array | string) => {
    await mkdir(dirname(pathOf('demo-raw', key)), { recursive: true })
    await writeFile(pathOf('demo-raw', key), bytes)
    await announce(key)
  }
  const simulate = async (number: number, more: { images?: number; kind?: 'pedestal' | 'data' } = {}) => {
    const simulation = {
      seed: 1,
      number,
      kind: more.kind ?? ('data' as const),
      images: more.images ?? 2,
      startMs: Date.UTC(2026, 0, 2),
      frame: { width: 64, height: 64 },
      description: 'small',
    }
    const run = await writeSimulatedRun(folder.path, simulation)
    return { bytes: await readFile(run.path), truth: await readFile(run.truthPath) }
  }
  const closedFacts = async () =>
    (await database.kysely.selectFrom('fact').selectAll().where('kind', '=', 'logbook.run-closed').execute()).length
  onTestFinished(async () => {
    await jobs.close()
    await facts.close()
  })
  const reports = { logbook, clock, formats: [midasRunFormat()], rawBucketOf: () => 'demo-raw' }
  return { database, logbook, put, announce, simulate, closedFacts, pathOf, reports, settle }
}

/** Where the header of the last picture stands. */
async function lastHeader(bytes: Uint8Array): Promise<number> {
  const { path } = await temporaryDirectory()
  await writeFile(join(path, 'run.mid'), bytes)
  let offset = 0
  for await (const event of openMidasFile(join(path, 'run.mid'))) if (event.id === 1) offset = event.byteOffset
  return offset
}

forEachDatabase('receiver', (open) => {
  test('a plain file in the store opens, fills and closes its run, once, however often it is announced', async () => {
    const { logbook, put, announce, simulate, closedFacts } = await openRoom(open)
    const { bytes, truth } = await simulate(12)
    await put('lime/sim/run00012.truth.json', truth)
    expect((await logbook.showRun('demo', 'sim:12')).run.state).toBe('closing')
    await put('lime/sim/run00012.mid', bytes)
    await announce('lime/sim/run00012.mid')
    const shown = await logbook.showRun('demo', 'sim:12')
    expect(shown.run).toMatchObject({
      state: 'closed',
      kind: 'data',
      images: 2,
      faults: 0,
      description: 'small',
      setup: 'lime',
    })
    expect(shown.run.startedMs).toBe(Date.UTC(2026, 0, 2))
    expect(shown.run.sizeBytes).toBe(bytes.length)
    expect(shown.files.map((file) => [file.role, file.state])).toEqual([
      ['raw', 'safe'],
      ['sidecar', 'safe'],
    ])
    expect(shown.conditions).toBeGreaterThan(10)
    expect(await closedFacts()).toBe(1)
  })

  test('the same run as .mid.gz, and a pedestal run', async () => {
    const { logbook, put, simulate } = await openRoom(open)
    const { bytes } = await simulate(3, { kind: 'pedestal' })
    await put('lime/sim/run00003.mid.gz', gzipSync(bytes, { level: 1 }))
    expect((await logbook.showRun('demo', 'sim:3')).run).toMatchObject({
      state: 'closed',
      kind: 'pedestal',
      images: 2,
      faults: 0,
    })
  })

  test('damaged files say what is wrong and what to do, and the next run is processed', async () => {
    const { logbook, put, simulate } = await openRoom(open)
    const { bytes } = await simulate(3, { images: 4 })
    await put('lime/sim/run00001.mid', new Uint8Array(0))
    await put('lime/sim/run00002.mid', Buffer.from('this is no run file at all, but somebody called it one'))
    await put('lime/sim/run00003.mid', bytes.subarray(0, Math.floor(bytes.length * 0.6)))
    const corrupt = Buffer.from((await simulate(4, { images: 4 })).bytes)
    corrupt.fill(0x55, await lastHeader(corrupt), corrupt.length)
    await put('lime/sim/run00004.mid', corrupt)
    await put('lime/sim/run00005.mid.gz', gzipSync(bytes).subarray(0, 5000))
    await put('lime/sim/run00006.mid', (await simulate(6)).bytes)
    const of = async (number: number) => {
      const { run, faults, files } = await logbook.showRun('demo', `sim:${number}`)
      return {
        state: run.state,
        images: run.images,
        faults: faults.map((one) => one.code),
        file: files[0]?.state,
        faultList: faults,
      }
    }
    expect(await of(1)).toMatchObject({ state: 'crashed', images: 0, faults: ['ingest.file_empty'], file: 'damaged' })
    expect(await of(2)).toMatchObject({ state: 'crashed', images: 0, file: 'damaged' })
    const cut = await of(3)
    expect(cut).toMatchObject({ state: 'crashed', faults: ['ingest.file_truncated'], file: 'safe' })
    expect(cut.images).toBeGreaterThanOrEqual(2)
    const bad = await of(4)
    expect(bad.faults.length).toBeGreaterThan(0)
    expect(bad.images).toBeGreaterThanOrEqual(2)
    expect((await of(5)).state).toBe('crashed')
    for (const number of [1, 2, 3, 4, 5]) {
      for (const fault of (await of(number)).faultList) expect(fault.hint.length).toBeGreaterThan(10)
    }
    expect(await of(6)).toMatchObject({ state: 'closed', faults: [] })
  })

  test('foreign names and unknown setups are kept and shown on the experiment; adding the setup cures them', async () => {
    const { logbook, put, simulate } = await openRoom(open)
    const { bytes } = await simulate(9)
    await put('holiday.jpg', 'x')
    await put('mango/man/run00009.mid', bytes)
    const faults = await logbook.openFaults('demo')
    expect(faults.map((fault) => fault.code).toSorted()).toEqual(['ingest.unrecognised_file', 'logbook.no_such_setup'])
    const setup = { name: 'mango', series: 'man', firstNumber: 0, lastNumber: null }
    await logbook.transact((trx) => logbook.addSetup(trx, 'demo', setup))
    await put('holiday2.jpg', 'x')
    await expect.poll(async () => (await logbook.findRun('demo', 'man', 9))?.state, { timeout: 20_000 }).toBe('closed')
    const left = await logbook.openFaults('demo')
    expect(left.map((fault) => fault.code)).toEqual(['ingest.unrecognised_file', 'ingest.unrecognised_file'])
  })

  test('the reports of an agent open and close the run; wrong bytes in the store are found from either side', async () => {
    const { logbook, put, simulate, reports } = await openRoom(open)
    const opened = {
      setup: 'lime',
      series: 'sim',
      number: 5,
      startedMs: 1000,
      path: '/daq/run00005.mid',
      agent: 'daq1',
    }
    await reportOpened(reports, 'demo', opened)
    await reportOpened(reports, 'demo', { ...opened, pedestal: true, description: 'ped' })
    const grown = await reportProgress(reports, 'demo', 'sim:5', { bytes: 100, events: 1, atMs: 5 })
    expect(grown).toMatchObject({ state: 'recording', kind: 'pedestal', sizeBytes: 100, description: 'ped' })
    const key = 'lime/sim/run00005.mid'
    const closed = { key, sizeBytes: 200, sha256: 'a'.repeat(64), endOfRunSeen: true, endedMs: 2000 }
    await expect(
      reportClosed(reports, 'demo', 'sim:5', { ...closed, key: 'lime/sim/run00006.mid' }),
    ).rejects.toMatchObject({
      code: 'ingest.unrecognised_file',
    })
    expect(await reportClosed(reports, 'demo', 'sim:5', closed)).toMatchObject({ state: 'closing', endedMs: 2000 })
    const trouble = { code: 'ingest.file_shrank', detail: 'shrank', hint: 'look', place: 'daq1:/x' }
    await reportFailed(reports, 'demo', 'sim:5', trouble)
    expect(await reportFailed(reports, 'demo', 'sim:5', trouble)).toMatchObject({ faults: 1 })
    expect(await reportRecovered(reports, 'demo', 'sim:5')).toMatchObject({ faults: 0 })
    await put(key, (await simulate(5)).bytes)
    const shown = await logbook.showRun('demo', 'sim:5')
    expect(shown.files[0]).toMatchObject({ state: 'damaged' })
    expect(shown.faults.filter((fault) => fault.resolvedMs === null)).toMatchObject([
      { code: 'ingest.checksum_mismatch' },
    ])
    // The other way round: stored and read before the sender says what it should be.
    await put('lime/sim/run00007.mid', (await simulate(7)).bytes)
    await reportClosed(reports, 'demo', 'sim:7', { ...closed, key: 'lime/sim/run00007.mid' })
    expect((await logbook.showRun('demo', 'sim:7')).files[0]).toMatchObject({ state: 'damaged' })
  })

  test('a machine whose disk lost the end of a file says what it holds now; a stored copy of that is right', async () => {
    const { logbook, put, simulate, reports, settle } = await openRoom(open)
    const key = 'lime/sim/run00008.mid'
    const { bytes } = await simulate(8)
    await reportOpened(reports, 'demo', {
      setup: 'lime',
      series: 'sim',
      number: 8,
      startedMs: 1000,
      path: '/daq/run00008.mid',
      agent: 'daq1',
    })
    const told = { key, sizeBytes: 200, sha256: 'a'.repeat(64), endOfRunSeen: true, endedMs: 2000 }
    await reportClosed(reports, 'demo', 'sim:8', told)
    await put(key, bytes)
    expect((await logbook.showRun('demo', 'sim:8')).files[0]).toMatchObject({ state: 'damaged' })
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    await reportClosed(reports, 'demo', 'sim:8', { ...told, sizeBytes: bytes.length, sha256 })
    await settle()
    const { files, faults } = await logbook.showRun('demo', 'sim:8')
    expect(files[0]).toMatchObject({ state: 'safe', reason: '' })
    expect(faults.filter((fault) => fault.resolvedMs === null)).toEqual([])
  })

  test('a report that comes again after a newer one changes nothing', async () => {
    const { logbook, put, simulate, reports } = await openRoom(open)
    const key = 'lime/sim/run00009.mid'
    const { bytes } = await simulate(9)
    await put(key, bytes)
    const right = createHash('sha256').update(bytes).digest('hex')
    const first = { key, sizeBytes: 200, sha256: 'a'.repeat(64), endOfRunSeen: true, endedMs: 2000, replaces: null }
    await reportClosed(reports, 'demo', 'sim:9', { ...first, sha256: right })
    await reportClosed(reports, 'demo', 'sim:9', { ...first, sha256: right })
    await expect(reportClosed(reports, 'demo', 'sim:9', first)).rejects.toMatchObject({
      code: 'ingest.expects_otherwise',
      extra: { expectedSha256: right },
    })
    expect((await logbook.showRun('demo', 'sim:9')).files[0]).toMatchObject({ state: 'safe', expectedSha256: right })
    await reportClosed(reports, 'demo', 'sim:9', { ...first, replaces: right })
    expect((await logbook.showRun('demo', 'sim:9')).files[0]).toMatchObject({ state: 'damaged' })
  })

  test('a file that says another number is filed under its name, with a warning; a deleted file is said to be lost', async () => {
    const { logbook, put, announce, simulate, pathOf } = await openRoom(open)
    await put('lime/sim/run00021.mid', (await simulate(20)).bytes)
    expect((await logbook.showRun('demo', 'sim:21')).faults).toMatchObject([
      { code: 'ingest.number_differs', severity: 'warning' },
    ])
    await rm(pathOf('demo-raw', 'lime/sim/run00021.mid'))
    await announce('lime/sim/run00021.mid', 'storage.object-deleted')
    const { run, files } = await logbook.showRun('demo', 'sim:21')
    expect(files).toMatchObject([{ state: 'lost', reason: expect.stringMatching(/^Deleted from the store/) }])
    expect(run.state).toBe('closed')
  })

  test('what was wrong and removed is expected again, however often its agent tells of it', async () => {
    const { logbook, put, announce, simulate, pathOf, reports } = await openRoom(open)
    const key = 'lime/sim/run00031.mid'
    const right = (await simulate(31)).bytes
    const wrong = Buffer.from(right)
    wrong[100]! ^= 1
    await put(key, wrong)
    const sha256 = createHash('sha256').update(right).digest('hex')
    const closed = { key, sizeBytes: right.length, sha256, endOfRunSeen: true, endedMs: 2000 }
    const state = async () => (await logbook.showRun('demo', 'sim:31')).files[0]!.state
    await reportClosed(reports, 'demo', 'sim:31', closed)
    expect(await state()).toBe('damaged')
    await rm(pathOf('demo-raw', key))
    await announce(key, 'storage.object-deleted')
    expect(await state()).toBe('lost')
    for (let time = 0; time < 3; time += 1) {
      await reportClosed(reports, 'demo', 'sim:31', closed)
      expect(await state()).toBe('arriving')
    }
    await put(key, right)
    expect(await state()).toBe('safe')
  })
})
