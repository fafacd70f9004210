/**
 * A program for tests: several people at once put, replace, copy and delete objects and upload in parts, through the
 * real room, and commit facts to a database on the same disk, until the plug is pulled or somebody kills it.
 * Usage: node workload.ts '{"root": …, "acknowledgements": FILE, "seed": 1, "lanes": 4, …}'
 */
import { fstatSync, openSync, writeSync } from 'node:fs'
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import { migrate, openDatabase, transact } from '../../foundation/database.ts'
import { Fault } from '../../foundation/errors.ts'
import { appendFact } from '../../foundation/facts.ts'
import { enqueueJob } from '../../foundation/jobs.ts'
import { silentLogger } from '../../foundation/log.ts'
import { systemClock } from '../../foundation/time.ts'
import { followStorageChanges } from '../change-follower.ts'
import { storageMigrations } from '../index.ts'
import { openStorage } from '../storage.ts'
import type { Line } from './history.ts'
import { noise, randomOf, sha256 } from './random.ts'

export type Mutant = 'file not synced' | 'folder not synced' | 'database not synced'

export interface WorkloadOptions {
  root: string
  acknowledgements: string
  seed: number
  lanes: number
  /** Between two operations of a lane. */
  pauseMs: number
  /** Numbers of operations begin here. */
  firstId: number
  database?: string
  mutant?: Mutant
}

const options = JSON.parse(process.argv[2]!) as WorkloadOptions
const bucket = 'demo-work'
const record = openSync(options.acknowledgements, 'a')
/** One write, on another disk: what is written here was so. */
const say = (line: Line) => void writeSync(record, `${JSON.stringify(line)}\n`)
if (options.mutant !== undefined) forget(options.mutant)

const clock = systemClock()
const log = silentLogger()
const storage = await openStorage({ root: options.root, clock, log, macKey: Buffer.alloc(32, 7), freeFloorBytes: 0 })
if (!storage.listBuckets().some(({ name }) => name === bucket))
  await storage.createBucket({ name: bucket, experiment: 'demo', purpose: 'work' })
let counter = options.firstId
const partBytes = 5 * 1024 * 1024

async function* pieces(content: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < content.length; at += 65_536) yield content.subarray(at, at + 65_536)
}

/** Announces, does, acknowledges. The name of the operation travels in the metadata. */
async function told(
  key: string,
  content: Buffer | null,
  work: (userMetadata: Record<string, string>) => Promise<unknown>,
): Promise<void> {
  const id = (counter += 1)
  const digest = content === null ? null : sha256(content)
  say({ begin: id, key, sha256: digest, sizeBytes: content?.length ?? 0 })
  try {
    await work({ sha256: digest ?? '' })
    say({ end: id, outcome: 'acknowledged' })
  } catch (error) {
    const isRefused =
      error instanceof Fault && ['storage.precondition_failed', 'storage.no_such_key'].includes(error.code)
    say({ end: id, outcome: isRefused ? 'refused' : 'failed' })
    if (!isRefused) throw error
  }
}

