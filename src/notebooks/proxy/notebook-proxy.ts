/**
 * The content origin of a gateway: hands people over to their sessions and carries everything between a browser and a
 * session's Jupyter server over its unix socket. Decides from published routes and a signed cookie alone, so it works
 * while control is away. A request reaches a server only with a fresh identity header of ours and without our cookie.
 */
import {
  request as httpRequest,
  STATUS_CODES,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type ServerResponse,
} from 'node:http'
import { closeSync, constants, fstatSync, openSync } from 'node:fs'
import type { Duplex } from 'node:stream'
import { clientAddressOf, endToEndHeaders, guardedHeaders } from '../../foundation/http-guard.ts'
import type { Logger } from '../../foundation/log.ts'
import { closeFrame, createFrameLimit } from './frame-limit.ts'
import { identityHeader, signIdentity } from './identity-header.ts'
import { enterPage, messagePage, pageHeaders } from './pages.ts'
import { connectPatiently } from './patient-socket.ts'
import { locate, type NotebookRoute } from './route.ts'

export interface NotebookProxyOptions {
  /** The living sessions, from the snapshot. */
  routes(): readonly NotebookRoute[]
  /** Who a request's content cookie says may open this session; undefined: nobody. Must include the owner check of its signature. */
  verify(cookieHeader: string, route: NotebookRoute): { id: string; name: string } | undefined
  /** Exchanges a single-use ticket through control: the value of the content cookie and the session it opens. Throws a Fault. */
  redeem(ticket: string): Promise<{ cookieValue: string; sessionId: string; lifetimeMs: number }>
  /** Of the cookie that opens this session. A name with `__Host-` is set for the whole origin, any other for its path. */
  cookieName(sessionId: string): string
  /** Origin of the platform's own pages, for links. */
  platformUrl(): string
  /** True when the content origin is reached by https. */
  secure: boolean
  log: Logger
  nowMs?: () => number
}

export interface NotebookProxy {
  handle(request: IncomingMessage, response: ServerResponse): void
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void
  /** Ends open websockets of people and sessions that may no longer have them. */
  recheck(): void
  openSockets(): number
}

/** A server that accepts but says nothing for so long is not there. Long cells answer over the websocket, not here. */
const firstAnswerMs = 120_000
/** Twice the servers' ping is 60 s; a laptop that sleeps is gone after this. */
const idleSocketMs = 10 * 60_000
/** Jupyter itself takes 10 MiB; files travel by HTTP. */
const mostMessageBytes = 32 * 1024 * 1024
const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS'])

