/** The logbook's tables as Kysely sees them. All names start with `logbook_`: rooms share one database. */
import type { RunKind, RunQuality, RunState } from './contract.ts'

export interface ExperimentTable {
  name: string
  title: string
  template: string
  created_ms: number
}

export interface SetupTable {
  experiment: string
  name: string
  title: string
  series: string
  first_number: number
  last_number: number | null
}

export interface SeriesTable {
  experiment: string
  name: string
  title: string
}

export interface RunTable {
  id: string
  experiment: string
  setup: string
  series: string
  number: number
  kind: RunKind
  state: RunState
  quality: RunQuality
  quality_reason: string
  description: string
  /** The entry of logbook_text that the text filter looks in. */
  text_id: string
  started_ms: number | null
  ended_ms: number | null
  images: number | null
  triggers: number | null
  size_bytes: number | null
  fault_count: number
  last_seen_ms: number
  created_ms: number
  updated_ms: number
}

/** Each different description once, in lower case: thousands of runs share a few hundred of them. */
export interface TextTable {
  experiment: string
  /** First 16 hex digits of the SHA-256 of the text. */
  id: string
  search_text: string
}

export interface RunFileTable {
  run_id: string
  bucket: string
  key: string
  role: 'raw' | 'sidecar'
  state: 'arriving' | 'safe' | 'damaged' | 'lost'
  size_bytes: number | null
  sha256: string | null
  /** What the sender said the bytes are; compared with sha256 when both are known. */
  expected_sha256: string | null
  etag: string | null
  verified_ms: number | null
  reason: string
  updated_ms: number
}

export interface ConditionTable {
  run_id: string
  path: string
  moment: 'begin' | 'end'
  name: string
  number_value: number | null
  text_value: string | null
  unit: string
}

export interface NoteTable {
  id: string
  experiment: string
  run_id: string | null
  text: string
  author: string
  author_id: string
  at_ms: number
}

export interface FaultTable {
  id: string
  experiment: string
  run_id: string | null
  /** Names the trouble: a second report of the same one updates the row. */
  topic: string
  code: string
  severity: 'warning' | 'error'
  detail: string
  hint: string
  place: string
  first_ms: number
  last_ms: number
  resolved_ms: number | null
}

export interface LogbookTables {
  logbook_experiment: ExperimentTable
  logbook_setup: SetupTable
  logbook_series: SeriesTable
  logbook_run: RunTable
  logbook_text: TextTable
  logbook_run_file: RunFileTable
  logbook_condition: ConditionTable
  logbook_note: NoteTable
  logbook_fault: FaultTable
}
