/**
 * How much true light and how much area the clusters of an image take, for comparing the clustering with published
 * selections of regions of interest. Light as in truth-matching.ts: expected counts of the tracks, corrected for the
 * lens, inside the acceptance.
 */
import type { ImageTruth } from '../../detector/index.ts'
import { cellSide } from '../kernels/image-cells.ts'
import type { ImageCalibration } from '../kernels/image-cells.ts'
import type { ReconstructedCluster } from '../kernels/image-chain.ts'

/** Light in counts, areas in cells of 4 x 4 pixels. */
export interface RoiLight {
  lightCounts: number
  /** In the cells of any cluster, of selected clusters, and in the boxes around the selected ones. */
  inClustersCounts: number
  inSelectedCounts: number
  inBoxesCounts: number
  cells: number
  clusterCells: number
  selectedCells: number
  boxCells: number
}

const lit = 1
const selected = 2
const box = 4

export function roiLightOf(
  clusters: readonly ReconstructedCluster[],
  truth: ImageTruth,
  calibration: ImageCalibration,
): RoiLight {
  const { cellColumns, cellRows, firstRow, endRow, lightCorrection } = calibration
  const firstCellRow = Math.ceil(firstRow / cellSide)
  const endCellRow = Math.min(cellRows, Math.floor(endRow / cellSide))
  const marks = new Uint8Array(cellColumns * cellRows)
  for (const cluster of clusters) {
    for (const cell of cluster.cells) marks[cell] = marks[cell]! | (cluster.selected ? lit | selected : lit)
    if (!cluster.selected) continue
    for (let row = Math.floor(cluster.yMinPx / cellSide); row <= Math.floor(cluster.yMaxPx / cellSide); row++) {
      for (let x = Math.floor(cluster.xMinPx / cellSide); x <= Math.floor(cluster.xMaxPx / cellSide); x++) {
        marks[row * cellColumns + x] = marks[row * cellColumns + x]! | box
      }
    }
  }
  const light: RoiLight = { ...emptyRoiLight(), cells: (endCellRow - firstCellRow) * cellColumns }
  for (let cell = firstCellRow * cellColumns; cell < endCellRow * cellColumns; cell++) {
    const mark = marks[cell]!
    if (mark === 0) continue
    if (mark & lit) light.clusterCells++
    if (mark & selected) light.selectedCells++
    if (mark & box) light.boxCells++
  }
  for (const track of truth.tracks) {
    const { runs, counts } = track.cells
    let at = 0
    for (let run = 0; run < runs.length; run += 3) {
      const row = runs[run]!
      const inside = row >= firstCellRow && row < endCellRow
      for (let step = 0; step < runs[run + 2]!; step++) {
        const cell = row * cellColumns + runs[run + 1]! + step
        const expected = counts[at++]! * lightCorrection[cell]!
        if (!inside) continue
        const mark = marks[cell]!
        light.lightCounts += expected
        if (mark & lit) light.inClustersCounts += expected
        if (mark & selected) light.inSelectedCounts += expected
        if (mark & box) light.inBoxesCounts += expected
      }
    }
  }
  return light
}

export function emptyRoiLight(): RoiLight {
  return {
    lightCounts: 0,
    inClustersCounts: 0,
    inSelectedCounts: 0,
    inBoxesCounts: 0,
    cells: 0,
    clusterCells: 0,
    selectedCells: 0,
    boxCells: 0,
  }
}

export function addRoiLight(into: RoiLight, from: RoiLight): void {
  for (const key of Object.keys(into) as (keyof RoiLight)[]) into[key] += from[key]
}
