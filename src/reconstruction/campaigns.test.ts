import fc from 'fast-check'
import { expect, onTestFinished, test } from 'vitest'
import { transact } from '../foundation/database.ts'
import { forEachDatabase, temporaryDirectory } from '../foundation/testing.ts'
import { addCalibration } from './calibrations.ts'
import { cancelCampaign, retryCampaign } from './campaign-actions.ts'
import { checkedParameters, parametersMark, parametersWith, presetNamed } from './campaign-parameters.ts'
import { listCampaigns, progressOf, requireCampaign, versionsOf } from './campaigns.ts'
import { defaultParameters } from './parameters.ts'
import { presets } from './presets.ts'
import { changeTask, listTasks, newestTasks } from './tasks.ts'
import { openTestRoom } from './testing.ts'
import type { TestRoom } from './testing.ts'

forEachDatabase('campaigns', (open) => {
  async function room(): Promise<TestRoom> {
    const folder = await temporaryDirectory()
    const opened = await openTestRoom(await open(), folder.path)
    onTestFinished(() => opened.close())
    return opened
  }
  /** Rooms with a pedestal valid from run 1 on. */
  async function roomWithPedestal(): Promise<TestRoom> {
    const opened = await room()
    await transact(opened.database, (trx) =>
      addCalibration(trx, {
        id: 'pedestal-1',
        experiment: 'demo',
        series: 'sim',
        kind: 'pedestal',
        from_run: 1,
        made_from_run_id: 'run-1',
        made_from_number: 1,
        bucket: 'demo-reco',
        object_key: 'calibration/sim/1',
        sha256: '',
        size_bytes: 0,
        code_version: 'test',
        quality: {},
        task_id: '',
        made_at_ms: 0,
      }),
    )
    return opened
  }
  const kysely = (opened: TestRoom) => opened.database.kysely
  const tasks = (opened: TestRoom) => listTasks(kysely(opened), 'demo', { limit: 100, offset: 0 })
  const wish = { campaign: 'other', requestedBy: 'person', force: false, retryFailed: true }
  const plan = (opened: TestRoom, runId: string, more: Partial<typeof wish> = {}) =>
    transact(opened.database, (trx) => opened.reconstruction.plan(trx, runId, { ...wish, ...more }))
  const end = (opened: TestRoom, id: string, change: Parameters<typeof changeTask>[2]) =>
    transact(opened.database, (trx) => changeTask(trx, id, change))

  test('main is always there; a campaign is made once; each change is the next version with a code of its own', async () => {
    const opened = await room()
    const program = opened.reconstruction.codeVersion
    const main = await requireCampaign(kysely(opened), 'demo', 'main', program)
    expect(main).toMatchObject({ version: 1, kind: 'builtin', parameters: {}, codeVersion: program })
    await expect(requireCampaign(kysely(opened), 'demo', 'other', program)).rejects.toMatchObject({
      code: 'reconstruction.no_such_campaign',
      hint: expect.stringContaining('cygnet reco campaign create other'),
    })
    await opened.campaign('other', { zeroSuppressionSigma: 0.9 })
    await expect(opened.campaign('other')).rejects.toMatchObject({ code: 'reconstruction.campaign_exists' })
    await expect(opened.campaign('main')).rejects.toMatchObject({ code: 'reconstruction.campaign_exists' })
    await opened.campaign('other', { zeroSuppressionSigma: 1.2 }, 1)
    await expect(opened.campaign('other', {}, 1)).rejects.toMatchObject({ code: 'reconstruction.campaign_exists' })
    await opened.campaign('main', { clusterRadiusCells: 10 }, 1)
    const versions = await versionsOf(kysely(opened), 'demo', 'other', program)
    expect(versions.map(({ version }) => version)).toEqual([2, 1])
    expect(new Set([program, ...versions.map(({ codeVersion }) => codeVersion)]).size).toBe(3)
    expect((await versionsOf(kysely(opened), 'demo', 'main', program)).map(({ version }) => version)).toEqual([2, 1])
    const first = await listCampaigns(kysely(opened), 'demo', program, { limit: 1, offset: 0 })
    const rest = await listCampaigns(kysely(opened), 'demo', program, { limit: 1, offset: 1 })
    expect([...first, ...rest].map(({ name, version }) => [name, version])).toEqual([
      ['main', 2],
      ['other', 2],
    ])
  })

  test('a changed campaign is another key: its runs are done again, the wish under way gives way, an equal one changes nothing', async () => {
    const opened = await roomWithPedestal()
    const run = await opened.closeRun(2, 'data')
    await opened.facts.settled()
    await opened.campaign('other', { zeroSuppressionSigma: 0.9 })
    const first = await plan(opened, run.id)
    expect(first).toMatchObject({ outcome: 'submitted', superseded: [], task: { campaign_version: 1 } })
    await opened.campaign('other', { zeroSuppressionSigma: 0.9 }, 1)
    expect((await plan(opened, run.id)).outcome).toBe('already')
    await opened.campaign('other', { zeroSuppressionSigma: 1.3 }, 2)
    const second = await plan(opened, run.id)
    expect(second).toMatchObject({
      outcome: 'submitted',
      superseded: [first.task!.job_id],
      task: { campaign_version: 3 },
    })
    const states = (await tasks(opened)).filter(({ campaign }) => campaign === 'other').map(({ state }) => state)
    expect(states.toSorted()).toEqual(['cancelled', 'submitted'])
    const progress = await progressOf(kysely(opened), 'demo', ['other', 'main'], 2)
    expect(progress.get('other')).toMatchObject({ submitted: 1, cancelled: 0, done: 0 })
    expect(progress.get('main')).toMatchObject({ submitted: 1 })
  })

  test('progress counts each run once, by its newest wish', async () => {
    const opened = await roomWithPedestal()
    await opened.campaign('other')
    const ids: string[] = []
    for (let number = 2; number < 7; number++) {
      const run = await opened.closeRun(number, 'data')
      ids.push((await plan(opened, run.id)).task!.id)
    }
    await end(opened, ids[0]!, { state: 'done', updated_ms: 10 })
    await end(opened, ids[1]!, { state: 'failed', reason: 'no', updated_ms: 10 })
    await end(opened, ids[2]!, { state: 'cancelled', updated_ms: 10 })
    const progress = await progressOf(kysely(opened), 'demo', ['other'], 1)
    expect(progress.get('other')).toEqual({
      waiting: 0,
      submitted: 2,
      done: 1,
      failed: 1,
      cancelled: 1,
      perRunMs: null,
      remainingMs: null,
    })
    const selected = (selection: Parameters<typeof newestTasks>[3]) =>
      newestTasks(kysely(opened), 'demo', ['other'], selection, ['failed', 'cancelled'])
    expect((await selected({})).map(({ number }) => number)).toEqual([3, 4])
    expect((await selected({ series: 'sim', range: { from: 4, to: 9 } })).map(({ number }) => number)).toEqual([4])
    expect((await selected({ series: 'sim', numbers: [3] })).map(({ number }) => number)).toEqual([3])
  })

  test('what has not begun is cancelled, whether it waits for a pedestal or for the machine; and tried again, one or all', async () => {
    const opened = await roomWithPedestal()
    const program = opened.reconstruction.codeVersion
    const runs = []
    for (const number of [0, 2, 3]) runs.push(await opened.closeRun(number, 'data'))
    await opened.campaign('other')
    for (const run of runs) await plan(opened, run.id)
    const { database, clock, storage, compute } = opened
    const context = {
      database,
      clock,
      storage,
      compute,
      codeVersion: program,
      coresPerJob: 1,
      plan: (runId: string, request: typeof wish) => plan(opened, runId, request),
    }
    const campaign = await requireCampaign(kysely(opened), 'demo', 'other', program)
    const person = { id: 'person', name: 'alice' }
    const one = { series: 'sim', numbers: [2] }
    expect(await cancelCampaign(context, campaign, one, person)).toEqual([
      { run: 'sim:2', outcome: 'cancelled', reason: null },
    ])
    expect((await cancelCampaign(context, campaign, {}, person)).map(({ run }) => run)).toEqual(['sim:0', 'sim:3'])
    const reasons = (await tasks(opened))
      .filter((task) => task.campaign === 'other')
      .map((task) => [task.number, task.state, task.reason])
    expect(reasons.toSorted()).toEqual([
      [0, 'cancelled', 'cancelled by alice while it waited'],
      [2, 'cancelled', 'cancelled before it began'],
      [3, 'cancelled', 'cancelled before it began'],
    ])
    const jobs = (await compute.list({ experiment: 'demo', limit: 100 })).items
    expect(jobs.filter(({ state }) => state === 'cancelled')).toHaveLength(2)
    expect(await retryCampaign(context, campaign, one, person)).toMatchObject([{ run: 'sim:2', outcome: 'submitted' }])
    expect(await retryCampaign(context, campaign, {}, person)).toMatchObject([
      { run: 'sim:0', outcome: 'waiting', reason: 'no pedestal run before run 0 in series sim' },
      { run: 'sim:3', outcome: 'submitted' },
    ])
    expect(await retryCampaign(context, campaign, {}, person)).toEqual([])
  })

  test('what was cancelled while it waited stays so until somebody asks again', async () => {
    const opened = await room()
    const run = await opened.closeRun(2, 'data')
    await opened.facts.settled()
    const [task] = await tasks(opened)
    expect(task).toMatchObject({ state: 'waiting', campaign: 'main' })
    await end(opened, task!.id, { state: 'cancelled', reason: 'by me', updated_ms: 5 })
    const automatic = { campaign: 'main', requestedBy: 'automatic', retryFailed: false }
    expect((await plan(opened, run.id, automatic)).outcome).toBe('already')
    expect((await plan(opened, run.id, { campaign: 'main' })).outcome).toBe('waiting')
  })

  test('a truth that comes later, or changes, makes the result be made again; the same truth does not', async () => {
    const opened = await roomWithPedestal()
    const run = await opened.closeRun(2, 'data')
    await opened.facts.settled()
    await opened.campaign('other')
    const ids = { other: (await plan(opened, run.id)).task!.id, main: (await tasks(opened)).at(-1)!.id }
    const generations = async () =>
      Object.fromEntries(
        (await kysely(opened).selectFrom('reconstruction_task').selectAll().execute()).map((row) => [
          row.campaign,
          [row.state, row.generation],
        ]),
      )
    // Under way: compared at its end, not done twice.
    await opened.truthArrives(2, 'first')
    await opened.facts.settled()
    expect(await generations()).toEqual({ main: ['submitted', 1], other: ['submitted', 1] })
    for (const id of Object.values(ids)) await end(opened, id, { state: 'done', truth_sha256: '', updated_ms: 6 })
    await opened.truthArrives(2, 'second')
    await opened.facts.settled()
    expect(await generations()).toEqual({ main: ['submitted', 2], other: ['submitted', 2] })
    const [row] = await kysely(opened).selectFrom('reconstruction_task').select('truth_sha256').execute()
    for (const id of Object.values(ids)) await end(opened, id, { state: 'done', updated_ms: 7 })
    await opened.truthArrives(2, 'second')
    await opened.facts.settled()
    expect((await plan(opened, run.id, { campaign: 'main', retryFailed: false })).outcome).toBe('already')
    expect(await generations()).toEqual({ main: ['done', 2], other: ['done', 2] })
    expect(row!.truth_sha256).toMatch(/^[0-9a-f]{64}$/)
    // Made before anybody wrote down which truth was used.
    await end(opened, ids.main, { state: 'done', truth_sha256: null, updated_ms: 8 })
    await opened.truthArrives(2, 'third')
    await opened.facts.settled()
    expect(await generations()).toEqual({ main: ['done', 2], other: ['submitted', 3] })
  })
})

