import { once } from 'node:events'
import { createServer as createHttpServer, request as httpRequest, type IncomingMessage, type Server } from 'node:http'
import { connect, createServer as createSocketServer } from 'node:net'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { Fault } from '../../foundation/errors.ts'
import { silentLogger } from '../../foundation/log.ts'
import { temporaryDirectory } from '../../foundation/testing.ts'
import { identityHeader, signIdentity } from './identity-header.ts'
import { createNotebookProxy, withoutOurCookies, type NotebookProxy } from './notebook-proxy.ts'
import { locate, type NotebookRoute } from './route.ts'

const cookie = 'cygnet_content=alice-s1'
const key = Buffer.alloc(32, 7).toString('base64url')

interface Stand {
  origin: string
  port: number
  proxy: NotebookProxy
  socketPath: string
  routes: NotebookRoute[]
  seen: { method: string; url: string; headers: IncomingMessage['headers']; body: string }[]
  upstream: Server
}

/** A proxy before a fake server on a real unix socket that repeats what it was told. */
async function openStand(
  options: { upstream?: Server; longPath?: boolean; routes?: (socketPath: string) => NotebookRoute[] } = {},
): Promise<Stand> {
  const folder = await temporaryDirectory()
  const place = options.longPath === true ? join(folder.path, 'a'.repeat(100)) : folder.path
  await mkdir(place, { recursive: true })
  const socketPath = join(place, 'j.sock')
  const seen: Stand['seen'] = []
  const upstream =
    options.upstream ??
    createHttpServer(async (request, response) => {
      const chunks: Buffer[] = []
      for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
      seen.push({
        method: request.method!,
        url: request.url!,
        headers: request.headers,
        body: Buffer.concat(chunks).toString(),
      })
      response.setHeader('set-cookie', ['_xsrf=1; Path=/user/alice/s1/'])
      response.end('from the server')
    })
  // A socket path of more than 107 bytes cannot be bound: the server inside the sandbox sees a short one.
  const before = process.cwd()
  if (options.longPath === true) {
    const { openSync } = await import('node:fs')
    await new Promise<void>((listening) => upstream.listen(`/proc/self/fd/${openSync(place, 'r')}/j.sock`, listening))
  } else await new Promise<void>((listening) => upstream.listen(socketPath, listening))
  expect(process.cwd()).toBe(before)
  const route = (state: NotebookRoute['state'], id: string): NotebookRoute => ({
    sessionId: id,
    ownerId: 'p-alice',
    ownerName: 'alice',
    basePath: `/user/alice/${id}/`,
    socketPath: state === 'starting' ? null : socketPath,
    key,
    state,
  })
  const routes = options.routes?.(socketPath) ?? [
    route('running', 's1'),
    route('starting', 's2'),
    route('stopping', 's3'),
  ]
  const proxy = createNotebookProxy({
    routes: () => routes,
    verify: (header, { sessionId }) => {
      const value = /(?:^|;\s*)cygnet_content=([^;]*)/.exec(header)?.[1]
      const [name, session] = (value ?? '').split('-')
      return session === sessionId && name !== undefined ? { id: `p-${name}`, name } : undefined
    },
    async redeem(ticket) {
      if (ticket !== 'good')
        throw new Fault({
          code: 'identity.invalid_code',
          status: 401,
          title: 'Invalid',
          detail: 'This way in has been used or is over.',
          hint: 'Open it again.',
        })
      return { cookieValue: 'alice-s1', sessionId: 's1', lifetimeMs: 1000 }
    },
    cookieName: () => 'cygnet_content',
    platformUrl: () => 'http://127.0.0.1:8410',
    secure: false,
    log: silentLogger(),
  })
  const front = createHttpServer(proxy.handle)
  front.on('upgrade', proxy.upgrade)
  await new Promise<void>((listening) => front.listen(0, '127.0.0.1', listening))
  const { port } = front.address() as { port: number }
  onTestFinished(() => {
    front.closeAllConnections()
    front.close()
    upstream.close()
  })
  return { origin: `http://127.0.0.1:${port}`, port, proxy, socketPath, routes, seen, upstream }
}

