import { expect, onTestFinished, test } from 'vitest'
import { createClient } from '../../foundation/client.ts'
import { defineContract } from '../../foundation/contract.ts'
import { migrate, transact } from '../../foundation/database.ts'
import { Fault } from '../../foundation/errors.ts'
import { openFacts } from '../../foundation/facts.ts'
import { bindRoutes, createApp } from '../../foundation/http.ts'
import type { Gate } from '../../foundation/http.ts'
import { silentLogger } from '../../foundation/log.ts'
import { fakeClock } from '../../foundation/time.ts'
import { forEachDatabase } from '../../foundation/testing.ts'
import { logbookMigrations, openLogbook } from '../../logbook/index.ts'
import { savedSelectionRoutes } from '../saved-contract.ts'
import { reconstructionMigrations } from '../tables.ts'
import { savedSelectionHandlers } from './saved-selections.ts'

const contract = defineContract('reconstruction', savedSelectionRoutes)
const params = { experiment: 'demo' }

/** Who calls is in a header; only `boss` administers. */
const gate: Gate = {
  async authenticate(request) {
    const name = String(request.headers['x-who'])
    return { id: name, kind: 'person', name, subject: name }
  },
  require(caller, action) {
    if (action === 'experiment.admin' && caller.name !== 'boss')
      throw new Fault({ code: 'test.forbidden', status: 403, title: 'No', detail: 'no' })
  },
}

forEachDatabase('saved selections', (open) => {
  test('are kept by name, written anew, and deleted by their owner or an administrator', async () => {
    const database = await open()
    await migrate(database, [logbookMigrations, reconstructionMigrations])
    const clock = fakeClock(1000)
    const facts = openFacts({ database, clock, log: silentLogger() })
    const logbook = openLogbook({ database, facts, clock })
    const about = { title: 'Demo', template: 'single-setup' as const, setup: 'lime', series: 'sim' }
    for (const name of ['demo', 'other'])
      await transact(database, (trx) => logbook.createExperiment(trx, { name, ...about }))
    const app = createApp({ log: silentLogger() })
    bindRoutes(app, contract, savedSelectionHandlers({ kysely: database.kysely, clock, logbook }), gate)
    await app.listen({ port: 0, host: '127.0.0.1' })
    onTestFinished(async () => {
      await app.close()
      await facts.close()
    })
    const { port } = app.server.address() as { port: number }
    const as = (who: string) =>
      createClient(contract, { baseUrl: `http://127.0.0.1:${port}`, headers: { 'x-who': who } })
    const anna = as('anna')

    const address = 'sel=sim:1-20&cuts=rms+>+6&javascript=alert(1)&bins=60'
    const kept = await anna.saveSelection({ params, body: { name: '  iron  ', address } })
    expect(kept).toMatchObject({ name: 'iron', ownerId: 'anna', ownerName: 'anna', createdAtMs: 1000 })
    expect(Object.fromEntries(new URLSearchParams(kept.address))).toEqual({ sel: 'sim:1-20', cuts: 'rms > 6' })
    await expect(as('bob').saveSelection({ params, body: { name: 'iron', address } })).rejects.toMatchObject({
      code: 'reconstruction.selection_exists',
    })
    for (const bad of ['cuts=rms+>+6', 'sel=sim:1&cuts=rms+>'])
      await expect(anna.saveSelection({ params, body: { name: 'bad', address: bad } })).rejects.toMatchObject({
        code: 'reconstruction.unreadable_selection',
        status: 422,
      })
    await expect(anna.saveSelection({ params, body: { name: ' ', address } })).rejects.toMatchObject({ status: 422 })
    await as('bob').saveSelection({ params: { experiment: 'other' }, body: { name: 'iron', address } })
    expect((await as('bob').listSavedSelections({ params })).items).toEqual([kept])
    const gone = { params: { ...params, selection: kept.id } }
    await expect(as('bob').deleteSavedSelection(gone)).rejects.toMatchObject({ status: 403 })
    await expect(
      anna.deleteSavedSelection({ params: { experiment: 'other', selection: kept.id } }),
    ).rejects.toMatchObject({ code: 'reconstruction.no_such_selection' })
    await anna.deleteSavedSelection(gone)
    const again = await anna.saveSelection({ params, body: { name: 'iron', address } })
    await as('boss').deleteSavedSelection({ params: { ...params, selection: again.id } })
    expect((await anna.listSavedSelections({ params })).items).toEqual([])
  })
})
