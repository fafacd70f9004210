/**
 * Polynomials of order 1 or 2 through points, and the tube around them: the point (u, v) is inside when
 * |f(u) - v| < thickness sqrt(1 + f'(u)^2), that is within `thickness` of the curve where it is nearly straight.
 *
 * Two ways to find one, with the same acceptance (more than 80 % of the points inside, then a fit to those inside):
 *  - RANSAC as the reference: 100 times 70 % of the points drawn with replacement; of the accepted ones the smallest
 *    sum of absolute residuals over its inliers wins. Not followed: the reference keeps its derivative in an array
 *    that later trials overwrite, so its tube has the slope of another trial; here slope and curve belong together.
 *  - fast: order 1 starts at the principal axis, order 2 at the least-squares parabola reweighted by 1 / (1 + (r/T)^2);
 *    then both are refitted to the points inside the tube until those stay the same.
 */
import type { Draws } from './seeded-random.ts'
import { secondMoments } from './second-moments.ts'

/** f(u) = c0 + c1 t + c2 t^2 with t = (u - origin) / scale: keeps the sums of squares well conditioned. */
export interface Polynomial {
  origin: number
  scale: number
  c0: number
  c1: number
  c2: number
}

export type Order = 1 | 2

export const ransacTrials = 100
const ransacDrawnShare = 0.7
const acceptedShare = 0.8
const refits = 8
const reweightings = 5

/** The first `n` points count. */
export interface Coordinates {
  u: Float64Array
  v: Float64Array
  n: number
}

interface Sums {
  s0: number
  s1: number
  s2: number
  s3: number
  s4: number
  t0: number
  t1: number
  t2: number
}
const noSums = (): Sums => ({ s0: 0, s1: 0, s2: 0, s3: 0, s4: 0, t0: 0, t1: 0, t2: 0 })

function add(sums: Sums, t: number, v: number, weight: number): void {
  const t2 = t * t
  sums.s0 += weight
  sums.s1 += weight * t
  sums.s2 += weight * t2
  sums.s3 += weight * t2 * t
  sums.s4 += weight * t2 * t2
  sums.t0 += weight * v
  sums.t1 += weight * t * v
  sums.t2 += weight * t2 * v
}

/** Least squares from the sums; undefined when the points do not determine the polynomial. */
function solve(sums: Sums, order: Order, frame: { origin: number; scale: number }): Polynomial | undefined {
  const { s0, s1, s2, s3, s4, t0, t1, t2 } = sums
  // Gram-Schmidt: 1, t - a, t^2 - b t - c are orthogonal under the weights.
  if (!(s0 > 0)) return undefined
  const a = s1 / s0
  const n1 = s2 - s1 * a
  if (!(n1 > 1e-12 * s0)) return undefined
  const p0 = t0 / s0
  const p1 = (t1 - a * t0) / n1
  if (order === 1) return { ...frame, c0: p0 - p1 * a, c1: p1, c2: 0 }
  const alongLine = (s3 - a * s2) / n1
  const mean2 = s2 / s0
  const n2 = s4 - mean2 * s2 - alongLine * alongLine * n1
  if (!(n2 > 1e-12 * s0)) return undefined
  const p2 = (t2 - mean2 * t0 - alongLine * (t1 - a * t0)) / n2
  return { ...frame, c0: p0 - p1 * a - p2 * (mean2 - alongLine * a), c1: p1 - p2 * alongLine, c2: p2 }
}

function frameOf({ u, n }: Coordinates): { origin: number; scale: number } {
  let low = Infinity
  let high = -Infinity
  for (let at = 0; at < n; at++) {
    if (u[at]! < low) low = u[at]!
    if (u[at]! > high) high = u[at]!
  }
  return { origin: (low + high) / 2, scale: Math.max(1, (high - low) / 2) }
}

export function valueAt(polynomial: Polynomial, u: number): number {
  const t = (u - polynomial.origin) / polynomial.scale
  return polynomial.c0 + t * (polynomial.c1 + t * polynomial.c2)
}

