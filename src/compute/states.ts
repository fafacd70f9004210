import type { Selectable } from 'kysely'
import type { Job, JobState } from './contract.ts'
import type { JobTable, StoredState } from './tables.ts'

const shown: Record<StoredState, JobState> = {
  queued: 'waiting',
  parked: 'waiting',
  starting: 'starting',
  running: 'running',
  finishing: 'running',
  succeeded: 'done',
  failed: 'failed',
  cancelled: 'cancelled',
}

export const endedStates: readonly StoredState[] = ['succeeded', 'failed', 'cancelled']
export const liveStates: readonly StoredState[] = ['starting', 'running', 'finishing']

export function shownState(state: StoredState): JobState {
  return shown[state]
}

/** The stored states behind a shown one, for filters. */
export function storedStates(state: JobState): StoredState[] {
  return (Object.keys(shown) as StoredState[]).filter((stored) => shown[stored] === state)
}

export function jobOf(row: Selectable<JobTable>, place: number | null = null): Job {
  const cancelRequested = row.cancel_requested_ms !== null
  const number = (value: number | null) => (value === null ? null : Number(value))
  return {
    id: row.id,
    kind: row.kind,
    title: row.title,
    experiment: row.experiment,
    ownerId: row.owner_id,
    ownerName: row.owner_name,
    class: row.class,
    subject: row.subject,
    state: shownState(row.state),
    reason: cancelRequested && liveStates.includes(row.state) ? 'being cancelled' : row.reason,
    sinceMs: Number(row.since_ms),
    untilMs: number(row.until_ms),
    place,
    attempt: row.attempt,
    cancelRequested,
    submittedMs: Number(row.submitted_ms),
    startedMs: number(row.started_ms),
    endedMs: number(row.ended_ms),
    exitCode: row.exit_code,
    signal: row.signal,
    request: {
      cpuMilli: Number(row.cpu_milli),
      memoryMiB: Number(row.memory_mib),
      walltimeMs: Number(row.walltime_ms),
    },
    used:
      row.cpu_seconds === null
        ? null
        : {
            cpuSeconds: row.cpu_seconds,
            peakMemoryBytes: Number(row.peak_memory_bytes ?? 0),
            wallSeconds: row.wall_seconds ?? 0,
          },
    outputs: JSON.parse(row.outputs),
  }
}
