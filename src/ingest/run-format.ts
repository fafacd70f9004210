/**
 * The port RunFormat: how the receiver and the agent learn what a run file holds, in words of every experiment.
 * One adapter for each format of raw files; nothing outside an adapter knows what is inside a run file.
 */
import type { RunKind } from '../logbook/contract.ts'

/** Where a run file belongs, read from its key `<setup>/<series>/<file>`. */
export interface RunPlace {
  setup: string
  series: string
  number: number
  role: 'raw' | 'sidecar'
}

export interface FoundCondition {
  path: string
  moment: 'begin' | 'end'
  name: string
  value: number | string
  unit: string
}

export interface FoundFault {
  /** `<room>.<snake_case>`, unique among the faults of one file. */
  code: string
  severity: 'warning' | 'error'
  detail: string
  hint: string
}

/** What a run file says about its run. Times UTC ms; null = the file does not say. */
export interface FoundRun {
  /** The number inside the file; compared with the number in the name. */
  number: number | null
  kind: RunKind
  description: string
  startedMs: number | null
  endedMs: number | null
  images: number
  triggers: number
  events: number
  /** False when the file ends without an end-of-run record: the run crashed or the file was cut. */
  endOfRunSeen: boolean
  conditions: FoundCondition[]
  faults: FoundFault[]
}

/** What can be said of a file that may still be growing. */
export interface GrowingRun {
  number: number | null
  /** Undefined until the file has said it. */
  pedestal: boolean | undefined
  description: string
  startedMs: number | null
  endedMs: number | null
  events: number
  endOfRunSeen: boolean
  /** Bytes up to the end of the last whole event. */
  wholeBytes: number
}

export interface FileTracker {
  /** Reads what was appended since the last call. Rejects with a Fault when the bytes are not of this format. */
  advance(signal?: AbortSignal): Promise<GrowingRun>
}

export interface RunFormat {
  name: string
  /** The place of a key such as `lime/sim/run00012.mid.gz`; undefined when it is not a run file of this format. */
  match(key: string): RunPlace | undefined
  /** The run number of a bare file name on the DAQ disk, and whether it is the run file or its sidecar. */
  matchFileName(name: string): { number: number; role: 'raw' | 'sidecar' } | undefined
  /** Reads the whole file as a stream. Damage is reported in `faults`; rejects only when nothing can be read at all. */
  inspect(path: string, options: { signal?: AbortSignal }): Promise<FoundRun>
  /** Follows a file while it grows; a sidecar counts as ended when it is whole. */
  track(path: string): FileTracker
}
