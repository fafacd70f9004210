import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'
import type { FilledHistogram } from '../results-contract.ts'
import { seededRandom } from './histogram.ts'
import { chi2Probability } from './matrix.ts'
import { fitPeak } from './peak-fit.ts'

/** Poisson numbers around a model, by inversion (small means) or a rounded Gaussian. */
function thrown(model: (x: number) => number, seed: number, low = 4000, high = 18_000, bins = 60): FilledHistogram {
  const random = seededRandom(seed)
  const width = (high - low) / bins
  const counts = Array.from({ length: bins }, (_, bin) => {
    const mean = model(low + (bin + 0.5) * width)
    if (mean > 50) {
      const gauss = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
      return Math.max(0, Math.round(mean + Math.sqrt(mean) * gauss))
    }
    let count = 0
    for (let left = Math.exp(-mean), product = random(); product > left; count++) product *= random()
    return count
  })
  const quantity = { quantity: 'integralCounts', unit: 'counts', underflow: 0, overflow: 0, invalid: 0 }
  return { ...quantity, low, high, counts, mean: null, rms: null }
}
const peak = (amplitude: number, mean: number, sigma: number, background: number, slope: number) => (x: number) =>
  amplitude * Math.exp(-0.5 * ((x - mean) / sigma) ** 2) + background * Math.exp(-slope * (x - 4000))

test('constructed peaks are found within their errors', () => {
  const pulls: number[] = []
  for (let seed = 1; seed <= 40; seed++) {
    const fit = fitPeak(thrown(peak(200, 9000, 1100, 80, 2e-4), seed), 'iron')
    expect(fit.state, `seed ${seed}: ${fit.reason}`).toBe('ok')
    expect(fit.model).toBe('gaussian+exponential')
    const truth = [200, 9000, 1100, 80, 2e-4]
    // Centre and width: heights are biased low by errors taken from the counts, as with curve_fit.
    for (const index of [1, 2]) {
      const { value, error } = fit.parameters[index]!
      pulls.push((value - truth[index]!) / error)
    }
    expect(fit.ndf).toBe(55)
    expect(fit.residuals).toHaveLength(60)
    expect(fit.resolution!.value).toBeCloseTo(fit.parameters[2]!.value / fit.parameters[1]!.value, 12)
  }
  const mean = pulls.reduce((sum, pull) => sum + pull, 0) / pulls.length
  const spread = Math.sqrt(pulls.reduce((sum, pull) => sum + (pull - mean) ** 2, 0) / pulls.length)
  expect(Math.abs(mean)).toBeLessThan(0.35)
  expect(spread).toBeGreaterThan(0.8)
  expect(spread).toBeLessThan(1.3)
})

test('without a background a Gaussian alone is taken', () => {
  const fit = fitPeak(thrown(peak(150, 10_000, 1300, 0, 0), 3), 'iron')
  expect(fit).toMatchObject({ state: 'ok', model: 'gaussian' })
  expect(Math.abs(fit.parameters[1]!.value - 10_000)).toBeLessThan(5 * fit.parameters[1]!.error)
})

test('low statistics, no peak and a peak outside are said aloud', () => {
  expect(fitPeak(thrown(peak(0.5, 9000, 1000, 0, 0), 1), 'iron')).toMatchObject({
    state: 'failed',
    reason: expect.stringMatching(/^only \d+ entries between 4000 and 18000 counts; a fit needs at least 50$/),
    parameters: [],
  })
  const flat = fitPeak(
    thrown(() => 20, 2),
    'iron',
  )
  expect(flat).toMatchObject({ state: 'failed', reason: expect.stringMatching(/^no /) })
  const falling = fitPeak(thrown(peak(0, 1, 1, 300, 3e-4), 4), 'iron')
  expect(falling).toMatchObject({ state: 'failed', reason: expect.stringMatching(/^no /) })
  const spike = thrown(() => 0, 5)
  spike.counts[30] = 500
  expect(fitPeak(spike, 'iron')).toMatchObject({ state: 'failed', reason: expect.stringMatching(/only 1 bins/) })
  const empty = { ...spike, counts: spike.counts.map(() => 0) }
  expect(fitPeak(empty, 'gaussian').reason).toMatch(/only 0 entries/)
})

test('two peaks are described badly by one, and the fit says so', () => {
  const both = (x: number) => peak(400, 7500, 500, 20, 1e-4)(x) + peak(400, 13_000, 500, 0, 0)(x)
  const fit = fitPeak(thrown(both, 7), 'gaussian')
  expect(['poor', 'failed']).toContain(fit.state)
  expect(fit.reason).not.toBeNull()
})

test('chi2 probabilities are those of the tables', () => {
  expect(chi2Probability(3.841458820694124, 1)).toBeCloseTo(0.05, 10)
  expect(chi2Probability(18.307038053275146, 10)).toBeCloseTo(0.05, 10)
  expect(chi2Probability(55, 55)).toBeCloseTo(0.4748, 3)
  expect(chi2Probability(0, 3)).toBe(1)
})

const python = process.env.CYGNET_TEST_PYTHON
test.skipIf(python === undefined)(
  'scipy.optimize.curve_fit gives the same numbers [needs CYGNET_TEST_PYTHON with scipy]',
  () => {
    const histograms = [11, 12, 13].map((seed) =>
      thrown(peak(60 * (seed - 10), 8000 + 300 * seed, 900, 40, 3e-4), seed),
    )
    const fits = histograms.map((histogram) => fitPeak(histogram, 'iron'))
    const code = `
import json, sys, numpy as np
from scipy.optimize import curve_fit
out = []
for h, start in json.load(sys.stdin):
    n = np.array(h["counts"], float); width = (h["high"] - h["low"]) / len(n)
    x = h["low"] + (np.arange(len(n)) + 0.5) * width
    def model(x, a, m, s, b, k): return a * np.exp(-0.5 * ((x - m) / s) ** 2) + b * np.exp(-k * (x - h["low"]))
    p, c = curve_fit(model, x, n, p0=start, sigma=np.sqrt(np.maximum(n, 1)), absolute_sigma=True, maxfev=20000, ftol=1e-12, xtol=1e-12)
    r = (n - model(x, *p)) / np.sqrt(np.maximum(n, 1))
    out.append({"p": p.tolist(), "e": np.sqrt(np.diag(c)).tolist(), "chi2": float((r ** 2).sum())})
print(json.dumps(out))`
    const input = JSON.stringify(
      histograms.map((histogram, index) => [histogram, fits[index]!.parameters.map(({ value }) => value * 1.05)]),
    )
    const theirs = JSON.parse(execFileSync(python!, ['-c', code], { input, encoding: 'utf8' })) as {
      p: number[]
      e: number[]
      chi2: number
    }[]
    theirs.forEach(({ p, e, chi2 }, index) => {
      const fit = fits[index]!
      expect(fit.state, fit.reason ?? '').toBe('ok')
      expect(Math.abs(fit.chi2! - chi2)).toBeLessThan(1e-6 * chi2)
      fit.parameters.forEach(({ value, error, name }, at) => {
        expect(Math.abs(value - p[at]!), name).toBeLessThan(1e-3 * e[at]!)
        expect(Math.abs(error / e[at]! - 1), name).toBeLessThan(1e-3)
      })
    })
  },
)
