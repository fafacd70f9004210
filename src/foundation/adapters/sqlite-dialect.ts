/** Kysely over Node's own SQLite: one connection, synchronous underneath. */
import { statSync } from 'node:fs'
import { DatabaseSync, type StatementSync, type SQLInputValue } from 'node:sqlite'
import {
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type Kysely,
  type QueryResult,
} from 'kysely'
import { databaseDamaged, databaseFault } from './database-errors.ts'

/** Statements kept prepared; a room has a few dozen. */
const keptStatements = 500

/** Files up to this size are looked over whole at each start (about a tenth of a second). */
const wholeCheckBytes = 64 * 1024 * 1024

/**
 * Throws 'foundation.database_damaged' if that file is there and is no whole database. Reads only: a damaged file stays
 * as it is, for whoever tries to save it.
 */
export function checkSqliteFile(path: string, everything = false): void {
  const sizeBytes = statSync(path, { throwIfNoEntry: false })?.size ?? 0
  if (sizeBytes === 0) return
  let file: DatabaseSync | undefined
  try {
    file = new DatabaseSync(path, { readOnly: true, timeout: 5000 })
    const quick = everything || sizeBytes <= wholeCheckBytes
    const found = file.prepare(quick ? 'pragma quick_check(1)' : 'select count(*) as n from sqlite_schema').get()
    if (quick && found?.quick_check !== 'ok') throw databaseDamaged(path, new Error(String(found?.quick_check)))
  } catch (error) {
    throw databaseFault(error, path)
  } finally {
    file?.close()
  }
}

/** Opens the file with the settings that make an acknowledged commit survive a power cut. */
export function openSqliteFile(path: string): DatabaseSync {
  const file = new DatabaseSync(path, { timeout: 5000, enableForeignKeyConstraints: true })
  try {
    setUp(file)
  } catch (error) {
    file.close()
    throw databaseFault(error, path)
  }
  return file
}

function setUp(file: DatabaseSync): void {
  file.exec(`
    pragma journal_mode = wal;
    pragma synchronous = full;
    pragma temp_store = memory;
    pragma cache_size = -32768;
    pragma journal_size_limit = 67108864;
  `)
}

export function sqliteDialect(file: DatabaseSync): Dialect {
  return {
    createDriver: () => new SqliteDriver(file),
    createQueryCompiler: () => new SqliteQueryCompiler(),
    createAdapter: () => new TransactionalSqliteAdapter(),
    createIntrospector: (kysely: Kysely<unknown>) => new SqliteIntrospector(kysely),
  }
}

/** SQLite's schema changes are transactional; Kysely's adapter says otherwise for the sake of old drivers. */
class TransactionalSqliteAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl() {
    return true
  }
}

class SqliteDriver implements Driver {
  readonly #file: DatabaseSync
  readonly #connection: SqliteConnection

  constructor(file: DatabaseSync) {
    this.#file = file
    this.#connection = new SqliteConnection(file)
  }

  async init() {}

  async acquireConnection() {
    return this.#connection
  }

  async releaseConnection() {}

  async beginTransaction() {
    // Immediate: the write lock is taken now, so that no statement inside can fail for want of it.
    this.#file.exec('begin immediate')
  }

  async commitTransaction() {
    this.#file.exec('commit')
  }

  async rollbackTransaction() {
    // SQLite itself rolls back on errors such as a full disk.
    if (this.#file.isTransaction) this.#file.exec('rollback')
  }

  async savepoint(_connection: DatabaseConnection, name: string) {
    this.#file.exec(`savepoint "${name}"`)
  }

  async rollbackToSavepoint(_connection: DatabaseConnection, name: string) {
    this.#file.exec(`rollback to "${name}"`)
  }

  async releaseSavepoint(_connection: DatabaseConnection, name: string) {
    this.#file.exec(`release "${name}"`)
  }

  async destroy() {
    if (this.#file.isOpen) this.#file.close()
  }
}

class SqliteConnection implements DatabaseConnection {
  readonly #file: DatabaseSync
  readonly #statements = new Map<string, StatementSync>()

  constructor(file: DatabaseSync) {
    this.#file = file
  }

  async executeQuery<Row>({ sql, parameters }: CompiledQuery): Promise<QueryResult<Row>> {
    const statement = this.#prepare(sql)
    const values = parameters.map(sqliteValue)
    if (statement.columns().length > 0) {
      return { rows: statement.all(...values).map((row) => ({ ...row })) as Row[] }
    }
    const { changes, lastInsertRowid } = statement.run(...values)
    return { rows: [], numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid) }
  }

  async *streamQuery<Row>({ sql, parameters }: CompiledQuery): AsyncIterableIterator<QueryResult<Row>> {
    // Its own statement: a kept one may be run again while this one is being read.
    for (const row of this.#file.prepare(sql).iterate(...parameters.map(sqliteValue))) {
      yield { rows: [{ ...row } as Row] }
    }
  }

  #prepare(sql: string): StatementSync {
    const kept = this.#statements.get(sql)
    if (kept !== undefined) return kept
    if (this.#statements.size >= keptStatements || /^\s*(create|alter|drop)\b/i.test(sql)) this.#statements.clear()
    const statement = this.#file.prepare(sql)
    this.#statements.set(sql, statement)
    return statement
  }
}

/**
 * Node binds every number as a double; integers are bound as integers, so that they stay integers in columns without
 * affinity. Booleans are refused, as PostgreSQL refuses them for integer columns: rooms write 0 and 1.
 */
function sqliteValue(value: unknown): SQLInputValue {
  if (value === undefined) return null
  if (typeof value === 'boolean') throw new TypeError('booleans are stored as 0 and 1')
  if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value)
  return value as SQLInputValue
}
