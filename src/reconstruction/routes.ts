/** The room's answers over HTTP. */
import type { FastifyInstance } from 'fastify'
import type { AnyKysely, OpenedDatabase } from '../foundation/database.ts'
import { bindRoutes } from '../foundation/http.ts'
import type { Gate } from '../foundation/http.ts'
import type { Clock } from '../foundation/time.ts'
import type { Logbook } from '../logbook/index.ts'
import type { Run } from '../logbook/contract.ts'
import { findPedestal, listCalibrations } from './calibrations.ts'
import type { CampaignContext } from './campaign-actions.ts'
import { campaignHandlers, mayUse } from './campaign-routes.ts'
import { requireCampaign } from './campaigns.ts'
import { reconstructionContract } from './contract.ts'
import type { ReconstructionSummary } from './contract.ts'
import { reconstructionFaults } from './errors.ts'
import { resultHandlers } from './results/routes.ts'
import { savedSelectionHandlers } from './results/saved-selections.ts'
import { studyHandlers } from './study/study-routes.ts'
import type { Studies } from './study/studies.ts'
import { frameHandlers } from './frame-routes.ts'
import type { FrameReader } from './frames.ts'
import { pathIfThere } from './job-kinds.ts'
import type { ProductStore } from './job-kinds.ts'
import { acceptedRows, defaultParameters } from './parameters.ts'
import { productNames } from './payload-spec.ts'
import type { Plan, PlanRequest } from './plan.ts'
import type { ProductReader } from './product-reader.ts'
import { waveformHandlers } from './waveform-routes.ts'
import { findSummary, listTasks, summariesOfRun, taskOfRow, tasksOfRun, trendOf } from './tasks.ts'

export interface RouteContext {
  kysely: AnyKysely
  logbook: Logbook
  storage: ProductStore
  products: ProductReader
  frames: FrameReader
  studies: Studies
  database: OpenedDatabase
  clock: Clock
  compute: CampaignContext['compute']
  /** Of our own deciding code. */
  codeVersion: string
  coresPerJob: number
  plan(runId: string, request: PlanRequest): Promise<Plan>
}

const mostRunsAtOnce = 10_000

