import type { OpenRows } from './light.ts'
import type { Random } from './random.ts'

/** How a picture is taken. Without shutter all rows are open for the exposure and nothing happens outside of it. */
export interface Exposure {
  exposureMs: number
  readoutMs: number
  height: number
  shutter: boolean
}

/** Time in which tracks reach a picture: row r opens at r / height * readout and closes an exposure later. */
export const sensitiveMs = ({ exposureMs, readoutMs, shutter }: Exposure): number =>
  shutter ? exposureMs + readoutMs : exposureMs

export const drawTimeMs = (exposure: Exposure, random: Random): number => random.between(0, sensitiveMs(exposure))

/** The rows that are exposed at a time after the first one opened. */
export function openRowsAt({ exposureMs, readoutMs, height, shutter }: Exposure, atMs: number): OpenRows {
  if (!shutter || readoutMs === 0) return { first: 0, end: height }
  const rowsPerMs = height / readoutMs
  const end = Math.min(height, Math.floor(atMs * rowsPerMs) + 1)
  const first = Math.max(0, Math.floor((atMs - exposureMs) * rowsPerMs) + 1)
  return { first: Math.min(height, first), end: Math.max(0, end) }
}
