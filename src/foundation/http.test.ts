import { once } from 'node:events'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { addressOf, createClient } from './client.ts'
import { defineContract, pageOf, pageQuery, queryFlag, queryList } from './contract.ts'
import { catalogue, Fault } from './errors.ts'
import { bindRoutes, createApp, type Caller, type Gate, type Handlers } from './http.ts'
import { silentLogger } from './log.ts'

const run = z.object({ number: z.number().int(), note: z.string().optional() })
const inExperiment = z.object({ experiment: z.string().min(2) })

const contract = defineContract('test', {
  listRuns: {
    method: 'GET',
    path: '/api/experiments/:experiment/runs',
    summary: 'Runs',
    permission: { action: 'logbook.read', of: 'params.experiment' },
    params: inExperiment,
    query: pageQuery.extend({ closed: queryFlag.optional(), kinds: queryList(z.string()).optional() }),
    answer: pageOf(run),
  },
  makeRun: {
    method: 'POST',
    path: '/api/runs',
    summary: 'New run',
    permission: { action: 'logbook.write', of: 'body.experiment' },
    body: z.object({ experiment: z.string(), files: z.array(z.object({ name: z.string(), sizeBytes: z.number() })) }),
    answer: run,
  },
  removeRun: {
    method: 'DELETE',
    path: '/api/runs/:id',
    summary: 'Remove a run',
    permission: { action: 'logbook.write', of: 'loaded' },
    params: z.object({ id: z.string() }),
  },
  forgetful: {
    method: 'GET',
    path: '/api/forgetful',
    summary: 'Forgets to ask',
    permission: { action: 'logbook.read', of: 'loaded' },
    answer: run,
  },
  hello: { method: 'GET', path: '/api/hello', summary: 'Hello', permission: 'public', answer: z.string() },
  me: {
    method: 'GET',
    path: '/api/me',
    summary: 'Me',
    permission: 'signed-in',
    answer: z.object({ name: z.string() }),
  },
  watch: {
    method: 'GET',
    path: '/api/watch',
    summary: 'Events',
    permission: 'signed-in',
    query: z.object({ breaks: queryFlag.optional(), refuses: queryFlag.optional(), silent: queryFlag.optional() }),
    answer: run,
    stream: 'events',
  },
  watchLoaded: {
    method: 'GET',
    path: '/api/watch-loaded',
    summary: 'Events of what must be loaded first',
    permission: { action: 'logbook.read', of: 'loaded' },
    query: z.object({ asks: queryFlag }),
    stream: 'events',
  },
  download: {
    method: 'GET',
    path: '/api/files/*',
    summary: 'Bytes',
    permission: 'public',
    params: z.object({ '*': z.string() }),
    stream: 'bytes',
  },
})

const faults = catalogue('test', {
  noSuchRun: { status: 404, title: 'No such run', hint: 'List the runs.' },
  notAllowed: { status: 403, title: 'Not allowed' },
})

/** Lets 'alice' do everything in 'demo'; a bad token is a 401. */
const gate: Gate = {
  async authenticate(request): Promise<Caller> {
    const token = request.headers.authorization
    if (token === undefined) return { id: '', kind: 'anonymous', name: 'anonymous', subject: undefined }
    if (token !== 'Bearer alice')
      throw new Fault({ code: 'test.bad_token', status: 401, title: 'Bad token', detail: 'Bad token.' })
    return { id: 'a', kind: 'person', name: 'alice', subject: undefined }
  },
  require(caller, action, experiment) {
    if (caller.kind !== 'anonymous' && experiment === 'demo') return
    throw faults.notAllowed(`${caller.name} may not ${action} in ${experiment}.`)
  },
}

