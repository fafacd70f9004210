/** What people do with campaigns: make, change, try again, cancel. Input is checked; permissions are the routes'. */
import { requireEnvironment, requireWithin, type Compute } from '../compute/index.ts'
import { transact } from '../foundation/database.ts'
import type { AnyTransaction, OpenedDatabase } from '../foundation/database.ts'
import { appendFact } from '../foundation/facts.ts'
import type { Clock } from '../foundation/time.ts'
import type { ActionOutcome, Campaign, CampaignChange, RunSelection } from './campaign-contract.ts'
import { automaticCampaign } from './campaign-name.ts'
import { checkedParameters, presetNamed } from './campaign-parameters.ts'
import type { ParameterOverrides } from './campaign-parameters.ts'
import { addCampaign, requireCampaign } from './campaigns.ts'
import type { Recipe } from './campaigns.ts'
import { reconstructionFaults } from './errors.ts'
import type { Plan, PlanRequest } from './plan.ts'
import type { ProductStore } from './product-store.ts'
import { checkScript, storeScript } from './script-files.ts'
import { changeTask, newestTasks, taskById } from './tasks.ts'

export interface CampaignContext {
  database: OpenedDatabase
  clock: Clock
  storage: ProductStore
  compute: Pick<Compute, 'cancel' | 'show' | 'machine' | 'requireSandbox' | 'limitsOf'>
  /** Of our own deciding code. */
  codeVersion: string
  coresPerJob: number
  plan(runId: string, request: PlanRequest): Promise<Plan>
}

interface Person {
  id: string
  name: string
}

/** Throws `campaignExists` and what `recipeOf` throws. */
export async function createCampaign(
  context: CampaignContext,
  experiment: string,
  name: string,
  given: CampaignChange,
  creator: Person,
): Promise<Campaign> {
  const recipe = await recipeOf(context, experiment, name, given, undefined, creator)
  return await transact(context.database, (trx) =>
    addCampaign(trx, { experiment, name, recipe, creator }, undefined, context),
  )
}

/**
 * The next version; what is left out of `given` stays as it is. The same recipe makes no version. Whoever makes a version
 * of a script answers for it: it runs as that person.
 */
export async function changeCampaign(
  context: CampaignContext,
  experiment: string,
  name: string,
  given: CampaignChange,
  creator: Person,
): Promise<Campaign> {
  const before = await requireCampaign(context.database.kysely, experiment, name, context.codeVersion)
  const recipe = await recipeOf(context, experiment, name, given, before, creator)
  const isSame =
    recipe.description === before.description &&
    recipe.preset === before.preset &&
    JSON.stringify(recipe.parameters) === JSON.stringify(before.parameters) &&
    JSON.stringify({ ...recipe.script, version: 0 }) === JSON.stringify({ ...before.script, version: 0 })
  if (isSame) return before
  return await transact(context.database, (trx) =>
    addCampaign(trx, { experiment, name, recipe, creator }, before.version, context),
  )
}

/** A checked recipe; the files of a script are in the store when this returns. */
async function recipeOf(
  context: CampaignContext,
  experiment: string,
  name: string,
  given: CampaignChange,
  before: Campaign | undefined,
  creator: Person,
): Promise<Recipe> {
  const description = given.description ?? before?.description ?? ''
  const isScript = given.script !== undefined || before?.kind === 'script'
  if (isScript && (given.parameters !== undefined || given.preset !== undefined)) {
    throw reconstructionFaults.badRecipe('A script has its own numbers: parameters are those of the built-in chain.', {
      hint: 'Give them as arguments of its command.',
    })
  }
  if (given.script !== undefined) {
    if (before?.kind === 'builtin') {
      throw reconstructionFaults.badRecipe(`Campaign '${name}' is the built-in chain; a script is another campaign.`)
    }
    await context.compute.requireSandbox(creator.id)
    const checked = checkScript(experiment, name, given.script)
    const { cores, memoryMiB, walltimeSeconds, environment } = checked.script
    const limits = context.compute.limitsOf(creator.id, experiment)
    requireEnvironment(environment, limits)
    requireWithin({ cpuMilli: cores * 1000, memoryMiB, walltimeMs: walltimeSeconds * 1000 }, limits)
    await storeScript(checked, context.storage)
    return { description, parameters: {}, preset: null, script: checked.script }
  }
  if (before?.script) {
    const script = { ...before.script, version: before.codeVersion }
    return { description, parameters: {}, preset: null, script }
  }
  if (given.parameters === undefined && given.preset === undefined) {
    return { description, parameters: before?.parameters ?? {}, preset: before?.preset ?? null, script: null }
  }
  const preset = given.preset ?? null
  const set: ParameterOverrides = preset === null ? {} : presetNamed(preset)
  return { description, parameters: checkedParameters({ ...set, ...given.parameters }), preset, script: null }
}

/** Failed and cancelled runs once more, each as its own wish: one that cannot is said and does not stop the others. */
export async function retryCampaign(
  context: CampaignContext,
  campaign: Campaign,
  selection: RunSelection,
  person: Person,
): Promise<ActionOutcome[]> {
  // A pedestal that failed holds up the runs of every campaign; it is tried again with the automatic one.
  const names = campaign.name === automaticCampaign ? [campaign.name, ''] : [campaign.name]
  const { kysely } = context.database
  const tasks = await newestTasks(kysely, campaign.experiment, names, selection, ['failed', 'cancelled'])
  const outcomes: ActionOutcome[] = []
  for (const task of tasks) {
    const { outcome, reason } = await context.plan(task.run_id, {
      campaign: campaign.name,
      requestedBy: person.id,
      force: false,
      retryFailed: true,
    })
    outcomes.push({ run: `${task.series}:${task.number}`, outcome, reason: reason ?? null })
  }
  return outcomes
}

/** What waits, for a pedestal or for a place on the machine, will not begin; what runs is left alone. */
export async function cancelCampaign(
  context: CampaignContext,
  campaign: Campaign,
  selection: RunSelection,
  person: Person,
): Promise<ActionOutcome[]> {
  const { database, clock, compute } = context
  const states = ['waiting', 'submitted'] as const
  const tasks = await newestTasks(database.kysely, campaign.experiment, [campaign.name], selection, states)
  const outcomes: ActionOutcome[] = []
  for (const task of tasks) {
    const run = `${task.series}:${task.number}`
    if (task.job_id !== null && task.state === 'submitted') {
      const job = await compute.show(task.job_id)
      if (job.state !== 'waiting') {
        outcomes.push({ run, outcome: 'begun', reason: `its job is ${job.state}` })
        continue
      }
      await compute.cancel(task.job_id)
    } else {
      await transact(database, async (trx: AnyTransaction) => {
        if ((await taskById(trx, task.id))?.state !== 'waiting') return
        const reason = `cancelled by ${person.name} while it waited`
        await changeTask(trx, task.id, { state: 'cancelled', reason, updated_ms: clock.nowMs() })
        const data = { experiment: campaign.experiment, runId: task.run_id, run, campaign: campaign.name, reason }
        const subject = `${campaign.experiment}/${run}`
        await appendFact(trx, { kind: 'reconstruction.run-cancelled', subject, data }, clock)
      })
    }
    outcomes.push({ run, outcome: 'cancelled', reason: null })
  }
  return outcomes
}
