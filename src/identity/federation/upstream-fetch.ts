/**
 * The one way out to institutes. What comes back is a stranger's: it has ten seconds, no redirect is followed, and no
 * answer is read beyond 256 KiB.
 */
import { identityFaults } from '../errors.ts'

const longestMs = 10_000
const mostBytes = 256 * 1024

/** Shaped like `fetch`, for openid-client too. @throws Fault identity.institute_unreachable */
export async function upstreamFetch(address: string, init: RequestInit = {}): Promise<Response> {
  const signal = AbortSignal.any([AbortSignal.timeout(longestMs), ...(init.signal ? [init.signal] : [])])
  try {
    const response = await fetch(address, { ...init, redirect: 'manual', signal })
    const body = await readLimited(response)
    const empty = [101, 204, 205, 304].includes(response.status)
    return new Response(empty ? null : body, { status: response.status, headers: response.headers })
  } catch (cause) {
    throw unreachable(address, reasonOf(cause), cause)
  }
}

/** A JSON document at an address: 200, not a redirect, an object. @throws Fault identity.institute_unreachable */
export async function fetchDocument(address: string, signal?: AbortSignal): Promise<Record<string, unknown>> {
  const headers = { accept: 'application/json' }
  const response = await upstreamFetch(address, { headers, ...(signal !== undefined && { signal }) })
  if (response.status !== 200) throw unreachable(address, `it answers with status ${response.status}`)
  const value: unknown = await response.json().catch(() => undefined)
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  throw unreachable(address, 'its answer is not a JSON object')
}

/** https always; plain http only for an issuer on this machine, whose other addresses are then here too. */
export function isSafeAddress(address: unknown, issuer: string): address is string {
  if (typeof address !== 'string' || address.length > 2000 || !URL.canParse(address)) return false
  const url = new URL(address)
  if (url.username !== '' || url.password !== '' || url.hash !== '') return false
  return url.protocol === 'https:' || (isLocalHttp(url) && isLocalHttp(new URL(issuer)))
}

function isLocalHttp({ protocol, hostname }: URL): boolean {
  return protocol === 'http:' && ['127.0.0.1', 'localhost', '[::1]'].includes(hostname)
}

async function readLimited(response: Response): Promise<Buffer<ArrayBuffer>> {
  const chunks: Uint8Array[] = []
  let sizeBytes = 0
  for await (const chunk of response.body ?? []) {
    sizeBytes += chunk.length
    if (sizeBytes > mostBytes) throw new Error('its answer is larger than 256 KiB')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function unreachable(address: string, reason: string, cause?: unknown): Error {
  const { host, pathname } = new URL(address)
  return identityFaults.instituteUnreachable(`${host}${pathname} could not be asked: ${reason}.`, {
    cause,
    hint: 'Try again in a minute; if it stays so, tell the person who runs this platform.',
    retry: true,
  })
}

function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return 'unknown reason'
  if (cause.name === 'TimeoutError') return `no answer within ${longestMs / 1000} seconds`
  const inner = cause.cause instanceof Error ? cause.cause : cause
  return inner.message.slice(0, 200)
}
