/**
 * The two kinds of jobs this room gives to `compute`: how each is launched, how its files become objects, and what its
 * end means in the database.
 *
 * Exactly once: products are put under keys that depend on the run and campaign only (a repeated publication writes
 * the same objects again), and the rows are written in the transaction that ends the job.
 */
import { createReadStream } from 'node:fs'
import { lstat, readFile } from 'node:fs/promises'
import { basename, dirname, join, relative } from 'node:path'
import type { JobDone, JobKind, Launch, Mount, RunningJob } from '../compute/index.ts'
import type { AnyKysely, AnyTransaction } from '../foundation/database.ts'
import { appendFact } from '../foundation/facts.ts'
import { failpoint } from '../foundation/failpoints.ts'
import { uuid7 } from '../foundation/ids.ts'
import type { Clock } from '../foundation/time.ts'
import type { Logbook } from '../logbook/index.ts'
import { addCalibration } from './calibrations.ts'
import { parametersWith } from './campaign-parameters.ts'
import type { RunProductsSummary } from './contract.ts'
import { reconstructionFaults } from './errors.ts'
import {
  payloadSpec,
  pedestalSummary,
  productNames,
  reconstructionSummarySchema,
  refusalSchema,
} from './payload-spec.ts'
import type { PayloadSpec, PedestalSummary, Refusal } from './payload-spec.ts'
import { inputsOf, planWaiting, planWithNewTruth } from './plan.ts'
import type { PlanContext } from './plan.ts'
import type { ProductStore } from './product-store.ts'
import { campaignOfTask, inputsForTask } from './task-inputs.ts'
import { rootFileName, runStem } from './run-names.ts'
import { changeTask, putSummary, taskById } from './tasks.ts'
import type { TaskRow } from './tasks.ts'

export interface JobKindContext {
  kysely: AnyKysely
  clock: Clock
  logbook: Pick<Logbook, 'runById' | 'runFiles'>
  storage: ProductStore
  plan: PlanContext
  codeVersion: string
  /** Commit of the program that runs, or null where it is not known. */
  gitCommit: string | null
  /** Folder the program runs from; jobs see it as /program. It and the Node binary must be readable by every uid. */
  programFolder: string
  nodePath: string
}

export { pathIfThere } from './product-store.ts'
export type { ProductStore } from './product-store.ts'

/** What the payload of these jobs names; everything else is looked up when the attempt begins. */
export interface TaskPayload {
  taskId: string
  generation: number
}

export interface Published<Summary> {
  refusal?: Refusal
  summary?: Summary
  bucket: string
  prefix: string
}
type PublishedPedestal = Published<PedestalSummary> & { key: string; sha256: string; sizeBytes: number }

export function recoBucketOf(experiment: string): string {
  return `${experiment}-reco`
}

