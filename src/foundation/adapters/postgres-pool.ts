/** The PostgreSQL side of the database: a pool whose numbers come back as they do from SQLite. */
import pg from 'pg'
import type { Logger } from '../log.ts'

const int8 = 20
const numeric = 1700

/** bigint and numeric columns are read as JavaScript numbers; one beyond 2^53 is an error, not a rounding. */
function readNumber(text: string): number {
  const value = Number(text)
  if (Number.isInteger(value) && !Number.isSafeInteger(value)) throw new RangeError(`${text} is beyond 2^53`)
  return value
}

export function openPostgresPool(url: string, log: Logger | undefined): pg.Pool {
  const pool = new pg.Pool({
    connectionString: url,
    max: 10,
    connectionTimeoutMillis: 10_000,
    application_name: 'cygnet',
    types: {
      getTypeParser: ((oid: number, format?: 'text' | 'binary') =>
        oid === int8 || oid === numeric ? readNumber : pg.types.getTypeParser(oid, format as 'text')) as never,
    },
  })
  // An idle connection that breaks is replaced at its next use; without a listener it would end the process.
  pool.on('error', (error) => log?.warn({ error }, 'an idle database connection broke'))
  return pool
}

/**
 * Takes the writer's place in that database for as long as the returned client stays connected: an advisory lock of
 * the session. `undefined` if another process holds it.
 */
export async function takeWriterPlace(url: string): Promise<pg.Client | undefined> {
  const client = new pg.Client({ connectionString: url, application_name: 'cygnet writer', keepAlive: true })
  await client.connect()
  const { rows } = await client.query(`select pg_try_advisory_lock(hashtext('cygnet writer')) as taken`)
  if (rows[0]?.taken === true) return client
  await client.end()
  return undefined
}
