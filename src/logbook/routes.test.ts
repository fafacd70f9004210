import { expect, test } from 'vitest'
import { transact } from '../foundation/database.ts'
import { appendFact } from '../foundation/facts.ts'
import { demo, serve } from './testing.ts'

const params = { experiment: 'demo' }

test('the admin creates experiments; everybody sees only what they may read', async () => {
  const { as, open } = await serve()
  await expect(as('reader').createExperiment({ body: demo })).rejects.toMatchObject({ status: 401 })
  expect(await as('admin').createExperiment({ body: demo })).toMatchObject({ name: 'demo' })
  await as('admin').createExperiment({ body: { ...demo, name: 'other' } })
  expect((await as('admin').listExperiments()).items.map((one) => one.name)).toEqual(['demo', 'other'])
  expect((await as('reader').listExperiments()).items.map((one) => one.name)).toEqual(['demo'])
  await open(1)
  await open(2)
  const page = await as('reader').listRuns({ params, query: { limit: 1, total: 'yes' } })
  expect(page).toMatchObject({ total: 2, items: [{ reference: 'sim:2' }] })
  await expect(as('reader').listRuns({ params: { experiment: 'other' } })).rejects.toMatchObject({ status: 401 })
  await expect(
    as('reader').updateRun({ params: { ...params, run: 'sim:2' }, body: { quality: 'bad' } }),
  ).rejects.toBeDefined()
  const changed = await as('admin').updateRun({ params: { ...params, run: 'sim:2' }, body: { quality: 'bad' } })
  expect(changed.quality).toBe('bad')
  await as('admin').addNote({ params, body: { run: 'sim:2', text: 'hello' } })
  expect((await as('reader').showRun({ params: { ...params, run: 'sim:2' } })).notes).toMatchObject([
    { author: 'admin' },
  ])
  await expect(as('reader').showRun({ params: { ...params, run: 'sim:9' } })).rejects.toMatchObject({
    code: 'logbook.no_such_run',
    hint: "The last run of series 'sim' is 2.",
  })
  await expect(as('reader').showRun({ params: { ...params, run: 'nonsense' } })).rejects.toMatchObject({ status: 422 })
})

test('live events are of this experiment only, resume after Last-Event-ID, and carry progress', async () => {
  const { as, open, logbook, database, clock } = await serve()
  await as('admin').createExperiment({ body: demo })
  await as('admin').createExperiment({ body: { ...demo, name: 'other' } })
  const stop = new AbortController()
  const seen: { event: string; id?: string; run?: unknown }[] = []
  const listen = async (lastEventId?: string) => {
    const options = { signal: stop.signal, ...(lastEventId === undefined ? {} : { lastEventId }) }
    for await (const { event, id, data } of as('reader').events({ params }, options)) {
      seen.push({ event, ...(id === undefined ? {} : { id }), run: (data as { run?: unknown }).run })
    }
  }
  const listening = listen('1').catch(() => {})
  await expect.poll(() => seen.map((one) => one.event)).toEqual(['logbook.setup-added'])
  await transact(database, async (trx) => {
    const fact = (kind: string, experiment: string) =>
      appendFact(trx, { kind, subject: 'x', data: { experiment } }, clock)
    await fact('storage.object-created', 'other')
    await fact('identity.key-made', 'demo')
    await fact('storage.object-created', 'demo')
  })
  const { run } = await open(4)
  await expect.poll(() => seen.length).toBe(3)
  logbook.announceProgress('other', { run: 'sim:9', runId: 'x', setup: 'lime', sizeBytes: 1, events: 1, atMs: 1 })
  logbook.announceProgress('demo', { run: 'sim:4', runId: run.id, setup: 'lime', sizeBytes: 1, events: 1, atMs: 1 })
  await expect.poll(() => seen.length).toBe(4)
  expect(seen.slice(1)).toMatchObject([
    { event: 'storage.object-created' },
    { event: 'logbook.run-opened', run: 'sim:4' },
    { event: 'progress', run: 'sim:4' },
  ])
  expect(seen[3]!.id).toBeUndefined()
  const lastId = seen[2]!.id!
  stop.abort()
  await listening
  expect(Number(lastId)).toBeGreaterThan(1)
})
