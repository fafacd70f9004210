/** For tests of this room and of rooms above: a storage on a folder of its own, an S3 server before it, a signer. */
import type { AddressInfo } from 'node:net'
import { request as httpRequest } from 'node:http'
import { onTestFinished } from 'vitest'
import { createClient } from '../foundation/client.ts'
import { createApp, type Gate } from '../foundation/http.ts'
import { silentLogger } from '../foundation/log.ts'
import { temporaryDirectory } from '../foundation/testing.ts'
import type { Clock } from '../foundation/time.ts'
import { storageContract } from './contract.ts'
import { storageFaults } from './errors.ts'
import { registerStorageRoutes } from './routes.ts'
import { createS3Handler, createS3Server } from './s3/handler.ts'
import type { Place } from './s3/operation.ts'
import type { Storage, StorageOptions } from './storage.ts'
import { signedHeaders, testKeys, type SignOptions } from './test-signing.ts'
import { openStorageOfTest } from './test-storage.ts'

export { signedHeaders, testKeys, type SignOptions, type TestKey } from './test-signing.ts'
export { testMacKey } from './test-storage.ts'

/** Opened on a fresh folder (or the one given), closed when the test ends. */
export async function openTestStorage(
  options: Partial<StorageOptions> = {},
): Promise<{ storage: Storage; root: string }> {
  const root = options.root ?? (await temporaryDirectory('cygnet-storage-')).path
  const storage = await openStorageOfTest(root, options)
  onTestFinished(async () => await storage.close())
  return { storage, root }
}

export async function* bodyOf(...chunks: (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield typeof chunk === 'string' ? Buffer.from(chunk) : chunk
}

export async function readAll(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  return Buffer.concat(chunks)
}

export interface TestSubject {
  id: string
  /** What it may do, everywhere in experiment `demo`. */
  actions: readonly string[]
  /** Only keys that begin so. */
  prefix?: string
}

const subjects: Record<string, { secret: string; subject: TestSubject }> = {
  [testKeys.owner.id]: {
    secret: testKeys.owner.secret,
    subject: { id: 'owner', actions: ['data.read', 'data.create', 'data.modify', 'experiment.admin'] },
  },
  [testKeys.daq.id]: { secret: testKeys.daq.secret, subject: { id: 'daq', actions: ['data.create'], prefix: 'lime/' } },
  [testKeys.reader.id]: { secret: testKeys.reader.secret, subject: { id: 'reader', actions: ['data.read'] } },
}

export function testPermit(subject: TestSubject, action: string, place: Place): void {
  const isInside = subject.prefix === undefined || place.key === undefined || place.key.startsWith(subject.prefix)
  if (place.experiment === 'demo' && subject.actions.includes(action) && isInside) return
  throw storageFaults.accessDenied(`${subject.id} may not ${action} here.`)
}

export interface TestServer {
  storage: Storage
  root: string
  url: string
  port: number
}

/** With buckets demo-raw, demo-reco and demo-work. */
export async function openTestServer(
  options: { storage?: Partial<StorageOptions>; clock?: Clock; hosts?: string[] } = {},
): Promise<TestServer> {
  const { storage, root } = await openTestStorage(options.storage)
  for (const purpose of ['raw', 'reco', 'work'] as const) {
    await storage.createBucket({ name: `demo-${purpose}`, experiment: 'demo', purpose })
  }
  const handler = createS3Handler<TestSubject>({
    storage,
    accessKey: (id) => (Object.hasOwn(subjects, id) ? subjects[id] : undefined),
    permit: testPermit,
    log: silentLogger(),
    region: 'us-east-1',
    hosts: options.hosts ?? [],
    ...(options.clock === undefined ? {} : { clock: options.clock }),
  })
  const server = createS3Server(handler)
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { storage, root, port, url: `http://127.0.0.1:${port}` }
}

/** A signed request. */
export async function s3Fetch(method: string, url: string, options: SignOptions = {}): Promise<Response> {
  const { host: _host, ...headers } = signedHeaders(method, url, options)
  return await fetch(url, { method, headers, ...(options.body === undefined ? {} : { body: options.body as string }) })
}

export interface RawAnswer {
  status: number
  headers: Record<string, string | string[] | undefined>
  body: string
}

/** As it stands: no client library puts the path right. */
export async function rawRequest(
  server: TestServer,
  method: string,
  path: string,
  headers: Record<string, string>,
  body?: string | Buffer,
): Promise<RawAnswer> {
  return await new Promise((resolve, reject) => {
    const request = httpRequest({ host: '127.0.0.1', port: server.port, method, path, headers }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () =>
        resolve({ status: response.statusCode!, headers: response.headers, body: Buffer.concat(chunks).toString() }),
      )
    })
    request.on('error', reject)
    request.end(body)
  })
}

/** Whoever names himself in a header may do what he names there, in experiment demo. */
const testGate: Gate = {
  async authenticate(request) {
    const actions = String(request.headers['x-may'] ?? '')
    return { id: 'me', kind: actions === '' ? 'anonymous' : 'person', name: 'me', subject: actions.split(' ') }
  },
  require(caller, action, experiment) {
    if (experiment !== 'demo' || !(caller.subject as string[]).includes(action))
      throw storageFaults.accessDenied(`may not ${action}`)
  },
}

/** The data browser's API, with buckets of two experiments. */
export async function openTestApi() {
  const { storage, root } = await openTestStorage()
  for (const purpose of ['raw', 'work'] as const)
    await storage.createBucket({ name: `demo-${purpose}`, experiment: 'demo', purpose })
  await storage.createBucket({ name: 'other-work', experiment: 'other', purpose: 'work' })
  const app = createApp({ log: silentLogger() })
  registerStorageRoutes(app, { storage, gate: testGate })
  const baseUrl = await app.listen({ port: 0, host: '127.0.0.1' })
  onTestFinished(async () => await app.close())
  const as = (may: string) => createClient(storageContract, { baseUrl, headers: { 'x-may': may } })
  return { storage, root, baseUrl, as, all: as('data.read data.create data.modify') }
}
