/**
 * The receiver: whatever puts a raw file into the store, agent or plain S3 client, the file itself is read and opens,
 * fills and closes its run. An object-created fact becomes a job in the same transaction; the job reads the file by its
 * path and writes the outcome in one transaction, so that doing it twice or dying anywhere changes nothing.
 */
import { stat } from 'node:fs/promises'
import { z } from 'zod'
import type { AnyTransaction } from '../foundation/database.ts'
import { Fault } from '../foundation/errors.ts'
import { failpoint } from '../foundation/failpoints.ts'
import type { Fact, Facts } from '../foundation/facts.ts'
import { enqueueJob, type Jobs } from '../foundation/jobs.ts'
import type { Logger } from '../foundation/log.ts'
import { printTime, type Clock } from '../foundation/time.ts'
import type { FaultNews, Logbook, StoredRunFile } from '../logbook/index.ts'
import { hashFile } from './hash-file.ts'
import type { FoundFault, FoundRun, RunFormat, RunPlace } from './run-format.ts'

/** What the receiver needs of storage: where an object lies as a plain file. */
export interface StoredFiles {
  pathOf(bucket: string, key: string): string | Promise<string>
}

export interface ReceiverOptions {
  logbook: Logbook
  facts: Facts
  jobs: Jobs
  clock: Clock
  log: Logger
  formats: readonly RunFormat[]
  files: StoredFiles
}

/** Data of 'storage.object-created' and 'storage.object-deleted' as the receiver uses them. */
const objectFact = z.object({ experiment: z.string(), bucket: z.string(), key: z.string(), purpose: z.string() })

export const inspectJob = z.object({
  experiment: z.string(),
  bucket: z.string(),
  key: z.string(),
  /** When its deletion was told: then it is lost unless it is there again. */
  deletedMs: z.int().optional(),
})
export type InspectJob = z.output<typeof inspectJob>

/** Codes of faults that a new setup or series may cure. */
const curedBySetup = ['logbook.no_such_setup', 'logbook.no_such_series']

export function startReceiver(options: ReceiverOptions): void {
  const { facts, jobs, logbook, clock } = options
  const inspectLater = async (trx: AnyTransaction, fact: Fact, object: InspectJob): Promise<void> => {
    const idempotencyKey = `${object.bucket}/${object.key}@${fact.epoch}:${fact.sequence}`
    await enqueueJob(trx, { kind: 'ingest.inspect', payload: object, idempotencyKey }, clock)
  }
  facts.follow('ingest.receiver', ['storage.object-created'], async (fact, trx) => {
    const object = objectFact.parse(fact.data)
    if (object.purpose !== 'raw') return
    const { experiment, bucket, key } = object
    await inspectLater(trx, fact, { experiment, bucket, key })
  })
  facts.follow('ingest.deletions', ['storage.object-deleted'], async (fact, trx) => {
    const object = objectFact.parse(fact.data)
    if (object.purpose !== 'raw') return
    const { experiment, bucket, key } = object
    // Whether it was stored again meanwhile only the store can say: clocks jump.
    await inspectLater(trx, fact, { experiment, bucket, key, deletedMs: fact.atMs })
  })
  facts.follow('ingest.setups', ['logbook.setup-added'], async (fact, trx) => {
    const experiment = String(fact.data.experiment)
    for (const fault of await logbook.openFaults(experiment, trx)) {
      if (!curedBySetup.includes(fault.code) || !fault.topic.startsWith('file ')) continue
      const slash = fault.place.indexOf('/')
      await inspectLater(trx, fact, {
        experiment,
        bucket: fault.place.slice(0, slash),
        key: fault.place.slice(slash + 1),
      })
    }
  })
  jobs.register('ingest.inspect', inspectJob, (payload, { signal }) => inspectObject(options, payload, signal), {
    concurrency: 2,
  })
}

