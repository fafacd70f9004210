import { EventEmitter, once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { createClient } from './client.ts'
import { defineContract } from './contract.ts'
import { Fault } from './errors.ts'
import { bindRoutes, createApp, type Caller, type Gate } from './http.ts'
import { silentLogger } from './log.ts'

const contract = defineContract('test', {
  watch: {
    method: 'GET',
    path: '/api/watch',
    summary: 'Own',
    permission: { action: 'jobs.read', of: 'loaded' },
    stream: 'events',
  },
  watchOpen: { method: 'GET', path: '/api/open', summary: 'Everybody', permission: 'public', stream: 'events' },
})

/** Rights of 'alice', who signs in by her name; changes of them are announced, sign-outs are not. */
async function open() {
  const rights = { isSignedIn: true, owners: ['alice'], asked: 0 }
  const changes = new EventEmitter()
  const alice: Caller = { id: 'alice', kind: 'person', name: 'alice', subject: undefined }
  const gone = new Fault({ code: 'test.gone', status: 401, title: 'Gone', detail: 'Gone.' })
  const gate: Gate = {
    authenticate: async ({ headers }) =>
      headers.authorization === undefined ? { ...alice, id: '', kind: 'anonymous' } : alice,
    require(_caller, _action, _experiment, about) {
      if (!rights.owners.includes(String(about?.ownerId))) throw gone
    },
    async still() {
      rights.asked++
      if (!rights.isSignedIn) throw gone
      return alice
    },
    onChange(listener) {
      changes.on('change', listener)
      return () => changes.off('change', listener)
    },
  }
  const app = createApp({ log: silentLogger() })
  const endless = async function* (signal: AbortSignal) {
    yield { event: 'here', data: {} }
    await once(signal, 'abort')
  }
  bindRoutes(
    app,
    contract,
    {
      async *watch(_request, { require, signal }) {
        require('jobs.read', 'demo', { ownerId: 'alice' })
        yield* endless(signal)
      },
      watchOpen: (_request, { signal }) => endless(signal),
    },
    gate,
  )
  const baseUrl = await app.listen({ host: '127.0.0.1', port: 0 })
  onTestFinished(() => app.close())
  const client = createClient(contract, { baseUrl, headers: { authorization: 'alice' } })
  const stranger = createClient(contract, { baseUrl })
  return { rights, changes, client, stranger }
}

async function firstOf(events: AsyncIterable<unknown>) {
  const iterator = events[Symbol.asyncIterator]()
  await iterator.next()
  return iterator
}

test('a stream ends with the right to it, and asks for the thing it is about', async () => {
  const { rights, changes, client } = await open()
  const stream = await firstOf(client.watch())
  const next = stream.next()
  changes.emit('change')
  await expect.poll(() => rights.asked).toBe(1)
  expect(await Promise.race([next, sleep(50, 'open')])).toBe('open')
  rights.owners = []
  changes.emit('change')
  expect(await next).toMatchObject({ done: true })
  expect(changes.listenerCount('change')).toBe(0)
})

test('a stream ends after a sign-out that nobody announced', async () => {
  const { rights, client } = await open()
  const stream = await firstOf(client.watch())
  rights.isSignedIn = false
  expect(await stream.next()).toMatchObject({ done: true })
})

test('what is for everybody is asked of nobody', async () => {
  const { rights, changes, stranger } = await open()
  const leave = new AbortController()
  const stream = await firstOf(stranger.watchOpen({}, { signal: leave.signal }))
  expect(changes.listenerCount('change')).toBe(0)
  expect(rights.asked).toBe(0)
  leave.abort()
  await stream.next().catch(() => undefined)
})
