/**
 * What has to happen for a run, decided in one place: nothing, wait, or a job.
 *
 * `planReconstruction` may be called any number of times for the same run (facts come again, people ask twice): the
 * task's key (run, campaign, code, calibration) and the job's idempotency key make it one job.
 */
import type { AnyTransaction } from '../foundation/database.ts'
import { Fault } from '../foundation/errors.ts'
import { uuid7 } from '../foundation/ids.ts'
import type { Clock } from '../foundation/time.ts'
import type { Logbook, StoredRunFile } from '../logbook/index.ts'
import type { Run } from '../logbook/contract.ts'
import { findPedestal } from './calibrations.ts'
import type { Campaign } from './campaign-contract.ts'
import { requireCampaign } from './campaigns.ts'
import {
  changeTask,
  findTask,
  insertTask,
  latestPedestalTask,
  removeTask,
  supersedeOthers,
  taskRowsOfRun,
  waitingTasks,
} from './tasks.ts'
import type { TaskRow } from './tasks.ts'

export interface PlanContext {
  logbook: Pick<Logbook, 'runById' | 'runFiles'>
  clock: Clock
  /** Of our own deciding code; a campaign's code version is made of it and its parameters, or of its files. */
  codeVersion: string
  /** Accepts the job of a task in the transaction and returns its id; the same key gives the same job. */
  submit(trx: AnyTransaction, task: TaskRow, idempotencyKey: string, campaign: Campaign | undefined): Promise<string>
}

export interface PlanRequest {
  campaign: string
  /** Who asked: a person's id, or 'automatic'. */
  requestedBy: string
  /** Run again although there is a result (or a failure) of the same key. */
  force: boolean
  /** Run again after a failure of the same key. */
  retryFailed: boolean
}

export type PlanOutcome = 'submitted' | 'waiting' | 'already' | 'refused'
export interface Plan {
  outcome: PlanOutcome
  task: TaskRow | undefined
  /** Why it waits or is refused, in words. */
  reason: string | undefined
  /** Jobs whose result nobody wants any more, because this plan took their place: to be cancelled after the commit. */
  superseded: string[]
}

