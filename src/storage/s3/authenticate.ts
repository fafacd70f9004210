/**
 * Who sent the request: the one place where signatures are checked, before anything is routed. Header and presigned
 * form; whatever changes what a request does must have been signed.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { Clock } from '../../foundation/time.ts'
import { storageFaults } from '../errors.ts'
import type { RequestTarget } from './request-target.ts'
import {
  algorithm,
  canonicalRequest,
  isSameSignature,
  requestSignature,
  signingKey,
  type Scope,
  type Service,
} from './signature.ts'

export type PayloadMode =
  | { kind: 'unsigned' }
  | { kind: 'signed'; sha256: string }
  | { kind: 'chunked'; isSigned: boolean; hasTrailer: boolean }

export interface Authenticated<Subject> {
  accessKeyId: string
  subject: Subject
  payload: PayloadMode
  /** For the signatures of chunks. */
  signature: { key: Buffer; timestamp: string; scope: Scope; seed: string }
}

export interface AccessKey<Subject> {
  secret: string
  subject: Subject
  /** Of temporary keys: SHA-256 of the session token, base64url. The key opens nothing without it. */
  sessionTokenHash?: string
}

export interface AuthenticateOptions<Subject> {
  accessKey(id: string): AccessKey<Subject> | undefined | Promise<AccessKey<Subject> | undefined>
  clock: Clock
}

/** What other services than S3 sign: the hash of the body is never said, so it is given here. */
export interface SignedFor {
  service: Service
  payloadHash: string
}

const maxSkewMs = 15 * 60_000
const maxExpiresSeconds = 604_800
const keptKeys = 1000

interface Claim {
  credential: string
  signedHeaders: string
  signature: string
  timestamp: string
  isPresigned: boolean
}

/** Throws 403 and 400 faults; never says whether the key or the secret was wrong beyond what AWS says. */
export function createAuthenticate<Subject>({
  accessKey,
  clock,
}: AuthenticateOptions<Subject>): (target: RequestTarget, other?: SignedFor) => Promise<Authenticated<Subject>> {
  const keys = new Map<string, { secret: string; key: Buffer }>()

  function keyFor(id: string, secret: string, scope: Scope): Buffer {
    const name = `${id}/${scope.date}/${scope.region}/${scope.service ?? 's3'}`
    const kept = keys.get(name)
    if (kept?.secret === secret) return kept.key
    if (keys.size >= keptKeys) keys.clear()
    const key = signingKey(secret, scope)
    keys.set(name, { secret, key })
    return key
  }

  return async (target, other) => {
    const claim = claimOf(target)
    const { accessKeyId, scope } = credentialOf(claim, other?.service ?? 's3')
    checkTime(target, claim, scope, clock.nowMs())
    const names = claim.signedHeaders.split(';')
    checkSignedHeaders(target, names, claim.isPresigned)
    const known = await accessKey(accessKeyId)
    if (known === undefined) throw storageFaults.invalidAccessKeyId('This access key does not exist or has expired.')
    const payloadHash = other?.payloadHash ?? payloadHashOf(target, names, claim.isPresigned)
    const canonical = canonicalRequest({
      method: target.method,
      path: target.path,
      query: target.query.filter(([name]) => name !== 'X-Amz-Signature'),
      headers: names.map((name) => [name, target.headers.get(name) ?? ''] as const),
      payloadHash,
    })
    const key = keyFor(accessKeyId, known.secret, scope)
    const expected = requestSignature(key, claim.timestamp, scope, canonical)
    if (!isSameSignature(expected, claim.signature)) {
      throw storageFaults.signatureDoesNotMatch(
        'The signature does not match the request and the secret of this access key.',
      )
    }
    checkSessionToken(target, known.sessionTokenHash)
    return {
      accessKeyId,
      subject: known.subject,
      payload: other === undefined ? payloadMode(payloadHash) : { kind: 'signed', sha256: payloadHash },
      signature: { key, timestamp: claim.timestamp, scope, seed: expected },
    }
  }
}

