/** The PostgreSQL side of the database: a pool whose numbers come back as they do from SQLite, and the writer's place. */
import pg from 'pg'
import { foundationFaults, type Fault } from '../errors.ts'
import type { Logger } from '../log.ts'
import { readPasswordFile, refusePasswordInAddress, refusePasswordInEnvironment } from './postgres-address.ts'

const int8 = 20
const numeric = 1700

/** How the connections of the writer are called, so that the next writer can end those of a lost one. */
const writerPoolName = 'cygnet control'
const writerPlaceName = 'cygnet writer'

/** Whether the place is still ours is asked this often; no answer for so long means that it is not. */
const heartbeatMs = 5_000
const silenceMs = 15_000

/** bigint and numeric columns are read as JavaScript numbers; one beyond 2^53 is an error, not a rounding. */
function readNumber(text: string): number {
  const value = Number(text)
  if (Number.isInteger(value) && !Number.isSafeInteger(value)) throw new RangeError(`${text} is beyond 2^53`)
  return value
}

export interface PostgresAddress {
  url: string
  passwordFile?: string | undefined
}

function clientConfig({ url }: PostgresAddress, name: string): pg.ClientConfig {
  refusePasswordInAddress(url)
  refusePasswordInEnvironment(process.env)
  return { connectionString: url, application_name: name, connectionTimeoutMillis: 10_000, keepAlive: true }
}

/** Clients of that address. The password is read at each connection: a changed one needs no restart. */
function clientOf(address: PostgresAddress): new (config: pg.ClientConfig) => pg.Client {
  if (address.passwordFile === undefined) return pg.Client
  const passwordFile: string = address.passwordFile
  return class extends pg.Client {
    constructor(config: pg.ClientConfig) {
      super(config)
      // Among the settings it would be lost: what an address does not say counts as said to be nothing.
      Object.assign(this, { password: async () => await readPasswordFile(passwordFile) })
    }
  }
}

export function openPostgresPool(address: PostgresAddress, isWriter: boolean, log: Logger | undefined): pg.Pool {
  const pool = new pg.Pool({
    ...clientConfig(address, isWriter ? writerPoolName : 'cygnet'),
    Client: clientOf(address) as never,
    max: 10,
    types: {
      getTypeParser: ((oid: number, format?: 'text' | 'binary') =>
        oid === int8 || oid === numeric ? readNumber : pg.types.getTypeParser(oid, format as 'text')) as never,
    },
  })
  // A connection that breaks is replaced at its next use; without listeners (one for idle connections, one for those in
  // use) it would end the process.
  pool.on('error', (error) => log?.warn({ error }, 'an idle database connection broke'))
  pool.on('connect', (client) => client.on('error', () => {}))
  return pool
}

/** Refuses a server on which texts or numbers would not come back as they went in, or commits not survive. */
export async function checkPostgresServer(pool: pg.Pool, log: Logger | undefined): Promise<void> {
  const { rows } = await pool.query<Record<'version' | 'encoding' | 'commit' | 'fsync', string>>(
    `select current_setting('server_version_num') as version, current_setting('server_encoding') as encoding,
            current_setting('synchronous_commit') as commit, current_setting('fsync') as fsync`,
  )
  const { version, encoding, commit, fsync } = rows[0]!
  if (Number(version) < 120_000) {
    throw foundationFaults.badDatabaseUrl(`This PostgreSQL is too old (${version}).`, {
      hint: 'Use version 12 or later.',
    })
  }
  if (encoding !== 'UTF8') {
    throw foundationFaults.badDatabaseUrl(`The encoding of this PostgreSQL database is ${encoding}.`, {
      hint: 'Make one with: createdb --encoding UTF8 --template template0 NAME',
    })
  }
  if (fsync === 'off') log?.warn('this PostgreSQL runs with fsync off: a power cut may destroy the database')
  // An acknowledged commit survives a power cut, whatever the server's default is.
  if (commit === 'off') {
    await pool.query('set synchronous_commit = on')
    pool.on('connect', (client) => void client.query('set synchronous_commit = on').catch(() => {}))
  }
}

export interface WriterPlace {
  release(): Promise<void>
}

/**
 * Takes the writer's place in that database for as long as its session lives: an advisory lock on a connection of its
 * own. `undefined` if another process holds it. Connections that a former writer may still have are ended, so that
 * nothing of it is written from now on. `onLost` is called once when the session has ended, or is silent for too long.
 */
export async function takeWriterPlace(
  address: PostgresAddress,
  onLost: (fault: Fault) => void,
): Promise<WriterPlace | undefined> {
  const Client = clientOf(address)
  const client = new Client(clientConfig(address, writerPlaceName))
  let state: 'opening' | 'held' | 'over' = 'opening'
  const beating = new AbortController()
  const lost = (cause: unknown) => {
    if (state !== 'held') return
    state = 'over'
    beating.abort()
    onLost(foundationFaults.databaseUnavailable("The connection that holds the writer's place broke.", { cause }))
  }
  client.on('error', lost)
  client.on('end', () => lost(new Error('the session ended')))
  try {
    await client.connect()
    const { rows } = await client.query(`select pg_try_advisory_lock(hashtext('cygnet writer')) as taken`)
    if (rows[0]?.taken !== true) {
      await client.end()
      return undefined
    }
    await client.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and usename = current_user and application_name = '${writerPoolName}'`,
    )
    // A machine that vanished without a word gives its place back within half a minute (not over a UNIX socket).
    await client.query('set tcp_keepalives_idle = 10; set tcp_keepalives_interval = 5; set tcp_keepalives_count = 3')
    await client.query('set idle_session_timeout = 0').catch(() => {})
  } catch (error) {
    await client.end().catch(() => {})
    throw error
  }
  state = 'held'
  let askedMs: number | undefined
  const ask = () => {
    if (askedMs !== undefined) {
      if (performance.now() - askedMs > silenceMs) lost(new Error('no answer for too long'))
      return
    }
    askedMs = performance.now()
    client.query('select 1').then(() => (askedMs = undefined), lost)
  }
  // By way of the loop's next phase: one that was blocked itself hears the answer before it judges.
  const heartbeat = setInterval(() => setImmediate(ask), heartbeatMs).unref()
  beating.signal.addEventListener('abort', () => clearInterval(heartbeat))
  return {
    async release() {
      state = 'over'
      beating.abort()
      await client.end().catch(() => {})
    },
  }
}
