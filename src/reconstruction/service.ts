/**
 * The room, opened in the control process: it follows closed runs and new calibrations, gives jobs to compute, keeps
 * the results and answers questions about them.
 */
import { availableParallelism } from 'node:os'
import type { FastifyInstance } from 'fastify'
import type { Compute } from '../compute/index.ts'
import { transact } from '../foundation/database.ts'
import type { AnyTransaction, OpenedDatabase } from '../foundation/database.ts'
import type { Fact, Facts } from '../foundation/facts.ts'
import type { Gate } from '../foundation/http.ts'
import type { Logger } from '../foundation/log.ts'
import type { Clock } from '../foundation/time.ts'
import type { Logbook } from '../logbook/index.ts'
import { codeVersion } from './code-version.ts'
import { automaticCampaign } from './contract.ts'
import { createFrameReader } from './frames.ts'
import type { FrameReader } from './frames.ts'
import { pedestalKind, reconstructionKind } from './job-kinds.ts'
import type { ProductStore } from './job-kinds.ts'
import { planReconstruction, planWaiting } from './plan.ts'
import type { Plan, PlanContext, PlanRequest } from './plan.ts'
import { createProductReader } from './product-reader.ts'
import type { ProductReader } from './product-reader.ts'
import { bindReconstructionRoutes } from './routes.ts'
import { tasksOfRun } from './tasks.ts'
import type { TaskRow } from './tasks.ts'

export interface ReconstructionOptions {
  database: OpenedDatabase
  facts: Facts
  clock: Clock
  log: Logger
  logbook: Logbook
  storage: ProductStore
  compute: Pick<Compute, 'submit' | 'registerKind'>
  /** Immutable copy of the program; jobs run payload.ts from it. Readable by every uid. */
  programFolder: string
  /** The Node binary for jobs; default the one this process runs on. */
  nodePath?: string
  /** Whom jobs belong to. The code is ours, not a person's: the platform's own identity, trusted by compute. */
  owner: { id: string; name: string }
  /** Cores of one reconstruction job; default half of the machine. */
  coresPerJob?: number
}

export interface Reconstruction {
  /** Plans one run now; what `reco run` does. Idempotent unless forced. */
  plan(trx: AnyTransaction, runId: string, request: PlanRequest): Promise<Plan>
  readonly codeVersion: string
  readonly products: ProductReader
  readonly frames: FrameReader
  routes(app: FastifyInstance, gate: Gate): void
  close(): Promise<void>
}

/** Peak of a job on 5-megapixel images with one worker is about 330 MB; each further worker takes about 60 MB. */
const memoryMiB = 768
const walltimeMs = 4 * 60 * 60 * 1000

/** Registers the job kinds (before compute starts) and begins to follow facts. */
export async function openReconstruction(options: ReconstructionOptions): Promise<Reconstruction> {
  const { database, facts, clock, log, logbook, storage, compute, owner } = options
  const version = await codeVersion()
  const cores = options.coresPerJob ?? Math.max(1, Math.floor(availableParallelism() / 2))
  const planContext: PlanContext = {
    logbook,
    clock,
    codeVersion: version,
    async submit(trx, task, idempotencyKey) {
      const job = await compute.submit(trx, jobSpecOf(task, idempotencyKey, owner, cores))
      return job.id
    },
  }
  const kinds = {
    kysely: database.kysely,
    clock,
    logbook,
    storage,
    plan: planContext,
    codeVersion: version,
    programFolder: options.programFolder,
    nodePath: options.nodePath ?? process.execPath,
  }
  compute.registerKind('pedestal', pedestalKind(kinds))
  compute.registerKind('reconstruction', reconstructionKind(kinds))

  const follower = facts.follow(
    'reconstruction.plan',
    ['logbook.run-closed', 'logbook.run-updated', 'reconstruction.calibration-made'],
    (fact, trx) => onFact(fact, trx),
  )

  async function onFact(fact: Fact, trx: AnyTransaction): Promise<void> {
    const { experiment, series, runId, changed, fromRun, state } = fact.data as Partial<Record<string, unknown>>
    if (fact.kind === 'reconstruction.calibration-made') {
      const submitted = await planWaiting(trx, String(experiment), String(series), Number(fromRun), planContext)
      if (submitted > 0) log.info({ experiment, series, fromRun, submitted }, 'runs that waited for a pedestal')
      return
    }
    if (fact.kind === 'logbook.run-updated') {
      // A file of a closed run became safe: only runs that wait for it are looked at.
      if (changed !== 'files' || (state !== 'closed' && state !== 'crashed')) return
      const waits = (await tasksOfRun(trx, String(runId))).some((task) => task.state === 'waiting')
      if (!waits) return
    }
    const run = await logbook.runById(String(runId), trx)
    const request = { campaign: automaticCampaign, requestedBy: 'automatic', force: false, retryFailed: false }
    const { outcome, reason } = await planReconstruction(trx, run, request, planContext)
    log.info({ experiment, run: run.reference, outcome, reason }, 'reconstruction planned')
  }

  const products = createProductReader()
  const frames = createFrameReader()
  const room: Reconstruction = {
    plan: async (trx, runId, request) =>
      planReconstruction(trx, await logbook.runById(runId, trx), request, planContext),
    codeVersion: version,
    products,
    frames,
    routes: (app, gate) =>
      bindReconstructionRoutes(app, gate, {
        kysely: database.kysely,
        logbook,
        storage,
        products,
        frames,
        plan: (runId, request) => transact(database, (trx) => room.plan(trx, runId, request)),
      }),
    close: () => follower.stop(),
  }
  return room
}

function jobSpecOf(task: TaskRow, idempotencyKey: string, owner: ReconstructionOptions['owner'], cores: number) {
  const run = `${task.series}:${task.number}`
  const what = task.kind === 'pedestal' ? `Pedestal of ${run}` : `Reconstruction of ${run}`
  const inCampaign = task.campaign === '' || task.campaign === automaticCampaign ? '' : ` in campaign ${task.campaign}`
  return {
    kind: task.kind,
    title: `${what}${inCampaign}`,
    experiment: task.experiment,
    ownerId: owner.id,
    ownerName: owner.name,
    class: task.requested_by === 'automatic' ? ('prompt' as const) : ('batch' as const),
    subject: run,
    payload: { taskId: task.id, generation: task.generation },
    request: {
      cpuMilli: task.kind === 'pedestal' ? 1000 : cores * 1000,
      memoryMiB: memoryMiB + 64 * (cores - 1),
      walltimeMs,
    },
    retry: { exitCodes: [1], maximum: 2 },
    idempotencyKey,
  }
}