export function createNotebookProxy(options: NotebookProxyOptions): NotebookProxy {
  const { log } = options
  const nowMs = options.nowMs ?? Date.now
  const sockets = new Set<{ route: NotebookRoute; cookie: string; end(): void }>()

  const isApi = (request: IncomingMessage) =>
    !(request.headers.accept ?? '').includes('text/html') || /\/(api|files|lab\/api)\//.test(request.url ?? '')

  function refuse(
    request: IncomingMessage,
    response: ServerResponse,
    status: number,
    title: string,
    text: string,
    again = false,
  ): void {
    const headers: OutgoingHttpHeaders = {
      ...pageHeaders,
      ...(status === 503 && { 'retry-after': '2' }),
      connection: 'close',
    }
    if (isApi(request)) {
      headers['content-type'] = 'application/json'
      response.writeHead(status, headers).end(JSON.stringify({ message: text, reason: title }))
    } else response.writeHead(status, headers).end(messagePage(title, text, options.platformUrl(), again))
    request.resume()
  }

  /** The route and person of a request, or how to refuse it. */
  function admit(
    request: IncomingMessage,
  ):
    | { route: NotebookRoute & { socketPath: string }; person: { id: string; name: string } }
    | { status: number; title: string; text: string; again?: boolean; location?: string } {
    const located = locate(request.url ?? '')
    if (located.kind === 'bad')
      return { status: 400, title: 'Not an address', text: 'This address can be read in more than one way.' }
    if (located.kind === 'none')
      return { status: 404, title: 'Nothing here', text: 'There is nothing at this address.' }
    if (located.kind === 'bare') return { status: 302, title: '', text: '', location: located.basePath }
    const route = options.routes().find((candidate) => candidate.basePath === located.base)
    // Whether a session exists is told only to somebody who may have it; a gone one and a foreign one look alike.
    const person = route === undefined ? undefined : options.verify(request.headers.cookie ?? '', route)
    if (route === undefined) {
      return {
        status: isApi(request) ? 424 : 503,
        title: 'The session does not run',
        text: 'It was stopped, or never was. What was saved is in the home folder.',
        again: true,
      }
    }
    if (person === undefined || person.id !== route.ownerId) {
      return {
        status: 403,
        title: 'Not open here',
        text: 'Open the session from its page on the platform: this browser has not been let in, or no longer.',
        again: true,
      }
    }
    if (route.socketPath === null || route.state !== 'running') {
      const starting = route.state === 'starting'
      return {
        status: starting ? 503 : 424,
        title: starting ? 'The session is starting' : 'The session is stopping',
        text: starting ? 'It is not ready yet; try again in a moment.' : 'It is being stopped.',
        again: true,
      }
    }
    return { route: { ...route, socketPath: route.socketPath }, person }
  }

  function forwarded(
    request: IncomingMessage,
    route: NotebookRoute,
    person: { id: string; name: string },
  ): OutgoingHttpHeaders {
    const headers = guardedHeaders(request.headers)
    const cookie = withoutOurCookies(request.headers)
    if (cookie === '') delete headers.cookie
    else headers.cookie = cookie
    headers['x-forwarded-for'] = clientAddressOf(request)
    headers['x-forwarded-proto'] = options.secure ? 'https' : 'http'
    headers[identityHeader] = signIdentity(person, route, nowMs())
    return headers
  }

  function carry(
    request: IncomingMessage,
    response: ServerResponse,
    route: NotebookRoute & { socketPath: string },
    person: { id: string; name: string },
  ): void {
    const place = reach(route.socketPath)
    const upstream = httpRequest({
      createConnection: () => connectPatiently(place.path),
      method: request.method,
      path: request.url,
      headers: forwarded(request, route, person),
      timeout: firstAnswerMs,
    })
    upstream.once('socket', (socket) => socket.once('close', place.release).once('connect', place.release))
    let answered = false
    upstream.on('response', (answer) => {
      answered = true
      upstream.setTimeout(0)
      response.writeHead(answer.statusCode ?? 502, endToEndHeaders(answer.headers))
      answer.pipe(response)
      answer.on('error', () => response.destroy())
    })
    upstream.on('timeout', () => upstream.destroy(new Error('no answer in time')))
    upstream.on('error', (error) => {
      place.release()
      if (answered || response.headersSent) {
        response.destroy()
        return
      }
      log.warn({ error, sessionId: route.sessionId }, 'a session does not answer')
      refuse(
        request,
        response,
        isApi(request) ? 424 : 503,
        'The session does not answer',
        'Its server is gone or not there yet.',
        true,
      )
    })
    request.on('aborted', () => upstream.destroy())
    response.on('close', () => {
      if (!response.writableFinished) upstream.destroy()
    })
    request.pipe(upstream)
  }

  async function enter(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const answer = (status: number, body: unknown, headers: OutgoingHttpHeaders = {}) =>
      response
        .writeHead(status, { ...pageHeaders, 'content-type': 'application/json', ...headers })
        .end(JSON.stringify(body))
    if (!sameOrigin(request.headers)) {
      answer(403, { detail: 'This is only for the page that opens sessions.' })
      return
    }
    try {
      const body = JSON.parse(await readSmall(request)) as { ticket?: unknown; to?: unknown }
      const { cookieValue, sessionId, lifetimeMs } = await options.redeem(String(body.ticket ?? ''))
      const route = options.routes().find((candidate) => candidate.sessionId === sessionId)
      if (route === undefined) {
        answer(404, { detail: 'The session does not run.', hint: 'Start it again.' })
        return
      }
      const to = typeof body.to === 'string' && locate(route.basePath + body.to).kind === 'session' ? body.to : 'lab'
      const name = options.cookieName(sessionId)
      const attributes = [
        `Path=${name.startsWith('__Host-') ? '/' : route.basePath}`,
        'HttpOnly',
        'SameSite=Lax',
        `Max-Age=${Math.floor(lifetimeMs / 1000)}`,
        ...(options.secure ? ['Secure'] : []),
      ]
      answer(
        200,
        { location: route.basePath + to },
        { 'set-cookie': [`${name}=${cookieValue}`, ...attributes].join('; ') },
      )
    } catch (error) {
      const fault = error as { status?: number; detail?: string; hint?: string }
      const known = typeof fault.status === 'number' && typeof fault.detail === 'string'
      if (!known) log.warn({ error }, 'a ticket could not be redeemed')
      answer(known ? fault.status! : 503, {
        detail: known ? fault.detail : 'The platform does not answer.',
        hint: known ? fault.hint : 'Try again in a moment.',
      })
    }
  }

  return {
    handle(request, response) {
      const path = (request.url ?? '').split('?', 1)[0]
      if (path === '/_content/open' && request.method === 'GET') {
        response.writeHead(200, pageHeaders).end(enterPage())
        return
      }
      if (path === '/_content/enter' && request.method === 'POST') {
        void enter(request, response)
        return
      }
      if (!mayFetch(request)) {
        refuse(request, response, 403, 'Not from there', 'Another page may not use what is yours here.')
        return
      }
      const admitted = admit(request)
      if ('route' in admitted) carry(request, response, admitted.route, admitted.person)
      else if (admitted.location !== undefined) response.writeHead(302, { location: admitted.location }).end()
      else refuse(request, response, admitted.status, admitted.title, admitted.text, admitted.again)
    },

    upgrade(request, socket, head) {
      socket.on('error', () => socket.destroy())
      const turnAway = (status: number) =>
        socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`)
      const admitted = admit(request)
      if (!('route' in admitted)) return void turnAway(admitted.location === undefined ? admitted.status : 404)
      // A page of another origin can open websockets with our cookie: only our own pages may.
      if (!sameOrigin(request.headers)) return void turnAway(403)
      if (request.headers.upgrade?.toLowerCase() !== 'websocket') return void turnAway(400)
      const { route, person } = admitted
      const place = reach(route.socketPath)
      const upstream = httpRequest({
        createConnection: () => connectPatiently(place.path),
        method: 'GET',
        path: request.url,
        timeout: firstAnswerMs,
        headers: {
          ...withoutExtensions(forwarded(request, route, person)),
          connection: 'Upgrade',
          upgrade: 'websocket',
        },
      })
      upstream.once('socket', (inner) => inner.once('close', place.release).once('connect', place.release))
      upstream.on('error', (error) => {
        place.release()
        log.warn({ error, sessionId: route.sessionId }, 'a session does not take a websocket')
        turnAway(502)
      })
      upstream.on('timeout', () => upstream.destroy(new Error('no answer in time')))
      upstream.on('response', (answer) => {
        // Refused by the server: its word and nothing of its body.
        answer.resume()
        turnAway(answer.statusCode ?? 502)
      })
      upstream.on('upgrade', (answer, inner, innerHead) => {
        const lines = [`HTTP/1.1 101 ${STATUS_CODES[101]}`]
        for (let index = 0; index < answer.rawHeaders.length; index += 2)
          lines.push(`${answer.rawHeaders[index]}: ${answer.rawHeaders[index + 1]}`)
        socket.write(`${lines.join('\r\n')}\r\n\r\n`)
        if (innerHead.length > 0) socket.write(innerHead)
        if (head.length > 0) inner.write(head)
        splice(socket, inner, route, request.headers.cookie ?? '')
      })
      socket.once('close', () => upstream.destroy())
      upstream.end()
    },

    recheck() {
      for (const open of sockets) {
        const route = options.routes().find((candidate) => candidate.sessionId === open.route.sessionId)
        if (route === undefined || options.verify(open.cookie, route)?.id !== route.ownerId) open.end()
      }
    },
    openSockets: () => sockets.size,
  }

  function splice(outer: Duplex, inner: Duplex, route: NotebookRoute, cookie: string): void {
    const entry = { route, cookie, end }
    sockets.add(entry)
    function end() {
      sockets.delete(entry)
      outer.destroy()
      inner.destroy()
    }
    for (const side of [outer, inner] as (Duplex & {
      setNoDelay?(on: boolean): void
      setTimeout?(ms: number): void
    })[]) {
      side.setNoDelay?.(true)
      side.setTimeout?.(idleSocketMs)
      side.on('error', end)
      side.on('close', end)
      side.on('timeout', end)
    }
    const limit = createFrameLimit({
      mostBytes: mostMessageBytes,
      onRefused(code) {
        log.warn({ code, sessionId: route.sessionId }, 'a websocket was ended for what it sent')
        inner.unpipe(outer)
        inner.destroy()
        outer.end(closeFrame(code))
      },
    })
    limit.on('error', end)
    outer.pipe(limit).pipe(inner)
    inner.pipe(outer)
  }
}

/** No compression of messages: what is small on the wire must not grow behind us. */
function withoutExtensions({
  'sec-websocket-extensions': _extensions,
  ...headers
}: OutgoingHttpHeaders): OutgoingHttpHeaders {
  return headers
}

/**
 * Other pages may link here, and no more: cookies go with what they load from here as well, and with their forms where
 * they are of a neighbouring host. Browsers that say nothing are left to the server's own check.
 */
function mayFetch({ method, headers }: IncomingMessage): boolean {
  const site = headers['sec-fetch-site']
  if (site === undefined || site === 'same-origin' || site === 'none') return true
  return (
    safeMethods.has(method ?? '') &&
    headers['sec-fetch-mode'] === 'navigate' &&
    headers['sec-fetch-dest'] === 'document'
  )
}

/** The cookie header without ours, in every spelling a server could read as ours. */
export function withoutOurCookies(headers: IncomingHttpHeaders): string {
  return (headers.cookie ?? '')
    .split(';')
    .map((part) => part.trim())
    .filter((part) => part !== '' && !/^"?(__(host|secure)-)?cygnet_/i.test(part))
    .join('; ')
}

/** From a page of this very origin: the browser says so, or at least the Origin is the Host. */
function sameOrigin(headers: IncomingHttpHeaders): boolean {
  const site = headers['sec-fetch-site']
  if (site !== undefined && site !== 'same-origin') return false
  try {
    return headers.origin !== undefined && new URL(headers.origin).host === headers.host
  } catch {
    return false
  }
}

async function readSmall(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let sizeBytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length
    if (sizeBytes > 8192) throw new Error('too long')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** Of fcntl.h; Node has no name for it. The same number on x86-64 and arm64. */
const openOnlyPath = 0o10000000

/**
 * The way to a session's socket: by a descriptor of the socket itself. The folder is the session's own, and whoever runs
 * there may put a link in its place: a link is not followed (we may enter more sockets than they). It also makes the path
 * short enough, which may have 107 bytes (sys/un.h).
 */
export function reach(socketPath: string): { path: string; release(): void } {
  const nowhere = { path: '/nonexistent/session', release: () => undefined }
  let socket: number | undefined
  try {
    socket = openSync(socketPath, openOnlyPath | constants.O_NOFOLLOW)
  } catch {
    return nowhere
  }
  const release = () => {
    if (socket !== undefined) closeSync(socket)
    socket = undefined
  }
  if (fstatSync(socket).isSocket()) return { path: `/proc/self/fd/${socket}`, release }
  release()
  return nowhere
}