/** A temporary key needs its own token, said once, in the header or the address; a lasting key has none. */
function checkSessionToken(target: RequestTarget, expectedHash: string | undefined): void {
  const header = target.headers.get('x-amz-security-token')
  const inAddress = target.query.filter(([name]) => name === 'X-Amz-Security-Token').map(([, value]) => value)
  const given = [...(header === undefined ? [] : [header]), ...inAddress]
  if (expectedHash === undefined) {
    if (given.length === 0) return
    throw storageFaults.invalidToken('This access key has no session token.', {
      hint: 'Remove the session token from the settings of the tool.',
    })
  }
  const hash = createHash('sha256')
    .update(given[0] ?? '')
    .digest()
  const expected = Buffer.from(expectedHash, 'base64url')
  if (given.length === 1 && hash.length === expected.length && timingSafeEqual(hash, expected)) return
  throw storageFaults.invalidToken(
    'This is a temporary key, and the session token that belongs to it is missing or not right.',
    {
      hint: 'Give access key, secret and session token together, as they came; or ask for new ones.',
    },
  )
}

function first(target: RequestTarget, name: string): string | undefined {
  return target.query.find(([each]) => each === name)?.[1]
}

function claimOf(target: RequestTarget): Claim {
  const header = target.headers.get('authorization')
  const presigned = first(target, 'X-Amz-Algorithm')
  if (header !== undefined && presigned !== undefined)
    throw storageFaults.invalidArgument('The request is signed twice: by header and by address.')
  if (presigned !== undefined) return presignedClaim(target, presigned)
  if (
    first(target, 'Signature') !== undefined ||
    first(target, 'AWSAccessKeyId') !== undefined ||
    header?.startsWith('AWS ')
  ) {
    throw storageFaults.invalidRequest('Signature version 2 is not supported.', {
      hint: 'Set the client to signature version 4.',
    })
  }
  if (header === undefined)
    throw storageFaults.accessDenied('This request is not signed.', {
      hint: 'Create an access key: cygnet credentials create.',
    })
  if (!header.startsWith(`${algorithm} `))
    throw storageFaults.authorizationHeaderMalformed(`Only ${algorithm} is supported.`)
  const fields = new Map(
    header
      .slice(algorithm.length + 1)
      .split(',')
      .map((field) => {
        const equals = field.indexOf('=')
        return [field.slice(0, equals).trim(), field.slice(equals + 1).trim()]
      }),
  )
  const credential = fields.get('Credential')
  const signedHeaders = fields.get('SignedHeaders')
  const signature = fields.get('Signature')
  if (credential === undefined || signedHeaders === undefined || signature === undefined) {
    throw storageFaults.authorizationHeaderMalformed('Credential, SignedHeaders or Signature is missing.')
  }
  return { credential, signedHeaders, signature, timestamp: timestampOf(target), isPresigned: false }
}

function presignedClaim(target: RequestTarget, given: string): Claim {
  const need = (name: string) => {
    const values = target.query.filter(([each]) => each === name)
    if (values.length === 1) return values[0]![1]
    throw storageFaults.authorizationQueryParametersError(`${name} must be there once.`)
  }
  if (given !== algorithm) throw storageFaults.authorizationQueryParametersError(`Only ${algorithm} is supported.`)
  const expires = need('X-Amz-Expires')
  if (!/^\d{1,7}$/.test(expires) || Number(expires) > maxExpiresSeconds || Number(expires) < 1) {
    throw storageFaults.authorizationQueryParametersError(
      `X-Amz-Expires must be between 1 and ${maxExpiresSeconds} seconds.`,
    )
  }
  return {
    credential: need('X-Amz-Credential'),
    signedHeaders: need('X-Amz-SignedHeaders'),
    signature: need('X-Amz-Signature'),
    timestamp: need('X-Amz-Date'),
    isPresigned: true,
  }
}

