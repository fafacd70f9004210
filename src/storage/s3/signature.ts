/**
 * AWS Signature Version 4 as S3 uses it: the path is encoded once, never normalised. Source: "Authenticating Requests
 * (AWS Signature Version 4)" in the Amazon S3 API reference. Pure.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'

export const algorithm = 'AWS4-HMAC-SHA256'
export const emptyHash = createHash('sha256').digest('hex')

export interface CanonicalParts {
  method: string
  /** Decoded path, '/' first. */
  path: string
  /** Decoded names and values; X-Amz-Signature left out. */
  query: readonly (readonly [string, string])[]
  /** Lower-case names in the order in which they were signed, values as received. */
  headers: readonly (readonly [string, string])[]
  payloadHash: string
}

/** Unreserved characters stay, everything else becomes %XX of its UTF-8 bytes. */
export function encodeForSignature(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

export function canonicalRequest({ method, path, query, headers, payloadHash }: CanonicalParts): string {
  const pairs = query.map(([name, value]) => [encodeForSignature(name), encodeForSignature(value)] as const)
  pairs.sort(([nameA, valueA], [nameB, valueB]) => compare(nameA, nameB) || compare(valueA, valueB))
  return [
    method,
    path.split('/').map(encodeForSignature).join('/'),
    pairs.map(([name, value]) => `${name}=${value}`).join('&'),
    ...headers.map(([name, value]) => `${name}:${value.trim().replace(/ {2,}/g, ' ')}`),
    '',
    headers.map(([name]) => name).join(';'),
    payloadHash,
  ].join('\n')
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

export interface Scope {
  /** '20260101' */
  date: string
  region: string
  /** Absent: s3. */
  service?: Service
}
export type Service = 's3' | 'sts'

export const scopeText = ({ date, region, service = 's3' }: Scope) => `${date}/${region}/${service}/aws4_request`

export function signingKey(secret: string, { date, region, service = 's3' }: Scope): Buffer {
  return [service, 'aws4_request'].reduce<Buffer>(hmac, hmac(hmac(Buffer.from(`AWS4${secret}`), date), region))
}

/** Headers reach us one character per byte, so they are hashed that way. */
export function requestSignature(key: Buffer, timestamp: string, scope: Scope, canonical: string): string {
  const hash = createHash('sha256').update(canonical, 'latin1').digest('hex')
  return hmac(key, `${algorithm}\n${timestamp}\n${scopeText(scope)}\n${hash}`).toString('hex')
}

export function chunkSignature(
  key: Buffer,
  timestamp: string,
  scope: Scope,
  previous: string,
  chunkHash: string,
): string {
  return hmac(
    key,
    `${algorithm}-PAYLOAD\n${timestamp}\n${scopeText(scope)}\n${previous}\n${emptyHash}\n${chunkHash}`,
  ).toString('hex')
}

export function trailerSignature(
  key: Buffer,
  timestamp: string,
  scope: Scope,
  previous: string,
  trailerHash: string,
): string {
  return hmac(key, `${algorithm}-TRAILER\n${timestamp}\n${scopeText(scope)}\n${previous}\n${trailerHash}`).toString(
    'hex',
  )
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

/** In constant time; anything but 64 hexadecimal digits never matches. */
export function isSameSignature(expected: string, given: string): boolean {
  if (!/^[0-9a-f]{64}$/.test(given)) return false
  return timingSafeEqual(Buffer.from(expected, 'hex'), Buffer.from(given, 'hex'))
}
