/**
 * A listener of a public face: the limits that every face needs, in one place. What reaches the face behind it is one
 * whole request with a known origin, small headers, and a body that moves.
 */
import { createServer, type IncomingMessage, type Server, type ServerOptions, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { Duplex } from 'node:stream'
import { problemOf, type Fault } from '../../foundation/errors.ts'
import type { Logger } from '../../foundation/log.ts'
import { shellFaults } from '../errors.ts'
import type { BodyPace } from './body-pace.ts'
import type { Certificates } from './certificates.ts'
import type { ConnectionGuard } from './connection-guard.ts'
import type { Traffic } from './draining.ts'
import type { TrustedProxies } from './trusted-proxies.ts'

export interface Face {
  handle(request: IncomingMessage, response: ServerResponse): void | Promise<void>
  /** A request whose client waits for our word before it sends the body. Without it the word is given at once. */
  checkContinue?(request: IncomingMessage, response: ServerResponse): void | Promise<void>
  /** A websocket; without it upgrades are ignored and the request is answered as if it had not asked. */
  upgrade?(request: IncomingMessage, socket: Duplex, head: Buffer): void | Promise<void>
}

export interface FrontOptions {
  face: Face
  guard: ConnectionGuard
  pace: BodyPace
  proxies: TrustedProxies
  traffic: Traffic
  headerSeconds: number
  certificates?: Certificates | undefined
  /** Where browsers belong that a trusted proxy let in by plain http. */
  publicUrl: string
  /** While true, answers tell clients to open their next connection elsewhere. */
  isDraining(): boolean
  log: Logger
}

const mostHeaderBytes = 16 * 1024
const mostHeaders = 200
/** Longer than the idle time of proxies in front (nginx: 60 s), so that it is them who close. */
const keepAliveMs = 65_000
/** A client that neither sends nor reads for so long is gone. */
const silentMs = 150_000

/** Not yet listening. */
export function createFrontServer(options: FrontOptions): Server {
  const { face, guard, certificates } = options
  const limits: ServerOptions = {
    maxHeaderSize: mostHeaderBytes,
    headersTimeout: options.headerSeconds * 1000,
    connectionsCheckingInterval: Math.min(1_000, options.headerSeconds * 250),
    requestTimeout: 0,
    keepAliveTimeout: keepAliveMs,
    noDelay: true,
    // Anything else, h2c above all, is no business of ours: the request is answered as it stands.
    shouldUpgradeCallback: (request) =>
      face.upgrade !== undefined && request.headers.upgrade?.toLowerCase() === 'websocket',
  }
  const server = certificates
    ? createTlsServer({ ...limits, ...certificates.options, ...certificates.first() })
    : createServer(limits)
  if (certificates)
    certificates.onChange(() => (server as ReturnType<typeof createTlsServer>).setSecureContext(certificates.first()))
  // All of them, within the bytes allowed: Node would drop what is beyond its count without a word.
  server.maxHeadersCount = 0
  server.timeout = silentMs
  guard.watch(server)

  const serve = (handler: Face['handle']) => (request: IncomingMessage, response: ServerResponse) => {
    response.once('close', guard.begin(request.socket))
    options.traffic.begin(response)
    request.on('error', () => {})
    // Each step on the way of a request listens for its end.
    response.setMaxListeners(32)
    const { isPlainHttp } = options.proxies.settle(request)
    // After an upgrade that was not taken up Node reads no further request on this connection.
    if (options.isDraining() || request.headers.upgrade !== undefined) response.setHeader('connection', 'close')
    if (options.publicUrl.startsWith('https:')) {
      if (isPlainHttp) return redirectToHttps(options.publicUrl, request, response)
      response.setHeader('strict-transport-security', 'max-age=31536000')
    }
    if (request.rawHeaders.length > 2 * mostHeaders) return void response.writeHead(431, { connection: 'close' }).end()
    options.pace.watch(request, response)
    void (async () => {
      try {
        await handler(request, response)
      } catch (error) {
        options.log.error({ err: error, path: request.url?.split('?', 1)[0] }, 'gateway failed on a request')
        response.destroy()
      }
    })()
  }
  server.on('request', serve(face.handle))
  server.on(
    'checkContinue',
    serve((request, response) => {
      if (face.checkContinue) return face.checkContinue(request, response)
      response.writeContinue()
      return face.handle(request, response)
    }),
  )
  if (face.upgrade) {
    server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      socket.on('error', () => socket.destroy())
      socket.once('close', guard.begin(request.socket))
      options.proxies.settle(request)
      if (options.isDraining() || request.rawHeaders.length > 2 * mostHeaders)
        return void socket.end('HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n')
      void face.upgrade!(request, socket, head)
    })
  }
  return server
}

/** Says no as problem+json and ends the connection: what comes after a request we do not understand is not read. */
export function refuse(response: ServerResponse, fault: Fault, headers: Record<string, string> = {}): void {
  if (response.headersSent || response.destroyed) return void response.destroy()
  response.writeHead(fault.status, { 'content-type': 'application/problem+json', connection: 'close', ...headers })
  response.end(JSON.stringify(problemOf(fault, 'gateway')))
}

/** A listener that only sends browsers to https; to no other host than the platform's own. */
export function createRedirectServer(publicUrl: string, hosts: (host: string) => boolean): Server {
  const server = createServer(
    { maxHeaderSize: 8 * 1024, headersTimeout: 5_000, requestTimeout: 5_000, connectionsCheckingInterval: 1_000 },
    (request, response) => redirectToHttps(publicUrl, request, response, hosts),
  )
  server.maxConnections = 1_000
  server.timeout = 5_000
  server.keepAliveTimeout = 1
  return server
}

function redirectToHttps(
  publicUrl: string,
  request: IncomingMessage,
  response: ServerResponse,
  isOurs: (host: string) => boolean = () => false,
): void {
  const target = request.url ?? '/'
  const path = /^\/(?![/\\])[\x21-\x7e]*$/.test(target) ? target : '/'
  const name = (request.headers.host ?? '').replace(/:\d+$/, '').toLowerCase()
  const { port } = new URL(publicUrl)
  const origin = isOurs(name) ? `https://${name}${port === '' ? '' : `:${port}`}` : publicUrl
  response.writeHead(308, { location: `${origin}${path}`, connection: 'close', 'content-length': 0 }).end()
}

export function badRequest(reason: string): Fault {
  return shellFaults.badRequest(reason)
}
