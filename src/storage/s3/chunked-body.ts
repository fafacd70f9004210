/**
 * The `aws-chunked` framing: `SIZE[;chunk-signature=...]\r\n DATA \r\n ... 0...\r\n [trailers] \r\n`. Bytes pass through
 * as they come; each signature is checked at the end of its chunk, which is before anything is published.
 */
import { createHash, type Hash } from 'node:crypto'
import { storageFaults } from '../errors.ts'
import type { Authenticated } from './authenticate.ts'
import { chunkSignature, isSameSignature, trailerSignature } from './signature.ts'

export interface ChunkedOptions {
  source: AsyncIterable<Buffer>
  /** Set when chunks are signed. */
  signature?: Authenticated<unknown>['signature']
  hasTrailer: boolean
  /** Filled while reading: lower-case names of trailing headers. */
  trailers: Map<string, string>
}

const maxLineBytes = 4096
const maxTrailers = 16

/** Decodes; throws 'storage.incomplete_body', '.signature_does_not_match' or '.invalid_request'. */
export async function* decodeChunked({
  source,
  signature,
  hasTrailer,
  trailers,
}: ChunkedOptions): AsyncGenerator<Buffer> {
  const input = source[Symbol.asyncIterator]()
  let buffer: Buffer = Buffer.alloc(0)
  let previous = signature?.seed ?? ''

  const more = async (): Promise<boolean> => {
    const { value, done } = await input.next()
    if (done) return false
    buffer = buffer.length === 0 ? value : Buffer.concat([buffer, value])
    return true
  }
  const line = async (isOptional = false): Promise<string> => {
    for (;;) {
      const end = buffer.indexOf('\r\n')
      if (end > maxLineBytes || (end === -1 && buffer.length > maxLineBytes))
        throw storageFaults.invalidRequest('A chunk header is too long.')
      if (end !== -1) {
        const text = buffer.toString('latin1', 0, end)
        buffer = buffer.subarray(end + 2)
        return text
      }
      if (await more()) continue
      if (isOptional && buffer.length === 0) return ''
      throw storageFaults.incompleteBody('The body ended within a chunk.')
    }
  }
  const check = (given: string | undefined, hash: Hash): void => {
    if (signature === undefined) return
    const { key, timestamp, scope } = signature
    const expected = chunkSignature(key, timestamp, scope, previous, hash.digest('hex'))
    if (given === undefined || !isSameSignature(expected, given))
      throw storageFaults.signatureDoesNotMatch('The signature of a chunk does not match.')
    previous = expected
  }

  for (;;) {
    const header = /^([0-9a-fA-F]{1,12})(?:;chunk-signature=([0-9a-f]{64}))?$/.exec(await line())
    if (header === null) throw storageFaults.invalidRequest('A chunk header cannot be read.')
    const sizeBytes = Number.parseInt(header[1]!, 16)
    const hash = createHash('sha256')
    for (let left = sizeBytes; left > 0;) {
      if (buffer.length === 0 && !(await more())) throw storageFaults.incompleteBody('The body ended within a chunk.')
      const piece = buffer.subarray(0, left)
      buffer = buffer.subarray(piece.length)
      left -= piece.length
      if (signature !== undefined) hash.update(piece)
      if (piece.length > 0) yield piece
    }
    check(header[2], hash)
    if (sizeBytes === 0) break
    if ((await line()) !== '') throw storageFaults.invalidRequest('A chunk is longer than it says.')
  }

  const signedText: string[] = []
  let trailerMark: string | undefined
  for (let text = await line(true); text !== ''; text = await line(true)) {
    const colon = text.indexOf(':')
    const name = text.slice(0, colon).trim().toLowerCase()
    const value = text.slice(colon + 1).trim()
    if (colon < 1 || !hasTrailer || trailers.size >= maxTrailers || trailers.has(name))
      throw storageFaults.invalidRequest('A trailing header is not allowed here.')
    if (name === 'x-amz-trailer-signature') trailerMark = value
    else {
      trailers.set(name, value)
      signedText.push(`${name}:${value}\n`)
    }
  }
  if (hasTrailer && signature !== undefined) {
    const { key, timestamp, scope } = signature
    const hash = createHash('sha256').update(signedText.join('')).digest('hex')
    if (!isSameSignature(trailerSignature(key, timestamp, scope, previous, hash), trailerMark ?? '')) {
      throw storageFaults.signatureDoesNotMatch('The signature of the trailing headers does not match.')
    }
  }
  // Whatever comes behind is nobody's: it would be taken for the next request.
  if (buffer.length > 0 || (await more())) throw storageFaults.invalidRequest('There are bytes behind the last chunk.')
}