export function pedestalKind(context: JobKindContext): JobKind<PublishedPedestal> {
  return {
    prepare: (job) => prepare(job, context),
    async publish(job, done) {
      const task = await taskOf(job, context.kysely)
      const bucket = recoBucketOf(task.experiment)
      const prefix = `calibration/${task.series}/${runStem(task.number)}`
      const refusal = await readRefusal(done)
      if (refusal !== undefined) return { refusal, bucket, prefix, key: '', sha256: '', sizeBytes: 0 }
      const summary = pedestalSummary.parse(
        JSON.parse(await readFile(await outputPath(done, productNames.summary), 'utf8')),
      )
      const output = done.outputs.find(({ name }) => name === productNames.pedestal)!
      // The hash in the key keeps every version: an older result can always be made again.
      const key = `${prefix}/pedestal-${output.sha256.slice(0, 12)}.cyped`
      await putFile(
        context.storage,
        bucket,
        key,
        await outputPath(done, productNames.pedestal),
        'application/octet-stream',
      )
      return { summary, bucket, prefix, key, sha256: output.sha256, sizeBytes: output.sizeBytes }
    },
    async commit(trx, job, _done, published) {
      const task = await currentTask(trx, job)
      if (task === undefined) return
      if (published.refusal !== undefined) return await failTask(trx, task, refusalText(published.refusal), context)
      const nowMs = context.clock.nowMs()
      const calibration = await addCalibration(trx, {
        id: uuid7(),
        experiment: task.experiment,
        series: task.series,
        kind: 'pedestal',
        from_run: task.number,
        made_from_run_id: task.run_id,
        made_from_number: task.number,
        bucket: published.bucket,
        object_key: published.key,
        sha256: published.sha256,
        size_bytes: published.sizeBytes,
        code_version: published.summary!.codeVersion,
        quality: { ...published.summary!.quality, problems: published.summary!.problems },
        task_id: task.id,
        made_at_ms: nowMs,
      })
      await changeTask(trx, task.id, { state: 'done', reason: null, updated_ms: nowMs })
      await tell(
        trx,
        'reconstruction.calibration-made',
        task,
        { calibrationId: calibration.id, fromRun: calibration.fromRun },
        context,
      )
    },
    async ended(trx, job, how) {
      const task = await currentTask(trx, job)
      if (task !== undefined) await failTask(trx, task, how.reason === '' ? how.state : how.reason, context)
    },
  }
}

export function reconstructionKind(context: JobKindContext): JobKind<Published<RunProductsSummary>> {
  return {
    prepare: (job) => prepare(job, context),
    async publish(job, done) {
      const task = await taskOf(job, context.kysely)
      const bucket = recoBucketOf(task.experiment)
      const prefix = `${task.campaign}/${task.series}/${runStem(task.number)}`
      const refusal = await readRefusal(done)
      if (refusal !== undefined) return { refusal, bucket, prefix }
      const summaryPath = await outputPath(done, productNames.summary)
      const summary = reconstructionSummarySchema.parse(JSON.parse(await readFile(summaryPath, 'utf8')))
      // A newer wish for the same run and campaign owns these keys now.
      if (task.job_id !== job.id || task.state !== 'submitted') return { bucket, prefix }
      for (const name of productsAmong(done, task)) {
        const path = await outputPath(done, name)
        await putFile(context.storage, bucket, `${prefix}/${name}`, path, contentTypeOf(name))
        if (name === productNames.clusters) await failpoint('reconstruction.half-published')
      }
      await putFile(context.storage, bucket, `${prefix}/${productNames.summary}`, summaryPath, 'application/json')
      return { summary, bucket, prefix }
    },
    commit: (trx, job, _done, published) => commitResult(trx, job, published, context),
    ended: (trx, job, how) => endTask(trx, job, how.state, how.reason === '' ? how.state : how.reason, context),
  }
}

/** The rows of a result that was published, or its dead letter. */
export async function commitResult(
  trx: AnyTransaction,
  job: RunningJob,
  { refusal, summary, bucket, prefix }: Published<RunProductsSummary>,
  context: JobKindContext,
): Promise<void> {
  const task = await currentTask(trx, job)
  if (task === undefined) return
  if (refusal !== undefined || summary === undefined) {
    return await failTask(trx, task, refusal === undefined ? 'no summary' : refusalText(refusal), context)
  }
  const nowMs = context.clock.nowMs()
  await putSummary(trx, {
    run_id: task.run_id,
    campaign: task.campaign,
    experiment: task.experiment,
    series: task.series,
    number: task.number,
    task_id: task.id,
    code_version: summary.codeVersion,
    calibration_id: summary.calibrationId,
    bucket,
    prefix,
    images: summary.images,
    clusters: summary.clusters,
    selected_clusters: summary.selectedClusters,
    selected_light_counts: summary.selectedLightCounts,
    wall_ms: summary.wallMs,
    efficiency: summary.truth?.efficiency ?? summary.numbers?.efficiency ?? null,
    purity: summary.truth?.purity ?? summary.numbers?.purity ?? null,
    complete: summary.complete ? 1 : 0,
    details: JSON.stringify(summary),
    made_at_ms: nowMs,
  })
  const truth = summary.lineage === undefined ? {} : { truth_sha256: summary.lineage.truthSha256 }
  await changeTask(trx, task.id, { state: 'done', reason: null, ...truth, updated_ms: nowMs })
  const { clusters, selectedClusters, images } = summary
  await tell(trx, 'reconstruction.run-done', task, { images, clusters, selectedClusters }, context)
  // A truth that came while the job ran: another one than when it was planned, so that this ends.
  const beside = inputsOf(await context.logbook.runFiles(task.run_id, trx)).truth?.sha256 ?? ''
  if (beside !== (task.truth_sha256 ?? ''))
    await planWithNewTruth(trx, await context.logbook.runById(task.run_id, trx), context.plan)
}

