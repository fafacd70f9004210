/** `cygnet reco campaign …` and what goes with it: parameters, dead letters, comparisons. */
import { basename } from 'node:path'
import type { Command } from 'commander'
import { addVerb } from '../foundation/command-line.ts'
import type { CommandContext } from '../foundation/command-line.ts'
import { printDuration, printTime } from '../foundation/time.ts'
import { experimentOf } from '../logbook/index.ts'
import type { ActionOutcome, Campaign, CampaignProgress } from './campaign-contract.ts'
import { automaticCampaign, reconstructionContract } from './contract.ts'
import { reconstructionFaults } from './errors.ts'
import { parseRuns } from './run-names.ts'
import { collectScript } from './script-upload.ts'

const experimentOption = ['-e, --experiment <name>', 'the experiment; may be left out if you see only one'] as const

interface RecipeOptions {
  experiment?: string
  description?: string
  set?: string[]
  preset?: string
  script?: string
  environment?: string
  cores?: string
  memory?: string
  walltime?: string
}

export function registerCampaignCommands(reco: Command, context: CommandContext): void {
  const { output } = context
  const client = () => context.client(reconstructionContract)

  addVerb(reco, 'parameters', {
    summary: 'the numbers the chain depends on: units, defaults, names in the reference; and named sets of them',
    example: 'cygnet reco parameters --json',
  })
    .option(...experimentOption)
    .action(async (options: { experiment?: string }) => {
      const experiment = await experimentOf(context, options.experiment)
      const answer = await client().listParameters({ params: { experiment } })
      if (output.isJson) return output.json(answer)
      output.table(answer.items, ['name', 'default', 'unit', 'reference', 'meaning'])
      for (const { name, description } of answer.presets) output.line(`preset ${name}: ${description}`)
    })

  addVerb(reco, 'campaigns', {
    summary: 'campaigns of an experiment and how far they are',
    example: 'cygnet reco campaigns -e demo',
  })
    .option(...experimentOption)
    .option('--cursor <cursor>', 'continue after the page that gave this cursor')
    .action(async (options: { experiment?: string; cursor?: string }) => {
      const experiment = await experimentOf(context, options.experiment)
      const query = options.cursor === undefined ? {} : { cursor: options.cursor }
      output.list(await client().listCampaigns({ params: { experiment }, query }), [
        'name',
        'version',
        'kind',
        { title: 'done', value: (one) => one.progress.done },
        { title: 'under way', value: (one) => one.progress.submitted + one.progress.waiting },
        { title: 'failed', value: (one) => one.progress.failed },
        { title: 'made by', value: (one) => one.creatorName },
        { title: 'differs by', value: (one) => recipeOf(one) },
      ])
    })

  const campaign = reco.command('campaign').description('one way of processing runs: make, show, change, cancel')

  recipeVerb(campaign, 'create <name> [command...]', {
    summary: 'make a campaign: other parameters, or your own script (its command after --)',
    example:
      'cygnet reco campaign create low-threshold --set zeroSuppressionSigma=0.9\n  $ cygnet reco campaign create mine --script ./mine -- python3 cluster.py {raw} {pedestal} {out}',
  }).action(async (name: string, command: string[], options: RecipeOptions) => {
    const experiment = await experimentOf(context, options.experiment)
    const recipe = await recipeFrom(context, command, options)
    const made = await client().createCampaign({ params: { experiment }, body: { name, ...recipe } })
    if (output.isJson) return output.json(made)
    output.line(`${made.name}: ${recipeOf(made)}, code ${made.codeVersion}`)
    output.line(`Use it with: cygnet reco run SERIES:FROM-TO --campaign ${made.name}`)
  })

  recipeVerb(campaign, 'change <name> [command...]', {
    summary: 'make the next version of a campaign; results of earlier versions keep their lineage',
    example: 'cygnet reco campaign change low-threshold --set zeroSuppressionSigma=1.1',
  }).action(async (name: string, command: string[], options: RecipeOptions) => {
    const experiment = await experimentOf(context, options.experiment)
    const body = await recipeFrom(context, command, options)
    const made = await client().changeCampaign({ params: { experiment, campaign: name }, body })
    if (output.isJson) return output.json(made)
    output.line(`${made.name} version ${made.version}: ${recipeOf(made)}, code ${made.codeVersion}`)
  })

  addVerb(campaign, 'show <name>', {
    summary: 'what a campaign does, its versions, and how far it is',
    example: 'cygnet reco campaign show main',
  })
    .option(...experimentOption)
    .action(async (name: string, options: { experiment?: string }) => {
      const experiment = await experimentOf(context, options.experiment)
      const shown = await client().showCampaign({ params: { experiment, campaign: name } })
      if (output.isJson) return output.json(shown)
      output.table(shown.versions, [
        'version',
        'kind',
        { title: 'made', value: (one) => (one.createdAtMs === 0 ? 'always there' : printTime(one.createdAtMs)) },
        { title: 'by', value: (one) => one.creatorName },
        { title: 'code', value: (one) => one.codeVersion },
        { title: 'differs by', value: (one) => recipeOf(one) },
      ])
      if (shown.campaign.description !== '') output.line(shown.campaign.description)
      output.line(progressWords(shown.progress))
    })

  addVerb(campaign, 'cancel <name> [runs]', {
    summary: 'cancel the runs of a campaign that have not begun: all, or those named',
    example: 'cygnet reco campaign cancel low-threshold sim:5-9',
  })
    .option(...experimentOption)
    .action(async (name: string, runs: string | undefined, options: { experiment?: string }) => {
      const experiment = await experimentOf(context, options.experiment)
      const body = runs === undefined ? {} : parseRuns(runs)
      const { items } = await client().cancelCampaign({ params: { experiment, campaign: name }, body })
      outcomes(context, items, 'Nothing waits in this campaign.')
    })

  addVerb(reco, 'failed', {
    summary: 'dead letters: runs that failed, with the reason',
    example: 'cygnet reco failed --campaign main',
  })
    .option(...experimentOption)
    .option('--campaign <name>', 'only of this campaign')
    .option('--cursor <cursor>', 'continue after the page that gave this cursor')
    .action(async (options: { experiment?: string; campaign?: string; cursor?: string }) => {
      const experiment = await experimentOf(context, options.experiment)
      const page = await client().listTasks({
        params: { experiment },
        query: {
          state: 'failed',
          ...(options.campaign === undefined ? {} : { campaign: options.campaign }),
          ...(options.cursor === undefined ? {} : { cursor: options.cursor }),
        },
      })
      output.list(page, [
        { title: 'run', value: (task) => `${task.series}:${task.number}` },
        { title: 'campaign', value: (task) => (task.kind === 'pedestal' ? '(pedestal)' : task.campaign) },
        { title: 'when', value: (task) => printTime(task.updatedAtMs) },
        { title: 'reason', value: (task) => task.reason?.split('\n').join(' | ') },
      ])
    })

  addVerb(reco, 'retry [runs]', {
    summary: 'try failed and cancelled runs of a campaign again: all, or those named',
    example: 'cygnet reco retry sim:7 --campaign low-threshold',
  })
    .option(...experimentOption)
    .option('--campaign <name>', 'which campaign; main also tries failed pedestals again', automaticCampaign)
    .action(async (runs: string | undefined, options: { experiment?: string; campaign: string }) => {
      const experiment = await experimentOf(context, options.experiment)
      const body = runs === undefined ? {} : parseRuns(runs)
      const { items } = await client().retryCampaign({ params: { experiment, campaign: options.campaign }, body })
      outcomes(context, items, 'Nothing failed in this campaign.')
    })

  addVerb(reco, 'compare <first> <second> [run]', {
    summary: 'two campaigns over their common runs, or cluster by cluster over one run',
    example: 'cygnet reco compare main low-threshold sim:2',
  })
    .option(...experimentOption)
    .option('--series <name>', 'only this number series')
    .option('--cursor <cursor>', 'continue after the page that gave this cursor')
    .option('--all', 'with a run: also clusters that do not pass the quality cut')
    .action(async (first: string, second: string, run: string | undefined, options: CompareOptions) => {
      const experiment = await experimentOf(context, options.experiment)
      const params = { experiment, campaign: first, other: second }
      if (run === undefined) return await compareAll(context, params, options)
      await compareOne(context, { ...params, run }, options.all ?? false)
    })
}

