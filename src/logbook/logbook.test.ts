import { expect, test } from 'vitest'
import { transact } from '../foundation/database.ts'
import { migrate } from '../foundation/database.ts'
import { openFacts } from '../foundation/facts.ts'
import { silentLogger } from '../foundation/log.ts'
import { forEachDatabase, type OpenTestDatabase } from '../foundation/testing.ts'
import { fakeClock } from '../foundation/time.ts'
import { logbookMigrations, openLogbook } from './index.ts'

async function openRoom(open: OpenTestDatabase) {
  const database = await open()
  await migrate(database, [logbookMigrations])
  const clock = fakeClock()
  const facts = openFacts({ database, clock, log: silentLogger() })
  const logbook = openLogbook({ database, facts, clock, liveKinds: ['storage.object-'] })
  await logbook.transact((trx) =>
    logbook.createExperiment(trx, {
      name: 'demo',
      title: 'Demo',
      template: 'single-setup',
      setup: 'lime',
      series: 'sim',
    }),
  )
  const factKinds = async () =>
    (await database.kysely.selectFrom('fact').select('kind').orderBy('sequence').execute()).map(
      (row) => row.kind as string,
    )
  return { database, clock, facts, logbook, factKinds }
}

const opening = (number: number, more: object = {}) => ({
  experiment: 'demo',
  setup: 'lime',
  series: 'sim',
  number,
  state: 'recording' as const,
  startedMs: number * 1000,
  ...more,
})
const closing = {
  state: 'closed' as const,
  kind: 'data' as const,
  description: 'from the file',
  startedMs: 1_000,
  endedMs: 61_000,
  images: 10,
  triggers: 12,
  sizeBytes: 1234,
}

