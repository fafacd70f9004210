/**
 * Clusters against what the simulator put in. Definitions, used for every efficiency and purity we print:
 *
 *  - *light* of a track = its expected counts per 4x4 cell (before photon statistics and noise), divided by the
 *    relative light of the lens at that cell, summed over the cells inside the acceptance;
 *  - a track is *findable* when at least half of its light lies inside the acceptance and that light is at least
 *    `selectionMinimumIntegralCounts`;
 *  - it is *found* when one selected cluster (quality cut passed) holds more than half of its light;
 *  - a cluster is *matched* to the track with most light in it, unless all true light in it is less than half of its
 *    integral: then it is a *fake*. Purity of a matched cluster = light of that track / all true light in it; of a
 *    fake = 0;
 *  - efficiency = found / findable; purity = mean purity of the selected clusters, fakes included;
 *  - *resolved*: findable tracks that are the match of a selected cluster, so not hidden under a brighter one;
 *  - *split*: findable tracks that are the match of two or more selected clusters; *merged*: selected clusters that
 *    hold more than half of the light of two or more findable tracks.
 */
import type { ImageTruth, RunTruth } from '../detector/index.ts'
import type { TruthSummary } from './contract.ts'
import { cellSide } from './kernels/image-cells.ts'
import type { ImageCalibration } from './kernels/image-cells.ts'
import type { ReconstructedCluster } from './kernels/image-chain.ts'
import type { ReconstructionParameters } from './parameters.ts'

export interface ClusterMatch {
  /** Track id, -1 for a fake. */
  track: number
  purity: number
}

/** What became of one track, for efficiencies as a function of something. */
export interface TrackMatch {
  track: number
  /** Light of the track inside the acceptance, counts, corrected for the lens. */
  lightCounts: number
  /** Half of its light or more lies inside the acceptance. */
  accepted: boolean
  /** Rank of the cluster with most of its light, -1 none; and the share of the accepted light it holds. */
  cluster: number
  share: number
  /** A cluster, or a selected one, holds more than half of its accepted light. */
  found: boolean
  foundSelected: boolean
}

type KindCounts = { findable: number; found: number }
/** Sums over images; `truthSummaryOf` turns the total into ratios. */
export interface TruthTally {
  tracks: number
  outsideAcceptance: number
  belowThreshold: number
  findable: number
  found: number
  resolved: number
  split: number
  merged: number
  matchedClusters: number
  selectedClusters: number
  fakeClusters: number
  selectedFakeClusters: number
  selectedPurity: number
  perKind: Record<string, KindCounts>
}

export function emptyTally(): TruthTally {
  return {
    tracks: 0,
    outsideAcceptance: 0,
    belowThreshold: 0,
    findable: 0,
    found: 0,
    resolved: 0,
    split: 0,
    merged: 0,
    matchedClusters: 0,
    selectedClusters: 0,
    fakeClusters: 0,
    selectedFakeClusters: 0,
    selectedPurity: 0,
    perKind: {},
  }
}

/** Truth of a picture by event number; undefined when the sidecar does not fit the frames. */
export function truthByEvent(truth: RunTruth, width: number, height: number): Map<number, ImageTruth> | undefined {
  if (truth.frameWidth !== width || truth.frameHeight !== height) return undefined
  return new Map(truth.images.map((image) => [image.event, image]))
}

