/**
 * For tests and benches: a small real platform (identity, storage with S3, logbook, receiver) in one process on one
 * folder, and the agent in this process or in one of its own that can be killed.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import type { Server } from 'node:http'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Action } from '../foundation/contract.ts'
import { migrate, openDatabase } from '../foundation/database.ts'
import { openFacts } from '../foundation/facts.ts'
import { ensureDirectory, readJsonFile, writeFileDurable } from '../foundation/files.ts'
import { createApp } from '../foundation/http.ts'
import { openJobs } from '../foundation/jobs.ts'
import { silentLogger } from '../foundation/log.ts'
import { loadOrCreateSecret } from '../foundation/secrets.ts'
import { systemClock } from '../foundation/time.ts'
import { decide, identityFaults, identityMigrations, openIdentity, subjectOfAccessKey } from '../identity/index.ts'
import { logbookMigrations, openLogbook, type Logbook } from '../logbook/index.ts'
import {
  createS3Handler,
  createS3Server,
  followStorageChanges,
  openStorage,
  storageMigrations,
  type Storage,
} from '../storage/index.ts'
import { ingestMigrations, openIngest, type AgentEvent, type AgentOptions } from './index.ts'

export interface TestPlatform {
  serverUrl: string
  s3Url: string
  keyFile: string
  logbook: Logbook
  storage: Storage
  close(): Promise<void>
}

export interface PlatformPlace {
  folder: string
  /** 0 = any free one. */
  port: number
  s3Port: number
  /** Uploads are refused when less would stay free. */
  freeFloorBytes?: number
}

const region = 'local'

/** Starts (again) on a folder: what was there is found again, the key of the DAQ machine too. */
export async function startPlatform(place: PlatformPlace): Promise<TestPlatform> {
  const { folder } = place
  const clock = systemClock()
  const log = silentLogger()
  await ensureDirectory(folder)
  const database = await openDatabase({ url: `sqlite:${join(folder, 'database.sqlite')}`, exclusive: true, log })
  await migrate(database, [identityMigrations, storageMigrations, logbookMigrations, ingestMigrations])
  const facts = openFacts({ database, clock, log })
  const jobs = openJobs({ database, clock, log, soleWorker: true })
  const secretsDirectory = join(folder, 'secrets')
  const app = createApp({ log })
  const identity = await openIdentity({
    database,
    facts,
    clock,
    secretsDirectory,
    publicUrl: 'http://127.0.0.1:8410',
    log,
  })
  const macKey = await loadOrCreateSecret(secretsDirectory, 'storage-mac-key')
  const { freeFloorBytes } = place
  const storage = await openStorage({
    root: join(folder, 'data'),
    clock,
    log,
    macKey,
    ...(freeFloorBytes === undefined ? {} : { freeFloorBytes }),
  })
  const follower = followStorageChanges({ storage, database, clock, log })
  const logbook = openLogbook({ database, facts, clock })
  const handler = createS3Handler({
    storage,
    region,
    log,
    accessKey: (id) => subjectOfAccessKey(identity.snapshotPart(), id),
    permit: (subject, action, place) => {
      const decision = decide(subject, action as Action, place)
      if (!decision.allow) throw identityFaults.notAllowed(decision.reason)
    },
  })
  const s3 = createS3Server(handler)
  const s3Url = await listen(s3, place.s3Port)
  const ingest = openIngest({ database, facts, jobs, logbook, files: storage, clock, log, s3: { url: s3Url, region } })
  ingest.start()
  identity.routes(app)
  logbook.routes(app, identity.gate)
  ingest.routes(app, identity.gate)
  await prepare(logbook, storage)
  const keyFile = join(folder, 'daq.key')
  if ((await readJsonFile(keyFile)) === undefined) {
    const { accessKey } = await identity.registerClient({ experiment: 'demo', name: 'daq1' })
    const { accessKeyId, secretAccessKey } = accessKey
    await writeFileDurable(keyFile, JSON.stringify({ accessKeyId, secretAccessKey }), { mode: 0o600 })
  }
  jobs.start()
  const serverUrl = await app.listen({ port: place.port, host: '127.0.0.1' })
  return {
    serverUrl,
    s3Url,
    keyFile,
    logbook,
    storage,
    async close() {
      await app.close()
      s3.closeAllConnections()
      await new Promise((done) => s3.close(done))
      await jobs.close()
      await follower.close()
      await identity.close()
      await facts.close()
      await storage.close()
      await database.close()
    },
  }
}

