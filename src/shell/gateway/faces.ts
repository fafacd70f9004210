/**
 * Which face of the platform a request is for, by its Host: pages, API and OIDC on the platform's name; people's own code
 * on the content origin, another name, so that it can never act as the person; S3 where it shares the port.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { isIP } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Fault } from '../../foundation/errors.ts'
import { clientAddressOf, flawOf, pathFlawOf } from '../../foundation/http-guard.ts'
import type { Addresses } from '../addresses.ts'
import { shellFaults } from '../errors.ts'
import { s3Region } from '../home.ts'
import { admit, type FairShare } from './fair-share.ts'
import { badRequest, refuse, type Face } from './front-server.ts'

export interface FaceParts {
  addresses: Addresses
  /** For the socket of sandboxes, which call the platform by an address of their own loopback. */
  isForSandboxes: boolean
  control(request: IncomingMessage, response: ServerResponse): Promise<void>
  pages(request: IncomingMessage, response: ServerResponse, path: string): Promise<void>
  content: {
    handle(request: IncomingMessage, response: ServerResponse): void
    upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void
  }
  /** Where it shares the port of the pages. */
  s3?: Required<Pick<Face, 'handle' | 'checkContinue'>> | undefined
  share: FairShare
}

export type FaceName = 'platform' | 'content' | 's3'

const controlPrefixes = ['/api/', '/oidc/', '/.well-known/']
/** The issuer of an experiment lies beside its pages. */
const experimentIssuer = /^\/e\/[a-z0-9-]+\/(?:oidc|\.well-known)\//

export function createFaces(parts: FaceParts): Required<Face> {
  const { addresses, content, s3 } = parts
  const faceOf = faceByHost(addresses, parts.isForSandboxes)

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const face = faceOf(request.headers.host ?? '')
    // S3 has its own word for everything that is wrong with a request, and its own rules for keys.
    if (face === 's3' && s3) return s3.handle(request, response)
    const path = (request.url ?? '').split('?', 1)[0]!
    // Below its prefix a notebook server has rules of its own, on top of ours (notebooks/proxy/route.ts).
    const flaw =
      flawOf(request) ?? (face === 'content' && path.startsWith('/user/') ? dotSegmentIn(path) : pathFlawOf(path))
    if (flaw !== undefined) return refuse(response, badRequest(flaw))
    if (path === '/healthz') return void response.writeHead(200, { 'content-type': 'text/plain' }).end('ok\n')
    if (face === 'content') return await answerContent(request, response, path)
    if (face !== 'platform') return refuseHost(request, response)
    if (path === '/.well-known/cygnet') {
      const { publicUrl, contentUrl, s3Url } = addresses
      response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-cache' })
      return void response.end(JSON.stringify({ publicUrl, contentUrl, s3Url, region: s3Region }))
    }
    const isForControl = controlPrefixes.some((prefix) => path.startsWith(prefix)) || experimentIssuer.test(path)
    if (isForControl || path === '/metrics') {
      return await parts.control(request, response)
    }
    return await parts.pages(request, response, path)
  }

  async function answerContent(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    const isPerson = path.startsWith('/user/')
    if (!isPerson && !path.startsWith('/_content/')) {
      response.writeHead(302, { location: addresses.publicUrl + (request.url ?? '/'), 'content-length': 0 }).end()
      return
    }
    if (isPerson && !isOnOwnHost(request)) return refuseHost(request, response)
    // By address and session: strangers who call a session's address cannot use its share up.
    const place = await admit(parts.share, `${clientAddressOf(request)} ${sessionIn(path)}`, response)
    if (place === 'refused') return refuse(response, tooMany(), { 'retry-after': '2' })
    if (place !== 'gone') content.handle(request, response)
  }

  /** With one host name per person, nobody's session answers on another's. */
  function isOnOwnHost(request: IncomingMessage): boolean {
    if (!addresses.contentUrl.includes('*')) return true
    const [label = ''] = (request.headers.host ?? '').toLowerCase().split('.', 1)
    return (request.url ?? '').startsWith(`/user/${label}/`)
  }

  /** A page of a stranger that resolves its name to this address (DNS rebinding) gets nothing. */
  function refuseHost(request: IncomingMessage, response: ServerResponse): void {
    const host = (request.headers.host ?? '').slice(0, 100)
    refuse(
      response,
      shellFaults.unknownHost(`This platform does not answer for host '${host}'.`, {
        hint: `Open ${addresses.publicUrl}`,
      }),
    )
  }

  return {
    handle,
    checkContinue(request, response) {
      if (s3 && faceOf(request.headers.host ?? '') === 's3') return s3.checkContinue(request, response)
      response.writeContinue()
      return handle(request, response)
    },
    upgrade(request, socket, head) {
      const isWrong = flawOf(request) !== undefined
      if (isWrong) return void socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n')
      if (faceOf(request.headers.host ?? '') !== 'content' || !isOnOwnHost(request))
        return void socket.end('HTTP/1.1 421 Misdirected Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n')
      content.upgrade(request, socket, head)
    },
  }
}

/** Says what a Host header means here; undefined: not ours. */
export function faceByHost(
  addresses: Pick<Addresses, 'publicUrl' | 'contentUrl' | 's3Url' | 'workPorts' | 'platformPort' | 's3Port'>,
  isForSandboxes = false,
): (host: string) => FaceName | undefined {
  const scheme = new URL(addresses.publicUrl).protocol
  const usual = scheme === 'https:' ? ':443' : ':80'
  const plain = (host: string) => {
    const lower = host.toLowerCase()
    return lower.endsWith(usual) ? lower.slice(0, -usual.length) : lower
  }
  const platform = new URL(addresses.publicUrl).host
  const content = new URL(addresses.contentUrl).host
  const s3 = addresses.s3Port === addresses.platformPort ? new URL(addresses.s3Url) : undefined
  const people = content.startsWith('*.') ? content.slice(1) : undefined
  return (given) => {
    const host = plain(given)
    if (host === platform) return 'platform'
    if (host === content) return people === undefined ? 'content' : undefined
    if (isForSandboxes && host === `127.0.0.1:${addresses.workPorts.platform}`) return 'platform'
    if (s3 && (host === s3.host || (isIP(s3.hostname) === 0 && host.endsWith(`.${s3.host}`)))) return 's3'
    if (people !== undefined && host.endsWith(people) && /^[a-z][a-z0-9]{1,19}$/.test(host.slice(0, -people.length)))
      return 'content'
    return undefined
  }
}

/** One more request of the same principal is not taken now. */
export function tooMany(): Fault {
  return shellFaults.tooManyRequests('Too many requests are under way for you already.')
}

function dotSegmentIn(path: string): string | undefined {
  const dots = /^(?:\.|%2e){1,2}(?:;.*)?$/i
  return path.split('/').some((segment) => dots.test(segment)) ? 'The path has a dot segment.' : undefined
}

function sessionIn(path: string): string {
  return path.split('/', 4).join('/').slice(0, 100)
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
