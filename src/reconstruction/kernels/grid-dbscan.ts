/**
 * Stage 3: exact weighted DBSCAN of points on an integer grid with the L1 metric.
 *
 * Labels are those of scikit-learn's `DBSCAN(metric='cityblock').fit(points, sample_weight=weights)` for the same
 * points in the same order: a point is core when the weights within the radius (itself included) reach the minimum;
 * clusters are numbered by their first core point in point order; a border point goes to the lowest-numbered cluster
 * with a core within the radius; -1 is noise.
 *
 * Density: row prefix sums, 2 radius + 1 row segments per point. Connection of cores, whichever is cheaper:
 *  - enumeration: the half diamond of each core;
 *  - distance transform: for every cell the L1 distance D to its nearest core n (two passes); for 4-adjacent cells
 *    p, q with n(p) != n(q) and D(p) + D(q) + 1 <= radius the two cores are joined. Cost independent of the radius.
 *    Sound: the two cores are at most that far apart. Complete: on a lattice path of length L <= radius between two
 *    cores, D(p_i) <= min(i, L - i), so D(p_i) + D(p_i+1) + 1 <= L, and all nearest cores along it are joined.
 */
import type { CellPoints } from './noise-reducer.ts'

export const noiseLabel = -1

export interface DbscanScratch {
  columns: number
  rows: number
  /** Row prefix sums of weights, (columns + 1) per row. */
  prefix: Int32Array
  /** Per cell: 0 empty, otherwise 1 + index of the core point there; later 1 + its label. */
  core: Int32Array
  /** Distance transform: distance and nearest core (1 + index). */
  distance: Int32Array
  nearest: Int32Array
  /** Union-find over points; the root is the smallest index. */
  parent: Int32Array
}

export function createDbscanScratch(columns: number, rows: number): DbscanScratch {
  const cells = columns * rows
  return {
    columns,
    rows,
    prefix: new Int32Array((columns + 1) * rows),
    core: new Int32Array(cells),
    distance: new Int32Array(cells),
    nearest: new Int32Array(cells),
    parent: new Int32Array(cells),
  }
}

export type Connection = 'automatic' | 'enumeration' | 'distance-transform'

/**
 * Labels the first `points.count` points into `labels`; returns the number of clusters. Points must be distinct and
 * inside the grid; weights are non-negative integers. A radius with a fraction is cut down: L1 distances are whole.
 */
export function gridDbscan(
  points: CellPoints,
  radiusCells: number,
  minimumWeight: number,
  scratch: DbscanScratch,
  labels: Int32Array,
  connection: Connection = 'automatic',
): number {
  const { columns, rows, core, parent, prefix } = scratch
  const { count, x, y, weight } = points
  const radius = Math.floor(radiusCells)
  labels.fill(noiseLabel, 0, count)
  if (count === 0 || radius < 0) return 0

  let top = rows
  let bottom = -1
  for (let index = 0; index < count; index++) {
    const row = y[index]!
    if (row < top) top = row
    if (row > bottom) bottom = row
  }
  const stride = columns + 1
  prefix.fill(0, top * stride, (bottom + 1) * stride)
  for (let index = 0; index < count; index++) {
    const at = y[index]! * stride + x[index]! + 1
    prefix[at] = prefix[at]! + weight[index]!
  }
  for (let row = top; row <= bottom; row++) {
    let sum = 0
    const end = row * stride + stride
    for (let at = row * stride; at < end; at++) {
      sum = (sum + prefix[at]!) | 0
      prefix[at] = sum
    }
  }

  core.fill(0, top * columns, (bottom + 1) * columns)
  let cores = 0
  for (let index = 0; index < count; index++) {
    const column = x[index]!
    const row = y[index]!
    const from = row - radius < top ? top : row - radius
    const to = row + radius > bottom ? bottom : row + radius
    let density = 0
    for (let near = from; near <= to; near++) {
      const half = radius - (near < row ? row - near : near - row)
      const begin = column - half < 0 ? 0 : column - half
      const end = column + half + 1 > columns ? columns : column + half + 1
      density += prefix[near * stride + end]! - prefix[near * stride + begin]!
    }
    if (density >= minimumWeight) {
      core[row * columns + column] = index + 1
      parent[index] = index
      cores++
    } else parent[index] = -1
  }
  if (cores === 0) return 0

  const enumerationCost = cores * radius * (radius + 1)
  const transformCost = 10 * (bottom - top + 1) * columns
  const enumerate = connection === 'automatic' ? enumerationCost <= transformCost : connection === 'enumeration'
  if (enumerate) joinByEnumeration(points, radius, bottom, scratch)
  else joinByDistanceTransform(radius, top, bottom, scratch)

  let clusters = 0
  for (let index = 0; index < count; index++) {
    if (parent[index] === -1) continue
    // Roots are the smallest index of their cluster, so a root is met before the rest of its cluster.
    const root = rootOf(parent, index)
    labels[index] = root === index ? clusters++ : labels[root]!
    core[y[index]! * columns + x[index]!] = labels[index]! + 1
  }
  labelBorderPoints(points, radius, top, bottom, scratch, labels)
  return clusters
}

