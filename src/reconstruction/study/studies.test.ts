import { join } from 'node:path'
import { Command } from 'commander'
import { expect, onTestFinished, test } from 'vitest'
import { computeRoutes } from '../../compute/index.ts'
import { createClient } from '../../foundation/client.ts'
import { createOutput } from '../../foundation/command-line.ts'
import type { CommandContext } from '../../foundation/command-line.ts'
import { migrate, openDatabase, transact } from '../../foundation/database.ts'
import { createApp } from '../../foundation/http.ts'
import type { Gate } from '../../foundation/http.ts'
import { silentLogger } from '../../foundation/log.ts'
import { forEachDatabase, temporaryDirectory } from '../../foundation/testing.ts'
import { reconstructionMigrations } from '../tables.ts'
import { openTestRoom } from '../testing.ts'
import { registerStudyCommands } from './study-commands.ts'
import { changeStudy, insertStudy, listStudies, studyById } from './study-rows.ts'

const everybody: Gate = {
  authenticate: async () => ({ id: 'person', kind: 'person', name: 'person', subject: undefined }),
  require: () => undefined,
}

async function room() {
  const folder = await temporaryDirectory()
  const database = await openDatabase({ url: `sqlite:${join(folder.path, 'test.sqlite')}` })
  const opened = await openTestRoom(database, folder.path)
  const app = createApp({ log: silentLogger() })
  opened.logbook.routes(app, everybody)
  opened.reconstruction.routes(app, everybody)
  computeRoutes(app, { compute: opened.compute, database, gate: everybody })
  onTestFinished(async () => {
    await app.close()
    await opened.close()
    await database.close()
  })
  return { opened, app, folder }
}

test('a validation on the platform: started from the command line, followed, published once, read back', async () => {
  const { opened, app, folder } = await room()
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as { port: number }
  const put = opened.storage.putObject.bind(opened.storage)
  let failures = 0
  opened.storage.putObject = async (given) => {
    if (given.key.endsWith('report.json') && failures++ === 0) throw new Error('the disk went away')
    return await put(given)
  }
  await opened.compute.start()

  const said = { stdout: '', stderr: '' }
  const streams = {
    stdout: { write: (text: string) => (said.stdout += text) },
    stderr: { write: (text: string) => (said.stderr += text) },
  }
  const context: CommandContext = {
    client: (contract) => createClient(contract, { baseUrl: `http://127.0.0.1:${port}` }),
    output: createOutput({ json: false, ...streams }),
    home: folder.path,
    profile: { name: 'test', platformUrl: `http://127.0.0.1:${port}` },
  }
  const before = process.exitCode
  const program = new Command().exitOverride()
  registerStudyCommands(program, context)
  const pdf = join(folder.path, 'kept.pdf')
  await program.parseAsync(['validate', '--images', '32', '--frame', '256', '--pdf', pdf], { from: 'user' })
  // Requirements fail on so few small frames, and the exit code says so.
  expect(process.exitCode).toBe(1)
  process.exitCode = before
  expect(said.stdout).toMatch(/TABLE +HOLDS +REQUIREMENT/)
  expect(said.stdout).toMatch(/arXiv 1905\.04066.*agrees|differs|not comparable/)
  expect(said.stderr).toMatch(/sample [\w-]+: \d+ of \d+/)
  expect(failures).toBe(2)

  const get = async (path: string) => (await app.inject({ url: `/api/experiments/demo${path}` })).json()
  const { items } = await get('/studies?kind=validation')
  expect(items).toMatchObject([{ kind: 'validation', state: 'done', options: { images: 32, framePx: 256, seed: 1 } }])
  const [{ id, files, prefix, headline }] = items
  expect(prefix).toBe(`studies/${id}`)
  expect(files.map(({ name }: { name: string }) => name)).toEqual(expect.arrayContaining(['report.json', 'report.pdf']))
  expect(headline.failing).toBeGreaterThan(0)
  const shown = await get(`/studies/${id}`)
  expect(shown.report.sections).toHaveLength(10)
  const file = await app.inject({ url: `/api/experiments/demo/studies/${id}/files/report.pdf` })
  expect(file.headers['content-type']).toBe('application/pdf')
  expect(file.rawPayload.subarray(0, 5).toString()).toBe('%PDF-')
  expect(opened.storage.puts.filter((key) => key === `demo-reco/studies/${id}/report.json`)).toHaveLength(1)
  const facts = await opened.database.kysely
    .selectFrom('fact')
    .select('kind')
    .where('kind', 'like', 'reconstruction.study%')
    .orderBy('sequence')
    .execute()
  expect(facts.map(({ kind }) => kind)).toEqual(['reconstruction.study-started', 'reconstruction.study-done'])
  expect(await get(`/studies/${id}/files/model.json`)).toMatchObject({ code: 'reconstruction.no_such_study_file' })
})

