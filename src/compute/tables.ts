/** Tables of `compute`. Times are UTC ms; JSON is text; booleans are not used. */
import type { JobClass } from './contract.ts'

/** The executor's words; `shownState` of states.ts turns them into the six that people see. */
export type StoredState =
  | 'queued'
  | 'parked'
  | 'starting'
  | 'running'
  | 'finishing'
  | 'succeeded'
  | 'failed'
  | 'cancelled'
export type AttemptState = 'starting' | 'running' | 'ended'
export type AttemptOutcome = 'succeeded' | 'failed' | 'cancelled' | 'lost' | 'not-started'

export interface JobTable {
  id: string
  kind: string
  title: string
  experiment: string
  owner_id: string
  owner_name: string
  class: JobClass
  /** 0 interactive, 1 prompt, 2 batch: the order of the queue. */
  priority: number
  subject: string | null
  /** JSON, whatever the kind needs; immutable. */
  payload: string
  /** JSON {exitCodes, maximum, infrastructure}. */
  retry: string
  idempotency_key: string | null
  /** Hash of what was asked under the key. */
  request_hash: string
  cpu_milli: number
  memory_mib: number
  walltime_ms: number
  state: StoredState
  reason: string | null
  since_ms: number
  until_ms: number | null
  attempt: number
  infrastructure_losses: number
  user_failures: number
  commit_failures: number
  cancel_requested_ms: number | null
  submitted_ms: number
  started_ms: number | null
  ended_ms: number | null
  exit_code: number | null
  signal: string | null
  cpu_seconds: number | null
  peak_memory_bytes: number | null
  wall_seconds: number | null
  /** JSON [{name,sizeBytes,sha256}]. */
  outputs: string
}

export interface AttemptTable {
  job_id: string
  number: number
  state: AttemptState
  outcome: AttemptOutcome | null
  reason: string | null
  created_ms: number
  claimed_ms: number | null
  ended_ms: number | null
  exit_code: number | null
  signal: string | null
  /** Usage is recorded up to this instant; the next interval begins here. */
  recorded_until_ms: number | null
}

/** Append-only: one row per resource and stretch of time, half-open [start_ms, end_ms). A report is a sum. */
export interface UsageIntervalTable {
  id: string
  job_id: string
  attempt: number
  kind: string
  class: JobClass
  experiment: string
  person_id: string
  resource: 'cpu' | 'memory'
  start_ms: number
  end_ms: number
  /** cpu: millicores held; memory: MiB held. */
  allocated: number
  /** cpu: core milliseconds used in the whole interval; memory: peak bytes. Null where nothing was measured. */
  used: number | null
  tier: 'own'
  /** `open` while the attempt went on after the interval. */
  outcome: 'open' | AttemptOutcome
}

export interface ComputeTables {
  compute_job: JobTable
  compute_attempt: AttemptTable
  usage_interval: UsageIntervalTable
}
