/**
 * Passes requests of the platform's API and OIDC pages on to control over its UNIX socket. While control starts again
 * (an upgrade, a crash) requests wait for it instead of failing.
 */
import { request as httpRequest, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { problemOf } from '../../foundation/errors.ts'
import type { Logger } from '../../foundation/log.ts'
import { shellFaults } from '../errors.ts'

/** How long a request waits for a control that does not listen. */
const patienceMs = 10_000
const retryEveryMs = 50
const notListening = new Set(['ECONNREFUSED', 'ENOENT', 'EAGAIN'])
/** Control died while answering: safe to ask again only what has no effect. */
const cutOff = new Set(['ECONNRESET', 'EPIPE'])

export function createControlProxy(socketPath: string, log: Logger) {
  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const deadlineMs = performance.now() + patienceMs
    for (;;) {
      const failure = await forward(socketPath, request, response)
      if (!failure) return
      const code = failure.code ?? ''
      const mayRetry =
        (notListening.has(code) || (cutOff.has(code) && isRead(request))) &&
        !response.headersSent &&
        !response.destroyed
      if (!mayRetry || performance.now() > deadlineMs) return answerUnavailable(request, response, failure, log)
      await sleep(retryEveryMs)
    }
  }
}

/** Resolves when the answer is complete or the client left, with the error when there was no answer. */
function forward(
  socketPath: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((done) => {
    const headers = { ...endToEnd(request.headers), 'x-forwarded-for': request.socket.remoteAddress ?? 'local' }
    // A connection of its own: one kept from before may belong to a control that has died since.
    const upstream = httpRequest({ socketPath, agent: false, method: request.method, path: request.url, headers })
    const settle = (error?: NodeJS.ErrnoException) => {
      response.off('close', clientLeft)
      done(error)
    }
    const clientLeft = () => {
      upstream.destroy()
      settle()
    }
    response.on('close', clientLeft)
    upstream.on('error', settle)
    upstream.on('response', (answer) => {
      response.writeHead(answer.statusCode ?? 502, endToEnd(answer.headers))
      // Control died in the middle of its answer: the client must see that the answer is not whole.
      pipeline(answer, response).then(
        () => settle(),
        () => (response.destroy(), settle()),
      )
    })
    // The body is only piped once control has taken the connection, so that a refused request can be sent again whole.
    const send = () => void (isRead(request) ? upstream.end() : request.pipe(upstream))
    upstream.on('socket', (socket) => void (socket.connecting ? socket.once('connect', send) : send()))
  })
}

/** Headers without those that speak about one connection only. */
function endToEnd(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const { connection: _connection, 'keep-alive': _keepAlive, 'transfer-encoding': _coding, ...rest } = headers
  return rest
}

function isRead(request: IncomingMessage): boolean {
  return request.method === 'GET' || request.method === 'HEAD'
}

function answerUnavailable(request: IncomingMessage, response: ServerResponse, cause: Error, log: Logger): void {
  log.warn({ path: request.url, cause: cause.message }, 'control did not answer')
  if (response.headersSent || response.destroyed) return void response.destroy()
  const problem = problemOf(shellFaults.controlUnavailable('The platform is starting again.', { cause }), 'gateway')
  response.writeHead(503, { 'content-type': 'application/problem+json', 'retry-after': '2' })
  response.end(JSON.stringify(problem))
}
