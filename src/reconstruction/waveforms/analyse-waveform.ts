/**
 * One waveform to numbers, as the reference does it:
 *
 * 1. baseline = mean of the first samples, rounded to 1/1024 count (sums are then exact: a flat top stays flat in
 *    whatever order it is summed); the trace becomes -(y - baseline), so that pulses go up;
 * 2. moving average over a sample and the n-1 after it; the last n-1 samples have none and are 0: the trace moves
 *    earlier by n-1 samples;
 * 3. rms = population standard deviation of the first samples, after smoothing;
 * 4. peaks as scipy.signal.find_peaks finds them (`../kernels/find-peaks.ts`), widths at 50 % and 95 % of the
 *    prominence;
 * 5. time over threshold: begins with the first of some samples in a row above it, ends before the first of some
 *    samples in a row not above it. The interval with the largest area is reported: in 16 us there may be several.
 * 6. integral = sum of the smoothed samples. "Charge" is it times (4/3 ns)/(50 ohm), whatever the digitizer: ADC
 *    counts, not volts, and the wrong time for the slow board. Kept for comparison with the reference only.
 */
import { findPeaks, peakWidth } from '../kernels/find-peaks.ts'
import type { WaveformParameters } from '../waveform-parameters.ts'

export interface OverThreshold {
  /** First sample, and the first after the end. */
  begin: number
  end: number
  /** Sum of the smoothed samples between. */
  area: number
  /** False where the trace ends before the interval does. */
  closed: boolean
}

export interface WaveformMeasures {
  baselineCounts: number
  rmsCounts: number
  maximumCounts: number
  totalIntegralCounts: number
  totalCharge: number
  overThreshold: OverThreshold | undefined
  /** [position, height, width at 50 % of the prominence, width at 95 %] in samples and counts. */
  peaks: [number, number, number, number][]
}

/** How a kind of trace is measured. */
export interface TraceKind {
  baselineSamples: number
  smoothingSamples: number
}

const fullWidthShare = 0.95
const chargePerCount = 4 / 3 / 50

/** Mean of the first samples, see 1. */
export function baselineOf(samples: ArrayLike<number>, count: number): number {
  return Math.round(meanOf(samples, count) * 1024) / 1024
}

function meanOf(samples: ArrayLike<number>, count: number): number {
  const end = Math.min(count, samples.length)
  let sum = 0
  for (let i = 0; i < end; i++) sum += samples[i]!
  return end === 0 ? 0 : sum / end
}

/** The trace above its baseline, pulses up; written to `upright`. */
export function turnUp(samples: ArrayLike<number>, baselineCounts: number, upright: Float64Array): void {
  for (let i = 0; i < upright.length; i++) upright[i] = baselineCounts - samples[i]!
}

/** Moving average of a trace, see 2 above; `smoothed` is overwritten. */
export function smooth(trace: Float64Array, count: number, smoothed: Float64Array): void {
  const whole = trace.length - count + 1
  let sum = 0
  for (let i = 0; i < Math.min(count - 1, trace.length); i++) sum += trace[i]!
  for (let i = 0; i < whole; i++) {
    sum += trace[i + count - 1]!
    smoothed[i] = sum / count
    sum -= trace[i]!
  }
  smoothed.fill(0, Math.max(0, whole))
}

/** Population standard deviation of the first samples. */
export function rmsOf(samples: ArrayLike<number>, count: number): number {
  const end = Math.min(count, samples.length)
  if (end === 0) return 0
  const mean = meanOf(samples, end)
  let squares = 0
  for (let i = 0; i < end; i++) squares += (samples[i]! - mean) ** 2
  return Math.sqrt(squares / end)
}

/**
 * Measures an upright trace (see `turnUp`). `smoothed` is scratch memory of the same length and holds the smoothed
 * trace afterwards.
 */
export function measureTrace(
  upright: Float64Array,
  baselineCounts: number,
  kind: TraceKind,
  parameters: WaveformParameters,
  smoothed: Float64Array,
): WaveformMeasures {
  smooth(upright, kind.smoothingSamples, smoothed)
  const rmsCounts = rmsOf(smoothed, kind.baselineSamples)
  let maximumCounts = smoothed.length === 0 ? 0 : -Infinity
  let totalIntegralCounts = 0
  for (let i = 0; i < smoothed.length; i++) {
    const value = smoothed[i]!
    totalIntegralCounts += value
    if (value > maximumCounts) maximumCounts = value
  }
  const found = findPeaks(smoothed, {
    height: parameters.waveformPeakHeightRms * rmsCounts,
    threshold: parameters.waveformPeakThresholdCounts,
    distance: Math.max(1, parameters.waveformPeakDistanceSamples),
    prominence: parameters.waveformPeakProminenceShare * maximumCounts,
    width: parameters.waveformPeakWidthSamples,
  })
  return {
    baselineCounts,
    rmsCounts,
    maximumCounts,
    totalIntegralCounts,
    totalCharge: totalIntegralCounts * chargePerCount,
    overThreshold: overThresholdOf(smoothed, parameters.overThresholdRms * rmsCounts, kind, parameters),
    peaks: found.map((peak) => [
      peak.position,
      peak.height,
      peak.width,
      peakWidth(smoothed, peak, fullWidthShare).width,
    ]),
  }
}

function overThresholdOf(
  smoothed: Float64Array,
  threshold: number,
  kind: TraceKind,
  { overThresholdRiseSamples: rise, overThresholdFallSamples: fall }: WaveformParameters,
): OverThreshold | undefined {
  let best: OverThreshold | undefined
  // The samples that smoothing filled with zeros are no signal: an interval that reaches them is cut by the window.
  const length = Math.max(0, smoothed.length - kind.smoothingSamples + 1)
  let above = 0
  for (let i = 0; i < length; i++) {
    above = smoothed[i]! > threshold ? above + 1 : 0
    if (above < rise) continue
    const begin = i - rise + 1
    let end = i + 1
    let below = 0
    for (; end < length && below < fall; end++) below = smoothed[end]! > threshold ? 0 : below + 1
    const closed = below === fall
    end -= below
    let area = 0
    for (let at = begin; at < end; at++) area += smoothed[at]!
    if (best === undefined || area > best.area) best = { begin, end, area, closed }
    i = end
    above = 0
  }
  return best
}
