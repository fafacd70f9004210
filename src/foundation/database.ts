/**
 * The database: embedded SQLite by default, PostgreSQL by configuration, Kysely over both. One process writes.
 * Rooms stay in the portable subset (docs/adr/0002): text ids, integer milliseconds, JSON as text, booleans 0/1.
 */
import { dirname } from 'node:path'
import {
  Kysely,
  PostgresDialect,
  type AbortableOperationOptions,
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type Transaction,
} from 'kysely'
import { openPostgresPool, takeWriterPlace } from './adapters/postgres-pool.ts'
import { openSqliteFile, sqliteDialect } from './adapters/sqlite-dialect.ts'
import { Fault, foundationFaults } from './errors.ts'
import { ensureDirectory, networkFileSystemOf } from './files.ts'
import { acquireLock, type Lock } from './lock.ts'
import type { Logger } from './log.ts'

export { migrate, type RoomMigrations } from './adapters/migrations.ts'
export type { Migration } from 'kysely/migration'

/** Kysely before a room has narrowed it to its own tables; what a migration gets. */
export type AnyKysely = Kysely<any>

/** What a transaction's callback gets; stores take it as their first argument. */
export type AnyTransaction = Transaction<any>

export interface OpenedDatabase {
  readonly kysely: AnyKysely
  readonly kind: 'sqlite' | 'postgres'
  /** The SQLite file, if there is one. */
  readonly path: string | undefined
  /** Calls `listener` after each commit of this process; returns what ends it. */
  onCommit(listener: () => void): () => void
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

export interface DatabaseOptions {
  /** 'sqlite:/path/to/file', 'sqlite::memory:', 'postgres://user@host/name'. */
  url: string
  /** The writer's place: a second process that asks for it is refused with 'foundation.locked'. */
  exclusive?: boolean
  log?: Logger
  /** PostgreSQL only: the connection that holds the writer's place broke; the process must stop writing. */
  onPlaceLost?: (error: Fault) => void
}

/** A transaction that holds the database longer than this is logged: others wait for it. */
const slowTransactionMs = 100
const stuckTransactionMs = 10_000

export async function openDatabase(options: DatabaseOptions): Promise<OpenedDatabase> {
  const { url } = options
  if (url.startsWith('sqlite:') && url.length > 'sqlite:'.length) return await openSqlite(url.slice(7), options)
  if (/^postgres(ql)?:\/\//.test(url)) return await openPostgres(url, options)
  throw foundationFaults.badDatabaseUrl('The database address is neither sqlite:/path nor postgres://…', {
    hint: "Set 'database.url' in cygnet.yaml.",
  })
}

/**
 * Runs `work` in a transaction and returns its result. Inside, await nothing but calls on `trx`. On PostgreSQL a
 * transaction that lost a race (deadlock, serialization) is run again.
 */
export async function transact<Result>(
  database: Pick<OpenedDatabase, 'kysely'>,
  work: (trx: AnyTransaction) => Promise<Result>,
): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await database.kysely.transaction().execute(work)
    } catch (error) {
      const code = (error as { code?: unknown }).code
      if (attempt >= 5 || (code !== '40P01' && code !== '40001')) throw error
    }
  }
}

async function openSqlite(path: string, options: DatabaseOptions): Promise<OpenedDatabase> {
  const inMemory = path === ':memory:'
  let lock: Lock | undefined
  if (!inMemory) {
    await ensureDirectory(dirname(path))
    const network = await networkFileSystemOf(dirname(path))
    if (network !== undefined) {
      throw foundationFaults.networkFileSystem(
        `${path} is on a network file system (${network}), where it can be lost.`,
      )
    }
    if (options.exclusive) lock = await acquireLock(`${path}.lock`).catch(refuseSecondWriter(path))
  }
  const commits = new CommitBell()
  const dialect = sqliteDialect(openSqliteFile(path))
  return opened(dialect, 'sqlite', inMemory ? undefined : path, commits, options.log, async () => await lock?.release())
}

async function openPostgres(url: string, options: DatabaseOptions): Promise<OpenedDatabase> {
  const unavailable = (cause: unknown): never => {
    throw foundationFaults.databaseUnavailable('PostgreSQL does not answer, or refuses us.', {
      cause,
      hint: "Check 'database.url' in cygnet.yaml and that the server runs.",
    })
  }
  const place = options.exclusive ? await takeWriterPlace(url).catch(unavailable) : undefined
  if (options.exclusive && place === undefined) refuseSecondWriter('The PostgreSQL database')(undefined)
  let closing = false
  place?.on('error', (cause) => {
    if (closing) return
    const fault = foundationFaults.databaseUnavailable("The connection that holds the writer's place broke.", { cause })
    options.log?.fatal({ error: fault }, fault.detail)
    options.onPlaceLost?.(fault)
  })
  const pool = openPostgresPool(url, options.log)
  const first = await pool.connect().catch(unavailable)
  first.release()
  return opened(new PostgresDialect({ pool }), 'postgres', undefined, new CommitBell(), options.log, async () => {
    closing = true
    await place?.end()
  })
}