/** A job that ended without products: a dead letter, or what somebody did not want any more. */
export async function endTask(
  trx: AnyTransaction,
  job: RunningJob,
  state: 'failed' | 'cancelled',
  reason: string,
  context: JobKindContext,
): Promise<void> {
  const task = await currentTask(trx, job)
  if (task === undefined) return
  if (state === 'failed') return await failTask(trx, task, reason, context)
  await changeTask(trx, task.id, { state: 'cancelled', reason, updated_ms: context.clock.nowMs() })
  await tell(trx, 'reconstruction.run-cancelled', task, { reason }, context)
}

/** What a job left for its run beside the summary, clusters first; files nobody knows are not published. */
function productsAmong(done: JobDone, task: TaskRow): string[] {
  const left = done.outputs.map(({ name }) => name)
  const known = optionalProducts.filter((name) => left.includes(name))
  const root = rootFileName(task.number)
  return [productNames.clusters, productNames.events, ...known, ...(left.includes(root) ? [root] : [])]
}

const notOptional: readonly string[] = [
  productNames.clusters,
  productNames.events,
  productNames.summary,
  productNames.pedestal,
  productNames.refusal,
]
const optionalProducts = Object.values(productNames).filter((name) => !notOptional.includes(name))

export function contentTypeOf(name: string): string {
  if (name.endsWith('.parquet')) return 'application/vnd.apache.parquet'
  return name.endsWith('.json') ? 'application/json' : 'application/octet-stream'
}

/** Inside the sandbox: /program, the run file and its truth below /in, the pedestal map, and /out. Nothing else. */
async function prepare(job: RunningJob, context: JobKindContext): Promise<Launch> {
  const task = await taskOf(job, context.kysely)
  const { mounts, rawPath, pedestalPath, truthPath, drs4Tables, model, lineage } = await inputsForTask(task, context)
  const run = `${task.experiment}/${task.series}:${task.number}`
  const { images } = await context.logbook.runById(task.run_id)
  const common = {
    run,
    rawPath,
    ...(images === null ? {} : { images }),
    outFolder: '/out',
    codeVersion: context.codeVersion,
  }
  let spec: PayloadSpec
  if (task.kind === 'pedestal') spec = { task: 'pedestal', ...common }
  else {
    const campaign = await campaignOfTask(task, context)
    spec = {
      task: 'reconstruction',
      ...common,
      campaign: task.campaign,
      codeVersion: campaign.codeVersion,
      pedestalPath: pedestalPath!,
      truthPath,
      ...(drs4Tables !== null && { drs4Tables }),
      ...(model !== null && { model }),
      calibrationId: task.calibration_id,
      workers: Math.max(1, Math.floor(job.request.cpuMilli / 1000)),
      parameters: { ...parametersWith(campaign.parameters) },
      lineage,
    }
  }
  const launch = programLaunch(context, 'src/reconstruction/payload.ts', mounts, payloadSpec.parse(spec))
  // Nothing is shared between runs, least of all of two experiments: a decoder may fall for the file it reads.
  return { ...launch, workspace: 'none' }
}

