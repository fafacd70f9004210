/** The room `notebooks`, opened: sessions as jobs, their readiness, tokens, starter notebooks and published routes. */
import { join } from 'node:path'
import { transact, type OpenedDatabase } from '../foundation/database.ts'
import type { Logger } from '../foundation/log.ts'
import type { Clock } from '../foundation/time.ts'
import { fitted, type Compute, type Job } from '../compute/index.ts'
import type { Identity } from '../identity/index.ts'
import type { z } from 'zod'
import type { EnvironmentStatus, Session, SessionState, Ticket, notebooksConfig } from './contract.ts'
import { openEnvironment } from './environment/environment.ts'
import { notebookErrors } from './errors.ts'
import { answers, writeNotebook, type JupyterPlace } from './jupyter-call.ts'
import type { NotebookRoute } from './proxy/route.ts'
import {
  accessFiles,
  environmentParts,
  mintFor,
  sessionKind,
  tokenLifetimeMs,
  type Credentials,
  type PayloadContext,
} from './session-kind.ts'
import {
  basePathOf,
  findOrInsert,
  findSession,
  livingSessions,
  sessionOfJob,
  type NotebookKysely,
  type SessionRow,
} from './session-store.ts'
import { readResults, resultsNotebook, resultsPath } from './results-notebook.ts'
import { starterNotebook, starterPath } from './starter-notebook.ts'

export interface NotebooksOptions {
  database: OpenedDatabase
  clock: Clock
  log: Logger
  /** Shared by installations: environments live there. */
  cacheFolder: string
  /** The copy of the program that runs: python/src below it. */
  programFolder: string
  searchPath: string
  config: z.output<typeof notebooksConfig>
  compute: Compute
  identity: Credentials & Pick<Identity, 'createContentTicket'>
  ports: { platform: number; s3: number }
  s3Region: string
  /** Origin of people's own code: `http://localhost:8410`. */
  contentUrl: string
  /** Another list of pins, for tests. */
  requirementsPath?: string
}

export interface Notebooks {
  /** Takes up the sessions that live, begins to make the environment. Before compute's `start` returns is best. */
  start(): Promise<void>
  /**
   * The person's session in the experiment, made if there is none; with a run its starter notebook is (or will be) there,
   * with results (the address of their page) a new notebook of them. Throws `unreadableResults`.
   */
  startSession(
    person: { id: string; name: string },
    wanted: { experiment: string; run?: string; results?: string },
  ): Promise<Session>
  show(sessionId: string): Promise<Session>
  /** The session that a job is: whose credentials end with it. */
  sessionIdOf(jobId: string): Promise<string>
  list(ownerId: string, filter: { experiment?: string; all: boolean }): Promise<Session[]>
  /** Asks for the end; `stopped` is said only when nothing of it lives. */
  stop(sessionId: string): Promise<Session>
  /** A single-use address for the owner's browser. */
  /** `windowId`: the browser session that asks; what it opens ends with a sign-out there. */
  createTicket(sessionId: string, openPath?: string, windowId?: string): Promise<Ticket>
  environment(): EnvironmentStatus
  /** Makes the environment now, with progress (demo, doctor). */
  ensureEnvironment(progress?: (step: string) => void): Promise<void>
  /** For the snapshot that gateways read; holds secrets. */
  snapshotPart(): { routes: NotebookRoute[] }
  /** Called when `snapshotPart` has changed. */
  onRoutesChanged(listener: () => void): () => void
  close(): Promise<void>
}

interface WantedResults {
  path: string
  /** Of the results page, what stands behind `?`. */
  address: string
}

const kindName = 'session'
const ticketLifetimeMs = 30_000
const lookMs = 50
const keptMs = 30 * 24 * 3_600_000