interface CompareOptions {
  experiment?: string
  series?: string
  cursor?: string
  all?: boolean
}

async function compareAll(
  context: CommandContext,
  params: { experiment: string; campaign: string; other: string },
  { series, cursor }: CompareOptions,
): Promise<void> {
  const { output } = context
  const query = { ...(series === undefined ? {} : { series }), ...(cursor === undefined ? {} : { cursor }) }
  const answer = await context.client(reconstructionContract).compareCampaigns({ params, query })
  if (output.isJson) return output.json(answer)
  const percent = (value: number | null) => (value === null ? null : `${(100 * value).toFixed(1)} %`)
  output.list(answer, [
    'run',
    { title: 'clusters', value: ({ first, second }) => `${first.clusters} ${second.clusters}`, align: 'right' },
    {
      title: 'selected',
      value: ({ first, second }) => `${first.selectedClusters} ${second.selectedClusters}`,
      align: 'right',
    },
    {
      title: 'light ratio',
      value: ({ first, second }) => ratio(second.selectedLightCounts, first.selectedLightCounts),
      align: 'right',
    },
    { title: 'efficiency', value: (one) => both(percent(one.first.efficiency), percent(one.second.efficiency)) },
    { title: 'purity', value: (one) => both(percent(one.first.purity), percent(one.second.purity)) },
  ])
  output.line(
    `Each pair is ${params.campaign}, then ${params.other}; the ratio is ${params.other} to ${params.campaign}.`,
  )
  if (answer.onlyFirst > 0) output.line(`${answer.onlyFirst} more runs only in ${params.campaign}.`)
  if (answer.onlySecond > 0) output.line(`${answer.onlySecond} more runs only in ${params.other}.`)
}

