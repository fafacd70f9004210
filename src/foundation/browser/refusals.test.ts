import { createServer, type Server } from 'node:http'
import { once } from 'node:events'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { liftRefusals, liftingFetch } from './refusals.ts'

/** Refuses until it was asked as often as the path says. */
let server: Server
let url: string
const bodies: string[] = []

beforeAll(async () => {
  let refused = 0
  server = createServer(async (request, response) => {
    let body = ''
    for await (const part of request) body += String(part)
    bodies.push(body)
    const refuse = request.url === '/always' || (request.url === '/once' && refused++ === 0)
    response.writeHead(refuse ? 403 : 200, { 'content-type': 'application/json' })
    response.end(JSON.stringify(refuse ? { code: 'x.needed', hint: 'prove it' } : { done: true }))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  url = `http://127.0.0.1:${(server.address() as { port: number }).port}`
})

afterAll(() => server.close())

test('a refusal that is lifted is followed by the same request; one that is not comes back as it is', async () => {
  const asked: unknown[] = []
  const stop = liftRefusals('x.needed', async (problem) => {
    asked.push(problem)
    return asked.length === 1
  })
  const response = await liftingFetch(`${url}/once`, { method: 'POST', body: 'same' })
  expect([response.status, await response.json()]).toEqual([200, { done: true }])
  expect(bodies).toEqual(['same', 'same'])
  expect(asked).toEqual([{ code: 'x.needed', hint: 'prove it' }])
  const again = await liftingFetch(`${url}/always`)
  expect([again.status, await again.json()]).toEqual([403, { code: 'x.needed', hint: 'prove it' }])
  stop()
  expect((await liftingFetch(`${url}/always`)).status).toBe(403)
  expect(asked).toHaveLength(2)
})

test('a refusal that nobody registered for, and one that is no JSON, come back as they are', async () => {
  const stop = liftRefusals('y.other', async () => true)
  expect((await liftingFetch(`${url}/always`)).status).toBe(403)
  stop()
})
