/**
 * The embedded executor: gives slots to waiting jobs, starts one detached shim per attempt and follows the folders the
 * shims keep. Control may die at any line of this file: `start` finds every attempt again by its folder.
 */
import { watch, type FSWatcher } from 'node:fs'
import { unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { transact, type OpenedDatabase } from '../foundation/database.ts'
import { Fault } from '../foundation/errors.ts'
import { failpoint } from '../foundation/failpoints.ts'
import { ensureDirectory } from '../foundation/files.ts'
import type { Logger } from '../foundation/log.ts'
import { isSameProcess } from '../foundation/processes.ts'
import type { Clock } from '../foundation/time.ts'
import { judge, lost, type Verdict } from './attempt-end.ts'
import { emptyFolder, outMayGo, sweepFolders } from './folder-keeping.ts'
import * as folders from './job-folder.ts'
import * as store from './job-store.ts'
import { launchAttempt, type LaunchContext } from './launch.ts'
import { lastLineOf } from './log-stream.ts'
import type { DoneMarker, JobKind } from './model.ts'
import type { Slots } from './queue.ts'
import type { Sandbox } from './sandbox/sandbox.ts'
import type { AttemptOutcome } from './tables.ts'
import { dueForRecording, recordUsage } from './usage.ts'

export interface ExecutorOptions extends Omit<LaunchContext, 'sandbox'> {
  database: OpenedDatabase
  clock: Clock
  log: Logger
  sandbox: Promise<Sandbox>
  kinds: ReadonlyMap<string, JobKind>
  capacity: Slots
  floor: Slots
  /** Called with a job id after each change of a job. */
  onChange(jobId: string): void
}

/** Folders are looked at this often even when no bell rings: bells are hints, the tree is the truth. */
const sweepMs = 2_000
/** Folders of jobs that ended long ago are looked for this often. */
const tidyEveryMs = 3_600_000
const launchesAtOnce = 8
const startsPerTurn = 64
const commitTries = 5

export class Executor {
  readonly #options: ExecutorOptions
  readonly #bell: string
  /** One task at a time per attempt, by attempt name. */
  readonly #tasks = new Map<string, Promise<void>>()
  readonly #again = new Set<string>()
  /** Attempts whose shim this process started and has not seen exit: nobody may revoke their claim. */
  readonly #ours = new Set<string>()
  readonly #launching: { job: store.JobRow }[] = []
  #launches = 0
  #pumping: Promise<void> | undefined
  #pumpAgain = false
  #watcher: FSWatcher | undefined
  #timer: NodeJS.Timeout | undefined
  #tidyTimer: NodeJS.Timeout | undefined
  #tidying: Promise<void> = Promise.resolve()
  readonly #ending = new AbortController()
  #closed = false

  constructor(options: ExecutorOptions) {
    this.#options = options
    this.#bell = join(options.jobsFolder, '.bell')
  }

  /** Adopts what an earlier control left, then begins to start jobs. */
  async start(): Promise<void> {
    await ensureDirectory(this.#options.jobsFolder, 0o711)
    await ensureDirectory(this.#options.homesFolder, 0o711)
    await ensureDirectory(this.#bell, 0o700)
    try {
      this.#watcher = watch(this.#bell, (_event, name) => {
        if (name !== null) this.#rung(name)
      })
    } catch (error) {
      // Who runs user code under our own uid shares the kernel's count of watches with it; the sweep alone does.
      this.#options.log.warn({ error }, 'bells cannot be heard: jobs are looked at every two seconds only')
    }
    await this.#sweep()
    this.#timer = setInterval(() => void this.#guarded('sweep', () => this.#sweep()), sweepMs)
    this.#tidy(true)
    this.#tidyTimer = setInterval(() => this.#tidy(false), tidyEveryMs)
    this.pump()
  }

  /** Stops following; running shims go on and are found again by the next `start`. */
  async close(): Promise<void> {
    this.#closed = true
    this.#ending.abort()
    clearInterval(this.#timer)
    clearInterval(this.#tidyTimer)
    this.#watcher?.close()
    await this.#pumping
    await this.#tidying
    while (this.#tasks.size > 0 || this.#launches > 0) {
      await Promise.allSettled(this.#tasks.values())
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }

  /** Looks for work soon; cheap to call. */
  pump(): void {
    if (this.#closed) return
    if (this.#pumping !== undefined) {
      this.#pumpAgain = true
      return
    }
    this.#pumping = this.#guarded('start jobs', async () => {
      do {
        this.#pumpAgain = false
        const { database, capacity, floor, clock } = this.#options
        const started = await transact(database, (trx) => store.startNext(trx, capacity, floor, startsPerTurn, clock))
        for (const job of started) {
          this.#ours.add(folders.attemptName(job.id, job.attempt))
          this.#launching.push({ job })
          this.#options.onChange(job.id)
        }
        this.#launchMore()
      } while (this.#pumpAgain && !this.#closed)
    }).finally(() => {
      this.#pumping = undefined
    })
  }

  /** After a cancel request was committed: stops what runs. */
  async stop(jobId: string, attempt: number): Promise<void> {
    const folder = this.folderOf(jobId, attempt)
    await folders.askToStop(folder).catch((error: NodeJS.ErrnoException) => {
      // No folder yet: the launch reads the request before it starts the shim.
      if (error.code !== 'ENOENT') throw error
    })
    this.#inspectSoon(jobId, attempt)
  }

  folderOf(jobId: string, attempt: number): string {
    return join(this.#options.jobsFolder, folders.attemptName(jobId, attempt))
  }

  #launchMore(): void {
    while (this.#launches < launchesAtOnce && this.#launching.length > 0 && !this.#closed) {
      const { job } = this.#launching.shift()!
      this.#launches += 1
      void this.#guarded('launch', () => this.#launch(job)).finally(() => {
        this.#launches -= 1
        this.#launchMore()
      })
    }
  }

  async #launch(job: store.JobRow): Promise<void> {
    const { database, kinds, clock } = this.#options
    const name = folders.attemptName(job.id, job.attempt)
    const folder = this.folderOf(job.id, job.attempt)
    try {
      const kind = kinds.get(job.kind)
      if (kind === undefined) throw new Error(`no kind ${job.kind} is registered`)
      await failpoint('compute.before-launch')
      const sandbox = await this.#options.sandbox
      await launchAttempt({ ...this.#options, sandbox }, kind, store.runningJobOf(job, folder), {
        bell: join(this.#bell, name),
        isCancelled: async () => {
          const now = await store.findJob(database.kysely, job.id)
          return now === undefined || now.cancel_requested_ms !== null
        },
        onExit: () => {
          this.#ours.delete(name)
          this.#inspectSoon(job.id, job.attempt)
        },
      })
      await failpoint('compute.after-launch')
    } catch (error) {
      this.#ours.delete(name)
      this.#options.log.warn({ error, jobId: job.id }, 'a job could not be launched')
      const counters = countersOf(job)
      const verdict: Verdict =
        error instanceof Fault && !error.retry
          ? {
              next: 'end',
              state: 'failed',
              outcome: 'not-started',
              reason: error.hint === undefined ? error.detail : `${error.detail} ${error.hint}`,
            }
          : lost(`it could not be launched: ${(error as Error).message}`, counters)
      await this.#conclude(job, { verdict, endedMs: clock.nowMs() })
    }
  }

  #rung(name: string): void {
    const match = /^([0-9a-f-]+)\.(\d+)$/.exec(name)
    if (match === null) return
    void unlink(join(this.#bell, name)).catch(() => undefined)
    this.#inspectSoon(match[1]!, Number(match[2]))
  }

  async #sweep(): Promise<void> {
    const { database, clock } = this.#options
    const open = await database.kysely
      .selectFrom('compute_attempt')
      .select(['job_id', 'number'])
      .where('state', '!=', 'ended')
      .execute()
    for (const { job_id: jobId, number } of open) this.#inspectSoon(jobId, number)
    for (const { jobId, attempt } of await dueForRecording(database.kysely, clock.nowMs()))
      await this.#recordHour(jobId, attempt)
    this.pump()
  }

  #tidy(empty: boolean): void {
    const { database, jobsFolder, kinds, clock, log } = this.#options
    const { signal } = this.#ending
    this.#tidying = this.#tidying.then(() =>
      this.#guarded('remove the folders of old jobs', async () => {
        const given = { database: database.kysely, jobsFolder, kinds, nowMs: clock.nowMs(), empty, log, signal }
        const { removed } = await sweepFolders(given)
        if (removed > 0) log.info({ removed }, 'folders of old jobs removed')
      }),
    )
  }

  /** Inspections of one attempt never overlap; a request during one makes it run once more. */
  #inspectSoon(jobId: string, attempt: number): void {
    const name = folders.attemptName(jobId, attempt)
    if (this.#closed) return
    if (this.#tasks.has(name)) {
      this.#again.add(name)
      return
    }
    const task = this.#guarded('follow a job', async () => {
      do {
        this.#again.delete(name)
        await this.#inspect(jobId, attempt)
      } while (this.#again.has(name) && !this.#closed)
    }).finally(() => this.#tasks.delete(name))
    this.#tasks.set(name, task)
  }

  async #inspect(jobId: string, number: number): Promise<void> {
    const { database, clock } = this.#options
    const attempt = await database.kysely
      .selectFrom('compute_attempt')
      .selectAll()
      .where('job_id', '=', jobId)
      .where('number', '=', number)
      .executeTakeFirst()
    const job = await store.findJob(database.kysely, jobId)
    if (attempt === undefined || job === undefined || attempt.state === 'ended') return
    const name = folders.attemptName(jobId, number)
    const folder = this.folderOf(jobId, number)
    const done = await folders.readDone(folder)
    const claim = await folders.readClaim(folder)
    if (claim !== undefined && attempt.state === 'starting') {
      await transact(database, (trx) => store.markRunning(trx, jobId, number, claim.claimedMs, clock))
      this.#options.onChange(jobId)
    }
    if (done !== undefined) {
      await this.#finish(job, number, done)
      return
    }
    if (claim === undefined) {
      if (this.#ours.has(name)) return
      // Nobody of this control waits for that shim: take its claim, so that it can never start.
      if (!(await folders.revoke(folder)) && (await folders.readClaim(folder)) !== undefined) {
        this.#again.add(name)
        return
      }
      // It had begun, and a power cut took its claim along with it.
      if (attempt.claimed_ms !== null)
        return await this.#lostShim(job, number, folder, folders.lostClaim(Number(attempt.claimed_ms)))
      return await this.#notStarted(job, number, folder)
    }
    if (isSameProcess(claim)) {
      if (job.cancel_requested_ms !== null) await folders.askToStop(folder)
      return
    }
    if ((await folders.readDone(folder)) !== undefined) {
      this.#again.add(name)
      return
    }
    await this.#lostShim(job, number, folder, claim)
  }

  async #notStarted(job: store.JobRow, number: number, folder: string): Promise<void> {
    const complaint = await folders.shimComplaint(folder)
    const verdict: Verdict =
      complaint === ''
        ? {
            next: 'again',
            outcome: 'not-started',
            reason: 'the platform was restarted before it began',
            counts: undefined,
            pauseMs: 0,
          }
        : lost(`its shim did not start: ${complaint}`, countersOf(job))
    await this.#conclude(job, { number, verdict, endedMs: this.#options.clock.nowMs() })
  }

  /** The shim died without a done marker: first the proof that nothing of it lives, then the next attempt. */
  async #lostShim(job: store.JobRow, number: number, folder: string, claim: folders.ShimClaim): Promise<void> {
    const { shimPath, log } = this.#options
    const { python } = await this.#options.sandbox
    const isDead =
      !folders.isOfThisBoot(claim) || (python !== undefined && (await folders.reap(python.path, shimPath, folder)))
    if (!isDead) {
      log.error({ jobId: job.id, attempt: number }, 'what a dead shim left behind could not be ended; trying again')
      return
    }
    const beat = await folders.readBeat(folder)
    await this.#conclude(job, {
      number,
      verdict: lost('the process that watched over it was killed', countersOf(job)),
      // The last that is known of it: how long control was away is nobody's usage.
      endedMs: beat?.atMs ?? claim.claimedMs,
      measured: { cpuSeconds: beat?.cpuSeconds ?? null, peakMemoryBytes: beat?.peakMemoryBytes ?? null },
    })
  }

  async #finish(job: store.JobRow, number: number, done: DoneMarker): Promise<void> {
    const folder = this.folderOf(job.id, number)
    const verdict = judge(done, countersOf(job), done.exitCode === 0 ? '' : await lastLineOf(folder))
    await this.#conclude(job, { number, verdict, endedMs: done.endedMs, done, measured: done })
  }

  /** Ends the attempt and moves the job, in one transaction, behind the fence. */
  async #conclude(
    job: store.JobRow,
    end: {
      number?: number
      verdict: Verdict
      endedMs: number
      done?: DoneMarker
      measured?: { cpuSeconds: number | null; peakMemoryBytes: number | null }
    },
  ): Promise<void> {
    const { database, clock, kinds } = this.#options
    const number = end.number ?? job.attempt
    const folder = this.folderOf(job.id, number)
    const { verdict, done } = end
    const kind = kinds.get(job.kind)
    const running = { ...store.runningJobOf(job, folder), attempt: number }
    let published: unknown
    let isLast = true
    try {
      const finished = done === undefined ? undefined : { ...done, outFolder: join(folder, 'out') }
      if (verdict.next === 'succeed' && finished !== undefined && kind?.publish !== undefined) {
        if (!(await transact(database, (trx) => store.markFinishing(trx, job.id, number, clock)))) return
        this.#options.onChange(job.id)
        published = await kind.publish(running, finished)
      }
      await failpoint('compute.before-commit')
      await transact(database, async (trx: store.ComputeTransaction) => {
        const measured = end.measured ?? { cpuSeconds: null, peakMemoryBytes: null }
        const outcome: AttemptOutcome = verdict.next === 'succeed' ? 'succeeded' : verdict.outcome
        const current = await store.findJob(trx, job.id)
        const cancelled = current?.cancel_requested_ms !== null
        const because = cancelled ? (current?.reason ?? 'cancelled on request') : ''
        const wall = done === undefined ? null : (done.endedMs - done.startedMs) / 1000
        const final =
          verdict.next === 'again' && cancelled
            ? { state: 'cancelled' as const, reason: because }
            : verdict.next === 'succeed'
              ? { state: 'succeeded' as const, reason: done?.note ?? null }
              : verdict.next === 'end'
                ? {
                    state: verdict.state,
                    reason: verdict.state === 'cancelled' && cancelled ? because : verdict.reason,
                  }
                : undefined
        isLast = final !== undefined
        const moved =
          final === undefined
            ? verdict.next === 'again' &&
              (await store.requeue(
                trx,
                job.id,
                number,
                {
                  reason: verdict.reason,
                  counts: verdict.counts,
                  untilMs: verdict.pauseMs === 0 ? null : clock.nowMs() + verdict.pauseMs,
                },
                clock,
              ))
            : await store.endJob(
                trx,
                job.id,
                number,
                {
                  ...final,
                  endedMs: end.endedMs,
                  exitCode: done?.exitCode ?? null,
                  signal: done?.signal ?? null,
                  outputs: (done?.outputs ?? []).map((output) => ({
                    ...output,
                    published: outMayGo(kind, final.state === 'succeeded', true),
                  })),
                  ...(done !== undefined &&
                    wall !== null && {
                      measured: {
                        cpuSeconds: done.cpuSeconds,
                        peakMemoryBytes: done.peakMemoryBytes,
                        wallSeconds: wall,
                      },
                    }),
                },
                clock,
              )
        await recordUsage(trx, job, number, end.endedMs, measured, outcome)
        await store.endAttempt(trx, job.id, number, {
          outcome,
          reason: verdict.next === 'succeed' ? null : verdict.reason,
          endedMs: end.endedMs,
          exitCode: done?.exitCode ?? null,
          signal: done?.signal ?? null,
        })
        if (!moved || final === undefined) return
        if (final.state === 'succeeded') {
          if (finished !== undefined) await kind?.commit?.(trx, running, finished, published)
        } else await kind?.ended?.(trx, running, { state: final.state, reason: final.reason ?? '' })
      })
    } catch (error) {
      await this.#commitFailed(job, number, end.endedMs, error)
      return
    }
    await failpoint('compute.after-commit')
    await this.#guarded('empty the folder of a job that ended', () =>
      emptyFolder(folder, { out: outMayGo(kind, verdict.next === 'succeed', isLast) }),
    )
    this.#options.onChange(job.id)
    this.pump()
  }

  /** Keeping the results failed: a few more tries by the sweep, then the job fails with the reason; nothing is lost on disk. */
  async #commitFailed(job: store.JobRow, number: number, endedMs: number, error: unknown): Promise<void> {
    const { database, clock, log, kinds } = this.#options
    log.error({ error, jobId: job.id }, 'the results of a job could not be kept')
    const { commit_failures: failures } = await database.kysely
      .updateTable('compute_job')
      .set((row) => ({ commit_failures: row('commit_failures', '+', 1) }))
      .where('id', '=', job.id)
      .returning('commit_failures')
      .executeTakeFirstOrThrow()
    if (failures < commitTries) return
    const reason = `its results could not be kept: ${error instanceof Fault ? error.detail : 'an unexpected error, see the log of control'}`
    await transact(database, async (trx) => {
      const moved = await store.endJob(trx, job.id, number, { state: 'failed', reason, endedMs }, clock)
      await recordUsage(trx, job, number, endedMs, { cpuSeconds: null, peakMemoryBytes: null }, 'failed')
      await store.endAttempt(trx, job.id, number, { outcome: 'failed', reason, endedMs })
      const running = { ...store.runningJobOf(job, this.folderOf(job.id, number)), attempt: number }
      if (moved) await kinds.get(job.kind)?.ended?.(trx, running, { state: 'failed', reason })
    })
    this.#options.onChange(job.id)
    this.pump()
  }

  async #recordHour(jobId: string, attempt: number): Promise<void> {
    const { database, clock } = this.#options
    const beat = await folders.readBeat(this.folderOf(jobId, attempt))
    const job = await store.findJob(database.kysely, jobId)
    if (job === undefined || beat === undefined) return
    const untilMs = Math.floor(Math.min(beat.atMs, clock.nowMs()) / 3_600_000) * 3_600_000
    await transact(database, (trx) => recordUsage(trx, job, attempt, untilMs, beat, 'open'))
  }

  async #guarded(what: string, work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      if (!this.#closed) this.#options.log.error({ error }, `could not ${what}`)
    }
  }
}

function countersOf(job: store.JobRow) {
  return {
    retry: JSON.parse(job.retry) as store.RetryRule,
    infrastructureLosses: job.infrastructure_losses,
    userFailures: job.user_failures,
    memoryMiB: Number(job.memory_mib),
    walltimeMs: Number(job.walltime_ms),
  }
}
