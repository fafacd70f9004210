/**
 * One image from raw pixels to clusters: the stages in order, with the memory they share and the time each took.
 *
 * A chain belongs to one thread. It keeps nothing between images except its scratch memory.
 */
import { measureClusters, createClusterScratch, groupByLabel } from './cluster-variables.ts'
import type { ClusterVariables } from './cluster-variables.ts'
import { createDbscanScratch, gridDbscan } from './grid-dbscan.ts'
import { createCellScratch, imageToCells } from './image-cells.ts'
import type { CellImages, ImageCalibration } from './image-cells.ts'
import { collectPoints, createCellPoints, createReducerScratch, reduceNoise } from './noise-reducer.ts'
import { outlineOf } from './outlines.ts'
import type { ReconstructionParameters } from '../parameters.ts'

export const stages = ['cells', 'reduce', 'cluster', 'measure', 'outline'] as const
export type Stage = (typeof stages)[number]

export interface ReconstructedCluster extends ClusterVariables {
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
  stageMs: Record<Stage, number>
}

export interface ImageChain {
  reconstruct(pixels: Uint16Array): ReconstructedImage
}

export function createImageChain(calibration: ImageCalibration, parameters: ReconstructionParameters): ImageChain {
  const { width, height, cellColumns, cellRows } = calibration
  const cells = cellColumns * cellRows
  const cellScratch = createCellScratch(width)
  const images: CellImages = {
    weight: new Int32Array(cells),
    edge: new Int32Array(cells),
    rawSumCounts: 0,
    suppressedSumCounts: 0,
  }
  const reducer = createReducerScratch(cells)
  const points = createCellPoints(cells)
  const dbscan = createDbscanScratch(cellColumns, cellRows)
  const clusterScratch = createClusterScratch(cells)
  const labels = new Int32Array(cells)
  const vetoCounts = parameters.sparkVetoCountsPerPixel * width * height + parameters.sparkVetoOffsetCounts

  return {
    reconstruct(pixels) {
      const stageMs: Record<Stage, number> = { cells: 0, reduce: 0, cluster: 0, measure: 0, outline: 0 }
      let mark = performance.now()
      const lap = (stage: Stage) => {
        const now = performance.now()
        stageMs[stage] = now - mark
        mark = now
      }
      imageToCells(pixels, calibration, cellScratch, images)
      lap('cells')
      const result: ReconstructedImage = {
        vetoed: images.rawSumCounts > vetoCounts,
        rawSumCounts: images.rawSumCounts,
        suppressedSumCounts: images.suppressedSumCounts,
        macroHits: 0,
        clusters: [],
        stageMs,
      }
      if (result.vetoed) return result
      reduceNoise(images.edge, cellColumns, cellRows, parameters, reducer)
      collectPoints(reducer.values, images.weight, cellColumns, cellRows, points)
      lap('reduce')
      const found = gridDbscan(
        points,
        parameters.clusterRadiusCells,
        parameters.clusterMinimumWeightCounts,
        dbscan,
        labels,
      )
      groupByLabel(labels, points.count, found, clusterScratch)
      lap('cluster')
      const measured = measureClusters(pixels, calibration, points, found, parameters, clusterScratch)
      lap('measure')
      result.macroHits = points.count
      result.clusters = measured.map((cluster) => {
        const members = clusterScratch.order.subarray(
          clusterScratch.start[cluster.label]!,
          clusterScratch.start[cluster.label + 1]!,
        )
        return {
          ...cluster,
          cells: Int32Array.from(members, (member) => points.y[member]! * cellColumns + points.x[member]!),
          rings: outlineOf(points.x, points.y, members),
        }
      })
      lap('outline')
      return result
    },
  }
}