async function open({ headers = { authorization: 'Bearer alice' } as Record<string, string> } = {}) {
  const calls: string[] = []
  const ended: string[] = []
  const handlers: Handlers<(typeof contract)['routes']> = {
    async listRuns({ params, query }) {
      calls.push(JSON.stringify({ ...params, ...query }))
      return { items: [{ number: 1, secret: 'x' } as { number: number }], nextCursor: null }
    },
    async makeRun({ body }) {
      calls.push('makeRun')
      return body.files.length === 3 ? ({ number: 'three' } as never) : { number: body.files.length }
    },
    async removeRun({ params }, context) {
      if (params.id === 'none') throw faults.noSuchRun(`There is no run '${params.id}'.`)
      context.require('logbook.write', params.id)
      calls.push('removed')
    },
    forgetful: async () => ({ number: 7 }),
    hello: async (_request, { caller }) => `hello ${caller.name}`,
    me: async (_request, { caller }) => ({ name: caller.name }),
    async *watch({ query }, { signal, request }) {
      try {
        if (query.refuses) throw faults.noSuchRun('There is nothing to watch.')
        if (query.silent) {
          await once(signal, 'abort')
          return
        }
        const from = Number(request.headers['last-event-id'] ?? 0)
        yield { event: 'run', data: { number: from + 1 }, id: `${from + 1}` }
        yield { event: 'run', data: { number: from + 2, note: 'two\nlines' }, id: `${from + 2}` }
        if (query.breaks) throw faults.noSuchRun('It is gone.')
      } finally {
        ended.push('watch')
      }
    },
    async *watchLoaded({ query }, context) {
      await sleep(80)
      if (query.asks) context.require('logbook.read', 'demo')
      yield { event: 'x', data: 1 }
    },
    async download({ params }) {
      if (params['*'] === 'a/b c') return { contentType: 'text/plain', body: Buffer.from('short') }
      const body = Readable.from(
        (async function* () {
          yield Buffer.alloc(100_000, 1)
          if (params['*'] === 'broken') throw new Error('the disk died')
          yield Buffer.alloc(100_000, 2)
        })(),
      )
      return { contentType: 'application/x-midas', sizeBytes: 200_000, headers: { 'x-run': '12' }, body }
    },
  }
  const app = createApp({ log: silentLogger(), bodyLimitBytes: 10_000 })
  bindRoutes(app, contract, handlers, gate)
  const baseUrl = await app.listen({ host: '127.0.0.1', port: 0 })
  onTestFinished(() => app.close())
  return { app, baseUrl, calls, ended, client: createClient(contract, { baseUrl, headers: () => headers }) }
}

test('the client gets what the handler gave, as far as the contract names it', async () => {
  const { client, calls } = await open()
  const page = await client.listRuns({
    params: { experiment: 'demo' },
    query: { limit: 5, closed: false, kinds: ['data', 'pedestal'] },
  })
  expect(page).toEqual({ items: [{ number: 1 }], nextCursor: null })
  expect(calls).toEqual([JSON.stringify({ experiment: 'demo', limit: 5, closed: false, kinds: ['data', 'pedestal'] })])
  await client.listRuns({ params: { experiment: 'demo' }, query: { kinds: ['data'] } })
  expect(calls[1]).toContain('"limit":100,"kinds":["data"]')
  expect(await client.makeRun({ body: { experiment: 'demo', files: [{ name: 'a', sizeBytes: 1 }] } })).toEqual({
    number: 1,
  })
  expect(await client.removeRun({ params: { id: 'demo' } })).toBeUndefined()
  expect(await client.hello()).toBe('hello alice')
})

test('a wrong request is a 422 that names each field, and the handler is not called', async () => {
  const { client, calls } = await open()
  const files = [
    { name: 'a', sizeBytes: 1 },
    { name: 2 as never, sizeBytes: 'big' as never },
  ]
  const refused = client.makeRun({ body: { experiment: 'demo', files } })
  await expect(refused).rejects.toMatchObject({
    code: 'foundation.invalid_input',
    status: 422,
    requestId: expect.any(String),
    extra: { errors: [{ path: 'body.files[1].name' }, { path: 'body.files[1].sizeBytes' }] },
  })
  await expect(client.listRuns({ params: { experiment: 'demo' }, query: { limit: 0 } })).rejects.toMatchObject({
    status: 422,
  })
  expect(calls).toEqual([])
})

test('permission is asked before the handler, with the experiment of the request', async () => {
  const { client, calls } = await open()
  await expect(client.listRuns({ params: { experiment: 'other' } })).rejects.toMatchObject({
    status: 403,
    detail: 'alice may not logbook.read in other.',
  })
  await expect(client.makeRun({ body: { experiment: 'other', files: [] } })).rejects.toMatchObject({ status: 403 })
  await expect(client.removeRun({ params: { id: 'other' } })).rejects.toMatchObject({ status: 403 })
  expect(calls).toEqual([])
})

test('a handler that must ask and does not gives nothing away', async () => {
  const { client, baseUrl } = await open()
  await expect(client.forgetful()).rejects.toMatchObject({ code: 'foundation.permission_not_checked', status: 500 })
  const response = await fetch(`${baseUrl}/api/watch-loaded?asks=false`, { headers: { authorization: 'Bearer alice' } })
  expect(response.status).toBe(500)
  expect(await response.text()).not.toContain('event:')
  const asked = []
  for await (const event of client.watchLoaded({ query: { asks: true } })) asked.push(event)
  expect(asked).toEqual([{ event: 'x', data: 1 }])
})

test('without credentials: public routes answer, others are a 401; a bad token does not close the public ones', async () => {
  const anonymous = await open({ headers: {} })
  expect(await anonymous.client.hello()).toBe('hello anonymous')
  await expect(anonymous.client.me()).rejects.toMatchObject({ status: 401, code: 'foundation.sign_in_needed' })
  const stale = await open({ headers: { authorization: 'Bearer old' } })
  expect(await stale.client.hello()).toBe('hello anonymous')
  await expect(stale.client.me()).rejects.toMatchObject({ status: 401, code: 'test.bad_token' })
})