function refuseSecondWriter(what: string) {
  return (error: unknown): never => {
    if (error !== undefined && !(error instanceof Fault && error.code === 'foundation.locked')) throw error
    const holder = error instanceof Fault ? error.extra?.holder : undefined
    const who = holder === undefined ? 'another Cygnet' : `another Cygnet (process ${String(holder)})`
    throw foundationFaults.locked(`${what} is already written by ${who}.`, {
      cause: error,
      hint: 'Only one Cygnet may run on one home. Stop the other one, or choose another --home.',
    })
  }
}

function opened(
  dialect: Dialect,
  kind: OpenedDatabase['kind'],
  path: string | undefined,
  commits: CommitBell,
  log: Logger | undefined,
  afterClose: () => Promise<void>,
): OpenedDatabase {
  const kysely: AnyKysely = new Kysely({
    dialect: {
      createDriver: () => watched(dialect.createDriver(), commits, log),
      createQueryCompiler: () => dialect.createQueryCompiler(),
      createAdapter: () => dialect.createAdapter(),
      createIntrospector: (self) => dialect.createIntrospector(self),
    },
  })
  let closed: Promise<void> | undefined
  const close = () => (closed ??= kysely.destroy().then(afterClose))
  return { kysely, kind, path, onCommit: (listener) => commits.add(listener), close, [Symbol.asyncDispose]: close }
}

/**
 * The driver, with a bell at each commit that changed something and a log line for each transaction that makes others
 * wait. Looking for work in a transaction must not ring: whoever looks at each ring would never rest.
 */
function watched(driver: Driver, commits: CommitBell, log: Logger | undefined): Driver {
  const begun = new WeakMap<object, { atMs: number; alarm: NodeJS.Timeout }>()
  const changed = new WeakSet<object>()
  const listenedTo = new WeakSet<object>()
  const listenTo = (connection: DatabaseConnection): DatabaseConnection => {
    if (listenedTo.has(connection)) return connection
    listenedTo.add(connection)
    const execute = connection.executeQuery.bind(connection)
    connection.executeQuery = async <Row>(query: CompiledQuery, options?: AbortableOperationOptions) => {
      const result = await execute<Row>(query, options)
      if (isChange(query.sql) && (result.numAffectedRows ?? BigInt(result.rows.length)) > 0n) {
        if (begun.has(connection)) changed.add(connection)
        else commits.ring()
      }
      return result
    }
    return connection
  }
  const ended = (connection: object, how: string) => {
    const transaction = begun.get(connection)
    if (transaction === undefined) return
    begun.delete(connection)
    clearTimeout(transaction.alarm)
    const tookMs = performance.now() - transaction.atMs
    if (tookMs > slowTransactionMs) log?.warn({ tookMs: Math.round(tookMs), how }, 'slow transaction')
  }
  return {
    init: (init) => driver.init(init),
    acquireConnection: async (acquire) => listenTo(await driver.acquireConnection(acquire)),
    releaseConnection: (connection, release) => driver.releaseConnection(connection, release),
    destroy: (destroy) => driver.destroy(destroy),
    async beginTransaction(connection, settings) {
      await driver.beginTransaction(connection, settings)
      // Its stack is only put into words if it is asked for.
      const begunHere = new Error('begun here')
      const alarm = setTimeout(() => {
        log?.error(
          { stack: begunHere.stack },
          'a transaction is stuck: does it await something else, or the database beside it?',
        )
      }, stuckTransactionMs).unref()
      begun.set(connection, { atMs: performance.now(), alarm })
    },
    async commitTransaction(connection) {
      await driver.commitTransaction(connection)
      ended(connection, 'commit')
      if (changed.delete(connection)) commits.ring()
    },
    async rollbackTransaction(connection) {
      ended(connection, 'rollback')
      changed.delete(connection)
      await driver.rollbackTransaction(connection)
    },
    ...(driver.savepoint && { savepoint: driver.savepoint.bind(driver) }),
    ...(driver.rollbackToSavepoint && { rollbackToSavepoint: driver.rollbackToSavepoint.bind(driver) }),
    ...(driver.releaseSavepoint && { releaseSavepoint: driver.releaseSavepoint.bind(driver) }),
  }
}

function isChange(sql: string): boolean {
  return (
    /^\s*(insert|update|delete|replace|merge)\b/i.test(sql) ||
    /^\s*with\b.*\b(insert into|update|delete from)\b/is.test(sql)
  )
}

/** Rings once per turn of the event loop, however many commits that turn had. */
class CommitBell {
  readonly #listeners = new Set<() => void>()
  #ringing = false

  add(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  ring(): void {
    if (this.#ringing || this.#listeners.size === 0) return
    this.#ringing = true
    setImmediate(() => {
      this.#ringing = false
      for (const listener of this.#listeners) listener()
    })
  }
}
