import { spawnSync } from 'node:child_process'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { rounds } from '../../foundation/testing.ts'
import { fitTubeFast, fitTubeRansac, insideTube, valueAt } from './directional-fit.ts'
import type { Order } from './directional-fit.ts'
import { canBeStraight, createStraightnessScratch, straightness } from './directional-straightness.ts'
import { createDraws } from './seeded-random.ts'

const python = process.env.CYGNET_TEST_PYTHON
const hasSklearn = python !== undefined && spawnSync(python, ['-c', 'import sklearn, numpy']).status === 0
const skipped = hasSklearn ? '' : ' (SKIPPED: CYGNET_TEST_PYTHON names no Python with scikit-learn)'

function ask<Answer>(program: string, input: unknown): Answer {
  // Thousands of tiny linear fits: threads of the algebra library would only wait for each other.
  const env = { ...process.env, OMP_NUM_THREADS: '1', OPENBLAS_NUM_THREADS: '1' }
  const run = spawnSync(python!, ['-c', program], { input: JSON.stringify(input), maxBuffer: 1 << 28, env })
  expect(run.status, run.stderr.toString()).toBe(0)
  return JSON.parse(run.stdout.toString()) as Answer
}

/** Cells of a noisy curve v(u), distinct. */
const curves = fc
  .record({
    length: fc.integer({ min: 15, max: 400 }),
    width: fc.integer({ min: 0, max: 8 }),
    slope: fc.double({ min: -1, max: 1, noNaN: true }),
    bend: fc.double({ min: -1, max: 1, noNaN: true }),
    seed: fc.nat(1_000_000),
    order: fc.constantFrom<Order>(1, 2),
  })
  .map(({ length, width, slope, bend, seed, order }) => {
    const draws = createDraws(seed)
    const cells = new Map<string, [number, number]>()
    for (let step = 0; step < 3 * length; step++) {
      const u = draws.below(length)
      const curve = 200 + slope * u + (order === 2 ? bend * u * (u / length - 1) : 0)
      const v = Math.round(curve + draws.below(width + 1) - width / 2)
      cells.set(`${u},${v}`, [u, v])
    }
    const points = [...cells.values()]
    return {
      order,
      points: {
        u: Float64Array.from(points, ([u]) => u),
        v: Float64Array.from(points, ([, v]) => v),
        n: points.length,
      },
    }
  })

describe('tube fits', () => {
  it.skipIf(!hasSklearn)(`are the least-squares polynomials of numpy where all points are inside${skipped}`, () => {
    const samples = fc.sample(curves, { numRuns: rounds(100), seed: 4 })
    const expected = ask<number[][]>(
      `import json, sys, numpy as np
json.dump([np.polyval(np.polyfit(s['u'], s['v'], s['order']), s['u']).tolist() for s in json.load(sys.stdin)], sys.stdout)`,
      samples.map(({ order, points }) => ({ order, u: [...points.u], v: [...points.v] })),
    )
    samples.forEach(({ order, points }, index) => {
      const fit = fitTubeFast(points, order, 1000)!
      points.u.forEach((u, at) => expect(valueAt(fit, u)).toBeCloseTo(expected[index]![at]!, 6))
    })
  })

  it('find the curve among outliers, both ways, and agree on whether there is one', () => {
    let disagreements = 0
    let different = 0
    const samples = fc.sample(curves, { numRuns: rounds(100), seed: 9 })
    samples.forEach(({ order, points }, index) => {
      const draws = createDraws(index)
      const v = points.v.slice()
      for (let at = 0; at < points.n; at++) if (draws.below(100) < 10) v[at] = v[at]! + 10 + draws.below(20)
      const noisy = { ...points, v }
      const fast = fitTubeFast(noisy, order, 6.5)
      const ransac = fitTubeRansac(noisy, order, 6.5, draws)
      if ((fast === undefined) !== (ransac === undefined)) disagreements++
      if (fast === undefined || ransac === undefined) return
      let both = 0
      for (let at = 0; at < points.n; at++) {
        if (insideTube(fast, 6.5, points.u[at]!, v[at]!) === insideTube(ransac, 6.5, points.u[at]!, v[at]!)) both++
      }
      // Short arcs with outliers have more than one curve that takes 80 % of the points.
      if (both / points.n < 0.85) different++
    })
    console.log(
      `tube fits: of ${samples.length} fast and RANSAC disagree on existence in ${disagreements}, on the points in ${different}`,
    )
    expect(different / samples.length).toBeLessThan(0.05)
    expect(disagreements / samples.length).toBeLessThan(0.1)
  })

  it('refuse what does not fit into a tube', () => {
    const draws = createDraws(1)
    const n = 400
    const blob = {
      u: Float64Array.from({ length: n }, () => draws.below(80)),
      v: Float64Array.from({ length: n }, () => draws.below(60)),
      n,
    }
    for (const order of [1, 2] as const) {
      expect(fitTubeFast(blob, order, 6.5)).toBeUndefined()
      expect(fitTubeRansac(blob, order, 6.5, draws)).toBeUndefined()
    }
  })
})