export function bindReconstructionRoutes(app: FastifyInstance, gate: Gate, context: RouteContext): void {
  const { kysely, logbook, storage, products, frames } = context

  async function resultOf(
    params: { experiment: string; run: string },
    campaign: string,
  ): Promise<ReconstructionSummary> {
    const run = await logbook.requireRun(params.experiment, params.run)
    const summary = await findSummary(kysely, run.id, campaign)
    if (summary !== undefined) return summary
    const task = (await tasksOfRun(kysely, run.id)).find((one) => one.campaign === campaign)
    throw reconstructionFaults.notReconstructed(`Run ${params.run} has no result in campaign '${campaign}'.`, {
      hint:
        task === undefined
          ? `Start it with: cygnet reco run ${params.run} --campaign ${campaign}`
          : `Its reconstruction is ${task.state}${task.reason === null ? '' : `: ${task.reason}`}.`,
    })
  }
  async function productPath(result: ReconstructionSummary, name: string): Promise<string> {
    const path = await pathIfThere(storage, result.bucket, `${result.prefix}/${name}`)
    if (path !== undefined) return path
    throw reconstructionFaults.productsMissing(`${result.bucket}/${result.prefix}/${name} is not in the store.`, {
      hint: `Make it again: cygnet reco run ${result.series}:${result.number} --campaign ${result.campaign} --force`,
    })
  }

  /** The safest copy of the run's file that may be read. */
  async function rawPathOf(run: Run): Promise<string> {
    const raw = (await logbook.runFiles(run.id)).filter((file) => file.role === 'raw')
    const file = raw.find(({ state }) => state === 'safe') ?? raw.find(({ state }) => state === 'damaged')
    if (file === undefined) {
      throw reconstructionFaults.noFile(
        `Run ${run.reference} has no file in the store${raw.length > 0 ? ' yet' : ''}.`,
        {
          hint: 'Its images can be shown once its file has arrived.',
        },
      )
    }
    const path = await pathIfThere(storage, file.bucket, file.key)
    if (path === undefined) throw reconstructionFaults.noFile(`${file.bucket}/${file.key} is not in the store.`)
    return path
  }

  bindRoutes(
    app,
    reconstructionContract,
    {
      ...studyHandlers(context.studies),
      ...campaignHandlers(context),
      ...waveformHandlers({
        products,
        frames,
        requireRun: (experiment, run) => logbook.requireRun(experiment, run),
        rawPathOf,
        resultOf,
        productPathIfThere: (result, name) => pathIfThere(storage, result.bucket, `${result.prefix}/${name}`),
      }),
      ...frameHandlers({
        frames,
        requireRun: (experiment, run) => logbook.requireRun(experiment, run),
        rawPathOf,
        pedestalOf: (run) => findPedestal(kysely, run.experiment, run.series, run.number),
        pathIfThere: (bucket, key) => pathIfThere(storage, bucket, key),
      }),
      ...resultHandlers(app, { kysely, logbook, storage }),
      ...savedSelectionHandlers({ kysely, clock: context.clock, logbook }),
      async showRun({ params }) {
        const run = await logbook.requireRun(params.experiment, params.run)
        return { tasks: await tasksOfRun(kysely, run.id), summaries: await summariesOfRun(kysely, run.id) }
      },
      async listRunClusters({ params, query }) {
        const result = await resultOf(params, query.campaign)
        const { items, nextRow } = await products.clusters(await productPath(result, productNames.clusters), {
          fromRow: rowOf(query.cursor),
          limit: query.limit,
          selected: query.selected,
        })
        return {
          items,
          nextCursor: nextRow === null ? null : String(nextRow),
          ...(query.selected === undefined && { total: result.clusters }),
        }
      },
      async listRunEvents({ params, query }) {
        const result = await resultOf(params, query.campaign)
        const { items, nextRow } = await products.events(await productPath(result, productNames.events), {
          fromRow: rowOf(query.cursor),
          limit: query.limit,
        })
        return { items, nextCursor: nextRow === null ? null : String(nextRow), total: result.images }
      },
      async listEventClusters({ params, query }) {
        const result = await resultOf(params, query.campaign)
        return { items: await products.clustersOfEvent(await productPath(result, productNames.clusters), params.event) }
      },
      async listEventOutlines({ params, query }) {
        const result = await resultOf(params, query.campaign)
        const items = await products.outlinesOfEvent(await productPath(result, productNames.clusters), params.event)
        const [first] = (
          await products.events(await productPath(result, productNames.events), { fromRow: 0, limit: 1 })
        ).items
        const heightPx = first?.heightPx ?? 0
        // What a script looks at is its own affair.
        const rows =
          result.details.numbers === undefined
            ? acceptedRows({ ...defaultParameters, ...result.details.parameters }, heightPx)
            : { first: 0, end: heightPx }
        return { items, acceptance: { firstRow: rows.first, endRow: rows.end } }
      },
      async showTrend({ params, query }) {
        const afterNumber = query.cursor === undefined ? -1 : rowOf(query.cursor)
        const items = await trendOf(kysely, params.experiment, params.series, query.campaign, {
          afterNumber,
          limit: query.limit,
        })
        return { items, nextCursor: items.length === query.limit ? String(items.at(-1)!.number) : null }
      },
      async startReconstruction({ params, body }, { caller, require }) {
        const campaign = await requireCampaign(kysely, params.experiment, body.campaign, context.codeVersion)
        mayUse(campaign, require)
        if (campaign.kind === 'script') await context.compute.requireSandbox(campaign.creatorId)
        const runs = await runsOf(logbook, params.experiment, body)
        const tasks = []
        for (const run of runs) {
          const passedBy = run.kind === 'pedestal' && body.numbers === undefined
          const plan = await context.plan(run.id, {
            campaign: body.campaign,
            requestedBy: caller.id,
            force: body.force && !passedBy,
            retryFailed: !passedBy,
          })
          const skipped = passedBy && plan.outcome === 'already'
          tasks.push({
            run: run.reference,
            outcome: skipped ? ('skipped' as const) : plan.outcome,
            reason: skipped ? 'a pedestal run' : (plan.reason ?? plan.task?.reason ?? null),
            task: plan.task === undefined ? null : taskOfRow(plan.task),
          })
        }
        return { tasks }
      },
      async listTasks({ params, query }) {
        const offset = rowOf(query.cursor)
        const items = await listTasks(kysely, params.experiment, { ...query, offset })
        return { items, nextCursor: items.length === query.limit ? String(offset + items.length) : null }
      },
      async listCalibrations({ params, query }) {
        const offset = rowOf(query.cursor)
        const items = await listCalibrations(kysely, params.experiment, { ...query, offset })
        return { items, nextCursor: items.length === query.limit ? String(offset + items.length) : null }
      },
    },
    gate,
  )
}

function rowOf(cursor: string | undefined): number {
  const row = Number(cursor ?? '0')
  return Number.isSafeInteger(row) && row >= 0 ? row : 0
}

/** The runs that are named, or those of the range that exist; naming a run that does not exist is a 404. */
async function runsOf(
  logbook: Logbook,
  experiment: string,
  body: { series: string; numbers?: number[] | undefined; range?: { from: number; to: number } | undefined },
): Promise<Run[]> {
  const { series, numbers, range } = body
  if (numbers !== undefined) {
    return await Promise.all(
      [...new Set(numbers)].map((number) => logbook.requireRun(experiment, `${series}:${number}`)),
    )
  }
  const runs: Run[] = []
  let cursor: string | undefined
  do {
    const page = await logbook.listRuns(
      experiment,
      { series, numbers: `${range!.from}-${range!.to}` },
      { limit: 1000, ...(cursor !== undefined && { cursor }) },
    )
    runs.push(...page.items)
    cursor = page.nextCursor ?? undefined
  } while (cursor !== undefined && runs.length < mostRunsAtOnce)
  if (runs.length === 0) {
    throw reconstructionFaults.noSuchRun(`Series '${series}' has no run from ${range!.from} to ${range!.to}.`)
  }
  return runs.reverse()
}
