/**
 * For tests of the gateway: its faces on real listeners, in front of a control and a notebook server that write down
 * what reaches them, and of a real storage.
 */
import { createHash, createHmac } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import { connect, type AddressInfo, type NetConnectOpts } from 'node:net'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { onTestFinished } from 'vitest'
import { WebSocketServer } from 'ws'
import { silentLogger } from '../../foundation/log.ts'
import { temporaryDirectory } from '../../foundation/testing.ts'
import { systemClock } from '../../foundation/time.ts'
import { createNotebookProxy } from '../../notebooks/gateway.ts'
import { createS3Handler, openStorage, storageFaults } from '../../storage/gateway.ts'
import type { Addresses } from '../addresses.ts'
import { addressesOf } from '../addresses.ts'
import { httpSettings, type HttpSettings } from '../http-settings.ts'
import { createBodyPace } from './body-pace.ts'
import { openCertificates } from './certificates.ts'
import { createConnectionGuard } from './connection-guard.ts'
import { createControlFace } from './control-face.ts'
import { createDraining, createTraffic } from './draining.ts'
import { createFaces, type FaceParts } from './faces.ts'
import { admit, createFairShare } from './fair-share.ts'
import { createFrontServer } from './front-server.ts'
import { createPrincipals } from './principals.ts'
import { createTrustedProxies } from './trusted-proxies.ts'

export interface Seen {
  method: string
  url: string
  headers: IncomingHttpHeaders
  body: string
}

export const testKey = { accessKeyId: 'CYGTESTKEYTESTKEY000', secretAccessKey: 'secret'.repeat(7).slice(0, 40) }
export const sessionCookie = 'cygnet_session=alice'
export const contentCookie = 'cygnet_content=alice'

/** How the control of the stand answers; default: 200, and says whom it knows. */
export type ControlAnswer = Parameters<typeof createServer>[1]

export interface StandOptions {
  http?: Partial<Omit<HttpSettings, 'limits'>> & { limits?: Partial<HttpSettings['limits']> }
  control?: ControlAnswer
  /** The URLs of the settings as they are; default: with the port of the stand. */
  exactUrls?: boolean
}

export type Stand = Awaited<ReturnType<typeof openStand>>

