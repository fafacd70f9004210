/** `cygnet reco validate`, `cygnet reco studies`: studies on the command line, on the platform or on this machine alone. */
import { createWriteStream } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { InvalidArgumentError } from 'commander'
import type { Command } from 'commander'
import { computeContract } from '../../compute/contract.ts'
import { addVerb } from '../../foundation/command-line.ts'
import type { CommandContext } from '../../foundation/command-line.ts'
import { Fault } from '../../foundation/errors.ts'
import { printTime } from '../../foundation/time.ts'
import { experimentOf } from '../../logbook/index.ts'
import { codeVersion } from '../code-version.ts'
import { reconstructionContract } from '../contract.ts'
import type { Study, StudyKindName } from '../study-contract.ts'
import { verdictText } from './report-text.ts'
import type { StudyProgress } from './study-kinds.ts'
import type { StudyReport } from './study-report.ts'
import { studyFiles } from './study-spec.ts'

const pollMs = 500

export interface StudyWish {
  kind: StudyKindName
  options: Record<string, unknown>
  experiment?: string | undefined
  wait?: boolean | undefined
  /** Where report.pdf goes; waits for the end. */
  pdf?: string | undefined
  /** Run here, without a platform, and leave the files in this folder. */
  localFolder?: string | undefined
  workers?: number | undefined
  python?: string | undefined
}

interface ValidateOptions {
  experiment?: string
  images?: number
  seed?: number
  frame?: number
  quick?: boolean
  wait?: boolean
  pdf?: string
  local?: boolean
  out: string
  workers?: number
  python?: string
}

export function registerStudyCommands(reco: Command, context: CommandContext): void {
  addVerb(reco, 'validate', {
    summary: 'hold the reconstruction against simulated truth and published values; report as page, JSON and PDF',
    example: 'cygnet reco validate --images 2000 --wait --pdf validation.pdf',
  })
    .option('-e, --experiment <name>', 'the experiment; may be left out if you see only one')
    .option('--images <number>', 'simulated images in all (default 2000)', whole)
    .option('--quick', 'a tenth of the images on small frames: to see the whole path, not to publish')
    .option('--frame <pixels>', 'side of the frames (default 2304, the camera)', whole)
    .option('--seed <number>', 'another set of samples (default 1)', whole)
    .option('--wait', 'wait for the end and print the verdicts; exit code 1 unless every requirement holds')
    .option('--pdf <file>', 'wait, and keep the report here as PDF')
    .option('--local', 'run on this machine, without a platform')
    .option('--out <folder>', 'with --local: where report.json and report.pdf go', 'validation')
    .option('--workers <number>', 'with --local: threads (default all cores)', whole)
    .option('--python <path>', 'with --local: a Python with scikit-learn to compare labels with')
    .action(async ({ experiment, images, seed, frame, quick, ...how }: ValidateOptions) => {
      const options = {
        ...(images !== undefined && { images }),
        ...(seed !== undefined && { seed }),
        ...(frame !== undefined && { framePx: frame }),
        ...(quick === true && { quick }),
      }
      await studyVerb(context, {
        kind: 'validation',
        options,
        experiment,
        wait: how.wait,
        pdf: how.pdf,
        localFolder: how.local === true ? how.out : undefined,
        workers: how.workers,
        python: how.python,
      })
    })

  addVerb(reco, 'studies', {
    summary: 'validations and trainings of an experiment, newest first',
    example: 'cygnet reco studies --json',
  })
    .option('-e, --experiment <name>', 'the experiment; may be left out if you see only one')
    .option('--cursor <cursor>', 'continue after the page that gave this cursor')
    .action(async (options: { experiment?: string; cursor?: string }) => {
      const experiment = await experimentOf(context, options.experiment)
      const query = options.cursor === undefined ? {} : { cursor: options.cursor }
      const page = await context.client(reconstructionContract).listStudies({ params: { experiment }, query })
      context.output.list(page, studyColumns)
    })
}

const studyColumns = [
  'id' as const,
  'kind' as const,
  'state' as const,
  { title: 'started', value: (study: Study) => printTime(study.createdAtMs) },
  { title: 'images', value: (study: Study) => study.headline?.images ?? null },
  {
    title: 'failing',
    value: (study: Study) =>
      study.headline === null ? null : `${study.headline.failing} of ${study.headline.requirements}`,
  },
  'reason' as const,
]

