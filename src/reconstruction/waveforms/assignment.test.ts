import fc from 'fast-check'
import { expect, test } from 'vitest'
import { cheapestAssignment } from './assignment.ts'

/** All ways, the cheapest. */
function bruteForce(costs: number[][], costOfNone: number, row = 0, used = new Set<number>()): number {
  if (row === costs.length) return 0
  let best = costOfNone + bruteForce(costs, costOfNone, row + 1, used)
  costs[row]!.forEach((cost, column) => {
    if (used.has(column)) return
    used.add(column)
    best = Math.min(best, cost + bruteForce(costs, costOfNone, row + 1, used))
    used.delete(column)
  })
  return best
}

test('is as cheap as the cheapest of all ways', () => {
  const cost = fc.oneof({ weight: 5, arbitrary: fc.integer({ min: 0, max: 40 }) }, fc.constant(Infinity))
  fc.assert(
    fc.property(
      fc
        .integer({ min: 0, max: 5 })
        .chain((columns) => fc.array(fc.array(cost, { minLength: columns, maxLength: columns }), { maxLength: 5 })),
      fc.integer({ min: 0, max: 30 }),
      (costs, costOfNone) => {
        const columns = costs[0]?.length ?? 0
        const found = cheapestAssignment(costs.length, columns, (row, column) => costs[row]![column]!, costOfNone)
        const taken = found.filter((column) => column >= 0)
        expect(new Set(taken).size).toBe(taken.length)
        const total = found.reduce((sum, column, row) => sum + (column < 0 ? costOfNone : costs[row]![column]!), 0)
        expect(total).toBe(bruteForce(costs, costOfNone))
      },
    ),
    { numRuns: 500 },
  )
})

test('does 128 triggers and 60 clusters', () => {
  const cost = (row: number, column: number): number => ((row * 7919 + column * 104_729) % 1000) / 10
  const found = cheapestAssignment(128, 60, cost, 50)
  expect(found.filter((column) => column >= 0).length).toBe(60)
})
