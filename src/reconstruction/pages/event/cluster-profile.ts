/** Light of one cluster along and across its axis, from the pixels inside of its outline. Pure. */
import type { ValueAt } from './measure.ts'

/** Calls for every pixel within closed borders along pixel edges (even-odd rule: holes are left out). */
export function eachPixelWithin(
  rings: readonly (readonly number[])[],
  visit: (column: number, row: number) => void,
): void {
  /** Columns at which a row of pixels changes between inside and outside. */
  const crossings = new Map<number, number[]>()
  for (const ring of rings) {
    for (let index = 0; index + 1 < ring.length; index += 2) {
      const next = (index + 2) % ring.length
      const [x, y0, y1] = [ring[index]!, ring[index + 1]!, ring[next + 1]!]
      // Borders go along pixel edges: only upright ones divide a row.
      for (let row = Math.min(y0, y1); row < Math.max(y0, y1); row += 1) {
        const found = crossings.get(row)
        if (found === undefined) crossings.set(row, [x])
        else found.push(x)
      }
    }
  }
  for (const [row, columns] of crossings) {
    columns.sort((a, b) => a - b)
    for (let pair = 0; pair + 1 < columns.length; pair += 2) {
      for (let column = columns[pair]!; column < columns[pair + 1]!; column += 1) visit(column, row)
    }
  }
}

export interface AxisProfile {
  /** Middle of each bin, px from the barycentre along the axis. */
  positionsPx: number[]
  /** Sum of the light in the bin divided by its width: counts per px. */
  countsPerPx: number[]
  binPx: number
}

export interface ClusterProfiles {
  along: AxisProfile
  across: AxisProfile
  pixels: number
  sumCounts: number
}

const mostBins = 160

/**
 * Profiles along the major axis (`thetaDeg` from columns towards rows) and across it, through the barycentre. Bins are
 * whole pixels wide, as many as make at most 160.
 */
export function clusterProfiles(
  rings: readonly (readonly number[])[],
  cluster: { xMeanPx: number; yMeanPx: number; thetaDeg: number },
  countsAt: ValueAt,
): ClusterProfiles | undefined {
  const angle = (cluster.thetaDeg * Math.PI) / 180
  const [cosine, sine] = [Math.cos(angle), Math.sin(angle)]
  const along: number[] = []
  const across: number[] = []
  const counts: number[] = []
  let sumCounts = 0
  eachPixelWithin(rings, (column, row) => {
    const value = countsAt(column, row)
    if (value === undefined) return
    const [x, y] = [column - cluster.xMeanPx, row - cluster.yMeanPx]
    along.push(x * cosine + y * sine)
    across.push(y * cosine - x * sine)
    counts.push(value)
    sumCounts += value
  })
  if (counts.length === 0) return undefined
  return { along: binned(along, counts), across: binned(across, counts), pixels: counts.length, sumCounts }
}

function binned(positions: readonly number[], counts: readonly number[]): AxisProfile {
  let first = Infinity
  let last = -Infinity
  for (const position of positions) {
    if (position < first) first = position
    if (position > last) last = position
  }
  const from = Math.floor(first)
  const span = Math.floor(last) - from + 1
  const binPx = Math.max(1, Math.ceil(span / mostBins))
  const sums = new Array<number>(Math.ceil(span / binPx)).fill(0)
  positions.forEach((position, index) => {
    sums[Math.floor((position - from) / binPx)]! += counts[index]!
  })
  return {
    positionsPx: sums.map((_, bin) => from + (bin + 0.5) * binPx),
    countsPerPx: sums.map((sum) => sum / binPx),
    binPx,
  }
}
