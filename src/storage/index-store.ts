/**
 * The index: one LMDB environment per data root, shared by all processes of this machine. Only a view of the tree: rows
 * in key order, folders with the time at which they were last compared, the log of changes. Every write transaction
 * holds LMDB's lock between processes, and is on disk when it returns.
 */
import { mkdirSync, rmSync, watch } from 'node:fs'
import { getSystemErrorMap } from 'node:util'
import { open, type Database, type RootDatabase } from 'lmdb'
import { randomToken } from '../foundation/ids.ts'
import { behindPrefix, decodeDirectory, decodeRow, encodeDirectory, encodeRow, keyOfRow, rowKey } from './index-rows.ts'
import type { DirectoryRow, IndexRow } from './index-rows.ts'
import type { Bucket, Change } from './model.ts'

const layoutVersion = '1'
const noBytes = Buffer.alloc(0)
/** Older changes are dropped; a follower further behind than this lists everything once. */
const keptChanges = 1_000_000

type Bytes = Database<Buffer, Buffer>

export interface IndexStore {
  epoch(): string | undefined
  /** Throws everything away and begins a new epoch. Inside a transaction. */
  reset(): void
  /**
   * Runs `work` in one durable write transaction, alone among all processes. It must not wait for anything. Errors of
   * the disk come with the `code` of node:fs ('ENOSPC', 'EIO'); then nothing has been written.
   */
  write<Result>(work: () => Result): Result
  /** From now on reads see what other processes have committed. */
  refresh(): void
  bucket(name: string): Bucket | undefined
  buckets(): Bucket[]
  putBucket(bucket: Bucket): void
  removeBucket(name: string): void
  row(bucket: string, key: string): IndexRow | undefined
  putRow(bucket: string, key: string, row: IndexRow): void
  removeRow(bucket: string, key: string): void
  /** Keys whose rows are of the attic. */
  atticKeys(bucket: string): string[]
  rows(start: Buffer, end: Buffer): Iterable<{ key: Buffer; value: Buffer }>
  directory(bucket: string, path: string): DirectoryRow | undefined
  putDirectory(bucket: string, path: string, row: DirectoryRow): void
  removeDirectory(bucket: string, path: string): void
  /** Folders whose path is in [start, end). */
  directories(start: Buffer, end: Buffer): Iterable<{ key: Buffer; value: Buffer }>
  appendChange(change: Omit<Change, 'sequence' | 'experiment' | 'purpose'>): number
  changes(after: number, limit: number): Change[]
  firstSequence(): number
  lastSequence(): number
  /** Calls `listener` soon after this or another process has written; returns what ends it. */
  watch(listener: () => void): () => void
  close(): Promise<void>
}

