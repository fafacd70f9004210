/** One noisy or hostile client beside honest ones. Answers are counted, never times. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createS3Client } from '../../ingest/index.ts'
import { createFairShare } from './fair-share.ts'
import { openStand, sessionCookie, signedGet, testKey, type Stand } from './testing.ts'

function connectFrom(stand: Stand, localAddress: string): Socket {
  const { host, port } = stand.listeners[0]!.to as { host: string; port: number }
  return connect({ host, port, localAddress })
}

/** Opens connections from another address of the loopback net and answers the ones that were closed by the other side. */
function openMany(stand: Stand, count: number, localAddress: string, first: string): { closed: () => number } {
  const sockets: Socket[] = []
  let closed = 0
  for (let index = 0; index < count; index++) {
    const socket = connectFrom(stand, localAddress)
    socket.on('error', () => {})
    socket.resume()
    socket.on('close', () => closed++)
    socket.on('connect', () => void (first !== '' && socket.write(first)))
    sockets.push(socket)
  }
  onTestFinished(() => sockets.forEach((socket) => socket.destroy()))
  return { closed: () => closed }
}

async function until(done: () => boolean, what: string): Promise<void> {
  const deadlineMs = performance.now() + 30_000
  while (!done()) {
    if (performance.now() > deadlineMs) throw new Error(`gave up waiting for ${what}`)
    await sleep(20)
  }
}

const honest = async (stand: Stand, cookie = sessionCookie) =>
  (await fetch(`${stand.addresses.publicUrl}/api/things`, { headers: { cookie } })).status

describe('connections', () => {
  test('headers that never end, bodies at a crawl and idle connections are all closed; others are served', async () => {
    const stand = await openStand({ http: { limits: { headerSeconds: 1, stallSeconds: 1 } } })
    const { host } = stand.listeners[0]!
    const half = openMany(stand, 100, '127.0.0.2', `GET /api/things HTTP/1.1\r\nHost: ${host}\r\nX-`)
    const silent = openMany(stand, 100, '127.0.0.3', '')
    const crawling = openMany(
      stand,
      100,
      '127.0.0.4',
      `POST /api/things HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 100\r\n\r\na`,
    )
    let served = 0
    const isOver = () => half.closed() === 100 && silent.closed() === 100 && crawling.closed() === 100
    await until(() => {
      void honest(stand).then((status) => (served += status === 200 ? 1 : 0))
      return isOver()
    }, 'the connections of the flood to be closed')
    expect(isOver()).toBe(true)
    expect(stand.pace.stalled()).toBe(100)
    expect(await honest(stand)).toBe(200)
    expect(served).toBeGreaterThan(0)
  })

  test('an upload that moves is never cut off', async () => {
    const stand = await openStand({ http: { limits: { stallSeconds: 1 } } })
    const moving = connectFrom(stand, '127.0.0.1')
    let text = ''
    moving.on('data', (chunk: Buffer) => (text += chunk.toString()))
    const closed = once(moving, 'close')
    moving.write(
      `POST /api/things HTTP/1.1\r\nHost: ${stand.listeners[0]!.host}\r\nContent-Length: ${6 * 2048}\r\nConnection: close\r\n\r\n`,
    )
    for (let part = 0; part < 6; part++) {
      moving.write('x'.repeat(2048))
      await sleep(400)
    }
    await closed
    expect(text).toContain('200 OK')
    expect(stand.seen.control.at(-1)!.body).toHaveLength(6 * 2048)
    expect(stand.pace.stalled()).toBe(0)
  })

  test('a flood from one address takes its own share and no more', async () => {
    const stand = await openStand({ http: { limits: { connections: 64, connectionsPerAddress: 16 } } })
    const flood = openMany(stand, 200, '127.0.0.2', '')
    await until(() => flood.closed() >= 184, 'the flood to be cut down to its share')
    expect(stand.guard.counts().open).toBeLessThanOrEqual(16)
    for (let each = 0; each < 20; each++) expect(await honest(stand)).toBe(200)
    // Even at the flooded address: its oldest idle connections make room.
    const beside = connectFrom(stand, '127.0.0.2')
    beside.write(`GET /healthz HTTP/1.1\r\nHost: ${stand.listeners[0]!.host}\r\nConnection: close\r\n\r\n`)
    const [answer] = (await once(beside, 'data')) as [Buffer]
    expect(answer.toString()).toContain('200 OK')
  })

  test('a flood from many addresses leaves room for newcomers, and a reserve for those who are known', async () => {
    const stand = await openStand({ http: { limits: { connections: 64, connectionsPerAddress: 16 } } })
    expect(await honest(stand)).toBe(200)
    const floods = Array.from({ length: 12 }, (_, index) => openMany(stand, 20, `127.0.1.${index + 1}`, ''))
    await until(() => floods.reduce((sum, flood) => sum + flood.closed(), 0) >= 240 - 48, 'the flood to be cut down')
    // A quarter of all connections is never given to strangers.
    expect(stand.guard.counts().open).toBeLessThanOrEqual(48 + 1)
    for (let each = 0; each < 20; each++) expect(await honest(stand, 'cygnet_session=bob')).toBe(200)
  })
})

