import { spawnSync } from 'node:child_process'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { rounds } from '../../foundation/testing.ts'
import { completeParameters } from '../parameters.ts'
import { beginProfile, createProfileSlices, growBins, lastPeak, profileRms } from './cluster-profiles.ts'
import { fitGaussian } from './gaussian-fit.ts'
import { createDraws } from './seeded-random.ts'

function slicesOf(pixels: readonly number[], counts: readonly number[]) {
  const slices = createProfileSlices()
  beginProfile(slices, pixels.length - 1)
  slices.pixels.set(pixels)
  slices.counts.set(counts)
  return slices
}

describe('profiles', () => {
  it('grow their bins as the reference does, and keep all light', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 30 }), fc.integer({ min: -50, max: 500 })), {
          minLength: 1,
          maxLength: 300,
        }),
        fc.constantFrom(0.2, 0.3),
        (slices, error) => {
          const profile = growBins(
            slicesOf(
              slices.map(([pixels]) => pixels),
              slices.map(([, counts]) => counts),
            ),
            error,
          )
          // The rule with its order of questions: a slice that finds the bin full begins the next one uncounted.
          const edges: number[] = []
          let held = 0
          slices.forEach(([pixels], x) => {
            if (held < 1 / error / error) held += pixels
            else {
              edges.push(x)
              held = 0
            }
          })
          expect([...profile.ends]).toEqual([...edges, slices.length])
          const total = slices.reduce((sum, [, counts]) => sum + counts, 0)
          expect(profile.contents.reduce((sum, content) => sum + content, 0)).toBeCloseTo(total, 6)
        },
      ),
    )
  })

  it('give the rms of their pixels and the peak farthest along', () => {
    const counts = Array.from({ length: 60 }, (_, x) =>
      Math.round(200 * Math.exp(-0.5 * ((x - 15) / 3) ** 2) + 90 * Math.exp(-0.5 * ((x - 45) / 3) ** 2)),
    )
    const profile = growBins(slicesOf(new Array<number>(60).fill(30), counts), 0.2)
    const peak = lastPeak(profile, completeParameters({}))
    expect(peak.meanPx).toBeGreaterThan(43)
    expect(peak.meanPx).toBeLessThan(47)
    expect(peak.fwhmPx).toBeGreaterThan(6)
    expect(peak.fwhmPx).toBeLessThan(9)
    expect(lastPeak(growBins(slicesOf([30], [100]), 0.2), completeParameters({})).meanPx).toBe(-999)
    expect(profileRms({ z: 4, zu: 20, zuu: 109 })).toEqual({ mean: 5, rms: 1.5 })
    expect(profileRms({ z: 0, zu: 1, zuu: 1 }).rms).toBe(-1)
  })
})

const python = process.env.CYGNET_TEST_PYTHON
const hasScipy = python !== undefined && spawnSync(python, ['-c', 'import scipy.optimize']).status === 0

describe('Gaussian fit', () => {
  /** Noisy Gaussians on a pedestal, in bins of uneven width, with the mean and rms a profile would have. */
  const samples = Array.from({ length: rounds(60) }, (_, seed) => {
    const draws = createDraws(seed)
    const bins = 6 + draws.below(60)
    const amplitude = 50 + draws.below(3000)
    const mean = bins * (0.3 + draws.below(1000) / 2500)
    const sigma = bins * (0.05 + draws.below(1000) / 6000)
    const centres = Float64Array.from({ length: bins }, (_, bin) => bin + 0.5 + (bin > bins / 2 ? 1 : 0))
    const contents = centres.map((x) => {
      const expected = amplitude * Math.exp(-0.5 * ((x - mean) / sigma) ** 2)
      return Math.round(expected + (draws.below(2001) / 1000 - 1) * 2 * Math.sqrt(expected + 10))
    })
    let z = 0
    let zu = 0
    let zuu = 0
    contents.forEach((content, bin) => {
      z += content
      zu += content * centres[bin]!
      zuu += content * centres[bin]! ** 2
    })
    return { centres, contents, bins, ...profileRms({ z, zu, zuu }) }
  })

  it.skipIf(!hasScipy)(
    `finds the minimum that scipy finds${hasScipy ? '' : ' (SKIPPED: CYGNET_TEST_PYTHON names no Python with scipy)'}`,
    () => {
      const run = spawnSync(python!, ['-c', program], {
        input: JSON.stringify(
          samples.map(({ centres, contents, mean, rms }) => ({ x: [...centres], y: [...contents], mean, rms })),
        ),
        maxBuffer: 1 << 28,
      })
      expect(run.status, run.stderr.toString()).toBe(0)
      const expected = JSON.parse(run.stdout.toString()) as [number, number, number, number][]
      samples.forEach(({ centres, contents, bins, mean, rms }, index) => {
        const fit = fitGaussian(centres, contents, bins, mean, rms)
        const [amplitude, theirMean, sigma, chi2] = expected[index]!
        expect(fit.status).toBe(3)
        expect(fit.chi2).toBeLessThan(chi2 * (1 + 1e-4) + 1e-6)
        // Where both are in the same minimum, so are the parameters.
        if (fit.chi2 < chi2 * (1 - 1e-3)) return
        expect(Math.abs(fit.amplitude - amplitude)).toBeLessThan(1e-2 * Math.abs(amplitude))
        expect(Math.abs(fit.mean - theirMean)).toBeLessThan(1e-2 * rms)
        expect(Math.abs(fit.sigma - sigma)).toBeLessThan(1e-2 * rms)
      })
    },
  )

  it('keeps to its limits and says when there is nothing to fit', () => {
    const centres = Float64Array.from({ length: 20 }, (_, bin) => bin + 0.5)
    const flat = new Float64Array(20).fill(100)
    const fit = fitGaussian(centres, flat, 20, 10, 2)
    expect(fit.sigma).toBeCloseTo(3, 6)
    expect(fitGaussian(centres, new Float64Array(20), 20, 10, 2)).toMatchObject({ chi2: 999, status: -1, sigma: -999 })
    expect(fitGaussian(centres, flat, 20, 10, 0).status).toBe(-1)
    expect(fitGaussian(centres, flat, 2, 1, 0.5).status).toBe(-1)
  })
})

const program = `
import json, sys, warnings
import numpy as np
from scipy.optimize import curve_fit
warnings.simplefilter('ignore')
def gauss(x, a, m, s): return a * np.exp(-0.5 * ((x - m) / s) ** 2)
out = []
for c in json.load(sys.stdin):
    x, y, m, r = np.array(c['x']), np.array(c['y'], float), c['mean'], c['rms']
    use = (y != 0) & (np.abs(x - m) <= 5 * r)
    x, y = x[use], y[use]
    e = np.sqrt(np.abs(y))
    p, _ = curve_fit(gauss, x, y, p0=[y.max(), m, r], sigma=e, bounds=([-np.inf, m - r, 0.5 * r], [np.inf, m + r, 1.5 * r]), max_nfev=20000, ftol=1e-14, xtol=1e-14, gtol=1e-14)
    out.append([*p.tolist(), float((((y - gauss(x, *p)) / e) ** 2).sum())])
json.dump(out, sys.stdout)
`