test('what cannot be started or found is refused with a sentence; a cancelled job is a failed study', async () => {
  const { opened, app } = await room()
  const post = async (payload: object) =>
    (await app.inject({ method: 'POST', url: '/api/experiments/demo/studies', payload })).json()
  expect(await post({ kind: 'validation', options: { images: 3 } })).toMatchObject({
    status: 422,
    code: 'reconstruction.bad_study_options',
    detail: expect.stringMatching(/^images/),
  })
  const started = await post({ kind: 'validation', options: { quick: true } })
  expect(started).toMatchObject({ state: 'submitted', options: { images: 2000, quick: true } })
  const url = `/api/experiments/demo/studies/${started.id}`
  expect((await app.inject({ url: `${url}/files/report.json` })).json()).toMatchObject({
    code: 'reconstruction.no_such_study_file',
    hint: expect.stringMatching(/not ended/),
  })
  expect((await app.inject({ url: `/api/experiments/other/studies/${started.id}` })).statusCode).toBe(404)
  expect((await app.inject({ url: `${url}/files/..%2Fsecret` })).statusCode).toBeGreaterThanOrEqual(400)
  await opened.compute.cancel(started.jobId)
  await opened.compute.start()
  await opened.compute.ended(started.jobId)
  expect((await app.inject({ url })).json()).toMatchObject({ study: { state: 'failed' }, report: null })
})

forEachDatabase('rows of studies', (open) => {
  test('are listed newest first and change', async () => {
    const database = await open()
    await migrate(database, [reconstructionMigrations])
    const row = (id: string, createdMs: number, kind: 'validation' | 'training') => ({
      id,
      experiment: 'demo',
      kind,
      options: '{"images":32}',
      state: 'submitted' as const,
      reason: null,
      job_id: null,
      code_version: 'x',
      bucket: 'demo-reco',
      prefix: `studies/${id}`,
      files: '[]',
      headline: null,
      requested_by: 'person',
      created_ms: createdMs,
      updated_ms: createdMs,
    })
    await transact(database, async (trx) => {
      await insertStudy(trx, row('a', 1, 'validation'))
      await insertStudy(trx, row('b', 2, 'training'))
      await insertStudy(trx, { ...row('c', 3, 'validation'), experiment: 'other' })
    })
    const page = { limit: 10, offset: 0 }
    expect((await listStudies(database.kysely, 'demo', page)).map(({ id }) => id)).toEqual(['b', 'a'])
    expect(await listStudies(database.kysely, 'demo', { ...page, kind: 'validation' })).toMatchObject([
      { id: 'a', options: { images: 32 }, headline: null, createdAtMs: 1 },
    ])
    await transact(database, (trx) => changeStudy(trx, 'a', { state: 'failed', reason: 'no', updated_ms: 9 }))
    expect(await studyById(database.kysely, 'a')).toMatchObject({ state: 'failed', reason: 'no', updated_ms: 9 })
    expect(await studyById(database.kysely, 'nobody')).toBeUndefined()
  })
})