/** X-Amz-Date, or the Date header in the form of ISO 8601. */
function timestampOf(target: RequestTarget): string {
  const given = target.headers.get('x-amz-date')
  if (given !== undefined) return given
  const parsed = Date.parse(target.headers.get('date') ?? '')
  if (Number.isNaN(parsed)) throw storageFaults.accessDenied('The request has no date.')
  return new Date(parsed).toISOString().replace(/[-:]|\.\d{3}/g, '')
}

function credentialOf(claim: Claim, service: Service): { accessKeyId: string; scope: Scope } {
  const match = /^([\w+=,.@-]{1,128})\/(\d{8})\/([a-z0-9-]{1,32})\/(s3|sts)\/aws4_request$/.exec(claim.credential)
  if (match !== null && match[4] === service)
    return { accessKeyId: match[1]!, scope: { date: match[2]!, region: match[3]!, service } }
  const make = claim.isPresigned
    ? storageFaults.authorizationQueryParametersError
    : storageFaults.authorizationHeaderMalformed
  throw make(`The credential must be KEY/YYYYMMDD/REGION/${service}/aws4_request.`)
}

function checkTime(target: RequestTarget, { timestamp, isPresigned }: Claim, scope: Scope, nowMs: number): void {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(timestamp)
  if (match === null) throw storageFaults.accessDenied('The date of the request cannot be read.')
  const [year, month, day, hour, minute, second] = match.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  const signedMs = Date.UTC(year, month - 1, day, hour, minute, second)
  if (!timestamp.startsWith(scope.date))
    throw storageFaults.signatureDoesNotMatch('The credential is of another day than the request.')
  if (signedMs - nowMs > maxSkewMs) throw skewed(nowMs)
  if (!isPresigned && nowMs - signedMs > maxSkewMs) throw skewed(nowMs)
  if (isPresigned && nowMs > signedMs + Number(first(target, 'X-Amz-Expires')) * 1000) {
    throw storageFaults.accessDenied('This presigned address has expired.', { hint: 'Ask for a new one.' })
  }
}

function skewed(nowMs: number): Error {
  return storageFaults.requestTimeTooSkewed(
    `The request was not signed within 15 minutes of ${new Date(nowMs).toISOString()}.`,
  )
}

/** An x-amz header that nobody signed could have been added by anybody who holds a presigned address. */
function checkSignedHeaders(target: RequestTarget, names: readonly string[], isPresigned: boolean): void {
  if (!names.includes('host')) throw storageFaults.accessDenied('The Host header is not signed.')
  const signed = new Set(names)
  for (const name of target.headers.keys()) {
    if (!name.startsWith('x-amz-') || signed.has(name)) continue
    // Both say nothing about what is done: an unsigned payload hash is not used with a presigned address.
    if (name === 'x-amz-user-agent' || (isPresigned && name === 'x-amz-content-sha256')) continue
    throw storageFaults.accessDenied(`The header ${name} was not signed.`)
  }
}

const unsigned = 'UNSIGNED-PAYLOAD'

function payloadHashOf(target: RequestTarget, names: readonly string[], isPresigned: boolean): string {
  const given = target.headers.get('x-amz-content-sha256')
  if (isPresigned) return names.includes('x-amz-content-sha256') && given !== undefined ? given : unsigned
  if (given === undefined) throw storageFaults.invalidRequest('The header x-amz-content-sha256 is missing.')
  return given
}

function payloadMode(hash: string): PayloadMode {
  switch (hash) {
    case unsigned:
      return { kind: 'unsigned' }
    case 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD':
      return { kind: 'chunked', isSigned: true, hasTrailer: false }
    case 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER':
      return { kind: 'chunked', isSigned: true, hasTrailer: true }
    case 'STREAMING-UNSIGNED-PAYLOAD-TRAILER':
      return { kind: 'chunked', isSigned: false, hasTrailer: true }
    default:
      if (/^[0-9a-f]{64}$/.test(hash)) return { kind: 'signed', sha256: hash }
      throw storageFaults.invalidArgument('x-amz-content-sha256 is neither a hash nor a known mode.')
  }
}
