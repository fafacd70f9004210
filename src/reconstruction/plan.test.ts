import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { transact } from '../foundation/database.ts'
import { forEachDatabase, temporaryDirectory } from '../foundation/testing.ts'
import { addCalibration } from './calibrations.ts'
import { changeTask, listTasks } from './tasks.ts'
import { openTestRoom } from './testing.ts'
import type { TestRoom } from './testing.ts'

forEachDatabase('planning', (open) => {
  async function room(): Promise<TestRoom> {
    const folder = await temporaryDirectory()
    const opened = await openTestRoom(await open(), folder.path)
    onTestFinished(() => opened.close())
    return opened
  }
  const automatic = { campaign: 'main', requestedBy: 'automatic', force: false, retryFailed: false }
  const tasksOf = (opened: TestRoom) => listTasks(opened.database.kysely, 'demo', { limit: 100, offset: 0 })
  const jobsOf = async (opened: TestRoom) => (await opened.compute.list({ experiment: 'demo', limit: 100 })).items

  /** As the pedestal job's commit does it, without the job. */
  async function pedestalDone(opened: TestRoom, number: number) {
    const task = (await tasksOf(opened)).find((one) => one.kind === 'pedestal' && one.number === number)!
    await transact(opened.database, async (trx) => {
      await addCalibration(trx, {
        id: `pedestal-${number}`,
        experiment: 'demo',
        series: 'sim',
        kind: 'pedestal',
        from_run: number,
        made_from_run_id: `run-${number}`,
        made_from_number: number,
        bucket: 'demo-reco',
        object_key: `calibration/sim/${number}`,
        sha256: '',
        size_bytes: 0,
        code_version: 'test',
        quality: {},
        task_id: task.id,
        made_at_ms: 0,
      })
      await changeTask(trx, task.id, { state: 'done', updated_ms: 1 })
    })
  }

  test('a run without a pedestal waits and says for what; the same fact twice changes nothing', async () => {
    const opened = await room()
    const run = await opened.closeRun(2, 'data')
    await opened.facts.settled()
    const [task] = await tasksOf(opened)
    expect(task).toMatchObject({
      kind: 'reconstruction',
      state: 'waiting',
      reason: 'no pedestal run before run 2 in series sim',
      calibrationId: null,
    })
    for (let time = 0; time < 3; time++) {
      const plan = await transact(opened.database, (trx) => opened.reconstruction.plan(trx, run.id, automatic))
      expect(plan).toMatchObject({ outcome: 'waiting' })
    }
    expect(await tasksOf(opened)).toHaveLength(1)
    expect(await jobsOf(opened)).toHaveLength(0)
  })

  test('a run behind a failed pedestal run, or with a damaged file, says so', async () => {
    const opened = await room()
    await opened.closeRun(1, 'pedestal')
    const run = await opened.closeRun(2, 'data')
    await opened.facts.settled()
    const plan = () => transact(opened.database, (trx) => opened.reconstruction.plan(trx, run.id, automatic))
    const pedestal = (await tasksOf(opened)).find((one) => one.kind === 'pedestal')!
    const failure = { state: 'failed', reason: 'it has 4 images', updated_ms: 1 } as const
    await transact(opened.database, (trx) => changeTask(trx, pedestal.id, failure))
    expect(await plan()).toMatchObject({
      outcome: 'waiting',
      reason: 'pedestal run sim:1 gave no map: it has 4 images',
    })
    await pedestalDone(opened, 1)
    const damaged = { bucket: 'demo-raw', key: 'lime/sim/run00002.mid', role: 'raw', state: 'damaged' } as const
    await transact(opened.database, (trx) =>
      opened.logbook.recordFile(trx, run.id, { ...damaged, reason: 'its gzip data are damaged' }),
    )
    expect(await plan()).toMatchObject({
      outcome: 'waiting',
      reason: 'the file of run sim:2 is damaged: its gzip data are damaged',
    })
  })

  test('runs wait while a pedestal before them is being made, then get one job each, however often they are planned', async () => {
    const opened = await room()
    await opened.closeRun(1, 'pedestal')
    const second = await opened.closeRun(2, 'data')
    await opened.closeRun(3, 'data')
    await opened.facts.settled()
    expect(await jobsOf(opened)).toMatchObject([{ kind: 'pedestal', subject: 'sim:1', class: 'prompt' }])
    expect((await tasksOf(opened)).filter((task) => task.state === 'waiting').map((task) => task.reason)).toEqual([
      'the pedestal of run sim:1 is being made',
      'the pedestal of run sim:1 is being made',
    ])
    await pedestalDone(opened, 1)
    for (let time = 0; time < 3; time++) {
      await transact(opened.database, (trx) => opened.reconstruction.plan(trx, second.id, automatic))
    }
    const plans = await Promise.all(
      [1, 2, 3].map(() => transact(opened.database, (trx) => opened.reconstruction.plan(trx, second.id, automatic))),
    )
    expect(plans.map(({ outcome }) => outcome)).toEqual(['already', 'already', 'already'])
    const jobs = (await jobsOf(opened)).filter((job) => job.subject === 'sim:2')
    expect(jobs).toHaveLength(1)
    const tasks = (await tasksOf(opened)).filter((task) => task.number === 2)
    expect(tasks).toMatchObject([{ state: 'submitted', calibrationId: 'pedestal-1', jobId: jobs[0]!.id }])
  })

  test('a result is not made again unless forced; a failure is on demand; another campaign is another task', async () => {
    const opened = await room()
    await opened.closeRun(1, 'pedestal')
    await opened.facts.settled()
    await pedestalDone(opened, 1)
    const run = await opened.closeRun(5, 'data')
    await opened.facts.settled()
    const plan = (request: Partial<typeof automatic> = {}) =>
      transact(opened.database, (trx) => opened.reconstruction.plan(trx, run.id, { ...automatic, ...request }))
    const [task] = (await tasksOf(opened)).filter((one) => one.number === 5)
    const end = (state: 'done' | 'failed') =>
      transact(opened.database, (trx) => changeTask(trx, task!.id, { state, updated_ms: 2 }))
    await end('done')
    expect((await plan()).outcome).toBe('already')
    expect((await plan({ retryFailed: true })).outcome).toBe('already')
    const forced = await plan({ force: true })
    expect(forced).toMatchObject({ outcome: 'submitted', task: { id: task!.id, generation: 2 } })
    expect(forced.task!.job_id).not.toBe(task!.jobId)
    await end('failed')
    expect((await plan()).outcome).toBe('already')
    expect(await plan({ retryFailed: true })).toMatchObject({ outcome: 'submitted', task: { generation: 3 } })
    await expect(plan({ campaign: 'other' })).rejects.toMatchObject({ code: 'reconstruction.no_such_campaign' })
    await opened.campaign('other')
    expect(await plan({ campaign: 'other' })).toMatchObject({
      outcome: 'submitted',
      task: { generation: 1, campaign: 'other' },
    })
  })

  test('a run whose file was replaced is done again, once', async () => {
    const opened = await room()
    await opened.closeRun(1, 'pedestal')
    await opened.facts.settled()
    await pedestalDone(opened, 1)
    await opened.closeRun(2, 'data')
    await opened.facts.settled()
    const folder = await temporaryDirectory()
    const whole = join(folder.path, 'whole.mid')
    await writeFile(whole, 'the file that came later')
    for (let time = 0; time < 2; time++) {
      await opened.closeRun(2, 'data', whole)
      await opened.facts.settled()
    }
    expect((await jobsOf(opened)).filter((job) => job.subject === 'sim:2')).toHaveLength(2)
    expect((await tasksOf(opened)).filter((task) => task.number === 2)).toHaveLength(1)
  })

  test('a run still recording is refused, a later pedestal is used for later runs only', async () => {
    const opened = await room()
    await opened.closeRun(1, 'pedestal')
    await opened.closeRun(10, 'pedestal')
    await opened.facts.settled()
    await pedestalDone(opened, 1)
    await pedestalDone(opened, 10)
    await opened.closeRun(9, 'data')
    await opened.closeRun(11, 'data')
    await opened.facts.settled()
    const used = Object.fromEntries((await tasksOf(opened)).map((task) => [task.number, task.calibrationId]))
    expect(used).toMatchObject({ 9: 'pedestal-1', 11: 'pedestal-10' })
    const { run } = await transact(opened.database, (trx) =>
      opened.logbook.openRun(trx, {
        experiment: 'demo',
        setup: 'lime',
        series: 'sim',
        number: 12,
        state: 'recording',
        startedMs: 0,
      }),
    )
    const plan = await transact(opened.database, (trx) => opened.reconstruction.plan(trx, run.id, automatic))
    expect(plan).toMatchObject({ outcome: 'refused', reason: 'run sim:12 is still recording' })
  })
})