async function lane(number: number): Promise<void> {
  const random = randomOf(options.seed * 31 + number)
  const own = () => `${number}/${'sub/'.repeat(random.below(3))}k${random.below(5)}`
  const shared = () => `shared/k${random.below(3)}`
  const contentOf = (sizeBytes: number) => noise(`${options.seed}.${options.firstId}.${number}.${counter}`, sizeBytes)
  const put = async (key: string, sizeBytes: number, rules: object = {}, metadata: Record<string, string> = {}) => {
    const content = contentOf(sizeBytes)
    await told(key, content, (mine) =>
      storage.putObject({ bucket, key, body: pieces(content), ...rules, userMetadata: { ...mine, ...metadata } }),
    )
  }
  const doers: (() => Promise<void>)[] = [
    () => put(own(), random.below(3000)),
    () => put(own(), random.below(3000)),
    () => put(shared(), random.below(3000)),
    () => put(`${number}/large`, 1_000_000 + random.below(1_500_000)),
    () => put(`${number}//attic`, random.below(3000)),
    // Too large for an attribute: it lies in a sidecar.
    () => put(own(), random.below(3000), {}, { note: 'x'.repeat(4000) }),
    () => put(shared(), random.below(3000), { ifAbsent: true }),
    async () => {
      const key = random.oneIn(3) ? shared() : own()
      await told(key, null, () => storage.deleteObject({ bucket, key }))
    },
    async () => {
      const key = shared()
      const { etag } = storage.headObject(bucket, key)
      await put(key, random.below(3000), { ifEtag: etag })
    },
    async () => {
      const from = own()
      const to = `${number}/copy${random.below(2)}`
      const source = await storage.getObject({ bucket, key: from })
      const bytes = Buffer.concat(await source.body.toArray())
      await told(to, bytes, (userMetadata) =>
        storage.putObject({ bucket, key: to, body: pieces(bytes), sizeBytes: bytes.length, userMetadata }),
      )
    },
  ]
  if (number === 0) doers.push(() => inParts(random.below(4)))

  /** 0: parts of one size, 1: a part of another size, 2: left open, 3: aborted. */
  async function inParts(kind: number): Promise<void> {
    const key = random.oneIn(2) ? shared() : '0/parts'
    const sizes = kind === 1 ? [partBytes, partBytes + 1, 100] : [partBytes, partBytes, 1 + random.below(1000)]
    const content = sizes.map((size, index) => noise(`${options.seed}.${counter}.part${index}`, size))
    const whole = Buffer.concat(content)
    const { uploadId } = await storage.createUpload({
      bucket,
      key,
      ownerId: 'lane',
      userMetadata: { sha256: sha256(whole) },
    })
    say({ upload: uploadId, key })
    const address = { bucket, key, uploadId }
    const order = random.oneIn(2) ? [0, 1, 2] : [1, 0, 2]
    for (const index of kind === 2 ? order.slice(0, 1 + random.below(3)) : order) {
      const body = content[index]!
      const { etag } = await storage.putPart({
        ...address,
        number: index + 1,
        body: pieces(body),
        sizeBytes: body.length,
      })
      say({ part: uploadId, number: index + 1, etag, name: sha256(body), sizeBytes: body.length })
    }
    if (kind === 2) return
    say({ ending: uploadId })
    if (kind === 3) await storage.abortUpload(address)
    else {
      const { parts } = await storage.listParts(address)
      const wanted = parts.map(({ number, etag }) => ({ number, etag }))
      await told(key, whole, () => storage.completeUpload({ ...address, parts: wanted }))
    }
    say({ ended: uploadId })
  }

  for (;;) {
    try {
      await random.pick(doers)()
    } catch (error) {
      // A key that is not there to be copied; anything else is the end of this disk.
      if (!(error instanceof Fault && error.code === 'storage.no_such_key')) throw error
    }
    if (options.pauseMs > 0) await sleep(random.below(options.pauseMs * 2))
  }
}

/** Commits numbered facts and jobs, and follows the changes of objects, as control does. */
async function commits(path: string): Promise<void> {
  const database = await openDatabase({ url: `sqlite:${path}` })
  if (options.mutant === 'database not synced') await sql`pragma synchronous = off`.execute(database.kysely)
  await migrate(database, [storageMigrations])
  followStorageChanges({ storage, database, clock, log })
  for (;;) {
    const id = (counter += 1)
    say({ committing: id })
    await transact(database, async (trx) => {
      await appendFact(trx, { kind: 'faults.counted', subject: `${id}`, data: { id } }, clock)
      await enqueueJob(trx, { kind: 'faults.counted', payload: { id }, idempotencyKey: `${id}` }, clock)
    })
    say({ committed: id })
    await sleep(options.pauseMs * 2)
  }
}

/** Breaks the program on purpose, to see whether anybody notices. */
function forget(mutant: Mutant): void {
  const synced = fs.fsync
  const isForgotten = (fd: number) => fstatSync(fd).isDirectory() === (mutant === 'folder not synced')
  if (mutant === 'database not synced') return
  fs.fsync = ((fd: number, done: fs.NoParamCallback) =>
    isForgotten(fd) ? void setImmediate(done, null) : synced(fd, done)) as typeof fs.fsync
  syncBuiltinESMExports()
}

const lanes = Array.from({ length: options.lanes }, (_, number) => lane(number))
if (options.database !== undefined) lanes.push(commits(options.database))
await Promise.all(lanes)
