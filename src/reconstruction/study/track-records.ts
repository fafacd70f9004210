/** One line per simulated track, with the cluster that has most of its light: what the tables of a validation are made of. */
import type { TrackTruth } from '../../detector/index.ts'
import type { Cluster } from '../contract.ts'
import type { SampleImage } from './samples.ts'

export interface TrackRecord {
  truth: Omit<TrackTruth, 'cells'>
  /** Light inside the acceptance, counts, corrected for the lens. */
  lightCounts: number
  accepted: boolean
  found: boolean
  foundSelected: boolean
  /** rms of the true light along x and y (their quadratic mean), px, of spots; 0 for other tracks. */
  lightRmsPx: number
  /** Share of its accepted light in `cluster`. */
  share: number
  /** The cluster with most of its light, if this track is also the one with most light in it. */
  cluster: Cluster | undefined
}

export function trackRecordsOf(image: SampleImage): TrackRecord[] {
  return image.tracks.map((match, index): TrackRecord => {
    const { cells, ...truth } = image.truth.tracks[index]!
    const cluster = match.cluster < 0 ? undefined : image.clusters[match.cluster]
    return {
      truth,
      lightCounts: match.lightCounts,
      accepted: match.accepted,
      found: match.found,
      foundSelected: match.foundSelected,
      share: match.share,
      lightRmsPx: truth.kind === 'iron' ? lightRmsPx(cells) : 0,
      cluster: cluster?.truthTrack === match.track ? cluster : undefined,
    }
  })
}

/** Distance from the middle of the frame, pixels. */
export function radiusPx(record: TrackRecord, framePx: number): number {
  return Math.hypot(record.truth.xPx - framePx / 2, record.truth.yPx - framePx / 2)
}

/** Of cells of `rebin` pixels, with the width of a cell taken out. */
function lightRmsPx({ rebin, runs, counts }: TrackTruth['cells']): number {
  let [sum, sumX, sumY, squares, at] = [0, 0, 0, 0, 0]
  for (let run = 0; run < runs.length; run += 3) {
    for (let step = 0; step < runs[run + 2]!; step++) {
      const light = counts[at++]!
      const [x, y] = [rebin * (runs[run + 1]! + step), rebin * runs[run]!]
      sum += light
      sumX += light * x
      sumY += light * y
      squares += light * (x * x + y * y)
    }
  }
  if (sum <= 0) return 0
  const both = squares / sum - (sumX / sum) ** 2 - (sumY / sum) ** 2
  return Math.sqrt(Math.max(0, both / 2 - (rebin * rebin) / 12))
}
