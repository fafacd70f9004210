/** Between Kysely and a driver: a bell at each commit, a log line for what makes others wait, errors in our words. */
import type { AbortableOperationOptions, CompiledQuery, DatabaseConnection, Driver } from 'kysely'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Fault } from '../errors.ts'
import type { Logger } from '../log.ts'
import { databaseFault, isBrokenConnection, isUnsafe } from './database-errors.ts'

/** A transaction that holds the database longer than this is logged: others wait for it. */
const slowTransactionMs = 100
const stuckTransactionMs = 10_000
/** How long a caller waits for a server that starts again before it is told so. */
const patienceMs = 8_000
const retryEveryMs = 100

export interface WatchedOptions {
  commits: CommitBell
  log: Logger | undefined
  /** Of the SQLite file, for the words of its errors. */
  path: string | undefined
  /** Called at an error after which the process must not go on writing. */
  onUnsafe(fault: Fault): void
}

/** Thrown when the connection broke while a commit was under way: whether it happened is not known. */
const unknownOutcome = new WeakSet<object>()

/** True for an error after which the whole transaction may be run again: nothing of it has been committed. */
export function mayRunAgain(error: unknown): boolean {
  const code = (error as { code?: unknown } | undefined)?.code
  if (code === '40P01' || code === '40001') return true
  return isBrokenConnection(error) && !unknownOutcome.has(error as object)
}

/**
 * The driver, with a bell at each commit that changed something and a log line for each transaction that makes others
 * wait. Looking for work in a transaction must not ring: whoever looks at each ring would never rest.
 */
export function watchedDriver(driver: Driver, { commits, log, path, onUnsafe }: WatchedOptions): Driver {
  const named = (error: unknown): unknown => {
    const fault = databaseFault(error, path)
    if (isUnsafe(fault)) onUnsafe(fault as Fault)
    return fault
  }
  const begun = new WeakMap<object, { atMs: number; alarm: NodeJS.Timeout }>()
  const changed = new WeakSet<object>()
  const listenedTo = new WeakSet<object>()
  const listenTo = (connection: DatabaseConnection): DatabaseConnection => {
    if (listenedTo.has(connection)) return connection
    listenedTo.add(connection)
    const execute = connection.executeQuery.bind(connection)
    connection.executeQuery = async <Row>(query: CompiledQuery, options?: AbortableOperationOptions) => {
      const result = await execute<Row>(withoutNaN(query), options).catch((error: unknown) => {
        throw named(error)
      })
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
    async acquireConnection(acquire) {
      const deadlineMs = performance.now() + patienceMs
      for (;;) {
        try {
          return listenTo(await driver.acquireConnection(acquire))
        } catch (error) {
          if (!isBrokenConnection(error) || performance.now() > deadlineMs) throw named(error)
          await sleep(retryEveryMs)
        }
      }
    },
    releaseConnection: (connection, release) => driver.releaseConnection(connection, release),
    destroy: (destroy) => driver.destroy(destroy),
    async beginTransaction(connection, settings) {
      await driver.beginTransaction(connection, settings).catch((error: unknown) => {
        throw named(error)
      })
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
      await driver.commitTransaction(connection).catch((error: unknown) => {
        const fault = named(error)
        if (isBrokenConnection(fault)) unknownOutcome.add(fault as object)
        throw fault
      })
      ended(connection, 'commit')
      if (changed.delete(connection)) commits.ring()
    },
    async rollbackTransaction(connection) {
      ended(connection, 'rollback')
      changed.delete(connection)
      // A connection that broke has rolled back by that; what broke it is what the caller should hear.
      await driver.rollbackTransaction(connection).catch((error: unknown) => {
        if (!isBrokenConnection(error)) throw named(error)
      })
    },
    ...(driver.savepoint && { savepoint: driver.savepoint.bind(driver) }),
    ...(driver.rollbackToSavepoint && { rollbackToSavepoint: driver.rollbackToSavepoint.bind(driver) }),
    ...(driver.releaseSavepoint && { releaseSavepoint: driver.releaseSavepoint.bind(driver) }),
  }
}

/** SQLite keeps a NaN as null; so does PostgreSQL then. */
function withoutNaN(query: CompiledQuery): CompiledQuery {
  if (!query.parameters.some(Number.isNaN)) return query
  return { ...query, parameters: query.parameters.map((value) => (Number.isNaN(value) ? null : value)) }
}

function isChange(sql: string): boolean {
  return (
    /^\s*(insert|update|delete|replace|merge)\b/i.test(sql) ||
    /^\s*with\b.*\b(insert into|update|delete from)\b/is.test(sql)
  )
}

/** Rings once per turn of the event loop, however many commits that turn had. */
export class CommitBell {
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
