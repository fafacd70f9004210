/**
 * How much of a cluster's light each photomultiplier sees. Light of a spot of the GEM falls as R^-4 with the distance
 * R to the tube (a disc seen and sent at an angle); a track is the light-weighted sum over its macro-pixels.
 */
import { cellSide, fixedPerCount } from '../kernels/image-cells.ts'
import type { ImageCalibration } from '../kernels/image-cells.ts'
import type { WaveformParameters } from '../waveform-parameters.ts'

/** Tubes 1 to 4 from the middle of the image, mm: x along the columns, y down the rows of the stored frame. */
const corners = [
  [-1, -1],
  [1, -1],
  [1, 1],
  [-1, 1],
] as const

/** Light of a spot at (x, y) px of the frame in each tube, relative to a spot in the middle. */
export function tubeGains(
  xPx: number,
  yPx: number,
  frame: { width: number; height: number },
  { pixelSideMm, tubeOffsetMm, tubeDistanceMm }: WaveformParameters,
): [number, number, number, number] {
  const x = (xPx - frame.width / 2) * pixelSideMm
  const y = (yPx - frame.height / 2) * pixelSideMm
  const middle = 2 * tubeOffsetMm ** 2 + tubeDistanceMm ** 2
  return corners.map(([cornerX, cornerY]) => {
    const square = (x - cornerX * tubeOffsetMm) ** 2 + (y - cornerY * tubeOffsetMm) ** 2 + tubeDistanceMm ** 2
    return (middle / square) ** 2
  }) as [number, number, number, number]
}

/**
 * The same of a cluster: mean over its cells, weighted with their counts above pedestal. `pixels` is the raw frame.
 * A cluster without positive light weighs its cells equally.
 */
export function clusterTubeGains(
  cells: ArrayLike<number>,
  pixels: Uint16Array,
  calibration: ImageCalibration,
  parameters: WaveformParameters,
): number[] {
  const { width, cellColumns, pedestalFixed, lightCorrection, upperCut } = calibration
  const sums = [0, 0, 0, 0]
  const plain = [0, 0, 0, 0]
  let weights = 0
  for (let index = 0; index < cells.length; index++) {
    const cell = cells[index]!
    const column = (cell % cellColumns) * cellSide
    const row = Math.floor(cell / cellColumns) * cellSide
    let fixed = 0
    for (let y = row; y < row + cellSide; y++) {
      for (let x = column; x < column + cellSide; x++) {
        const raw = pixels[y * width + x]!
        if (raw < upperCut) fixed += raw * fixedPerCount - pedestalFixed[y * width + x]!
      }
    }
    const weight = Math.max(0, fixed) * lightCorrection[cell]!
    weights += weight
    const gains = tubeGains(column + cellSide / 2, row + cellSide / 2, calibration, parameters)
    for (let tube = 0; tube < 4; tube++) {
      sums[tube] = sums[tube]! + weight * gains[tube]!
      plain[tube] = plain[tube]! + gains[tube]!
    }
  }
  return weights > 0 ? sums.map((sum) => sum / weights) : plain.map((sum) => sum / Math.max(1, cells.length))
}
