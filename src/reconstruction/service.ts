/**
 * The room, opened in the control process: it follows closed runs and new calibrations, gives jobs to compute, keeps
 * the results and answers questions about them.
 */
import { availableParallelism } from 'node:os'
import type { FastifyInstance } from 'fastify'
import { fitted, type Compute } from '../compute/index.ts'
import type { RunIndexes } from '../detector/index.ts'
import { transact } from '../foundation/database.ts'
import type { AnyTransaction, OpenedDatabase } from '../foundation/database.ts'
import type { Fact, Facts } from '../foundation/facts.ts'
import { programCommit } from '../foundation/git-commit.ts'
import type { Gate } from '../foundation/http.ts'
import type { Logger } from '../foundation/log.ts'
import type { Clock } from '../foundation/time.ts'
import type { Logbook } from '../logbook/index.ts'
import type { Campaign, CampaignScript } from './campaign-contract.ts'
import { codeVersion } from './code-version.ts'
import { automaticCampaign } from './contract.ts'
import { createFrameReader } from './frames.ts'
import type { FrameReader } from './frames.ts'
import { pedestalKind, reconstructionKind } from './job-kinds.ts'
import type { ProductStore } from './job-kinds.ts'
import { planReconstruction, planWaiting, planWithNewTruth } from './plan.ts'
import type { Plan, PlanContext, PlanRequest } from './plan.ts'
import { createProductReader } from './product-reader.ts'
import type { ProductReader } from './product-reader.ts'
import { bindReconstructionRoutes } from './routes.ts'
import { openStudies } from './study/studies.ts'
import { scriptKind } from './script-kind.ts'
import { tasksOfRun } from './tasks.ts'
import type { TaskRow } from './tasks.ts'

export interface ReconstructionOptions {
  database: OpenedDatabase
  facts: Facts
  clock: Clock
  log: Logger
  logbook: Logbook
  storage: ProductStore
  compute: Pick<
    Compute,
    'submit' | 'registerKind' | 'cancel' | 'show' | 'machine' | 'requireSandbox' | 'environment' | 'limitsOf'
  >
  /** Immutable copy of the program; jobs run payload.ts from it. Readable by every uid. */
  programFolder: string
  /** The Node binary for jobs; default the one this process runs on. */
  nodePath?: string
  /** Whom jobs belong to. The code is ours, not a person's: the platform's own identity, trusted by compute. */
  owner: { id: string; name: string }
  /** Cores of one reconstruction job; default half of the machine. */
  coresPerJob?: number
  /** Where pictures of compressed runs are found; without it each is inflated anew. */
  runIndexes?: RunIndexes
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
    async submit(trx, task, idempotencyKey, campaign) {
      const spec =
        campaign === undefined || campaign.script === null
          ? jobSpecOf(task, idempotencyKey, owner, cores)
          : scriptJobSpec(task, idempotencyKey, campaign, campaign.script)
      // The policy may have become tighter since the campaign was made; for the platform's own work there is none.
      const request = fitted(spec.request, compute.limitsOf(spec.ownerId, spec.experiment))
      return (await compute.submit(trx, { ...spec, request })).id
    },
  }
  const kinds = {
    kysely: database.kysely,
    clock,
    logbook,
    storage,
    plan: planContext,
    codeVersion: version,
    gitCommit: await programCommit(options.programFolder),
    programFolder: options.programFolder,
    nodePath: options.nodePath ?? process.execPath,
  }
  compute.registerKind('pedestal', pedestalKind(kinds))
  compute.registerKind('reconstruction', reconstructionKind(kinds))
  compute.registerKind('script', scriptKind({ ...kinds, compute }))

  const studies = openStudies({ ...kinds, database, compute, owner, cores })

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
      // A file of a closed run became safe: only runs that wait for it, or for another truth, are looked at.
      if (changed !== 'files' || (state !== 'closed' && state !== 'crashed')) return
      const again = await planWithNewTruth(trx, await logbook.runById(String(runId), trx), planContext)
      if (again.length > 0) log.info({ experiment, runId, campaigns: again }, 'planned again with the truth that came')
      const waits = (await tasksOfRun(trx, String(runId))).some((task) => task.state === 'waiting')
      if (!waits) return
    }
    const run = await logbook.runById(String(runId), trx)
    const request = { campaign: automaticCampaign, requestedBy: 'automatic', force: false, retryFailed: false }
    const { outcome, reason } = await planReconstruction(trx, run, request, planContext)
    log.info({ experiment, run: run.reference, outcome, reason }, 'reconstruction planned')
  }

  /** Jobs that the plan made useless are asked to end; they would publish nothing anyway. */
  async function planNow(runId: string, request: PlanRequest): Promise<Plan> {
    const plan = await transact(database, (trx) => room.plan(trx, runId, request))
    for (const jobId of plan.superseded) await compute.cancel(jobId)
    return plan
  }

  const products = createProductReader()
  const frames = createFrameReader(options.runIndexes)
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
        studies,
        compute,
        database,
        clock,
        codeVersion: version,
        coresPerJob: cores,
        plan: planNow,
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

/** Somebody's own code: it belongs to whoever made the campaign, and has its uid. */
function scriptJobSpec(task: TaskRow, idempotencyKey: string, campaign: Campaign, script: CampaignScript) {
  const run = `${task.series}:${task.number}`
  return {
    kind: 'script',
    title: `Campaign ${campaign.name} over ${run}`,
    experiment: task.experiment,
    ownerId: campaign.creatorId,
    ownerName: campaign.creatorName,
    class: 'batch' as const,
    subject: run,
    payload: { taskId: task.id, generation: task.generation },
    request: {
      cpuMilli: script.cores * 1000,
      memoryMiB: script.memoryMiB,
      walltimeMs: script.walltimeSeconds * 1000,
    },
    // By convention of sysexits.h a program asks for another try with 75.
    retry: { exitCodes: [75], maximum: 3 },
    idempotencyKey,
  }
}