/** A program of ours in the sandbox, told its specification in CYGNET_SPEC. */
export function programLaunch(
  context: Pick<JobKindContext, 'programFolder' | 'nodePath'>,
  program: string,
  mounts: readonly Mount[],
  spec: unknown,
): Launch {
  const all: Mount[] = [{ source: context.programFolder, target: '/program', mode: 'ro' }, ...mounts]
  const inProgram = relative(context.programFolder, context.nodePath)
  const nodeInside = !inProgram.startsWith('..')
  if (!nodeInside) all.push({ source: dirname(context.nodePath), target: '/node', mode: 'ro' })
  return {
    argv: [
      nodeInside ? join('/program', inProgram) : join('/node', basename(context.nodePath)),
      join('/program', program),
    ],
    mounts: all,
    // In the environment rather than in a file: without a sandbox compute rewrites these paths to the real ones.
    environment: { CYGNET_SPEC: JSON.stringify(spec) },
    network: 'none',
    files: [],
  }
}

export async function taskOf(job: RunningJob, kysely: AnyKysely): Promise<TaskRow> {
  const { taskId } = job.payload as TaskPayload
  const task = await taskById(kysely, taskId)
  if (task === undefined) throw reconstructionFaults.noSuchRun(`The task ${taskId} of job ${job.id} is gone.`)
  return task
}

/** The task, if this job is the one it waits for. */
export async function currentTask(trx: AnyTransaction, job: RunningJob): Promise<TaskRow | undefined> {
  const task = await taskById(trx, (job.payload as TaskPayload).taskId)
  return task?.job_id === job.id && task.state === 'submitted' ? task : undefined
}

export async function failTask(
  trx: AnyTransaction,
  task: TaskRow,
  reason: string,
  context: JobKindContext,
): Promise<void> {
  await changeTask(trx, task.id, { state: 'failed', reason, updated_ms: context.clock.nowMs() })
  await tell(trx, 'reconstruction.run-failed', task, { reason }, context)
  // Runs that waited for this pedestal take an older one, or say that there is none.
  if (task.kind === 'pedestal') await planWaiting(trx, task.experiment, task.series, task.number, context.plan)
}

async function tell(
  trx: AnyTransaction,
  kind: string,
  task: TaskRow,
  more: Record<string, unknown>,
  context: JobKindContext,
): Promise<void> {
  const run = `${task.series}:${task.number}`
  const { experiment, series, number, campaign } = task
  const data = { experiment, runId: task.run_id, run, series, number, campaign, ...more }
  await appendFact(trx, { kind, subject: `${experiment}/${run}`, data }, context.clock)
}

async function readRefusal(done: JobDone): Promise<Refusal | undefined> {
  if (!done.outputs.some(({ name }) => name === productNames.refusal)) return undefined
  return refusalSchema.parse(JSON.parse(await readFile(await outputPath(done, productNames.refusal), 'utf8')))
}

const refusalText = (refusal: Refusal) =>
  refusal.hint === null ? refusal.detail : `${refusal.detail} (${refusal.hint})`

/** Path of an output of the manifest; a link or anything but a plain file is not followed. */
export async function outputPath(done: JobDone, name: string): Promise<string> {
  const path = join(done.outFolder, name)
  const facts = done.outputs.some((output) => output.name === name)
    ? await lstat(path).catch(() => undefined)
    : undefined
  if (!facts?.isFile()) throw reconstructionFaults.jobWithoutProducts(`The job left no file ${name}.`)
  return path
}

export async function putFile(
  storage: ProductStore,
  bucket: string,
  key: string,
  path: string,
  contentType: string,
): Promise<void> {
  const { size } = await lstat(path)
  await storage.putObject({ bucket, key, body: createReadStream(path), sizeBytes: size, contentType, may: 'replace' })
}
