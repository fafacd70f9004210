/**
 * Stage 3: weighted DBSCAN with the L1 metric on the cell grid; definition in ../grid-dbscan.ts. Its cost grows with
 * points times radius, not with the grid: a bit per cell says where a point or a core is, so a row of a neighbourhood
 * is one unaligned 64-bit load, and what is found in it is counted or looked up by its lowest and highest bit.
 *
 * Connection of cores. Cores of one row at most `radius` apart are joined first. Then the first and the last core in each
 * row of a core's half diamond are enough: such a row spans at most 2 radius + 1 columns, and cores in it that are not yet
 * joined lie more than `radius` apart, so it holds at most two groups, that of its first and that of its last core.
 */
let columns: i32 = 0
let rows: i32 = 0
let xs: usize = 0
let ys: usize = 0
let pointWeights: usize = 0
/** i32 per point: label; before that the parent in the union of cores, -1 for others. */
let parents: usize = 0
let labels: usize = 0
/** i32 per cell: index of the point there; valid where a bit says so. */
let pointAt: usize = 0
/** One bit per cell, rows start at `bitPitch` bytes; 8 bytes more at the end of a row can be read. */
let pointBits: usize = 0
let coreBits: usize = 0
let bitPitch: usize = 0

/** Widest row of cells that one load at any bit gives. */
const span: i32 = 57

/** i32 per cell for all buffers; `bitBuffer` takes 2 * rows * (columns / 8 + 16) bytes. */
export function configureDbscan(
  cellColumns: i32,
  cellRows: i32,
  xBuffer: usize,
  yBuffer: usize,
  weightBuffer: usize,
  labelBuffer: usize,
  parentBuffer: usize,
  pointAtBuffer: usize,
  bitBuffer: usize,
): void {
  columns = cellColumns
  rows = cellRows
  xs = xBuffer
  ys = yBuffer
  pointWeights = weightBuffer
  labels = labelBuffer
  parents = parentBuffer
  pointAt = pointAtBuffer
  bitPitch = (<usize>cellColumns >> 3) + 16
  pointBits = bitBuffer
  coreBits = bitBuffer + bitPitch * cellRows
}

/** Labels `count` points; returns the number of clusters. */
export function cluster(count: i32, radius: i32, minimumWeight: f64): i32 {
  memory.fill(labels, 0xff, <usize>count << 2)
  if (count === 0 || radius < 0) return 0
  memory.fill(pointBits, 0, 2 * bitPitch * rows)
  for (let index = 0; index < count; index++) {
    const x = at(xs, index)
    const y = at(ys, index)
    setBit(pointBits, x, y)
    store<i32>(pointAt + (<usize>(y * columns + x) << 2), index)
  }
  // No sum of neighbours is smaller than the largest radius that can matter.
  if (radius > rows + columns) radius = rows + columns
  let cores = 0
  for (let index = 0; index < count; index++) {
    if (isDense(at(xs, index), at(ys, index), radius, minimumWeight)) {
      setBit(coreBits, at(xs, index), at(ys, index))
      store<i32>(parents + (<usize>index << 2), index)
      cores++
    } else store<i32>(parents + (<usize>index << 2), -1)
  }
  if (cores === 0) return 0
  for (let index = 0; index < count; index++) {
    if (at(parents, index) !== -1) joinNext(index, radius)
  }
  for (let index = 0; index < count; index++) {
    if (at(parents, index) !== -1) joinBelow(index, radius)
  }
  let clusters = 0
  for (let index = 0; index < count; index++) {
    if (at(parents, index) === -1) continue
    // Roots are the smallest index of their cluster, so a root is met before the rest of its cluster.
    const root = rootOf(index)
    store<i32>(labels + (<usize>index << 2), root === index ? clusters++ : at(labels, root))
  }
  for (let index = 0; index < count; index++) {
    if (at(parents, index) === -1) labelBorder(index, radius)
  }
  return clusters
}

@inline
function at(buffer: usize, index: i32): i32 {
  return load<i32>(buffer + (<usize>index << 2))
}

@inline
function setBit(bits: usize, x: i32, y: i32): void {
  const byte = bits + <usize>y * bitPitch + (<usize>x >> 3)
  store<u8>(byte, load<u8>(byte) | <u8>(<u32>1 << <u32>(x & 7)))
}

/** Bits of the cells x .. x + length - 1 of a row, length 1 .. span. */
@inline
function bitsOf(line: usize, x: i32, length: i32): u64 {
  return (load<u64>(line + (<usize>x >> 3)) >> (x & 7)) & (<u64>-1 >> (64 - length))
}