/** `ports`: platform, s3; `sockets`: their UNIX twins. `seen`: what control and the notebook server were asked. */
export async function openStand(options: StandOptions = {}) {
  const { path: folder } = await temporaryDirectory()
  const seen = { control: [] as Seen[], jupyter: [] as Seen[] }
  const controlSocket = join(folder, 'control.sock')
  const jupyterSocket = join(folder, 'jupyter.sock')
  const closers: (() => void | Promise<void>)[] = []
  onTestFinished(async () => {
    for (const close of closers.toReversed()) await close()
  })

  const control = createServer(options.control ?? (() => {}))
  if (options.control === undefined)
    control.on('request', (request, response) => {
      collect(request).then(
        (body) => {
          const { method = '', url = '', headers } = request
          seen.control.push({ method, url, headers, body })
          const known = /cygnet_session\w*=(\w+)/.exec(headers.cookie ?? '')?.[1]
          if (known !== undefined) response.setHeader('x-cygnet-principal', `person ${known}`)
          response.setHeader('connection', 'close, x-inner')
          response.setHeader('x-inner', 'of one connection')
          response.end(JSON.stringify({ method, url }))
        },
        () => {},
      )
    })
  await listening(control, controlSocket)
  const jupyter = createServer((request, response) => {
    collect(request).then(
      (body) => {
        const { method = '', url = '', headers } = request
        seen.jupyter.push({ method, url, headers, body })
        response.end('jupyter')
      },
      () => {},
    )
  })
  const sockets = new WebSocketServer({ server: jupyter, maxPayload: 200 * 1024 * 1024 })
  sockets.on('connection', (socket, request) => {
    seen.jupyter.push({ method: 'WEBSOCKET', url: request.url ?? '', headers: request.headers, body: '' })
    socket.on('error', () => {})
    socket.on('message', (data: Buffer) =>
      socket.send(data.length < 1000 ? `heard ${data.toString()}` : `${data.length}`),
    )
  })
  await listening(jupyter, jupyterSocket)
  closers.push(
    () => closed(control),
    () => closed(jupyter),
    () => sockets.close(),
  )

  const storage = await openStorage({
    root: join(folder, 'data'),
    clock: systemClock(),
    log: silentLogger(),
    macKey: Buffer.alloc(32, 1),
  })
  closers.push(() => storage.close())
  await storage.createBucket({ name: 'demo-work', experiment: 'demo', purpose: 'work' })

  const settings = httpSettings.parse({ ...options.http, limits: { ...options.http?.limits } })
  const { limits } = settings
  const log = silentLogger()
  const proxies = createTrustedProxies(settings.behindProxy?.trusted ?? [])
  const guard = createConnectionGuard(limits, proxies.isTrusted)
  const pace = createBodyPace(limits.stallSeconds * 1000)
  closers.push(() => pace.close())
  const traffic = createTraffic()
  const share = createFairShare(limits)
  const streams = createFairShare({ ...limits, waitingPerPrincipal: 0 })
  const certificates = settings.tls && (await openCertificates([settings.tls].flat(), log))
  closers.push(() => certificates?.close())

  const content = createNotebookProxy({
    routes: () => [
      {
        sessionId: 's1',
        ownerId: 'alice',
        ownerName: 'alice',
        basePath: '/user/alice/s1/',
        socketPath: jupyterSocket,
        key: Buffer.alloc(32, 7).toString('base64url'),
        state: 'running' as const,
      },
    ],
    verify: (cookie) => (cookie.split(/; */).includes(contentCookie) ? { id: 'alice', name: 'alice' } : undefined),
    redeem: () => Promise.resolve({ cookieValue: 'alice', sessionId: 's1', lifetimeMs: 60_000 }),
    cookieName: () => 'cygnet_content',
    platformUrl: () => 'http://127.0.0.1',
    secure: false,
    log,
  })
  const s3Handler = createS3Handler({
    storage,
    region: 'cygnet',
    log,
    accessKey: (id) =>
      id.startsWith('CYG') ? { secret: testKey.secretAccessKey, subject: { id: `of ${id}` } } : undefined,
    permit: () => {},
    async admit(accessKeyId, request, response) {
      guard.prove(request.socket)
      const place = await admit(share, `key ${accessKeyId}`, response)
      if (place === 'refused') throw storageFaults.slowDown('Too many requests.')
      return place !== 'gone'
    },
  })
  const s3Face = { handle: s3Handler, checkContinue: s3Handler.checkContinue }
  const servers: Server[] = []
  const draining = createDraining({ servers, traffic, websockets: () => content.openSockets() })

  /** The addresses follow from the ports, which are only known once something listens: hold them first. */
  const ports = { platform: await freePort(), s3: await freePort() }
  const sharesPort = settings.s3Url !== undefined
  const addresses: Addresses = addressesOf({
    ...settings,
    port: ports.platform,
    ...(sharesPort ? {} : { s3Port: ports.s3 }),
    ...(options.exactUrls ? {} : withPort(settings, ports.platform)),
  })
  const faceParts: FaceParts = {
    addresses,
    isForSandboxes: false,
    control: createControlFace({
      controlSocket,
      principals: createPrincipals('cygnet_session'),
      guard,
      traffic,
      share,
      streams,
      log,
    }),
    pages: async (_request, response, path) => void response.end(`page ${path}`),
    content,
    s3: sharesPort ? s3Face : undefined,
    share,
  }
  const front = {
    guard,
    pace,
    proxies,
    traffic,
    headerSeconds: limits.headerSeconds,
    isDraining: draining.isDraining,
    log,
  }
  const { publicUrl } = addresses
  const open = async (server: Server, where: number | string) => {
    servers.push(server)
    await listening(server, where)
    closers.push(() => closed(server))
  }
  const socketPaths = { platform: join(folder, 'platform.sock'), s3: join(folder, 's3.sock') }
  await open(createFrontServer({ ...front, face: createFaces(faceParts), certificates, publicUrl }), ports.platform)
  if (!sharesPort) await open(createFrontServer({ ...front, face: s3Face, certificates, publicUrl }), ports.s3)
  const local = { ...front, publicUrl: 'http://127.0.0.1' }
  await open(
    createFrontServer({ ...local, face: createFaces({ ...faceParts, isForSandboxes: true }) }),
    socketPaths.platform,
  )
  await open(createFrontServer({ ...local, face: s3Face }), socketPaths.s3)
  const host = (url: string) => new URL(url).host
  return {
    addresses,
    seen,
    storage,
    guard,
    pace,
    share,
    streams,
    traffic,
    draining,
    content,
    certificates,
    socketPaths,
    controlSocket,
    /** Every way in: how to connect, which Host belongs there, and a path that is served there. */
    listeners: [
      { name: 'platform', to: { host: '127.0.0.1', port: ports.platform }, host: host(publicUrl), path: '/api/things' },
      {
        name: 'content',
        to: { host: '127.0.0.1', port: ports.platform },
        host: host(addresses.contentUrl),
        path: '/user/alice/s1/api/things',
      },
      {
        name: 's3',
        to: { host: '127.0.0.1', port: sharesPort ? ports.platform : ports.s3 },
        host: host(addresses.s3Url),
        path: '/demo-work/key',
      },
      {
        name: 'platform.sock',
        to: { path: socketPaths.platform },
        host: `127.0.0.1:${addresses.workPorts.platform}`,
        path: '/api/things',
      },
      { name: 's3.sock', to: { path: socketPaths.s3 }, host: '127.0.0.1:8411', path: '/demo-work/key' },
    ] satisfies Listener[],
  }
}

