/** What no client sends, or should not: over the wire, with and without the right secret. */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { fakeClock } from '../../foundation/time.ts'
import { openTestServer, rawRequest as raw, s3Fetch, signedHeaders, testKeys } from '../testing.ts'
import { canonicalRequest, requestSignature, scopeText, signingKey } from './signature.ts'

const codeOf = async (response: Response) => /<Code>(\w+)<\/Code>/.exec(await response.text())?.[1]
const wrongKey = { id: testKeys.owner.id, secret: 'x'.repeat(40) }

describe('signatures', () => {
  test('no mode of payload and no verb gets through with a wrong secret', async () => {
    const server = await openTestServer()
    const modes = [
      'UNSIGNED-PAYLOAD',
      'STREAMING-AWS4-HMAC-SHA256-PAYLOAD',
      'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER',
      'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
      createHash('sha256').update('x').digest('hex'),
    ]
    const calls = [
      ['PUT', '/demo-work/k'],
      ['POST', '/demo-work/k?uploads'],
      ['PUT', '/demo-work/k?partNumber=1&uploadId=abcdefghijklmnop'],
      ['POST', '/demo-work?delete'],
      ['DELETE', '/demo-work/k'],
      ['GET', '/demo-work/k'],
      ['GET', '/'],
      ['PUT', '/demo-new-work'],
    ]
    for (const payloadHash of modes) {
      for (const [method, path] of calls as [string, string][]) {
        const headers = {
          'x-amz-decoded-content-length': '1',
          ...(payloadHash.includes('TRAILER') ? { 'x-amz-trailer': 'x-amz-checksum-crc32' } : {}),
        }
        const response = await s3Fetch(method, `${server.url}${path}`, {
          key: wrongKey,
          payloadHash,
          headers,
          ...(method === 'GET' ? {} : { body: 'x' }),
        })
        expect([response.status, await codeOf(response)], `${method} ${path} ${payloadHash}`).toEqual([
          403,
          'SignatureDoesNotMatch',
        ])
      }
    }
    expect(readdirSync(join(server.root, 'demo-work'))).toEqual([])
  })

  test('what was signed is what counts: another path, query, host, date, header or body is refused', async () => {
    const server = await openTestServer()
    await s3Fetch('PUT', `${server.url}/demo-work/a`, { body: 'a' })
    const signed = signedHeaders('GET', `${server.url}/demo-work/a`)
    const attempt = async (path: string, headers: Record<string, string>, method = 'GET', body?: string) =>
      (await raw(server, method, path, headers, body)).body
    expect(await attempt('/demo-work/a', signed)).toBe('a')
    expect(await attempt('/demo-work/b', signed)).toContain('SignatureDoesNotMatch')
    expect(await attempt('/demo-work/a?versions', signed)).toContain('SignatureDoesNotMatch')
    expect(await attempt('/demo-work/a', { ...signed, host: 'other' })).toContain('SignatureDoesNotMatch')
    expect(await attempt('/demo-work/a', signed, 'DELETE')).toContain('SignatureDoesNotMatch')
    expect(await attempt('/demo-work/a', { ...signed, 'x-amz-copy-source': '/demo-raw/x' })).toContain('AccessDenied')
    const put = signedHeaders('PUT', `${server.url}/demo-work/a`, { body: 'a' })
    expect(await attempt('/demo-work/a', { ...put, 'content-length': '1' }, 'PUT', 'b')).toContain(
      'XAmzContentSHA256Mismatch',
    )
    expect(readFileSync(join(server.root, 'demo-work/a'), 'utf8')).toBe('a')
  })

  test('clocks may differ by 15 minutes; presigned addresses end', async () => {
    const clock = fakeClock(Date.UTC(2026, 5, 1, 12))
    const server = await openTestServer({ clock })
    const at = async (offsetMs: number) =>
      (await s3Fetch('GET', `${server.url}/`, { atMs: clock.nowMs() + offsetMs })).status
    expect([await at(0), await at(14 * 60_000), await at(-14 * 60_000)]).toEqual([200, 200, 200])
    const late = await s3Fetch('GET', `${server.url}/`, { atMs: clock.nowMs() - 16 * 60_000 })
    expect([late.status, await codeOf(late), await at(16 * 60_000)]).toEqual([403, 'RequestTimeTooSkewed', 403])

    const presigned = (expires: string, headers = 'host') => {
      const timestamp = new Date(clock.nowMs()).toISOString().replace(/[-:]|\.\d{3}/g, '')
      const scope = { date: timestamp.slice(0, 8), region: 'us-east-1' }
      const query: [string, string][] = [
        ['X-Amz-Algorithm', 'AWS4-HMAC-SHA256'],
        ['X-Amz-Credential', `${testKeys.owner.id}/${scopeText(scope)}`],
        ['X-Amz-Date', timestamp],
        ['X-Amz-Expires', expires],
        ['X-Amz-SignedHeaders', headers],
      ]
      const canonical = canonicalRequest({
        method: 'GET',
        path: '/demo-work',
        query,
        headers: [['host', `127.0.0.1:${server.port}`]],
        payloadHash: 'UNSIGNED-PAYLOAD',
      })
      const signature = requestSignature(signingKey(testKeys.owner.secret, scope), timestamp, scope, canonical)
      return `${server.url}/demo-work?${new URLSearchParams([...query, ['X-Amz-Signature', signature]]).toString()}`
    }
    const address = presigned('60')
    expect((await fetch(address)).status).toBe(200)
    expect(await codeOf(await fetch(address, { headers: { 'x-amz-copy-source': 'demo-raw/x' } }))).toBe('AccessDenied')
    expect(await codeOf(await fetch(`${address}&X-Amz-Expires=600`))).toBe('AuthorizationQueryParametersError')
    for (const expires of ['604801', '0', '-1', 'x'])
      expect(await codeOf(await fetch(presigned(expires)))).toBe('AuthorizationQueryParametersError')
    clock.advance(61_000)
    expect(await codeOf(await fetch(address))).toBe('AccessDenied')
  })

  test('an unknown key, an unsigned request, both forms at once, version 2', async () => {
    const server = await openTestServer()
    expect(await codeOf(await s3Fetch('GET', `${server.url}/`, { key: { id: 'CYGNOBODY', secret: 'x' } }))).toBe(
      'InvalidAccessKeyId',
    )
    expect(await codeOf(await fetch(`${server.url}/demo-work/a`))).toBe('AccessDenied')
    expect(
      await codeOf(
        await fetch(`${server.url}/?X-Amz-Algorithm=AWS4-HMAC-SHA256`, {
          headers: { authorization: 'AWS4-HMAC-SHA256 x' },
        }),
      ),
    ).toBe('InvalidArgument')
    expect(await codeOf(await fetch(`${server.url}/`, { headers: { authorization: 'AWS abc:def' } }))).toBe(
      'InvalidRequest',
    )
    for (const authorization of [
      'AWS4-HMAC-SHA256',
      'AWS4-HMAC-SHA256 ',
      'AWS4-HMAC-SHA256 Credential=a',
      'Bearer x',
      '__proto__',
    ]) {
      expect((await fetch(`${server.url}/`, { headers: { authorization } })).status).toBeGreaterThanOrEqual(400)
    }
  })
})

