/**
 * Borders of a cluster for drawing: marching squares on its macro-pixels, grown by one cell so that the scattered
 * cells of one cluster become a few rings instead of many.
 *
 * Points are in pixel edges of the stored frame (the macro-pixel (0, 0) covers 0..4), x0, y0, x1, y1, ...; a ring is
 * closed (its first point is not repeated) and runs clockwise on the screen (positive area with y down); holes are
 * dropped. Coordinates are whole pixels: contour points lie halfway between cell centres.
 */
import { cellSide } from './image-cells.ts'

const growCells = 1

/** Rings around the cells (x[i], y[i]) for i in `members`, largest first. */
export function outlineOf(x: Int32Array, y: Int32Array, members: Int32Array | number[]): number[][] {
  if (members.length === 0) return []
  let left = Infinity
  let right = -Infinity
  let top = Infinity
  let bottom = -Infinity
  for (const member of members) {
    left = Math.min(left, x[member]!)
    right = Math.max(right, x[member]!)
    top = Math.min(top, y[member]!)
    bottom = Math.max(bottom, y[member]!)
  }
  // One empty cell around the grown mask closes every contour.
  const border = growCells + 1
  const columns = right - left + 1 + 2 * border
  const rows = bottom - top + 1 + 2 * border
  const mask = new Uint8Array(columns * rows)
  for (const member of members) {
    const column = x[member]! - left + border
    const row = y[member]! - top + border
    for (let near = row - growCells; near <= row + growCells; near++) {
      mask.fill(1, near * columns + column - growCells, near * columns + column + growCells + 1)
    }
  }
  return traceRings(mask, columns, rows)
    .map((ring) =>
      ring.map((value, index) =>
        Math.round(value * cellSide + (index % 2 === 0 ? left - border : top - border) * cellSide),
      ),
    )
    .sort((a, b) => b.length - a.length)
}

/**
 * Each square has the cell centres (i, j), (i+1, j), (i+1, j+1), (i, j+1) as corners; its contour joins the midpoints
 * of its top, right, bottom and left sides. Listed as [from, to] pairs of sides by corner bits 1, 2, 4, 8, clockwise around
 * the inside; in the two ambiguous squares the inside corners stay apart.
 */
const squareContours: readonly (readonly [number, number])[][] = [
  [],
  [[0, 3]],
  [[1, 0]],
  [[1, 3]],
  [[2, 1]],
  [
    [0, 3],
    [2, 1],
  ],
  [[2, 0]],
  [[2, 3]],
  [[3, 2]],
  [[0, 2]],
  [
    [1, 0],
    [3, 2],
  ],
  [[1, 2]],
  [[3, 1]],
  [[0, 1]],
  [[3, 0]],
  [],
]

/** Midpoints are numbered 2 * cell for the side to the right of a cell centre, 2 * cell + 1 for the one below it. */
function traceRings(mask: Uint8Array, columns: number, rows: number): number[][] {
  const next = new Map<number, number>()
  for (let row = 0; row + 1 < rows; row++) {
    for (let column = 0; column + 1 < columns; column++) {
      const cell = row * columns + column
      const corners =
        mask[cell]! | (mask[cell + 1]! << 1) | (mask[cell + columns + 1]! << 2) | (mask[cell + columns]! << 3)
      for (const [from, to] of squareContours[corners]!) {
        next.set(sidePoint(cell, columns, from), sidePoint(cell, columns, to))
      }
    }
  }
  const rings: number[][] = []
  while (next.size > 0) {
    const first = next.keys().next().value!
    const ring: number[] = []
    let point: number = first
    do {
      const cell = point >> 1
      const column = cell % columns
      const row = (cell - column) / columns
      if ((point & 1) === 0) ring.push(column + 1, row + 0.5)
      else ring.push(column + 0.5, row + 1)
      const following = next.get(point)
      next.delete(point)
      if (following === undefined) break
      point = following
    } while (point !== first)
    if (areaOf(ring) > 0) rings.push(withoutStraightPoints(ring))
  }
  return rings
}

function sidePoint(cell: number, columns: number, side: number): number {
  if (side === 0) return cell * 2
  if (side === 1) return (cell + 1) * 2 + 1
  if (side === 2) return (cell + columns) * 2
  return cell * 2 + 1
}

/** Signed area: positive for outer borders, negative for holes (y points down). */
function areaOf(ring: number[]): number {
  let twice = 0
  for (let at = 0; at < ring.length; at += 2) {
    const after = (at + 2) % ring.length
    twice += ring[at]! * ring[after + 1]! - ring[after]! * ring[at + 1]!
  }
  return twice / 2
}

function withoutStraightPoints(ring: number[]): number[] {
  const kept: number[] = []
  const length = ring.length
  for (let at = 0; at < length; at += 2) {
    const before = (at + length - 2) % length
    const after = (at + 2) % length
    const cross =
      (ring[at]! - ring[before]!) * (ring[after + 1]! - ring[at + 1]!) -
      (ring[at + 1]! - ring[before + 1]!) * (ring[after]! - ring[at]!)
    if (cross !== 0) kept.push(ring[at]!, ring[at + 1]!)
  }
  return kept
}
