import { describe, expect, test } from 'vitest'
import { clusterProfiles, eachPixelWithin } from './cluster-profile.ts'

function pixelsOf(rings: number[][]): string[] {
  const found: string[] = []
  eachPixelWithin(rings, (column, row) => found.push(`${column},${row}`))
  return found.sort()
}

describe('light of a cluster', () => {
  test('pixels within an outline, without its holes', () => {
    expect(pixelsOf([[2, 3, 4, 3, 4, 5, 2, 5]])).toEqual(['2,3', '2,4', '3,3', '3,4'])
    const outer = [0, 0, 5, 0, 5, 5, 0, 5]
    const hole = [1, 1, 1, 4, 4, 4, 4, 1]
    expect(pixelsOf([outer, hole]).length).toBe(16)
    // An L: two upright borders on the left rows, another on the right.
    expect(pixelsOf([[0, 0, 1, 0, 1, 2, 3, 2, 3, 3, 0, 3]])).toEqual(['0,0', '0,1', '0,2', '1,2', '2,2'])
    expect(pixelsOf([])).toEqual([])
  })

  test('a bar at an angle has its length along and its width across, and all light in both', () => {
    const rings = [[0, 0, 200, 0, 200, 200, 0, 200]]
    const angle = Math.PI / 6
    const light = (column: number, row: number) => {
      const [x, y] = [column - 100, row - 100]
      const along = x * Math.cos(angle) + y * Math.sin(angle)
      const across = y * Math.cos(angle) - x * Math.sin(angle)
      return Math.abs(along) <= 60 && Math.abs(across) <= 8 ? 10 : 0
    }
    const found = clusterProfiles(rings, { xMeanPx: 100, yMeanPx: 100, thetaDeg: 30 }, light)!
    expect(found.pixels).toBe(40_000)
    for (const { positionsPx, countsPerPx, binPx } of [found.along, found.across]) {
      expect(positionsPx.length).toBeLessThanOrEqual(160)
      expect(countsPerPx.reduce((sum, one) => sum + one * binPx, 0)).toBeCloseTo(found.sumCounts, 6)
    }
    const widthOf = ({ positionsPx, countsPerPx }: typeof found.along) => {
      const lit = positionsPx.filter((_, bin) => countsPerPx[bin]! > 0)
      return lit.at(-1)! - lit[0]!
    }
    expect(Math.abs(widthOf(found.along) - 120)).toBeLessThan(5)
    expect(Math.abs(widthOf(found.across) - 16)).toBeLessThan(5)
    expect(clusterProfiles([], { xMeanPx: 0, yMeanPx: 0, thetaDeg: 0 }, light)).toBeUndefined()
  })
})