describe('addresses', () => {
  test('tricks with paths reach nothing', async () => {
    const server = await openTestServer()
    writeFileSync(join(server.root, 'outside'), 'secret')
    const { host: _host, ...anyHeaders } = signedHeaders('GET', `${server.url}/demo-work/x`)
    for (const path of [
      '/demo-work/../outside',
      '/demo-work/%2e%2e/outside',
      '/demo-work/%2e%2e%2foutside',
      '/demo-work/..%2f..%2fetc/passwd',
      '/.cygnet/index/index.mdb',
      '/%2ecygnet/x',
      '/demo-work/a%00b',
      '/demo-work/%c0%ae%c0%ae/x',
      '/demo-work/%',
      '//demo-work/x',
      '/demo-work\\..\\outside',
      '/demo-work/#x',
      'http://evil/demo-work/x',
    ]) {
      const { status, body } = await raw(server, 'GET', path, anyHeaders)
      expect([400, 403], path).toContain(status)
      expect(body).not.toContain('secret')
    }
    // Also for somebody who signs such a path properly.
    for (const path of ['/demo-work/..%2foutside', '/.cygnet/index', '/demo-work/a%00b']) {
      const headers = signedHeaders('GET', `${server.url}${path}`)
      expect((await raw(server, 'GET', path, headers)).status, path).toBe(400)
    }
  })

  test('buckets by host name, when a host is configured', async () => {
    const server = await openTestServer({ hosts: ['s3.example.org'] })
    const call = async (method: string, host: string, path: string, body = '') => {
      const signed = signedHeaders(method, `http://${host}${path}`, { body })
      return await raw(server, method, path, { ...signed, 'content-length': `${body.length}` }, body)
    }
    expect((await call('PUT', 'demo-work.s3.example.org:8411', '/dir/key', 'x')).status).toBe(200)
    expect((await call('GET', 's3.example.org:8411', '/demo-work/dir/key')).body).toBe('x')
    expect((await call('GET', 'demo-work.s3.example.org:8411', '/')).body).toContain('<Key>dir/key</Key>')
    expect((await call('GET', 'a.b.s3.example.org', '/')).body).toContain('InvalidBucketName')
  })

  test('what we do not have is said, not ignored', async () => {
    const server = await openTestServer()
    await s3Fetch('PUT', `${server.url}/demo-work/k`, { body: 'k' })
    const code = async (method: string, path: string, headers: Record<string, string> = {}, body?: string) =>
      await codeOf(await s3Fetch(method, `${server.url}${path}`, { headers, ...(body === undefined ? {} : { body }) }))
    expect(await code('GET', '/demo-work/k?torrent')).toBe('NotImplemented')
    expect(await code('PUT', '/demo-work/k?tagging', {}, 'x')).toBe('NotImplemented')
    expect(await code('DELETE', '/demo-work?policy')).toBe('NotImplemented')
    expect(await code('POST', '/demo-work/k?restore', {}, 'x')).toBe('NotImplemented')
    expect(await code('PUT', '/demo-work/k', { 'x-amz-server-side-encryption': 'AES256' }, 'x')).toBe('NotImplemented')
    expect(await code('PUT', '/demo-work/k', { 'x-amz-acl': 'public-read' }, 'x')).toBe('AccessControlListNotSupported')
    expect(await code('PUT', '/demo-work/k', { 'x-amz-storage-class': 'GLACIER' }, 'x')).toBe('InvalidStorageClass')
    expect(await code('GET', '/demo-work?policy')).toBe('NoSuchBucketPolicy')
    expect(await code('POST', '/demo-work', {}, 'x')).toBe('MethodNotAllowed')
    expect(await code('PUT', '/somebody', {})).toBe('InvalidBucketName')
    expect(await code('PUT', '/other-work', {})).toBe('AccessDenied')
    expect(readFileSync(join(server.root, 'demo-work/k'), 'utf8')).toBe('k')
  })

  test('bodies of XML that are bombs', async () => {
    const server = await openTestServer()
    const post = async (body: string) => await codeOf(await s3Fetch('POST', `${server.url}/demo-work?delete`, { body }))
    expect(await post('<!DOCTYPE x [<!ENTITY a "aaaa">]><Delete><Object><Key>&a;</Key></Object></Delete>')).toBe(
      'MalformedXML',
    )
    expect(await post(`<Delete>${'<Object><Key>k</Key></Object>'.repeat(1001)}</Delete>`)).toBe('MalformedXML')
    expect(await post(`<Delete>${'x'.repeat(5_000_000)}</Delete>`)).toBe('MalformedXML')
    expect(await post('<Delete/>')).toBe('MalformedXML')
    const mixed = await (
      await s3Fetch('POST', `${server.url}/demo-work?delete`, {
        body: '<Delete><Object><Key>../x</Key></Object><Object><Key>fine</Key></Object></Delete>',
      })
    ).text()
    expect(mixed).toMatch(/<Deleted><Key>fine<\/Key><\/Deleted><Error><Key>\.\.\/x<\/Key><Code>InvalidArgument/)
  })
})