/** Plans one run in the caller's transaction. Idempotent; see above. */
export async function planReconstruction(
  trx: AnyTransaction,
  run: Run,
  request: PlanRequest,
  context: PlanContext,
): Promise<Plan> {
  if (run.state !== 'closed' && run.state !== 'crashed') {
    const reason = `run ${run.reference} is still ${run.state}`
    return { outcome: 'refused', task: undefined, reason, superseded: [] }
  }
  const kind = run.kind === 'pedestal' ? 'pedestal' : 'reconstruction'
  const campaign =
    kind === 'pedestal' ? undefined : await requireCampaign(trx, run.experiment, request.campaign, context.codeVersion)
  const key = {
    run_id: run.id,
    campaign: kind === 'pedestal' ? '' : request.campaign,
    code_version: campaign?.codeVersion ?? context.codeVersion,
    campaign_version: campaign?.version ?? 1,
  }
  const waiting = await findTask(trx, { ...key, calibration_id: '' })
  // Nobody waits any more for what somebody cancelled, until somebody asks for it again.
  if (waiting?.state === 'cancelled' && !request.force && !request.retryFailed) {
    return { outcome: 'already', task: waiting, reason: undefined, superseded: [] }
  }
  const wait = async (reason: string): Promise<Plan> => {
    const nowMs = context.clock.nowMs()
    const task =
      waiting === undefined
        ? await insertTask(trx, newTask(run, kind, key, '', { state: 'waiting', reason }, request, nowMs))
        : await changeTask(trx, waiting.id, { state: 'waiting', reason, updated_ms: nowMs })
    return { outcome: 'waiting', task, reason, superseded: [] }
  }

  let calibrationId = ''
  if (kind === 'reconstruction') {
    const pedestal = await findPedestal(trx, run.experiment, run.series, run.number)
    const underWay = await latestPedestalTask(
      trx,
      run.experiment,
      run.series,
      'submitted',
      pedestal?.fromRun ?? -1,
      run.number,
    )
    if (underWay !== undefined)
      return await wait(`the pedestal of run ${underWay.series}:${underWay.number} is being made`)
    if (pedestal === undefined) return await wait(await whyNoPedestal(trx, run))
    calibrationId = pedestal.id
  }
  const existing = kind === 'pedestal' ? waiting : await findTask(trx, { ...key, calibration_id: calibrationId })
  const files = await context.logbook.runFiles(run.id, trx)
  const { file, truth } = inputsOf(files)
  const inputs = { rawSha256: file?.sha256 ?? '', truthSha256: truth?.sha256 ?? '' }
  if (existing !== undefined && !mayRunAgain(existing, request, inputs)) {
    // The run waited for this calibration and was planned meanwhile by another way.
    if (kind === 'reconstruction' && waiting !== undefined) await removeTask(trx, waiting.id)
    return { outcome: 'already', task: existing, reason: undefined, superseded: [] }
  }
  if (file === undefined) return await wait(whyNoFile(run, files))

  const nowMs = context.clock.nowMs()
  const state = {
    state: 'submitted',
    reason: null,
    raw_sha256: inputs.rawSha256,
    truth_sha256: inputs.truthSha256,
    campaign_version: key.campaign_version,
  } as const
  let task: TaskRow
  if (existing !== undefined) {
    if (kind === 'reconstruction' && waiting !== undefined) await removeTask(trx, waiting.id)
    task = await changeTask(trx, existing.id, {
      ...state,
      generation: existing.generation + 1,
      requested_by: request.requestedBy,
      updated_ms: nowMs,
    })
  } else if (waiting !== undefined) {
    task = await changeTask(trx, waiting.id, { ...state, calibration_id: calibrationId, updated_ms: nowMs })
  } else {
    task = await insertTask(trx, newTask(run, kind, key, calibrationId, state, request, nowMs))
  }
  const superseded = kind === 'pedestal' ? [] : await supersedeOthers(trx, task)
  try {
    const jobId = await context.submit(trx, task, `reconstruction:${task.id}:${task.generation}`, campaign)
    task = await changeTask(trx, task.id, { job_id: jobId, updated_ms: nowMs })
    return { outcome: 'submitted', task, reason: undefined, superseded }
  } catch (error) {
    // Work this machine will never take (too large, no sandbox) is a dead letter with its reason; it must not hold up
    // the facts behind it.
    if (!(error instanceof Fault) || error.retry || error.status >= 500) throw error
    task = await changeTask(trx, task.id, { state: 'failed', reason: error.detail, updated_ms: nowMs })
    return { outcome: 'refused', task, reason: error.detail, superseded }
  }
}

/** A pedestal run that failed is what somebody has to look at; "none" would send them to look for one. */
async function whyNoPedestal(trx: AnyTransaction, { experiment, series, number }: Run): Promise<string> {
  const failed = await latestPedestalTask(trx, experiment, series, 'failed', -1, number)
  if (failed === undefined) return `no pedestal run before run ${number} in series ${series}`
  return `pedestal run ${series}:${failed.number} gave no map: ${failed.reason ?? 'it failed'}`
}

function whyNoFile({ reference }: Run, files: readonly StoredRunFile[]): string {
  const damaged = files.find(({ role, state }) => role === 'raw' && state === 'damaged')
  if (damaged === undefined) return `no file of run ${reference} is safely stored yet`
  return `the file of run ${reference} is damaged${damaged.reason === '' ? '' : `: ${damaged.reason}`}`
}

/** The run's own file and the truth beside it, as far as they are safely stored. */
export function inputsOf(files: readonly StoredRunFile[]): {
  file: StoredRunFile | undefined
  truth: StoredRunFile | undefined
} {
  const file = files.find(({ role, state }) => role === 'raw' && state === 'safe')
  const truthKey = file === undefined ? undefined : truthKeyOf(file.key)
  return {
    file,
    truth: files.find(({ bucket, key, state }) => bucket === file?.bucket && key === truthKey && state === 'safe'),
  }
}

