/** Histograms and planes that find their own range, filled batch by batch. */
import type { FilledHistogram, Plane, Sample } from '../results-contract.ts'

export interface AxisRequest {
  quantity: string
  unit: string
  low?: number | undefined
  high?: number | undefined
  bins: number
}

/** Values looked at before a range is chosen. */
const valuesForRange = 20_000
/** Most points of a scatter plot. */
export const mostPoints = 4000
/** What a column holds where a fit or a peak does not exist: no reason to widen a range. */
const absent = -999

export interface Range {
  low: number
  high: number
  bins: number
}

/**
 * A range that holds 99 % of the values, ending on round numbers. Whole numbers get whole bins.
 * Limits that are given stay.
 */
export function chooseRange(values: Float64Array | readonly number[], request: AxisRequest): Range {
  const { low, high, bins } = request
  if (low !== undefined && high !== undefined) return { low, high, bins }
  const sorted = Float64Array.from(values)
    .filter((value) => Number.isFinite(value) && value !== absent)
    .sort()
  if (sorted.length === 0) return orderly(low ?? 0, high ?? (low ?? 0) + 1, bins)
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!
  let from = low ?? at(0.005)
  let to = high ?? at(0.995)
  const isWhole = sorted.every((value) => Number.isInteger(value))
  if (isWhole && low === undefined && high === undefined) {
    const step = Math.max(1, Math.ceil((to - from + 1) / bins))
    const count = Math.max(1, Math.ceil((to - from + 1) / step))
    return { low: from - 0.5, high: from - 0.5 + count * step, bins: count }
  }
  // The last value belongs to the last bin, not behind it.
  const size = Math.max(Math.abs(from), Math.abs(to))
  // One value, or values that differ by less than numbers can tell.
  if (!(to - from > size * 1e-12 && to - from > 1e-100)) to = from + (size > 1e-100 ? size * 0.1 : 1)
  else if (high === undefined) to += (to - from) * 1e-6
  const step = roundStep((to - from) / bins)
  if (low === undefined) from = Math.floor(from / step) * step
  if (high === undefined) to = from + step * bins >= to ? from + step * bins : Math.ceil(to / step) * step
  return orderly(from, to, bins)
}

function orderly(low: number, high: number, bins: number): Range {
  const clean = (value: number): number => Number(value.toPrecision(12))
  return high > low ? { low: clean(low), high: clean(high), bins } : { low, high: low + 1, bins }
}

/** The next larger of 1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8 times a power of ten. */
function roundStep(step: number): number {
  const power = 10 ** Math.floor(Math.log10(step))
  const factor = [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].find((one) => one * power >= step * (1 - 1e-9)) ?? 10
  return factor * power
}

/** Bin of a value, -1 below, `bins` above. The upper edge is outside, as in numpy but for its last bin. */
export function binOf(value: number, { low, high, bins }: Range): number {
  if (value < low) return -1
  if (value >= high) return bins
  return Math.min(bins - 1, Math.floor(((value - low) / (high - low)) * bins))
}

export interface Filling {
  add(values: Float64Array): void
  /** As filled until now; the range is chosen at the first snapshot, or earlier when there are values enough. */
  snapshot(): FilledHistogram
}

export function createHistogram(request: AxisRequest): Filling {
  let range = request.low !== undefined && request.high !== undefined ? chooseRange([], request) : undefined
  let held: number[] = []
  let counts = new Array<number>(range?.bins ?? 0).fill(0)
  const state = { underflow: 0, overflow: 0, invalid: 0, entries: 0, mean: 0, squares: 0 }
  function fill(value: number): void {
    if (Number.isNaN(value)) {
      state.invalid++
      return
    }
    const bin = binOf(value, range!)
    if (bin < 0) state.underflow++
    else if (bin === range!.bins) state.overflow++
    else {
      counts[bin]!++
      const away = value - state.mean
      state.mean += away / ++state.entries
      state.squares += away * (value - state.mean)
    }
  }
  function decide(): void {
    range = chooseRange(held, request)
    counts = new Array<number>(range.bins).fill(0)
    for (const value of held) fill(value)
    held = []
  }
  return {
    add(values) {
      for (const value of values)
        if (range === undefined) held.push(value)
        else fill(value)
      if (range === undefined && held.length >= valuesForRange) decide()
    },
    snapshot() {
      if (range === undefined) decide()
      const { underflow, overflow, invalid, entries } = state
      return {
        quantity: request.quantity,
        unit: request.unit,
        low: range!.low,
        high: range!.high,
        counts: [...counts],
        underflow,
        overflow,
        invalid,
        mean: entries === 0 ? null : state.mean,
        rms: entries < 2 ? null : Math.sqrt(state.squares / entries),
      }
    },
  }
}

export interface Points {
  x: Float64Array
  y: Float64Array
  run: number
  event: Float64Array | undefined
}

export interface PlaneFilling {
  add(points: Points): void
  plane(): Plane
  sample(): Sample
}

/** Points beyond limits that were asked for would not be seen. */
function isWithin(value: number, { low = -Infinity, high = Infinity }: AxisRequest): boolean {
  return Number.isFinite(value) && value >= low && value < high
}

/** Counts in cells and, beside them, a random sample of the points (the same for the same rows in the same order). */
export function createPlane(xRequest: AxisRequest, yRequest: AxisRequest): PlaneFilling {
  let ranges: { x: Range; y: Range } | undefined
  let held: [x: number, y: number][] = []
  let counts: number[] = []
  let outside = 0
  const points: Sample['points'] = []
  let seen = 0
  const random = seededRandom(20_260_101)
  function fill(x: number, y: number): void {
    const column = binOf(x, ranges!.x)
    const row = binOf(y, ranges!.y)
    // NaN compares with nothing and lands in a bin that is not there.
    if (column >= 0 && column < ranges!.x.bins && row >= 0 && row < ranges!.y.bins)
      counts[row * ranges!.x.bins + column]!++
    else outside++
  }
  function decide(): void {
    const choose = (index: 0 | 1, request: AxisRequest): Range =>
      chooseRange(
        held.map((pair) => pair[index]),
        request,
      )
    ranges = { x: choose(0, xRequest), y: choose(1, yRequest) }
    counts = new Array<number>(ranges.x.bins * ranges.y.bins).fill(0)
    for (const [x, y] of held) fill(x, y)
    held = []
  }
  return {
    add({ x, y, run, event }) {
      for (let row = 0; row < x.length; row++) {
        const pair: [number, number] = [x[row]!, y[row]!]
        if (ranges === undefined) held.push(pair)
        else fill(...pair)
        if (!isWithin(pair[0], xRequest) || !isWithin(pair[1], yRequest)) continue
        const place = seen < mostPoints ? seen : Math.floor(random() * (seen + 1))
        seen++
        if (place < mostPoints) points[place] = { x: pair[0], y: pair[1], run, event: event?.[row] ?? null }
      }
      if (ranges === undefined && held.length >= valuesForRange) decide()
    },
    plane() {
      if (ranges === undefined) decide()
      const axis = ({ quantity, unit }: AxisRequest, { low, high, bins }: Range) => ({
        quantity,
        unit,
        low,
        high,
        bins,
      })
      return {
        x: axis(xRequest, ranges!.x),
        y: axis(yRequest, ranges!.y),
        counts: [...counts],
        outside,
      }
    },
    sample: () => ({ points: [...points], of: seen, isSample: seen > points.length }),
  }
}

/** mulberry32. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
