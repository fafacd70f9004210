/** Names, certificates and proxies: which face answers, what is believed, and what a change of certificate does. */
import { once } from 'node:events'
import { copyFileSync, writeFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { connect as netConnect } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { silentLogger } from '../../foundation/log.ts'
import { temporaryDirectory } from '../../foundation/testing.ts'
import { addressesOf } from '../addresses.ts'
import { openCertificates } from './certificates.ts'
import { faceByHost } from './faces.ts'
import { createRedirectServer } from './front-server.ts'
import { contentCookie, openStand, sendRaw, sessionCookie, statusesIn, type Stand } from './testing.ts'
import { makeAuthority, noCertificates } from './testing-certificates.ts'
import { createTrustedProxies } from './trusted-proxies.ts'

const names = {
  publicUrl: 'https://cygnet.example.test',
  contentUrl: 'https://*.user.example.test',
  s3Url: 'https://s3.example.test',
}
const certificateNames =
  'DNS:cygnet.example.test,DNS:*.user.example.test,DNS:s3.example.test,DNS:*.s3.example.test,DNS:localhost,IP:127.0.0.1'

async function openSecure(more: Partial<typeof names> = names) {
  const { path } = await temporaryDirectory()
  const authority = makeAuthority(path)
  const tls = authority.issue('site', certificateNames)
  const stand = await openStand({ http: { tls, ...more } })
  return { stand, authority, tls }
}

/** A request over TLS to a host name that no name server knows. */
async function ask(stand: Stand, ca: string, url: string, headers: Record<string, string> = {}) {
  const { hostname, host, pathname, search } = new URL(url)
  const { port } = stand.listeners[0]!.to as { port: number }
  const options = {
    host: '127.0.0.1',
    port,
    ca,
    servername: hostname,
    path: pathname + search,
    headers: { host, ...headers },
  }
  const request = httpsRequest({ ...options, agent: false }).end()
  const [answer] = (await once(request, 'response')) as [IncomingMessage]
  let body = ''
  for await (const chunk of answer) body += String(chunk)
  return { status: answer.statusCode, headers: answer.headers, body }
}

describe('the settings', () => {
  test('of one machine need nothing, and one port or two make a difference', () => {
    expect(addressesOf({ port: 8410 })).toEqual({
      listen: '127.0.0.1',
      platformPort: 8410,
      s3Port: 8411,
      publicUrl: 'http://127.0.0.1:8410',
      contentUrl: 'http://localhost:8410',
      s3Url: 'http://127.0.0.1:8411',
      workPorts: { platform: 8410, s3: 8411 },
    })
    const tls = { certificate: 'c', key: 'k' }
    expect(addressesOf({ port: 443, listen: '*', tls, ...names })).toMatchObject({
      s3Port: 443,
      publicUrl: 'https://cygnet.example.test',
      workPorts: { platform: 8410, s3: 8411 },
    })
    expect(addressesOf({ port: 8443, tls })).toMatchObject({
      publicUrl: 'https://127.0.0.1:8443',
      contentUrl: 'https://localhost:8443',
      s3Url: 'https://127.0.0.1:8444',
    })
  })

  test.each([
    ['listening for everybody without TLS', { listen: '*' }],
    ['one address beyond this machine without TLS', { listen: '192.0.2.1' }],
    ['https with nothing that ends it', { publicUrl: 'https://cygnet.example.test' }],
    [
      'a public name by plain http',
      { publicUrl: 'http://cygnet.example.test', behindProxy: { trusted: ['127.0.0.1'] } },
    ],
    ['no name for notebooks', { publicUrl: names.publicUrl, tls: { certificate: 'c', key: 'k' } }],
    [
      'notebooks on the name of the platform',
      { ...names, contentUrl: 'https://cygnet.example.test:444', tls: { certificate: 'c', key: 'k' } },
    ],
    ['two faces of one name on one port', { ...names, s3Url: names.publicUrl, tls: { certificate: 'c', key: 'k' } }],
    ['a star in the middle', { ...names, contentUrl: 'https://a.*.example.test', tls: { certificate: 'c', key: 'k' } }],
    ['a path', { ...names, publicUrl: 'https://cygnet.example.test/cygnet', tls: { certificate: 'c', key: 'k' } }],
    ['a password', { ...names, publicUrl: 'https://a:b@cygnet.example.test', tls: { certificate: 'c', key: 'k' } }],
    [
      'no S3 address behind a proxy',
      { publicUrl: names.publicUrl, contentUrl: names.contentUrl, behindProxy: { trusted: ['127.0.0.1'] } },
    ],
    ['S3 by plain http', { ...names, s3Url: 'http://s3.example.test', tls: { certificate: 'c', key: 'k' } }],
  ])('refuse %s, with what to do', (_what, http) => {
    expect(() => addressesOf({ port: 8443, ...http })).toThrow(
      expect.objectContaining({ code: 'shell.invalid_addresses', hint: expect.stringMatching(/\w/) }),
    )
  })

  test('names of our cookies, by hosts: equality, never a beginning or an end', () => {
    const faceOf = faceByHost(addressesOf({ port: 443, tls: { certificate: 'c', key: 'k' }, ...names }))
    const ours = {
      'cygnet.example.test': 'platform',
      'CYGNET.example.test:443': 'platform',
      's3.example.test': 's3',
      'demo-raw.s3.example.test': 's3',
      'alice.user.example.test': 'content',
      'alice.user.example.test:443': 'content',
    }
    for (const [host, face] of Object.entries(ours)) expect(faceOf(host), host).toBe(face)
    const strangers = [
      'example.test', 'cygnet.example.test.evil.test', 'evilcygnet.example.test', 'cygnet.example.test:444',
      'user.example.test', '*.user.example.test', 'a.b.user.example.test', '.user.example.test', '-x.user.example.test',
      'alice.user.example.test.evil', 'aliceuser.example.test', 'xs3.example.test', '127.0.0.1', '', 'localhost',
    ] // prettier-ignore
    for (const host of strangers) expect(faceOf(host), host).toBeUndefined()
  })
})

describe.skipIf(noCertificates !== undefined)(`one port with TLS ${noCertificates ?? ''}`, () => {
  test('three faces by their names, each person on a name of their own', async () => {
    const { stand, authority } = await openSecure()
    const { publicUrl, s3Url, contentUrl } = stand.addresses
    const page = await ask(stand, authority.ca, `${publicUrl}/runs`)
    expect(page).toMatchObject({ status: 200, body: 'page /runs' })
    expect(page.headers['strict-transport-security']).toMatch(/max-age=\d{8}/)
    expect((await ask(stand, authority.ca, `${publicUrl}/api/things`)).status).toBe(200)
    expect((await ask(stand, authority.ca, `${s3Url}/`)).body).toContain('<Code>AccessDenied</Code>')
    const alice = contentUrl.replace('*', 'alice')
    const cookie = contentCookie
    expect((await ask(stand, authority.ca, `${alice}/user/alice/s1/lab`, { cookie })).body).toBe('jupyter')
    expect(
      (await ask(stand, authority.ca, `${contentUrl.replace('*', 'bob')}/user/alice/s1/lab`, { cookie })).status,
    ).toBe(421)
    expect((await ask(stand, authority.ca, `${publicUrl}/user/alice/s1/lab`, { cookie })).body).toBe(
      'page /user/alice/s1/lab',
    )
    expect((await ask(stand, authority.ca, `${alice}/api/things`)).status).toBe(302)
    expect(stand.seen.control.map(({ url }) => url)).toEqual(['/api/things'])
  })

  test('a browser of an old protocol, or one that speaks plain http, gets nothing', async () => {
    const { stand, authority } = await openSecure()
    const { port } = stand.listeners[0]!.to as { port: number }
    const old = connectTls({
      host: '127.0.0.1',
      port,
      ca: authority.ca,
      servername: 'localhost',
      maxVersion: 'TLSv1.1',
    })
    await expect(once(old, 'secureConnect')).rejects.toThrow()
    const { text } = await sendRaw(stand.listeners[0]!.to, 'GET / HTTP/1.1\r\nHost: cygnet.example.test\r\n\r\n')
    expect(statusesIn(text)).not.toContain(200)
  })

  test('a new certificate serves without a restart and without closing a connection; a bad one changes nothing', async () => {
    const { stand, authority, tls } = await openSecure()
    const { port } = stand.listeners[0]!.to as { port: number }
    const serialNow = async (servername: string) => {
      const socket = connectTls({ host: '127.0.0.1', port, ca: authority.ca, servername })
      await once(socket, 'secureConnect')
      const { serialNumber } = socket.getPeerCertificate()
      socket.destroy()
      return serialNumber
    }
    const open = connectTls({ host: '127.0.0.1', port, ca: authority.ca, servername: 'localhost' })
    await once(open, 'secureConnect')
    const first = await serialNow('cygnet.example.test')
    const install = (pair: { certificate: string; key: string }) => {
      copyFileSync(pair.key, tls.key)
      copyFileSync(pair.certificate, tls.certificate)
    }
    const bad: [string, () => void][] = [
      ['cut off', () => writeFileSync(tls.certificate, '-----BEGIN CERTIFICATE-----\nMIIB')],
      ['empty', () => writeFileSync(tls.certificate, '')],
      [
        'of another key',
        () => copyFileSync(authority.issue('stranger', certificateNames).certificate, tls.certificate),
      ],
      ['over', () => install(authority.issue('over', certificateNames, -1))],
    ]
    for (const [what, spoil] of bad) {
      spoil()
      // The first may be a look that had begun before.
      for (let look = 0; look < 2; look++) await stand.certificates!.look()
      expect(await serialNow('cygnet.example.test'), what).toBe(first)
    }
    install(authority.issue('second', certificateNames))
    for (let look = 0; look < 2; look++) await stand.certificates!.look()
    const second = await serialNow('cygnet.example.test')
    expect(second).not.toBe(first)
    // Clients that name no host get it as well.
    expect(await serialNow('')).toBe(second)
    open.write(`GET /healthz HTTP/1.1\r\nHost: ${new URL(stand.addresses.publicUrl).host}\r\nConnection: close\r\n\r\n`)
    const [answer] = (await once(open, 'data')) as [Buffer]
    expect(answer.toString()).toContain('200 OK')
  })

  test('several certificates are chosen by name; a pair that is wrong from the start is refused', async () => {
    const { path } = await temporaryDirectory()
    const authority = makeAuthority(path)
    const pairs = [authority.issue('one', 'DNS:one.test'), authority.issue('two', 'DNS:*.two.test')]
    const certificates = await openCertificates(pairs, silentLogger())
    const chosen = (name: string) =>
      new Promise<unknown>((done, failed) =>
        certificates.options.SNICallback(name, (error, context) => (error ? failed(error) : done(context))),
      )
    expect(await chosen('a.two.test')).not.toBe(await chosen('one.test'))
    expect(await chosen('unknown.test')).toBe(await chosen('one.test'))
    certificates.close()
    const mixed = { certificate: pairs[0]!.certificate, key: pairs[1]!.key }
    await expect(openCertificates([mixed], silentLogger())).rejects.toMatchObject({ code: 'shell.invalid_addresses' })
    const missing = { certificate: join(path, 'none.pem'), key: pairs[1]!.key }
    await expect(openCertificates([missing], silentLogger())).rejects.toMatchObject({ code: 'shell.invalid_addresses' })
  })
})

describe('plain http beside https', () => {
  /** B-48: a redirect leads to our own host, whatever is asked. */
  const evil = [
    '//evil', '//evil/x', '/\\evil', '\\\\evil', '///evil', '/%09//evil', '/%5cevil', 'https:evil', 'https://evil', 'http://evil/x',
    '/@evil', '/.evil', '/;@evil', '/#@evil', '/?next=//evil', '/%0d%0aLocation:%20//evil', '/%2f%2fevil', '/..//evil', '/.//evil',
    '*', '/x'.padEnd(5000, 'x'), '//evil@127.0.0.1', '/\u00ff', '/ evil',
  ] // prettier-ignore

  test('the redirect leads to https on a name of ours and nowhere else', async () => {
    const server = createRedirectServer('https://cygnet.example.test', (host) => host === 's3.example.test')
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const to = server.address() as { port: number }
    let redirects = 0
    for (const host of ['cygnet.example.test', 's3.example.test', 'evil.test', 'cygnet.example.test.evil.test'])
      for (const target of evil) {
        const { text } = await sendRaw(
          { host: '127.0.0.1', port: to.port },
          Buffer.from(`GET ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`, 'latin1'),
        )
        const location = /^location: (.*)\r$/im.exec(text)?.[1]
        if (location === undefined) expect(statusesIn(text)[0] ?? 400).toBeGreaterThanOrEqual(400)
        else {
          redirects++
          expect(new URL(location).origin).toBe(
            host === 's3.example.test' ? 'https://s3.example.test' : 'https://cygnet.example.test',
          )
        }
      }
    expect(redirects).toBeGreaterThan(60)
    server.close()
  })

  test('nor does the content origin send anybody away from us', async () => {
    const stand = await openStand()
    const content = stand.listeners[1]!
    for (const target of evil) {
      const request = `GET ${target} HTTP/1.1\r\nHost: ${content.host}\r\nConnection: close\r\n\r\n`
      const { text } = await sendRaw(content.to, Buffer.from(request, 'latin1'))
      const location = /^location: (.*)\r$/im.exec(text)?.[1]
      if (location !== undefined) expect(new URL(location).origin, target).toBe(stand.addresses.publicUrl)
      else expect(statusesIn(text)[0], target).toBe(400)
    }
  })
})

describe('who is in front', () => {
  const forwarded = 'X-Forwarded-For: 6.6.6.6, 198.51.100.7\r\nX-Forwarded-Proto: https\r\n'

  test('the word of a trusted proxy counts, up to the first address that is not a proxy of ours', async () => {
    const behindProxy = { trusted: ['127.0.0.1', '198.51.100.0/24', 'fd00::/8'] }
    const stand = await openStand({ http: { behindProxy } })
    const { to, host, path } = stand.listeners[0]!
    const from = async (headers: string) => {
      const { text } = await sendRaw(
        to,
        `GET ${path} HTTP/1.1\r\nHost: inner:80\r\nX-Forwarded-Host: ${host}\r\n${headers}Connection: close\r\n\r\n`,
      )
      expect(statusesIn(text), text).toEqual([200])
      return stand.seen.control.at(-1)!.headers
    }
    expect(await from(forwarded)).toMatchObject({ 'x-forwarded-for': '6.6.6.6', host })
    expect((await from('X-Forwarded-For: 1.1.1.1, 6.6.6.6, 198.51.100.7, fd00::1\r\n'))['x-forwarded-for']).toBe(
      '6.6.6.6',
    )
    // What a client wrote itself stands left of what the proxy added, and is not looked at.
    expect((await from('X-Forwarded-For: <script>, 9.9.9.9\r\n'))['x-forwarded-for']).toBe('9.9.9.9')
    expect((await from('X-Forwarded-For: nonsense\r\n'))['x-forwarded-for']).toBe('127.0.0.1')
    expect(await from('')).not.toHaveProperty('x-forwarded-host')
  })

  test('anybody else says nothing by these headers', async () => {
    const stand = await openStand({ http: { behindProxy: { trusted: ['192.0.2.1'] } } })
    const { to, host, path } = stand.listeners[0]!
    await sendRaw(to, `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n${forwarded}Connection: close\r\n\r\n`)
    expect(stand.seen.control.at(-1)!.headers['x-forwarded-for']).toBe('127.0.0.1')
    const spoofed = `GET ${path} HTTP/1.1\r\nHost: inner\r\nX-Forwarded-Host: ${host}\r\nConnection: close\r\n\r\n`
    expect(statusesIn((await sendRaw(to, spoofed)).text)).toEqual([421])
  })

  test.each(['nonsense', '10.0.0.0/33', '10.0.0.0/-1', '300.1.1.1', '::/129', ''])('%j is no proxy', (trusted) => {
    expect(() => createTrustedProxies([trusted])).toThrow(expect.objectContaining({ code: 'shell.invalid_addresses' }))
  })

  test('by https, a proxy that let somebody in by plain http sends him to https', async () => {
    const stand = await openStand({ http: { behindProxy: { trusted: ['127.0.0.1'] }, ...names } })
    const { to, host } = stand.listeners[0]!
    const request = `GET /api/things HTTP/1.1\r\nHost: ${host}\r\nX-Forwarded-Proto: http\r\nConnection: close\r\n\r\n`
    const { text } = await sendRaw(to, request)
    expect(statusesIn(text)).toEqual([308])
    expect(text).toContain(`location: ${stand.addresses.publicUrl}/api/things`)
    expect(stand.seen.control).toEqual([])
  })
})

describe('websockets', () => {
  const url = (stand: Stand) => `ws://${stand.listeners[1]!.host}/user/alice/s1/api/kernels/1/channels`
  const origin = (stand: Stand) => `http://${stand.listeners[1]!.host}`
  const open = (stand: Stand, headers: Record<string, string>, options = {}) =>
    new WebSocket(url(stand), { headers, ...options })
  const statusOf = async (socket: WebSocket) => {
    const [, answer] = (await once(socket, 'unexpected-response')) as [unknown, { statusCode: number }]
    return answer.statusCode
  }

  test('without the cookie, from another page, or on another face: refused before anything is reached', async () => {
    const stand = await openStand()
    const cookie = contentCookie
    expect(await statusOf(open(stand, { origin: origin(stand) }))).toBe(403)
    expect(await statusOf(open(stand, { cookie: sessionCookie, origin: origin(stand) }))).toBe(403)
    for (const other of [
      'http://evil',
      stand.addresses.publicUrl,
      `${origin(stand)}.evil`,
      `http://evil@${stand.listeners[1]!.host}.evil`,
      'null',
    ])
      expect(await statusOf(open(stand, { cookie, origin: other })), other).toBe(403)
    expect(await statusOf(open(stand, { cookie, origin: origin(stand), 'sec-fetch-site': 'same-site' }))).toBe(403)
    expect(
      await statusOf(
        new WebSocket(`${stand.addresses.publicUrl.replace('http', 'ws')}/api/x`, { headers: { cookie } }),
      ),
    ).toBe(421)
    expect(stand.seen.jupyter).toEqual([])
  })

  test('carry messages, and end with 1009 on a frame of 100 MiB, 1002 on what no browser sends', async () => {
    const stand = await openStand()
    const headers = { cookie: contentCookie, origin: origin(stand) }
    const socket = open(stand, headers)
    await once(socket, 'open')
    // A compressed bomb cannot be sent: nobody agrees on compression.
    expect(socket.extensions).toBe('')
    for (const size of [1, 125, 126, 65_535, 65_536, 3_000_000]) {
      socket.send('x'.repeat(size))
      const [answer] = (await once(socket, 'message')) as [Buffer]
      expect(answer.toString()).toBe(size < 1000 ? `heard ${'x'.repeat(size)}` : `${size}`)
    }
    socket.send(Buffer.alloc(100 * 1024 * 1024))
    expect((await once(socket, 'close'))[0]).toBe(1009)

    const parts = open(stand, headers)
    await once(parts, 'open')
    parts.on('error', () => {})
    for (let part = 0; part < 40; part++) parts.send(Buffer.alloc(1024 * 1024), { fin: false })
    expect((await once(parts, 'close'))[0]).toBe(1009)

    const strange: [string, number[]][] = [
      ['not masked', [0x81, 0x02, 0x68, 0x69]],
      ['compressed', [0xc1, 0x82, 0, 0, 0, 0, 0x68, 0x69]],
      ['of an unknown kind', [0x83, 0x82, 0, 0, 0, 0, 0x68, 0x69]],
      ['a ping of 126 bytes', [0x89, 0xfe, 0, 126, 0, 0, 0, 0]],
      ['a length of 2^63', [0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]],
    ]
    for (const [what, bytes] of strange) {
      const one = open(stand, headers)
      await once(one, 'open')
      ;(one as unknown as { _socket: { write(bytes: Buffer): void } })._socket.write(Buffer.from(bytes))
      expect([1002, 1009], what).toContain((await once(one, 'close'))[0])
    }
    expect(stand.content.openSockets()).toBe(0)
  })
})

describe('the end of a gateway', () => {
  test('a stop gives what is under way its answer and takes nothing new', async () => {
    const finish: (() => void)[] = []
    const stand = await openStand({ control: (_request, response) => void finish.push(() => response.end('whole')) })
    const answer = fetch(`${stand.addresses.publicUrl}/api/slow`)
    while (finish.length === 0) await new Promise((done) => setTimeout(done, 5))
    const stopped = stand.draining.stop(60_000)
    await untilRefused(stand)
    finish[0]!()
    expect(await (await answer).text()).toBe('whole')
    await stopped
  })

  test('a hand-over keeps websockets until they end, and tells clients to connect elsewhere', async () => {
    const stand = await openStand()
    const headers = { cookie: contentCookie, origin: `http://${stand.listeners[1]!.host}` }
    const socket = new WebSocket(`ws://${stand.listeners[1]!.host}/user/alice/s1/api/kernels/1/channels`, { headers })
    await once(socket, 'open')
    const kept = connectKept(stand)
    expect(await kept.ask()).not.toContain('onnection: close')
    let isOver = false
    const over = stand.draining.handOver(60_000).then(() => (isOver = true))
    await untilRefused(stand)
    // A request on a connection from before is still answered.
    expect(await kept.ask()).toContain('onnection: close')
    socket.send('still here')
    expect(String((await once(socket, 'message'))[0])).toBe('heard still here')
    expect(isOver).toBe(false)
    socket.close()
    await over
  })
})

/** A listener takes what has come already before it closes, a moment after it was told. */
async function untilRefused(stand: Stand): Promise<void> {
  const { port } = stand.listeners[0]!.to as { port: number }
  const isTaken = () =>
    new Promise<boolean>((done) => {
      const socket = netConnect(port, '127.0.0.1', () => (socket.destroy(), done(true)))
      socket.once('error', () => done(false))
    })
  while (await isTaken());
}

function connectKept(stand: Stand) {
  const { port } = stand.listeners[0]!.to as { port: number }
  const socket = netConnect(port, '127.0.0.1')
  return {
    async ask() {
      socket.write(`GET /healthz HTTP/1.1\r\nHost: ${stand.listeners[0]!.host}\r\n\r\n`)
      return String((await once(socket, 'data'))[0])
    },
  }
}