test('parameters: unknown names and values that cannot be are refused with what would be right', () => {
  expect(() => checkedParameters({ zeroSupressionSigma: 1 })).toThrow(
    expect.objectContaining({
      code: 'reconstruction.unknown_parameter',
      hint: expect.stringContaining('Did you mean zeroSuppressionSigma?'),
    }),
  )
  expect(() => checkedParameters({ nsigma: 1 })).toThrow(
    expect.objectContaining({ hint: expect.stringContaining('Did you mean zeroSuppressionSigma?') }),
  )
  const bad: Record<string, number | string>[] = [
    { zeroSuppressionSigma: Number.NaN },
    { zeroSuppressionSigma: Infinity },
    { zeroSuppressionSigma: '0.9' },
    { zeroSuppressionSigma: -1 },
    { clusterRadiusCells: 0.5 },
    { clusterRadiusCells: 100_000 },
    { clusterMetric: 'manhattan' },
    { acceptanceFirstRow: 2054 },
  ]
  for (const given of bad) {
    expect(() => checkedParameters(given)).toThrow(expect.objectContaining({ code: 'reconstruction.bad_parameter' }))
  }
  for (const name of ['constructor', '__proto__', 'toString']) {
    expect(() => checkedParameters(Object.fromEntries([[name, 1]]))).toThrow(
      expect.objectContaining({ code: 'reconstruction.unknown_parameter' }),
    )
  }
})

