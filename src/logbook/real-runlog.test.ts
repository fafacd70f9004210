import { join } from 'node:path'
import { expect } from 'vitest'
import { migrate, openDatabase } from '../foundation/database.ts'
import { openFacts } from '../foundation/facts.ts'
import { silentLogger } from '../foundation/log.ts'
import { testOnDomainData } from '../foundation/testing.ts'
import { systemClock } from '../foundation/time.ts'
import { logbookMigrations, openLogbook } from './index.ts'
import { insertRuns, readRunlog } from './real-runlog.ts'

async function seeded(dataPath: string, files: { file: string; series: string }[]) {
  const database = await openDatabase({ url: 'sqlite::memory:' })
  await migrate(database, [logbookMigrations])
  const clock = systemClock()
  const logbook = openLogbook({ database, clock, facts: openFacts({ database, clock, log: silentLogger() }) })
  const experiment = { name: 'cygno', title: 'Real runs', template: 'empty' as const, setup: 'lime', series: 'lngs' }
  await logbook.transact((trx) => logbook.createExperiment(trx, experiment))
  for (const { file, series } of files) {
    const rows = await readRunlog(join(dataPath, 'runlog', file), { experiment: 'cygno', setup: 'lime', series })
    await logbook.transact((trx) => insertRuns(trx, rows))
  }
  const all = async (filter: object) => {
    const runs = []
    let cursor: string | undefined
    do {
      const page = await logbook.listRuns('cygno', filter, { limit: 1000, cursor })
      runs.push(...page.items)
      cursor = page.nextCursor ?? undefined
    } while (cursor !== undefined)
    return runs
  }
  return { database, logbook, all }
}

testOnDomainData(
  'the real logbooks of two sites, twenty thousand runs, are paged without loss and found by what they say',
  async (data) => {
    const { database, logbook, all } = await seeded(data, [
      { file: 'runlog_LNGS_2023-05.csv.gz', series: 'lngs' },
      { file: 'runlog_LNF_auto.csv', series: 'lnf' },
    ])
    const runs = await all({})
    expect(runs).toHaveLength(14_363 + 5_052)
    expect(new Set(runs.map((run) => run.reference)).size).toBe(runs.length)
    expect((await all({ series: 'lngs', state: 'crashed' })).length).toBe(131)
    expect((await all({ text: 'stability' })).length).toBeGreaterThan(100)
    const commas = await all({ text: 'fe, 4cm cu shielding,' })
    expect(commas.length).toBeGreaterThan(50)
    expect(commas.every((run) => run.description.toLowerCase().includes('shielding'))).toBe(true)
    const around = await logbook.listRuns('cygno', { series: 'lngs', numbers: '9195-9200' }, { limit: 10 })
    expect(around.items.find((run) => run.number === 9197)).toMatchObject({ state: 'closed' })
    const missing = logbook.showRun('cygno', 'lngs:99999')
    await expect(missing).rejects.toMatchObject({ hint: "The last run of series 'lngs' is 20056." })
    await database.close()
  },
)

testOnDomainData(
  'the night when summer time ends: runs stay in order by number and never overlap in UTC',
  async (data) => {
    const { database, all } = await seeded(data, [{ file: 'runlog_LNGS_dst_change_2022-10-30.csv', series: 'lngs' }])
    const runs = (await all({})).toReversed()
    const by = new Map(runs.map((run) => [run.number, run]))
    expect(by.get(2602)!.startedMs!).toBeGreaterThan(by.get(2601)!.endedMs!)
    for (let index = 1; index < runs.length; index++) {
      expect(runs[index]!.startedMs!).toBeGreaterThanOrEqual(runs[index - 1]!.endedMs!)
    }
    await database.close()
  },
)

testOnDomainData('odd rows: no stop, no events, unknown sizes', async (data) => {
  const { database, all } = await seeded(data, [
    { file: 'runlog_LNGS_odd_rows.csv', series: 'lngs' },
    { file: 'runlog_MAN_auto.csv', series: 'man' },
    { file: 'runlog_LNGS_old26col_2023-03.csv', series: 'old' },
  ])
  expect((await all({ series: 'lngs' })).length).toBe(141)
  expect((await all({ series: 'man' })).map((run) => run.images)).toEqual(
    Array.from({ length: 10 }, () => expect.closeTo(403, -1)),
  )
  expect((await all({ series: 'old' })).length).toBe(252)
  const runs = await all({})
  expect(runs.some((run) => run.endedMs === null && run.sizeBytes === null && run.images === null)).toBe(true)
  await database.close()
})
