/** Opens a SQLite file or a PostgreSQL database; refuses what would lose data, and a second writer. */
import { dirname } from 'node:path'
import { Kysely, PostgresDialect, type Dialect } from 'kysely'
import type { AnyKysely, DatabaseOptions, OpenedDatabase } from '../database.ts'
import { Fault, foundationFaults } from '../errors.ts'
import { ensureDirectory, networkFileSystemOf } from '../files.ts'
import { acquireLock, type Lock } from '../lock.ts'
import type { Logger } from '../log.ts'
import { refusalOf } from './postgres-address.ts'
import { checkPostgresServer, openPostgresPool, takeWriterPlace } from './postgres-pool.ts'
import { checkSqliteFile, openSqliteFile, sqliteDialect } from './sqlite-dialect.ts'
import { CommitBell, watchedDriver } from './watched-driver.ts'

/** The database at that address; see `DatabaseOptions`. */
export async function openDatabase(options: DatabaseOptions): Promise<OpenedDatabase> {
  const { url } = options
  let toldUnsafe = false
  const onUnsafe = (fault: Fault) => {
    if (toldUnsafe) return
    toldUnsafe = true
    options.log?.fatal({ error: fault }, fault.detail)
    options.onUnsafe?.(fault)
  }
  if (url.startsWith('sqlite:') && url.length > 'sqlite:'.length)
    return await openSqlite(url.slice(7), options, onUnsafe)
  if (/^postgres(ql)?:\/\//.test(url)) return await openPostgres(options, onUnsafe)
  throw foundationFaults.badDatabaseUrl('The database address is neither sqlite:/path nor postgres://…', {
    hint: "Set 'database.url' in cygnet.yaml.",
  })
}

type OnUnsafe = (fault: Fault) => void

async function openSqlite(path: string, options: DatabaseOptions, onUnsafe: OnUnsafe): Promise<OpenedDatabase> {
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
  const parts = { kind: 'sqlite', path: inMemory ? undefined : path, log: options.log, onUnsafe } as const
  try {
    if (options.exclusive && !inMemory) checkSqliteFile(path)
    const file = openSqliteFile(path)
    return opened(sqliteDialect(file), parts, async () => {
      // Kysely does not close what was never used.
      if (file.isOpen) file.close()
      await lock?.release()
    })
  } catch (error) {
    await lock?.release()
    throw error
  }
}

async function openPostgres(options: DatabaseOptions, onUnsafe: OnUnsafe): Promise<OpenedDatabase> {
  const refused = (cause: unknown): never => {
    throw refusalOf(cause)
  }
  const place = options.exclusive ? await takeWriterPlace(options, onUnsafe).catch(refused) : undefined
  if (options.exclusive && place === undefined) refuseSecondWriter('The PostgreSQL database')(undefined)
  const pool = openPostgresPool(options, options.exclusive === true, options.log)
  try {
    await checkPostgresServer(pool, options.log)
  } catch (error) {
    await pool.end()
    await place?.release()
    refused(error)
  }
  const parts = { kind: 'postgres', path: undefined, log: options.log, onUnsafe } as const
  return opened(new PostgresDialect({ pool }), parts, async () => {
    if (!pool.ending) await pool.end()
    await place?.release()
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

interface OpenedParts {
  kind: OpenedDatabase['kind']
  path: string | undefined
  log: Logger | undefined
  onUnsafe: OnUnsafe
}

function opened(dialect: Dialect, parts: OpenedParts, afterClose: () => Promise<void>): OpenedDatabase {
  const commits = new CommitBell()
  const kysely: AnyKysely = new Kysely({
    dialect: {
      createDriver: () => watchedDriver(dialect.createDriver(), { ...parts, commits }),
      createQueryCompiler: () => dialect.createQueryCompiler(),
      createAdapter: () => dialect.createAdapter(),
      createIntrospector: (self) => dialect.createIntrospector(self),
    },
  })
  let closed: Promise<void> | undefined
  const close = () => (closed ??= kysely.destroy().then(afterClose))
  const { kind, path } = parts
  return { kysely, kind, path, onCommit: (listener) => commits.add(listener), close, [Symbol.asyncDispose]: close }
}
