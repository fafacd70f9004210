import { expect, test } from 'vitest'
import {
  adjustedRandIndex,
  betaShare,
  clopperPearson,
  crossing,
  gammaShare,
  gaussianCore,
  lineFit,
  medianOf,
  momentsOf,
  normalShare,
  poissonRate,
  wilson,
} from './statistics.ts'

// Reference values: scipy 1.x (special.betainc, special.gammainc, stats.binomtest, stats.chi2, stats.norm), numpy
// polyfit and scikit-learn's adjusted_rand_score.
test('special functions give the values of scipy', () => {
  expect(betaShare(3, 5, 0.4)).toBeCloseTo(0.580096, 8)
  expect(betaShare(0.5, 20, 0.01)).toBeCloseTo(0.4713699354850154, 8)
  expect(betaShare(200, 30, 0.9)).toBeCloseTo(0.9231109018409299, 8)
  expect(gammaShare(0.5, 1.3)).toBeCloseTo(0.8931362850066209, 8)
  expect(gammaShare(30, 20)).toBeCloseTo(0.021818217525557418, 8)
  expect(gammaShare(30, 45)).toBeCloseTo(0.9926628007022035, 8)
  expect(normalShare(-1.7)).toBeCloseTo(0.04456546275854304, 8)
  expect(normalShare(2.3)).toBeCloseTo(0.9892758899783242, 8)
})

test.each([
  [0, 10, 0, 0.16814918613797641, 0, 0.09090909090909091],
  [3, 10, 0.1416719011076552, 0.5082624819902666, 0.17882082075676461, 0.4575428156068717],
  [10, 10, 0.8318508138620235, 1, 0.9090909090909092, 1],
  [190, 200, 0.9294289499582478, 0.9653584125643735, 0.9322263731383124, 0.963296014921389],
  [1999, 2000, 0.9983511848598323, 0.9999136268408608, 0.9986917489457336, 0.9998090006794538],
])('intervals of %i out of %i', (k, n, low, high, wilsonLow, wilsonHigh) => {
  const exact = clopperPearson(k, n)
  expect([exact.low, exact.high]).toEqual([expect.closeTo(low, 8), expect.closeTo(high, 8)])
  const score = wilson(k, n)
  expect([score.low, score.high]).toEqual([expect.closeTo(wilsonLow, 8), expect.closeTo(wilsonHigh, 8)])
})

test.each([
  [0, 0, 1.841021645009264],
  [1, 0.1727537790234499, 3.2995265591158565],
  [7, 4.418529543933735, 10.770280720434087],
  [400, 380.00835240047536, 421.0166794034528],
])('interval of a Poisson count of %i', (count, low, high) => {
  const rate = poissonRate(count, 1)
  expect([rate.low, rate.high]).toEqual([expect.closeTo(low, 6), expect.closeTo(high, 6)])
  expect(poissonRate(count, 4).high).toBeCloseTo(high / 4, 6)
})

test('nothing measured is nothing, not zero', () => {
  expect(wilson(0, 0)).toEqual({ value: null, low: null, high: null, entries: 0 })
  expect(clopperPearson(0, 0).value).toBeNull()
  expect(poissonRate(3, 0).value).toBeNull()
  expect(medianOf([]).value).toBeNull()
  expect(momentsOf([]).mean).toBeNaN()
})

test('a weighted line has the slope and errors of numpy', () => {
  const [x, y, error] = [
    [1, 2, 3, 5],
    [2.1, 3.9, 6.2, 9.8],
    [0.1, 0.2, 0.1, 0.3],
  ]
  const fit = lineFit(x!.map((value, index) => ({ x: value, y: y![index]!, error: error![index]! })))
  expect(fit.slope).toBeCloseTo(1.99920319, 7)
  expect(fit.intercept).toBeCloseTo(0.10876494, 7)
  expect(fit.slopeError).toBeCloseTo(0.05819325, 7)
  expect(fit.interceptError).toBeCloseTo(0.14057367, 7)
})

test('the Gaussian core of a contaminated peak is the peak, with an honest error', () => {
  // Normal quantiles: a sample without luck in it; and one in five entries far away.
  const peak = Array.from({ length: 800 }, (_, index) => 5000 + 400 * normalQuantile((index + 0.5) / 800))
  const tail = Array.from({ length: 160 }, (_, index) => 500 + index * 15)
  const fit = gaussianCore([...peak, ...tail])!
  expect(Math.abs(fit.mean - 5000)).toBeLessThan(25)
  expect(Math.abs(fit.sigma - 400)).toBeLessThan(25)
  expect(fit.meanError).toBeGreaterThan(400 / Math.sqrt(800))
  expect(fit.meanError).toBeLessThan(3 * (400 / Math.sqrt(800)))
  expect(fit.sigmaError).toBeGreaterThan(8)
  expect(fit.sigmaError).toBeLessThan(40)
  expect(gaussianCore(peak.slice(0, 10))).toBeUndefined()
  expect(gaussianCore(Array.from({ length: 100 }, () => 7))).toBeUndefined()
})

test('moments, medians, thresholds and labels', () => {
  expect(momentsOf([1, 2, 3, 4])).toMatchObject({ mean: 2.5, sigma: expect.closeTo(1.2909944487358056, 10) })
  expect(medianOf([5, 1, 3]).value).toBe(3)
  const curve = [0.5, 1, 2, 4].map((x, index) => ({ x, efficiency: wilson([0, 20, 80, 100][index]!, 100) }))
  const half = crossing(curve, 0.5)!
  expect(half.value).toBeCloseTo(Math.SQRT2, 6)
  expect(half.low!).toBeLessThan(half.value!)
  expect(half.high!).toBeGreaterThan(half.value!)
  expect(crossing(curve.slice(0, 2), 0.9)).toBeUndefined()
  expect(adjustedRandIndex([0, 0, 1, 1, 2, 2, -1], [0, 0, 1, 2, 2, 2, -1])).toBeCloseTo(0.4878048780487805, 12)
  expect(adjustedRandIndex([0, 0, 1], [5, 5, 3])).toBe(1)
})

/** Newton on normalShare: good enough to make the sample above. */
function normalQuantile(share: number): number {
  let z = 0
  for (let step = 0; step < 80; step++) z -= ((normalShare(z) - share) / Math.max(0.05, Math.exp((-z * z) / 2))) * 1.5
  return z
}
