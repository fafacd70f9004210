/** The room `compute`, opened: accepts jobs, runs them on this machine, tells what became of them. */
import { EventEmitter, once } from 'node:events'
import { createHash } from 'node:crypto'
import { cpus, totalmem } from 'node:os'
import { join } from 'node:path'
import type { Kysely } from 'kysely'
import type { z } from 'zod'
import { transact, type AnyTransaction, type OpenedDatabase } from '../foundation/database.ts'
import { failpointEnvironment } from '../foundation/failpoints.ts'
import type { Logger } from '../foundation/log.ts'
import type { Clock } from '../foundation/time.ts'
import { commandKind, findEnvironment, type EnvironmentResolver } from './command-kind.ts'
import type { Job, JobState, Machine, SandboxStatus, computeConfig } from './contract.ts'
import { computeErrors } from './errors.ts'
import { Executor } from './executor.ts'
import { writePrivateFile } from './job-folder.ts'
import * as store from './job-store.ts'
import { requireSandbox } from './launch.ts'
import type { JobKind, JobSpec, WorkLimits, Workspace } from './model.ts'
import { sumOf } from './queue.ts'
import { releaseCgroups } from './sandbox/cgroups.ts'
import { openSandbox, type Sandbox } from './sandbox/sandbox.ts'
import { endedStates, jobOf, liveStates, storedStates } from './states.ts'
import type { ComputeTables } from './tables.ts'

export interface ComputeOptions {
  database: OpenedDatabase
  clock: Clock
  log: Logger
  home: string
  /** Shared by installations: bubblewrap lives there. */
  cacheFolder: string
  config: z.output<typeof computeConfig>
  /** Ports payloads with the network `gateway` know the platform by. */
  ports: { platform: number; s3: number }
  /** Ids whose work may run without a sandbox, now: the person who started Cygnet, and the platform itself. */
  trustedOwnerIds: () => readonly string[]
  /** What policies leave a person of this machine in the experiment; absent: everything that it has. */
  limitsOf?(ownerId: string, experiment: string): WorkLimits
  /** Who a job's owner is on this machine and what of the experiment's data the job sees. */
  workspaceOf(ownerId: string, experiment: string): Promise<Workspace>
  /** PATH to look for bwrap and python3 on. */
  searchPath: string
  /** Environment of shims, for tests with failpoints. */
  shimEnvironment?: Record<string, string>
}

export interface JobFilter {
  experiment: string
  state?: JobState
  kind?: string
  subject?: string
  ownerId?: string
  limit: number
  cursor?: string
}

export interface Compute {
  /** Declares a kind; before `start`. */
  registerKind<Published>(name: string, kind: JobKind<Published>): void
  /** Where command jobs find environments that a room above makes. */
  provideEnvironment(name: string, resolve: EnvironmentResolver): void
  /** The environment of that name, for other kinds of jobs; undefined for `system`. Throws `noSuchEnvironment`. */
  environment(name: string): EnvironmentResolver | undefined
  /** Adopts the jobs of an earlier control and begins to start waiting ones. Resolves when both have begun. */
  start(): Promise<void>
  /** Accepts a job in the caller's transaction; it is durable when that commits. Same key, same job. */
  submit(trx: AnyTransaction, spec: JobSpec): Promise<Job>
  /** Throws compute.sandbox_missing if this person's code may not run here. */
  requireSandbox(ownerId: string): Promise<void>
  /** Asks for the end of a job; answers at once. The job is `cancelled` when nothing of it lives. */
  cancel(jobId: string, because?: string): Promise<Job>
  /** Throws compute.no_such_job. */
  show(jobId: string): Promise<Job>
  list(filter: JobFilter): Promise<{ items: Job[]; nextCursor: string | null }>
  /** Jobs and sessions that have not ended, in every experiment: of these people, or of all. */
  living(ownerIds?: readonly string[]): Promise<Job[]>
  /** Waiting jobs do not start until they are released, whatever else is free; the others are left alone. */
  hold(jobIds: readonly string[], reason: string): Promise<void>
  release(jobIds: readonly string[]): Promise<void>
  /** What policies leave the person of cores, memory and time in the experiment. */
  limitsOf(ownerId: string, experiment: string): WorkLimits
  /** Resolves when the job has ended, with its end. */
  ended(jobId: string, signal?: AbortSignal): Promise<Job>
  /** Resolves at the next change of the job, or after the time. */
  changed(jobId: string, timeoutMs: number, signal?: AbortSignal): Promise<void>
  /** Calls with the id of each job that changed; returns what ends it. */
  onChange(listener: (jobId: string) => void): () => void
  /** Host folder of an attempt. */
  folderOf(jobId: string, attempt: number): string
  /** Replaces a file of /run/cygnet of a running job: refreshed tokens. */
  writeFile(
    job: { id: string; attempt: number; ownerId: string; experiment: string },
    file: { name: string; content: string },
  ): Promise<void>
  machine(): Promise<Machine>
  sandboxReport(): Promise<SandboxStatus>
  close(): Promise<void>
}