describe('reading', () => {
  test('ranges', async () => {
    const server = await openTestServer()
    await s3Fetch('PUT', `${server.url}/demo-work/r`, { body: '0123456789' })
    const get = async (range: string) => {
      const response = await s3Fetch('GET', `${server.url}/demo-work/r`, { headers: { range } })
      return [response.status, await response.text()]
    }
    expect(await get('bytes=2-4')).toEqual([206, '234'])
    expect(await get('bytes=-3')).toEqual([206, '789'])
    expect(await get('bytes=8-99')).toEqual([206, '89'])
    expect(await get('bytes=5-2')).toEqual([200, '0123456789'])
    expect(await get('lines=1-2')).toEqual([200, '0123456789'])
    expect((await get('bytes=-0'))[0]).toBe(416)
    expect((await get('bytes=10-'))[0]).toBe(416)
    const [status, many] = await get('bytes=7-8,0-1')
    expect(status).toBe(206)
    expect(many).toMatch(/bytes 7-8\/10\r\n\r\n78\r\n--[\s\S]*bytes 0-1\/10\r\n\r\n01\r\n--/)
    expect((await get(`bytes=${Array.from({ length: 200 }, (_, index) => `${index}-${index}`).join(',')}`))[0]).toBe(
      200,
    )
  })

  test('conditions', async () => {
    const server = await openTestServer()
    const { headers } = await s3Fetch('PUT', `${server.url}/demo-work/c`, { body: 'c' })
    const etag = headers.get('etag')!
    const get = async (given: Record<string, string>) =>
      (await s3Fetch('GET', `${server.url}/demo-work/c`, { headers: given })).status
    const past = new Date(Date.now() - 86_400_000).toUTCString()
    const future = new Date(Date.now() + 86_400_000).toUTCString()
    expect(await get({ 'if-match': etag })).toBe(200)
    expect(await get({ 'if-match': '"other"' })).toBe(412)
    expect(await get({ 'if-none-match': etag })).toBe(304)
    expect(await get({ 'if-none-match': '*' })).toBe(304)
    expect(await get({ 'if-modified-since': future })).toBe(304)
    expect(await get({ 'if-modified-since': past })).toBe(200)
    expect(await get({ 'if-unmodified-since': past })).toBe(412)
    expect(await get({ 'if-unmodified-since': past, 'if-match': etag })).toBe(200)
    // To a stranger existing and missing look the same.
    const stranger = { key: testKeys.daq, headers: { 'if-modified-since': past } }
    const [there, missing] = await Promise.all(
      ['c', 'nope'].map(async (key) => await s3Fetch('GET', `${server.url}/demo-raw/${key}`, stranger)),
    )
    expect([there!.status, missing!.status]).toEqual([403, 403])
  })

  test('listing arguments', async () => {
    const server = await openTestServer()
    const code = async (query: string) => {
      const response = await s3Fetch('GET', `${server.url}/demo-work?${query}`)
      return response.status === 200 ? 200 : await codeOf(response)
    }
    expect(await code('max-keys=-1')).toBe('InvalidArgument')
    expect(await code('max-keys=1000000000')).toBe(200)
    expect(await code('list-type=2&continuation-token=junk')).toBe('InvalidArgument')
    expect(await code('encoding-type=rot13')).toBe('InvalidArgument')
    await s3Fetch('PUT', `${server.url}/demo-raw/1`, { body: '' })
    await s3Fetch('PUT', `${server.url}/demo-raw/2`, { body: '' })
    const page = await (await s3Fetch('GET', `${server.url}/demo-raw?list-type=2&max-keys=1`)).text()
    const token = /<NextContinuationToken>(.*?)</.exec(page)![1]!
    expect(await code(`list-type=2&continuation-token=${token}`)).toBe('InvalidArgument')
  })

  test('bytes of people are never a page of this origin', async () => {
    const server = await openTestServer()
    await s3Fetch('PUT', `${server.url}/demo-work/x.html`, {
      body: '<script>1</script>',
      headers: { 'content-type': 'text/html' },
    })
    const { headers } = await s3Fetch('GET', `${server.url}/demo-work/x.html`)
    expect([headers.get('content-security-policy'), headers.get('x-content-type-options')]).toEqual([
      'sandbox',
      'nosniff',
    ])
    const split = await s3Fetch(
      'GET',
      `${server.url}/demo-work/x.html?response-content-type=${encodeURIComponent('a\r\nset-cookie: x')}`,
    )
    expect([split.status, split.headers.get('set-cookie')]).toEqual([200, null])
  })
})

