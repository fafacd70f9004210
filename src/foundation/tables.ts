/** The foundation's own tables. */

export interface FactLogTable {
  id: 1
  epoch: string
  sequence: number
}

export interface FactTable {
  sequence: number
  kind: string
  subject: string
  /** JSON */
  data: string
  at_ms: number
}

export interface FactCursorTable {
  name: string
  sequence: number
}

export interface BackgroundJobTable {
  id: string
  kind: string
  /** JSON */
  payload: string
  idempotency_key: string | null
  state: 'waiting' | 'running' | 'done' | 'dead'
  run_after_ms: number
  attempts: number
  worker: string | null
  lease_until_ms: number | null
  reason: string | null
  created_ms: number
  finished_ms: number | null
}

export interface FoundationTables {
  fact_log: FactLogTable
  fact: FactTable
  fact_cursor: FactCursorTable
  background_job: BackgroundJobTable
}
