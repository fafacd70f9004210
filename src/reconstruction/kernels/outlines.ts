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
  const count = members.length
  if (count === 0) return []
  let left = x[members[0]!]!
  let right = left
  let top = y[members[0]!]!
  let bottom = top
  for (let at = 0; at < count; at++) {
    const column = x[members[at]!]!
    const row = y[members[at]!]!
    if (column < left) left = column
    if (column > right) right = column
    if (row < top) top = row
    if (row > bottom) bottom = row
  }
  // One empty cell around the grown mask closes every contour.
  const border = growCells + 1
  const columns = right - left + 1 + 2 * border
  const rows = bottom - top + 1 + 2 * border
  const mask = new Uint8Array(columns * rows)
  for (let at = 0; at < count; at++) {
    const cell = (y[members[at]!]! - top + border) * columns + x[members[at]!]! - left + border
    for (let near = cell - growCells * columns; near <= cell + growCells * columns; near += columns) {
      for (let step = near - growCells; step <= near + growCells; step++) mask[step] = 1
    }
  }
  return traceRings(mask, columns, rows, left - border, top - border).sort((a, b) => b.length - a.length)
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

/**
 * Midpoints are numbered 2 * cell for the side to the right of a cell centre, 2 * cell + 1 for the one below it. Rings in
 * the order in which their first side is met, row by row, with the cell (firstColumn, firstRow) in the corner of the mask.
 */
function traceRings(
  mask: Uint8Array,
  columns: number,
  rows: number,
  firstColumn: number,
  firstRow: number,
): number[][] {
  // For each midpoint where the contour goes from there, plus 1; 0 where there is none (any more).
  const next = new Int32Array(2 * mask.length)
  const starts: number[] = []
  for (let row = 0; row + 1 < rows; row++) {
    const begin = row * columns
    let corners = (mask[begin]! << 1) | (mask[begin + columns]! << 2)
    for (let cell = begin; cell + 1 < begin + columns; cell++) {
      // The right corners of the square before are the left ones of this.
      corners = ((corners & 2) >> 1) | ((corners & 4) << 1)
      corners |= (mask[cell + 1]! << 1) | (mask[cell + columns + 1]! << 2)
      if (corners === 0 || corners === 15) continue
      for (const [from, to] of squareContours[corners]!) {
        const start = sidePoint(cell, columns, from)
        next[start] = sidePoint(cell, columns, to) + 1
        starts.push(start)
      }
    }
  }
  const rings: number[][] = []
  for (const first of starts) {
    if (next[first] === 0) continue
    const ring: number[] = []
    let point = first
    while (next[point] !== 0) {
      const cell = point >> 1
      const column = cell % columns
      const row = (cell - column) / columns
      // Halfway between two cell centres.
      const beside = (point & 1) === 0
      ring.push(
        (column + firstColumn + (beside ? 1 : 0.5)) * cellSide,
        (row + firstRow + (beside ? 0.5 : 1)) * cellSide,
      )
      const following = next[point]! - 1
      next[point] = 0
      point = following
    }
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
  let x = ring.at(-2)!
  let y = ring.at(-1)!
  for (let at = 0; at < ring.length; at += 2) {
    twice += x * ring[at + 1]! - ring[at]! * y
    x = ring[at]!
    y = ring[at + 1]!
  }
  return twice / 2
}

function withoutStraightPoints(ring: number[]): number[] {
  const kept: number[] = []
  const length = ring.length
  let beforeX = ring[length - 2]!
  let beforeY = ring[length - 1]!
  for (let at = 0; at < length; at += 2) {
    const x = ring[at]!
    const y = ring[at + 1]!
    const after = at + 2 < length ? at + 2 : 0
    const cross = (x - beforeX) * (ring[after + 1]! - y) - (ring[after]! - x) * (y - beforeY)
    if (cross !== 0) kept.push(x, y)
    beforeX = x
    beforeY = y
  }
  return kept
}
