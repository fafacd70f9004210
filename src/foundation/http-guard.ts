/**
 * What a request from outside must be before anything is decided on it, and what of it may go on to a server behind us.
 * Two programs must never read one request differently: what can be read in two ways is refused, not repaired.
 */
import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders } from 'node:http'

/** RFC 9110 section 7.6.1: headers that speak about one connection only. */
const hopByHop = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
])

/**
 * Headers by which other proxies say who somebody is, where a request came from or what it really asks for. Underscores
 * count as dashes: programs behind CGI-like interfaces cannot tell them apart.
 */
const claims =
  /^(x-cygnet-|x-forwarded|forwarded$|x-real-ip$|x-client-|x-cluster-client-ip$|true-client-ip$|cf-|x-remote|remote-|x-auth|x-user|x-email|x-groups?$|x-jwt|x-original-|x-rewrite-|x-http-method|x-method-override$|x-script-name$|script-name$|path-info$|x-ssl-|ssl-|x-client-cert|x-amzn-|x-goog-authenticated|x-ms-client-principal|x-envoy-|x-proxy-|x-webauth-|webauth-|x-token-|oidc-|x-oidc-|x-iap-|x-pomerium-|cookie2$|proxy$)/

/**
 * Why this request is refused with 400 whatever it asks for, or undefined. Looks at the raw headers: Node itself keeps
 * one of two Host headers and passes absolute-form targets on.
 */
export function flawOf(request: Pick<IncomingMessage, 'method' | 'url' | 'rawHeaders'>): string | undefined {
  const hosts = request.rawHeaders.filter((name, index) => index % 2 === 0 && name.toLowerCase() === 'host')
  if (hosts.length > 1) return 'There are two Host headers.'
  const host = valueOf(request.rawHeaders, 'host')
  if (host === undefined || !/^(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/.test(host))
    return 'The Host header is missing or names no host.'
  if (request.method === 'TRACE' || request.method === 'CONNECT') return `${request.method} is not served.`
  const coding = valueOf(request.rawHeaders, 'transfer-encoding')
  if (coding !== undefined && coding.toLowerCase() !== 'chunked') return 'The only transfer coding is chunked.'
  const target = request.url ?? ''
  if (!target.startsWith('/')) return 'The target of the request must be a path.'
  if (/[^\x21-\x7e]|[\\#]/.test(target)) return 'The address has characters that must be encoded.'
  return undefined
}

function valueOf(rawHeaders: readonly string[], wanted: string): string | undefined {
  const index = rawHeaders.findIndex((name, each) => each % 2 === 0 && name.toLowerCase() === wanted)
  return index === -1 ? undefined : rawHeaders[index + 1]
}

/**
 * Why a path cannot be routed by its prefix, or undefined: `//`, dot segments in any spelling, encoded slashes,
 * backslashes and control characters, anything encoded twice, invalid UTF-8. Not for S3, whose keys may hold all of it.
 */
export function pathFlawOf(path: string): string | undefined {
  if (path.startsWith('//') || path.includes('//')) return 'The path has an empty segment.'
  if (/%(?:2f|5c|0[0-9a-f]|1[0-9a-f]|7f)/i.test(path)) return 'The path has an encoded slash or control character.'
  for (const segment of path.split('/')) {
    let plain: string
    try {
      plain = decodeURIComponent(segment)
    } catch {
      return 'The path is not valid percent-encoded UTF-8.'
    }
    // What follows a `;` is a parameter to some servers and a name to others.
    const name = plain.split(';', 1)[0]
    if (name === '.' || name === '..') return 'The path has a dot segment.'
    if (/%(?:2e|2f|5c|00)/i.test(plain)) return 'The path is encoded twice.'
  }
  return undefined
}

/** Headers of a request or an answer that go on to the other side: none about one connection, none named by Connection. */
export function endToEndHeaders(headers: IncomingHttpHeaders): OutgoingHttpHeaders {
  const named = new Set((headers.connection ?? '').split(',').map((name) => name.trim().toLowerCase()))
  // Without these it would be another request.
  for (const name of ['host', 'content-length', 'content-type', 'cookie', 'authorization']) named.delete(name)
  const kept: OutgoingHttpHeaders = {}
  for (const [name, value] of Object.entries(headers))
    if (value !== undefined && !hopByHop.has(name) && !named.has(name)) kept[name] = value
  return kept
}

/**
 * Headers of a request from outside for a server of ours: end-to-end ones without any claim of identity, origin or
 * another target, in whatever spelling. What the server is to believe is set by the caller afterwards.
 */
export function guardedHeaders(headers: IncomingHttpHeaders): OutgoingHttpHeaders {
  const kept = endToEndHeaders(headers)
  for (const name of Object.keys(kept)) if (isClaim(name)) delete kept[name]
  // We have taken the body on ourselves; the next hop is not asked whether it wants it.
  delete kept.expect
  return kept
}

/** Whether a server behind us could take this header for a statement about who asks. */
export function isClaim(name: string): boolean {
  return /[^a-z0-9-]/i.test(name) || claims.test(name.toLowerCase())
}

const clientAddress = Symbol('client address')
type Marked = IncomingMessage & { [clientAddress]?: string }

/** Remembers where a request really came from, as a trusted proxy in front of us says. */
export function setClientAddress(request: IncomingMessage, address: string): void {
  ;(request as Marked)[clientAddress] = address
}

/** The address a request came from: what the front found out, or the peer of the connection; `local` for a UNIX socket. */
export function clientAddressOf(request: IncomingMessage): string {
  const found = (request as Marked)[clientAddress] ?? request.socket.remoteAddress ?? ''
  return found === '' ? 'local' : plainAddress(found)
}

/** IPv4 inside IPv6 (`::ffff:192.0.2.1`, on dual-stack listeners) as plain IPv4. */
export function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, '')
}