/** Matches the clusters of one image to its tracks, in cluster order, and what it adds to the tally. */
export function matchImage(
  clusters: readonly ReconstructedCluster[],
  truth: ImageTruth,
  calibration: ImageCalibration,
  parameters: ReconstructionParameters,
): { matches: ClusterMatch[]; tracks: TrackMatch[]; tally: TruthTally } {
  const { cellColumns, cellRows, firstRow, endRow, lightCorrection } = calibration
  const clusterAt = new Map<number, number>()
  clusters.forEach((cluster, rank) => {
    for (const cell of cluster.cells) clusterAt.set(cell, rank)
  })
  const tally = emptyTally()
  const tracks: TrackMatch[] = []
  const lightIn = clusters.map(() => new Map<number, number>())
  const mostlyIn = clusters.map(() => 0)
  const findable: { id: number; kind: string }[] = []
  for (const track of truth.tracks) {
    tally.tracks++
    let light = 0
    let allLight = 0
    const inCluster = new Map<number, number>()
    let at = 0
    const { runs, counts, rebin } = track.cells
    if (rebin !== cellSide) throw new RangeError(`truth cells are ${rebin} pixels wide instead of ${cellSide}`)
    for (let run = 0; run < runs.length; run += 3) {
      const row = runs[run]!
      const firstColumn = runs[run + 1]!
      const inside = row * cellSide >= firstRow && row * cellSide < endRow && row < cellRows
      for (let step = 0; step < runs[run + 2]!; step++) {
        const cell = row * cellColumns + firstColumn + step
        const corrected = counts[at++]! * lightCorrection[cell]!
        allLight += corrected
        if (!inside) continue
        light += corrected
        const rank = clusterAt.get(cell)
        if (rank !== undefined) inCluster.set(rank, (inCluster.get(rank) ?? 0) + corrected)
      }
    }
    for (const [rank, share] of inCluster) lightIn[rank]!.set(track.id, (lightIn[rank]!.get(track.id) ?? 0) + share)
    const accepted = allLight > 0 && light >= allLight / 2
    tracks.push(trackMatchOf(track.id, light, accepted, inCluster, clusters))
    if (!accepted) {
      tally.outsideAcceptance++
      continue
    }
    if (light < parameters.selectionMinimumIntegralCounts) {
      tally.belowThreshold++
      continue
    }
    findable.push({ id: track.id, kind: track.kind })
    tally.findable++
    const kind = (tally.perKind[track.kind] ??= { findable: 0, found: 0 })
    kind.findable++
    for (const [rank, share] of inCluster) {
      if (clusters[rank]!.selected && share > light / 2) {
        tally.found++
        kind.found++
        mostlyIn[rank]!++
        break
      }
    }
  }
  const selectedMatches = new Map<number, number>()
  const matches = clusters.map((cluster, rank): ClusterMatch => {
    let total = 0
    let best = 0
    let track = -1
    for (const [id, share] of lightIn[rank]!) {
      total += share
      if (share > best) {
        best = share
        track = id
      }
    }
    const fake = total <= 0 || total < cluster.integralCounts / 2
    if (fake) tally.fakeClusters++
    else tally.matchedClusters++
    if (cluster.selected) {
      tally.selectedClusters++
      if (fake) tally.selectedFakeClusters++
      else {
        tally.selectedPurity += best / total
        selectedMatches.set(track, (selectedMatches.get(track) ?? 0) + 1)
      }
      if (mostlyIn[rank]! > 1) tally.merged++
    }
    return fake ? { track: -1, purity: 0 } : { track, purity: best / total }
  })
  tally.resolved = findable.filter((track) => selectedMatches.has(track.id)).length
  tally.split = findable.filter((track) => (selectedMatches.get(track.id) ?? 0) > 1).length
  return { matches, tracks, tally }
}

function trackMatchOf(
  track: number,
  lightCounts: number,
  accepted: boolean,
  inCluster: ReadonlyMap<number, number>,
  clusters: readonly ReconstructedCluster[],
): TrackMatch {
  let cluster = -1
  let most = 0
  for (const [rank, share] of inCluster) if (share > most) [cluster, most] = [rank, share]
  const found = cluster >= 0 && most > lightCounts / 2
  return {
    track,
    lightCounts,
    accepted,
    cluster,
    share: lightCounts > 0 ? most / lightCounts : 0,
    found,
    foundSelected: found && clusters[cluster]!.selected,
  }
}

export function addTally(into: TruthTally, from: TruthTally): void {
  for (const key of Object.keys(into) as (keyof TruthTally)[]) {
    if (key !== 'perKind') into[key] += from[key]
  }
  for (const [name, counts] of Object.entries(from.perKind)) {
    const kind = (into.perKind[name] ??= { findable: 0, found: 0 })
    kind.findable += counts.findable
    kind.found += counts.found
  }
}

/** Ratios of a tally; null where there was nothing to divide by. */
export function truthSummaryOf(tally: TruthTally): TruthSummary {
  const { selectedPurity, perKind, ...counts } = tally
  const ratio = (part: number, whole: number) => (whole > 0 ? part / whole : null)
  return {
    ...counts,
    efficiency: ratio(tally.found, tally.findable),
    purity: ratio(selectedPurity, tally.selectedClusters),
    perKind: Object.fromEntries(
      Object.entries(perKind)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, kind]) => [name, { ...kind, efficiency: ratio(kind.found, kind.findable) }]),
    ),
  }
}
