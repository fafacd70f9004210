import { createServer, type Server } from 'node:http'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { silentLogger } from '../../foundation/log.ts'
import { temporaryDirectory } from '../../foundation/testing.ts'
import type { ObjectDenial } from '../../identity/gateway.ts'
import { createDeniedObjects } from './denied-objects.ts'

const anna = { id: 'p1', kind: 'person', name: 'anna', epoch: 1, siteAdmin: false, roles: [] } as const
const subject = { ...anna, roles: [] }

async function control(socket: string, heard: ObjectDenial[]): Promise<Server> {
  const server = createServer((request, response) => {
    let text = ''
    request.setEncoding('utf8').on('data', (part: string) => (text += part))
    request.on('end', () => {
      heard.push(...(JSON.parse(text) as { denials: ObjectDenial[] }).denials)
      response.end('{}')
    })
  })
  await new Promise<void>((done) => server.listen(socket, done))
  onTestFinished(() => void server.close())
  return server
}

test('denials are counted by who, from where and what, wait while control is away, and none is lost', async () => {
  const { path } = await temporaryDirectory()
  const socket = join(path, 'control.sock')
  const denied = createDeniedObjects(socket, silentLogger())
  for (let times = 0; times < 3; times++) denied.record(subject, '192.0.2.1', 'PUT', 'demo-raw/x')
  // Nobody is there yet.
  await denied.close()
  denied.record({ ...subject, kind: 'session', actorId: 's1' }, '192.0.2.2', 'GET', 'demo-raw/y'.padEnd(900, 'y'))
  const heard: ObjectDenial[] = []
  await control(socket, heard)
  await denied.close()
  expect(heard).toMatchObject([
    { subjectId: 'p1', kind: 'person', address: '192.0.2.1', target: 'S3 PUT demo-raw/x', count: 3 },
    { kind: 'session', actorId: 's1', count: 1 },
  ])
  expect(heard[1]!.target.length).toBeLessThanOrEqual(300)
})

test('very many places are counted together', async () => {
  const { path } = await temporaryDirectory()
  const socket = join(path, 'control.sock')
  const denied = createDeniedObjects(socket, silentLogger())
  const heard: ObjectDenial[] = []
  await control(socket, heard)
  for (let index = 0; index < 5000; index++) denied.record(subject, '192.0.2.1', 'GET', `demo-raw/${index}`)
  await denied.close()
  expect(heard.length).toBeLessThan(510)
  expect(heard.reduce((sum, { count }) => sum + count, 0)).toBe(5000)
})
