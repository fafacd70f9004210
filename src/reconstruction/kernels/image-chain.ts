/**
 * One image from raw pixels to clusters: the stages in order, with the memory they share and the time each took.
 *
 * A chain belongs to one thread. It keeps nothing between images except its scratch memory.
 */
import { floodClusters, halfWidths, markCores } from './cell-neighbourhood.ts'
import { createPixelScratch, noPixels, pixelsOfClusters } from './cluster-pixels.ts'
import type { ClusterPixels } from './cluster-pixels.ts'
import { measureClusters, createClusterScratch, groupByLabel } from './cluster-variables.ts'
import type { ClusterVariables } from './cluster-variables.ts'
import { matchLongTracks } from './cosmic-lines.ts'
import type { LongTrackMatch } from './cosmic-lines.ts'
import { createDirectionalScratch, directionalClusters } from './directional-clusters.ts'
import { energyAlongTrack } from './energy-along-track.ts'
import type { ImageCalibration } from './image-cells.ts'
import { chooseKernels } from './image-kernels.ts'
import type { ChosenKernels, ImageKernels } from './image-kernels.ts'
import type { CellPoints } from './noise-reducer.ts'
import { outlineOf } from './outlines.ts'
import type { ReconstructionParameters } from '../parameters.ts'

export const stages = ['cells', 'reduce', 'cluster', 'directional', 'measure', 'outline', 'pixels'] as const
export type Stage = (typeof stages)[number]

export interface ReconstructedCluster extends ClusterVariables, LongTrackMatch {
  /** Made by the directional step. */
  directional: boolean
  /** Pixels of the skeleton, -1 when the calibration along the track is off. */
  pathLengthPx: number
  /** Cells of the cluster as indices into the cell grid (row * columns + column). */
  cells: Int32Array
  /** Closed borders, see outlines.ts. */
  rings: number[][]
}

export interface ReconstructedImage {
  /** True when the raw sum says spark; there are no clusters then. */
  vetoed: boolean
  rawSumCounts: number
  /** Sum of the zero-suppressed image inside the acceptance, counts, without vignetting correction. */
  suppressedSumCounts: number
  /** Macro-pixels given to the clustering. */
  macroHits: number
  /** Brightest first. */
  clusters: ReconstructedCluster[]
  /** Pixels of the bright clusters (parameters `savePixels...`), in cluster order. Overwritten by the next image. */
  pixels: ClusterPixels
  stageMs: Record<Stage, number>
}

export interface ImageChain {
  /** Which kernels do the first three stages, and why when they are not the SIMD ones. */
  readonly implementation: { kernels: ImageKernels['name']; reason: string | null }
  /** `randomSeed` is used by the faithful directional step alone: of run, event and camera. */
  reconstruct(pixels: Uint16Array, randomSeed?: number): ReconstructedImage
}

export function createImageChain(
  calibration: ImageCalibration,
  parameters: ReconstructionParameters,
  { kernels, reason }: ChosenKernels = chooseKernels(calibration, parameters),
): ImageChain {
  const { width, height, cellColumns, cellRows } = calibration
  const cells = cellColumns * cellRows
  const { images, points, labels } = kernels
  const clusterScratch = createClusterScratch(cells)
  const pixelScratch = createPixelScratch()
  const directional = createDirectionalScratch(cellColumns, cellRows)
  const vetoCounts = parameters.sparkVetoCountsPerPixel * width * height + parameters.sparkVetoOffsetCounts

  /** Plain DBSCAN in the metric of the parameters; returns the number of clusters. */
  function cluster(): number {
    const { clusterMetric, clusterRadiusCells, clusterMinimumWeightCounts } = parameters
    if (clusterMetric === 'cityblock') return kernels.cluster(clusterRadiusCells, clusterMinimumWeightCounts)
    const { core, neighbourhood } = directional
    const widths = halfWidths(clusterMetric, clusterRadiusCells)
    markCores(points, widths, clusterMinimumWeightCounts, neighbourhood, core)
    labels.fill(-1, 0, points.count)
    const options = { free: -1, first: 0, dropped: -1, minimumPoints: 1 }
    return floodClusters(points, core, widths, labels, options, neighbourhood)
  }

  return {
    implementation: { kernels: kernels.name, reason },
    reconstruct(pixels, randomSeed = 0) {
      const stageMs = Object.fromEntries(stages.map((stage) => [stage, 0])) as Record<Stage, number>
      let mark = performance.now()
      const lap = (stage: Stage) => {
        const now = performance.now()
        stageMs[stage] = now - mark
        mark = now
      }
      kernels.imageToCells(pixels)
      lap('cells')
      const result: ReconstructedImage = {
        vetoed: images.rawSumCounts > vetoCounts,
        rawSumCounts: images.rawSumCounts,
        suppressedSumCounts: images.suppressedSumCounts,
        macroHits: 0,
        clusters: [],
        pixels: noPixels(),
        stageMs,
      }
      if (result.vetoed) return result
      kernels.findPoints()
      lap('reduce')
      const seeds = cluster()
      lap('cluster')
      const outcome =
        parameters.directionalMode === 'off'
          ? { clusters: seeds, directional: [] }
          : directionalClusters(points, labels, seeds, parameters, directional, randomSeed)
      groupByLabel(labels, points.count, outcome.clusters, clusterScratch)
      lap('directional')
      const measured = measureClusters(pixels, calibration, points, outcome.clusters, parameters, clusterScratch)
      const membersOf = ({ label }: ClusterVariables) =>
        clusterScratch.order.subarray(clusterScratch.start[label]!, clusterScratch.start[label + 1]!)
      const matches = matchLongTracks(measured, points, membersOf, parameters)
      const energies = measured.map((cluster) => {
        if (parameters.energyAlongTrack !== 1) return { energyKev: cluster.energyKev, pathLengthPx: -1 }
        return energyAlongTrack(pixels, calibration, points, membersOf(cluster), parameters)
      })
      lap('measure')
      result.macroHits = points.count
      result.clusters = measured.map((cluster, rank) => {
        const members = membersOf(cluster)
        return {
          ...cluster,
          ...energies[rank]!,
          ...matches[rank]!,
          directional: outcome.directional[cluster.label] ?? false,
          cells: cellsOf(points, members, cellColumns),
          rings: outlineOf(points.x, points.y, members),
        }
      })
      lap('outline')
      result.pixels = pixelsOfClusters(points, measured, membersOf, clusterScratch, parameters, pixelScratch)
      lap('pixels')
      return result
    },
  }
}

function cellsOf({ x, y }: CellPoints, members: Int32Array, columns: number): Int32Array {
  const cells = new Int32Array(members.length)
  for (let at = 0; at < cells.length; at++) cells[at] = y[members[at]!]! * columns + x[members[at]!]!
  return cells
}
