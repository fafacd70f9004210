/** STS of a gateway: it asks control, and answers when it would take the new key itself. */
import { createServer } from 'node:http'
import { join } from 'node:path'
import { text as readAll } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { temporaryDirectory } from '../../foundation/testing.ts'
import type { PlatformSnapshot } from '../snapshot.ts'
import { createStsPort } from './sts-port.ts'

const key = { secret: 's', subjectId: 'p', limits: {}, actor: null, expiresAtMs: null, sessionTokenHash: 'h' }
const snapshotWith = (accessKeys: Record<string, typeof key>) =>
  ({
    writtenAtMs: 0,
    identity: {
      subjects: {
        p: {
          id: 'p',
          kind: 'person',
          name: 'p',
          displayName: 'P',
          state: 'active',
          epoch: 1,
          siteAdmin: false,
          roles: [],
        },
      },
      accessKeys,
    },
  }) as unknown as PlatformSnapshot

test('a key is only handed out once this gateway knows it; control may start again meanwhile', async () => {
  const { path } = await temporaryDirectory()
  const socket = join(path, 'control.sock')
  let current = snapshotWith({})
  const { sts, accessKey } = createStsPort(socket, { current: () => current })
  const asked: unknown[] = []
  const control = createServer(async (request, response) => {
    asked.push([request.url, JSON.parse(await readAll(request))])
    response.end(JSON.stringify({ status: 200, body: '<xml/>', accessKeyId: 'ASIA1' }))
  })
  const parameters = { WebIdentityToken: 'x' }
  const answer = sts.assumeRole({ parameters, address: '192.0.2.1', requestId: 'r' })
  await sleep(150)
  await new Promise<void>((listening) => control.listen(socket, listening))
  onTestFinished(() => void control.close())
  const early = await Promise.race([answer.then(() => 'answered'), sleep(300, 'waits')])
  expect(early).toBe('waits')
  current = snapshotWith({ ASIA1: key })
  expect(await answer).toEqual({ status: 200, body: '<xml/>' })
  // The token is in the body of the request, never in its address.
  expect(asked).toEqual([['/internal/sts', { parameters, address: '192.0.2.1', requestId: 'r' }]])
  expect(await accessKey('ASIA1')).toMatchObject({ secret: 's', sessionTokenHash: 'h' })
  expect(accessKey('CYGNOTHING')).toBeUndefined()
  const late = accessKey('ASIA2')
  current = snapshotWith({ ASIA1: key, ASIA2: key })
  expect(await late).toMatchObject({ secret: 's' })
  expect(await accessKey('ASIANEVER')).toBeUndefined()
})