/** Whether the point lies in the tube of that half width. */
export function insideTube(polynomial: Polynomial, thickness: number, u: number, v: number): boolean {
  const { origin, scale, c0, c1, c2 } = polynomial
  const t = (u - origin) / scale
  const away = c0 + t * (c1 + t * c2) - v
  const slope = (c1 + 2 * c2 * t) / scale
  return away * away < thickness * thickness * (1 + slope * slope)
}

/** Sums over the points inside the tube, and how many they are. */
function inside(points: Coordinates, polynomial: Polynomial, thickness: number): { sums: Sums; count: number } {
  const { u, v, n } = points
  const sums = noSums()
  let count = 0
  for (let at = 0; at < n; at++) {
    if (!insideTube(polynomial, thickness, u[at]!, v[at]!)) continue
    add(sums, (u[at]! - polynomial.origin) / polynomial.scale, v[at]!, 1)
    count++
  }
  return { sums, count }
}

/** RANSAC of the reference with given draws; undefined when no trial is accepted. */
export function fitTubeRansac(
  points: Coordinates,
  order: Order,
  thickness: number,
  draws: Draws,
): Polynomial | undefined {
  const { u, v, n } = points
  const frame = frameOf(points)
  const drawn = Math.floor(ransacDrawnShare * n)
  let best: Polynomial | undefined
  let bestError = Infinity
  for (let trial = 0; trial < ransacTrials; trial++) {
    const sums = noSums()
    for (let draw = 0; draw < drawn; draw++) {
      const at = draws.below(n)
      add(sums, (u[at]! - frame.origin) / frame.scale, v[at]!, 1)
    }
    const maybe = solve(sums, order, frame)
    if (maybe === undefined) continue
    const found = inside(points, maybe, thickness)
    if (!(found.count > n * acceptedShare)) continue
    const better = solve(found.sums, order, frame)
    if (better === undefined) continue
    let error = 0
    for (let at = 0; at < n; at++) {
      if (insideTube(maybe, thickness, u[at]!, v[at]!)) error += Math.abs(valueAt(better, u[at]!) - v[at]!)
    }
    if (error < bestError) {
      best = better
      bestError = error
    }
  }
  return best
}

/** The deterministic way; undefined when 80 % of the points do not fit into a tube. */
export function fitTubeFast(points: Coordinates, order: Order, thickness: number): Polynomial | undefined {
  const { n } = points
  const frame = frameOf(points)
  let polynomial = order === 1 ? principalAxis(points, frame) : reweighted(points, frame, thickness)
  let best: Polynomial | undefined
  let bestCount = 0
  let before = -1
  for (let round = 0; round < refits && polynomial !== undefined; round++) {
    const found = inside(points, polynomial, thickness)
    if (found.count === before) break
    before = found.count
    const better = solve(found.sums, order, frame)
    if (found.count > bestCount && better !== undefined) {
      bestCount = found.count
      best = better
    }
    polynomial = better
  }
  return bestCount > n * acceptedShare ? best : undefined
}

/** The line of the largest spread, as v over u; the spread along u is at least as large as along v. */
function principalAxis({ u, v, n }: Coordinates, frame: { origin: number; scale: number }): Polynomial | undefined {
  const { uMean, vMean, uu, uv, vv } = secondMoments(u, v, n)
  if (!(uu > 0)) return undefined
  const slope = Math.tan(0.5 * Math.atan2(2 * uv, uu - vv))
  const c1 = slope * frame.scale
  return { ...frame, c0: vMean + slope * (frame.origin - uMean), c1, c2: 0 }
}

function reweighted(
  points: Coordinates,
  frame: { origin: number; scale: number },
  thickness: number,
): Polynomial | undefined {
  const { u, v, n } = points
  let polynomial: Polynomial | undefined
  for (let round = 0; round <= reweightings; round++) {
    const sums = noSums()
    for (let at = 0; at < n; at++) {
      const away = polynomial === undefined ? 0 : (valueAt(polynomial, u[at]!) - v[at]!) / thickness
      add(sums, (u[at]! - frame.origin) / frame.scale, v[at]!, 1 / (1 + away * away))
    }
    const next = solve(sums, 2, frame)
    if (next === undefined) return polynomial
    polynomial = next
  }
  return polynomial
}