/** Do the weights of the points within the radius reach the minimum? Nearest rows first: they mostly decide. */
function isDense(x: i32, y: i32, radius: i32, minimum: f64): bool {
  let density: f64 = rowDensity(x, y, radius)
  if (density >= minimum) return true
  for (let step = 1; step <= radius; step++) {
    if (y >= step) density += rowDensity(x, y - step, radius - step)
    if (y + step < rows) density += rowDensity(x, y + step, radius - step)
    if (density >= minimum) return true
    if (step >= rows) break
  }
  return false
}

@inline
function rowDensity(x: i32, row: i32, half: i32): f64 {
  let sum: f64 = 0
  const line = pointBits + <usize>row * bitPitch
  const cells = pointAt + (<usize>(row * columns) << 2)
  let from = max(x - half, 0)
  const end = min(x + half + 1, columns)
  while (from < end) {
    const length = min(end - from, span)
    let bits = bitsOf(line, from, length)
    while (bits !== 0) {
      const index = load<i32>(cells + (<usize>(from + <i32>ctz(bits)) << 2))
      sum += <f64>at(pointWeights, index)
      bits &= bits - 1
    }
    from += length
  }
  return sum
}

/** First column from `from` to `end` - 1 with a core, or -1. */
@inline
function firstCore(line: usize, from: i32, end: i32): i32 {
  while (from < end) {
    const length = min(end - from, span)
    const bits = bitsOf(line, from, length)
    if (bits !== 0) return from + <i32>ctz(bits)
    from += length
  }
  return -1
}

@inline
function lastCore(line: usize, from: i32, end: i32): i32 {
  while (from < end) {
    const length = min(end - from, span)
    const bits = bitsOf(line, end - length, length)
    if (bits !== 0) return end - length + 63 - <i32>clz(bits)
    end -= length
  }
  return -1
}

@inline
function coreIndex(row: i32, column: i32): i32 {
  return load<i32>(pointAt + (<usize>(row * columns + column) << 2))
}

/** Joins a core with the next one of its row. */
function joinNext(index: i32, radius: i32): void {
  const x = at(xs, index)
  const y = at(ys, index)
  const found = firstCore(coreBits + <usize>y * bitPitch, x + 1, min(x + radius + 1, columns))
  if (found >= 0) join(index, coreIndex(y, found))
}

function joinBelow(index: i32, radius: i32): void {
  const x = at(xs, index)
  const y = at(ys, index)
  const last = min(y + radius, rows - 1)
  for (let row = y + 1; row <= last; row++) {
    const half = radius - (row - y)
    const line = coreBits + <usize>row * bitPitch
    const from = max(x - half, 0)
    const end = min(x + half + 1, columns)
    const first = firstCore(line, from, end)
    if (first < 0) continue
    join(index, coreIndex(row, first))
    const other = lastCore(line, from, end)
    if (other - first > radius) join(index, coreIndex(row, other))
  }
}

/** A point that is not core takes the smallest label among the cores within the radius. */
function labelBorder(index: i32, radius: i32): void {
  const x = at(xs, index)
  const y = at(ys, index)
  const top = max(y - radius, 0)
  const bottom = min(y + radius, rows - 1)
  let best = i32.MAX_VALUE
  for (let row = top; row <= bottom; row++) {
    const half = radius - abs(row - y)
    const line = coreBits + <usize>row * bitPitch
    const from = max(x - half, 0)
    const end = min(x + half + 1, columns)
    const first = firstCore(line, from, end)
    if (first < 0) continue
    best = min(best, at(labels, coreIndex(row, first)))
    const other = lastCore(line, from, end)
    if (other - first > radius) best = min(best, at(labels, coreIndex(row, other)))
  }
  if (best !== i32.MAX_VALUE) store<i32>(labels + (<usize>index << 2), best)
}

function rootOf(start: i32): i32 {
  let index = start
  let parent = at(parents, index)
  while (parent !== index) {
    const next = at(parents, parent)
    store<i32>(parents + (<usize>index << 2), next)
    index = next
    parent = at(parents, index)
  }
  return index
}

@inline
function join(first: i32, second: i32): void {
  const a = rootOf(first)
  const b = rootOf(second)
  if (a < b) store<i32>(parents + (<usize>b << 2), a)
  else store<i32>(parents + (<usize>a << 2), b)
}
