/** The framing of uploads by SDKs: right, wrong, cut short. */
import { createHash, createHmac } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createChecksum } from '../checksums.ts'
import {
  openTestServer,
  rawRequest as raw,
  signedHeaders,
  testKeys,
  type RawAnswer,
  type TestServer,
} from '../testing.ts'
import { scopeText, signingKey } from './signature.ts'

/** Frames a body the aws-chunked way. */
function framed(
  chunks: Buffer[],
  options: { seed?: string; timestamp?: string; trailer?: [string, string]; breakChunk?: number } = {},
): Buffer {
  const { seed, timestamp = '', trailer, breakChunk } = options
  const scope = { date: timestamp.slice(0, 8), region: 'us-east-1' }
  const key = signingKey(testKeys.owner.secret, scope)
  const hash = (text: string | Buffer) => createHash('sha256').update(text).digest('hex')
  let previous = seed ?? ''
  const pieces: (string | Buffer)[] = []
  for (const [index, chunk] of [...chunks, Buffer.alloc(0)].entries()) {
    let mark = ''
    if (seed !== undefined) {
      const text = `AWS4-HMAC-SHA256-PAYLOAD\n${timestamp}\n${scopeText(scope)}\n${previous}\n${hash('')}\n${hash(chunk)}`
      previous = createHmac('sha256', key).update(text).digest('hex')
      mark = `;chunk-signature=${index === breakChunk ? 'a'.repeat(64) : previous}`
    }
    pieces.push(`${chunk.length.toString(16)}${mark}\r\n`)
    if (chunk.length > 0) pieces.push(chunk, '\r\n')
  }
  if (trailer !== undefined) {
    pieces.push(`${trailer[0]}:${trailer[1]}\r\n`)
    if (seed !== undefined) {
      const text = `AWS4-HMAC-SHA256-TRAILER\n${timestamp}\n${scopeText(scope)}\n${previous}\n${hash(`${trailer[0]}:${trailer[1]}\n`)}`
      pieces.push(`x-amz-trailer-signature:${createHmac('sha256', key).update(text).digest('hex')}\r\n`)
    }
  }
  pieces.push('\r\n')
  return Buffer.concat(pieces.map((piece) => Buffer.from(piece)))
}

describe('aws-chunked bodies', () => {
  const mode = 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD'
  const chunks = [Buffer.alloc(70_000, 'a'), Buffer.alloc(70_000, 'b'), Buffer.from('end')]
  const whole = Buffer.concat(chunks)
  const crc = () => {
    const checksum = createChecksum('crc32c')
    checksum.update(whole)
    return checksum.digest().toString('base64')
  }

  async function send(
    server: TestServer,
    payloadHash: string,
    given: {
      headers?: Record<string, string>
      trailer?: [string, string]
      breakChunk?: number
      cutBytes?: number
      length?: number
    },
  ) {
    const headers = signedHeaders('PUT', `${server.url}/demo-work/k`, {
      payloadHash,
      headers: {
        'content-encoding': 'aws-chunked,gzip',
        'x-amz-decoded-content-length': `${given.length ?? whole.length}`,
        ...given.headers,
      },
    })
    const seed = /Signature=(\w+)/.exec(headers.authorization!)![1]!
    const isSigned = payloadHash.startsWith(mode)
    const body = framed(chunks, {
      ...(isSigned ? { seed } : {}),
      timestamp: headers['x-amz-date']!,
      ...(given.trailer === undefined ? {} : { trailer: given.trailer }),
      ...(given.breakChunk === undefined ? {} : { breakChunk: given.breakChunk }),
    })
    const sent = body.subarray(0, body.length - (given.cutBytes ?? 0))
    return await raw(server, 'PUT', '/demo-work/k', { ...headers, 'content-length': `${sent.length}` }, sent)
  }

  test('signed, unsigned, with and without trailer: the framing is gone, the content is there', async () => {
    const server = await openTestServer()
    const trailer: [string, string] = ['x-amz-checksum-crc32c', crc()]
    const promised = { 'x-amz-trailer': 'x-amz-checksum-crc32c' }
    for (const [payloadHash, given] of [
      [mode, {}],
      [`${mode}-TRAILER`, { headers: promised, trailer }],
      ['STREAMING-UNSIGNED-PAYLOAD-TRAILER', { headers: promised, trailer }],
    ] as [string, Parameters<typeof send>[2]][]) {
      const answer = await send(server, payloadHash, given)
      expect([answer.status, answer.body]).toEqual([200, ''])
      expect(readFileSync(join(server.root, 'demo-work/k')).equals(whole)).toBe(true)
      expect(server.storage.headObject('demo-work', 'k').headers).toEqual({ 'content-encoding': 'gzip' })
      await server.storage.deleteObject({ bucket: 'demo-work', key: 'k' })
    }
  })

  test('a wrong chunk, trailer, length or end leaves nothing', async () => {
    const server = await openTestServer()
    const promised = { 'x-amz-trailer': 'x-amz-checksum-crc32c' }
    const wrong: [string, string] = ['x-amz-checksum-crc32c', 'AAAAAA==']
    const cases: [Promise<RawAnswer>, string][] = [
      [send(server, mode, { breakChunk: 1 }), 'SignatureDoesNotMatch'],
      [send(server, mode, { breakChunk: 3 }), 'SignatureDoesNotMatch'],
      [send(server, `${mode}-TRAILER`, { headers: promised, trailer: wrong }), 'BadDigest'],
      [send(server, 'STREAMING-UNSIGNED-PAYLOAD-TRAILER', { headers: promised, trailer: wrong }), 'BadDigest'],
      [send(server, 'STREAMING-UNSIGNED-PAYLOAD-TRAILER', { headers: promised }), 'InvalidRequest'],
      [send(server, mode, { length: whole.length + 1 }), 'IncompleteBody'],
      [send(server, mode, { length: whole.length - 1 }), 'EntityTooLarge'],
      [send(server, mode, { cutBytes: 300 }), 'IncompleteBody'],
      [send(server, mode, { trailer: ['x-amz-checksum-crc32c', crc()] }), 'InvalidRequest'],
    ]
    for (const [answer, code] of cases) expect((await answer).body).toContain(`<Code>${code}</Code>`)
    expect(readdirSync(join(server.root, 'demo-work'))).toEqual([])
  })
})
