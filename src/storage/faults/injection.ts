/** One thing with one fault in it: strace makes the k-th of some system calls fail while the thing is done. */
import { spawn, type ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import { sql } from 'kysely'
import { openDatabase } from '../../foundation/database.ts'
import type { Storage } from '../storage.ts'
import { openStorageOfTest } from '../test-storage.ts'
import type { Report, Thing } from './one-thing.ts'
import { noise, sha256 } from './random.ts'

export interface Injection {
  thing: Thing
  /** Names of system calls, with commas. */
  calls: string
  error: string
  /** The k-th of them fails. */
  at: number
}

export interface Injected {
  report: Report
  /** False when the thing makes fewer such calls. */
  isHit: boolean
  /** The call that failed, as strace prints it. */
  call: string
  /** What does not hold after a restart. */
  wrong: string[]
}

const bucket = 'demo-work'

export async function inject({ thing, calls, error, at }: Injection): Promise<Injected> {
  const folder = mkdtempSync(join(tmpdir(), 'cygnet-inject-'))
  const root = join(folder, 'data')
  const output = join(folder, 'trace')
  const child = spawn(process.execPath, [join(import.meta.dirname, 'one-thing.ts'), root, thing], {
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  let complaint = ''
  child.stderr.on('data', (chunk: Buffer) => (complaint += chunk.toString()))
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  let tracer: ChildProcess | undefined
  try {
    if ((await next(lines)) === undefined) throw new Error(`The program did not begin: ${complaint}`)
    tracer = await traceOf(child.pid!, [
      '-e',
      `trace=${calls}`,
      '-e',
      `inject=${calls}:error=${error}:when=${at}`,
      '-o',
      output,
    ])
    child.stdin.write('do\n')
    const first = (await next(lines)) as Pick<Report, 'isAcknowledged'> | undefined
    tracer.kill('SIGINT')
    await ended(tracer)
    child.stdin.write('go on\n')
    const report = ((await next(lines)) as Report | undefined) ?? {
      ...died,
      isAcknowledged: first?.isAcknowledged ?? false,
    }
    await killed(child)
    const call =
      readFileSync(output, 'utf8')
        .split('\n')
        .find((line) => line.includes('(INJECTED)')) ?? ''
    return { report, isHit: call !== '', call, wrong: await wrongAfterwards(thing, root, report) }
  } finally {
    await killed(child)
    if (tracer !== undefined) await ended(tracer)
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Of a program that died of the fault: LMDB's library does not survive every failed write. */
const died: Report = {
  isAcknowledged: false,
  error: 'died',
  afterwards: 'died',
  isReadable: 'died',
  uploadId: undefined,
}

/** Undefined when the program has ended. */
async function next(lines: AsyncIterator<string>): Promise<unknown> {
  const { value, done } = await lines.next()
  return done ? undefined : JSON.parse(value as string)
}

/** Attaches to a running process; resolves when it is traced. */
async function traceOf(pid: number, options: readonly string[]): Promise<ChildProcess> {
  const tracer = spawn('strace', ['-f', '-p', `${pid}`, ...options], { stdio: ['ignore', 'ignore', 'pipe'] })
  const told: Interface = createInterface({ input: tracer.stderr! })
  for await (const line of told) {
    if (line.includes('attached')) {
      tracer.stderr!.resume()
      return tracer
    }
  }
  throw new Error('strace could not attach.')
}

const ended = async (child: ChildProcess) => {
  if (child.exitCode === null && child.signalCode === null) await new Promise((resolve) => child.once('exit', resolve))
}

async function killed(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL')
  await ended(child)
}

/** After a restart: acknowledged is there, not acknowledged is there whole or not at all, nothing is left over. */
async function wrongAfterwards(thing: Thing, root: string, report: Report): Promise<string[]> {
  const wrong: string[] = []
  const storage = await openStorageOfTest(root)
  const expectContent = async (key: string, allowed: (string | null)[]) => {
    const found = await contentOf(storage, key)
    if (!allowed.includes(found)) wrong.push(`${key} holds ${found}`)
  }
  const either = (old: string | null, fresh: string | null) => (report.isAcknowledged ? [fresh] : [old, fresh])
  const whole = (sizes: number[]) => sha256(Buffer.concat(sizes.map((size, index) => noise(`part${index}`, size))))
  const partBytes = 5 * 1024 * 1024
  const [old, fresh] = [sha256(Buffer.from('old')), sha256(Buffer.from('new'))]
  try {
    await expectContent('bystander', [sha256(Buffer.from('bystander'))])
    await expectContent('present', [old])
    const completed = whole(thing === 'complete with a copy' ? [partBytes, partBytes + 1] : [partBytes, 10])
    if (thing === 'put' || thing === 'put with a sidecar') await expectContent('fresh', either(null, fresh))
    if (thing === 'replace') await expectContent('target', either(old, fresh))
    if (thing === 'put in new folders') await expectContent('a/b/fresh', either(null, fresh))
    if (thing === 'put into the attic') await expectContent('fresh//', either(null, fresh))
    if (thing === 'delete') await expectContent('target', either(old, null))
    if (thing === 'complete over an object') await expectContent('target', either(old, completed))
    if (thing === 'complete an upload' || thing === 'complete with a copy')
      await expectContent('fresh', either(null, completed))
    if (report.uploadId !== undefined) await uploadGoesOn(storage, thing, report, wrong, completed)
    const { objects } = await storage.listObjects({ bucket })
    for (const { key, etag } of objects)
      if (storage.headObject(bucket, key).etag !== etag) wrong.push(`the listing and ${key} differ`)
    const [own, ...others] = readdirSync(join(root, '.cygnet/tmp'))
    const left = [...others, ...readdirSync(join(root, '.cygnet/tmp', own!)).filter((name) => name !== 'worker.json')]
    if (left.length > 0) wrong.push(`left over: ${left.join(' ')}`)
    await storage.putObject({ bucket, key: 'after', body: (async function* () {})() })
  } finally {
    await storage.close()
  }
  await checkDatabase(thing, root, report, wrong)
  return wrong
}

/** Whatever failed while it was being completed: the parts were acknowledged, so completing it again must succeed. */
async function uploadGoesOn(
  storage: Storage,
  thing: Thing,
  report: Report,
  wrong: string[],
  whole: string,
): Promise<void> {
  const address = { bucket, key: thing === 'complete over an object' ? 'target' : 'fresh', uploadId: report.uploadId! }
  try {
    if (thing === 'put a part') {
      const { parts } = await storage.listParts(address)
      if (!parts.some(({ number }) => number === 1)) wrong.push('part 1 has gone')
      if (report.isAcknowledged && !parts.some(({ number }) => number === 2)) wrong.push('part 2 has gone')
      await storage.completeUpload({ ...address, parts: parts.map(({ number, etag }) => ({ number, etag })) })
      const size = 5 * 1024 * 1024
      const content = Buffer.concat(parts.map(({ number }) => noise(`part${number - 1}`, size)))
      if ((await contentOf(storage, 'fresh')) !== sha256(content)) wrong.push('the parts hold something else')
      return
    }
    if ((await contentOf(storage, address.key)) === whole) return
    const { parts } = await storage.listParts(address)
    await storage.completeUpload({ ...address, parts: parts.map(({ number, etag }) => ({ number, etag })) })
    if ((await contentOf(storage, address.key)) !== whole) wrong.push('completed again it holds something else')
  } catch (error) {
    wrong.push(`the upload cannot be completed: ${(error as Error).message}`)
  }
}

async function contentOf(storage: Storage, key: string): Promise<string | null> {
  try {
    const { info, body } = await storage.getObject({ bucket, key })
    const hash = createHash('sha256')
    for await (const chunk of body) hash.update(chunk as Buffer)
    const digest = hash.digest('hex')
    return info.sha256 === undefined || info.sha256 === digest ? digest : `${digest}, said to be ${info.sha256}`
  } catch (error) {
    if ((error as { code?: string }).code === 'storage.no_such_key') return null
    throw error
  }
}

async function checkDatabase(thing: Thing, root: string, report: Report, wrong: string[]): Promise<void> {
  const path = join(root, '..', 'database', 'cygnet.sqlite')
  if (!existsSync(path)) return
  await using database = await openDatabase({ url: `sqlite:${path}` })
  const { rows: checked } = await sql<{ integrity_check: string }>`pragma integrity_check`.execute(database.kysely)
  if (checked[0]?.integrity_check !== 'ok') wrong.push('the database is damaged')
  const { rows } = await sql<{ subject: string }>`select subject from fact order by sequence`.execute(database.kysely)
  const subjects = rows.map(({ subject }) => subject).join(' ')
  if (thing === 'commit a fact' && !(report.isAcknowledged ? ['old new'] : ['old', 'old new']).includes(subjects))
    wrong.push(`the facts are ${subjects}`)
  if (thing !== 'migrate') return
  const tables = await sql<{ name: string }>`select name from sqlite_master where name = 'probe'`.execute(
    database.kysely,
  )
  const applied = await sql<{ name: string }>`select name from migration where name like 'probe%'`.execute(
    database.kysely,
  )
  if (tables.rows.length !== applied.rows.length) wrong.push('the migration is half there')
  if (report.isAcknowledged && applied.rows.length === 0) wrong.push('the migration is not there')
}
