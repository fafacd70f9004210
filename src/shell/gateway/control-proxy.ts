/**
 * Passes requests of the platform's API and OIDC pages on to control over its UNIX socket. While control starts again
 * (an upgrade, a crash) requests wait for it instead of failing.
 */
import { existsSync } from 'node:fs'
import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Fault } from '../../foundation/errors.ts'
import { clientAddressOf, endToEndHeaders, guardedHeaders } from '../../foundation/http-guard.ts'
import type { Logger } from '../../foundation/log.ts'
import { shellFaults } from '../errors.ts'
import { refuse } from './front-server.ts'
import { principalHeader } from './principals.ts'

/** How long a request waits for a control that does not listen. */
const patienceMs = 10_000
/** And while another version takes over: it comes, or the one before it comes back. */
const handOverPatienceMs = 120_000
const retryEveryMs = 50
const notListening = new Set(['ECONNREFUSED', 'ENOENT', 'EAGAIN'])
/** Control died while answering: safe to ask again only what has no effect. */
const cutOff = new Set(['ECONNRESET', 'EPIPE'])

/** Sees each answer of control before it is passed on; a Fault is answered in its place. */
export type AnswerCheck = (
  request: IncomingMessage,
  response: ServerResponse,
  answer: IncomingMessage,
) => Fault | undefined

export function createControlProxy(socketPath: string, log: Logger, check: AnswerCheck = () => undefined) {
  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const deadlineMs = performance.now() + patienceMs
    const lastMs = performance.now() + handOverPatienceMs
    for (;;) {
      const failure = await forward(socketPath, request, response, check)
      if (!failure) return
      const code = failure.code ?? ''
      const mayRetry =
        (notListening.has(code) || (cutOff.has(code) && isRead(request))) &&
        !response.headersSent &&
        !response.destroyed
      const patience = performance.now() < deadlineMs || (performance.now() < lastMs && isHandingOver(socketPath))
      if (!mayRetry || !patience) return answerUnavailable(request, response, failure, log)
      await sleep(retryEveryMs)
    }
  }
}

/** Written by the supervisor (hand-over.ts) beside control's socket. */
function isHandingOver(socketPath: string): boolean {
  return existsSync(join(dirname(socketPath), 'hand-over'))
}

/** Resolves when the answer is complete or the client left, with the error when there was no answer. */
function forward(
  socketPath: string,
  request: IncomingMessage,
  response: ServerResponse,
  check: AnswerCheck,
): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((done) => {
    const headers = { ...guardedHeaders(request.headers), 'x-forwarded-for': clientAddressOf(request) }
    // The body of a read means nothing and is not passed on, so its length must not be either.
    if (isRead(request)) delete headers['content-length']
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
      const fault = check(request, response, answer)
      if (fault !== undefined) {
        refuse(response, fault)
        upstream.destroy()
        return settle()
      }
      const answerHeaders = endToEndHeaders(answer.headers)
      delete answerHeaders[principalHeader]
      response.writeHead(answer.statusCode ?? 502, answerHeaders)
      // Control died in the middle of its answer: the client must see that the answer is not whole.
      pipeline(answer, response).then(
        () => settle(),
        () => (response.destroy(), settle()),
      )
    })
    // The body is only piped once control has taken the connection, so that a refused request can be sent again whole.
    const send = () => void (isRead(request) ? (request.resume(), upstream.end()) : request.pipe(upstream))
    upstream.on('socket', (socket) => void (socket.connecting ? socket.once('connect', send) : send()))
  })
}

function isRead(request: IncomingMessage): boolean {
  return request.method === 'GET' || request.method === 'HEAD'
}

function answerUnavailable(request: IncomingMessage, response: ServerResponse, cause: Error, log: Logger): void {
  log.warn({ path: request.url, cause: cause.message }, 'control did not answer')
  refuse(response, shellFaults.controlUnavailable('The platform is starting again.', { cause }), { 'retry-after': '2' })
}