async function raw(
  stand: Stand,
  target: string,
  headers: Record<string, string> = {},
  method = 'GET',
): Promise<{ status: number; body: string; headers: IncomingMessage['headers'] }> {
  const request = httpRequest({
    host: '127.0.0.1',
    port: stand.port,
    path: target,
    method,
    headers: { cookie, ...headers },
  })
  request.end()
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  const chunks: Buffer[] = []
  for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk)
  return { status: response.statusCode!, body: Buffer.concat(chunks).toString(), headers: response.headers }
}

describe('carrying requests', () => {
  test('the server gets a signed identity, its own cookies and the Host, and none of what is ours or forged', async () => {
    const stand = await openStand()
    const { status, body, headers } = await raw(stand, '/user/alice/s1/api/contents?x=%20y', {
      host: 'localhost:8410',
      cookie: `_xsrf=abc; ${cookie}; other=1`,
      [identityHeader]: 'forged',
      'x-forwarded-user': 'root',
      x_cygnet_identity: 'forged',
      'x-forwarded-for': '6.6.6.6',
      'remote-user': 'root',
      'x-custom': 'kept',
      authorization: 'token t',
    })
    expect([status, body]).toEqual([200, 'from the server'])
    expect(headers['set-cookie']).toEqual(['_xsrf=1; Path=/user/alice/s1/'])
    const [seen] = stand.seen
    expect(seen!.url).toBe('/user/alice/s1/api/contents?x=%20y')
    expect(seen!.headers).toMatchObject({
      host: 'localhost:8410',
      cookie: '_xsrf=abc; other=1',
      'x-custom': 'kept',
      'x-forwarded-for': '127.0.0.1',
    })
    expect(seen!.headers['x-forwarded-user']).toBeUndefined()
    expect(seen!.headers['remote-user']).toBeUndefined()
    expect(seen!.headers['x_cygnet_identity']).toBeUndefined()
    const [claims] = String(seen!.headers[identityHeader]).split('.')
    const said = JSON.parse(Buffer.from(claims!, 'base64url').toString()) as {
      sub: string
      server: string
      exp: number
    }
    expect(said).toMatchObject({ sub: 'p-alice', server: 's1' })
    expect(said.exp).toBeLessThanOrEqual(Date.now() / 1000 + 60)
  })

  test('bodies stream both ways without being held', async () => {
    const upstream = createHttpServer((request, response) => {
      response.writeHead(200)
      request.on('data', (chunk: Buffer) => response.write(chunk.toString().toUpperCase()))
      request.on('end', () => response.end('.'))
    })
    const stand = await openStand({ upstream })
    const request = httpRequest({
      host: '127.0.0.1',
      port: stand.port,
      path: '/user/alice/s1/x',
      method: 'POST',
      headers: { cookie },
    })
    request.write('one ')
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    const [first] = (await once(response, 'data')) as [Buffer]
    expect(first.toString()).toBe('ONE ')
    request.end('two')
    let rest = ''
    for await (const chunk of response as AsyncIterable<Buffer>) rest += chunk.toString()
    expect(rest).toBe('TWO.')
  })

  test('a socket deep down in a long path is reached', async () => {
    const stand = await openStand({ longPath: true })
    expect((await raw(stand, '/user/alice/s1/x')).status).toBe(200)
  })
})

