/**
 * Speed of the S3 face: `node bench/storage.ts [keys]`. PUT and GET of 10 MB, small PUTs, and a listing of many keys,
 * over HTTP, server and load on the same machine. JSON lines {name, value, unit, peer, peerValue, ratio}.
 *
 * The peer is versitygw (plain files too) where CYGNET_BENCH_VERSITYGW or the PATH has it. It never calls fsync; for
 * the durable comparison the load syncs file and folder itself after each answer ("+ fsync"). Without it the peer is
 * the bar of DESIGN.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { closeSync, fsyncSync, mkdirSync, openSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createLogger } from '../src/foundation/log.ts'
import { systemClock } from '../src/foundation/time.ts'
import { createS3Server, openStorage } from '../src/storage/index.ts'
import { canonicalRequest, requestSignature, scopeText, signingKey } from '../src/storage/s3/signature.ts'

const key = { id: 'CYGBENCH000000000000', secret: 'benchbenchbenchbenchbenchbenchbenchbench' }
const bucket = 'bench-work'
const bigBytes = 10_000_000
const bigObjects = 16
const smallObjects = 400
const together = 4
const agent = new Agent({ keepAlive: true, maxSockets: together })

if (process.argv[2] === 'serve') await serve(process.argv[3]!, Number(process.argv[4]))
else await bench(Number(process.argv[2] ?? 50_000))

async function serve(root: string, port: number): Promise<void> {
  const log = createLogger({ process: 'bench', level: 'warn' })
  const storage = await openStorage({ root, clock: systemClock(), log, macKey: Buffer.alloc(32) })
  createS3Server({
    storage,
    accessKey: (id) => (id === key.id ? { secret: key.secret, subject: { id: 'bench' } } : undefined),
    permit: () => {},
    log,
    region: 'us-east-1',
  }).listen(port, '127.0.0.1')
}

interface Server {
  name: string
  url: string
  /** Where its objects lie. */
  folder: string
  process: ChildProcess
}

async function bench(keys: number): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'cygnet-bench-'))
  const servers: Server[] = []
  try {
    const own = await startOwn(join(folder, 'own'), keys)
    servers.push(own)
    const peer = await startPeer(join(folder, 'peer'), keys)
    if (peer !== undefined) servers.push(peer)

    const body = randomBytes(bigBytes)
    const bigKeys = Array.from({ length: bigObjects }, (_, index) => `big/${index}`)
    const smallKeys = Array.from({ length: smallObjects }, (_, index) => `small/${index}`)
    const megabytes = (bigBytes * bigObjects) / 1e6
    const put = async (server: Server, names: string[], content: Buffer, durable: boolean) =>
      await seconds(names, async (name) => {
        await call(server, 'PUT', `/${bucket}/${name}`, content)
        if (durable) syncBoth(join(server.folder, name))
      })
    const get = async (server: Server) =>
      await seconds(bigKeys, async (name) => await call(server, 'GET', `/${bucket}/${name}`))

    // Each once for warming up, then alternating: what else the machine does hits both.
    const rounds = { own: [] as Round[], peer: [] as Round[] }
    for (let round = 0; round < 4; round += 1) {
      const measured: Round = {
        put: await put(own, bigKeys, body, false),
        get: await get(own),
        small: await put(own, smallKeys, body.subarray(0, 4096), false),
        putLoose: 0,
      }
      if (round > 0) rounds.own.push(measured)
      if (peer === undefined) continue
      const other: Round = {
        put: await put(peer, bigKeys, body, true),
        get: await get(peer),
        small: await put(peer, smallKeys, body.subarray(0, 4096), true),
        putLoose: await put(peer, bigKeys, body, false),
      }
      if (round > 0) rounds.peer.push(other)
    }
    const rate = (which: 'own' | 'peer', what: keyof Round, amount: number) =>
      rounds[which].length === 0 ? undefined : amount / median(rounds[which].map((round) => round[what]))
    report(
      'storage.put-10MB-durable',
      rate('own', 'put', megabytes)!,
      'MB/s',
      'versitygw + fsync',
      rate('peer', 'put', megabytes),
    )
    report(
      'storage.put-10MB-durable-against-unsynced',
      rate('own', 'put', megabytes)!,
      'MB/s',
      'versitygw, nothing synced',
      rate('peer', 'putLoose', megabytes),
    )
    report('storage.get-10MB', rate('own', 'get', megabytes)!, 'MB/s', 'versitygw', rate('peer', 'get', megabytes))
    report(
      'storage.put-4KiB-durable',
      rate('own', 'small', smallObjects)!,
      '1/s',
      'versitygw + fsync',
      rate('peer', 'small', smallObjects),
    )

    const cold = await listAll(own)
    const warm = await listAll(own)
    const other = peer === undefined ? undefined : await listAll(peer)
    const perMillion = (took: number) => (took * 1_000_000) / keys
    report(`storage.list-first-${keys}`, perMillion(cold), 's per million keys', 'DESIGN floor', 30)
    report(
      `storage.list-${keys}`,
      perMillion(warm),
      's per million keys',
      other === undefined ? 'DESIGN floor' : 'versitygw',
      other === undefined ? 30 : perMillion(other),
    )
  } finally {
    agent.destroy()
    for (const server of servers) server.process.kill('SIGKILL')
    await rm(folder, { recursive: true, force: true })
  }
}

interface Round {
  put: number
  get: number
  small: number
  putLoose: number
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!
}

