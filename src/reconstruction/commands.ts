/** `cygnet reco …`: reconstruction on the command line. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import { computeContract } from '../compute/contract.ts'
import { addVerb } from '../foundation/command-line.ts'
import type { CommandContext } from '../foundation/command-line.ts'
import { Fault } from '../foundation/errors.ts'
import { printDuration, printTime } from '../foundation/time.ts'
import { experimentOf } from '../logbook/index.ts'
import { registerCampaignCommands } from './campaign-commands.ts'
import { automaticCampaign, reconstructionContract } from './contract.ts'
import type { ReconstructionSummary, ReconstructionTask } from './contract.ts'
import { parseRuns } from './run-names.ts'
import { registerTrainCommand } from './learning/train-command.ts'
import { registerStudyCommands } from './study/study-commands.ts'
import { registerResultCommands } from './results/result-commands.ts'

const experimentOption = ['-e, --experiment <name>', 'the experiment; may be left out if you see only one'] as const
const campaignOption = ['--campaign <name>', 'which campaign', automaticCampaign] as const
const pollMs = 500

export function registerReconstructionCommands(program: Command, context: CommandContext): void {
  const reco = program.command('reco').description('images to tracks: pedestals, campaigns, results')
  registerStudyCommands(reco, context)
  registerTrainCommand(reco, context)
  registerResultCommands(reco, context)

  addVerb(reco, 'run <runs>', {
    summary: 'reconstruct a run or a range of runs (sim:2 or sim:2-10) in a campaign',
    example: 'cygnet reco run sim:2 --campaign test --wait',
  })
    .option(...experimentOption)
    .option(...campaignOption)
    .option('--force', 'again, although there is a result of the same code and calibration')
    .option('--wait', 'wait for the end; exit code 1 unless all succeeded')
    .action((runs: string, options: RunOptions) => startRuns(context, runs, options))

  registerCampaignCommands(reco, context)

  addVerb(reco, 'show <run>', {
    summary: 'state and result of the reconstruction of a run',
    example: 'cygnet reco show sim:2 --json',
  })
    .option(...experimentOption)
    .action(async (run: string, options: { experiment?: string }) => {
      const experiment = await experimentOf(context, options.experiment)
      const shown = await context.client(reconstructionContract).showRun({ params: { experiment, run } })
      if (context.output.isJson) return context.output.json(shown)
      if (shown.tasks.length === 0) return context.output.line(`${run} has not been given to reconstruction.`)
      context.output.table(shown.tasks, taskColumns)
      for (const summary of shown.summaries) for (const line of describe(summary)) context.output.line(line)
    })

  addVerb(reco, 'calibrations', {
    summary: 'pedestal maps of an experiment, newest first',
    example: 'cygnet reco calibrations --series sim',
  })
    .option(...experimentOption)
    .option('--series <name>', 'only this number series')
    .option('--cursor <cursor>', 'continue after the page that gave this cursor')
    .action(async (options: { experiment?: string; series?: string; cursor?: string }) => {
      const { experiment: named, series, cursor } = options
      const experiment = await experimentOf(context, named)
      const query = { ...(series === undefined ? {} : { series }), ...(cursor === undefined ? {} : { cursor }) }
      const page = await context.client(reconstructionContract).listCalibrations({ params: { experiment }, query })
      context.output.list(page, [
        { title: 'from run', value: (one) => `${one.series}:${one.fromRun}` },
        'version',
        'kind',
        { title: 'made', value: (one) => printTime(one.madeAtMs) },
        { title: 'object', value: (one) => `${one.bucket}/${one.key}` },
      ])
    })
}

interface RunOptions {
  experiment?: string
  campaign: string
  force?: boolean
  wait?: boolean
}

const taskColumns = [
  { title: 'run', value: (task: ReconstructionTask) => `${task.series}:${task.number}` },
  { title: 'campaign', value: (task: ReconstructionTask) => (task.kind === 'pedestal' ? '(pedestal)' : task.campaign) },
  'state' as const,
  'reason' as const,
  { title: 'job', value: (task: ReconstructionTask) => task.jobId },
  { title: 'code', value: (task: ReconstructionTask) => task.codeVersion },
]

async function startRuns(context: CommandContext, runs: string, options: RunOptions): Promise<void> {
  const { output } = context
  const experiment = await experimentOf(context, options.experiment)
  const client = context.client(reconstructionContract)
  const { tasks } = await client.startReconstruction({
    params: { experiment },
    body: { ...parseRuns(runs), campaign: options.campaign, force: options.force ?? false },
  })
  if (options.wait !== true) {
    output.table(tasks, ['run', 'outcome', 'reason', { title: 'job', value: (one) => one.task?.jobId }])
    if (tasks.some(({ outcome }) => outcome === 'refused')) process.exitCode = 1
    return
  }
  const ended: ReconstructionTask[] = []
  for (const { run, task, reason, outcome } of tasks) {
    if (outcome === 'skipped') continue
    if (task === null) {
      output.line(`${run}: ${reason ?? 'refused'}`)
      process.exitCode = 1
      continue
    }
    ended.push(await waitForTask(context, experiment, run, task))
  }
  output.progress('')
  if (ended.some(({ state }) => state !== 'done')) process.exitCode = 1
  if (output.isJson) {
    const summaries = []
    for (const task of ended) {
      const shown = await client.showRun({ params: { experiment, run: `${task.series}:${task.number}` } })
      summaries.push(...shown.summaries.filter((summary) => summary.campaign === task.campaign))
    }
    output.json({ tasks: ended, summaries })
  } else output.table(ended, taskColumns)
}

/** Follows a task to its end, showing the job's own progress where its log may be read. */
async function waitForTask(
  context: CommandContext,
  experiment: string,
  run: string,
  first: ReconstructionTask,
): Promise<ReconstructionTask> {
  const client = context.client(reconstructionContract)
  let task = first
  let shownJob: string | null = null
  while (task.state === 'submitted' || task.state === 'waiting') {
    context.output.progress(`${run}: ${task.state}${task.reason === null ? '' : `, ${task.reason}`}`)
    if (task.jobId !== null && task.jobId !== shownJob) {
      shownJob = task.jobId
      await showJobProgress(context, run, task.jobId)
    } else await sleep(pollMs)
    const { tasks } = await client.showRun({ params: { experiment, run } })
    // A waiting task gives way to the one with a calibration, so the newest of the campaign is meant.
    task = tasks.find(({ id }) => id === task.id) ?? tasks.find(({ campaign }) => campaign === first.campaign) ?? task
  }
  return task
}