describe('who gets where', () => {
  test('only the owner, only with the cookie of that session', async () => {
    const stand = await openStand()
    for (const header of [
      '',
      'cygnet_content=bob-s1',
      'cygnet_content=alice-s2',
      'cygnet_content=',
      'CYGNET_CONTENT=alice-s1',
    ]) {
      expect((await raw(stand, '/user/alice/s1/lab', { cookie: header })).status, header).toBe(403)
    }
    expect(stand.seen).toEqual([])
  })

  test('a session that does not run says so: 424 to programs, so that Lab stops asking, a page to people', async () => {
    const stand = await openStand()
    expect((await raw(stand, '/user/alice/gone/api/status')).status).toBe(424)
    const page = await raw(stand, '/user/alice/gone/lab', { accept: 'text/html' })
    expect(page).toMatchObject({ status: 503, body: expect.stringContaining('Start again') })
    expect(
      await raw(stand, '/user/alice/s2/lab', { accept: 'text/html', cookie: 'cygnet_content=alice-s2' }),
    ).toMatchObject({ status: 503, headers: { 'retry-after': '2' } })
    expect((await raw(stand, '/user/alice/s3/api/status', { cookie: 'cygnet_content=alice-s3' })).status).toBe(424)
  })

  test('a path that could be read twice goes nowhere', async () => {
    const stand = await openStand()
    for (const target of [
      '/user/alice/s1/../s2/',
      '/user/alice/s1/%2e%2e/x',
      '/user/alice/s1/%2E./x',
      '/user/alice/s1/..%2fx',
      '/user/alice%2fs1/',
      '/user/alice/s1/a%5cb',
      '/user/alice/s1/a\\b',
      '/user/alice/s1/%00',
      '/user/alice/s1/%252e%252e/x',
      '/user/alice/s1/%252f',
      '/user//alice/s1/',
      '/user/Alice/s1/',
      '/user/alice/%73%31/x',
      '/user/alice/s1/%',
      'http://other/user/alice/s1/x',
    ]) {
      const { status } = await raw(stand, target)
      expect([400, 403, 404, 424], target).toContain(status)
    }
    expect(stand.seen).toEqual([])
  })

  test('whatever the target, it reaches a server only below its own base', () => {
    const segment = fc.oneof(
      fc.constantFrom('..', '.', '%2e', '%2f', '%5c', '%252e', 'user', 'alice', 's1', '', 'lab', '%00'),
      fc.webSegment(),
    )
    fc.assert(
      fc.property(fc.array(segment, { maxLength: 8 }), (segments) => {
        const target = `/${segments.join('/')}`
        const located = locate(target)
        if (located.kind !== 'session') return
        expect(target.startsWith(located.base)).toBe(true)
        const twice = decodeURIComponent(decodeURIComponent(target).replaceAll('%', '%25'))
        expect(new URL(twice, 'http://x').pathname.startsWith(located.base)).toBe(true)
      }),
    )
  })

  test('without the slash one is sent to the slash', async () => {
    const stand = await openStand()
    expect(await raw(stand, '/user/alice/s1')).toMatchObject({ status: 302, headers: { location: '/user/alice/s1/' } })
  })

  test('our cookie is taken out in every spelling', () => {
    const cookie = 'a=1; cygnet_content=x;cygnet_content_8410=y ; "cygnet_content"=z; __Host-cygnet_content_s1=x; b=2'
    expect(withoutOurCookies({ cookie })).toBe('a=1; b=2')
    expect(withoutOurCookies({})).toBe('')
  })
})

describe('the hand-over', () => {
  const enter = (stand: Stand, body: unknown, headers: Record<string, string> = {}) =>
    fetch(`${stand.origin}/_content/enter`, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { origin: stand.origin, 'content-type': 'application/json', ...headers },
    })

  test('a page takes the ticket from the fragment and may run nothing else', async () => {
    const stand = await openStand()
    const page = await fetch(`${stand.origin}/_content/open`)
    expect(page.headers.get('content-security-policy')).toMatch(/default-src 'none'.*script-src 'sha256-/)
    expect(await page.text()).toContain("fetch('/_content/enter'")
  })

  test('a good ticket gives a cookie for that session alone', async () => {
    const stand = await openStand()
    const answer = await enter(stand, { ticket: 'good', to: 'lab/tree/runs/sim-00002.ipynb' })
    expect(await answer.json()).toEqual({ location: '/user/alice/s1/lab/tree/runs/sim-00002.ipynb' })
    expect(answer.headers.get('set-cookie')).toBe(
      'cygnet_content=alice-s1; Path=/user/alice/s1/; HttpOnly; SameSite=Lax; Max-Age=1',
    )
  })

  test('where to go cannot lead away', async () => {
    const stand = await openStand()
    for (const to of ['../../x', '%2e%2e/x', '//evil.test/x\\', 'a\nb', '..%2f']) {
      expect(await (await enter(stand, { ticket: 'good', to })).json(), to).toEqual({ location: '/user/alice/s1/lab' })
    }
  })

  test("a used ticket, another site's page and nonsense are refused with words", async () => {
    const stand = await openStand()
    const used = await enter(stand, { ticket: 'bad' })
    expect([used.status, await used.json()]).toEqual([
      401,
      { detail: 'This way in has been used or is over.', hint: 'Open it again.' },
    ])
    expect((await enter(stand, { ticket: 'good' }, { origin: 'http://evil.test' })).status).toBe(403)
    expect((await enter(stand, { ticket: 'good' }, { 'sec-fetch-site': 'cross-site' })).status).toBe(403)
    expect((await enter(stand, 'x'.repeat(10_000))).status).toBe(503)
  })
})