/** Seeds of all shapes: strips of any width and direction, discs, crossings, curls. */
const seeds = fc
  .record({
    degrees: fc.integer({ min: 0, max: 179 }),
    length: fc.integer({ min: 4, max: 150 }),
    width: fc.integer({ min: 1, max: 25 }),
    bend: fc.constantFrom(0, 0, 0, 0.3, 1, 2),
    filled: fc.integer({ min: 20, max: 100 }),
    seed: fc.nat(1_000_000),
  })
  .map(({ degrees, length, width, bend, filled, seed }) => {
    const draws = createDraws(seed)
    const cells = new Map<string, [number, number]>()
    const angle = (degrees * Math.PI) / 180
    for (let along = 0; along < length; along++) {
      const turned = angle + (bend * along) / length
      for (let across = -width / 2; across <= width / 2; across++) {
        if (draws.below(100) >= filled) continue
        const row = Math.round(300 + along * Math.cos(turned) - across * Math.sin(turned))
        const column = Math.round(300 + along * Math.sin(turned) + across * Math.cos(turned))
        cells.set(`${row},${column}`, [row, column])
      }
    }
    return [...cells.values()].sort(([r1, c1], [r2, c2]) => r1 - r2 || c1 - c2)
  })
  .filter((cells) => cells.length > 12)

const scratch = createStraightnessScratch(10_000)
const pointsOf = (cells: readonly (readonly [number, number])[]) => ({
  row: Float64Array.from(cells, ([row]) => row),
  column: Float64Array.from(cells, ([, column]) => column),
  n: cells.length,
})

describe('straightness of a seed', () => {
  it.skipIf(!hasSklearn)(`is judged as by scikit-learn's RANSAC, up to its draws${skipped}`, () => {
    const samples = fc.sample(seeds, { numRuns: rounds(10, 80), seed: 8 })
    // Twice with other draws: how far scikit-learn agrees with itself.
    const theirs = ask<number[][]>(
      sklearnProgram,
      samples.map((cells) => ({ x: cells.map(([row]) => row), y: cells.map(([, column]) => -column) })),
    )
    let same = 0
    let clear = 0
    let straight = 0
    samples.forEach((cells, index) => {
      const ours = straightness(pointsOf(cells), 0.95, scratch, createDraws(index))
      const fast = straightness(pointsOf(cells), 0.95, scratch, undefined)
      const decisions = theirs[index]!.map((accuracy) => accuracy > 0.95)
      if (decisions.some((decision) => decision !== decisions[0])) return
      clear++
      if (decisions[0]) straight++
      if (ours > 0.95 === decisions[0] && fast > 0.95 === decisions[0]) same++
    })
    console.log(
      `straightness: ${same} of ${clear} seeds judged as by scikit-learn in both modes (${straight} straight)`,
    )
    expect(straight).toBeGreaterThan(2)
    expect(clear - straight).toBeGreaterThan(2)
    expect(same / clear).toBeGreaterThan(0.93)
  })

  it('is never lost by the early rejection: what it rejects the faithful test rejects, too', () => {
    let rejected = 0
    for (const [index, cells] of fc.sample(seeds, { numRuns: rounds(1500), seed: 2 }).entries()) {
      const points = pointsOf(cells)
      if (canBeStraight(points)) continue
      rejected++
      expect(straightness(points, 0.95, scratch, createDraws(index))).toBeLessThanOrEqual(0.95)
    }
    expect(rejected).toBeGreaterThan(40)
  })
})

const sklearnProgram = `
import json, sys, numpy as np
from sklearn.linear_model import RANSACRegressor
def accuracy(x, y, share, seed):
    limit = {'residual_threshold': 0.1} if np.median(np.abs(y - np.median(y))) == 0 else {}
    try:
        fit = RANSACRegressor(min_samples=share, random_state=seed, **limit).fit(x[:, None], y)
    except ValueError:
        return 0.0
    return float(fit.inlier_mask_.sum() / len(y))
out = []
for s in json.load(sys.stdin):
    x, y = np.array(s['x'], float), np.array(s['y'], float)
    turn = np.sqrt(0.5)
    answers = []
    for seed in range(2):
        a = accuracy(x, y, 0.8, seed)
        if a < 0.95: a = accuracy((x - y) * turn, (x + y) * turn, 0.5, seed)
        answers.append(a)
    out.append(answers)
json.dump(out, sys.stdout)
`
