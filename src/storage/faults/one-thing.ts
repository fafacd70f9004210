/**
 * A program for tests: opens a prepared data root, says "ready", waits for a line, does one thing, waits again, and says
 * how it ended and whether reading and writing go on. Somebody injects a fault into the one thing.
 * Usage: node one-thing.ts ROOT THING
 */
import { writeSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { join } from 'node:path'
import { sql } from 'kysely'
import { migrate, openDatabase, transact, type OpenedDatabase } from '../../foundation/database.ts'
import { Fault } from '../../foundation/errors.ts'
import { appendFact } from '../../foundation/facts.ts'
import { silentLogger } from '../../foundation/log.ts'
import { systemClock } from '../../foundation/time.ts'
import { openStorage } from '../storage.ts'
import { noise } from './random.ts'

export const things = [
  'put',
  'replace',
  'put in new folders',
  'put into the attic',
  'put with a sidecar',
  'delete',
  'begin an upload',
  'put a part',
  'complete an upload',
  'complete over an object',
  'complete with a copy',
  'commit a fact',
  'migrate',
] as const
export type Thing = (typeof things)[number]

export interface Report {
  /** The thing itself. */
  isAcknowledged: boolean
  /** 'storage.device_failed 500', or the errno of a database. */
  error: string | undefined
  /** What another PUT says afterwards. */
  afterwards: string
  /** Whether an object that was there before can be read and listed. */
  isReadable: string
  /** Of what was begun before, for the things that need an upload. */
  uploadId: string | undefined
}

const bucket = 'demo-work'
const partBytes = 5 * 1024 * 1024

async function* bodyOf(content: string | Buffer): AsyncGenerator<Buffer> {
  yield Buffer.from(content)
}

const nameOf = (error: unknown) =>
  error instanceof Fault
    ? `${error.code} ${error.status}`
    : String((error as NodeJS.ErrnoException).code ?? (error as Error).message)

async function main(root: string, thing: Thing): Promise<void> {
  const clock = systemClock()
  const storage = await openStorage({
    root,
    clock,
    log: silentLogger(),
    macKey: Buffer.alloc(32, 7),
    freeFloorBytes: 0,
  })
  if (storage.listBuckets().length === 0)
    await storage.createBucket({ name: bucket, experiment: 'demo', purpose: 'work' })
  const put = async (key: string, content: string, more: object = {}) =>
    void (await storage.putObject({ bucket, key, body: bodyOf(content), ...more }))
  await put('bystander', 'bystander')
  for (const key of ['present', 'target']) await put(key, 'old')
  const prepared = await prepare()
  const database = await databaseFor(thing, root)

  /** An upload with its parts, for the things that end one. */
  async function prepare() {
    if (!thing.includes('part') && !thing.includes('complete')) return undefined
    const key = thing === 'complete over an object' ? 'target' : 'fresh'
    const { uploadId } = await storage.createUpload({ bucket, key, ownerId: 'me' })
    const address = { bucket, key, uploadId }
    const sizes = thing === 'complete with a copy' ? [partBytes, partBytes + 1] : [partBytes, 10]
    const parts = []
    for (const [index, size] of (thing === 'put a part' ? sizes.slice(0, 1) : sizes).entries()) {
      const body = bodyOf(noise(`part${index}`, size))
      const { number, etag } = await storage.putPart({ ...address, number: index + 1, body, sizeBytes: size })
      parts.push({ number, etag })
    }
    return { address, parts }
  }

  const doers: Record<Thing, () => Promise<unknown>> = {
    put: () => put('fresh', 'new'),
    replace: () => put('target', 'new'),
    'put in new folders': () => put('a/b/fresh', 'new'),
    'put into the attic': () => put('fresh//', 'new'),
    'put with a sidecar': () => put('fresh', 'new', { userMetadata: { note: 'x'.repeat(4000) } }),
    delete: () => storage.deleteObject({ bucket, key: 'target' }),
    'begin an upload': () => storage.createUpload({ bucket, key: 'fresh', ownerId: 'me' }),
    'put a part': () =>
      storage.putPart({
        ...prepared!.address,
        number: 2,
        body: bodyOf(noise('part1', partBytes)),
        sizeBytes: partBytes,
      }),
    'complete an upload': () => storage.completeUpload({ ...prepared!.address, parts: prepared!.parts }),
    'complete over an object': () => storage.completeUpload({ ...prepared!.address, parts: prepared!.parts }),
    'complete with a copy': () => storage.completeUpload({ ...prepared!.address, parts: prepared!.parts }),
    'commit a fact': () =>
      transact(database!, async (trx) => await appendFact(trx, { kind: 'a.b', subject: 'new', data: {} }, clock)),
    migrate: () => migrate(database!, [probe]),
  }

  const told = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
  say({ ready: true })
  await told.next()
  let error: string | undefined
  try {
    await doers[thing]()
  } catch (thrown) {
    error = nameOf(thrown)
  }
  say({ isAcknowledged: error === undefined })
  // Nothing is injected any more.
  await told.next()
  const afterwards = await put('then', 'then').then(
    () => 'stored',
    (thrown: unknown) => nameOf(thrown),
  )
  const report: Report = {
    isAcknowledged: error === undefined,
    error,
    afterwards,
    isReadable: await readable().catch(nameOf),
    uploadId: prepared?.address.uploadId,
  }
  say(report)
  await new Promise(() => {})

  async function readable(): Promise<string> {
    const { body } = await storage.getObject({ bucket, key: 'bystander' })
    const content = Buffer.concat(await body.toArray()).toString()
    const { objects } = await storage.listObjects({ bucket })
    const isListed = objects.some(({ key }) => key === 'bystander')
    if (database !== undefined) await sql`select count(*) from fact`.execute(database.kysely)
    return content === 'bystander' && isListed ? 'yes' : `${content}, ${isListed ? '' : 'not '}listed`
  }
}

const probe = {
  room: 'probe',
  migrations: {
    '0001-probe': {
      async up(kysely: OpenedDatabase['kysely']) {
        await kysely.schema.createTable('probe').addColumn('id', 'text').execute()
        await sql`insert into probe (id) values ('new')`.execute(kysely)
      },
    },
  },
}

async function databaseFor(thing: Thing, root: string): Promise<OpenedDatabase | undefined> {
  if (thing !== 'migrate' && thing !== 'commit a fact') return undefined
  const database = await openDatabase({ url: `sqlite:${join(root, '..', 'database', 'cygnet.sqlite')}` })
  await migrate(database, [])
  await transact(
    database,
    async (trx) => await appendFact(trx, { kind: 'a.b', subject: 'old', data: {} }, systemClock()),
  )
  return database
}

const say = (line: object) => void writeSync(1, `${JSON.stringify(line)}\n`)

if (import.meta.filename === process.argv[1]) {
  const [root, thing] = process.argv.slice(2) as [string, Thing]
  await main(root, thing)
}