describe('faults of servers', () => {
  test('a socket nobody listens on any more', async () => {
    const stand = await openStand()
    stand.upstream.close()
    await once(stand.upstream, 'close')
    expect((await raw(stand, '/user/alice/s1/api/status')).status).toBe(424)
    expect(await raw(stand, '/user/alice/s1/lab', { accept: 'text/html' })).toMatchObject({
      status: 503,
      body: expect.stringContaining('does not answer'),
    })
  })

  test('a server that closes before, inside and after its headers', async () => {
    for (const [answer, expected] of [
      ['', 424],
      ['HTTP/1.1 200', 424],
      ['nonsense\r\n\r\n', 424],
      ['HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf', 'cut'],
    ] as const) {
      const upstream = createSocketServer((socket) =>
        socket.once('data', () => socket.end(answer)).on('error', () => undefined),
      ) as unknown as Server
      const stand = await openStand({ upstream })
      const outcome = await raw(stand, '/user/alice/s1/api/status').then(
        ({ status }) => status,
        () => 'cut',
      )
      expect(outcome, answer).toBe(expected)
    }
  })

  test('a server that refuses on the headers alone is heard, whatever of the body is still to come', async () => {
    const upstream = createSocketServer((socket) =>
      socket
        .once('data', () =>
          socket.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno', () =>
            socket.destroy(),
          ),
        )
        .on('error', () => undefined),
    ) as unknown as Server
    const stand = await openStand({ upstream })
    for (const sizeBytes of [10, 100_000, 5_000_000]) {
      const answer = await fetch(`${stand.origin}/user/alice/s1/api/contents/x`, {
        method: 'PUT',
        body: Buffer.alloc(sizeBytes),
        headers: { cookie },
      })
      expect([answer.status, await answer.text()], `${sizeBytes} bytes`).toEqual([403, 'no'])
    }
  })

  test('a browser that leaves does not leave its request behind', async () => {
    let closed = 0
    const upstream = createHttpServer((request, response) => {
      response.writeHead(200)
      response.write('begin')
      request.socket.on('close', () => (closed += 1))
    })
    const stand = await openStand({ upstream })
    const socket = connect(stand.port, '127.0.0.1')
    socket.write(`GET /user/alice/s1/x HTTP/1.1\r\nhost: x\r\ncookie: ${cookie}\r\n\r\n`)
    await once(socket, 'data')
    socket.destroy()
    while (closed === 0) await new Promise((wait) => setTimeout(wait, 5))
    expect(closed).toBe(1)
  })
})

