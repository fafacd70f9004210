/**
 * Stage 1: raw image -> two images of 4x4-pixel cells ("macro-pixels"), in one pass over the raw pixels.
 *
 * Per pixel: upper cut, pedestal subtraction, zero suppression, acceptance; the sum of each 4x4 block is the
 * *weight* image; the same sum after the 2x2 rank filter is the *edge* image. (Reference steps a, b, d, e, f, g, h.)
 *
 * Everything is integer arithmetic in units of 1/256 count ("fixed"), so the result is exact, independent of the
 * order of summation, and equal in any other implementation:
 *  - the decision "raw - pedestal > nsigma * rms" is made as "raw > floor(pedestal + nsigma * rms)", which is the same
 *    for integer raw pixels and has no rounding;
 *  - the pedestal subtracted from a kept pixel is rounded to 1/256 count (the reference subtracts in float64; its
 *    pedestal is uncertain by 0.1 to 1 count).
 */
import { acceptedRows } from '../parameters.ts'
import type { ReconstructionParameters } from '../parameters.ts'
import type { PedestalMap } from './pedestal-map.ts'

export const cellSide = 4
export const fixedPerCount = 256
/** Fixed units of a cell sum per count of the cell's mean: 16 pixels of 256 units. */
export const fixedPerCellMean = fixedPerCount * cellSide * cellSide

/** A pedestal map prepared for one value of nsigma; shared by all images of a run. */
export interface ImageCalibration {
  width: number
  height: number
  cellColumns: number
  cellRows: number
  firstRow: number
  endRow: number
  upperCut: number
  /** Largest raw value that is still suppressed, per pixel. */
  threshold: Uint16Array
  /** Pedestal in 1/256 count, per pixel. */
  pedestalFixed: Int32Array
  /** Factor that undoes vignetting, per cell. */
  lightCorrection: Float32Array
}

export interface CellImages {
  /** Sum of the 16 zero-suppressed pixels of a cell, fixed units. */
  weight: Int32Array
  /** The same after the rank filter. */
  edge: Int32Array
  rawSumCounts: number
  suppressedSumCounts: number
}

/**
 * Prepares a pedestal map. Sizes must be multiples of 4 (all cameras in use are); the acceptance is widened to whole
 * cells if it is not (the LIME values 304 and 2054: 2054 is not, so the cells of rows 2052..2055 hold two rows only,
 * as in the reference, where rows beyond are zeroed before the blocks are summed).
 */
export function prepareCalibration(
  pedestal: PedestalMap,
  lightCorrection: Float32Array,
  parameters: ReconstructionParameters,
): ImageCalibration {
  const { width, height, mean, sigma } = pedestal
  if (width % cellSide !== 0 || height % cellSide !== 0) {
    throw new RangeError(`image sides must be multiples of ${cellSide}, not ${width}x${height}`)
  }
  const cellColumns = width / cellSide
  const cellRows = height / cellSide
  if (lightCorrection.length !== cellColumns * cellRows) throw new RangeError('light correction does not fit the image')
  const pixels = width * height
  const threshold = new Uint16Array(new SharedArrayBuffer(pixels * 2))
  const pedestalFixed = new Int32Array(new SharedArrayBuffer(pixels * 4))
  for (let index = 0; index < pixels; index++) {
    const level = Math.floor(mean[index]! + parameters.zeroSuppressionSigma * sigma[index]!)
    threshold[index] = level < 0 ? 0 : level > 65535 ? 65535 : level
    pedestalFixed[index] = Math.round(mean[index]! * fixedPerCount)
  }
  const rows = acceptedRows(parameters, height)
  return {
    width,
    height,
    cellColumns,
    cellRows,
    firstRow: rows.first,
    endRow: Math.min(rows.end, height),
    upperCut: Math.min(parameters.upperCutCounts, 65536),
    threshold,
    pedestalFixed,
    lightCorrection,
  }
}

export interface CellScratch {
  /** Zero-suppressed pixels of the row above, with one reflected pixel at the left (index 0). */
  above: Int32Array
  current: Int32Array
}

export function createCellScratch(width: number): CellScratch {
  return { above: new Int32Array(width + 1), current: new Int32Array(width + 1) }
}

/**
 * The fused pass. `out.weight` and `out.edge` have one entry per cell and are overwritten.
 *
 * Rank filter: second largest of a pixel and its left, upper and upper-left neighbours (what a 2x2 "median" of
 * scipy computes: rank 2 of 4), border reflected. With M and m the larger and smaller of a vertical pair, the second
 * largest of two neighbouring pairs is max(min(M0, M1), m0, m1). max and min are branch-free: noise cannot be predicted.
 */