/** What every verb that makes a study does: here or on the platform, waiting or not. */
export async function studyVerb(context: CommandContext, wish: StudyWish): Promise<void> {
  if (wish.localFolder !== undefined) return await studyHere(context, wish, wish.localFolder)
  const experiment = await experimentOf(context, wish.experiment)
  const client = context.client(reconstructionContract)
  const { kind, options } = wish
  let study = await client.startStudy({ params: { experiment }, body: { kind, options } })
  if (wish.wait !== true && wish.pdf === undefined) return context.output.table([study], studyColumns)
  study = await ended(context, experiment, study)
  context.output.progress('')
  const { report } = await client.showStudy({ params: { experiment, study: study.id } })
  if (report === null) {
    context.output.table([study], studyColumns)
    process.exitCode = 1
    return
  }
  if (wish.pdf !== undefined) {
    const answer = await client.readStudyFile({ params: { experiment, study: study.id, name: studyFiles.pdf } })
    await pipeline(Readable.fromWeb(answer.body as Parameters<typeof Readable.fromWeb>[0]), createWriteStream(wish.pdf))
    context.output.line(`report: ${wish.pdf}`)
  }
  printReport(context, report)
}

async function studyHere(context: CommandContext, wish: StudyWish, outFolder: string): Promise<void> {
  const { output } = context
  await mkdir(outFolder, { recursive: true })
  const stop = new AbortController()
  const onSignal = () => stop.abort(new Error('stopped'))
  process.once('SIGINT', onSignal)
  const progress: StudyProgress = {
    say: (line) => output.line(line),
    step: (what, done, of) => {
      if (done === of || done % 8 === 0) output.progress(`${what}: ${done} of ${of}`)
    },
    signal: stop.signal,
  }
  try {
    // Simulator, threads and PDF are loaded only by who needs them here.
    const { runStudy } = await import('./run-study.ts')
    const report = await runStudy(
      {
        study: 'local',
        kind: wish.kind,
        options: wish.options,
        outFolder,
        codeVersion: await codeVersion(),
        workers: wish.workers ?? availableParallelism(),
        ...(wish.python !== undefined && { python: wish.python }),
      },
      progress,
    )
    output.progress('')
    printReport(context, report)
    output.line(`files: ${join(outFolder, studyFiles.report)}, ${join(outFolder, studyFiles.pdf)}`)
  } finally {
    process.off('SIGINT', onSignal)
  }
}

function printReport({ output }: CommandContext, report: StudyReport): void {
  const requirements = report.sections.flatMap(({ number, title, problem, requirements: of }) => [
    ...(problem === null ? [] : [{ number, statement: title, holds: false, found: problem }]),
    ...of.map((one) => ({ number, ...one })),
  ])
  if (requirements.some(({ holds }) => !holds)) process.exitCode = 1
  if (output.isJson) return output.json(report)
  output.table(requirements, [
    { title: 'table', value: ({ number }) => number },
    { title: 'holds', value: ({ holds }) => (holds ? 'yes' : 'NO') },
    { title: 'requirement', value: ({ statement }) => statement },
    { title: 'found', value: ({ found }) => found },
  ])
  const comparisons = report.sections.flatMap(({ number, comparisons: of }) => of.map((one) => ({ number, ...one })))
  if (comparisons.length === 0) return
  output.table(comparisons, [
    { title: 'table', value: ({ number }) => number },
    { title: 'published value', value: ({ quantity }) => quantity },
    { title: 'source', value: ({ source, tag }) => `${source} [${tag}]` },
    { title: 'verdict', value: (one) => verdictText(one) },
  ])
}

/** Follows a study to its end, showing the lines of its job where they may be read. */
async function ended(context: CommandContext, experiment: string, first: Study): Promise<Study> {
  const client = context.client(reconstructionContract)
  let study = first
  let followed = false
  while (study.state === 'submitted') {
    if (study.jobId !== null && !followed) {
      followed = true
      await followLog(context, study.jobId)
    } else await sleep(pollMs)
    study = (await client.showStudy({ params: { experiment, study: study.id } })).study
  }
  return study
}

/** Somebody who may start a study but not read the platform's jobs waits without seeing it. */
async function followLog(context: CommandContext, job: string): Promise<void> {
  try {
    for await (const { data } of context.client(computeContract).followLog({ params: { job } })) {
      if (data.type === 'state') {
        const { state, reason } = data.job
        context.output.progress(`job ${state}${reason === null ? '' : `, ${reason}`}`)
        continue
      }
      const last = data.text.trimEnd().split('\n').at(-1)
      if (last !== undefined && last !== '') context.output.progress(last)
    }
  } catch (error) {
    if (!(error instanceof Fault) || (error.status !== 403 && error.status !== 404)) throw error
  }
}

/** An option that is a whole number. */
export function whole(text: string): number {
  const number = Number(text)
  if (!Number.isSafeInteger(number) || number < 0) throw new InvalidArgumentError('It is a whole number.')
  return number
}
