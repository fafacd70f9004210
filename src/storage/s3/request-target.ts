/** What a request is about, decoded exactly once: whatever is authorised here is what storage is asked for. */
import type { IncomingMessage } from 'node:http'
import { isBucketName } from '../bucket-name.ts'
import { storageFaults } from '../errors.ts'
import { checkKey } from '../key-place.ts'

export interface RequestTarget {
  method: string
  /** Decoded, as it is signed. */
  path: string
  /** undefined: the service itself. */
  bucket: string | undefined
  /** undefined: the bucket itself. */
  key: string | undefined
  query: readonly (readonly [string, string])[]
  /** Lower-case names; equal names joined by commas. */
  headers: ReadonlyMap<string, string>
}

/** Throws 'storage.invalid_uri', '.invalid_bucket_name', '.invalid_argument', '.key_too_long_error'. */
export function readTarget(request: IncomingMessage, hosts: readonly string[]): RequestTarget {
  const url = request.url ?? ''
  if (!url.startsWith('/') || /[^\x21-\x7e]|[\\#]/.test(url))
    throw storageFaults.invalidUri('The address has characters that must be encoded.')
  const headers = headersOf(request)
  const mark = url.indexOf('?')
  const path = decode(mark === -1 ? url : url.slice(0, mark))
  const query = mark === -1 ? [] : queryOf(url.slice(mark + 1))
  const { bucket, key } = split(path, headers.get('host') ?? '', hosts)
  if (bucket !== undefined && !isBucketName(bucket))
    throw storageFaults.invalidBucketName(`'${bucket.slice(0, 80)}' is not a bucket name.`)
  return {
    method: request.method ?? 'GET',
    path,
    bucket,
    key: key === undefined ? undefined : checkKey(key),
    query,
    headers,
  }
}

function split(
  path: string,
  host: string,
  hosts: readonly string[],
): { bucket: string | undefined; key: string | undefined } {
  const name = host.replace(/:\d+$/, '').toLowerCase()
  const suffix = hosts.find((one) => name.endsWith(`.${one}`))
  if (suffix !== undefined)
    return { bucket: name.slice(0, -suffix.length - 1), key: path === '/' ? undefined : path.slice(1) }
  if (path === '/') return { bucket: undefined, key: undefined }
  const slash = path.indexOf('/', 1)
  if (slash === -1) return { bucket: path.slice(1), key: undefined }
  return { bucket: path.slice(1, slash), key: slash === path.length - 1 ? undefined : path.slice(slash + 1) }
}

function headersOf(request: IncomingMessage): Map<string, string> {
  const headers = new Map<string, string>()
  for (let index = 0; index < request.rawHeaders.length; index += 2) {
    const name = request.rawHeaders[index]!.toLowerCase()
    const value = request.rawHeaders[index + 1]!
    const present = headers.get(name)
    if (present !== undefined && name === 'host') throw storageFaults.invalidRequest('There are two Host headers.')
    headers.set(name, present === undefined ? value : `${present},${value}`)
  }
  return headers
}

function queryOf(text: string): [string, string][] {
  return text
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair) => {
      const equals = pair.indexOf('=')
      const [name, value] = equals === -1 ? [pair, ''] : [pair.slice(0, equals), pair.slice(equals + 1)]
      return [decode(name.replaceAll('+', ' ')), decode(value.replaceAll('+', ' '))]
    })
}

/** Invalid or overlong UTF-8 and stray percent signs are refused. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw storageFaults.invalidUri('The address is not valid percent-encoded UTF-8.')
  }
}
