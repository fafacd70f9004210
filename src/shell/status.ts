/** `/api/health` for everybody, `/api/status` for who keeps the platform: processes, disk, queues, lags. */
import type { FastifyInstance } from 'fastify'
import { readdir, readFile, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { sql } from 'kysely'
import type { Compute } from '../compute/index.ts'
import type { OpenedDatabase } from '../foundation/database.ts'
import type { Facts } from '../foundation/facts.ts'
import { readJsonFile } from '../foundation/files.ts'
import { bindRoutes, type Gate } from '../foundation/http.ts'
import type { Jobs } from '../foundation/jobs.ts'
import { createMetrics, type Metrics } from '../foundation/metrics.ts'
import { isSameProcess, type ProcessIdentity } from '../foundation/processes.ts'
import type { Clock } from '../foundation/time.ts'
import type { Identity } from '../identity/index.ts'
import type { Ingest } from '../ingest/index.ts'
import type { StorageFollower } from '../storage/index.ts'
import { shellContract } from './contract.ts'
import type { Home } from './home.ts'
import { concernsOf } from './observability/concerns.ts'
import { recentTrouble } from './observability/log-tail.ts'
import { processTrouble } from './process-trouble.ts'
import { programVersion } from '../foundation/version.ts'

export interface StatusParts {
  gate: Gate
  home: Home
  clock: Clock
  identity: Pick<Identity, 'clockTrouble' | 'auditTrouble'>
  database: OpenedDatabase
  facts: Facts
  ingest: Ingest
  jobs: Jobs
  /** How many processes the supervisor keeps alive. */
  processesWanted: number
  compute: Compute
  storageFollower: StorageFollower
}

export function bindStatusRoutes(app: FastifyInstance, parts: StatusParts): void {
  const { gate, clock } = parts
  const version = programVersion()
  const metrics = metricsOf(parts)
  const status = statusOf(parts, version)
  bindRoutes(
    app,
    shellContract,
    {
      health: async () => ({ status: 'ok' as const, version, nowMs: clock.nowMs() }),
      status,
      metrics: async () => ({ contentType: metrics.contentType, body: Buffer.from(await metrics.text()) }),
    },
    gate,
  )
  // For who owns the home, without a sign-in (internal-routes.ts).
  app.get('/internal/status', status)
}

function statusOf(parts: StatusParts, version: string) {
  const { home, clock, jobs, compute, storageFollower } = parts
  const startedMs = clock.nowMs()
  return async () => {
    const [disk, processes, followers, database, machine, agents, backgroundJobs, sandbox, dead, trouble] =
      await Promise.all([
        statfs(home.data),
        processesOf(home),
        followersOf(parts),
        databaseOf(parts),
        compute.machine(),
        parts.ingest.agents(),
        jobs.counts(),
        compute.sandboxReport(),
        jobs.deadLetters(),
        recentTrouble(home.logs, 30),
      ])
    const figures = {
      version,
      nowMs: clock.nowMs(),
      startedMs,
      processes,
      processesWanted: parts.processesWanted,
      disk: { path: home.data, freeBytes: disk.bavail * disk.bsize, totalBytes: disk.blocks * disk.bsize },
      storageLagChanges: await storageFollower.lag(),
      followers,
      database,
      machine,
      agents,
      backgroundJobs,
      sandbox: { available: sandbox.available, detail: sandbox.reason ?? sandbox.notes.join(' ') },
      givenUp: dead
        .slice(0, 20)
        .map((letter) => ({ atMs: letter.finishedMs, what: `${letter.kind}: ${letter.reason}` })),
      recentTrouble: trouble,
    }
    const wrongClock = parts.identity.clockTrouble()
    const brokenAudit = parts.identity.auditTrouble()
    const concerns = [
      ...(await processTrouble(home, clock.nowMs())),
      ...(wrongClock === undefined ? [] : [{ grave: true, ...wrongClock }]),
      ...(brokenAudit === undefined ? [] : [{ grave: true, ...brokenAudit }]),
      ...concernsOf(figures),
    ]
    return { concerns, ...figures }
  }
}

async function followersOf({ facts }: Pick<StatusParts, 'facts'>) {
  const followers = await facts.status()
  return followers.map(({ name, behind, failing }) => ({ name, behind, failing: failing?.reason ?? null }))
}

async function databaseOf({ database: { kind, kysely } }: Pick<StatusParts, 'database'>) {
  const size =
    kind === 'sqlite'
      ? sql<{ bytes: number }>`select page_count * page_size as bytes from pragma_page_count(), pragma_page_size()`
      : sql<{ bytes: number }>`select pg_database_size(current_database()) as bytes`
  const { rows } = await size.execute(kysely)
  return { kind, sizeBytes: Number(rows[0]?.bytes ?? 0) }
}

function metricsOf(parts: StatusParts): Metrics {
  const { home, jobs, storageFollower, compute, ingest, clock } = parts
  const metrics = createMetrics({ process: 'control' })
  metrics.gauge('cygnet_storage_lag_changes', 'Changes of objects not yet seen by the logbook', [], async (gauge) => {
    gauge.set(await storageFollower.lag())
  })
  metrics.gauge('cygnet_facts_behind', 'Facts that a follower has not looked at yet', ['follower'], async (gauge) => {
    for (const { name, behind } of await followersOf(parts)) gauge.set({ follower: name }, behind)
  })
  metrics.gauge('cygnet_facts_failing', '1 while a follower fails on a fact', ['follower'], async (gauge) => {
    for (const { name, failing } of await followersOf(parts)) gauge.set({ follower: name }, failing === null ? 0 : 1)
  })
  metrics.gauge('cygnet_jobs_background', 'Background jobs by state', ['state'], async (gauge) => {
    for (const [state, count] of Object.entries(await jobs.counts())) gauge.set({ state }, count)
  })
  metrics.gauge('cygnet_compute_jobs', 'Jobs and sessions of people and of the platform', ['state'], async (gauge) => {
    for (const [state, count] of Object.entries((await compute.machine()).jobs)) gauge.set({ state }, count)
  })
  metrics.gauge('cygnet_compute_used_cores', 'Cores held by jobs and sessions', [], async (gauge) => {
    gauge.set((await compute.machine()).cpuMilli.used / 1000)
  })
  metrics.gauge(
    'cygnet_ingest_agent_age_seconds',
    'Since an agent was heard of',
    ['experiment', 'agent'],
    async (gauge) => {
      for (const { experiment, name, lastSeenMs } of await ingest.agents())
        gauge.set({ experiment, agent: name }, (clock.nowMs() - lastSeenMs) / 1000)
    },
  )
  metrics.gauge(
    'cygnet_ingest_waiting_runs',
    'Runs on a DAQ disk, not safe yet',
    ['experiment', 'agent'],
    async (gauge) => {
      for (const { experiment, name, waitingRuns } of await ingest.agents())
        gauge.set({ experiment, agent: name }, waitingRuns)
    },
  )
  metrics.gauge('cygnet_database_bytes', 'Size of the database', [], async (gauge) => {
    gauge.set((await databaseOf(parts)).sizeBytes)
  })
  metrics.gauge('cygnet_disk_free_bytes', 'Free bytes where the data lie', [], async (gauge) => {
    const { bavail, bsize } = await statfs(home.data)
    gauge.set(bavail * bsize)
  })
  metrics.gauge(
    'cygnet_process_proportional_bytes',
    'Proportional set size of each process',
    ['name'],
    async (gauge) => {
      for (const { name, memoryBytes } of await processesOf(home)) gauge.set({ name }, memoryBytes)
    },
  )
  return metrics
}

async function processesOf(home: Home) {
  const records = (await readdir(home.run)).filter((name) => name.endsWith('.process.json'))
  const processes = []
  for (const record of records.sort()) {
    const path = join(home.run, record)
    const identity = await readJsonFile<ProcessIdentity>(path)
    if (!identity || !isSameProcess(identity)) continue
    const startedMs = Math.round((await stat(path)).mtimeMs)
    processes.push({
      name: record.replace('.process.json', ''),
      pid: identity.pid,
      startedMs,
      memoryBytes: await memoryOf(identity.pid),
      ...(await stat(`/proc/${identity.pid}`).then(
        ({ uid }) => ({ uid }),
        () => ({}),
      )),
    })
  }
  return processes
}

/** Proportional set size: shared pages are counted by their share. 0 where the kernel does not tell. */
async function memoryOf(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => '')
  return Number(/^Pss:\s+(\d+) kB/m.exec(text)?.[1] ?? 0) * 1024
}