/** Opens the index at a folder. A layout of another version is thrown away: the tree is the truth. */
export function openIndexStore(folder: string): IndexStore {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const options = { keyEncoding: 'binary', encoding: 'binary' } as const
  let environment: RootDatabase<Buffer, Buffer>
  let [facts, buckets, rows, directories, log, attic] = connect()
  if (environmentIsOlder()) noteAttic()

  function connect(): [Bytes, Bytes, Bytes, Bytes, Bytes, Bytes] {
    try {
      environment = open({ path: `${folder}/index.mdb`, maxDbs: 8, ...options, noMemInit: true })
      const database = (name: string): Bytes => environment.openDB<Buffer, Buffer>({ name, ...options })
      const [one, two, three] = [database('facts'), database('buckets'), database('rows')]
      return [one, two, three, database('directories'), database('changes'), database('attic')]
    } catch (error) {
      throw indexError(error)
    }
  }

  /** The keys of the attic were not kept apart in the beginning. */
  function environmentIsOlder(): boolean {
    return facts.get(Buffer.from('layout')) !== undefined && facts.get(Buffer.from('attic')) === undefined
  }

  function noteAttic(): void {
    environment.transactionSync(() => {
      for (const { key, value } of rows.getRange()) if (decodeRow(value).isAttic) attic.putSync(key, noBytes)
      facts.putSync(Buffer.from('attic'), Buffer.from('noted'))
    })
  }

  /** After a failed write of its root page LMDB answers nothing any more: opened again it can at least be read. */
  function revive(): void {
    try {
      environment.resetReadTxn()
      facts.get(Buffer.from('epoch'))
    } catch {
      void environment.close()
      ;[facts, buckets, rows, directories, log, attic] = connect()
    }
  }

  const fact = (name: string) => facts.get(Buffer.from(name))?.toString('utf8')
  const putFact = (name: string, value: string) => facts.putSync(Buffer.from(name), Buffer.from(value))
  const lastSequence = () => Number(fact('sequence') ?? 0)
  const firstSequence = () => {
    for (const key of log.getKeys({ limit: 1 })) return sequenceOf(key)
    return lastSequence() + 1
  }

  return {
    epoch: () => (fact('layout') === layoutVersion ? fact('epoch') : undefined),
    reset() {
      for (const each of [facts, buckets, rows, directories, log, attic]) each.clearSync()
      putFact('attic', 'noted')
      putFact('layout', layoutVersion)
      putFact('epoch', randomToken(9))
      putFact('sequence', '0')
    },
    write(work) {
      try {
        return environment.transactionSync(work)
      } catch (error) {
        const failure = indexError(error)
        if (failure !== error) revive()
        throw failure
      }
    },
    refresh: () => environment.resetReadTxn(),
    bucket(name) {
      const value = buckets.get(Buffer.from(name))
      return value === undefined ? undefined : (JSON.parse(value.toString('utf8')) as Bucket)
    },
    buckets: () => Array.from(buckets.getRange(), ({ value }) => JSON.parse(value.toString('utf8')) as Bucket),
    putBucket: (bucket) => void buckets.putSync(Buffer.from(bucket.name), Buffer.from(JSON.stringify(bucket))),
    removeBucket(name) {
      for (const each of [rows, directories, attic]) {
        const start = rowKey(name, '')
        for (const key of [...each.getKeys({ start, end: behindPrefix(start) })]) each.removeSync(key)
      }
      buckets.removeSync(Buffer.from(name))
    },
    row(bucket, key) {
      const value = rows.get(rowKey(bucket, key))
      return value === undefined ? undefined : decodeRow(value)
    },
    putRow(bucket, key, row) {
      const at = rowKey(bucket, key)
      rows.putSync(at, encodeRow(row))
      if (row.isAttic) attic.putSync(at, noBytes)
      else attic.removeSync(at)
    },
    removeRow(bucket, key) {
      rows.removeSync(rowKey(bucket, key))
      attic.removeSync(rowKey(bucket, key))
    },
    atticKeys(bucket) {
      const start = rowKey(bucket, '')
      return Array.from(attic.getKeys({ start, end: behindPrefix(start) }), (key) => keyOfRow(bucket, key))
    },
    rows: (start, end) => rows.getRange({ start, end }),
    directory(bucket, path) {
      const value = directories.get(rowKey(bucket, path))
      return value === undefined ? undefined : decodeDirectory(value)
    },
    putDirectory: (bucket, path, row) => void directories.putSync(rowKey(bucket, path), encodeDirectory(row)),
    removeDirectory: (bucket, path) => void directories.removeSync(rowKey(bucket, path)),
    directories: (start, end) => directories.getRange({ start, end }),
    appendChange(change) {
      const bucket = buckets.get(Buffer.from(change.bucket))
      const { experiment, purpose } = JSON.parse(bucket?.toString('utf8') ?? '{}') as Partial<Bucket>
      const sequence = lastSequence() + 1
      putFact('sequence', `${sequence}`)
      log.putSync(sequenceKey(sequence), Buffer.from(JSON.stringify({ ...change, experiment, purpose })))
      if (sequence % 1000 === 0) {
        for (const key of [...log.getKeys({ end: sequenceKey(Math.max(0, sequence - keptChanges)), limit: 2000 })])
          log.removeSync(key)
      }
      return sequence
    },
    changes(after, limit) {
      return Array.from(log.getRange({ start: sequenceKey(after + 1), limit }), ({ key, value }) => {
        return { sequence: sequenceOf(key), ...(JSON.parse(value.toString('utf8')) as Omit<Change, 'sequence'>) }
      })
    },
    firstSequence,
    lastSequence,
    watch(listener) {
      const watcher = watch(`${folder}/index.mdb`, { persistent: false }, listener)
      watcher.on('error', () => watcher.close())
      return () => watcher.close()
    },
    close: () => environment.close(),
  }
}

const noRoom = [28, -30792]
const damaged = [-30797, -30796, -30794, -30793]

/** LMDB's numbers in the words of node:fs. A map that cannot grow is no room; what it cannot read is 'EBADMSG'. */
function indexError(error: unknown): unknown {
  const { code, message } = error as { code?: unknown; message?: string }
  if (typeof code !== 'number') return error
  const word = noRoom.includes(code)
    ? 'ENOSPC'
    : damaged.includes(code)
      ? 'EBADMSG'
      : (getSystemErrorMap().get(-code)?.[0] ?? 'EIO')
  // EINVAL is what it answers once it has given up.
  return Object.assign(new Error(`The index of the data root: ${message}`, { cause: error }), {
    code: word === 'EINVAL' ? 'EIO' : word,
  })
}

/** Removes an index that cannot be read; it is made again from the tree. */
export function removeIndexStore(folder: string): void {
  rmSync(folder, { recursive: true, force: true })
}

function sequenceKey(sequence: number): Buffer {
  const key = Buffer.allocUnsafe(8)
  key.writeBigUInt64BE(BigInt(sequence))
  return key
}

function sequenceOf(key: Buffer): number {
  return Number(key.readBigUInt64BE())
}
