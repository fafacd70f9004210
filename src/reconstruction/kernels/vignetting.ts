/**
 * Light lost towards the edge of the picture, and the factor that undoes it.
 *
 * V(r) = 1 + quadratic (r/R)^2 + quartic (r/R)^4, r from the centre of the frame: the reference's map of the LIME
 * lens, accurate to 0.01. As in the reference the correction is applied to light that is summed into energy, never
 * before clustering.
 * Not followed: the reference reads a map of 8x8-pixel blocks; here the profile is evaluated at the centre of each
 * 4x4 cell. Frames of another size than the map's keep R = half of their longer side.
 */
import { cellSide } from './image-cells.ts'
import type { ReconstructionParameters } from '../parameters.ts'

type VignettingParameters = Pick<
  ReconstructionParameters,
  'vignettingQuadratic' | 'vignettingQuartic' | 'vignettingRadiusPx' | 'acceptanceFrameRows'
>

/** Relative light at `radiusPx` from the centre, at least 0.05 so that no correction explodes. */
export function relativeLight(radiusPx: number, fullRadiusPx: number, parameters: VignettingParameters): number {
  const square = (radiusPx / fullRadiusPx) ** 2
  return Math.max(0.05, 1 + parameters.vignettingQuadratic * square + parameters.vignettingQuartic * square * square)
}

/** 1 / V for each cell of a frame, row by row. */
export function lightCorrectionOf(width: number, height: number, parameters: VignettingParameters): Float32Array {
  const columns = width / cellSide
  const rows = height / cellSide
  const fullRadiusPx =
    height === parameters.acceptanceFrameRows ? parameters.vignettingRadiusPx : Math.max(width, height) / 2
  const correction = new Float32Array(new SharedArrayBuffer(columns * rows * 4))
  for (let row = 0; row < rows; row++) {
    const y = (row + 0.5) * cellSide - height / 2
    for (let column = 0; column < columns; column++) {
      const x = (column + 0.5) * cellSide - width / 2
      correction[row * columns + column] = 1 / relativeLight(Math.hypot(x, y), fullRadiusPx, parameters)
    }
  }
  return correction
}
