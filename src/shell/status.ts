/** `/api/health` for everybody, `/api/status` for who keeps the platform: processes, disk, queues, lags. */
import type { FastifyInstance } from 'fastify'
import { readdir, readFile, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import type { Compute } from '../compute/index.ts'
import { readJsonFile } from '../foundation/files.ts'
import { bindRoutes, type Gate } from '../foundation/http.ts'
import type { Jobs } from '../foundation/jobs.ts'
import { createMetrics, type Metrics } from '../foundation/metrics.ts'
import { isSameProcess, type ProcessIdentity } from '../foundation/processes.ts'
import type { Clock } from '../foundation/time.ts'
import type { StorageFollower } from '../storage/index.ts'
import { shellContract } from './contract.ts'
import type { Home } from './home.ts'
import { programVersion } from '../foundation/version.ts'

export interface StatusParts {
  gate: Gate
  home: Home
  clock: Clock
  jobs: Jobs
  compute: Compute
  storageFollower: StorageFollower
}

export function bindStatusRoutes(
  app: FastifyInstance,
  { gate, home, clock, jobs, compute, storageFollower }: StatusParts,
): void {
  const startedMs = clock.nowMs()
  const version = programVersion()
  const metrics = metricsOf({ home, jobs, storageFollower })
  bindRoutes(
    app,
    shellContract,
    {
      health: async () => ({ status: 'ok' as const, version, nowMs: clock.nowMs() }),
      async status() {
        const [disk, processes, backgroundJobs, sandbox, deadLetters] = await Promise.all([
          statfs(home.data),
          processesOf(home),
          jobs.counts(),
          compute.sandboxReport(),
          jobs.deadLetters(),
        ])
        return {
          version,
          nowMs: clock.nowMs(),
          startedMs,
          processes,
          disk: { path: home.data, freeBytes: disk.bavail * disk.bsize, totalBytes: disk.blocks * disk.bsize },
          storageLagChanges: await storageFollower.lag(),
          backgroundJobs,
          sandbox: { available: sandbox.available, detail: sandbox.reason ?? sandbox.notes.join(' ') },
          lastErrors: deadLetters
            .slice(0, 20)
            .map((letter) => ({ atMs: letter.finishedMs, what: `${letter.kind}: ${letter.reason}` })),
        }
      },
      metrics: async () => ({ contentType: metrics.contentType, body: Buffer.from(await metrics.text()) }),
    },
    gate,
  )
}

function metricsOf({ home, jobs, storageFollower }: Pick<StatusParts, 'home' | 'jobs' | 'storageFollower'>): Metrics {
  const metrics = createMetrics({ process: 'control' })
  metrics.gauge('cygnet_storage_lag_changes', 'Changes of objects not yet seen by the logbook', [], async (gauge) => {
    gauge.set(await storageFollower.lag())
  })
  metrics.gauge('cygnet_jobs_background', 'Background jobs by state', ['state'], async (gauge) => {
    for (const [state, count] of Object.entries(await jobs.counts())) gauge.set({ state }, count)
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
    })
  }
  return processes
}

/** Proportional set size: shared pages are counted by their share. 0 where the kernel does not tell. */
async function memoryOf(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => '')
  return Number(/^Pss:\s+(\d+) kB/m.exec(text)?.[1] ?? 0) * 1024
}
