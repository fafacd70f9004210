import { spawnSync } from 'node:child_process'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { rounds } from '../../foundation/testing.ts'
import { findPeaks, peakWidth } from './find-peaks.ts'
import type { Limits, PeakConditions } from './find-peaks.ts'

interface Case {
  signal: number[]
  conditions: PeakConditions
  secondHeight: number
}

const limits = (value: fc.Arbitrary<number>): fc.Arbitrary<Limits | undefined> => {
  const end = fc.option(value, { nil: undefined })
  const pair: fc.Arbitrary<Limits> = fc.tuple(end, end)
  return fc.oneof({ weight: 4, arbitrary: fc.constant(undefined) }, value, pair)
}

/**
 * Signals with flat tops and equal heights (integers) and without (reals). The distance is only asked for where no
 * two tops are equally high: SciPy leaves the order of equal ones to an unstable sort.
 */
const cases: fc.Arbitrary<Case> = fc
  .record({
    integers: fc.boolean(),
    levels: fc.array(fc.integer({ min: -6, max: 9 }), { maxLength: 60 }),
    seed: fc.integer({ min: 1, max: 1_000_000 }),
    height: limits(fc.integer({ min: -4, max: 8 })),
    threshold: limits(fc.integer({ min: 0, max: 4 })),
    distance: fc.option(fc.double({ min: 1, max: 12, noNaN: true }), { nil: undefined }),
    prominence: limits(fc.integer({ min: 0, max: 8 })),
    width: limits(fc.double({ min: 0, max: 8, noNaN: true })),
    plateauSize: limits(fc.integer({ min: 0, max: 3 })),
    windowSamples: fc.option(fc.double({ min: 1.5, max: 30, noNaN: true }), { nil: undefined }),
    relativeHeight: fc.constantFrom(undefined, 0, 0.3, 0.5, 0.95, 1),
    secondHeight: fc.constantFrom(0.1, 0.5, 0.95, 1),
  })
  .map(({ integers, levels, seed, distance, secondHeight, ...conditions }) => ({
    signal: integers ? levels : levels.map((level, at) => level + Math.sin(seed * (at + 1)) * 1.7),
    conditions: { ...conditions, ...(integers ? {} : { distance }) } as PeakConditions,
    secondHeight,
  }))

const program = `
import json, sys, warnings
import numpy as np
from scipy.signal import find_peaks, peak_widths
warnings.simplefilter('ignore')
def limits(v):
    return None if v is None else (tuple(v) if isinstance(v, list) else v)
answers = []
for case in json.load(sys.stdin):
    c = case['conditions']
    x = np.array(case['signal'], dtype=np.float64)
    half = c.get('relativeHeight')
    width = limits(c.get('width'))
    p, q = find_peaks(x, height=limits(c.get('height')), threshold=limits(c.get('threshold')), distance=c.get('distance'),
        prominence=(None, None) if limits(c.get('prominence')) is None else limits(c.get('prominence')),
        width=(None, None) if width is None else width, wlen=c.get('windowSamples'),
        rel_height=0.5 if half is None else half, plateau_size=limits(c.get('plateauSize')))
    second = peak_widths(x, p, rel_height=case['secondHeight'],
        prominence_data=(q['prominences'], q['left_bases'], q['right_bases']))
    answers.append([[int(p[i]), float(x[p[i]]), float(q['prominences'][i]), int(q['left_bases'][i]), int(q['right_bases'][i]),
        float(q['widths'][i]), float(q['width_heights'][i]), float(q['left_ips'][i]), float(q['right_ips'][i]),
        *[float(s[i]) for s in second]] for i in range(len(p))])
json.dump(answers, sys.stdout)
`

describe('findPeaks', () => {
  const python = process.env.CYGNET_TEST_PYTHON
  const hasScipy = python !== undefined && spawnSync(python, ['-c', 'import scipy.signal']).status === 0
  it.skipIf(!hasScipy)(
    `finds what scipy finds, number for number${hasScipy ? '' : ' (SKIPPED: CYGNET_TEST_PYTHON names no Python with scipy)'}`,
    () => {
      const sample = fc.sample(cases, { numRuns: rounds(1500), seed: 3 })
      const { stdout, stderr } = spawnSync(python!, ['-c', program], {
        input: JSON.stringify(sample),
        encoding: 'utf8',
        maxBuffer: 1 << 28,
      })
      if (stdout === '') throw new Error(stderr)
      const answers = JSON.parse(stdout) as number[][][]
      let peaks = 0
      sample.forEach(({ signal, conditions, secondHeight }, index) => {
        const found = findPeaks(signal, conditions).map((peak) => {
          const second = peakWidth(signal, peak, secondHeight)
          return [
            peak.position,
            peak.height,
            peak.prominence,
            peak.leftBase,
            peak.rightBase,
            peak.width,
            peak.widthLevel,
            peak.leftCrossing,
            peak.rightCrossing,
            second.width,
            second.level,
            second.leftCrossing,
            second.rightCrossing,
          ]
        })
        // -0 and 0 are the same number.
        const plain = (rows: number[][]) => rows.map((row) => row.map((value) => value + 0))
        expect(plain(found), JSON.stringify({ signal, conditions })).toEqual(plain(answers[index]!))
        peaks += found.length
      })
      expect(peaks).toBeGreaterThan(500)
    },
  )

  it('takes the middle of a flat top and needs lower samples on both sides', () => {
    expect(findPeaks([0, 2, 2, 2, 2, 1, 5, 5]).map(({ position }) => position)).toEqual([2])
    expect(findPeaks([3, 1, 2]).length).toBe(0)
    expect(findPeaks([]).length).toBe(0)
  })

  it('keeps the last of equally high tops that stand too near', () => {
    expect(findPeaks([0, 4, 0, 4, 0, 3, 0, 0, 1, 0], { distance: 3 }).map(({ position }) => position)).toEqual([3, 8])
  })

  it('refuses arguments that mean nothing', () => {
    expect(() => findPeaks([0, 1, 0], { distance: 0.5 })).toThrow(RangeError)
    expect(() => findPeaks([0, 1, 0], { windowSamples: 1 })).toThrow(RangeError)
    expect(() => findPeaks([0, 1, 0], { relativeHeight: -1 })).toThrow(RangeError)
  })
})
