/** For the tests of the logbook: the room behind HTTP, with two kinds of callers. */
import { onTestFinished } from 'vitest'
import { createClient } from '../foundation/client.ts'
import { migrate, openDatabase } from '../foundation/database.ts'
import { foundationFaults } from '../foundation/errors.ts'
import { openFacts } from '../foundation/facts.ts'
import { createApp, type Gate } from '../foundation/http.ts'
import { silentLogger } from '../foundation/log.ts'
import { systemClock } from '../foundation/time.ts'
import { logbookContract } from './contract.ts'
import { logbookMigrations, openLogbook } from './index.ts'

/** Lets 'Bearer admin' do everything and 'Bearer reader' read experiment demo. */
const gate: Gate = {
  authenticate: (request) => {
    const name = request.headers.authorization?.replace('Bearer ', '') ?? 'anonymous'
    return Promise.resolve({ id: name, name, kind: name === 'anonymous' ? 'anonymous' : 'person', subject: name })
  },
  require(caller, action, experiment) {
    if (caller.name === 'admin') return
    if (caller.name === 'reader' && action === 'logbook.read' && experiment === 'demo') return
    throw foundationFaults.signInNeeded('no')
  },
}

/** A logbook behind HTTP on its own empty database, until the test ends. */
export async function serve() {
  const database = await openDatabase({ url: 'sqlite::memory:' })
  await migrate(database, [logbookMigrations])
  const clock = systemClock()
  const log = silentLogger()
  const facts = openFacts({ database, clock, log })
  const logbook = openLogbook({ database, facts, clock, liveKinds: ['storage.object-'] })
  const app = createApp({ log })
  logbook.routes(app, gate)
  const baseUrl = await app.listen({ port: 0, host: '127.0.0.1' })
  onTestFinished(async () => {
    await facts.close()
    await app.close()
    await database.close()
  })
  const as = (name: string) => createClient(logbookContract, { baseUrl, headers: { authorization: `Bearer ${name}` } })
  const open = (number: number) =>
    logbook.transact((trx) =>
      logbook.openRun(trx, {
        experiment: 'demo',
        setup: 'lime',
        series: 'sim',
        number,
        state: 'recording',
        startedMs: 1_000_000,
      }),
    )
  return { database, logbook, clock, baseUrl, as, open }
}

export const demo = { name: 'demo', title: 'Demo', setup: 'lime', series: 'sim' }
