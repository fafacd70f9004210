/**
 * Is a seed cluster a straight track? Share of its points within the median absolute deviation of v of a line v(u)
 * (0.1 cells when that is 0), the best over many lines; if it stays below the required accuracy, once more with the
 * coordinates turned by 45 degrees. u is the row and v the column of the stored frame: the
 * reference's x is the row, its y the mirrored column, which decides the sense of the turn.
 *
 * Two ways, with the same rule of acceptance:
 *  - RANSAC as scikit-learn runs it: subsets of 80 % (turned: 50 %) without replacement, up to 100 trials, fewer once
 *    99 % certain to have seen a clean subset; the largest number of inliers counts;
 *  - fast, fewer than 64 points: the same with draws that are always the same, given up after a few hopeless trials;
 *    more points: the least-squares lines of all points and of fixed subsets (every fifth point left out, or every second
 *    one), each refitted to its own inliers while these grow. Round seeds are rejected without a fit: see `canBeStraight`.
 */
import { createDraws } from './seeded-random.ts'
import type { Draws } from './seeded-random.ts'
import { secondMoments } from './second-moments.ts'

export interface StraightnessPoints {
  /** Cell row and column. */
  row: Float64Array
  column: Float64Array
  n: number
}

export interface StraightnessScratch {
  u: Float64Array
  v: Float64Array
  /** Histogram for the medians. */
  bins: Int32Array
  permutation: Int32Array
}

export function createStraightnessScratch(cells: number): StraightnessScratch {
  return {
    u: new Float64Array(cells),
    v: new Float64Array(cells),
    bins: new Int32Array(1024),
    permutation: new Int32Array(cells),
  }
}

const trials = 100
/** Fast mode: below this many points a few lines are not enough to find the best one. */
const fewPoints = 64
const trialsOfHope = 12
const hopelessGap = 0.2
const stopProbability = 0.99
const residualLimitOfFlat = 0.1
/** Seeds with a larger ratio of minor to major second moment are rejected without a fit. */
const roundRatio = 0.5

/** Lines of subsets find at most about so much more than the line of all points; a seed further off is given up. */
const subsetGain = 0.1

type Line = { offset: number; slope: number }

/** Accuracy of both tests: the first if it is enough, else the second. `draws` given: RANSAC, otherwise fast. */
export function straightness(
  points: StraightnessPoints,
  minimumAccuracy: number,
  scratch: StraightnessScratch,
  draws: Draws | undefined,
): number {
  const { row, column, n } = points
  const { u, v } = scratch
  if (draws === undefined && !canBeStraight(points)) return 0
  for (let at = 0; at < n; at++) {
    u[at] = row[at]!
    v[at] = column[at]!
  }
  const first =
    draws === undefined ? fastAccuracy(n, 5, 1, minimumAccuracy, scratch) : ransacAccuracy(n, 0.8, 1, scratch, draws)
  if (first >= minimumAccuracy) return first
  const turn = Math.SQRT1_2
  for (let at = 0; at < n; at++) {
    u[at] = (row[at]! + column[at]!) * turn
    v[at] = (row[at]! - column[at]!) * turn
  }
  return draws === undefined
    ? fastAccuracy(n, 2, turn, minimumAccuracy, scratch)
    : ransacAccuracy(n, 0.5, turn, scratch, draws)
}

/** False for seeds that are nearly as wide as long: of such a seed far less than 95 % lie within the deviation of any line. */
export function canBeStraight({ row, column, n }: StraightnessPoints): boolean {
  const { uu, uv, vv } = secondMoments(row, column, n)
  const difference = Math.hypot(uu - vv, 2 * uv)
  return uu + vv - difference <= roundRatio * (uu + vv + difference)
}

/** Median of |v - median(v)|, 0.1 when it is 0. All v are whole multiples of `unit`. */
function residualLimit(n: number, unit: number, scratch: StraightnessScratch): number {
  const { v } = scratch
  let low = Infinity
  let high = -Infinity
  for (let at = 0; at < n; at++) {
    if (v[at]! < low) low = v[at]!
    if (v[at]! > high) high = v[at]!
  }
  const span = Math.round((high - low) / unit)
  if (scratch.bins.length < 2 * span + 2) scratch.bins = new Int32Array(4 * span + 4)
  const { bins } = scratch
  bins.fill(0, 0, span + 1)
  for (let at = 0; at < n; at++) {
    const bin = Math.round((v[at]! - low) / unit)
    bins[bin] = bins[bin]! + 1
  }
  // Twice the median is whole; so are twice the deviations from it.
  const twiceMiddle = twiceMedian(bins, n)
  bins.fill(0, 0, 2 * span + 2)
  for (let at = 0; at < n; at++) {
    const bin = Math.abs(2 * Math.round((v[at]! - low) / unit) - twiceMiddle)
    bins[bin] = bins[bin]! + 1
  }
  return (twiceMedian(bins, n) * unit) / 4 || residualLimitOfFlat
}