async function recordDeletion(
  { logbook, clock }: ReceiverOptions,
  trx: AnyTransaction,
  { experiment, bucket, key, deletedMs = clock.nowMs() }: InspectJob,
): Promise<void> {
  const file = await logbook.findFile(bucket, key, trx)
  await logbook.resolveFaults(trx, experiment, [placeTopic({ experiment, bucket, key })])
  if (file === undefined || file.state === 'lost') return
  const reason = `Deleted from the store at ${printTime(deletedMs)}.`
  await logbook.recordFile(trx, file.runId, { bucket, key, role: file.role, state: 'lost', reason })
}

/** Reads one stored file and writes what it says; may be called again at any time with the same result. */
export async function inspectObject(options: ReceiverOptions, object: InspectJob, signal: AbortSignal): Promise<void> {
  const { formats, files, logbook, log } = options
  const path = await files.pathOf(object.bucket, object.key)
  const before = await stat(path).catch(() => undefined)
  if (before === undefined) {
    log.info({ object }, 'a stored file is gone')
    if (object.deletedMs === undefined) return
    await logbook.transact((trx) => recordDeletion(options, trx, object))
    // It may have been stored and read between the look and the record.
    if ((await stat(path).catch(() => undefined)) === undefined) return
    return await inspectObject(options, object, signal)
  }
  const found = formats
    .map((format) => ({ format, place: format.match(object.key) }))
    .find((one): one is { format: RunFormat; place: RunPlace } => one.place !== undefined)
  if (found === undefined) {
    await logbook.transact((trx) => logbook.raiseFault(trx, unrecognised(object)))
    return
  }
  await failpoint('ingest.before-inspect')
  const isRun = found.place.role === 'raw'
  const [sha256, run] = await Promise.all([
    hashFile(path, signal),
    isRun ? found.format.inspect(path, { signal }) : Promise.resolve(undefined),
  ])
  const after = await stat(path)
  if (after.size !== before.size || after.mtimeMs !== before.mtimeMs) {
    throw new Error(`${object.bucket}/${object.key} changed while it was read`)
  }
  await failpoint('ingest.before-record')
  try {
    await logbook.transact((trx) => record(options, trx, object, found.place, { sha256, sizeBytes: after.size, run }))
  } catch (error) {
    if (!(error instanceof Fault) || !error.code.startsWith('logbook.')) throw error
    await logbook.transact((trx) => logbook.raiseFault(trx, unplaced(object, error)))
    return
  }
  await failpoint('ingest.after-record')
  log.info({ object, runRef: `${found.place.series}:${found.place.number}`, images: run?.images }, 'stored file read')
}

interface Reading {
  sha256: string
  sizeBytes: number
  run: FoundRun | undefined
}

async function record(
  { logbook, clock }: ReceiverOptions,
  trx: AnyTransaction,
  object: InspectJob,
  place: RunPlace,
  reading: Reading,
): Promise<void> {
  const { experiment, bucket, key } = object
  const { run: found, sha256, sizeBytes } = reading
  const opening = {
    experiment,
    setup: place.setup,
    series: place.series,
    number: place.number,
    state: 'closing' as const,
    startedMs: found?.startedMs ?? null,
    kind: found?.kind,
    description: found?.description,
  }
  const { run } = await logbook.openRun(trx, opening)
  const known = await logbook.findFile(bucket, key, trx)
  const faults = faultsOf(object, place, run.setup, reading, known)
  const broken = faults.find((fault) => fault.severity === 'error')
  await logbook.recordFile(trx, run.id, {
    bucket,
    key,
    role: place.role,
    state: broken === undefined ? 'safe' : 'damaged',
    sizeBytes,
    sha256,
    verifiedMs: clock.nowMs(),
    reason: broken?.detail ?? '',
  })
  const topics = new Set(faults.map((fault) => topicOf(object, fault.code)))
  const over = (await logbook.runFaults(run.id, trx))
    .filter((fault) => fault.resolvedMs === null && fault.place === `${bucket}/${key}` && !topics.has(fault.topic))
    .map((fault) => fault.topic)
  await logbook.resolveFaults(trx, experiment, [placeTopic(object), ...over])
  for (const fault of faults) {
    await logbook.raiseFault(trx, {
      ...fault,
      experiment,
      runId: run.id,
      topic: topicOf(object, fault.code),
      place: `${bucket}/${key}`,
    })
  }
  if (found === undefined) return
  const sameBytes = known?.sha256 === sha256 && known.state !== 'lost'
  if (!sameBytes) await logbook.replaceConditions(trx, run.id, found.conditions)
  await logbook.closeRun(
    trx,
    run.id,
    {
      state: found.endOfRunSeen && broken === undefined ? 'closed' : 'crashed',
      kind: found.kind,
      description: found.description,
      startedMs: found.startedMs,
      endedMs: found.endedMs,
      images: found.images,
      triggers: found.triggers,
      sizeBytes,
    },
    { sameBytes },
  )
}

