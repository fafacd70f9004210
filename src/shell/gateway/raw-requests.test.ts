/**
 * Bytes that two programs could read as different requests, at every way in. Whatever the answer is, what stands behind
 * must have seen each request once, whole, and never the one hidden inside another.
 */
import { describe, expect, test } from 'vitest'
import { openStand, sendRaw, statusesIn, contentCookie, sessionCookie, type Listener, type Stand } from './testing.ts'

const hidden = (host: string) => `GET /api/hidden HTTP/1.1\r\nHost: ${host}\r\n\r\n`

interface Case {
  name: string
  bytes(listener: Listener): string
  /** What the first answer may be; nothing at all (the connection was closed) always may. */
  statuses: number[]
}

const post = (headers: string, body: string) => (listener: Listener) =>
  `POST ${listener.path} HTTP/1.1\r\nHost: ${listener.host}\r\n${headers}\r\n\r\n${body}`

/** B-42: framing. */
const framing: Case[] = [
  { name: 'CL and TE', bytes: post('Content-Length: 5\r\nTransfer-Encoding: chunked', '0\r\n\r\n'), statuses: [400] },
  { name: 'TE and CL', bytes: post('Transfer-Encoding: chunked\r\nContent-Length: 5', '0\r\n\r\n'), statuses: [400] },
  { name: 'two equal lengths', bytes: post('Content-Length: 3\r\nContent-Length: 3', 'abc'), statuses: [400] },
  { name: 'two lengths', bytes: post('Content-Length: 3\r\nContent-Length: 60', 'abc'), statuses: [400] },
  { name: 'a list of lengths', bytes: post('Content-Length: 3, 3', 'abc'), statuses: [400] },
  { name: 'length +3', bytes: post('Content-Length: +3', 'abc'), statuses: [400] },
  { name: 'length -3', bytes: post('Content-Length: -3', 'abc'), statuses: [400] },
  { name: 'length 0x3', bytes: post('Content-Length: 0x3', 'abc'), statuses: [400] },
  { name: 'length 1e1', bytes: post('Content-Length: 1e1', 'abc'), statuses: [400] },
  { name: 'length of 30 digits', bytes: post(`Content-Length: ${'9'.repeat(30)}`, 'abc'), statuses: [400] },
  { name: 'TE xchunked', bytes: post('Transfer-Encoding: xchunked', '0\r\n\r\n'), statuses: [400] },
  { name: 'TE chunked, identity', bytes: post('Transfer-Encoding: chunked, identity', '0\r\n\r\n'), statuses: [400] },
  {
    name: 'TE twice',
    bytes: post('Transfer-Encoding: chunked\r\nTransfer-Encoding: identity', '0\r\n\r\n'),
    statuses: [400],
  },
  {
    name: 'TE with a tab',
    bytes: post('Transfer-Encoding:\tchunked\r\nContent-Length: 4', '0\r\n\r\n'),
    statuses: [400],
  },
  { name: 'TE in one more line', bytes: post('Transfer-Encoding: \r\n chunked', '0\r\n\r\n'), statuses: [400] },
  { name: 'a blank before the colon', bytes: post('Content-Length : 3', 'abc'), statuses: [400] },
  { name: 'a folded header', bytes: post('X-Long: a\r\n b\r\nContent-Length: 3', 'abc'), statuses: [400] },
  { name: 'a header without a name', bytes: post(': value\r\nContent-Length: 3', 'abc'), statuses: [400] },
  { name: 'a blank before the name', bytes: post(' Content-Length: 3', 'abc'), statuses: [400] },
  {
    name: 'lines ended by LF alone',
    bytes: ({ path, host }) => `POST ${path} HTTP/1.1\nHost: ${host}\nContent-Length: 3\n\nabc`,
    statuses: [400],
  },
  { name: 'CR CR LF', bytes: post('X: a\r\r\nContent-Length: 3', 'abc'), statuses: [400] },
  { name: 'CR CR X', bytes: post('X: a\r\rX-Two: b\r\nContent-Length: 3', 'abc'), statuses: [400] },
  {
    name: 'a bare CR in a value',
    bytes: post('X: a\rContent-Length: 60\r\nContent-Length: 3', 'abc'),
    statuses: [400],
  },
  { name: 'NUL in a value', bytes: post('X: a\0b\r\nContent-Length: 3', 'abc'), statuses: [400] },
  { name: 'NUL in a name', bytes: post('X\0Y: a\r\nContent-Length: 3', 'abc'), statuses: [400] },
  {
    name: 'a chunk extension with LF',
    bytes: post('Transfer-Encoding: chunked', '1;a\nb\r\nX\r\n0\r\n\r\n'),
    statuses: [400, 403],
  },
  {
    name: 'a chunk size that overflows',
    bytes: post('Transfer-Encoding: chunked', '100000000000000001\r\nX\r\n0\r\n\r\n'),
    statuses: [400, 403],
  },
  {
    name: 'a chunk size of 0x',
    bytes: post('Transfer-Encoding: chunked', '0x1\r\nX\r\n0\r\n\r\n'),
    statuses: [400, 403],
  },
  {
    name: 'a chunk without its CRLF',
    bytes: post('Transfer-Encoding: chunked', '1\r\nXY\r\n0\r\n\r\n'),
    statuses: [400, 403],
  },
  { name: 'HTTP/1.1 without a Host', bytes: ({ path }) => `GET ${path} HTTP/1.1\r\n\r\n`, statuses: [400] },
  { name: 'HTTP/0.9', bytes: ({ path }) => `GET ${path}\r\n\r\n`, statuses: [400] },
  {
    name: 'HTTP/9.9',
    bytes: ({ path, host }) => `GET ${path} HTTP/9.9\r\nHost: ${host}\r\n\r\n`,
    statuses: [400, 505],
  },
  {
    name: 'a method of one byte',
    bytes: ({ path, host }) => `G ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
    statuses: [400],
  },
  { name: 'the preface of HTTP/2', bytes: () => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', statuses: [400, 505] },
]

/** B-43: what Node passes through and we do not. */
const targets: Case[] = [
  ['two Hosts', ({ path, host }: Listener) => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nHost: ${host}\r\n`],
  [
    'two Hosts, the second evil',
    ({ path, host }: Listener) => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nHost: evil\r\n`,
  ],
  ['an absolute target', ({ path, host }: Listener) => `GET http://${host}${path} HTTP/1.1\r\nHost: ${host}\r\n`],
  [
    'an absolute target elsewhere',
    ({ path, host }: Listener) => `GET http://evil${path} HTTP/1.1\r\nHost: ${host}\r\n`,
  ],
  ['*', ({ host }: Listener) => `OPTIONS * HTTP/1.1\r\nHost: ${host}\r\n`],
  ['a host for a target', ({ host }: Listener) => `CONNECT evil:443 HTTP/1.1\r\nHost: ${host}\r\n`],
  ['TRACE', ({ path, host }: Listener) => `TRACE ${path} HTTP/1.1\r\nHost: ${host}\r\n`],
  ['a backslash', ({ path, host }: Listener) => `GET ${path}\\..\\x HTTP/1.1\r\nHost: ${host}\r\n`],
  ['a fragment', ({ path, host }: Listener) => `GET ${path}#x HTTP/1.1\r\nHost: ${host}\r\n`],
  ['dot segments', ({ path, host }: Listener) => `GET ${path}/../../x HTTP/1.1\r\nHost: ${host}\r\n`],
  ['encoded dot segments', ({ path, host }: Listener) => `GET ${path}/%2e%2e/x HTTP/1.1\r\nHost: ${host}\r\n`],
  ['half encoded dot segments', ({ path, host }: Listener) => `GET ${path}/.%2E/x HTTP/1.1\r\nHost: ${host}\r\n`],
  ['raw bytes above ASCII', ({ path, host }: Listener) => `GET ${path}/\xff HTTP/1.1\r\nHost: ${host}\r\n`],
].map(([name, head]) => ({
  name: name as string,
  bytes: (listener: Listener) => `${(head as (one: Listener) => string)(listener)}\r\n`,
  statuses: [400, 405],
}))

/** Not for S3, whose keys may hold all of this. */
const prefixes: [string, (path: string) => string][] = [
  ['an encoded slash', (path) => `${path}/..%2f..%2fx`],
  ['an encoded slash in the prefix', (path) => path.replace('/', '/%2f')],
  ['an encoded backslash', (path) => `${path}%5c..%5cx`],
  ['two slashes at the front', (path) => `/${path}`],
  ['two slashes at the front and a host', (path) => `//evil${path}`],
  ['dots encoded twice', (path) => `${path}/%252e%252e/x`],
  ['a dot segment with a parameter', (path) => `${path}/..;/x`],
  ['an encoded NUL', (path) => `${path}%00`],
  ['overlong dots', (path) => `${path}/%c0%ae%c0%ae/x`],
  ['a lone percent sign', (path) => `${path}/%zz`],
]

function lastOf(stand: Stand, listener: Listener) {
  return (listener.name === 'content' ? stand.seen.jupyter : stand.seen.control).at(-1)
}

describe('every listener', () => {
  test('framing that can be read in two ways is refused, and nothing hidden in it is served', async () => {
    const stand = await openStand()
    let refused = 0
    for (const listener of stand.listeners)
      for (const { name, bytes, statuses } of framing) {
        const { text } = await sendRaw(listener.to, Buffer.from(bytes(listener) + hidden(listener.host), 'latin1'))
        const answers = statusesIn(text)
        expect(answers.length, `${listener.name}: ${name}: ${text}`).toBeLessThanOrEqual(1)
        // S3 looks at the signature first, and there is none.
        const allowed = listener.name.startsWith('s3') ? [...statuses, 403] : statuses
        for (const status of answers) expect(allowed, `${listener.name}: ${name}`).toContain(status)
        refused++
      }
    expect(refused).toBe(framing.length * 5)
    const urls = [...stand.seen.control, ...stand.seen.jupyter].map(({ url }) => url)
    expect(urls.filter((url) => url.includes('hidden'))).toEqual([])
    // Framing errors inside a body come after its headers: the request was begun, and never ended.
    expect(urls).toEqual([])
  })

  test('a target that can be read in two ways is refused', async () => {
    const stand = await openStand()
    for (const listener of stand.listeners) {
      const isS3 = listener.name.startsWith('s3')
      const more: Case[] = isS3
        ? []
        : prefixes.map(([name, spoil]) => ({
            name,
            bytes: ({ path, host }) => `GET ${spoil(path)} HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
            statuses: [400],
          }))
      for (const { name, bytes, statuses } of [...targets, ...more]) {
        const cookies = `Cookie: ${sessionCookie}; ${contentCookie}\r\nConnection: close\r\n\r\n`
        const request = bytes(listener).replace(/\r\n$/, cookies)
        const { text } = await sendRaw(listener.to, Buffer.from(request, 'latin1'))
        const answers = statusesIn(text)
        // CONNECT is not even answered.
        if (name !== 'a host for a target') expect(answers, `${listener.name}: ${name}`).toHaveLength(1)
        const allowed = isS3 ? [...statuses, 403] : statuses
        for (const status of answers) expect(allowed, `${listener.name}: ${name}: ${text}`).toContain(status)
      }
    }
    expect([...stand.seen.control, ...stand.seen.jupyter]).toEqual([])
  })

  test('headers beyond what is allowed are refused whole, none is dropped in silence', async () => {
    const stand = await openStand()
    for (const listener of stand.listeners) {
      const get = (headers: string) => `GET ${listener.path} HTTP/1.1\r\nHost: ${listener.host}\r\n${headers}\r\n\r\n`
      const long = await sendRaw(listener.to, get(`X: ${'a'.repeat(17 * 1024)}`))
      expect(statusesIn(long.text), listener.name).toEqual([431])
      for (const count of [201, 3000]) {
        const many = await sendRaw(listener.to, get(Array.from({ length: count }, () => 'a:b').join('\r\n')))
        expect(statusesIn(many.text), listener.name).toEqual([431])
      }
    }
    expect([...stand.seen.control, ...stand.seen.jupyter]).toEqual([])
  })

  test('Hosts that are not ours, in every spelling, reach nothing', async () => {
    const stand = await openStand()
    const [platform] = stand.listeners
    const { port } = new URL(stand.addresses.publicUrl)
    const strangers = [
      'evil',
      `evil:${port}`,
      `127.0.0.1.evil.test:${port}`,
      `evil-127.0.0.1:${port}`,
      `127.0.0.1:${port}1`,
      '127.0.0.1',
      `127.0.0.1:${port}.evil`,
      `localhost.evil:${port}`,
      `127.1:${port}`,
      `2130706433:${port}`,
      `[::ffff:127.0.0.1]:${port}`,
      `127.0.0.1:${port}, evil`,
      `user@127.0.0.1:${port}`,
      `127.0.0.1.:${port}`,
      `127.0.0.1%00:${port}`,
      '',
    ]
    for (const host of strangers)
      for (const path of ['/api/things', '/user/alice/s1/', '/']) {
        const request = `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nCookie: ${contentCookie}\r\nConnection: close\r\n\r\n`
        const { text } = await sendRaw(platform!.to, request)
        expect([400, 421], `${host}${path}`).toContain(statusesIn(text)[0])
      }
    expect([...stand.seen.control, ...stand.seen.jupyter]).toEqual([])
  })
})

describe('what stands behind', () => {
  /** Of a proxy, a web server, a cloud: what any of them could take for who asks, or for what is asked. */
  const claims = [
    'X-Forwarded-User',
    'X-Forwarded-Email',
    'X-Forwarded-Groups',
    'X-Forwarded-Preferred-Username',
    'X-Forwarded-Uri',
    'X-Forwarded-Host',
    'X-Forwarded-Prefix',
    'X-Forwarded-Server',
    'X-Forwarded-Access-Token',
    'X-Forwarded-Client-Cert',
    'Forwarded',
    'X-Real-IP',
    'X-Client-IP',
    'True-Client-IP',
    'CF-Connecting-IP',
    'Remote-User',
    'X-Remote-User',
    'X-Remote-Group',
    'X-Auth-Request-User',
    'X-Authenticated-User',
    'X-User',
    'X-User-Id',
    'X-Email',
    'X-JWT-Assertion',
    'X-Original-URL',
    'X-Original-Uri',
    'X-Rewrite-URL',
    'X-HTTP-Method-Override',
    'X-Script-Name',
    'SSL-Client-S-DN',
    'X-SSL-Client-Verify',
    'X-Amzn-Oidc-Data',
    'X-Goog-Authenticated-User-Email',
    'X-MS-Client-Principal',
    'X-Cygnet-Identity',
    'X-Cygnet-Principal',
    'OIDC-Claim-Sub',
  ]
  const spellings = [
    (name: string) => name,
    (name: string) => name.toLowerCase(),
    (name: string) => name.replaceAll('-', '_'),
    (name: string) => name.toUpperCase().replace('-', '_'),
  ]

  test('sees no header by which somebody else could say who asks, in four spellings each', async () => {
    const stand = await openStand()
    let sent = 0
    for (const listener of stand.listeners.filter(({ name }) => !name.startsWith('s3')))
      for (const spell of spellings) {
        const headers = claims.map((name) => `${spell(name)}: root`).join('\r\n')
        const cookies = `Cookie: ${sessionCookie}; ${contentCookie}\r\nConnection: close`
        const request = `GET ${listener.path} HTTP/1.1\r\nHost: ${listener.host}\r\n${headers}\r\nX-Kept: yes\r\n${cookies}\r\n\r\n`
        const { text } = await sendRaw(listener.to, request)
        expect(statusesIn(text), text).toEqual([200])
        const { headers: arrived } = lastOf(stand, listener)!
        expect(arrived['x-kept']).toBe('yes')
        expect(Object.entries(arrived).filter(([, value]) => value === 'root')).toEqual([])
        // What is there is ours.
        expect(arrived['x-forwarded-for']).toBe(listener.name.endsWith('.sock') ? 'local' : '127.0.0.1')
        sent += claims.length
      }
    expect(sent).toBe(claims.length * 4 * 3)
  })

  test('sees each request once and whole: with a body on GET, with h2c, with headers of one connection', async () => {
    const stand = await openStand()
    for (const listener of stand.listeners.filter(({ name }) => !name.startsWith('s3'))) {
      const { host, path } = listener
      const cookies = `Cookie: ${sessionCookie}; ${contentCookie}`
      const seen = listener.name === 'content' ? stand.seen.jupyter : stand.seen.control
      const before = seen.length
      const bytes = [
        `GET ${path}?n=1 HTTP/1.1\r\nHost: ${host}\r\n${cookies}\r\nContent-Length: 28\r\n\r\nGET /api/hidden HTTP/1.1\r\n\r\n`,
        `POST ${path}?n=2 HTTP/1.1\r\nHost: ${host}\r\n${cookies}\r\nConnection: X-Secret, keep-alive, Host\r\nX-Secret: 1\r\nTE: trailers\r\nKeep-Alive: 5\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Trailer: 1\r\n\r\n`,
        `GET ${path}?n=3 HTTP/1.1\r\nHost: ${host}\r\n${cookies}\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n`,
        // What a server that had changed to another protocol would not read.
        hidden(host),
      ]
      const { text } = await sendRaw(listener.to, bytes.join(''))
      expect(statusesIn(text), text).toEqual([200, 200, 200])
      expect(text).not.toContain('x-inner')
      expect(text).not.toContain('x-cygnet-principal')
      const those = seen.slice(before)
      expect(those.map(({ url }) => url)).toEqual([1, 2, 3].map((n) => `${path}?n=${n}`))
      const [, second, third] = those
      expect(second!.body).toBe('abc')
      for (const name of ['x-secret', 'te', 'x-trailer']) expect(second!.headers).not.toHaveProperty(name)
      for (const name of ['upgrade', 'http2-settings']) expect(third!.headers).not.toHaveProperty(name)
      for (const { headers } of those) expect(headers.host).toBe(host)
    }
  })
})
