/** For the tests and benches of `notebooks`: identity, compute and notebooks on one folder, and a proxy before them. */
import { createServer, type Server } from 'node:http'
import { join, resolve } from 'node:path'
import {
  openIdentity,
  identityMigrations,
  contentCookieName,
  signContentCookie,
  verifyContentCookie,
  type Identity,
} from '../identity/index.ts'
import { openCompute, computeConfig, computeMigrations, type Compute } from '../compute/index.ts'
import { migrate, openDatabase, type OpenedDatabase } from '../foundation/database.ts'
import { openFacts, type Facts } from '../foundation/facts.ts'
import { ensureDirectory } from '../foundation/files.ts'
import { silentLogger, type Logger } from '../foundation/log.ts'
import { systemClock } from '../foundation/time.ts'
import { notebookMigrations } from './migrations/index.ts'
import { createNotebookProxy, type NotebookProxy } from './proxy/notebook-proxy.ts'
import { notebooksConfig } from './contract.ts'
import { openNotebooks, type Notebooks } from './room.ts'

export const testCacheFolder = process.env.CYGNET_CACHE ?? `/tmp/cygnet-test-cache-${process.getuid?.() ?? 0}`

export interface TestHouse {
  database: OpenedDatabase
  facts: Facts
  identity: Identity
  compute: Compute
  notebooks: Notebooks
  proxy: NotebookProxy
  server: Server
  origin: string
  person: { id: string; name: string }
  /** The Cookie header of a browser that has handed a ticket over. */
  cookieFor(sessionId: string, personId?: string): string
  close(): Promise<void>
}

/** Everything below `folder` (0711). With `databaseUrl` an earlier house is opened again, as after a crash of control. */
export async function openTestHouse(
  folder: string,
  options: { personName?: string; log?: Logger } = {},
): Promise<TestHouse> {
  const log = options.log ?? silentLogger()
  const clock = systemClock()
  const home = join(folder, 'home')
  await ensureDirectory(testCacheFolder, 0o755)
  await ensureDirectory(folder, 0o711)
  await ensureDirectory(home, 0o711)
  await ensureDirectory(join(home, 'run'), 0o711)
  await ensureDirectory(join(home, 'run', 'gateway'), 0o755)
  const database = await openDatabase({ url: `sqlite:${join(folder, 'test.sqlite')}` })
  await migrate(database, [identityMigrations, computeMigrations, notebookMigrations])
  const facts = openFacts({ database, clock, log })
  const identity = await openIdentity({
    database,
    facts,
    clock,
    log,
    secretsDirectory: join(home, 'secrets'),
    publicUrl: 'http://127.0.0.1:8410',
  })
  const name = options.personName ?? 'alice'
  const known = Object.values(identity.snapshotPart().subjects).find((subject) => subject.name === name)
  const id =
    known?.id ??
    (
      await identity.createPerson({
        name,
        displayName: name,
        siteAdmin: false,
        roles: [{ experiment: 'demo', role: 'member' }],
      })
    ).id
  const compute = openCompute({
    database,
    clock,
    log,
    home,
    cacheFolder: testCacheFolder,
    searchPath: process.env.PATH ?? '',
    trustedOwnerIds: () => [id],
    config: computeConfig.parse({ cpuMilli: 4000, memoryMiB: 8192 }),
    ports: { platform: 8410, s3: 8411 },
    workspaceOf: async (ownerId) => ({
      personName: identity.nameOf(ownerId)?.name ?? 'nobody',
      uid: await identity.platformUidOf(ownerId),
      groups: [],
      buckets: [],
    }),
  })
  const notebooks = await openNotebooks({
    database,
    clock,
    log,
    cacheFolder: testCacheFolder,
    programFolder: resolve(import.meta.dirname, '../..'),
    searchPath: process.env.PATH ?? '',
    config: notebooksConfig.parse({}),
    compute,
    identity,
    ports: { platform: 8410, s3: 8411 },
    s3Region: 'us-east-1',
    contentUrl: 'http://localhost:8410',
  })
  const cookieName = contentCookieName('http://localhost:8410', '')
  const cookieFor = (sessionId: string, personId = id) => {
    const access = {
      personId,
      epoch: identity.snapshotPart().subjects[personId]?.epoch ?? 0,
      sessionId,
      expiresAtMs: clock.nowMs() + 3_600_000,
    }
    return `${cookieName}=${signContentCookie(identity.snapshotPart(), access)}`
  }
  const proxy = createNotebookProxy({
    routes: () => notebooks.snapshotPart().routes,
    verify(cookieHeader, route) {
      const value = cookieHeader
        .split(';')
        .map((part) => part.trim())
        .find((part) => part.startsWith(`${cookieName}=`))
        ?.slice(cookieName.length + 1)
      const access =
        value === undefined
          ? undefined
          : verifyContentCookie(identity.snapshotPart(), value, { sessionId: route.sessionId })
      return access === undefined
        ? undefined
        : { id: access.personId, name: identity.nameOf(access.personId)?.name ?? '' }
    },
    redeem: () => Promise.reject(new Error('tickets are redeemed by control')),
    cookieName: () => cookieName,
    platformUrl: () => 'http://127.0.0.1:8410',
    secure: false,
    log,
  })
  const server = createServer(proxy.handle)
  server.on('upgrade', proxy.upgrade)
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const { port } = server.address() as { port: number }
  return {
    database,
    facts,
    identity,
    compute,
    notebooks,
    proxy,
    server,
    origin: `http://127.0.0.1:${port}`,
    person: { id, name },
    cookieFor,
    async close() {
      server.closeAllConnections()
      await new Promise((closed) => server.close(closed))
      await notebooks.close()
      await compute.close()
      await identity.close()
      await facts.close()
      await database.close()
    },
  }
}
