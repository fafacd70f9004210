/** For tests only: folders, ports, databases of both kinds, domain data. Everything cleans up after itself. */
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { describe, onTestFinished, test } from 'vitest'
import { createPostgresDatabase, postgresBinaries } from './adapters/test-postgres.ts'
import { openDatabase, type DatabaseOptions, type OpenedDatabase } from './database.ts'

export { createPostgresDatabase, postgresBinaries } from './adapters/test-postgres.ts'
export { startPostgresServer, type PostgresServer } from './adapters/test-postgres-server.ts'
export { dumpOf, fillEveryTable } from './adapters/test-rows.ts'

export interface TemporaryDirectory {
  path: string
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * A fresh folder: `await using folder = await temporaryDirectory()`. Inside a test it is also removed when the test
 * ends, whichever comes first.
 */
export async function temporaryDirectory(prefix = 'cygnet-test-'): Promise<TemporaryDirectory> {
  const path = await mkdtemp(join(tmpdir(), prefix))
  const remove = async () => await rm(path, { recursive: true, force: true, maxRetries: 3 })
  cleanUpAfterTest(remove)
  return { path, [Symbol.asyncDispose]: remove }
}

/** A TCP port on 127.0.0.1 that was free a moment ago. Prefer port 0 where the program can tell which it got. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const { port } = server.address() as { port: number }
  await new Promise((closed) => server.close(closed))
  return port
}

/** Opens a new, empty database of the kind under test; closed when the test ends. */
export type OpenTestDatabase = (options?: Omit<DatabaseOptions, 'url'>) => Promise<OpenedDatabase>

/**
 * Declares the same tests on SQLite and on PostgreSQL:
 * `forEachDatabase('run store', (open) => { test('…', async () => { await using database = await open() … }) })`.
 * Without a PostgreSQL server on the machine its half is skipped, and says so.
 */
export function forEachDatabase(
  name: string,
  declare: (open: OpenTestDatabase, kind: 'sqlite' | 'postgres') => void,
): void {
  describe(`${name} on SQLite`, () => {
    declare(async (options = {}) => {
      const { path } = await temporaryDirectory()
      return closing(await openDatabase({ ...options, url: `sqlite:${join(path, 'test.sqlite')}` }))
    }, 'sqlite')
  })
  if (postgresBinaries() === undefined) {
    describe.skip(`${name} on PostgreSQL [skipped: no PostgreSQL server on this machine; apt-get install postgresql]`, () => {
      declare(() => Promise.reject(new Error('no PostgreSQL')), 'postgres')
    })
    return
  }
  describe(`${name} on PostgreSQL`, () => {
    declare(
      async (options = {}) => closing(await openDatabase({ ...options, url: await createPostgresDatabase() })),
      'postgres',
    )
  })
}

function closing(database: OpenedDatabase): OpenedDatabase {
  cleanUpAfterTest(() => database.close())
  return database
}

/** Outside of a test (in a `beforeAll`) the caller disposes. */
function cleanUpAfterTest(cleanUp: () => Promise<void>): void {
  try {
    onTestFinished(cleanUp)
  } catch {
    // No test is running.
  }
}

/** The folder of real domain data (CYGNET_TEST_DATA, default ../shared/domain), or `undefined` if it is not there. */
export function domainData(): string | undefined {
  const path = resolve(process.env.CYGNET_TEST_DATA ?? join(import.meta.dirname, '../../../shared/domain'))
  return existsSync(path) ? path : undefined
}

/** A test on domain data; skipped, and says why, where they are absent. */
export function testOnDomainData(name: string, run: (dataPath: string) => Promise<void> | void): void {
  const path = domainData()
  if (path === undefined) test.skip(`${name} [skipped: no domain data; set CYGNET_TEST_DATA]`, () => {})
  else test(name, async () => await run(path))
}

/** How often a test repeats itself: `usual`, or many times more under './cygnet test --long ROOM'. */
export function rounds(usual: number, long = usual * 25): number {
  return process.env.CYGNET_LONG ? long : usual
}