function rootOf(parent: Int32Array, start: number): number {
  let index = start
  while (parent[index] !== index) {
    const next = parent[parent[index]!]!
    parent[index] = next
    index = next
  }
  return index
}

function join(parent: Int32Array, first: number, second: number): void {
  const a = rootOf(parent, first)
  const b = rootOf(parent, second)
  if (a < b) parent[b] = a
  else parent[a] = b
}

function joinByEnumeration(points: CellPoints, radius: number, bottom: number, scratch: DbscanScratch): void {
  const { columns, core, parent } = scratch
  const { count, x, y } = points
  for (let index = 0; index < count; index++) {
    if (parent[index] === -1) continue
    const column = x[index]!
    const row = y[index]!
    const sameRowEnd = row * columns + (column + radius >= columns ? columns - 1 : column + radius)
    for (let at = row * columns + column + 1; at <= sameRowEnd; at++) {
      if (core[at] !== 0) join(parent, index, core[at]! - 1)
    }
    const last = row + radius > bottom ? bottom : row + radius
    for (let near = row + 1; near <= last; near++) {
      const half = radius - (near - row)
      const end = near * columns + (column + half >= columns ? columns - 1 : column + half)
      for (let at = near * columns + (column - half < 0 ? 0 : column - half); at <= end; at++) {
        if (core[at] !== 0) join(parent, index, core[at]! - 1)
      }
    }
  }
}

function joinByDistanceTransform(radius: number, top: number, bottom: number, scratch: DbscanScratch): void {
  const { columns, core, distance, nearest, parent } = scratch
  const far = 1 << 28
  for (let row = top; row <= bottom; row++) {
    let at = row * columns
    const end = at + columns
    let leftDistance = far
    let leftNearest = 0
    for (; at < end; at++) {
      if (core[at] !== 0) {
        leftDistance = 0
        leftNearest = core[at]!
      } else {
        leftDistance = leftDistance + 1
        if (row > top && distance[at - columns]! + 1 < leftDistance) {
          leftDistance = distance[at - columns]! + 1
          leftNearest = nearest[at - columns]!
        }
        if (leftDistance > far) leftDistance = far
      }
      distance[at] = leftDistance
      nearest[at] = leftNearest
    }
  }
  for (let row = bottom; row >= top; row--) {
    const begin = row * columns
    for (let at = begin + columns - 1; at >= begin; at--) {
      let best = distance[at]!
      if (at + 1 < begin + columns && distance[at + 1]! + 1 < best) {
        best = distance[at + 1]! + 1
        nearest[at] = nearest[at + 1]!
      }
      if (row < bottom && distance[at + columns]! + 1 < best) {
        best = distance[at + columns]! + 1
        nearest[at] = nearest[at + columns]!
      }
      distance[at] = best
    }
  }
  for (let row = top; row <= bottom; row++) {
    const begin = row * columns
    for (let at = begin; at < begin + columns; at++) {
      const own = distance[at]!
      if (own >= radius) continue
      if (at + 1 < begin + columns && nearest[at] !== nearest[at + 1] && own + distance[at + 1]! + 1 <= radius) {
        join(parent, nearest[at]! - 1, nearest[at + 1]! - 1)
      }
      if (row < bottom && nearest[at] !== nearest[at + columns] && own + distance[at + columns]! + 1 <= radius) {
        join(parent, nearest[at]! - 1, nearest[at + columns]! - 1)
      }
    }
  }
}

/** A point that is not core takes the smallest label among the cores within the radius. */
function labelBorderPoints(
  points: CellPoints,
  radius: number,
  top: number,
  bottom: number,
  scratch: DbscanScratch,
  labels: Int32Array,
): void {
  const { columns, core, parent } = scratch
  const { count, x, y } = points
  for (let index = 0; index < count; index++) {
    if (parent[index] !== -1) continue
    const column = x[index]!
    const row = y[index]!
    const from = row - radius < top ? top : row - radius
    const to = row + radius > bottom ? bottom : row + radius
    let best = 0
    for (let near = from; near <= to; near++) {
      const half = radius - (near < row ? row - near : near - row)
      const end = near * columns + (column + half >= columns ? columns - 1 : column + half)
      for (let at = near * columns + (column - half < 0 ? 0 : column - half); at <= end; at++) {
        const found = core[at]!
        if (found !== 0 && (best === 0 || found < best)) best = found
      }
    }
    if (best !== 0) labels[index] = best - 1
  }
}
