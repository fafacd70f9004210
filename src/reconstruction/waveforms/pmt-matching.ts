/**
 * Which trigger of the photomultipliers belongs to which cluster of the camera.
 *
 * For a pair, tube i should see the charge k L G_i: L = integral of the cluster (counts), G_i = its light in the tube
 * relative to a spot in the middle (tube-light.ts), k = charge per count, one number for a run. The pair's chi2 is the
 * least over its own scale s of
 *
 *   sum_i (Q_i - s k L G_i)^2 / (sigma_i^2 + (e Q_i)^2)  +  ((s - 1) / spread)^2
 *
 * with e = `matchChargeError` and spread = `matchScaleSpread`: camera and tubes do not saturate and lose light alike.
 * Pairs are chosen with the least total chi2 (assignment.ts); above `matchMaximumChi2` a cluster stays unmatched.
 * k is the median over the run of the ratio of pairs that their shares alone make plausible.
 *
 * depth = time over threshold x drift velocity; tilt = atan2(depth, length). A spot has the depth of its pulse (about
 * 5 mm: scintillation and photomultiplier), so that depth and tilt of short tracks are upper limits.
 */
import type { Cluster } from '../contract.ts'
import type { WaveformParameters } from '../waveform-parameters.ts'
import type { TriggerLight } from './analyse-event.ts'
import { cheapestAssignment } from './assignment.ts'

/** A cluster that may have a trigger: its row, and its light in the tubes. */
export interface MatchCluster {
  cluster: Cluster
  /** As `clusterTubeGains`. */
  gains: readonly number[]
}

export interface MatchEvent {
  clusters: MatchCluster[]
  triggers: readonly TriggerLight[]
}

/** Charge per count of camera light, from the pairs of a run; undefined where there are none. */
export function chargePerCount(events: readonly MatchEvent[], parameters: WaveformParameters): number | undefined {
  const alone: number[] = []
  const all: number[] = []
  for (const { clusters, triggers } of events) {
    const lit = triggers.filter(({ charges }) => charges !== undefined)
    for (const { cluster, gains } of clusters) {
      for (const trigger of lit) {
        const pair = compare(cluster.integralCounts, gains, trigger, undefined, parameters)
        if (pair === undefined || pair.chi2 > parameters.matchMaximumChi2 / 3) continue
        all.push(pair.scale)
        if (lit.length === 1 && clusters.length === 1) alone.push(pair.scale)
      }
    }
  }
  // Pictures with one of each say it best; in crowded runs most plausible pairs are wrong, but wrong in all directions.
  return median(alone.length >= 5 ? alone : all)
}

function median(values: number[]): number | undefined {
  return values.toSorted((a, b) => a - b)[values.length >> 1]
}

/**
 * chi2 of a pair and the charge per count that fits it best; undefined where one of the two has no light. A pulse beyond
 * the range of the digitizer is a lower limit: it counts only while less than it is expected.
 */
function compare(
  integralCounts: number,
  gains: readonly number[],
  { charges }: TriggerLight,
  perCount: number | undefined,
  parameters: WaveformParameters,
): { chi2: number; scale: number } | undefined {
  if (charges === undefined || !(integralCounts > 0)) return undefined
  const lights = charges.counts.map((_, tube) => integralCounts * (gains[tube] ?? 0))
  // Without a known charge per count a pair with limits says nothing about it.
  if (perCount === undefined && charges.clipped.includes(true)) return undefined
  let counted = lights.map(() => true)
  for (;;) {
    const fit = fitScale(lights, charges, counted, perCount, parameters)
    if (fit === undefined) return undefined
    const next = counted.map(
      (was, tube) => was && !(charges.clipped[tube]! && fit.scale * lights[tube]! > charges.counts[tube]!),
    )
    if (next.every((is, tube) => is === counted[tube])) return fit
    counted = next
  }
}

/** Least squares over the tubes that count: sum of w (Q - k L)^2 and the pull of a known k, which is quadratic in k. */
function fitScale(
  lights: readonly number[],
  charges: NonNullable<TriggerLight['charges']>,
  counted: readonly boolean[],
  perCount: number | undefined,
  { matchChargeError, matchScaleSpread }: WaveformParameters,
): { chi2: number; scale: number } | undefined {
  let squares = 0
  let products = 0
  let own = 0
  const add = (weight: number, light: number, charge: number): void => {
    squares += weight * light * light
    products += weight * light * charge
    own += weight * charge * charge
  }
  charges.counts.forEach((charge, tube) => {
    if (counted[tube]) add(1 / (charges.variances[tube]! + (matchChargeError * charge) ** 2), lights[tube]!, charge)
  })
  if (perCount !== undefined) add(1 / (matchScaleSpread * perCount) ** 2, 1, perCount)
  return squares > 0
    ? { chi2: Math.max(0, own - (products * products) / squares), scale: products / squares }
    : undefined
}

/**
 * Fills pmtTrigger, pmtChi2, depthMm and tiltDeg of the clusters of one event; those left without a trigger keep what
 * they had. `perCount` as `chargePerCount`.
 */
export function matchClusters({ clusters, triggers }: MatchEvent, perCount: number, parameters: WaveformParameters) {
  const chi2 = clusters.map(({ cluster, gains }) =>
    triggers.map((trigger) => compare(cluster.integralCounts, gains, trigger, perCount, parameters)?.chi2 ?? Infinity),
  )
  const chosen = cheapestAssignment(
    clusters.length,
    triggers.length,
    (row, column) => chi2[row]![column]!,
    parameters.matchMaximumChi2,
  )
  chosen.forEach((column, row) => {
    if (column < 0 || chi2[row]![column]! > parameters.matchMaximumChi2) return
    const { cluster } = clusters[row]!
    const { trigger, overThresholdNs } = triggers[column]!
    cluster.pmtTrigger = trigger
    cluster.pmtChi2 = chi2[row]![column]!
    if (overThresholdNs <= 0) return
    // 1 cm/us = 0.01 mm/ns.
    cluster.depthMm = (overThresholdNs * parameters.driftVelocityCmPerUs) / 100
    cluster.tiltDeg = (Math.atan2(cluster.depthMm, cluster.lengthPx * parameters.pixelSideMm) * 180) / Math.PI
  })
}
