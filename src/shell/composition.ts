/** The control process put together: every room opened once, ground floor first, and every upward wire in one place. */
import type { FastifyInstance } from 'fastify'
import { join } from 'node:path'
import { z } from 'zod'
import { openCompute, computeRoutes } from '../compute/index.ts'
import { openRunIndexes } from '../detector/index.ts'
import { openDatabase, migrate } from '../foundation/database.ts'
import { openFacts } from '../foundation/facts.ts'
import { createApp } from '../foundation/http.ts'
import { enqueueJob, openJobs } from '../foundation/jobs.ts'
import type { Logger } from '../foundation/log.ts'
import { loadOrCreateSecret } from '../foundation/secrets.ts'
import { publishSnapshot } from '../foundation/snapshot.ts'
import { systemClock } from '../foundation/time.ts'
import { forGateways, openIdentity } from '../identity/index.ts'
import { openIngest } from '../ingest/index.ts'
import { openLogbook } from '../logbook/index.ts'
import { notebookRoutes, openNotebooks } from '../notebooks/index.ts'
import { openReconstruction } from '../reconstruction/index.ts'
import { bucketNameOf, followStorageChanges, openStorage, registerStorageRoutes } from '../storage/index.ts'
import { followArchivedPeople } from './archived-homes.ts'
import { fileOwners } from './file-owners.ts'
import { cacheFolder, s3Region, type Addresses, type Home } from './home.ts'
import { databaseAddressOf, databaseCopiesFolder, requireCurrentDatabase } from './database-place.ts'
import { bindInternalRoutes } from './internal-routes.ts'
import { roomMigrations } from './room-migrations.ts'
import { openLiveEffect, workersOnly } from './live-effect.ts'
import type { Settings } from './settings.ts'
import type { PublishedSnapshot } from './snapshot.ts'
import { bindStatusRoutes } from './status.ts'
import { platformOwner, starterIds, workspaces } from './workspaces.ts'

const snapshotEveryMs = 2_000
const purposes = ['raw', 'reco', 'work'] as const

export interface PlatformParts {
  home: Home
  settings: Settings
  addresses: Addresses
  log: Logger
}

export interface OpenedPlatform {
  /** The API and OIDC, not yet listening. */
  app: FastifyInstance
  [Symbol.asyncDispose](): Promise<void>
}