export function imageToCells(
  pixels: Uint16Array,
  calibration: ImageCalibration,
  scratch: CellScratch,
  out: CellImages,
): void {
  const { width, height, firstRow, endRow, cellColumns } = calibration
  if (pixels.length !== width * height)
    throw new RangeError(`image has ${pixels.length} pixels instead of ${width * height}`)
  out.weight.fill(0)
  out.edge.fill(0)
  let rawSum = 0
  for (let row = 0; row < firstRow; row++) rawSum += rowSum(pixels, row * width, width)
  for (let row = endRow; row < height; row++) rawSum += rowSum(pixels, row * width, width)

  // Above the acceptance the suppressed image is zero; above the frame it is the first row again (reflected).
  scratch.above.fill(0)
  if (firstRow === 0 && endRow > 0) suppressRow(pixels, calibration, 0, scratch.above)
  for (let row = firstRow; row < endRow; row++) {
    rawSum += cellRow(pixels, calibration, row, scratch.above, scratch.current, out.weight, out.edge)
    const swap = scratch.above
    scratch.above = scratch.current
    scratch.current = swap
  }
  // The first row after the acceptance is zero itself but its rank filter still sees the last row inside.
  if (endRow < height) edgeBelow(scratch.above, out.edge, ((endRow / cellSide) | 0) * cellColumns, width)
  out.rawSumCounts = rawSum
  let total = 0
  for (let index = 0; index < out.weight.length; index++) total += out.weight[index]!
  out.suppressedSumCounts = total / fixedPerCount
}

function rowSum(pixels: Uint16Array, offset: number, width: number): number {
  let sum = 0
  for (let index = offset; index < offset + width; index++) sum = (sum + pixels[index]!) | 0
  return sum
}

function suppressRow(pixels: Uint16Array, calibration: ImageCalibration, row: number, into: Int32Array): void {
  const { width, threshold, pedestalFixed, upperCut } = calibration
  const offset = row * width
  for (let column = 0; column < width; column++) {
    const raw = pixels[offset + column]!
    const keep = ((threshold[offset + column]! - raw) >> 31) & ((raw - upperCut) >> 31)
    into[column + 1] = ((raw << 8) - pedestalFixed[offset + column]!) & keep
  }
  into[0] = into[1]!
}

/** One row of pixels inside the acceptance; returns its raw sum. Four pixels per turn = one cell. */
function cellRow(
  pixels: Uint16Array,
  calibration: ImageCalibration,
  row: number,
  above: Int32Array,
  current: Int32Array,
  weight: Int32Array,
  edge: Int32Array,
): number {
  const threshold = calibration.threshold
  const pedestalFixed = calibration.pedestalFixed
  const upperCut = calibration.upperCut | 0
  const cellColumns = calibration.cellColumns | 0
  let index = (row * calibration.width) | 0
  let cell = (((row / cellSide) | 0) * cellColumns) | 0
  const cellEnd = (cell + cellColumns) | 0
  let rawSum = 0
  let column = 1

  // Vertical pair left of the first pixel: the reflected first column.
  let raw = pixels[index]!
  let value = ((raw << 8) - pedestalFixed[index]!) & ((threshold[index]! - raw) >> 31) & ((raw - upperCut) >> 31)
  current[0] = value
  let other = above[0]!
  let less = (other - value) & ((other - value) >> 31)
  let highLeft = (other - less) | 0
  let lowLeft = (value + less) | 0
  let high = 0
  let low = 0
  let between = 0
  let second = 0

  for (; cell < cellEnd; cell++) {
    let weightSum = 0
    let edgeSum = 0
    for (let step = 0; step < 4; step++) {
      raw = pixels[index]!
      rawSum = (rawSum + raw) | 0
      value = ((raw << 8) - pedestalFixed[index]!) & ((threshold[index]! - raw) >> 31) & ((raw - upperCut) >> 31)
      current[column] = value
      weightSum = (weightSum + value) | 0
      other = above[column]!
      less = (other - value) & ((other - value) >> 31)
      high = (other - less) | 0
      low = (value + less) | 0
      // min of the larger ones, max of the smaller ones, max of both
      less = (highLeft - high) & ((highLeft - high) >> 31)
      second = (high + less) | 0
      less = (lowLeft - low) & ((lowLeft - low) >> 31)
      between = (lowLeft - less) | 0
      less = (second - between) & ((second - between) >> 31)
      edgeSum = (edgeSum + second - less) | 0
      highLeft = high
      lowLeft = low
      index = (index + 1) | 0
      column = (column + 1) | 0
    }
    weight[cell] = (weight[cell]! + weightSum) | 0
    edge[cell] = (edge[cell]! + edgeSum) | 0
  }
  return rawSum
}

/** Rank filter of a row of zeros under the last accepted row: the second largest is the smaller of the two above. */
function edgeBelow(above: Int32Array, edge: Int32Array, firstCell: number, width: number): void {
  for (let column = 0; column < width; column++) {
    const left = above[column]!
    const own = above[column + 1]!
    const cell = firstCell + ((column / cellSide) | 0)
    edge[cell] = edge[cell]! + (left < own ? left : own)
  }
}