function report(name: string, value: number, unit: string, peer: string, peerValue: number | undefined): void {
  const round = (number: number) => Number(number.toPrecision(4))
  const isTime = unit.startsWith('s ')
  const ratio = peerValue === undefined ? null : round(isTime ? peerValue / value : value / peerValue)
  process.stdout.write(
    `${JSON.stringify({ name, value: round(value), unit, peer: peerValue === undefined ? null : peer, peerValue: peerValue === undefined ? null : round(peerValue), ratio })}\n`,
  )
}

async function startOwn(root: string, keys: number): Promise<Server> {
  const storage = await openStorage({
    root,
    clock: systemClock(),
    log: createLogger({ process: 'bench', level: 'warn' }),
    macKey: Buffer.alloc(32),
  })
  await storage.createBucket({ name: bucket, experiment: 'bench', purpose: 'work' })
  await storage.close()
  const folder = join(root, bucket)
  fill(folder, keys)
  return await started({
    name: 'cygnet',
    folder,
    argv: (port) => [process.execPath, import.meta.filename, 'serve', root, `${port}`],
  })
}

async function startPeer(root: string, keys: number): Promise<Server | undefined> {
  const program = process.env.CYGNET_BENCH_VERSITYGW ?? 'versitygw'
  if (spawnSync(program, ['--version']).error !== undefined) {
    process.stderr.write('no versitygw on this machine: storage is compared with the bar of DESIGN only\n')
    return undefined
  }
  const folder = join(root, bucket)
  mkdirSync(folder, { recursive: true })
  fill(folder, keys)
  return await started({
    name: 'versitygw',
    folder,
    argv: (port) => [
      program,
      '--access',
      key.id,
      '--secret',
      key.secret,
      '--port',
      `127.0.0.1:${port}`,
      '--quiet',
      'posix',
      root,
    ],
  })
}

/** Files as a batch job leaves them: a hundred to a folder. */
function fill(folder: string, keys: number): void {
  for (let index = 0; index < keys; index += 1) {
    const path = join(folder, `many/${String(Math.floor(index / 100)).padStart(6, '0')}`)
    if (index % 100 === 0) mkdirSync(path, { recursive: true })
    writeFileSync(join(path, `${index}`), '')
  }
}

async function started({
  name,
  folder,
  argv,
}: {
  name: string
  folder: string
  argv: (port: number) => string[]
}): Promise<Server> {
  const port = 20_000 + Math.floor(Math.random() * 20_000)
  const [program, ...words] = argv(port) as [string, ...string[]]
  const child = spawn(program, words, { stdio: ['ignore', 'ignore', 'inherit'] })
  const server = { name, url: `http://127.0.0.1:${port}`, folder, process: child }
  process.once('exit', () => child.kill('SIGKILL'))
  for (let attempt = 0; ; attempt += 1) {
    try {
      await call(server, 'GET', `/${bucket}?list-type=2&max-keys=1`)
      return server
    } catch (error) {
      if (attempt > 600) throw error
      await sleep(50)
    }
  }
}

async function call({ url }: Server, method: string, target: string, body?: Buffer): Promise<Buffer> {
  const { host, hostname, port, pathname, searchParams } = new URL(target, url)
  const timestamp = new Date().toISOString().replace(/[-:]|\.\d{3}/g, '')
  const scope = { date: timestamp.slice(0, 8), region: 'us-east-1' }
  const payloadHash = 'UNSIGNED-PAYLOAD'
  const headers: [string, string][] = [
    ['host', host],
    ['x-amz-content-sha256', payloadHash],
    ['x-amz-date', timestamp],
  ]
  const canonical = canonicalRequest({
    method,
    path: decodeURIComponent(pathname),
    query: [...searchParams],
    headers,
    payloadHash,
  })
  const signature = requestSignature(signingKey(key.secret, scope), timestamp, scope, canonical)
  const authorization = `AWS4-HMAC-SHA256 Credential=${key.id}/${scopeText(scope)}, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=${signature}`
  return await new Promise((resolve, reject) => {
    const sent = request(
      {
        agent,
        method,
        hostname,
        port,
        path: target,
        headers: {
          ...Object.fromEntries(headers),
          authorization,
          ...(body === undefined ? {} : { 'content-length': body.length }),
        },
      },
      (response) => {
        const keep = target.includes('?')
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => keep && chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => {
          if (response.statusCode === 200) resolve(Buffer.concat(chunks))
          else reject(new Error(`${method} ${target}: ${response.statusCode} ${Buffer.concat(chunks).toString()}`))
        })
      },
    )
    sent.on('error', reject)
    sent.end(body)
  })
}

async function seconds(names: readonly string[], work: (name: string) => Promise<unknown>): Promise<number> {
  const started = performance.now()
  const queue = [...names]
  await Promise.all(
    Array.from({ length: together }, async () => {
      for (let name = queue.shift(); name !== undefined; name = queue.shift()) await work(name)
    }),
  )
  return (performance.now() - started) / 1000
}

function syncBoth(path: string): void {
  for (const one of [path, dirname(path)]) {
    const fd = openSync(one, 'r')
    fsyncSync(fd)
    closeSync(fd)
  }
}

async function listAll(server: Server): Promise<number> {
  const started = performance.now()
  for (let token = ''; ;) {
    const page = (
      await call(
        server,
        'GET',
        `/${bucket}?list-type=2&prefix=many%2F${token === '' ? '' : `&continuation-token=${encodeURIComponent(token)}`}`,
      )
    ).toString('latin1')
    const next = /<NextContinuationToken>([^<]*)</.exec(page)?.[1]
    if (next === undefined) return (performance.now() - started) / 1000
    token = next
  }
}