forEachDatabase('logbook', (open) => {
  test('an experiment is made once, with its setup and series, and says so in a fact', async () => {
    const { logbook, factKinds, facts } = await openRoom(open)
    const again = logbook.transact((trx) =>
      logbook.createExperiment(trx, { name: 'demo', title: 'x', template: 'empty', setup: 'a1', series: 'a1' }),
    )
    await expect(again).rejects.toMatchObject({ code: 'logbook.experiment_exists', status: 409 })
    const shown = await logbook.showExperiment('demo')
    expect(shown.setups).toMatchObject([{ name: 'lime', series: 'sim', firstNumber: 0, lastNumber: null }])
    expect(shown.series).toMatchObject([{ name: 'sim', lastNumber: null }])
    expect(shown.recording).toMatchObject([
      { status: 'not-recording', sentence: 'NOT RECORDING: no run has been taken yet.' },
    ])
    expect(await factKinds()).toEqual(['logbook.experiment-created', 'logbook.setup-added'])
    await expect(logbook.requireExperiment('nobody')).rejects.toMatchObject({ code: 'logbook.no_such_experiment' })
    await facts.close()
  })

  test('a run is opened, grows and is closed; every news may come twice, late or in another order', async () => {
    const { logbook, factKinds, clock } = await openRoom(open)
    const first = await logbook.transact((trx) => logbook.openRun(trx, opening(2)))
    const second = await logbook.transact((trx) => logbook.openRun(trx, opening(2)))
    expect([first.created, second.created, second.run.id === first.run.id]).toEqual([true, false, true])
    const progress = (sizeBytes: number, events: number) =>
      logbook.transact((trx) => logbook.noteProgress(trx, 'demo', 'sim:2', { sizeBytes, events }))
    await progress(500, 5)
    expect(await progress(100, 1)).toMatchObject({ sizeBytes: 500, images: 5, state: 'recording' })
    clock.advance(1000)
    const id = first.run.id
    await logbook.transact((trx) => logbook.markClosing(trx, id, { endedMs: 9, sizeBytes: 900 }))
    await logbook.transact((trx) => logbook.markClosing(trx, id, { endedMs: 99, sizeBytes: 1 }))
    expect(await progress(5000, 50)).toMatchObject({ state: 'closing', sizeBytes: 900, endedMs: 9 })
    await logbook.transact((trx) => logbook.closeRun(trx, id, closing, { sameBytes: false }))
    await logbook.transact((trx) => logbook.closeRun(trx, id, closing, { sameBytes: true }))
    const late = await logbook.transact((trx) => logbook.openRun(trx, opening(2, { description: 'too late' })))
    expect(late.run).toMatchObject({ state: 'closed', images: 10, description: 'from the file', endedMs: 61_000 })
    const kinds = (await factKinds()).filter((kind) => kind.startsWith('logbook.run'))
    expect(kinds).toEqual(['logbook.run-opened', 'logbook.run-updated', 'logbook.run-closed'])
  })

  test('a run of an unknown setup or series is refused and told what there is', async () => {
    const { logbook } = await openRoom(open)
    const of = (more: object) => logbook.transact((trx) => logbook.openRun(trx, opening(1, more)))
    await expect(of({ setup: 'mango' })).rejects.toMatchObject({
      code: 'logbook.no_such_setup',
      hint: expect.stringMatching(/lime\/sim/),
    })
    await expect(of({ series: 'man' })).rejects.toMatchObject({ code: 'logbook.no_such_series' })
    await logbook.transact((trx) =>
      logbook.addSetup(trx, 'demo', { name: 'mango', series: 'man', firstNumber: 10, lastNumber: 20 }),
    )
    await expect(of({ setup: 'mango', series: 'man' })).rejects.toMatchObject({
      detail: expect.stringMatching(/outside the runs/),
    })
    expect((await of({ setup: 'mango', series: 'man', number: 10 })).created).toBe(true)
  })

  test('runs are filtered and paged by number, past 99999 too; a new run neither repeats nor hides another', async () => {
    const { logbook } = await openRoom(open)
    for (const number of [1, 2, 3, 99_999, 100_000]) {
      const kind = number === 1 ? 'pedestal' : 'data'
      const description = number === 3 ? 'Fe, 4cm Cu 100%_x "quoted"' : 'Standard'
      await logbook.transact((trx) => logbook.openRun(trx, opening(number, { kind, description })))
    }
    const numbers = async (filter: object, page: { limit: number; cursor?: string } = { limit: 100 }) => {
      const answer = await logbook.listRuns('demo', filter, page)
      return answer.items.map((run) => run.number)
    }
    expect(await numbers({})).toEqual([100_000, 99_999, 3, 2, 1])
    const first = await logbook.listRuns('demo', {}, { limit: 2, total: true })
    expect(first).toMatchObject({ total: 5, items: [{ number: 100_000 }, { number: 99_999 }] })
    await logbook.transact((trx) => logbook.openRun(trx, opening(100_001)))
    expect(await numbers({}, { limit: 2, cursor: first.nextCursor! })).toEqual([3, 2])
    expect(await numbers({ numbers: '2-3,100000' })).toEqual([100_000, 3, 2])
    expect(await numbers({ kind: 'pedestal' })).toEqual([1])
    expect(await numbers({ text: '100%_X FE,' })).toEqual([3])
    expect(await numbers({ text: '1000' })).toEqual([])
    expect(await numbers({ startedFromMs: 3000, startedToMs: 99_999_000 })).toEqual([3])
    expect(await numbers({ state: 'closed' })).toEqual([])
    expect(await numbers({ series: 'other' })).toEqual([])
    await expect(logbook.listRuns('demo', {}, { limit: 2, cursor: 'nonsense' })).rejects.toMatchObject({
      code: 'logbook.bad_cursor',
    })
  })

  test('faults count on their run, are renewed, resolved and come back', async () => {
    const { logbook, factKinds, clock } = await openRoom(open)
    const { run } = await logbook.transact((trx) => logbook.openRun(trx, opening(7)))
    const raise = (detail: string) =>
      logbook.transact((trx) =>
        logbook.raiseFault(trx, {
          experiment: 'demo',
          runId: run.id,
          topic: 'file a/b',
          code: 'ingest.file_truncated',
          severity: 'warning',
          detail,
          hint: 'look',
          place: 'a/b',
        }),
      )
    await raise('cut')
    clock.advance(10)
    await raise('cut')
    expect(await logbook.runById(run.id)).toMatchObject({ faults: 1 })
    expect((await logbook.listRuns('demo', { hasFault: 'yes' }, { limit: 9 })).items).toHaveLength(1)
    await logbook.transact((trx) => logbook.resolveFaults(trx, 'demo', ['file a/b', 'unknown']))
    expect(await logbook.runById(run.id)).toMatchObject({ faults: 0 })
    expect(await logbook.openFaults('demo')).toEqual([])
    await raise('cut again')
    expect(await logbook.openFaults('demo')).toMatchObject([{ run: 'sim:7', detail: 'cut again', resolvedMs: null }])
    const kinds = (await factKinds()).filter((kind) => kind.startsWith('logbook.fault'))
    expect(kinds).toEqual(['logbook.fault-raised', 'logbook.fault-resolved', 'logbook.fault-raised'])
  })

  test('conditions keep numbers and words, and an end only where it differs', async () => {
    const { logbook } = await openRoom(open)
    const { run } = await logbook.transact((trx) => logbook.openRun(trx, opening(8)))
    const value = (path: string, moment: 'begin' | 'end', given: number | string) => ({
      path,
      moment,
      name: path,
      value: given,
      unit: 'V',
    })
    const values = [
      value('/HV[0]', 'begin', 440.5),
      value('/HV[0]', 'end', 439),
      value('/gas', 'begin', 'NaN'),
      value('/gas', 'end', 'NaN'),
      value('/late', 'end', Number.NaN),
    ]
    for (let n = 0; n < 2500; n++) values.push(value(`/many[${n}]`, 'begin', n))
    await logbook.transact((trx) => logbook.replaceConditions(trx, run.id, values))
    await logbook.transact((trx) => logbook.replaceConditions(trx, run.id, values))
    const found = await logbook.listConditions(run.id)
    expect(found).toHaveLength(2503)
    const by = new Map(found.map((one) => [one.path, one]))
    expect(by.get('/HV[0]')).toMatchObject({ begin: 440.5, end: 439, changed: true })
    expect(by.get('/gas')).toMatchObject({ begin: 'NaN', end: null, changed: false })
    expect(by.get('/late')).toMatchObject({ begin: null, end: 'NaN' })
    expect(await logbook.listConditions(run.id, 'MANY[17')).toHaveLength(11 + 100)
    expect((await logbook.showRun('demo', 'sim:8')).conditions).toBe(2503)
  })

  test('files keep what was known of them; a run shows its neighbours; the last run is named when one is missing', async () => {
    const { logbook } = await openRoom(open)
    for (const number of [4, 6, 9]) await logbook.transact((trx) => logbook.openRun(trx, opening(number)))
    const { id } = await logbook.requireRun('demo', 'sim:6')
    const file = { bucket: 'demo-raw', key: 'lime/sim/run00006.mid', role: 'raw' as const }
    await logbook.transact((trx) => logbook.recordFile(trx, id, { ...file, state: 'arriving', expectedSha256: 'ab' }))
    await logbook.transact((trx) => logbook.recordFile(trx, id, { ...file, state: 'safe', sha256: 'ab', sizeBytes: 5 }))
    const shown = await logbook.showRun('demo', 'sim:6')
    expect(shown).toMatchObject({ previous: 'sim:4', next: 'sim:9', files: [{ state: 'safe', sha256: 'ab' }] })
    expect(await logbook.findFile(file.bucket, file.key)).toMatchObject({ expectedSha256: 'ab', runId: id })
    await expect(logbook.showRun('demo', 'sim:5')).rejects.toMatchObject({
      status: 404,
      hint: "The last run of series 'sim' is 9.",
    })
  })

  test('people write notes and judge runs; the facts say who', async () => {
    const { logbook, database } = await openRoom(open)
    await logbook.transact((trx) => logbook.openRun(trx, opening(1)))
    const anna = { id: 'p1', name: 'anna' }
    for (const text of ['=cmd', 'due', 'três <b>']) {
      await logbook.transact((trx) => logbook.addNote(trx, 'demo', { run: 'sim:1', text }, anna))
    }
    await logbook.transact((trx) => logbook.addNote(trx, 'demo', { text: 'of the experiment' }, anna))
    const page = await logbook.listNotes('demo', {}, { limit: 3 })
    expect(page.items.map((note) => note.text)).toEqual(['of the experiment', 'três <b>', 'due'])
    const rest = await logbook.listNotes('demo', {}, { limit: 3, cursor: page.nextCursor! })
    expect(rest.items.map((note) => note.text)).toEqual(['=cmd'])
    const judged = await logbook.transact((trx) =>
      logbook.updateRun(trx, 'demo', 'sim:1', { quality: 'bad', qualityReason: 'sparks' }, 'anna'),
    )
    expect(judged).toMatchObject({ quality: 'bad', qualityReason: 'sparks' })
    const row = await database.kysely
      .selectFrom('fact')
      .selectAll()
      .orderBy('sequence', 'desc')
      .executeTakeFirstOrThrow()
    expect(JSON.parse(row.data as string)).toMatchObject({ changed: 'quality', by: 'anna', run: 'sim:1' })
  })

  test('recording is said only while somebody hears of the run', async () => {
    const { logbook, clock } = await openRoom(open)
    await logbook.transact((trx) => logbook.openRun(trx, opening(1, { startedMs: clock.nowMs() })))
    expect(await logbook.recordingStatus('demo')).toMatchObject([{ status: 'recording', run: 'sim:1' }])
    clock.advance(61_000)
    expect(await logbook.recordingStatus('demo')).toMatchObject([
      {
        status: 'not-recording',
        sentence: expect.stringMatching(/^NOT RECORDING: nothing was heard of run sim:1 for 1 min 1 s/),
        advice: expect.stringContaining('Check the DAQ machine'),
      },
    ])
    const { id } = await logbook.requireRun('demo', 'sim:1')
    await logbook.transact((trx) => logbook.closeRun(trx, id, closing, { sameBytes: false }))
    expect(await logbook.recordingStatus('demo')).toMatchObject([
      {
        status: 'not-recording',
        sentence: expect.stringMatching(/^NOT RECORDING since 1970-01-01 00:01:01 UTC; the last run was sim:1/),
      },
    ])
  })

  test('nothing remains of a change whose transaction fails', async () => {
    const { logbook, database, factKinds } = await openRoom(open)
    const before = await factKinds()
    const failing = transact(database, async (trx) => {
      await logbook.openRun(trx, opening(3))
      throw new Error('no')
    })
    await expect(failing).rejects.toThrow('no')
    expect(await factKinds()).toEqual(before)
    expect(await logbook.findRun('demo', 'sim', 3)).toBeUndefined()
  })
})
