import fc from 'fast-check'
import { expect, test } from 'vitest'
import { integralShift, iouOf, matchClusters, nearestPx, shiftDistribution } from './cluster-matching.ts'
import { testCluster } from './testing.ts'
import type { Cluster } from './contract.ts'

/** A square around a place. */
function spot(cluster: number, x: number, y: number, given: Partial<Cluster> = {}): Cluster {
  const box = { xMinPx: x - 10, xMaxPx: x + 10, yMinPx: y - 10, yMaxPx: y + 10 }
  return testCluster({ cluster, xMeanPx: x, yMeanPx: y, ...box, ...given })
}

test('boxes that overlap are the same track, others the nearest within reach, the rest is unmatched', () => {
  const first = [spot(0, 100, 100), spot(1, 300, 300), spot(2, 600, 600), spot(3, 900, 900)]
  const second = [
    // Nearer to 0 by its barycentre, but its box is elsewhere.
    spot(0, 130, 100),
    spot(1, 103, 100, { integralCounts: 9900 }),
    spot(2, 300, 340),
    spot(3, 700, 700),
  ]
  const { pairs, onlyFirst, onlySecond } = matchClusters(first, second)
  expect(pairs.map(({ first: a, second: b, by }) => [a, b, by])).toEqual([
    [0, 1, 'iou'],
    [1, 2, 'near'],
  ])
  expect(onlyFirst.map(({ cluster }) => cluster)).toEqual([2, 3])
  expect(onlySecond.map(({ cluster }) => cluster)).toEqual([0, 3])
  expect(integralShift(pairs[0]!)).toBeCloseTo(0.1)
  expect(pairs[1]!.shiftPx).toBe(40)
})

test('clusters without a box are matched by place alone, and no light is no shift', () => {
  const none = { xMinPx: -1, xMaxPx: -1, yMinPx: -1, yMaxPx: -1 }
  const a = spot(0, 10, 10, { ...none, integralCounts: 0 })
  const b = spot(0, 12, 10, none)
  expect(iouOf(a, b)).toBe(0)
  const { pairs } = matchClusters([a], [b])
  expect(pairs).toMatchObject([{ by: 'near', shiftPx: 2 }])
  expect(integralShift(pairs[0]!)).toBe(0)
})

test('property: nobody is matched twice, nobody is lost, and a list matches itself whole', () => {
  const cluster = fc.record({
    x: fc.integer({ min: 100, max: 500 }),
    y: fc.integer({ min: 100, max: 500 }),
    light: fc.integer({ min: 1, max: 10_000 }),
  })
  const list = fc
    .array(cluster, { maxLength: 15 })
    .map((some) => some.map(({ x, y, light }, rank) => spot(rank, x, y, { integralCounts: light })))
  fc.assert(
    fc.property(list, list, (first, second) => {
      const { pairs, onlyFirst, onlySecond } = matchClusters(first, second)
      expect(pairs.length + onlyFirst.length).toBe(first.length)
      expect(pairs.length + onlySecond.length).toBe(second.length)
      expect(new Set(pairs.map((pair) => pair.first)).size).toBe(pairs.length)
      expect(new Set(pairs.map((pair) => pair.second)).size).toBe(pairs.length)
      for (const { by, iou, shiftPx } of pairs) expect(by === 'iou' ? iou >= 0.5 : shiftPx <= nearestPx).toBe(true)
      const itself = matchClusters(first, first)
      expect(itself.pairs.length).toBe(first.length)
      expect(itself.pairs.every(({ iou }) => iou === 1)).toBe(true)
    }),
  )
})

test('a distribution says median, the middle 68 % and the extreme with its sign', () => {
  expect(shiftDistribution([])).toEqual({ count: 0, median: 0, p16: 0, p84: 0, largest: 0 })
  const values = Array.from({ length: 101 }, (_, index) => index - 60)
  expect(shiftDistribution(values)).toEqual({ count: 101, median: -10, p16: -44, p84: 24, largest: -60 })
})