describe('connections', () => {
  test('100-continue: refused before the body, asked for when all is well', async () => {
    const server = await openTestServer()
    const talk = async (headers: Record<string, string>, body: string) =>
      await new Promise<{ status: number; wasAsked: boolean }>((resolve, reject) => {
        let wasAsked = false
        const request = httpRequest({
          host: '127.0.0.1',
          port: server.port,
          method: 'PUT',
          path: '/demo-raw/man/x',
          headers: { ...headers, expect: '100-continue', 'content-length': body.length },
        })
        request.on('continue', () => {
          wasAsked = true
          request.end(body)
        })
        request.on('response', (response) => {
          response.resume()
          resolve({ status: response.statusCode!, wasAsked })
          if (!wasAsked) request.destroy()
        })
        request.on('error', reject)
        request.flushHeaders()
      })
    const url = `${server.url}/demo-raw/man/x`
    expect(await talk(signedHeaders('PUT', url, { body: 'hello' }), 'hello')).toEqual({ status: 200, wasAsked: true })
    expect(await talk(signedHeaders('PUT', url, { body: 'hello', key: testKeys.daq }), 'hello')).toEqual({
      status: 403,
      wasAsked: false,
    })
  })

  test('a client that goes away leaves nothing, and others are served', async () => {
    const server = await openTestServer()
    const headers = signedHeaders('PUT', `${server.url}/demo-work/gone`, { payloadHash: 'UNSIGNED-PAYLOAD' })
    const socket = connect(server.port, '127.0.0.1')
    const head = Object.entries({ ...headers, 'content-length': '5000000' })
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join('')
    socket.write(`PUT /demo-work/gone HTTP/1.1\r\n${head}\r\n`)
    socket.write(Buffer.alloc(2_000_000))
    await sleep(100)
    socket.destroy()
    const [worker] = readdirSync(join(server.root, '.cygnet/tmp'))
    const leftovers = () =>
      readdirSync(join(server.root, '.cygnet/tmp', worker!)).filter((name) => name !== 'worker.json')
    while (leftovers().length > 0) await sleep(10)
    expect(readdirSync(join(server.root, 'demo-work'))).toEqual([])
    expect((await s3Fetch('GET', `${server.url}/`)).status).toBe(200)
  })

  test('a refused upload does not poison the connection', async () => {
    const server = await openTestServer()
    for (let round = 0; round < 5; round += 1) {
      const refused = await s3Fetch('PUT', `${server.url}/demo-work/k`, {
        key: testKeys.reader,
        body: Buffer.alloc(300_000),
      })
      expect([refused.status, await codeOf(refused)]).toEqual([403, 'AccessDenied'])
      expect((await s3Fetch('GET', `${server.url}/`)).status).toBe(200)
    }
  })

  test('lengths: none, nonsense, too much; headers without end', async () => {
    const server = await openTestServer()
    const speak = async (text: string) =>
      await new Promise<string>((resolve) => {
        const socket = connect(server.port, '127.0.0.1')
        let answer = ''
        socket.on('data', (chunk) => (answer += chunk.toString()))
        socket.on('close', () => resolve(answer.split('\r\n', 1)[0]!))
        socket.on('error', () => {})
        socket.write(text)
      })
    const headers = signedHeaders('PUT', `${server.url}/demo-work/k`, { payloadHash: 'UNSIGNED-PAYLOAD' })
    const head = Object.entries(headers)
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join('')
    expect(await speak(`PUT /demo-work/k HTTP/1.1\r\n${head}connection: close\r\n\r\n`)).toContain('411')
    expect(await speak(`PUT /demo-work/k HTTP/1.1\r\n${head}content-length: -1\r\n\r\n`)).toContain('400')
    expect(
      await speak(`PUT /demo-work/k HTTP/1.1\r\n${head}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n`),
    ).toContain('400')
    expect(
      await speak(`PUT /demo-work/k HTTP/1.1\r\n${head}content-length: 9000000000000000\r\nconnection: close\r\n\r\n`),
    ).toContain('400')
    expect(await speak(`GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\nconnection: close\r\n\r\n`)).toContain('400')
    expect(await speak(`GET / HTTP/1.1\r\nhost: a\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`)).toContain('431')
  })

  test('a file that shrinks while it is read cuts the connection', async () => {
    const server = await openTestServer()
    await server.storage.putObject({
      bucket: 'demo-work',
      key: 'big',
      body: (async function* () {
        for (let i = 0; i < 30; i += 1) yield Buffer.alloc(1024 * 1024)
      })(),
    })
    const response = await s3Fetch('GET', `${server.url}/demo-work/big`)
    truncateSync(join(server.root, 'demo-work/big'), 100)
    await expect(response.arrayBuffer()).rejects.toThrow()
  })
})
