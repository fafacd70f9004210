/** What an agent reports while it takes runs. Every report may come twice, late or never; the file has the last word. */
import type { AnyTransaction } from '../foundation/database.ts'
import { enqueueJob } from '../foundation/jobs.ts'
import type { Clock } from '../foundation/time.ts'
import type { Run } from '../logbook/contract.ts'
import type { Logbook, StoredRunFile } from '../logbook/index.ts'
import { ingestFaults } from './errors.ts'
import { mismatch } from './receiver.ts'
import type { RunFormat } from './run-format.ts'

export interface ReportOptions {
  logbook: Logbook
  clock: Clock
  formats: readonly RunFormat[]
  rawBucketOf(experiment: string): string
}

export interface RunOpened {
  setup: string
  series: string
  number: number
  startedMs: number | null
  path: string
  agent: string
  pedestal?: boolean | undefined
  description?: string | undefined
}

export interface RunClosed {
  key: string
  sizeBytes: number
  sha256?: string | undefined
  /** The expectation that this one takes the place of; a report that comes late, or twice, replaces nothing newer. */
  replaces?: string | null | undefined
  endOfRunSeen: boolean
  endedMs: number | null
}

export async function reportOpened({ logbook }: ReportOptions, experiment: string, given: RunOpened): Promise<Run> {
  const { run } = await logbook.transact((trx) =>
    logbook.openRun(trx, {
      experiment,
      setup: given.setup,
      series: given.series,
      number: given.number,
      state: 'recording',
      startedMs: given.startedMs,
      kind: given.pedestal === undefined ? undefined : given.pedestal ? 'pedestal' : 'data',
      description: given.description,
    }),
  )
  return run
}

export async function reportProgress(
  { logbook }: ReportOptions,
  experiment: string,
  reference: string,
  given: { bytes: number; events: number; atMs: number },
): Promise<Run> {
  const progress = { sizeBytes: given.bytes, events: given.events }
  const run = await logbook.transact((trx) => logbook.noteProgress(trx, experiment, reference, progress))
  if (run.state === 'recording') {
    logbook.announceProgress(experiment, {
      run: reference,
      runId: run.id,
      setup: run.setup,
      ...progress,
      atMs: given.atMs,
    })
  }
  return run
}

/** Also tells the receiver what the bytes must be. Fault 422 when the key is not one of this run's files. */
export async function reportClosed(
  { logbook, formats, rawBucketOf, clock }: ReportOptions,
  experiment: string,
  reference: string,
  given: RunClosed,
): Promise<Run> {
  const place = formats.map((format) => format.match(given.key)).find((one) => one !== undefined)
  if (place === undefined || `${place.series}:${place.number}` !== reference) {
    throw ingestFaults.unrecognisedFile(`The key '${given.key}' is not a file of run ${reference}.`, {
      hint: 'Keys are <setup>/<series>/run00012.mid.',
    })
  }
  return await logbook.transact(async (trx) => {
    const run = await logbook.requireRun(experiment, reference, trx)
    const bucket = rawBucketOf(experiment)
    const file = await logbook.findFile(bucket, given.key, trx)
    requireReplaced(given, file?.expectedSha256 ?? null)
    if (file === undefined || file.state === 'arriving' || file.state === 'lost') {
      await logbook.recordFile(trx, run.id, {
        bucket,
        key: given.key,
        role: place.role,
        state: 'arriving',
        sizeBytes: given.sizeBytes,
        expectedSha256: given.sha256 ?? file?.expectedSha256 ?? null,
      })
    } else if (file.sha256 !== null && given.sha256 !== undefined) {
      const object = { experiment, bucket, key: given.key }
      if (file.sha256 !== given.sha256) await raiseMismatch(logbook, trx, object, file, given.sha256)
      else if (file.expectedSha256 !== given.sha256) {
        await logbook.recordFile(trx, run.id, { ...file, expectedSha256: given.sha256 })
        // What was told before is no longer on the machine's disk (a power cut took its end): the stored bytes are right.
        const idempotencyKey = `${bucket}/${given.key}@${given.sha256}:${clock.nowMs()}`
        if (file.expectedSha256 !== null)
          await enqueueJob(trx, { kind: 'ingest.inspect', payload: object, idempotencyKey }, clock)
      }
    }
    if (place.role === 'sidecar') return run
    return await logbook.markClosing(trx, run.id, { endedMs: given.endedMs, sizeBytes: given.sizeBytes })
  })
}

function requireReplaced({ key, sha256, replaces }: RunClosed, expectedSha256: string | null): void {
  if (sha256 === undefined || replaces === undefined || expectedSha256 === null) return
  if (expectedSha256 === sha256 || expectedSha256 === replaces) return
  throw ingestFaults.expectsOtherwise(`Of ${key} other bytes are expected by now (SHA-256 ${expectedSha256}).`, {
    hint: 'Say which expectation is replaced, if these bytes are the newer ones.',
    extra: { expectedSha256 },
  })
}

/** The receiver had read the stored file before the sender told what it should be. */
async function raiseMismatch(
  logbook: Logbook,
  trx: AnyTransaction,
  { experiment, bucket, key }: { experiment: string; bucket: string; key: string },
  file: StoredRunFile,
  expectedSha256: string,
): Promise<void> {
  const fault = mismatch({ bucket, key }, file.sizeBytes ?? 0, file.sha256 ?? '', expectedSha256)
  await logbook.recordFile(trx, file.runId, { ...file, state: 'damaged', expectedSha256, reason: fault.detail })
  const place = `${bucket}/${key}`
  await logbook.raiseFault(trx, { ...fault, experiment, runId: file.runId, topic: `${fault.code} ${place}`, place })
}

export async function reportFailed(
  { logbook }: ReportOptions,
  experiment: string,
  reference: string,
  given: { code: string; detail: string; hint: string; place: string },
): Promise<Run> {
  return await logbook.transact(async (trx) => {
    const run = await logbook.requireRun(experiment, reference, trx)
    await logbook.raiseFault(trx, {
      experiment,
      runId: run.id,
      topic: agentTopic(reference),
      severity: 'error',
      ...given,
    })
    return await logbook.runById(run.id, trx)
  })
}

export async function reportRecovered({ logbook }: ReportOptions, experiment: string, reference: string): Promise<Run> {
  return await logbook.transact(async (trx) => {
    const run = await logbook.requireRun(experiment, reference, trx)
    await logbook.resolveFaults(trx, experiment, [agentTopic(reference)])
    return await logbook.runById(run.id, trx)
  })
}

/** One open trouble of the agent for each run: the last one it told. */
const agentTopic = (reference: string): string => `agent ${reference}`