export async function openPlatform({ home, settings, addresses, log }: PlatformParts): Promise<OpenedPlatform> {
  const clock = systemClock()
  const programFolder = join(import.meta.dirname, '..', '..')
  const ports = addresses.workPorts
  const searchPath = process.env.PATH ?? '/usr/local/bin:/usr/bin:/bin'
  const closers: (() => Promise<void>)[] = []

  const address = databaseAddressOf(home, settings)
  await requireCurrentDatabase(home, address)
  // What must not be written any more ends here at once; the supervisor starts another control on what is durable.
  const database = await openDatabase({ ...address, exclusive: true, log, onUnsafe: () => process.exit(1) })
  closers.push(() => database.close())
  const migrated = await migrate(database, roomMigrations, {
    allRooms: true,
    copiesFolder: databaseCopiesFolder(home),
    withoutCopy: settings.database.migrateWithoutCopy,
  })
  if (migrated.applied.length > 0) log.info(migrated, 'the database was migrated')
  const facts = openFacts({ database, clock, log })
  closers.push(() => facts.close())
  const jobs = openJobs({ database, clock, log, soleWorker: true })
  closers.push(() => jobs.close())

  let publish: () => Promise<void> = async () => {}
  let rightsChanged = () => {}
  const identity = await openIdentity({
    database,
    facts,
    clock,
    log,
    secretsDirectory: home.secrets,
    auditFolder: home.audit,
    publicUrl: addresses.publicUrl,
    s3Url: addresses.s3Url,
    mail: settings.mail,
    ports: {
      runningOf: async (personIds) =>
        (await compute.living(personIds)).map(({ id, class: kind, ownerId, experiment, title }) => ({
          kind: kind === 'interactive' ? 'session' : 'job',
          id,
          personId: ownerId,
          experiment,
          title,
        })),
      async createExperiment(trx, { name, title }) {
        await logbook.createExperiment(trx, { name, title, template: 'single-setup', setup: 'main', series: 'main' })
      },
    },
    async onChange() {
      await publish()
      rightsChanged()
    },
  })
  closers.push(() => identity.close())

  const storage = await openStorage({
    root: home.data,
    clock,
    log,
    macKey: await loadOrCreateSecret(home.secrets, 'storage-mac-key'),
    owners: fileOwners(() => identity.snapshotPart()),
  })
  closers.push(() => storage.close())
  for (const { experiment } of storage.listBuckets()) await identity.experimentGroupOf(experiment)
  await storage.handOver()
  const storageFollower = followStorageChanges({ storage, database, clock, log })
  closers.push(() => storageFollower.close())

  const logbook = openLogbook({
    database,
    facts,
    clock,
    liveKinds: ['storage.', 'reconstruction.', 'compute.', 'ingest.'],
    admitCreator: (trx, callerId, experiment) => identity.grantRole(trx, callerId, experiment, 'exp-admin'),
  })
  facts.follow('shell.buckets', ['logbook.experiment-created'], async (fact, trx) => {
    await enqueueJob(
      trx,
      { kind: 'shell.create-buckets', payload: { experiment: fact.subject }, idempotencyKey: fact.subject },
      clock,
    )
  })
  jobs.register('shell.create-buckets', z.object({ experiment: z.string() }), async ({ experiment }) => {
    await identity.experimentGroupOf(experiment)
    const present = new Set(storage.listBuckets().map((bucket) => bucket.name))
    for (const purpose of purposes) {
      const name = bucketNameOf(experiment, purpose)
      if (!present.has(name)) await storage.createBucket({ name, experiment, purpose })
    }
  })

  const runIndexes = openRunIndexes({ folder: join(home.folder, 'cache', 'run-indexes') })
  closers.push(() => runIndexes.close())
  const ingest = openIngest({
    runIndexes,
    database,
    facts,
    jobs,
    logbook,
    clock,
    log,
    files: storage,
    s3: { url: addresses.s3Url, region: s3Region },
  })
  ingest.start()

  const compute = openCompute({
    database,
    clock,
    log,
    home: home.folder,
    cacheFolder: cacheFolder(),
    config: settings.compute,
    ports,
    trustedOwnerIds: () => [platformOwner.id, ...starterIds(identity.snapshotPart())],
    searchPath,
    workspaceOf: workersOnly({ identity, ownId: platformOwner.id }, workspaces({ identity, storage })),
    limitsOf: (ownerId, experiment) => identity.limitsOf(ownerId, experiment),
  })
  closers.push(() => compute.close())

  // Keys and tokens that a job or session had for its work end with it, whatever of them somebody has copied.
  facts.follow('shell.end-of-access', ['compute.job-ended'], async (fact, trx) => {
    const { kind } = fact.data as { kind: string }
    if (kind !== 'command' && kind !== 'session') return
    const payload = { jobId: fact.subject, kind }
    await enqueueJob(trx, { kind: 'shell.end-access', payload, idempotencyKey: fact.subject }, clock)
  })
  const accessOf = z.object({ jobId: z.string(), kind: z.enum(['command', 'session']).default('command') })
  jobs.register('shell.end-access', accessOf, async ({ jobId, kind }) => {
    await identity.revokeAccessKeysOf(kind === 'session' ? await notebooks.sessionIdOf(jobId) : jobId)
  })

  followArchivedPeople({ homesFolder: home.homes, facts, jobs, clock, log, identity, compute, storage })

  const reconstruction = await openReconstruction({
    runIndexes,
    database,
    facts,
    clock,
    log,
    logbook,
    storage,
    compute,
    programFolder,
    owner: platformOwner,
  })
  closers.push(() => reconstruction.close())

  const notebooks = await openNotebooks({
    database,
    clock,
    log,
    cacheFolder: cacheFolder(),
    programFolder,
    searchPath,
    config: settings.notebooks,
    compute,
    identity,
    ports,
    s3Region,
    contentUrl: addresses.contentUrl,
  })
  closers.push(() => notebooks.close())

  publish = () => {
    const snapshot: PublishedSnapshot = {
      writtenAtMs: clock.nowMs(),
      identity: forGateways(identity.snapshotPart()),
      notebooks: notebooks.snapshotPart(),
    }
    return publishSnapshot(home.snapshot, snapshot)
  }
  const publishing = publishRegularly(() => publish(), log)
  closers.push(publishing.stop)
  notebooks.onRoutesChanged(() => publishing.now())
  await publish()

  jobs.start()
  await notebooks.start()
  await compute.start()
  const { whenRightsEnd } = settings.compute
  const live = openLiveEffect({ identity, compute, clock, log, ownId: platformOwner.id, whenRightsEnd })
  closers.push(() => live.close())
  rightsChanged = live.now
  live.now()

  const app = createApp({ log })
  closers.push(() => app.close())
  const { gate } = identity
  identity.routes(app)
  registerStorageRoutes(app, { storage, gate })
  logbook.routes(app, gate)
  ingest.routes(app, gate)
  computeRoutes(app, { compute, database, gate })
  reconstruction.routes(app, gate)
  notebookRoutes(app, { notebooks, gate })
  bindStatusRoutes(app, {
    gate,
    home,
    clock,
    identity,
    database,
    facts,
    ingest,
    jobs,
    compute,
    storageFollower,
    processesWanted: settings.http.gateways + 1,
  })
  bindInternalRoutes(app, { identity, compute, notebooks })

  return {
    app,
    async [Symbol.asyncDispose]() {
      for (const close of closers.toReversed()) await close()
    },
  }
}

/** Publishes at every change and at least every two seconds: the age of the snapshot tells gateways how control is. */
function publishRegularly(publish: () => Promise<void>, log: Logger): { now(): void; stop(): Promise<void> } {
  let last = Promise.resolve()
  const now = () => {
    last = last
      .then(publish)
      .catch((error: unknown) => log.error({ err: error }, 'the snapshot could not be published'))
  }
  const timer = setInterval(now, snapshotEveryMs)
  return {
    now,
    async stop() {
      clearInterval(timer)
      await last
    },
  }
}