/** What is wrong with the file: inside it, with its name, or with its bytes. */
function faultsOf(
  object: InspectJob,
  place: RunPlace,
  setupOfRun: string,
  { run, sha256, sizeBytes }: Reading,
  known: StoredRunFile | undefined,
): FoundFault[] {
  const faults = [...(run?.faults ?? [])]
  if (run !== undefined && run.number !== null && run.number !== place.number) {
    faults.push({
      code: 'ingest.number_differs',
      severity: 'warning',
      detail: `The file is named run ${place.number} but was written as run ${run.number}. It is filed under ${place.number}.`,
      hint: 'Check whether the file was renamed; if it belongs to another run, upload it under the right name.',
    })
  }
  if (setupOfRun !== place.setup) {
    faults.push({
      code: 'ingest.setup_differs',
      severity: 'warning',
      detail: `The run belongs to setup '${setupOfRun}' but this file lies under '${place.setup}'.`,
      hint: 'Two setups write the same series: give one of them a series of its own.',
    })
  }
  if (known?.expectedSha256 != null && known.expectedSha256 !== sha256) {
    faults.push(mismatch(object, sizeBytes, sha256, known.expectedSha256))
  }
  return faults
}

export function mismatch(
  { bucket, key }: { bucket: string; key: string },
  sizeBytes: number,
  sha256: string,
  expectedSha256: string,
): FoundFault {
  return {
    code: 'ingest.checksum_mismatch',
    severity: 'error',
    detail: `The store holds ${sizeBytes} bytes with SHA-256 ${sha256}; the DAQ machine read ${expectedSha256} from its disk.`,
    hint: `Keep the file on the DAQ disk. If the stored one is wrong, have ${bucket}/${key} removed by a manager; the agent then sends it again.`,
  }
}

const topicOf = (object: InspectJob, code: string): string => `${code} ${object.bucket}/${object.key}`
/** The topic of trouble with where a file lies: such a file has no run yet. */
const placeTopic = (object: InspectJob): string => `file ${object.bucket}/${object.key}`

function unrecognised(object: InspectJob): FaultNews {
  return {
    experiment: object.experiment,
    topic: placeTopic(object),
    code: 'ingest.unrecognised_file',
    severity: 'warning',
    detail: `${object.key} in ${object.bucket} is not named like a run file. It is kept, but belongs to no run.`,
    hint: 'Run files are named <setup>/<series>/run00012.mid or .mid.gz. Upload it again under such a name, or ask a manager to remove it.',
    place: `${object.bucket}/${object.key}`,
  }
}

function unplaced(object: InspectJob, error: Fault): FaultNews {
  return {
    experiment: object.experiment,
    topic: placeTopic(object),
    code: error.code,
    severity: 'error',
    detail: `${object.key} in ${object.bucket} is kept, but belongs to no run: ${error.detail}`,
    hint: error.hint ?? 'Ask the person who administers the experiment.',
    place: `${object.bucket}/${object.key}`,
  }
}