test('every named set of parameters makes a campaign; an unknown one is refused with those there are', () => {
  for (const { name, parameters } of presets) {
    expect(parametersWith(checkedParameters(presetNamed(name)))).toMatchObject(parameters)
  }
  expect(() => presetNamed('winter32')).toThrow(
    expect.objectContaining({ code: 'reconstruction.unknown_preset', hint: expect.stringContaining('winter23-devel') }),
  )
})

test('property: the same settings in any order are the same campaign; saying the defaults says nothing', () => {
  const settings = fc.record(
    {
      zeroSuppressionSigma: fc.double({ min: 0, max: 10, noNaN: true }),
      clusterRadiusCells: fc.integer({ min: 1, max: 50 }),
      vignettingQuadratic: fc.double({ min: -1, max: 1, noNaN: true }),
      selectionMinimumIntegralCounts: fc.double({ min: 0, max: 1e5, noNaN: true }),
    },
    { requiredKeys: [] },
  )
  fc.assert(
    fc.property(settings, (given) => {
      const backwards = Object.fromEntries(Object.entries(given).toReversed())
      expect(parametersMark(checkedParameters(given))).toBe(parametersMark(checkedParameters(backwards)))
      expect(parametersWith(checkedParameters(given))).toEqual({ ...defaultParameters, ...given })
    }),
  )
  expect(checkedParameters({ ...defaultParameters })).toEqual({})
  expect(parametersMark({})).toBe('')
})
