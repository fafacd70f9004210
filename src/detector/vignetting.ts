import { readFile } from 'node:fs/promises'
import { detectorFaults } from './errors.ts'

/** Light collection of the lens relative to the centre, on a grid stretched over the whole frame; row by row. */
export interface VignettingMap {
  columns: number
  rows: number
  values: Float32Array
}

/**
 * The map of the simulated setup, shared by simulator and reconstruction: V(r) = 1 - 0.40 (r/1152)^2 + 0.013 (r/1152)^4 with r in pixels of a
 * 2304 x 2304 frame, the fit to the LIME map (0.01 in the mean over angles). Other frames are a detector behind the same optics scaled to the
 * frame: r is taken relative to the half diagonal. 288 x 288 bins are 8 x 8 pixels of a Fusion.
 */
export function simulatedVignettingMap(columns = 288, rows = 288): VignettingMap {
  const values = new Float32Array(columns * rows)
  const halfDiagonal = Math.SQRT2 * 1152
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) {
      const dx = (column + 0.5) / columns - 0.5
      const dy = (row + 0.5) / rows - 0.5
      const square = ((Math.hypot(dx, dy) / Math.SQRT1_2) * halfDiagonal) ** 2 / 1152 ** 2
      values[row * columns + column] = 1 - 0.4 * square + 0.013 * square * square
    }
  return { columns, rows, values }
}

/** Reads a map of raw little-endian float32, row by row. Throws `noSuchFile`, or `badMap` where the size does not fit or a value is not a light fraction. */
export async function readVignettingMap(path: string, columns: number, rows: number): Promise<VignettingMap> {
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw detectorFaults.noSuchFile(`There is no map ${path}.`, { cause })
  })
  if (bytes.length !== columns * rows * 4)
    throw detectorFaults.badMap(
      `${path} has ${bytes.length} bytes, ${columns} x ${rows} values need ${columns * rows * 4}.`,
    )
  const values = new Float32Array(columns * rows)
  for (let i = 0; i < values.length; i++) values[i] = bytes.readFloatLE(i * 4)
  const bad = values.findIndex((value) => !(value > 0 && value <= 1.5))
  if (bad >= 0)
    throw detectorFaults.badMap(
      `${path} holds ${values[bad]} at bin ${bad}; light relative to the centre lies between 0 and 1.`,
    )
  return { columns, rows, values }
}

/** The value for a pixel of a frame: that of its bin, as the reference reconstruction applies it. */
export function vignettingAt(map: VignettingMap, x: number, y: number, width: number, height: number): number {
  const column = Math.min(map.columns - 1, Math.max(0, Math.floor((x * map.columns) / width)))
  const row = Math.min(map.rows - 1, Math.max(0, Math.floor((y * map.rows) / height)))
  return map.values[row * map.columns + column] as number
}