export interface Listener {
  name: string
  to: NetConnectOpts
  host: string
  path: string
}

function withPort({ publicUrl, contentUrl, s3Url }: HttpSettings, port: number) {
  const at = (url: string) => `${url}:${port}`
  return {
    ...(publicUrl === undefined ? {} : { publicUrl: at(publicUrl) }),
    ...(contentUrl === undefined ? {} : { contentUrl: at(contentUrl) }),
    ...(s3Url === undefined ? {} : { s3Url: at(s3Url) }),
  }
}

/** Sends bytes as they are and answers everything that came back until the other side ended, or `waitMs` of silence. */
export async function sendRaw(
  to: NetConnectOpts,
  bytes: string | Buffer,
  { waitMs = 5_000, ca, localAddress }: { waitMs?: number; ca?: string; localAddress?: string } = {},
): Promise<{ text: string; ended: boolean }> {
  const socket =
    ca === undefined
      ? connect({ ...to, ...(localAddress === undefined ? {} : { localAddress }) } as NetConnectOpts)
      : connectTls({ ...(to as object), ca, servername: 'localhost' })
  let text = ''
  let ended = false
  socket.setTimeout(waitMs, () => socket.destroy())
  socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')))
  socket.on('end', () => (ended = true))
  socket.on('error', () => (ended = true))
  socket.write(bytes)
  await once(socket, 'close')
  return { text, ended }
}

/** The status lines in what came back: how many requests the other side thought there were. */
export function statusesIn(text: string): number[] {
  return [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)]
    .map(([, status]) => Number(status))
    .filter((status) => status !== 100)
}

/** Headers of a signed `GET /` (list of buckets) for this S3 endpoint. */
export function signedGet(s3Url: string, accessKeyId: string): Record<string, string> {
  const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
  const hmac = (secret: string | Buffer, text: string) => createHmac('sha256', secret).update(text).digest()
  const time = new Date().toISOString().replace(/[-:]|\.\d{3}/g, '')
  const scope = `${time.slice(0, 8)}/cygnet/s3/aws4_request`
  const headers = { host: new URL(s3Url).host, 'x-amz-content-sha256': sha256(''), 'x-amz-date': time }
  const names = Object.keys(headers).join(';')
  const lines = Object.entries(headers).map(([name, value]) => `${name}:${value}\n`)
  const canonical = ['GET', '/', '', lines.join(''), names, sha256('')].join('\n')
  const key = scope.split('/').reduce<string | Buffer>(hmac, `AWS4${testKey.secretAccessKey}`)
  const signature = createHmac('sha256', key).update(['AWS4-HMAC-SHA256', time, scope, sha256(canonical)].join('\n'))
  return {
    ...headers,
    authorization: `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${scope}, SignedHeaders=${names}, Signature=${signature.digest('hex')}`,
  }
}

async function collect(request: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks).toString('latin1')
}

async function listening(server: Server, where: number | string): Promise<void> {
  await new Promise<void>((done, failed) => {
    server.once('error', failed)
    server.listen(typeof where === 'number' ? { port: where, host: '127.0.0.1' } : { path: where }, done)
  })
}

async function closed(server: Server): Promise<void> {
  server.closeAllConnections()
  if (server.listening) await new Promise((done) => server.close(done))
}

async function freePort(): Promise<number> {
  const probe = createServer()
  await listening(probe, 0)
  const { port } = probe.address() as AddressInfo
  await new Promise((done) => probe.close(done))
  return port
}
