/**
 * Stage 2: neighbour noise reducer on the edge image, then the points given to the clustering.
 *
 * Reference steps i, j, k. In place and in raster order, so the left and upper neighbours of a cell are already
 * changed; the result depends on that order and it is kept. Followed as well, though odd:
 *  - a frame of two cells is zeroed first, but the loop runs over 1 .. n-3, so a zeroed cell of the frame's inner
 *    ring at the left and top can come back when its neighbours are bright;
 *  - a jump of more than 10 counts takes the *neighbours' average*, also downwards: a hot macro-pixel is lowered.
 * Not followed: the reference walks its mirrored image; here columns run left to right as stored. Only noise-level
 * cells differ. Values are float32, averages are taken in float64 and rounded on store.
 */
import { fixedPerCellMean } from './image-cells.ts'
import type { ReconstructionParameters } from '../parameters.ts'

export interface CellPoints {
  count: number
  /** Column and row of each point in cells, row by row. */
  x: Int32Array
  y: Int32Array
  /** Weight in whole counts, at least 1. */
  weight: Int32Array
}

export interface ReducerScratch {
  /** Edge image in counts, changed in place. */
  values: Float32Array
  /** 1 where the edge image was non-zero before the reducer. */
  active: Uint8Array
}

export function createReducerScratch(cells: number): ReducerScratch {
  return { values: new Float32Array(cells), active: new Uint8Array(cells) }
}

export function createCellPoints(cells: number): CellPoints {
  return { count: 0, x: new Int32Array(cells), y: new Int32Array(cells), weight: new Int32Array(cells) }
}

/** Loads the edge image (fixed units per cell sum) and runs the reducer over it; the result is in `scratch.values`. */
export function reduceNoise(
  edge: Int32Array,
  columns: number,
  rows: number,
  parameters: Pick<
    ReconstructionParameters,
    'minimumNeighbourAverageCounts' | 'neighbourJumpCounts' | 'minimumActiveNeighbours'
  >,
  scratch: ReducerScratch,
): void {
  const { values, active } = scratch
  values.fill(0)
  active.fill(0)
  for (let row = 2; row < rows - 2; row++) {
    const end = row * columns + columns - 2
    for (let cell = row * columns + 2; cell < end; cell++) {
      const sum = edge[cell]!
      values[cell] = sum / fixedPerCellMean
      active[cell] = sum === 0 ? 0 : 1
    }
  }
  const minimum = parameters.minimumNeighbourAverageCounts
  const jump = parameters.neighbourJumpCounts
  const needed = parameters.minimumActiveNeighbours
  for (let row = 1; row < rows - 2; row++) {
    let cell = row * columns + 1
    const end = row * columns + columns - 2
    const up = -columns
    const down = columns
    // Sums of the cells above and below for the columns left of, at and right of the cell, and their active counts.
    let pairLeft = values[cell - 1 + up]! + values[cell - 1 + down]!
    let pairHere = values[cell + up]! + values[cell + down]!
    let activeLeft = active[cell - 1 + up]! + active[cell - 1]! + active[cell - 1 + down]!
    let activeHere = active[cell + up]! + active[cell]! + active[cell + down]!
    let left = values[cell - 1]!
    let here = values[cell]!
    for (; cell < end; cell++) {
      const right = values[cell + 1]!
      const pairRight = values[cell + 1 + up]! + values[cell + 1 + down]!
      const activeRight = active[cell + 1 + up]! + active[cell + 1]! + active[cell + 1 + down]!
      const average = (pairLeft + pairHere + pairRight + left + right) / 8
      let result = here
      if (Math.abs(here - average) > jump) result = Math.fround(average)
      if (average < minimum) result = 0
      if (activeLeft + activeHere + activeRight < needed) result = 0
      values[cell] = result
      left = result
      here = right
      pairLeft = pairHere
      pairHere = pairRight
      activeLeft = activeHere
      activeHere = activeRight
    }
  }
}

/**
 * Points: cells whose reduced value rounds (half to even) to something else than 0, that is above 0.5 count. Weight:
 * the mean of the unfiltered cell cut to whole counts, at least 1.
 */
export function collectPoints(
  values: Float32Array,
  weight: Int32Array,
  columns: number,
  rows: number,
  out: CellPoints,
): void {
  let count = 0
  for (let row = 0; row < rows; row++) {
    const offset = row * columns
    for (let column = 0; column < columns; column++) {
      if (values[offset + column]! > 0.5) {
        out.x[count] = column
        out.y[count] = row
        const counts = Math.floor(weight[offset + column]! / fixedPerCellMean)
        out.weight[count] = counts > 0 ? counts : 1
        count++
      }
    }
  }
  out.count = count
}