export async function openNotebooks(options: NotebooksOptions): Promise<Notebooks> {
  const { database, clock, log, compute, config } = options
  const kysely = database.kysely as NotebookKysely
  const environment = await openEnvironment(options)
  const payload: PayloadContext = {
    environment,
    credentials: options.identity,
    programFolder: options.programFolder,
    ports: options.ports,
    s3Region: options.s3Region,
  }
  const listeners = new Set<() => void>()
  const closing = new AbortController()
  /** One watcher per living session, from its start to its end. */
  const watchers = new Map<string, Promise<void>>()
  let routes: NotebookRoute[] = []
  let timer: NodeJS.Timeout | undefined

  compute.registerKind(kindName, sessionKind({ ...payload, kysely }))
  compute.provideEnvironment('notebook', async ({ id, ownerId, experiment }, { access }) => ({
    ...environmentParts(payload, await environment.ensure()),
    // Member by member: a job has a kind of its own, and whose token that names is nobody's.
    ...(access && { files: await accessFiles(payload, { kind: 'job', id, ownerId, experiment }) }),
  }))

  function placeOf(row: SessionRow, job: Job): JupyterPlace {
    return {
      socketPath: join(compute.folderOf(job.id, job.attempt), 'session', 'jupyter.sock'),
      basePath: basePathOf(row),
      sessionId: row.id,
      key: row.header_key,
      owner: { id: row.owner_id, name: row.owner_name },
    }
  }

  async function publish(): Promise<void> {
    const next: NotebookRoute[] = []
    for (const row of await livingSessions(kysely)) {
      const job = await compute.show(row.job_id)
      const state = stateOf(row, job)
      next.push({
        sessionId: row.id,
        ownerId: row.owner_id,
        ownerName: row.owner_name,
        experiment: row.experiment,
        basePath: basePathOf(row),
        key: row.header_key,
        socketPath: row.ready_ms === null ? null : placeOf(row, job).socketPath,
        state: state === 'running' ? 'running' : state === 'stopping' ? 'stopping' : 'starting',
      })
    }
    if (JSON.stringify(next) === JSON.stringify(routes)) return
    routes = next
    for (const listener of listeners) listener()
  }

  /** Follows one session until its job has ended: readiness, starter notebooks, its route. */
  function watch(sessionId: string): void {
    if (watchers.has(sessionId) || closing.signal.aborted) return
    watchers.set(
      sessionId,
      follow(sessionId)
        .catch((error: unknown) => {
          if (!closing.signal.aborted) log.error({ error, sessionId }, 'a session could not be followed')
        })
        .finally(() => watchers.delete(sessionId)),
    )
  }

  async function follow(sessionId: string): Promise<void> {
    const { signal } = closing
    for (;;) {
      if (signal.aborted) return
      const row = await findSession(kysely, sessionId)
      const job = await compute.show(row.job_id)
      if (['done', 'failed', 'cancelled'].includes(job.state)) {
        await publish()
        return
      }
      if (job.state !== 'running') {
        await publish()
        await compute.changed(job.id, 1_000, signal)
        continue
      }
      const place = placeOf(row, job)
      if (row.ready_ms === null) {
        if (!(await answers(place))) {
          await new Promise((resolve) => setTimeout(resolve, lookMs))
          continue
        }
        await writeWanted(row, place)
        await kysely
          .updateTable('notebook_session')
          .set({ ready_ms: clock.nowMs() })
          .where('id', '=', sessionId)
          .execute()
      } else await writeWanted(row, place)
      await publish()
      await compute.changed(job.id, 60_000, signal)
    }
  }

  async function writeWanted(row: SessionRow, place: JupyterPlace): Promise<void> {
    const { wanted_run: run, wanted_results: results } = row
    if (run !== null) {
      await writeOrOpenWithout(row, place, starterPath(run), () => starterNotebook(run, row.experiment))
      await written(row, 'wanted_run', run)
    }
    if (results !== null) {
      const { path, address } = JSON.parse(results) as WantedResults
      await writeOrOpenWithout(row, place, path, () => resultsNotebook(readResults(address), row.experiment))
      await written(row, 'wanted_results', results)
    }
  }

  /** The session is worth more than the notebook: it opens without. */
  async function writeOrOpenWithout(row: SessionRow, place: JupyterPlace, path: string, make: () => unknown) {
    try {
      await writeNotebook(place, path, make())
    } catch (error) {
      log.warn({ error, sessionId: row.id, path }, 'a notebook could not be written')
    }
  }

  async function written(row: SessionRow, column: 'wanted_run' | 'wanted_results', value: string): Promise<void> {
    await kysely
      .updateTable('notebook_session')
      .set({ [column]: null })
      .where('id', '=', row.id)
      .where(column, '=', value)
      .execute()
  }

  async function refreshTokens(): Promise<void> {
    for (const row of await livingSessions(kysely)) {
      const job = await compute.show(row.job_id)
      if (job.state !== 'running') continue
      try {
        await compute.writeFile(job, {
          name: 'token',
          content: mintFor(payload, { kind: 'session', id: row.id, ownerId: row.owner_id, experiment: row.experiment }),
        })
      } catch (error) {
        log.warn({ error, sessionId: row.id }, 'the token of a session could not be renewed')
      }
    }
  }

  async function show(sessionId: string): Promise<Session> {
    const row = await findSession(kysely, sessionId)
    return sessionOf(row, await compute.show(row.job_id), options.contentUrl)
  }

  // Whoever sees a session without a route ends its open websockets: they are known before anybody can ask for them.
  await publish()

  return {
    async start() {
      void environment
        .ensure((step) => log.info({ step }, 'python environment'))
        .catch((error: unknown) => log.error({ error }, 'the python environment could not be made'))
      for (const row of await livingSessions(kysely)) watch(row.id)
      await publish()
      await refreshTokens()
      timer = setInterval(
        () => void refreshTokens().catch((error: unknown) => log.error({ error }, 'tokens could not be renewed')),
        tokenLifetimeMs / 3,
      ).unref()
    },

    async startSession(person, wanted) {
      const changes = wishOf(wanted, clock.nowMs())
      await compute.requireSandbox(person.id)
      if (environment.status().state === 'failed') environment.ready()
      const row = await transact(database, async (trx) => {
        const session = await findOrInsert(trx, {
          ownerId: person.id,
          ownerName: person.name,
          experiment: wanted.experiment,
          nowMs: clock.nowMs(),
          async jobIdOf(sessionId) {
            const job = await compute.submit(trx, {
              kind: kindName,
              title: `notebook of ${person.name}`,
              experiment: wanted.experiment,
              ownerId: person.id,
              ownerName: person.name,
              class: 'interactive',
              payload: { sessionId },
              request: fitted(
                {
                  cpuMilli: config.cpuMilli,
                  memoryMiB: config.memoryMiB,
                  walltimeMs: Math.round(config.walltimeHours * 3_600_000),
                },
                compute.limitsOf(person.id, wanted.experiment),
              ),
              // A server that died took its kernels along: starting another one in silence would hide that.
              retry: { infrastructure: 0 },
              idempotencyKey: `session ${sessionId}`,
            })
            return job.id
          },
        })
        if (changes === undefined) return session
        await trx.updateTable('notebook_session').set(changes).where('id', '=', session.id).execute()
        return { ...session, ...changes }
      })
      if (row.ready_ms !== null) {
        const job = await compute.show(row.job_id)
        if (job.state === 'running') await writeWanted(row, placeOf(row, job))
      }
      watch(row.id)
      return await show(row.id)
    },

    show,
    sessionIdOf: async (jobId) => (await sessionOfJob(kysely, jobId)).id,

    async list(ownerId, filter) {
      let query = kysely.selectFrom('notebook_session').selectAll().where('owner_id', '=', ownerId)
      if (filter.experiment !== undefined) query = query.where('experiment', '=', filter.experiment)
      query = filter.all ? query.where('created_ms', '>', clock.nowMs() - keptMs) : query.where('living', '=', 'yes')
      const rows = await query.orderBy('created_ms', 'desc').limit(200).execute()
      return await Promise.all(
        rows.map(async (row) => sessionOf(row, await compute.show(row.job_id), options.contentUrl)),
      )
    },

    async stop(sessionId) {
      const row = await findSession(kysely, sessionId)
      await compute.cancel(row.job_id)
      await publish()
      return await show(sessionId)
    },

    async createTicket(sessionId, openPath, windowId) {
      const row = await findSession(kysely, sessionId)
      const job = await compute.show(row.job_id)
      if (stateOf(row, job) !== 'running') {
        throw notebookErrors.notRunning(`The session is ${stateOf(row, job)}.`, {
          hint: 'Wait until it runs, or start it again.',
        })
      }
      const ticket = await options.identity.createContentTicket(row.owner_id, row.id, windowId)
      const path = openPath ?? row.open_path
      const to = path === null ? 'lab' : `lab/tree/${path.split('/').map(encodeURIComponent).join('/')}`
      return {
        url: `${originOf(row, options.contentUrl)}/_content/open#${new URLSearchParams({ ticket, to }).toString()}`,
        expiresAtMs: clock.nowMs() + ticketLifetimeMs,
      }
    },

    environment: () => environment.status(),
    async ensureEnvironment(progress) {
      await environment.ensure(progress)
    },
    snapshotPart: () => ({ routes }),
    onRoutesChanged(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    async close() {
      closing.abort()
      clearInterval(timer)
      await Promise.allSettled(watchers.values())
    },
  }
}

/** What a wish for a notebook changes in the row; results that cannot be read are refused here. */
function wishOf({ run, results }: { run?: string; results?: string }, nowMs: number) {
  if (results !== undefined) {
    const wish: WantedResults = { path: resultsPath(readResults(results), nowMs), address: results }
    return { open_path: wish.path, wanted_results: JSON.stringify(wish) }
  }
  return run === undefined ? undefined : { open_path: starterPath(run), wanted_run: run }
}

function stateOf(row: SessionRow, job: Job): SessionState {
  switch (job.state) {
    case 'waiting':
      return 'waiting'
    case 'starting':
      return 'starting'
    case 'running':
      return job.cancelRequested ? 'stopping' : row.ready_ms === null ? 'starting' : 'running'
    case 'failed':
      return 'failed'
    default:
      return 'stopped'
  }
}

/** Where the site has a host name for each person, the one of the session's owner. */
function originOf(row: SessionRow, contentUrl: string): string {
  return contentUrl.replace('*', row.owner_name)
}

function sessionOf(row: SessionRow, job: Job, contentUrl: string): Session {
  const state = stateOf(row, job)
  return {
    id: row.id,
    jobId: row.job_id,
    ownerId: row.owner_id,
    ownerName: row.owner_name,
    experiment: row.experiment,
    state,
    reason: job.reason,
    sinceMs: state === 'running' ? Number(row.ready_ms) : job.sinceMs,
    startedMs: job.startedMs,
    url: `${originOf(row, contentUrl)}${basePathOf(row)}lab`,
    openPath: row.open_path,
  }
}
