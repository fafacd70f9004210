/**
 * The platform's public face: pages, API and OIDC on the platform's host name; people's own code (notebooks,
 * terminals) on the content origin, another host name on the same port, so that it can never act as the person.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { problemOf } from '../../foundation/errors.ts'
import type { Logger } from '../../foundation/log.ts'
import { shellFaults } from '../errors.ts'

type Handler = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>

export interface PlatformFaces {
  publicUrl: string
  contentUrl: string
  control: Handler
  pages: (request: IncomingMessage, response: ServerResponse, path: string) => Promise<void>
  content: {
    handle: Handler
    upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void | Promise<void>
  }
  log: Logger
}

const controlPrefixes = ['/api/', '/oidc/', '/.well-known/', '/metrics']

export function createPlatformServer(faces: PlatformFaces): Server {
  const platformHost = new URL(faces.publicUrl).host
  const contentHost = new URL(faces.contentUrl).host
  const server = createServer(
    { maxHeaderSize: 32 * 1024, requestTimeout: 0, headersTimeout: 15_000 },
    (request, response) => {
      route(request, response).catch((error: unknown) => {
        faces.log.error({ err: error, path: request.url }, 'gateway failed on a request')
        response.destroy()
      })
    },
  )

  async function route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? '/').split('?', 1)[0]!
    if (path === '/healthz') return void response.writeHead(200, { 'content-type': 'text/plain' }).end('ok\n')
    if (request.headers.host === contentHost) return routeContent(request, response, path)
    if (request.headers.host !== platformHost) return refuseHost(request, response)
    if (controlPrefixes.some((prefix) => path.startsWith(prefix))) return faces.control(request, response)
    return faces.pages(request, response, path)
  }

  function routeContent(request: IncomingMessage, response: ServerResponse, path: string): void | Promise<void> {
    if (path.startsWith('/user/') || path.startsWith('/_content/')) return faces.content.handle(request, response)
    response.writeHead(302, { location: faces.publicUrl + (request.url ?? '/') }).end()
  }

  /** A page of a stranger that resolves its name to this address (DNS rebinding) gets nothing. */
  function refuseHost(request: IncomingMessage, response: ServerResponse): void {
    const fault = shellFaults.unknownHost(`This platform does not answer for host '${request.headers.host ?? ''}'.`, {
      hint: `Open ${faces.publicUrl}`,
    })
    response.writeHead(421, { 'content-type': 'application/problem+json', connection: 'close' })
    response.end(JSON.stringify(problemOf(fault, 'gateway')))
  }

  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy())
    if (request.headers.host !== contentHost) return void socket.end('HTTP/1.1 421 Misdirected Request\r\n\r\n')
    void faces.content.upgrade(request, socket, head)
  })
  return server
}

/** The headers of every page: no foreign script, frame or connection, and nobody frames us. */
export function pageHeaders(contentUrl: string, s3Url: string): Record<string, string> {
  return {
    'content-security-policy': [
      "default-src 'self'",
      "style-src 'self' 'unsafe-inline'",
      "img-src 'self' data: blob:",
      `connect-src 'self' ${s3Url}`,
      "worker-src 'self' blob:",
      `frame-src ${contentUrl}`,
      "frame-ancestors 'none'",
      "base-uri 'none'",
      "form-action 'self'",
    ].join('; '),
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin',
  }
}