describe('requests', () => {
  test('a flood of one principal is turned away with a hint; every request of another is answered', async () => {
    let underWay = 0
    let most = 0
    const stand = await openStand({
      http: { limits: { requestsPerPrincipal: 4, waitingPerPrincipal: 8, waitSeconds: 30 } },
      control: (request, response) => {
        const known = /cygnet_session=(\w+)/.exec(request.headers.cookie ?? '')![1]!
        if (known === 'noisy') most = Math.max(most, ++underWay)
        setTimeout(() => {
          if (known === 'noisy') underWay--
          response.setHeader('x-cygnet-principal', `person ${known}`)
          response.end(known)
        }, 20)
      },
    })
    const ask = (who: string) =>
      fetch(`${stand.addresses.publicUrl}/api/things`, { headers: { cookie: `cygnet_session=${who}` } })
    // Known from their first answer on; until then both are only an address.
    for (const who of ['noisy', 'honest']) expect((await ask(who)).status).toBe(200)
    const flood = Array.from({ length: 200 }, () => ask('noisy'))
    const statuses: number[] = []
    for (let each = 0; each < 15; each++) {
      const answer = await ask('honest')
      statuses.push(answer.status)
      expect(await answer.text()).toBe('honest')
    }
    expect(statuses).toEqual(Array.from({ length: 15 }, () => 200))
    const answers = await Promise.all(flood)
    const refused = answers.filter(({ status }) => status === 429)
    expect(refused.length + answers.filter(({ status }) => status === 200).length).toBe(200)
    expect(refused.length).toBeGreaterThan(0)
    expect(most).toBe(4)
    expect(refused[0]!.headers.get('retry-after')).toBe('2')
    expect(await refused[0]!.json()).toMatchObject({
      code: 'shell.too_many_requests',
      hint: expect.stringContaining('Wait'),
    })
  })

  test('a cookie that is only claimed takes nothing from its owner', async () => {
    const stand = await openStand({
      http: { limits: { requestsPerPrincipal: 2, waitingPerPrincipal: 0 } },
      control: (request, response) => {
        if (request.url === '/api/slow') return
        if (request.headers.cookie === 'cygnet_session=owner') response.setHeader('x-cygnet-principal', 'person owner')
        response.end()
      },
    })
    const ask = (path: string, cookie: string) => fetch(stand.addresses.publicUrl + path, { headers: { cookie } })
    expect((await ask('/api/x', 'cygnet_session=owner')).status).toBe(200)
    for (let each = 0; each < 3; each++) void ask('/api/slow', `cygnet_session=guess${each}`).catch(() => {})
    await until(() => stand.share.counts().running === 2, 'the guesses to be under way')
    expect((await ask('/api/x', 'cygnet_session=guess9')).status).toBe(429)
    expect((await ask('/api/x', 'cygnet_session=owner')).status).toBe(200)
  })

  test('a key with too much under way gets SlowDown and when to come back; another key is served', async () => {
    const stand = await openStand({ http: { limits: { requestsPerPrincipal: 2, waitingPerPrincipal: 0 } } })
    const s3 = (accessKeyId: string) =>
      createS3Client({ url: stand.addresses.s3Url, region: 'cygnet', ...testKey, accessKeyId })
    const places = ['CYGNOISY', 'CYGNOISY'].map((key) => stand.share.tryEnter(`key ${key}`))
    let each = 0
    const put = (key: string) => s3(key).putObject('demo-work', `object-${each++}`, Buffer.from('x'))
    await expect(put('CYGNOISY')).rejects.toMatchObject({ retry: true })
    const headers = signedGet(stand.addresses.s3Url, 'CYGNOISY')
    const signed = await fetch(`${stand.addresses.s3Url}/`, { headers })
    expect([signed.status, signed.headers.get('retry-after')]).toEqual([503, '2'])
    expect(await signed.text()).toContain('<Code>SlowDown</Code>')
    await put('CYGHONEST')
    for (const place of places) place!()
    await put('CYGNOISY')
  })

  test('streams of events have places of their own and do not use up those of requests', async () => {
    const stand = await openStand({
      http: { limits: { requestsPerPrincipal: 2, waitingPerPrincipal: 0 } },
      control: (request, response) => {
        if (request.url !== '/api/events') return void response.end()
        response.setHeader('content-type', 'text/event-stream')
        response.write(': open\n\n')
      },
    })
    const ask = (path: string, signal?: AbortSignal) =>
      fetch(stand.addresses.publicUrl + path, signal ? { signal } : {})
    const leave = new AbortController()
    const open = [await ask('/api/events', leave.signal), await ask('/api/events', leave.signal)]
    expect(open.map(({ status }) => status)).toEqual([200, 200])
    expect((await ask('/api/events')).status).toBe(429)
    expect((await ask('/api/x')).status).toBe(200)
    expect(stand.traffic.requests()).toBe(0)
    leave.abort()
    await until(() => stand.streams.counts().running === 0, 'the streams to end')
    expect((await ask('/api/events')).status).toBe(200)
  })
})

