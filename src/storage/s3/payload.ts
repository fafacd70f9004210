/** The body of a request as storage takes it: framing removed, sizes and checksums that the client named, checked at the end. */
import type { IncomingMessage } from 'node:http'
import { checksumNames, checksumSizeBytes, createChecksum } from '../checksums.ts'
import { storageFaults } from '../errors.ts'
import type { ChecksumName, Digests, StoredChecksum } from '../model.ts'
import { keptChecksum } from '../put-object.ts'
import type { Authenticated } from './authenticate.ts'
import { decodeChunked } from './chunked-body.ts'
import type { RequestTarget } from './request-target.ts'

export interface Payload {
  body: AsyncIterable<Uint8Array>
  /** undefined when the client does not say. */
  sizeBytes: number | undefined
  /** Checksums that `verify` needs beside MD5. */
  checksums: ChecksumName[]
  /** The one that the client names, to be kept. */
  algorithm: ChecksumName | undefined
  /** Throws 'storage.bad_digest' and its like; returns the checksum to keep with the object. */
  verify(digests: Digests): StoredChecksum | undefined
}

/** Reads the headers; the body is not touched until it is iterated. */
export function readPayload(
  request: IncomingMessage,
  target: RequestTarget,
  who: Authenticated<unknown>,
  beforeBody: () => void,
): Payload {
  const { headers } = target
  const isChunked = who.payload.kind === 'chunked'
  const trailers = new Map<string, string>()
  const sizeBytes = sizeOf(headers, isChunked)
  const md5 = contentMd5(headers)
  const named = checksumHeader(headers)
  const promised = isChunked ? trailerName(headers) : undefined
  const algorithm = named?.algorithm ?? promised ?? sdkAlgorithm(headers)
  const raw = rawBody(request, beforeBody)

  return {
    sizeBytes,
    checksums: [
      ...(algorithm === undefined ? [] : [algorithm]),
      ...(who.payload.kind === 'signed' ? (['sha256'] as const) : []),
    ],
    algorithm,
    body:
      who.payload.kind === 'chunked'
        ? decodeChunked({
            source: raw,
            hasTrailer: who.payload.hasTrailer,
            trailers,
            ...(who.payload.isSigned ? { signature: who.signature } : {}),
          })
        : raw,
    verify(digests) {
      if (who.payload.kind === 'signed' && digests.sha256?.toString('hex') !== who.payload.sha256) {
        throw storageFaults.xAmzContentSha256Mismatch('The SHA-256 of the body is not the one that was signed.')
      }
      if (md5 !== undefined && !md5.equals(digests.md5))
        throw storageFaults.badDigest('The MD5 of the body is not the one of Content-MD5.')
      if (algorithm === undefined) return undefined
      const digest = digests[algorithm]!
      const given = named?.digest ?? (promised === undefined ? undefined : trailerDigest(trailers, promised))
      if (given !== undefined && !given.equals(digest))
        throw storageFaults.badDigest(`The ${algorithm} of the body is not the one that was sent.`)
      return keptChecksum(algorithm, digest)
    },
  }
}

/** The bytes of the connection. Leaving early does not tear it down: there is still an answer to give. */
async function* rawBody(request: IncomingMessage, beforeBody: () => void): AsyncGenerator<Buffer> {
  beforeBody()
  yield* request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>
}

/** A small body, whole, checked like any other. */
export async function readWhole(payload: Payload, maxBytes: number): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let sizeBytes = 0
  if ((payload.sizeBytes ?? 0) > maxBytes)
    throw storageFaults.malformedXml(`The request body has more than ${maxBytes} bytes.`)
  for await (const chunk of payload.body) {
    sizeBytes += chunk.length
    if (sizeBytes > maxBytes) throw storageFaults.malformedXml(`The request body has more than ${maxBytes} bytes.`)
    chunks.push(chunk)
  }
  const whole = Buffer.concat(chunks)
  if (payload.sizeBytes !== undefined && payload.sizeBytes !== sizeBytes)
    throw storageFaults.incompleteBody(`${sizeBytes} of ${payload.sizeBytes} bytes came.`)
  const names = new Set<ChecksumName>(['sha256', ...payload.checksums])
  const digestOf = (name: ChecksumName | 'md5') => {
    const checksum = createChecksum(name)
    checksum.update(whole)
    return checksum.digest()
  }
  const digests = Object.fromEntries([...names].map((name) => [name, digestOf(name)]))
  payload.verify({ sizeBytes, md5: digestOf('md5'), ...digests } as Digests)
  return whole
}

function sizeOf(headers: ReadonlyMap<string, string>, isChunked: boolean): number | undefined {
  const text = headers.get(isChunked ? 'x-amz-decoded-content-length' : 'content-length')
  if (text === undefined) {
    if (isChunked || !headers.has('transfer-encoding'))
      throw storageFaults.missingContentLength('The length of the body is not given.')
    return undefined
  }
  const sizeBytes = Number(text)
  if (!/^\d{1,16}$/.test(text)) throw storageFaults.invalidArgument('The length of the body is not a number.')
  return sizeBytes
}

function contentMd5(headers: ReadonlyMap<string, string>): Buffer | undefined {
  const text = headers.get('content-md5')
  if (text === undefined) return undefined
  const digest = fromBase64(text, 16)
  if (digest === undefined) throw storageFaults.invalidDigest('Content-MD5 is not the base64 of 16 bytes.')
  return digest
}

function checksumHeader(headers: ReadonlyMap<string, string>): { algorithm: ChecksumName; digest: Buffer } | undefined {
  const given = checksumNames.filter((name) => headers.has(`x-amz-checksum-${name}`))
  if (given.length > 1) throw storageFaults.invalidRequest('More than one checksum is given.')
  const [algorithm] = given
  if (algorithm === undefined) return undefined
  const digest = fromBase64(headers.get(`x-amz-checksum-${algorithm}`)!, checksumSizeBytes[algorithm])
  if (digest === undefined) throw storageFaults.invalidRequest(`The value of x-amz-checksum-${algorithm} is not valid.`)
  return { algorithm, digest }
}

function trailerName(headers: ReadonlyMap<string, string>): ChecksumName | undefined {
  const text = headers.get('x-amz-trailer')
  if (text === undefined) return undefined
  const algorithm = checksumNames.find((name) => text.trim().toLowerCase() === `x-amz-checksum-${name}`)
  if (algorithm === undefined)
    throw storageFaults.invalidRequest('The header x-amz-trailer names no checksum that is known here.')
  return algorithm
}

function sdkAlgorithm(headers: ReadonlyMap<string, string>): ChecksumName | undefined {
  const text = headers.get('x-amz-sdk-checksum-algorithm')?.toLowerCase()
  if (text === undefined) return undefined
  return checksumNames.find((name) => name === text)
}

function trailerDigest(trailers: ReadonlyMap<string, string>, algorithm: ChecksumName): Buffer {
  const digest = fromBase64(trailers.get(`x-amz-checksum-${algorithm}`) ?? '', checksumSizeBytes[algorithm])
  if (digest === undefined)
    throw storageFaults.invalidRequest('The checksum that was promised behind the body did not come.')
  return digest
}

/** Strict: exactly so many bytes, no stray characters. */
function fromBase64(text: string, sizeBytes: number): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64')
  return bytes.length === sizeBytes && bytes.toString('base64') === text.trim() ? bytes : undefined
}
