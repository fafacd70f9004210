/**
 * Which clusters of two lists are the same track. First by their boxes: the pair that shares most (intersection over
 * union at least a half) is taken, then the next. What is left is matched by the nearest barycentre within a radius.
 * Deterministic: ties go to the lower ranks.
 */
import type { ClusterPair, ShiftDistribution } from './campaign-contract.ts'
import type { Cluster } from './contract.ts'

/** What is needed of a cluster. */
export type MatchCluster = Pick<
  Cluster,
  | 'event'
  | 'camera'
  | 'cluster'
  | 'integralCounts'
  | 'xMeanPx'
  | 'yMeanPx'
  | 'xMinPx'
  | 'xMaxPx'
  | 'yMinPx'
  | 'yMaxPx'
  | 'selected'
>

export const leastIou = 0.5
/** Two barycentres further apart are not the same track: twice the size of a 55Fe spot. */
export const nearestPx = 50

export interface Matching {
  pairs: ClusterPair[]
  onlyFirst: MatchCluster[]
  onlySecond: MatchCluster[]
}

/** Clusters of one event and camera. */
export function matchClusters(first: readonly MatchCluster[], second: readonly MatchCluster[]): Matching {
  const pairs: ClusterPair[] = []
  const takenFirst = new Set<number>()
  const takenSecond = new Set<number>()
  const take = (i: number, j: number, by: ClusterPair['by']) => {
    takenFirst.add(i)
    takenSecond.add(j)
    pairs.push(pairOf(first[i]!, second[j]!, by))
  }
  const byIou = candidates(first, second, (a, b) => -iouOf(a, b), -leastIou)
  for (const { i, j } of byIou) if (!takenFirst.has(i) && !takenSecond.has(j)) take(i, j, 'iou')
  const byDistance = candidates(first, second, distanceOf, nearestPx)
  for (const { i, j } of byDistance) if (!takenFirst.has(i) && !takenSecond.has(j)) take(i, j, 'near')
  return {
    pairs,
    onlyFirst: first.filter((_, index) => !takenFirst.has(index)),
    onlySecond: second.filter((_, index) => !takenSecond.has(index)),
  }
}

/** Pairs whose score is at most the limit, best first. */
function candidates(
  first: readonly MatchCluster[],
  second: readonly MatchCluster[],
  scoreOf: (a: MatchCluster, b: MatchCluster) => number,
  limit: number,
): { i: number; j: number; score: number }[] {
  const found = []
  for (const [i, a] of first.entries()) {
    for (const [j, b] of second.entries()) {
      const score = scoreOf(a, b)
      if (score <= limit) found.push({ i, j, score })
    }
  }
  return found.sort((a, b) => a.score - b.score || a.i - b.i || a.j - b.j)
}

/** Of the boxes, whole pixels; 0 where one has none. */
export function iouOf(a: MatchCluster, b: MatchCluster): number {
  const width = Math.min(a.xMaxPx, b.xMaxPx) - Math.max(a.xMinPx, b.xMinPx) + 1
  const height = Math.min(a.yMaxPx, b.yMaxPx) - Math.max(a.yMinPx, b.yMinPx) + 1
  if (width <= 0 || height <= 0 || !hasBox(a) || !hasBox(b)) return 0
  const shared = width * height
  return shared / (areaOf(a) + areaOf(b) - shared)
}

function hasBox({ xMinPx, xMaxPx, yMinPx, yMaxPx }: MatchCluster): boolean {
  return xMinPx >= 0 && yMinPx >= 0 && xMaxPx >= xMinPx && yMaxPx >= yMinPx
}

function areaOf({ xMinPx, xMaxPx, yMinPx, yMaxPx }: MatchCluster): number {
  return (xMaxPx - xMinPx + 1) * (yMaxPx - yMinPx + 1)
}

function distanceOf(a: MatchCluster, b: MatchCluster): number {
  return Math.hypot(a.xMeanPx - b.xMeanPx, a.yMeanPx - b.yMeanPx)
}

function pairOf(a: MatchCluster, b: MatchCluster, by: ClusterPair['by']): ClusterPair {
  return {
    event: a.event,
    camera: a.camera,
    first: a.cluster,
    second: b.cluster,
    by,
    iou: iouOf(a, b),
    firstIntegralCounts: a.integralCounts,
    secondIntegralCounts: b.integralCounts,
    shiftPx: distanceOf(a, b),
  }
}

/** (second - first) / first; 0 where the first has no light. */
export function integralShift({ firstIntegralCounts, secondIntegralCounts }: ClusterPair): number {
  return firstIntegralCounts === 0 ? 0 : (secondIntegralCounts - firstIntegralCounts) / firstIntegralCounts
}

/** Median, the range of the middle 68 %, and the value furthest from zero. */
export function shiftDistribution(values: readonly number[]): ShiftDistribution {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0
  const largest = values.reduce((most, value) => (Math.abs(value) > Math.abs(most) ? value : most), 0)
  return { count: values.length, median: at(0.5), p16: at(0.16), p84: at(0.84), largest }
}