describe('turns', () => {
  test('waiting principals take turns: one of the other goes before the rest of a long line', async () => {
    const share = createFairShare({ requestsPerPrincipal: 1, waitingPerPrincipal: 1000, waitSeconds: 60 })
    // All eight places are taken, so that both have to wait.
    const taken = Array.from({ length: 8 }, (_, index) => share.tryEnter(`busy ${index}`)!)
    const order: string[] = []
    const ask = async (who: string) => {
      const release = await share.enter(who)
      order.push(who)
      await Promise.resolve()
      release!()
    }
    const all = [...Array.from({ length: 50 }, () => ask('noisy')), ask('honest'), ask('third')]
    taken[0]!()
    await Promise.all(all)
    expect(order).toHaveLength(52)
    expect(order.indexOf('honest')).toBeLessThanOrEqual(2)
    expect(order.indexOf('third')).toBeLessThanOrEqual(3)
    for (const release of taken) release()
    expect(share.counts()).toMatchObject({ running: 0, waiting: 0, principals: 0 })
  })

  test('who leaves, or waited too long, holds no place', async () => {
    const share = createFairShare({ requestsPerPrincipal: 1, waitingPerPrincipal: 2, waitSeconds: 0.1 })
    const release = share.tryEnter('one')!
    const gone = new AbortController()
    const left = share.enter('one', gone.signal)
    const late = share.enter('one')
    expect(await share.enter('one')).toBeUndefined()
    gone.abort()
    expect(await left).toBeUndefined()
    expect(await late).toBeUndefined()
    release()
    release()
    expect(share.counts()).toEqual({ running: 0, waiting: 0, refused: 3, principals: 0 })
  })
})
