/** Sums and bars of a span of time, from its runs. */
import type { Run } from '../contract.ts'

export interface DayNumbers {
  runs: number
  images: number
  sizeBytes: number
  /** Share of the span in which a run was being recorded, 0 to 1. */
  liveShare: number
}

type TimedRun = Pick<Run, 'startedMs' | 'endedMs' | 'state' | 'images' | 'sizeBytes'>

/** From and to of a run clipped to the span, or undefined when it lies outside or has no times. */
export function clipRun(run: TimedRun, fromMs: number, toMs: number): { fromMs: number; toMs: number } | undefined {
  if (run.startedMs === null) return undefined
  const end = run.endedMs ?? (run.state === 'recording' ? toMs : run.startedMs)
  const clipped = { fromMs: Math.max(run.startedMs, fromMs), toMs: Math.min(end, toMs) }
  return clipped.toMs >= clipped.fromMs ? clipped : undefined
}

/** Overlapping runs (two setups) count once in the live share. */
export function sumRuns(runs: TimedRun[], fromMs: number, toMs: number): DayNumbers {
  const spans = runs
    .map((run) => clipRun(run, fromMs, toMs))
    .filter((span) => span !== undefined)
    .sort((a, b) => a.fromMs - b.fromMs)
  let liveMs = 0
  let coveredToMs = fromMs
  for (const span of spans) {
    if (span.toMs <= coveredToMs) continue
    liveMs += span.toMs - Math.max(span.fromMs, coveredToMs)
    coveredToMs = span.toMs
  }
  return {
    runs: runs.length,
    images: runs.reduce((sum, run) => sum + (run.images ?? 0), 0),
    sizeBytes: runs.reduce((sum, run) => sum + (run.sizeBytes ?? 0), 0),
    liveShare: toMs > fromMs ? liveMs / (toMs - fromMs) : 0,
  }
}