test('faults come over the wire whole; bugs and broken answers show nothing but the request id', async () => {
  const { client, app, baseUrl } = await open()
  await expect(client.removeRun({ params: { id: 'none' } })).rejects.toMatchObject({
    code: 'test.no_such_run',
    title: 'No such run',
    detail: "There is no run 'none'.",
    hint: 'List the runs.',
  })
  const files = [1, 2, 3].map((sizeBytes) => ({ name: 'f', sizeBytes }))
  await expect(client.makeRun({ body: { experiment: 'demo', files } })).rejects.toMatchObject({
    code: 'foundation.answer_breaks_contract',
  })
  const bad = await fetch(`${baseUrl}/api/runs`, {
    method: 'POST',
    body: '{',
    headers: { 'content-type': 'application/json', authorization: 'Bearer alice' },
  })
  expect([bad.status, bad.headers.get('content-type')]).toEqual([400, 'application/problem+json; charset=utf-8'])
  const large = await app.inject({ method: 'POST', url: '/api/runs', payload: { experiment: 'x'.repeat(20_000) } })
  expect(large.json()).toMatchObject({ status: 413, code: 'foundation.body_too_large' })
  const none = await app.inject({ url: '/api/none', headers: { 'x-request-id': 'abcdefgh-1' } })
  expect(none.json()).toMatchObject({ status: 404, code: 'foundation.no_such_route', requestId: 'abcdefgh-1' })
  expect(none.headers['x-request-id']).toBe('abcdefgh-1')
})

test('events arrive in order with their ids, continue after an id, and end the source when the reader leaves', async () => {
  const { client, ended } = await open()
  const events = []
  for await (const event of client.watch({}, { lastEventId: '10' })) events.push(event)
  expect(events).toEqual([
    { event: 'run', data: { number: 11 }, id: '11' },
    { event: 'run', data: { number: 12, note: 'two\nlines' }, id: '12' },
  ])
  expect(ended).toEqual(['watch'])
  const leave = new AbortController()
  const waiting = (async () => {
    for await (const _event of client.watch({ query: { silent: true } }, { signal: leave.signal })) break
  })()
  await sleep(120)
  leave.abort()
  await expect(waiting).rejects.toMatchObject({ name: 'AbortError' })
  await expect.poll(() => ended).toEqual(['watch', 'watch'])
})

test('a stream that refuses is a proper answer; one that breaks later tells its reader', async () => {
  const { client } = await open()
  const read = async (query: { breaks?: boolean; refuses?: boolean }) => {
    const events = []
    for await (const event of client.watch({ query })) events.push(event)
    return events
  }
  await expect(read({ refuses: true })).rejects.toMatchObject({ code: 'test.no_such_run', status: 404 })
  await expect(read({ breaks: true })).rejects.toMatchObject({ code: 'test.no_such_run', detail: 'It is gone.' })
})

test('bytes are streamed with their length and type; a stream that breaks cuts the connection', async () => {
  const { client } = await open()
  const whole = await client.download({ params: { '*': 'run' } })
  expect([whole.headers.get('content-type'), whole.headers.get('content-length'), whole.headers.get('x-run')]).toEqual([
    'application/x-midas',
    '200000',
    '12',
  ])
  expect((await whole.arrayBuffer()).byteLength).toBe(200_000)
  const short = await client.download({ params: { '*': 'a/b c' } })
  expect(await short.text()).toBe('short')
  const broken = await client.download({ params: { '*': 'broken' } })
  await expect(broken.arrayBuffer()).rejects.toThrow()
})

test('when nobody answers, or something that is no Cygnet, the client says so', async () => {
  const nobody = createClient(contract, { baseUrl: 'http://127.0.0.1:1' })
  await expect(nobody.hello()).rejects.toMatchObject({ code: 'foundation.unreachable', retry: true })
  const answer = (status: number, body: string) =>
    createClient(contract, { baseUrl: '', fetch: async () => new Response(body, { status }) })
  await expect(answer(502, '<html>').hello()).rejects.toMatchObject({ code: 'foundation.unreachable' })
  await expect(answer(418, 'tea').hello()).rejects.toMatchObject({
    code: 'foundation.unexpected_answer',
    extra: { status: 418 },
  })
  await expect(answer(200, '{"other":1}').me()).rejects.toMatchObject({ code: 'foundation.unexpected_answer' })
})

test('addresses are escaped, parts of a path kept', () => {
  const { download, listRuns } = contract.routes
  expect(addressOf(download, { params: { '*': 'a b/ü#?' } }, 'http://x/')).toBe('http://x/api/files/a%20b/%C3%BC%23%3F')
  expect(addressOf(listRuns, { params: { experiment: '../x' }, query: { cursor: 'a&b' } })).toBe(
    '/api/experiments/..%2Fx/runs?cursor=a%26b',
  )
})