describe('websockets', () => {
  async function openEcho(): Promise<Stand> {
    const upstream = createHttpServer()
    const sockets = new WebSocketServer({ server: upstream, handleProtocols: () => 'v1.kernel.websocket.jupyter.org' })
    sockets.on('connection', (socket, request) => {
      socket.send(JSON.stringify(request.headers))
      socket.on('message', (data, binary) => socket.send(data, { binary }))
    })
    return await openStand({ upstream })
  }
  const open = (stand: Stand, headers: Record<string, string> = {}, path = '/user/alice/s1/api/kernels/k/channels') =>
    new WebSocket(`ws://127.0.0.1:${stand.port}${path}`, ['v1.kernel.websocket.jupyter.org'], {
      headers: { cookie, origin: stand.origin, ...headers },
    })

  test('are spliced both ways, with the subprotocol, large messages and a signed identity', async () => {
    const stand = await openEcho()
    const socket = open(stand)
    const [hello] = (await once(socket, 'message')) as [Buffer]
    const headers = JSON.parse(hello.toString()) as Record<string, string>
    expect(headers[identityHeader]).toBeDefined()
    expect(headers.cookie).toBeUndefined()
    expect(headers.host).toBe(`127.0.0.1:${stand.port}`)
    expect(socket.protocol).toBe('v1.kernel.websocket.jupyter.org')
    for (const sizeBytes of [0, 1, 70_000, 5_000_000]) {
      const sent = Buffer.alloc(sizeBytes, sizeBytes)
      socket.send(sent)
      const [back] = (await once(socket, 'message')) as [Buffer]
      expect(back.equals(sent)).toBe(true)
    }
    expect(stand.proxy.openSockets()).toBe(1)
    socket.close()
    await once(socket, 'close')
    while (stand.proxy.openSockets() > 0) await new Promise((wait) => setTimeout(wait, 5))
  })

  test('are refused to others, to other origins and without an origin', async () => {
    const stand = await openEcho()
    for (const headers of [
      { cookie: '' },
      { cookie: 'cygnet_content=bob-s1' },
      { origin: 'http://evil.test' },
      { origin: '' },
      { 'sec-fetch-site': 'same-site' },
    ] as Record<string, string>[]) {
      const socket = open(stand, headers)
      const [, response] = (await once(socket, 'unexpected-response')) as [unknown, IncomingMessage]
      expect(response.statusCode, JSON.stringify(headers)).toBe(403)
      socket.on('error', () => undefined).terminate()
    }
    expect(stand.proxy.openSockets()).toBe(0)
  })

  test('end when the right to them ends', async () => {
    const stand = await openEcho()
    const socket = open(stand)
    await once(socket, 'message')
    stand.proxy.recheck()
    expect(stand.proxy.openSockets()).toBe(1)
    stand.routes.splice(0, 1)
    stand.proxy.recheck()
    await once(socket, 'close')
    expect(stand.proxy.openSockets()).toBe(0)
  })

  test('that the server refuses or drops are refused with its status', async () => {
    const upstream = createHttpServer()
    upstream.on('upgrade', (_request, socket) =>
      socket.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 6\r\n\r\nsecret'),
    )
    const stand = await openStand({ upstream })
    const socket = open(stand)
    const [, response] = (await once(socket, 'unexpected-response')) as [unknown, IncomingMessage]
    expect(response.statusCode).toBe(403)
    socket.on('error', () => undefined).terminate()
  })
})

test("the signature is what the server's Python checks", async () => {
  const header = signIdentity({ id: 'p-alice', name: 'alice' }, { sessionId: 's1', key }, 1_700_000_000_000)
  const { runCommand } = await import('../../foundation/processes.ts')
  const script = `
import sys, types
auth = types.ModuleType('jupyter_server.auth'); auth.IdentityProvider = object; auth.User = object
sys.modules['jupyter_server'] = types.ModuleType('jupyter_server'); sys.modules['jupyter_server.auth'] = auth
sys.path.insert(0, ${JSON.stringify(join(import.meta.dirname, '..', 'jupyter'))})
import base64
from cygnet_jupyter import verify
key = bytes([7]) * 32
h = ${JSON.stringify(header)}
now = 1700000000
print([verify(h, key, 's1', now) is not None, verify(h, key, 's1', now + 61), verify(h, key, 's1', now - 60), verify(h, key, 's2', now), verify(h, bytes(32), 's1', now), verify(h[:-1] + ('0' if h[-1] != '0' else '1'), key, 's1', now), verify(None, key, 's1', now), verify('x', key, 's1', now)])`
  expect((await runCommand(['/usr/bin/python3', '-c', script])).stdout.trim()).toBe(
    '[True, None, None, None, None, None, None, None]',
  )
})
