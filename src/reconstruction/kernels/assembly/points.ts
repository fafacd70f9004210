/**
 * Stage 2: neighbour noise reducer on the edge cells and the points for the clustering; definition in
 * ../noise-reducer.ts. The result of a cell depends on the results left of and above it, so the order is raster order.
 *
 * Nearly all cells end as 0 because their neighbours average below the minimum. With 0 at the left that needs only cells
 * that are final or untouched: four sums at a time in float32, with room for their rounding, say which cells surely
 * end as 0. The others are computed as the definition says, in float64 and in its order of additions.
 */
const fixedPerCellMean: f32 = 4096

let columns: i32 = 0
let rows: i32 = 0
let weights: usize = 0
let edges: usize = 0
let values: usize = 0
let xs: usize = 0
let ys: usize = 0
let pointWeights: usize = 0

/** Buffers: f32 per cell and 64 bytes more for `valueBuffer`, i32 per cell for the others. */
export function configurePoints(
  cellColumns: i32,
  cellRows: i32,
  weightBuffer: usize,
  edgeBuffer: usize,
  valueBuffer: usize,
  xBuffer: usize,
  yBuffer: usize,
  pointWeightBuffer: usize,
): void {
  columns = cellColumns
  rows = cellRows
  weights = weightBuffer
  edges = edgeBuffer
  values = valueBuffer
  xs = xBuffer
  ys = yBuffer
  pointWeights = pointWeightBuffer
}

/** `surelyBelow`: a float32 sum of seven neighbours below this means an average below `minimum`; -infinity: never. */
export function findPoints(minimum: f64, jump: f64, needed: i32, surelyBelow: f32): i32 {
  loadEdges()
  let count = 0
  const zero = f32x4.splat(0)
  const limit = f32x4.splat(surelyBelow)
  const pitch = <usize>columns << 2
  for (let row = 1; row < rows - 2; row++) {
    const line = values + <usize>row * pitch
    const end = columns - 2
    let column = 1
    let left: f64 = 0
    while (column < end) {
      let at = line + (<usize>column << 2)
      if (left === 0) {
        const up = at - pitch
        const down = at + pitch
        const above = f32x4.add(f32x4.add(v128.load(up - 4), v128.load(up)), v128.load(up + 4))
        const below = f32x4.add(f32x4.add(v128.load(down - 4), v128.load(down)), v128.load(down + 4))
        const sum = f32x4.add(f32x4.add(above, below), v128.load(at + 4))
        const open = i32x4.bitmask(v128.not(f32x4.lt(sum, limit)))
        if (open === 0) {
          // Columns past the end are of the frame and the start of the next line, which are 0 as well.
          v128.store(at, zero)
          column += 4
          continue
        }
        const closed = ctz(open)
        for (let step = 0; step < closed; step++) store<f32>(at + (<usize>step << 2), 0)
        column += closed
        if (column >= end) break
        at = line + (<usize>column << 2)
      }
      const up = at - pitch
      const down = at + pitch
      const pairLeft = <f64>load<f32>(up - 4) + <f64>load<f32>(down - 4)
      const pairHere = <f64>load<f32>(up) + <f64>load<f32>(down)
      const pairRight = <f64>load<f32>(up + 4) + <f64>load<f32>(down + 4)
      const here = load<f32>(at)
      const average = (pairLeft + pairHere + pairRight + left + <f64>load<f32>(at + 4)) / 8
      let result = here
      if (abs<f64>(<f64>here - average) > jump) result = <f32>average
      if (average < minimum) result = 0
      else if (result !== 0 && activeAround(row, column) < needed) result = 0
      store<f32>(at, result)
      left = result
      if (result > 0.5) {
        const place = <usize>count << 2
        store<i32>(xs + place, column)
        store<i32>(ys + place, row)
        const counts = load<i32>(weights + (<usize>(row * columns + column) << 2)) >> 12
        store<i32>(pointWeights + place, counts > 0 ? counts : 1)
        count++
      }
      column++
    }
  }
  return count
}

/** Edge sums to counts, with a frame of two empty cells. */
function loadEdges(): void {
  const cells = columns * rows
  memory.fill(values, 0, (<usize>cells << 2) + 64)
  if (rows < 5 || columns < 5) return
  const scale = f32x4.splat(1 / fixedPerCellMean)
  const pitch = <usize>columns << 2
  for (let row = 2; row < rows - 2; row++) {
    const line = <usize>row * pitch
    let column = 2
    for (; column + 4 <= columns - 2; column += 4) {
      const at = line + (<usize>column << 2)
      v128.store(values + at, f32x4.mul(f32x4.convert_i32x4_s(v128.load(edges + at)), scale))
    }
    for (; column < columns - 2; column++) {
      const at = line + (<usize>column << 2)
      store<f32>(values + at, <f32>load<i32>(edges + at) / fixedPerCellMean)
    }
  }
}

/** Cells of the 3x3 that the edge image fills, its frame left out. */
function activeAround(row: i32, column: i32): i32 {
  let active = 0
  const top = max(row - 1, 2)
  const bottom = min(row + 1, rows - 3)
  const first = max(column - 1, 2)
  const last = min(column + 1, columns - 3)
  for (let line = top; line <= bottom; line++) {
    for (let step = first; step <= last; step++) {
      if (load<i32>(edges + (<usize>(line * columns + step) << 2)) !== 0) active++
    }
  }
  return active
}