/** Twice the median of `n` whole numbers given as a histogram. */
function twiceMedian(bins: Int32Array, n: number): number {
  let below = 0
  let first = -1
  for (let value = 0; ; value++) {
    below += bins[value]!
    if (first < 0 && below > (n - 1) >> 1) first = value
    if (below > n >> 1) return first + value
  }
}

function inliersOf({ offset, slope }: Line, limit: number, n: number, { u, v }: StraightnessScratch): number {
  let count = 0
  for (let at = 0; at < n; at++) {
    const away = offset + slope * u[at]! - v[at]!
    if (away <= limit && away >= -limit) count++
  }
  return count
}

function lineOf(s: number, su: number, sv: number, suu: number, suv: number): Line {
  const spread = suu - (su * su) / s
  const slope = spread > 1e-9 ? (suv - (su * sv) / s) / spread : 0
  return { offset: (sv - slope * su) / s, slope }
}

/** `hopeless`: after the first trials a best share of inliers below this ends it. */
function ransacAccuracy(
  n: number,
  share: number,
  unit: number,
  scratch: StraightnessScratch,
  draws: Draws,
  hopeless = 0,
): number {
  const { u, v, permutation } = scratch
  const size = Math.ceil(share * n)
  const limit = residualLimit(n, unit, scratch)
  for (let at = 0; at < n; at++) permutation[at] = at
  let best = 1
  let found = false
  let planned = trials
  for (let trial = 0; trial < planned; trial++) {
    if (trial === trialsOfHope && best < hopeless * n) break
    let su = 0
    let sv = 0
    let suu = 0
    let suv = 0
    for (let place = 0; place < size; place++) {
      const other = place + draws.below(n - place)
      const at = permutation[other]!
      permutation[other] = permutation[place]!
      permutation[place] = at
      su += u[at]!
      sv += v[at]!
      suu += u[at]! * u[at]!
      suv += u[at]! * v[at]!
    }
    const count = inliersOf(lineOf(size, su, sv, suu, suv), limit, n, scratch)
    if (count < best) continue
    best = count
    found = true
    planned = Math.min(planned, trialsFor(best / n, size))
  }
  return found ? best / n : 0
}

/** Trials after which a subset without outliers was drawn with 99 % probability. */
function trialsFor(inlierShare: number, size: number): number {
  const clean = Math.max(Number.EPSILON, 1 - inlierShare ** size)
  return clean === 1 ? Infinity : Math.abs(Math.ceil(Math.log(1 - stopProbability) / Math.log(clean)))
}

/** Lines of all points, and of all but those of each of `folds` interleaved parts. */
function fastAccuracy(
  n: number,
  folds: number,
  unit: number,
  minimumAccuracy: number,
  scratch: StraightnessScratch,
): number {
  if (n < fewPoints) {
    const hopeless = minimumAccuracy - hopelessGap
    return ransacAccuracy(n, folds === 2 ? 0.5 : 0.8, unit, scratch, createDraws(n), hopeless)
  }
  const { u, v } = scratch
  const limit = residualLimit(n, unit, scratch)
  let best = 0
  for (let fold = -1; fold < folds; fold++) {
    let s = 0
    let su = 0
    let sv = 0
    let suu = 0
    let suv = 0
    for (let at = 0; at < n; at++) {
      if (fold >= 0 && at % folds === fold) continue
      s++
      su += u[at]!
      sv += v[at]!
      suu += u[at]! * u[at]!
      suv += u[at]! * v[at]!
    }
    let line = lineOf(s, su, sv, suu, suv)
    let count = inliersOf(line, limit, n, scratch)
    for (let round = 0; round < 3 && count < n; round++) {
      line = inlierLine(line, limit, n, scratch)
      const more = inliersOf(line, limit, n, scratch)
      if (more <= count) break
      count = more
    }
    if (count > best) best = count
    if (best === n || best / n < minimumAccuracy - subsetGain - 1 / Math.sqrt(n)) break
  }
  return best / n
}

function inlierLine(from: Line, limit: number, n: number, { u, v }: StraightnessScratch): Line {
  let s = 0
  let su = 0
  let sv = 0
  let suu = 0
  let suv = 0
  for (let at = 0; at < n; at++) {
    if (Math.abs(from.offset + from.slope * u[at]! - v[at]!) > limit) continue
    s++
    su += u[at]!
    sv += v[at]!
    suu += u[at]! * u[at]!
    suv += u[at]! * v[at]!
  }
  return s < 2 ? from : lineOf(s, su, sv, suu, suv)
}
