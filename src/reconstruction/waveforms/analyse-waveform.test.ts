import { spawnSync } from 'node:child_process'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { rounds } from '../../foundation/testing.ts'
import { defaultWaveformParameters } from '../waveform-parameters.ts'
import { baselineOf, measureTrace, smooth, turnUp } from './analyse-waveform.ts'
import type { TraceKind, WaveformMeasures } from './analyse-waveform.ts'

interface Shape {
  fast: boolean
  smoothing: number
  baseline: number
  noise: number
  seed: number
  pulses: { start: number; height: number; decay: number }[]
}

/** Integer samples as a digitizer gives them: noise of a repeatable kind and pulses downwards, clipped at the range. */
function samplesOf({ fast, baseline, noise, seed, pulses }: Shape): Uint16Array {
  let state = seed
  const uniform = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
  return Uint16Array.from({ length: fast ? 1024 : 4000 }, (_, i) => {
    let level = baseline + noise * (uniform() + uniform() + uniform() - 1.5) * 2
    for (const { start, height, decay } of pulses)
      if (i >= start) level -= height * (1 - Math.exp(-(i - start) / 4)) * Math.exp(-(i - start) / decay)
    return Math.max(0, Math.min(4095, Math.round(level)))
  })
}

const shapes: fc.Arbitrary<Shape> = fc.record({
  fast: fc.boolean(),
  smoothing: fc.constantFrom(5, 10),
  baseline: fc.integer({ min: 2000, max: 3900 }),
  noise: fc.constantFrom(0.4, 1.3, 2.5),
  seed: fc.nat(1e9),
  pulses: fc.array(
    fc.record({
      start: fc.integer({ min: 410, max: 1020 }),
      height: fc.integer({ min: 5, max: 3000 }),
      decay: fc.integer({ min: 3, max: 200 }),
    }),
    { maxLength: 4 },
  ),
})

const kindOf = ({ fast, smoothing }: Shape): TraceKind => ({
  baselineSamples: fast ? 100 : 400,
  smoothingSamples: smoothing,
})

function measured(shape: Shape): WaveformMeasures {
  const samples = samplesOf(shape)
  const kind = kindOf(shape)
  const upright = new Float64Array(samples.length)
  const baseline = baselineOf(samples, kind.baselineSamples)
  turnUp(samples, baseline, upright)
  return measureTrace(upright, baseline, kind, defaultWaveformParameters, new Float64Array(samples.length))
}

/** The algorithm as the reference is documented to do it, with NumPy and SciPy. */
const program = `
import json, sys, warnings
import numpy as np
from scipy.signal import find_peaks, peak_widths
warnings.simplefilter('ignore')
answers = []
for case in json.load(sys.stdin):
    y = np.array(case['samples'], dtype=np.float64)
    nb, n = case['baselineSamples'], case['smoothing']
    base = np.floor(y[:nb].mean() * 1024 + 0.5) / 1024
    w = -(y - base)
    s = np.concatenate([np.convolve(w, np.ones(n), mode='valid') / n, np.zeros(n - 1)])
    rms = s[:nb].std()
    p, _ = find_peaks(s, height=5 * rms, threshold=0, distance=1, prominence=s.max() / 4, width=5)
    half, full = peak_widths(s, p, rel_height=0.5)[0], peak_widths(s, p, rel_height=0.95)[0]
    above = s[:len(s) - n + 1] > 5 * rms
    intervals, i = [], 0
    while i + 10 <= len(above):
        if not above[i:i + 10].all():
            i += 1
            continue
        end = i + 10
        while end < len(above) and above[end:end + 5].any():
            end += 1
        while not above[end - 1]:
            end -= 1
        intervals.append((i, end, float(s[i:end].sum())))
        i = end
    best = max(intervals, key=lambda one: one[2]) if intervals else None
    answers.append(dict(baseline=base, rms=rms, maximum=s.max(), integral=s.sum(), charge=s.sum() * (4 / 3) / 50,
        peaks=[[int(a), float(s[a]), float(b), float(c)] for a, b, c in zip(p, half, full)], over=best))
json.dump(answers, sys.stdout)
`

