/**
 * What the clustering saw in an image and what it made of it, for comparing with other implementations: points, labels
 * of the plain clustering, and how the fast directional step agrees with the faithful one.
 */
import { createDirectionalScratch, directionalClusters } from '../kernels/directional-clusters.ts'
import { chooseKernels } from '../kernels/image-kernels.ts'
import type { ImageCalibration } from '../kernels/image-cells.ts'
import type { ReconstructionParameters } from '../parameters.ts'
import { adjustedRandIndex } from './statistics.ts'

/** Points of one image in the order the clustering got them. */
export interface KeptPoints {
  kernels: string
  x: Int32Array
  y: Int32Array
  /** Counts. */
  weight: Int32Array
  /** Of the plain clustering, -1 noise. */
  labels: Int32Array
}

/** The fast directional step against the faithful one, and the faithful one against itself with other seeds. */
export interface ModeAgreement {
  /** Tracks found. */
  fastTracks: number
  faithfulTracks: number[]
  /** Adjusted Rand index, one per seed of the faithful mode. */
  fastToFaithful: number[]
  /** One per pair of seeds. */
  faithfulToFaithful: number[]
}

const faithfulSeeds = [1, 2, 3]

export interface PointKeeper {
  points(pixels: Uint16Array): KeptPoints
  /** Of the image last given to `points`. */
  agreement(): ModeAgreement
}

/** Works with memory of its own: what the chain of the thread keeps inside is not touched. */
export function createPointKeeper(calibration: ImageCalibration, parameters: ReconstructionParameters): PointKeeper {
  const { kernels } = chooseKernels(calibration, parameters)
  const scratch = createDirectionalScratch(calibration.cellColumns, calibration.cellRows)
  const { points, labels } = kernels
  let seeds = 0

  function directional(mode: 'fast' | 'faithful', seed: number): { tracks: number; labels: Int32Array } {
    const own = labels.slice()
    const outcome = directionalClusters(points, own, seeds, { ...parameters, directionalMode: mode }, scratch, seed)
    return { tracks: outcome.directional.filter(Boolean).length, labels: own.subarray(0, points.count) }
  }

  return {
    points(pixels) {
      kernels.imageToCells(pixels)
      kernels.findPoints()
      seeds = kernels.cluster(parameters.clusterRadiusCells, parameters.clusterMinimumWeightCounts)
      return {
        kernels: kernels.name,
        x: Int32Array.from(points.x.subarray(0, points.count)),
        y: Int32Array.from(points.y.subarray(0, points.count)),
        weight: Int32Array.from(points.weight.subarray(0, points.count)),
        labels: Int32Array.from(labels.subarray(0, points.count)),
      }
    },
    agreement() {
      const fast = directional('fast', 0)
      const faithful = faithfulSeeds.map((seed) => directional('faithful', seed))
      const pairs = faithful.flatMap((one, index) => faithful.slice(index + 1).map((other) => [one, other] as const))
      return {
        fastTracks: fast.tracks,
        faithfulTracks: faithful.map(({ tracks }) => tracks),
        fastToFaithful: faithful.map((other) => adjustedRandIndex(fast.labels, other.labels)),
        faithfulToFaithful: pairs.map(([one, other]) => adjustedRandIndex(one.labels, other.labels)),
      }
    },
  }
}
