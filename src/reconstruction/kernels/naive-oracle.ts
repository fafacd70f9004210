/**
 * The same stages written as their definitions, slowly and without shortcuts: what the tests hold the kernels to.
 * Used by tests and by the validation, never by the reconstruction.
 */
import { cellSide, fixedPerCellMean } from './image-cells.ts'
import type { ImageCalibration } from './image-cells.ts'
import type { CellPoints } from './noise-reducer.ts'
import type { ReconstructionParameters } from '../parameters.ts'

/** Zero-suppressed image in 1/256 count, acceptance applied. */
export function naiveSuppressed(pixels: Uint16Array, calibration: ImageCalibration): number[][] {
  const { width, height, threshold, pedestalFixed, upperCut, firstRow, endRow } = calibration
  return Array.from({ length: height }, (_, row) =>
    Array.from({ length: width }, (_, column) => {
      const index = row * width + column
      const raw = pixels[index]!
      if (row < firstRow || row >= endRow || raw >= upperCut || raw <= threshold[index]!) return 0
      return raw * 256 - pedestalFixed[index]!
    }),
  )
}

/** Second largest of the 2x2 window that ends at each pixel, borders reflected. */
export function naiveRankFilter(image: number[][]): number[][] {
  return image.map((line, row) =>
    line.map((value, column) => {
      const up = Math.max(0, row - 1)
      const left = Math.max(0, column - 1)
      const window = [value, line[left]!, image[up]![column]!, image[up]![left]!].sort((a, b) => b - a)
      return window[1]!
    }),
  )
}

export function naiveCellSums(image: number[][]): number[] {
  const sums: number[] = []
  for (let row = 0; row < image.length; row += cellSide) {
    for (let column = 0; column < image[0]!.length; column += cellSide) {
      let sum = 0
      for (let dy = 0; dy < cellSide; dy++) for (let dx = 0; dx < cellSide; dx++) sum += image[row + dy]![column + dx]!
      sums.push(sum)
    }
  }
  return sums
}

export function naiveNoiseReducer(
  edge: Int32Array,
  columns: number,
  rows: number,
  parameters: ReconstructionParameters,
): Float32Array {
  const values = new Float32Array(columns * rows)
  for (let row = 2; row < rows - 2; row++) {
    for (let column = 2; column < columns - 2; column++) {
      values[row * columns + column] = edge[row * columns + column]! / fixedPerCellMean
    }
  }
  const original = values.slice()
  for (let row = 1; row <= rows - 3; row++) {
    for (let column = 1; column <= columns - 3; column++) {
      let sum = 0
      let active = 0
      for (let dy = -1; dy <= 1; dy++) {
        for (let dx = -1; dx <= 1; dx++) {
          const cell = (row + dy) * columns + column + dx
          if (dx !== 0 || dy !== 0) sum += values[cell]!
          if (original[cell] !== 0) active++
        }
      }
      const cell = row * columns + column
      const average = sum / 8
      if (Math.abs(values[cell]! - average) > parameters.neighbourJumpCounts) values[cell] = average
      if (average < parameters.minimumNeighbourAverageCounts) values[cell] = 0
      if (active < parameters.minimumActiveNeighbours) values[cell] = 0
    }
  }
  return values
}

/** Sequential DBSCAN as scikit-learn does it: flood from each unlabelled core in point order. O(n^2). */
export function naiveDbscan(points: CellPoints, radius: number, minimumWeight: number): number[] {
  const { count, x, y, weight } = points
  const near = (index: number) => {
    const found: number[] = []
    for (let other = 0; other < count; other++) {
      if (Math.abs(x[index]! - x[other]!) + Math.abs(y[index]! - y[other]!) <= radius) found.push(other)
    }
    return found
  }
  const neighbours = Array.from({ length: count }, (_, index) => near(index))
  const core = neighbours.map((list) => list.reduce((sum, other) => sum + weight[other]!, 0) >= minimumWeight)
  const labels = new Array<number>(count).fill(-1)
  let next = 0
  for (let start = 0; start < count; start++) {
    if (labels[start] !== -1 || !core[start]) continue
    const label = next++
    const stack = [start]
    labels[start] = label
    while (stack.length > 0) {
      const index = stack.pop()!
      if (!core[index]) continue
      for (const other of neighbours[index]!) {
        if (labels[other] === -1) {
          labels[other] = label
          stack.push(other)
        }
      }
    }
  }
  return labels
}