async function compareOne(
  context: CommandContext,
  params: { experiment: string; campaign: string; other: string; run: string },
  all: boolean,
): Promise<void> {
  const { output } = context
  const query = { clusters: all ? ('all' as const) : ('selected' as const), limit: 20 }
  const answer = await context.client(reconstructionContract).compareRun({ params, query })
  if (output.isJson) return output.json(answer)
  const { integralShift, positionShiftPx } = answer
  const percent = (value: number) => `${(100 * value).toFixed(2)} %`
  output.line(
    `${answer.run}: ${answer.matched} clusters in both, ${answer.onlyFirst} only in ${params.campaign}, ${answer.onlySecond} only in ${params.other}`,
  )
  if (answer.matched > 0) {
    output.line(
      `light: median shift ${percent(integralShift.median)} (68 % from ${percent(integralShift.p16)} to ${percent(integralShift.p84)}); position: median ${positionShiftPx.median.toFixed(2)} px, most ${positionShiftPx.largest.toFixed(1)} px`,
    )
  }
  output.table(answer.pairs, [
    'event',
    { title: 'cluster', value: (pair) => `${pair.first} ${pair.second}`, align: 'right' },
    { title: 'by', value: (pair) => (pair.by === 'iou' ? 'overlap' : 'nearest') },
    { title: 'counts', value: (pair) => Math.round(pair.firstIntegralCounts) },
    { title: 'then', value: (pair) => Math.round(pair.secondIntegralCounts) },
    { title: 'moved px', value: (pair) => pair.shiftPx.toFixed(2), align: 'right' },
  ])
}

function recipeVerb(parent: Command, nameAndArguments: string, about: { summary: string; example: string }): Command {
  return addVerb(parent, nameAndArguments, about)
    .option(...experimentOption)
    .option('--description <text>', 'why it exists')
    .option('--set <name=value...>', 'a parameter of the chain; see: cygnet reco parameters')
    .option('--preset <name>', 'begin from a named set of parameters')
    .option('--script <path>', 'your own script: a file, or a folder of at most 5 MiB')
    .option('--environment <name>', 'for a script: notebook (Python with numpy and friends) or system')
    .option('--cores <number>', 'for a script: cores')
    .option('--memory <MiB>', 'for a script: memory in MiB')
    .option('--walltime <seconds>', 'for a script: ended after so long, per run')
}

