/** One value per run: what a trend is made of. Rates need the run's images and time and are made by the caller. */
import { createHistogram, seededRandom } from './histogram.ts'
import { fitPeak } from './peak-fit.ts'
import type { Aggregate } from './quantities.ts'

export interface RunValueRequest {
  aggregate: Aggregate
  quantity: string
  unit: string
  /** Values outside do not count; for the peak: the range of the fit. */
  low?: number | undefined
  high?: number | undefined
  bins: number
}

export interface RunValue {
  number: number
  rows: number
  /** Rows that pass the cuts. */
  entries: number
  value: number | null
  error: number | null
  reason: string | null
}

/** A median is exact up to so many values and of a random sample of them beyond. */
const mostValues = 500_000
/** The 55Fe peak is looked for where the collaboration's monitor looks. */
export const ironRange = { low: 4000, high: 18_000 }

export function createRunValue(number: number, request: RunValueRequest) {
  const { aggregate } = request
  const isPeak = aggregate === 'ironPeak' || aggregate === 'ironResolution'
  const range = isPeak ? { ...ironRange, ...given(request) } : given(request)
  const histogram = isPeak
    ? createHistogram({ quantity: request.quantity, unit: request.unit, bins: request.bins, ...range })
    : undefined
  const kept: number[] = []
  const random = seededRandom(number)
  const state = { rows: 0, entries: 0, used: 0, mean: 0, squares: 0 }
  return {
    wantsValues: isPeak || aggregate === 'mean' || aggregate === 'median' || aggregate === 'rms',
    add(rows: number, entries: number): void {
      state.rows += rows
      state.entries += entries
    },
    values(values: Float64Array): void {
      histogram?.add(values)
      if (histogram !== undefined) return
      for (const value of values) {
        if (!(value >= (range.low ?? -Infinity) && value <= (range.high ?? Infinity))) continue
        const away = value - state.mean
        state.mean += away / ++state.used
        state.squares += away * (value - state.mean)
        if (aggregate !== 'median') continue
        const place = kept.length < mostValues ? kept.length : Math.floor(random() * state.used)
        if (place < mostValues) kept[place] = value
      }
    },
    result(): RunValue {
      return { number, rows: state.rows, entries: state.entries, ...outcome() }
    },
  }

  function outcome(): Pick<RunValue, 'value' | 'error' | 'reason'> {
    if (histogram !== undefined) {
      const fit = fitPeak(histogram.snapshot(), 'iron')
      if (fit.state !== 'ok') return { value: null, error: null, reason: `fit failed: ${fit.reason}` }
      const { value, error } = aggregate === 'ironPeak' ? fit.parameters[1]! : fit.resolution!
      return { value, error, reason: null }
    }
    const { used, mean, squares } = state
    if (aggregate === 'count' || aggregate === 'perImage' || aggregate === 'perSecond')
      return { value: null, error: null, reason: null }
    if (used < 2) return { value: null, error: null, reason: used === 0 ? 'nothing passes' : 'one value is too few' }
    const spread = Math.sqrt(squares / (used - 1))
    if (aggregate === 'mean') return { value: mean, error: spread / Math.sqrt(used), reason: null }
    if (aggregate === 'rms') return { value: spread, error: spread / Math.sqrt(2 * (used - 1)), reason: null }
    const sorted = Float64Array.from(kept).sort()
    const middle = sorted.length >> 1
    const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
    // Standard error of a median of Gaussian values: sqrt(pi/2) times that of the mean.
    return { value: median, error: (1.2533 * spread) / Math.sqrt(used), reason: null }
  }
}

function given({ low, high }: RunValueRequest): { low?: number; high?: number } {
  return { ...(low === undefined ? {} : { low }), ...(high === undefined ? {} : { high }) }
}