/** `lime/sim/run00012.mid.gz` has its truth in `lime/sim/run00012.truth.json`. */
export function truthKeyOf(rawKey: string): string {
  return `${rawKey.replace(/\.mid(\.gz)?$/, '')}.truth.json`
}

/**
 * Plans a run again in the campaigns whose result was made with another truth than the one beside it now; returns the
 * campaigns that got a job. A job under way is compared at its end.
 */
export async function planWithNewTruth(trx: AnyTransaction, run: Run, context: PlanContext): Promise<string[]> {
  const { truth } = inputsOf(await context.logbook.runFiles(run.id, trx))
  if (truth === undefined) return []
  const campaigns: string[] = []
  for (const task of await taskRowsOfRun(trx, run.id)) {
    if (task.kind !== 'reconstruction' || campaigns.includes(task.campaign)) continue
    if (!madeWithOtherTruth(task, truth.sha256 ?? '')) continue
    const request = { campaign: task.campaign, requestedBy: task.requested_by, force: false, retryFailed: false }
    const { outcome } = await planReconstruction(trx, run, request, context)
    if (outcome === 'submitted') campaigns.push(task.campaign)
  }
  return campaigns
}

/** Rows older than the column (null) say nothing about their truth; a truth that is gone is no reason. */
function madeWithOtherTruth(task: TaskRow, truthSha256: string): boolean {
  return task.state === 'done' && truthSha256 !== '' && task.truth_sha256 !== null && task.truth_sha256 !== truthSha256
}

/** Plans the runs of a series that waited, from a run number on; returns how many jobs that made. */
export async function planWaiting(
  trx: AnyTransaction,
  experiment: string,
  series: string,
  fromNumber: number,
  context: PlanContext,
): Promise<number> {
  let submitted = 0
  for (const task of await waitingTasks(trx, experiment, series, fromNumber)) {
    const run = await context.logbook.runById(task.run_id, trx)
    const request = { campaign: task.campaign, requestedBy: task.requested_by, force: false, retryFailed: false }
    const plan = await planReconstruction(trx, run, request, context)
    // A task that waited under older code leaves its place to the one just planned.
    if (plan.task !== undefined && plan.task.id !== task.id && task.code_version !== plan.task.code_version) {
      await removeTask(trx, task.id)
    }
    if (plan.outcome === 'submitted') submitted++
  }
  return submitted
}

function mayRunAgain(
  task: TaskRow,
  request: PlanRequest,
  { rawSha256, truthSha256 }: { rawSha256: string; truthSha256: string },
): boolean {
  if (task.state === 'waiting') return true
  if (madeWithOtherTruth(task, truthSha256)) return true
  // The file was replaced (a crashed run whose whole file came later): the result is of other bytes.
  if (task.raw_sha256 !== '' && rawSha256 !== '' && task.raw_sha256 !== rawSha256) return true
  if (task.state === 'submitted') return false
  return request.force || (request.retryFailed && (task.state === 'failed' || task.state === 'cancelled'))
}

function newTask(
  run: Run,
  kind: TaskRow['kind'],
  key: Pick<TaskRow, 'run_id' | 'campaign' | 'code_version' | 'campaign_version'>,
  calibrationId: string,
  state: Pick<TaskRow, 'state' | 'reason'> & Partial<Pick<TaskRow, 'raw_sha256' | 'truth_sha256'>>,
  request: PlanRequest,
  nowMs: number,
): TaskRow {
  return {
    id: uuid7(),
    kind,
    experiment: run.experiment,
    ...key,
    series: run.series,
    number: run.number,
    calibration_id: calibrationId,
    generation: 1,
    job_id: null,
    raw_sha256: '',
    truth_sha256: null,
    ...state,
    requested_by: request.requestedBy,
    created_ms: nowMs,
    updated_ms: nowMs,
  }
}
