/**
 * Neighbourhoods of points on the cell grid as rows of half widths, for both metrics, and the floods that use them.
 *
 * A flood takes each point once: a row remembers for every column where its next free point is (union-find), so the
 * cost is the rows looked at plus the points found, not the area of the neighbourhood.
 */
import type { CellPoints } from './noise-reducer.ts'
import type { ClusterMetric } from '../track-parameters.ts'

/** Half width of the neighbourhood in the row `d` cells away, for d = 0 .. floor(radius). Empty for a negative radius. */
export function halfWidths(metric: ClusterMetric, radiusCells: number): Int32Array {
  const rows = Math.floor(radiusCells) + 1
  const widths = new Int32Array(Math.max(0, rows))
  for (let row = 0; row < rows; row++) {
    widths[row] = Math.floor(
      metric === 'cityblock' ? Math.floor(radiusCells) - row : Math.sqrt(radiusCells * radiusCells - row * row),
    )
  }
  return widths
}

export interface NeighbourhoodScratch {
  columns: number
  rows: number
  /** Rows of the points offered to floods. */
  top: number
  bottom: number
  /** Row prefix sums of weights, (columns + 1) per row. */
  prefix: Int32Array
  /** 1 + index of the free point at a cell. */
  pointAt: Int32Array
  /** Per row and column: where to look on for the next free point; columns + 1 entries per row. */
  next: Int32Array
  queue: Int32Array
}

export function createNeighbourhoodScratch(columns: number, rows: number): NeighbourhoodScratch {
  const cells = columns * rows
  return {
    columns,
    rows,
    top: 0,
    bottom: -1,
    prefix: new Int32Array((columns + 1) * rows),
    pointAt: new Int32Array(cells),
    next: new Int32Array((columns + 1) * rows),
    queue: new Int32Array(cells),
  }
}

function rowRange(points: CellPoints, rows: number): { top: number; bottom: number } {
  let top = rows
  let bottom = -1
  for (let index = 0; index < points.count; index++) {
    const row = points.y[index]!
    if (row < top) top = row
    if (row > bottom) bottom = row
  }
  return { top, bottom }
}

/** core[i] = 1 where the weights of the points in the neighbourhood, itself included, reach the minimum. */
export function markCores(
  points: CellPoints,
  widths: Int32Array,
  minimumWeight: number,
  scratch: NeighbourhoodScratch,
  core: Uint8Array,
): void {
  const { columns, rows, prefix } = scratch
  const { count, x, y, weight } = points
  const { top, bottom } = rowRange(points, rows)
  const stride = columns + 1
  if (count === 0) return
  prefix.fill(0, top * stride, (bottom + 1) * stride)
  for (let index = 0; index < count; index++) {
    const at = y[index]! * stride + x[index]! + 1
    prefix[at] = prefix[at]! + weight[index]!
  }
  for (let row = top; row <= bottom; row++) {
    let sum = 0
    for (let at = row * stride; at < (row + 1) * stride; at++) {
      sum = (sum + prefix[at]!) | 0
      prefix[at] = sum
    }
  }
  const reach = widths.length - 1
  for (let index = 0; index < count; index++) {
    const column = x[index]!
    const row = y[index]!
    const from = row - reach < top ? top : row - reach
    const to = row + reach > bottom ? bottom : row + reach
    let density = 0
    for (let near = from; near <= to && density < minimumWeight; near++) {
      const half = widths[near < row ? row - near : near - row]!
      const begin = column - half < 0 ? 0 : column - half
      const end = column + half + 1 > columns ? columns : column + half + 1
      density += prefix[near * stride + end]! - prefix[near * stride + begin]!
    }
    core[index] = density >= minimumWeight ? 1 : 0
  }
}

/** Points that may still be taken by floods: those with `labels` equal to `free`. */
export function offerPoints(points: CellPoints, labels: Int32Array, free: number, scratch: NeighbourhoodScratch): void {
  const { columns, rows, next, pointAt } = scratch
  const { count, x, y } = points
  const { top, bottom } = rowRange(points, rows)
  const stride = columns + 1
  scratch.top = top
  scratch.bottom = bottom
  next.fill(-1, top * stride, (bottom + 1) * stride)
  for (let index = 0; index < count; index++) {
    if (labels[index] !== free) continue
    next[y[index]! * stride + x[index]!] = x[index]!
    pointAt[y[index]! * columns + x[index]!] = index + 1
  }
  for (let row = top; row <= bottom; row++) {
    let found = columns
    for (let column = columns; column >= 0; column--) {
      const at = row * stride + column
      if (next[at] === column) found = column
      else next[at] = found
    }
  }
}

/** Takes one free point away from later floods. */
export function withdrawPoint(points: CellPoints, index: number, scratch: NeighbourhoodScratch): void {
  const at = points.y[index]! * (scratch.columns + 1) + points.x[index]!
  if (scratch.next[at] === points.x[index]) scratch.next[at] = points.x[index]! + 1
}

/**
 * All free points that can be reached from `start` (itself free) in steps within the neighbourhood, where only points
 * that are core, or all when `throughAll`, are left again. Returns how many; they are in `scratch.queue` and no longer free.
 */
export function flood(
  points: CellPoints,
  start: number,
  widths: Int32Array,
  core: Uint8Array,
  throughAll: boolean,
  scratch: NeighbourhoodScratch,
): number {
  const { columns, top, bottom, next, pointAt, queue } = scratch
  const { x, y } = points
  const stride = columns + 1
  const reach = widths.length - 1
  withdrawPoint(points, start, scratch)
  queue[0] = start
  let end = 1
  for (let at = 0; at < end; at++) {
    const index = queue[at]!
    if (!throughAll && core[index] === 0) continue
    const column = x[index]!
    const row = y[index]!
    const from = row - reach < top ? top : row - reach
    const to = row + reach > bottom ? bottom : row + reach
    for (let near = from; near <= to; near++) {
      const half = widths[near < row ? row - near : near - row]!
      const begin = near * stride
      const last = column + half >= columns ? columns - 1 : column + half
      let found = nextFree(next, begin, column - half < 0 ? 0 : column - half)
      while (found <= last) {
        queue[end++] = pointAt[near * columns + found]! - 1
        next[begin + found] = found + 1
        found = nextFree(next, begin, found + 1)
      }
    }
  }
  return end
}

function nextFree(next: Int32Array, begin: number, start: number): number {
  let column = start
  while (next[begin + column] !== column) {
    const skip = next[begin + next[begin + column]!]!
    next[begin + column] = skip
    column = skip
  }
  return column
}

/**
 * DBSCAN of the points with label `free` for given cores, by floods in point order: the labels are those of
 * scikit-learn for any metric with half widths. Clusters get the labels `first`, `first + 1`, ...; points of clusters
 * with fewer than `minimumPoints` get `dropped`, noise keeps `free`. Returns the number of clusters.
 */
export function floodClusters(
  points: CellPoints,
  core: Uint8Array,
  widths: Int32Array,
  labels: Int32Array,
  options: { free: number; first: number; dropped: number; minimumPoints: number },
  scratch: NeighbourhoodScratch,
): number {
  offerPoints(points, labels, options.free, scratch)
  let clusters = 0
  for (let index = 0; index < points.count; index++) {
    if (labels[index] !== options.free || core[index] === 0) continue
    const taken = flood(points, index, widths, core, false, scratch)
    const label = taken >= options.minimumPoints ? options.first + clusters++ : options.dropped
    for (let at = 0; at < taken; at++) labels[scratch.queue[at]!] = label
  }
  return clusters
}
