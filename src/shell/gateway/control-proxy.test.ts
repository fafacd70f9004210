import { rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { silentLogger } from '../../foundation/log.ts'
import { temporaryDirectory } from '../../foundation/testing.ts'
import { createControlProxy } from './control-proxy.ts'

async function listening(server: Server, where: string | number): Promise<void> {
  await new Promise<void>((done) => server.listen(where, done))
}

async function gatewayTo(socketPath: string): Promise<{ url: string; close(): void }> {
  const proxy = createControlProxy(socketPath, silentLogger())
  const server = createServer((request, response) => void proxy(request, response))
  await listening(server, 0)
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close: () => server.close() }
}

test('a request waits for a control that is not there yet, and its body arrives whole', async () => {
  const socketPath = join((await temporaryDirectory()).path, 'control.sock')
  const gateway = await gatewayTo(socketPath)
  const body = 'x'.repeat(300_000)
  const answer = fetch(gateway.url, { method: 'POST', body })
  await sleep(300)
  const control = createServer((request, response) => {
    let size = 0
    request.on('data', (chunk: Buffer) => (size += chunk.length)).on('end', () => response.end(String(size)))
  })
  await listening(control, socketPath)
  expect(await (await answer).text()).toBe('300000')
  control.close()
  gateway.close()
})

test('a read is asked again when control dies over it; a change is not', async () => {
  const socketPath = join((await temporaryDirectory()).path, 'control.sock')
  const gateway = await gatewayTo(socketPath)
  const asked: string[] = []
  const dying = createServer((request) => {
    asked.push(request.method!)
    request.socket.destroy()
  })
  await listening(dying, socketPath)
  const change = await fetch(gateway.url, { method: 'POST', body: '{}' })
  expect(change.status).toBe(503)
  expect(((await change.json()) as { code: string }).code).toBe('shell.control_unavailable')
  const read = fetch(gateway.url)
  await sleep(200)
  dying.close()
  rmSync(socketPath, { force: true })
  const control = createServer((_request, response) => void response.end('there'))
  await listening(control, socketPath)
  expect(await (await read).text()).toBe('there')
  expect(asked.filter((method) => method === 'POST')).toHaveLength(1)
  control.close()
  gateway.close()
})

test('an answer cut in the middle is an error for the client, not a short answer', async () => {
  const socketPath = join((await temporaryDirectory()).path, 'control.sock')
  const gateway = await gatewayTo(socketPath)
  const control = createServer((_request, response) => {
    response.write('half')
    setTimeout(() => response.destroy(), 50)
  })
  await listening(control, socketPath)
  await expect(fetch(gateway.url).then((answer) => answer.text())).rejects.toThrow()
  control.close()
  gateway.close()
})