describe('measureTrace', () => {
  const python = process.env.CYGNET_TEST_PYTHON
  const hasScipy = python !== undefined && spawnSync(python, ['-c', 'import scipy.signal']).status === 0
  it.skipIf(!hasScipy)(
    `gives the numbers of NumPy and SciPy${hasScipy ? '' : ' (SKIPPED: CYGNET_TEST_PYTHON names no Python with scipy)'}`,
    () => {
      const sample = fc.sample(shapes, { numRuns: rounds(120), seed: 8 })
      const input = sample.map((shape) => ({
        samples: [...samplesOf(shape)],
        baselineSamples: kindOf(shape).baselineSamples,
        smoothing: shape.smoothing,
      }))
      const { stdout, stderr } = spawnSync(python!, ['-c', program], {
        input: JSON.stringify(input),
        encoding: 'utf8',
        maxBuffer: 1 << 28,
      })
      if (stdout === '') throw new Error(stderr)
      interface Answer {
        baseline: number
        rms: number
        maximum: number
        integral: number
        charge: number
        peaks: number[][]
        over: [number, number, number] | null
      }
      const answers = JSON.parse(stdout) as Answer[]
      let peaks = 0
      let over = 0
      sample.forEach((shape, index) => {
        const is = measured(shape)
        const should = answers[index]!
        expect(is.baselineCounts).toBe(should.baseline)
        expect(is.rmsCounts).toBeCloseTo(should.rms, 9)
        expect(is.maximumCounts).toBe(should.maximum)
        expect(is.totalIntegralCounts).toBeCloseTo(should.integral, 5)
        expect(is.totalCharge).toBeCloseTo(should.charge, 5)
        expect(is.peaks.map(([position]) => position)).toEqual(should.peaks.map(([position]) => position))
        is.peaks.flat().forEach((value, at) => expect(value).toBeCloseTo(should.peaks.flat()[at]!, 9))
        expect(is.overThreshold && [is.overThreshold.begin, is.overThreshold.end]).toEqual(should.over?.slice(0, 2))
        if (is.overThreshold) expect(is.overThreshold.area).toBeCloseTo(should.over![2], 5)
        peaks += is.peaks.length
        if (is.overThreshold) over++
      })
      expect(peaks).toBeGreaterThan(60)
      expect(over).toBeGreaterThan(60)
    },
    30_000,
  )

  it('smooths over a sample and those after it, and leaves zeros at the end', () => {
    const smoothed = new Float64Array(6)
    smooth(Float64Array.of(0, 3, 6, 0, 0, 9), 3, smoothed)
    expect([...smoothed]).toEqual([3, 3, 2, 3, 0, 0])
    smooth(Float64Array.of(1, 2), 5, smoothed.subarray(0, 2))
    expect([...smoothed.subarray(0, 2)]).toEqual([0, 0])
  })

  it('finds nothing in noise, and says when the window ends before the pulse', () => {
    const quiet = { fast: true, smoothing: 5, baseline: 3840, noise: 2.5, seed: 5, pulses: [] }
    expect(measured(quiet)).toMatchObject({ overThreshold: undefined, peaks: [] })
    const late = measured({ ...quiet, pulses: [{ start: 900, height: 2000, decay: 200 }] })
    expect(late.overThreshold).toMatchObject({ closed: false, end: 1020 })
    const early = measured({ ...quiet, pulses: [{ start: 300, height: 900, decay: 20 }] })
    expect(early.overThreshold!.closed).toBe(true)
    expect(early.peaks.length).toBe(1)
    expect(early.peaks[0]![0]).toBeGreaterThan(295)
    expect(early.peaks[0]![0]).toBeLessThan(312)
  })

  it('takes the interval with the largest area of several', () => {
    const two = measured({
      fast: false,
      smoothing: 5,
      baseline: 2100,
      noise: 1.3,
      seed: 7,
      pulses: [
        { start: 500, height: 100, decay: 20 },
        { start: 1000, height: 900, decay: 40 },
      ],
    })
    expect(two.overThreshold!.begin).toBeGreaterThan(990)
    expect(two.peaks.length).toBe(1)
  })
})
