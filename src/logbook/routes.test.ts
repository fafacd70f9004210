import { Command } from 'commander'
import { expect, onTestFinished, test } from 'vitest'
import { createClient } from '../foundation/client.ts'
import { createOutput, type CommandContext } from '../foundation/command-line.ts'
import { migrate, openDatabase, transact } from '../foundation/database.ts'
import { exitCodeOf, foundationFaults } from '../foundation/errors.ts'
import { appendFact, openFacts } from '../foundation/facts.ts'
import { createApp, type Gate } from '../foundation/http.ts'
import { silentLogger } from '../foundation/log.ts'
import { systemClock } from '../foundation/time.ts'
import { logbookContract } from './contract.ts'
import { logbookMigrations, openLogbook, registerRunsCommands } from './index.ts'

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

async function serve() {
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

const demo = { name: 'demo', title: 'Demo', setup: 'lime', series: 'sim' }
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

test('the command line lists, shows and notes; a run that does not exist ends with 3 and names the last one', async () => {
  const { as, open, baseUrl } = await serve()
  await as('admin').createExperiment({ body: demo })
  await open(1)
  await open(2)
  const run = async (...argv: string[]) => {
    const written = { stdout: '', stderr: '' }
    const output = createOutput({
      json: argv.includes('--json'),
      stdout: { write: (text) => (written.stdout += text) },
      stderr: { write: (text) => (written.stderr += text) },
    })
    const context: CommandContext = {
      client: (contract) => createClient(contract, { baseUrl, headers: { authorization: 'Bearer admin' } }),
      output,
      home: '/nowhere',
      profile: { name: 'test', platformUrl: baseUrl },
    }
    const program = new Command('cygnet').exitOverride()
    registerRunsCommands(program, context)
    await program.parseAsync(['node', 'cygnet', 'runs', ...argv])
    return written
  }
  const listed = await run('list', '1-5', '--limit', '1')
  expect(listed.stdout).toMatch(/^RUN\s+START \(UTC\).*\nsim:2\s+1970-01-01 00:16:40Z\s+-\s+-\s+data\s+recording/)
  expect(listed.stderr).toMatch(/^More: add --cursor /)
  expect(JSON.parse((await run('list', '--json')).stdout)).toMatchObject({ items: [{ number: 2 }, { number: 1 }] })
  await run('note', 'sim:1', 'two', 'words')
  const shown = await run('show', 'sim:1')
  expect(shown.stdout).toMatch(/setup\s+lime/)
  expect(shown.stderr).toMatch(/admin: two words/)
  const missing = await run('show', 'sim:999').catch((error: unknown) => error)
  expect(exitCodeOf(missing)).toBe(3)
  expect(missing).toMatchObject({ hint: "The last run of series 'sim' is 2." })
  const wrong = await run('list', '--kind', 'nonsense').catch((error: unknown) => error)
  expect(exitCodeOf(wrong)).toBe(2)
})
