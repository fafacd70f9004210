/** A session's server belongs to its person: what they put in its place must not hurt the platform. */
import { createServer, type Server } from 'node:http'
import { rename, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { temporaryDirectory } from '../foundation/testing.ts'
import { answers, callJupyter, type JupyterPlace } from './jupyter-call.ts'
import { reach } from './proxy/notebook-proxy.ts'

async function place(server: Server): Promise<JupyterPlace & { folder: string }> {
  const folder = await temporaryDirectory()
  const socketPath = join(folder.path, 'jupyter.sock')
  await new Promise<void>((listening) => server.listen(socketPath, listening))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const key = Buffer.alloc(32, 1).toString('base64url')
  return { folder: folder.path, socketPath, basePath: '/user/a/s/', sessionId: 's', key, owner: { id: 'a', name: 'a' } }
}

test('a link in place of the socket is not followed, to whatever socket it leads', async () => {
  const own = await place(createServer((_request, response) => response.end('mine')))
  expect(await answers(own)).toBe(true)
  const other = await place(createServer((_request, response) => response.end("another's")))
  await rename(own.socketPath, `${own.socketPath}.away`)
  for (const target of [other.socketPath, `${own.socketPath}.away`]) {
    const link = `${own.socketPath}.${Math.random()}`
    await symlink(target, link)
    await rename(link, own.socketPath)
    expect(await answers(own)).toBe(false)
    expect(reach(own.socketPath).path).toBe('/nonexistent/session')
  }
  await writeFile(join(own.folder, 'file'), '')
  expect(reach(join(own.folder, 'file')).path).toBe('/nonexistent/session')
  expect(reach(own.folder).path).toBe('/nonexistent/session')
})

test('a server that talks without end is cut off', async () => {
  const endless = createServer((_request, response) => {
    response.on('error', () => undefined)
    const more = () => {
      while (!response.destroyed && response.write(Buffer.alloc(1 << 20)));
    }
    response.on('drain', more)
    more()
  })
  const own = await place(endless)
  await expect(callJupyter(own, { method: 'GET', path: 'api' })).rejects.toThrow('too long')
})

test('a server that answers a byte at a time does not hold us for ever', async () => {
  const timers: NodeJS.Timeout[] = []
  onTestFinished(() => timers.forEach((timer) => clearInterval(timer)))
  const slow = createServer((_request, response) => {
    response.on('error', () => undefined)
    timers.push(setInterval(() => response.write('x'), 20))
  })
  const own = await place(slow)
  await expect(callJupyter(own, { method: 'GET', path: 'api', timeoutMs: 200 })).rejects.toThrow()
})