async function prepare(logbook: Logbook, storage: Storage): Promise<void> {
  if ((await logbook.listExperiments()).length === 0) {
    const given = { name: 'demo', title: 'Demo', template: 'single-setup' as const, setup: 'lime', series: 'sim' }
    await logbook.transact((trx) => logbook.createExperiment(trx, given))
  }
  if (storage.listBuckets().length === 0)
    await storage.createBucket({ name: 'demo-raw', experiment: 'demo', purpose: 'raw' })
}

async function listen(server: Server, port: number): Promise<string> {
  await new Promise<void>((done, failed) => {
    server.once('error', failed)
    server.listen({ port, host: '127.0.0.1' }, done)
  })
  const address = server.address() as { port: number }
  return `http://127.0.0.1:${address.port}`
}

/** A child process of ours that says JSON lines. */
export interface TestChild {
  child: ChildProcess
  lines: Record<string, unknown>[]
  /** Resolves at the first line, past or future, that satisfies the test. */
  until(test: (line: Record<string, unknown>) => boolean): Promise<Record<string, unknown>>
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>
}

export type AgentChildOptions = Pick<AgentOptions, 'directory' | 'serverUrl' | 'keyFile'> &
  Partial<Pick<AgentOptions, 'once' | 'idleMs' | 'partSizeBytes' | 'compress' | 's3Url'>>

export const agentDefaults = { experiment: 'demo', setup: 'lime', series: 'sim', version: 'test' } as const

export function spawnAgent(options: AgentChildOptions, failpoints = ''): TestChild {
  return spawnTestProcess('agent', options, failpoints)
}

export function spawnPlatform(place: PlatformPlace, failpoints = ''): TestChild {
  return spawnTestProcess('platform', place, failpoints)
}

function spawnTestProcess(role: 'agent' | 'platform', options: object, failpoints: string): TestChild {
  const environment = { ...process.env, CYGNET_TEST: '1', CYGNET_FAILPOINTS: failpoints }
  const script = join(import.meta.dirname, 'testing-process.ts')
  const child = spawn(process.execPath, [script, role, JSON.stringify(options)], {
    env: environment,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines: Record<string, unknown>[] = []
  const listeners = new Set<() => void>()
  createInterface({ input: child.stdout }).on('line', (text) => {
    lines.push(JSON.parse(text) as Record<string, unknown>)
    for (const listener of listeners) listener()
  })
  return {
    child,
    lines,
    until: (test) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const found = lines.find(test)
          if (found !== undefined) {
            listeners.delete(look)
            resolve(found)
          } else if (child.exitCode !== null && child.exitCode !== 0)
            reject(new Error(`${role} ended with ${child.exitCode}`))
        }
        listeners.add(look)
        child.once('exit', () => setImmediate(look))
        look()
      }),
    async kill() {
      if (child.exitCode !== null || child.signalCode !== null) return
      const gone = once(child, 'exit')
      child.kill('SIGKILL')
      await gone
    },
  }
}

/** What the agent said, for looking back. */
export function listenToAgent(): { events: AgentEvent[]; onEvent: (event: AgentEvent) => void } {
  const events: AgentEvent[] = []
  return { events, onEvent: (event) => void events.push(event) }
}

export async function storedBytes(platform: Pick<TestPlatform, 'storage'>, key: string): Promise<Buffer> {
  return await readFile(platform.storage.pathOf('demo-raw', key))
}