export function openCompute(options: ComputeOptions): Compute {
  const { database, clock, log, home, config } = options
  const tables = database.kysely as Kysely<ComputeTables>
  const capacity = {
    cpuMilli: config.cpuMilli ?? cpus().length * 1000,
    memoryMiB: config.memoryMiB ?? Math.floor((totalmem() / 1024 / 1024) * 0.8),
  }
  const floor = { cpuMilli: 0, memoryMiB: Math.min(config.interactiveMemoryMiB, Math.floor(capacity.memoryMiB / 2)) }
  const changes = new EventEmitter().setMaxListeners(0)
  const kinds = new Map<string, JobKind>()
  const environments = new Map<string, EnvironmentResolver>()
  let sandbox: Promise<Sandbox> | undefined
  const whichSandbox = () =>
    (sandbox ??= openSandbox({
      cacheFolder: options.cacheFolder,
      searchPath: options.searchPath,
      mode: config.sandbox,
      cgroups: config.cgroups,
      label: `cygnet-${createHash('sha256').update(home).digest('hex').slice(0, 8)}`,
    }))
  const context = {
    jobsFolder: join(home, 'jobs'),
    homesFolder: join(home, 'homes'),
    gatewayFolder: join(home, 'run', 'gateway'),
    programFolder: import.meta.dirname,
    shimPath: join(import.meta.dirname, 'shim.py'),
    ports: options.ports,
    trustedOwnerIds: options.trustedOwnerIds,
    workspaceOf: options.workspaceOf,
    diskReserveBytes: config.diskReserveMiB * 1024 * 1024,
    shimEnvironment: options.shimEnvironment ?? failpointEnvironment(),
  }
  const tellChange = (jobId: string) => changes.emit('change', jobId)
  let executor: Executor | undefined
  const requireExecutor = () =>
    (executor ??= new Executor({
      ...context,
      database,
      clock,
      log,
      kinds,
      capacity,
      floor,
      sandbox: whichSandbox(),
      onChange: tellChange,
    }))
  const unfollow = database.onCommit(() => executor?.pump())

  kinds.set('command', commandKind({ environments, sandbox: whichSandbox }))

  const load = async (jobId: string) => {
    const row = await store.findJob(tables, jobId)
    if (row === undefined)
      throw computeErrors.noSuchJob(`There is no job ${jobId}.`, { hint: 'See `cygnet jobs list --experiment NAME`.' })
    return row
  }
  const show = async (jobId: string): Promise<Job> => {
    const row = await load(jobId)
    if (row.state !== 'queued' && row.state !== 'parked') return jobOf(row)
    const place = await store.placeOf(tables, row)
    const job = jobOf(row, place)
    return {
      ...job,
      reason: job.reason ?? (place === 1 ? 'next: waits for free cores or memory' : `${place - 1} before it`),
    }
  }
  const changed = async (jobId: string, timeoutMs: number, signal?: AbortSignal): Promise<void> => {
    const timer = new AbortController()
    const timeout = setTimeout(() => timer.abort(), timeoutMs)
    const either = signal === undefined ? timer.signal : AbortSignal.any([signal, timer.signal])
    try {
      for (;;) {
        const [changedId] = (await once(changes, 'change', { signal: either })) as [string]
        if (changedId === jobId) return
      }
    } catch {
      // Time is over, or the caller left.
    } finally {
      clearTimeout(timeout)
    }
  }

  return {
    registerKind(name, kind) {
      kinds.set(name, kind as JobKind)
    },
    provideEnvironment(name, resolve) {
      environments.set(name, resolve)
    },
    environment: (name) => findEnvironment(environments, name),
    async start() {
      await requireExecutor().start()
    },
    async submit(trx, spec) {
      if (!kinds.has(spec.kind)) throw computeErrors.unknownKind(`There is no kind of job called ${spec.kind}.`)
      const limits = options.limitsOf?.(spec.ownerId, spec.experiment)
      return jobOf(await store.insertJob(trx, spec, capacity, clock, limits))
    },
    async requireSandbox(ownerId) {
      requireSandbox(await whichSandbox(), ownerId, options.trustedOwnerIds())
    },
    async cancel(jobId, because = 'cancelled on request') {
      const row = await load(jobId)
      if (endedStates.includes(row.state)) return jobOf(row)
      const now = await transact(database, async (trx: store.ComputeTransaction) => {
        await trx
          .updateTable('compute_job')
          .set({ cancel_requested_ms: clock.nowMs(), reason: because })
          .where('id', '=', jobId)
          .where('cancel_requested_ms', 'is', null)
          .execute()
        const current = (await store.findJob(trx, jobId))!
        if (current.state !== 'queued' && current.state !== 'parked') return current
        const reason = because === 'cancelled on request' ? 'cancelled before it began' : because
        await store.endJob(trx, jobId, current.attempt, { state: 'cancelled', reason, endedMs: clock.nowMs() }, clock)
        const running = store.runningJobOf(current, join(context.jobsFolder, 'none'))
        await kinds.get(current.kind)?.ended?.(trx, running, { state: 'cancelled', reason })
        return current
      })
      if (liveStates.includes(now.state)) await requireExecutor().stop(jobId, now.attempt)
      tellChange(jobId)
      return await show(jobId)
    },
    show,
    async list(filter) {
      let query = tables.selectFrom('compute_job').selectAll().where('experiment', '=', filter.experiment)
      if (filter.state !== undefined) query = query.where('state', 'in', storedStates(filter.state))
      if (filter.kind !== undefined) query = query.where('kind', '=', filter.kind)
      if (filter.subject !== undefined) query = query.where('subject', '=', filter.subject)
      if (filter.ownerId !== undefined) query = query.where('owner_id', '=', filter.ownerId)
      if (filter.cursor !== undefined) query = query.where('id', '<', filter.cursor)
      const rows = await query
        .orderBy('id', 'desc')
        .limit(filter.limit + 1)
        .execute()
      const items = rows.slice(0, filter.limit).map((row) => jobOf(row))
      return { items, nextCursor: rows.length > filter.limit ? items.at(-1)!.id : null }
    },
    async living(ownerIds) {
      if (ownerIds?.length === 0) return []
      let query = tables
        .selectFrom('compute_job')
        .selectAll()
        .where('state', 'not in', [...endedStates])
      if (ownerIds !== undefined) query = query.where('owner_id', 'in', ownerIds)
      const rows = await query.orderBy('id').execute()
      return rows.map((row) => jobOf(row))
    },
    async hold(jobIds, reason) {
      const held = await transact(database, (trx: store.ComputeTransaction) => store.hold(trx, jobIds, reason, clock))
      for (const id of held) tellChange(id)
    },
    async release(jobIds) {
      const released = await transact(database, (trx: store.ComputeTransaction) => store.release(trx, jobIds, clock))
      for (const id of released) tellChange(id)
    },
    limitsOf: (ownerId, experiment) => options.limitsOf?.(ownerId, experiment) ?? {},
    async ended(jobId, signal) {
      for (;;) {
        signal?.throwIfAborted()
        const change = changed(jobId, 1_000, signal)
        const row = await load(jobId)
        if (endedStates.includes(row.state)) return jobOf(row)
        await change
      }
    },
    changed,
    onChange(listener) {
      changes.on('change', listener)
      return () => changes.off('change', listener)
    },
    folderOf: (jobId, attempt) => join(context.jobsFolder, `${jobId}.${attempt}`),
    async writeFile(job, file) {
      const workspace = await options.workspaceOf(job.ownerId, job.experiment)
      const owner = process.getuid?.() === 0 ? { uid: workspace.uid, gid: workspace.uid } : undefined
      await writePrivateFile(join(context.jobsFolder, `${job.id}.${job.attempt}`), file, owner)
    },
    async machine() {
      const rows = await tables
        .selectFrom('compute_job')
        .select(['state', 'class', 'cpu_milli', 'memory_mib'])
        .where('state', 'not in', [...endedStates])
        .execute()
      const live = rows.filter((row) => liveStates.includes(row.state))
      const used = sumOf(
        live.map((row) => ({ class: row.class, cpuMilli: Number(row.cpu_milli), memoryMiB: Number(row.memory_mib) })),
      )
      return {
        cpuMilli: { total: capacity.cpuMilli, used: used.cpuMilli },
        memoryMiB: { total: capacity.memoryMiB, used: used.memoryMiB },
        jobs: { waiting: rows.length - live.length, running: live.length },
      }
    },
    async sandboxReport() {
      return (await whichSandbox()).status
    },
    async close() {
      unfollow()
      await executor?.close()
      const cgroups = (await sandbox)?.cgroups
      if (cgroups !== undefined) await releaseCgroups(cgroups)
    },
  }
}
