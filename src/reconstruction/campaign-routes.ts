/** The answers of campaign-contract.ts. */
import type { Handlers, RequestContext } from '../foundation/http.ts'
import type { Logbook } from '../logbook/index.ts'
import { cancelCampaign, changeCampaign, createCampaign, retryCampaign } from './campaign-actions.ts'
import type { CampaignContext } from './campaign-actions.ts'
import type { Campaign, campaignRoutes } from './campaign-contract.ts'
import { parameterFacts } from './campaign-parameters.ts'
import type { ParameterOverrides } from './campaign-parameters.ts'
import { listCampaigns, progressOf, requireCampaign, versionsOf } from './campaigns.ts'
import { compareClusters } from './compare-clusters.ts'
import { compareRuns } from './compare-runs.ts'
import { reconstructionFaults } from './errors.ts'
import { presets } from './presets.ts'
import { pathIfThere } from './product-store.ts'
import { productNames } from './payload-spec.ts'
import type { ProductReader } from './product-reader.ts'
import { findSummary } from './tasks.ts'

const presetFacts = presets.map(({ name, description, parameters }) => ({
  name,
  description,
  parameters: { ...parameters } as ParameterOverrides,
}))

/** Somebody else's code runs as that somebody; who lets it run must be allowed to run code. */
export function mayUse(campaign: Pick<Campaign, 'kind' | 'experiment'>, require: RequestContext['require']): void {
  if (campaign.kind === 'script') require('jobs.submit', campaign.experiment)
}

export function campaignHandlers(
  context: CampaignContext & { logbook: Logbook; products: ProductReader },
): Handlers<typeof campaignRoutes> {
  const { kysely } = context.database
  const { codeVersion } = context
  const find = (params: { experiment: string; campaign: string }) =>
    requireCampaign(kysely, params.experiment, params.campaign, codeVersion)

  /** How many jobs of ours the machine holds at once. */
  async function parallelJobs(): Promise<number> {
    const { cpuMilli } = await context.compute.machine()
    return Math.max(1, Math.floor(cpuMilli.total / (context.coresPerJob * 1000)))
  }

  return {
    async listParameters({ params }) {
      await context.logbook.requireExperiment(params.experiment)
      return { items: parameterFacts(), presets: presetFacts }
    },
    async listCampaigns({ params, query }) {
      await context.logbook.requireExperiment(params.experiment)
      const offset = offsetOf(query.cursor)
      const campaigns = await listCampaigns(kysely, params.experiment, codeVersion, { limit: query.limit, offset })
      const names = campaigns.map(({ name }) => name)
      const progress = await progressOf(kysely, params.experiment, names, await parallelJobs())
      return {
        items: campaigns.map((campaign) => ({ ...campaign, progress: progress.get(campaign.name)! })),
        nextCursor: campaigns.length === query.limit ? String(offset + campaigns.length) : null,
      }
    },
    async createCampaign({ params, body }, { caller, require }) {
      await context.logbook.requireExperiment(params.experiment)
      if (body.script !== undefined) require('jobs.submit', params.experiment)
      const { name, ...given } = body
      return await createCampaign(context, params.experiment, name, given, caller)
    },
    async showCampaign({ params }) {
      const versions = await versionsOf(kysely, params.experiment, params.campaign, codeVersion)
      const progress = await progressOf(kysely, params.experiment, [params.campaign], await parallelJobs())
      return { campaign: versions[0]!, versions, progress: progress.get(params.campaign)! }
    },
    async changeCampaign({ params, body }, { caller, require }) {
      const campaign = await find(params)
      mayUse(campaign, require)
      if (body.script !== undefined) require('jobs.submit', params.experiment)
      return await changeCampaign(context, params.experiment, params.campaign, body, caller)
    },
    async retryCampaign({ params, body }, { caller, require }) {
      const campaign = await find(params)
      mayUse(campaign, require)
      return { items: await retryCampaign(context, campaign, body, caller) }
    },
    async cancelCampaign({ params, body }, { caller, require }) {
      const campaign = await find(params)
      mayUse(campaign, require)
      return { items: await cancelCampaign(context, campaign, body, caller) }
    },
    async compareCampaigns({ params, query }) {
      await find(params)
      await find({ ...params, campaign: params.other })
      return await compareRuns(kysely, params.experiment, [params.campaign, params.other], {
        series: query.series,
        limit: query.limit,
        offset: offsetOf(query.cursor),
      })
    },
    async compareRun({ params, query }) {
      const run = await context.logbook.requireRun(params.experiment, params.run)
      const paths: string[] = []
      for (const campaign of [params.campaign, params.other]) {
        const summary = await findSummary(kysely, run.id, campaign)
        if (summary === undefined) {
          throw reconstructionFaults.notReconstructed(`Run ${params.run} has no result in campaign '${campaign}'.`, {
            hint: `Start it with: cygnet reco run ${params.run} --campaign ${campaign}`,
          })
        }
        const key = `${summary.prefix}/${productNames.clusters}`
        const path = await pathIfThere(context.storage, summary.bucket, key)
        if (path === undefined) {
          throw reconstructionFaults.productsMissing(`${summary.bucket}/${key} is not in the store.`, {
            hint: `Make it again: cygnet reco run ${params.run} --campaign ${campaign} --force`,
          })
        }
        paths.push(path)
      }
      const compared = await compareClusters(context.products, [paths[0]!, paths[1]!], {
        limit: query.limit,
        selectedOnly: query.clusters === 'selected',
      })
      return { run: params.run, ...compared }
    },
  }
}

function offsetOf(cursor: string | undefined): number {
  const offset = Number(cursor ?? '0')
  return Number.isSafeInteger(offset) && offset >= 0 ? offset : 0
}