/** Somebody who may start a reconstruction but not read the platform's jobs waits without seeing them. */
async function showJobProgress(context: CommandContext, run: string, jobId: string): Promise<void> {
  try {
    await followJob(context, run, jobId)
  } catch (error) {
    if (!(error instanceof Fault) || (error.status !== 403 && error.status !== 404)) throw error
  }
}

async function followJob(context: CommandContext, run: string, jobId: string): Promise<void> {
  for await (const { data } of context.client(computeContract).followLog({ params: { job: jobId } })) {
    if (data.type === 'state') {
      const { state, reason } = data.job
      context.output.progress(`${run}: job ${state}${reason === null ? '' : `, ${reason}`}`)
      continue
    }
    const last = data.text
      .trimEnd()
      .split('\n')
      .findLast((line) => line.startsWith('image '))
    if (last !== undefined) context.output.progress(`${run}: ${last}`)
  }
}

function describeWaveforms(waveforms: ReconstructionSummary['details']['waveforms']): string[] {
  if (waveforms === null) return []
  const { triggers, match, drs4 } = waveforms
  return [
    `  ${triggers} triggers of the photomultipliers; ${match.matched} of ${match.clusters} clusters have one`,
    ...(drs4.state === 'uncorrected' ? [`  ${drs4.note}`] : []),
  ]
}

function describe(summary: ReconstructionSummary): string[] {
  const { details } = summary
  const percent = (ratio: number | null) => (ratio === null ? '-' : `${(100 * ratio).toFixed(1)} %`)
  const imageMs = details.timings.image?.medianMs
  return [
    '',
    `campaign ${summary.campaign}, made ${printTime(summary.madeAtMs)} by ${summary.codeVersion}`,
    `  ${summary.images} images, ${summary.clusters} clusters, ${summary.selectedClusters} of them pass the quality cut`,
    `  ${printDuration(details.wallMs)} in all${imageMs === undefined ? '' : `, ${imageMs.toFixed(0)} ms per image`}`,
    ...(details.truth === null
      ? []
      : [`  against truth: efficiency ${percent(summary.efficiency)}, purity ${percent(summary.purity)}`]),
    ...describeWaveforms(details.waveforms),
    ...details.problems.map((problem) => `  problem: ${problem}`),
    `  files: ${summary.bucket}/${summary.prefix}/`,
  ]
}
