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
import type { Logbook } from '../logbook/index.ts'
import type { Run } from '../logbook/contract.ts'
import { findPedestal } from './calibrations.ts'
import { changeTask, findTask, insertTask, pedestalUnderWay, removeTask, waitingTasks } from './tasks.ts'
import type { TaskRow } from './tasks.ts'

export interface PlanContext {
  logbook: Pick<Logbook, 'runById' | 'runFiles'>
  clock: Clock
  codeVersion: string
  /** Accepts the job of a task in the transaction and returns its id; the same key gives the same job. */
  submit(trx: AnyTransaction, task: TaskRow, idempotencyKey: string): Promise<string>
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
}

/** Plans one run in the caller's transaction. Idempotent; see above. */
export async function planReconstruction(
  trx: AnyTransaction,
  run: Run,
  request: PlanRequest,
  context: PlanContext,
): Promise<Plan> {
  if (run.state !== 'closed' && run.state !== 'crashed') {
    return { outcome: 'refused', task: undefined, reason: `run ${run.reference} is still ${run.state}` }
  }
  const kind = run.kind === 'pedestal' ? 'pedestal' : 'reconstruction'
  const key = {
    run_id: run.id,
    campaign: kind === 'pedestal' ? '' : request.campaign,
    code_version: context.codeVersion,
  }
  const waiting = await findTask(trx, { ...key, calibration_id: '' })
  const wait = async (reason: string): Promise<Plan> => {
    const nowMs = context.clock.nowMs()
    const task =
      waiting === undefined
        ? await insertTask(trx, newTask(run, kind, key, '', { state: 'waiting', reason }, request, nowMs))
        : await changeTask(trx, waiting.id, { state: 'waiting', reason, updated_ms: nowMs })
    return { outcome: 'waiting', task, reason }
  }

  let calibrationId = ''
  if (kind === 'reconstruction') {
    const pedestal = await findPedestal(trx, run.experiment, run.series, run.number)
    const underWay = await pedestalUnderWay(trx, run.experiment, run.series, pedestal?.fromRun ?? -1, run.number)
    if (underWay !== undefined)
      return await wait(`the pedestal of run ${underWay.series}:${underWay.number} is being made`)
    if (pedestal === undefined) return await wait(`no pedestal run before run ${run.number} in series ${run.series}`)
    calibrationId = pedestal.id
  }
  const existing = kind === 'pedestal' ? waiting : await findTask(trx, { ...key, calibration_id: calibrationId })
  const file = (await context.logbook.runFiles(run.id, trx)).find(
    ({ role, state }) => role === 'raw' && state === 'safe',
  )
  const rawSha256 = file?.sha256 ?? ''
  if (existing !== undefined && !mayRunAgain(existing, request, rawSha256)) {
    // The run waited for this calibration and was planned meanwhile by another way.
    if (kind === 'reconstruction' && waiting !== undefined) await removeTask(trx, waiting.id)
    return { outcome: 'already', task: existing, reason: undefined }
  }
  if (file === undefined) return await wait(`no file of run ${run.reference} is safely stored yet`)

  const nowMs = context.clock.nowMs()
  const state = { state: 'submitted', reason: null, raw_sha256: rawSha256 } as const
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
  try {
    const jobId = await context.submit(trx, task, `reconstruction:${task.id}:${task.generation}`)
    task = await changeTask(trx, task.id, { job_id: jobId, updated_ms: nowMs })
    return { outcome: 'submitted', task, reason: undefined }
  } catch (error) {
    // Work this machine will never take (too large, no sandbox) is a dead letter with its reason; it must not hold up
    // the facts behind it.
    if (!(error instanceof Fault) || error.retry || error.status >= 500) throw error
    task = await changeTask(trx, task.id, { state: 'failed', reason: error.detail, updated_ms: nowMs })
    return { outcome: 'refused', task, reason: error.detail }
  }
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
    if (plan.task !== undefined && plan.task.id !== task.id && task.code_version !== context.codeVersion) {
      await removeTask(trx, task.id)
    }
    if (plan.outcome === 'submitted') submitted++
  }
  return submitted
}

function mayRunAgain(task: TaskRow, request: PlanRequest, rawSha256: string): boolean {
  if (task.state === 'waiting') return true
  // The file was replaced (a crashed run whose whole file came later): the result is of other bytes.
  if (task.raw_sha256 !== '' && rawSha256 !== '' && task.raw_sha256 !== rawSha256) return true
  if (task.state === 'submitted') return false
  return request.force || (request.retryFailed && task.state === 'failed')
}

function newTask(
  run: Run,
  kind: TaskRow['kind'],
  key: Pick<TaskRow, 'run_id' | 'campaign' | 'code_version'>,
  calibrationId: string,
  state: Pick<TaskRow, 'state' | 'reason'> & { raw_sha256?: string },
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
    ...state,
    requested_by: request.requestedBy,
    created_ms: nowMs,
    updated_ms: nowMs,
  }
}
