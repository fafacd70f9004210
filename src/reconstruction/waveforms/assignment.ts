/**
 * Assignment of rows to columns with the least total cost, each column used at most once, where leaving a row without
 * a column costs `costOfNone` (Hungarian method with potentials, O(rows^2 (rows + columns))).
 */

/** Column of each row, -1 for none. `cost(row, column)` may be Infinity: that pair is never made. */
export function cheapestAssignment(
  rows: number,
  columns: number,
  cost: (row: number, column: number) => number,
  costOfNone: number,
): number[] {
  // Each row has a column of its own besides the shared ones, which stands for none.
  const width = columns + rows
  const far = 1e12
  const price = (row: number, column: number): number =>
    column < columns ? Math.min(far, cost(row, column)) : column - columns === row ? costOfNone : far
  // Counted from 1; entry 0 is the start of the search. Method of shortest augmenting paths.
  const rowPotential = new Float64Array(rows + 1)
  const columnPotential = new Float64Array(width + 1)
  const rowOf = new Int32Array(width + 1)
  const cameFrom = new Int32Array(width + 1)
  for (let row = 1; row <= rows; row++) {
    rowOf[0] = row
    let column = 0
    const least = new Float64Array(width + 1).fill(Infinity)
    const done = new Uint8Array(width + 1)
    do {
      done[column] = 1
      const from = rowOf[column]!
      let step = Infinity
      let next = 0
      for (let to = 1; to <= width; to++) {
        if (done[to] === 1) continue
        const reduced = price(from - 1, to - 1) - rowPotential[from]! - columnPotential[to]!
        if (reduced < least[to]!) {
          least[to] = reduced
          cameFrom[to] = column
        }
        if (least[to]! < step) {
          step = least[to]!
          next = to
        }
      }
      for (let to = 0; to <= width; to++) {
        if (done[to] === 1) {
          rowPotential[rowOf[to]!] = rowPotential[rowOf[to]!]! + step
          columnPotential[to] = columnPotential[to]! - step
        } else least[to] = least[to]! - step
      }
      column = next
    } while (rowOf[column] !== 0)
    while (column !== 0) {
      const back = cameFrom[column]!
      rowOf[column] = rowOf[back]!
      column = back
    }
  }
  const result = new Array<number>(rows).fill(-1)
  for (let column = 1; column <= columns; column++) if (rowOf[column]! > 0) result[rowOf[column]! - 1] = column - 1
  return result
}
