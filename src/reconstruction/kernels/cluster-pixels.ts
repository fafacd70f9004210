/**
 * The pixels of bright clusters as they are stored (the reference's "redpix"): all pixels of all macro-pixels, with
 * z = (raw - pedestal) / V(r) in counts, rounded to 0.1; a pixel at or above the upper cut is 0.
 */
import type { ClusterScratch, ClusterVariables } from './cluster-variables.ts'
import { cellSide } from './image-cells.ts'
import type { CellPoints } from './noise-reducer.ts'
import type { ReconstructionParameters } from '../parameters.ts'

export interface ClusterPixels {
  /** Rank of the cluster in the image. */
  cluster: Int32Array
  x: Int32Array
  y: Int32Array
  /** Counts. */
  counts: Float32Array
}

export const noPixels = (): ClusterPixels => pixelArrays(0)

function pixelArrays(length: number): ClusterPixels {
  return {
    cluster: new Int32Array(length),
    x: new Int32Array(length),
    y: new Int32Array(length),
    counts: new Float32Array(length),
  }
}

/** Of a chain, used again for each image. */
export interface PixelScratch {
  pixels: ClusterPixels
}

export const createPixelScratch = (): PixelScratch => ({ pixels: noPixels() })

/** `clusters` in rank order, just measured; `membersOf` gives the points of one. The answer is overwritten by the next call. */
export function pixelsOfClusters(
  { x, y }: CellPoints,
  clusters: readonly ClusterVariables[],
  membersOf: (cluster: ClusterVariables) => Int32Array,
  { start, tenthCounts }: ClusterScratch,
  parameters: ReconstructionParameters,
  scratch: PixelScratch,
): ClusterPixels {
  const wanted = ({ integralCounts, lengthPx }: ClusterVariables) =>
    parameters.savePixels === 1 &&
    integralCounts > parameters.savePixelsMinimumIntegralCounts &&
    lengthPx < parameters.savePixelsMaximumLengthPx
  const total = clusters.reduce((sum, cluster) => sum + (wanted(cluster) ? cluster.sizePx : 0), 0)
  if (scratch.pixels.x.length < total) scratch.pixels = pixelArrays(2 * total)
  const out = scratch.pixels
  const { x: outX, y: outY } = out
  let at = 0
  clusters.forEach((cluster, rank) => {
    if (!wanted(cluster)) return
    out.cluster.fill(rank, at, at + cluster.sizePx)
    const from = start[cluster.label]! * cellSide * cellSide
    out.counts.set(tenthCounts.subarray(from, from + cluster.sizePx), at)
    for (const member of membersOf(cluster)) {
      const firstColumn = x[member]! * cellSide
      const firstRow = y[member]! * cellSide
      for (let row = firstRow; row < firstRow + cellSide; row++) {
        for (let column = firstColumn; column < firstColumn + cellSide; column++, at++) {
          outX[at] = column
          outY[at] = row
        }
      }
    }
  })
  return {
    cluster: out.cluster.subarray(0, total),
    x: outX.subarray(0, total),
    y: outY.subarray(0, total),
    counts: out.counts.subarray(0, total),
  }
}