async function recipeFrom(context: CommandContext, command: string[], options: RecipeOptions) {
  const { description, set, preset, script: path, environment, cores, memory, walltime } = options
  const recipe = {
    ...(description === undefined ? {} : { description }),
    ...(set === undefined ? {} : { parameters: Object.fromEntries(set.map(parseSetting)) }),
    ...(preset === undefined ? {} : { preset }),
  }
  if (path === undefined) {
    if (command.length === 0) return recipe
    throw reconstructionFaults.badRecipe('A command belongs to a script.', { hint: 'Name its files with --script.' })
  }
  const { files, gitCommit, leftOut } = await collectScript(path)
  if (leftOut.length > 0) context.output.line(`Left out (hidden, links): ${leftOut.slice(0, 5).join(', ')}`)
  const given = command.length > 0 ? command : usualCommand(path, files.length)
  return {
    ...recipe,
    script: {
      command: given,
      files,
      gitCommit,
      ...(environment === undefined ? {} : { environment }),
      ...(cores === undefined ? {} : { cores: numberOf(cores, '--cores') }),
      ...(memory === undefined ? {} : { memoryMiB: numberOf(memory, '--memory') }),
      ...(walltime === undefined ? {} : { walltimeSeconds: numberOf(walltime, '--walltime') }),
    },
  }
}

function usualCommand(path: string, files: number): string[] {
  if (files === 1 && path.endsWith('.py')) return ['python3', basename(path), '{raw}', '{pedestal}', '{out}']
  throw reconstructionFaults.badRecipe('It is not said how to run the script.', {
    hint: 'Give the command after --, for example: -- python3 cluster.py {raw} {pedestal} {out}',
  })
}

function parseSetting(text: string): [string, number | string] {
  const match = /^([A-Za-z][A-Za-z0-9]*)=(.+)$/.exec(text)
  if (match === null) {
    throw reconstructionFaults.badParameter(`'${text}' sets nothing.`, {
      hint: 'Write name=value, for example zeroSuppressionSigma=0.9.',
    })
  }
  const number = Number(match[2])
  return [match[1]!, Number.isNaN(number) ? match[2]! : number]
}

function numberOf(text: string, option: string): number {
  const number = Number(text)
  if (Number.isSafeInteger(number)) return number
  throw reconstructionFaults.badRecipe(`${option} is a whole number, not '${text}'.`)
}

function outcomes(context: CommandContext, items: readonly ActionOutcome[], nothing: string): void {
  if (items.length === 0 && !context.output.isJson) return context.output.line(nothing)
  context.output.table(items, ['run', 'outcome', 'reason'])
  if (items.some(({ outcome }) => outcome === 'refused')) process.exitCode = 1
}

function settings(parameters: Readonly<Record<string, number | string>>): string {
  return Object.entries(parameters)
    .map(([name, value]) => `${name}=${value}`)
    .join(', ')
}

/** In one line: what makes this campaign another one than the defaults. */
function recipeOf(campaign: Pick<Campaign, 'parameters' | 'preset' | 'script'>): string {
  const { script, parameters, preset } = campaign
  if (script !== null) {
    const commit = script.gitCommit === null ? '' : ` at commit ${script.gitCommit.slice(0, 12)}`
    return `${script.command.join(' ')}${commit}`
  }
  const set = settings(parameters)
  if (set === '') return preset === null ? 'the defaults' : `preset ${preset}`
  return preset === null ? set : `preset ${preset}: ${set}`
}

function progressWords(progress: CampaignProgress): string {
  const { done, submitted, waiting, failed, cancelled, remainingMs } = progress
  const words = [`${done} runs done`, `${submitted} under way`, `${waiting} waiting`, `${failed} failed`]
  if (cancelled > 0) words.push(`${cancelled} cancelled`)
  return `${words.join(', ')}${remainingMs === null ? '' : `; about ${printDuration(remainingMs)} more`}`
}

function ratio(value: number, to: number): string | null {
  return to === 0 ? null : (value / to).toFixed(4)
}

function both(first: string | null, second: string | null): string | null {
  return first === null && second === null ? null : `${first ?? '-'} ${second ?? '-'}`
}
