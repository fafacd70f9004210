/**
 * Optional: which clusters are pieces of a long straight track ("cosmic killer" of the reference).
 *
 * For each cluster longer than `cosmicMinimumLengthPx` the straight line through its macro-pixels is extended over the
 * whole frame, twice: by least squares ("weak") and through its most numerous inliers within 1 px ("robust"). Another
 * cluster is touched when more than `cosmicMinimumTouchPx` of its pixels lie within half a pixel of the line.
 *
 * Lines are fitted along the longer side of the cluster, so that steep ones are no exception. Not followed: the
 * reference draws 1000 random pairs for the robust line; here the pairs are a fixed set of 200.
 */
import type { ClusterVariables } from './cluster-variables.ts'
import { cellSide } from './image-cells.ts'
import type { CellPoints } from './noise-reducer.ts'
import { createDraws } from './seeded-random.ts'
import type { ReconstructionParameters } from '../parameters.ts'

export interface LongTrackMatch {
  /** To the nearest macro-pixel of the nearest long cluster whose line (either) touches it (px, between centres); -1 none or off. */
  minDistancePx: number
  /** Long clusters whose least-squares / robust line touches it; -1 off. */
  matchesWeak: number
  matchesRobust: number
}

/** Unit normal (nx, ny) and offset in pixels: nx x + ny y = offset. */
interface Line {
  nx: number
  ny: number
  offset: number
}

const pairs = 200
const minimumInliers = 4
const residualPx = 1
const halfPixel = 0.5

/** One match per cluster, in their order; `membersOf` gives the points of a cluster. */
export function matchLongTracks(
  clusters: readonly ClusterVariables[],
  points: CellPoints,
  membersOf: (cluster: ClusterVariables) => Int32Array,
  parameters: ReconstructionParameters,
): LongTrackMatch[] {
  if (parameters.cosmicKiller !== 1) {
    return clusters.map(() => ({ minDistancePx: -1, matchesWeak: -1, matchesRobust: -1 }))
  }
  const matches = clusters.map((): LongTrackMatch => ({ minDistancePx: -1, matchesWeak: 0, matchesRobust: 0 }))
  clusters.forEach((long, longRank) => {
    if (!(long.lengthPx > parameters.cosmicMinimumLengthPx)) return
    const members = membersOf(long)
    const weak = leastSquaresLine(points, members)
    const robust = inlierLine(points, members, long.label)
    clusters.forEach((other, rank) => {
      if (rank === longRank) return
      const touchedBy = (line: Line | undefined) =>
        line !== undefined && touchedPixels(points, membersOf(other), line) > parameters.cosmicMinimumTouchPx
      const touchedWeak = touchedBy(weak)
      const touchedRobust = touchedBy(robust)
      if (!touchedWeak && !touchedRobust) return
      const match = matches[rank]!
      if (touchedWeak) match.matchesWeak++
      if (touchedRobust) match.matchesRobust++
      const distancePx = distanceBetween(points, members, membersOf(other))
      if (match.minDistancePx < 0 || distancePx < match.minDistancePx) match.minDistancePx = distancePx
    })
  })
  return matches
}

/** Centre of a macro-pixel in pixels, pixel (0, 0) centred at (0, 0). */
const centre = (cell: number) => cell * cellSide + (cellSide - 1) / 2

function lineThrough(slope: number, offset: number, alongX: boolean): Line {
  const norm = Math.hypot(slope, 1)
  return alongX
    ? { nx: -slope / norm, ny: 1 / norm, offset: offset / norm }
    : { nx: 1 / norm, ny: -slope / norm, offset: offset / norm }
}

function leastSquaresLine({ x, y }: CellPoints, members: Int32Array): Line | undefined {
  const n = members.length
  let sx = 0
  let sy = 0
  for (const member of members) {
    sx += centre(x[member]!)
    sy += centre(y[member]!)
  }
  let xx = 0
  let xy = 0
  let yy = 0
  for (const member of members) {
    const dx = centre(x[member]!) - sx / n
    const dy = centre(y[member]!) - sy / n
    xx += dx * dx
    xy += dx * dy
    yy += dy * dy
  }
  if (xx === 0 && yy === 0) return undefined
  const alongX = xx >= yy
  const slope = alongX ? xy / xx : xy / yy
  const offset = alongX ? sy / n - (slope * sx) / n : sx / n - (slope * sy) / n
  return lineThrough(slope, offset, alongX)
}

function inlierLine({ x, y }: CellPoints, members: Int32Array, seed: number): Line | undefined {
  const draws = createDraws(seed)
  let best: Line | undefined
  let most = minimumInliers - 1
  for (let pair = 0; pair < pairs; pair++) {
    const a = members[draws.below(members.length)]!
    const b = members[draws.below(members.length)]!
    const dx = centre(x[b]!) - centre(x[a]!)
    const dy = centre(y[b]!) - centre(y[a]!)
    if (dx === 0 && dy === 0) continue
    const norm = Math.hypot(dx, dy)
    const line = { nx: -dy / norm, ny: dx / norm, offset: 0 }
    line.offset = line.nx * centre(x[a]!) + line.ny * centre(y[a]!)
    let inliers = 0
    for (const member of members) {
      if (Math.abs(line.nx * centre(x[member]!) + line.ny * centre(y[member]!) - line.offset) <= residualPx) inliers++
    }
    if (inliers > most) {
      most = inliers
      best = line
    }
  }
  return best
}

function touchedPixels({ x, y }: CellPoints, members: Int32Array, { nx, ny, offset }: Line): number {
  let touched = 0
  for (const member of members) {
    // Cells whose centre is further than their half diagonal and half a pixel cannot have a pixel on the line.
    if (Math.abs(nx * centre(x[member]!) + ny * centre(y[member]!) - offset) > cellSide * 0.75) continue
    for (let step = 0; step < cellSide * cellSide; step++) {
      const px = x[member]! * cellSide + (step % cellSide)
      const py = y[member]! * cellSide + ((step / cellSide) | 0)
      if (Math.abs(nx * px + ny * py - offset) <= halfPixel) touched++
    }
  }
  return touched
}

function distanceBetween({ x, y }: CellPoints, one: Int32Array, other: Int32Array): number {
  let best = Infinity
  for (const a of one) {
    for (const b of other) {
      const square = (x[a]! - x[b]!) ** 2 + (y[a]! - y[b]!) ** 2
      if (square < best) best = square
    }
  }
  return Math.sqrt(best) * cellSide
}
