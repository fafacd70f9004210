import { driftMmPerNs } from './detector-model.ts'
import type { LightField } from './light-field.ts'
import type { Random } from './random.ts'
import type { Deposit } from './track.ts'

/** Constants of study 4.7. Photomultipliers 1 to 4 at the corners of the field, looking at the GEM. */
export const tubes = [
  [-142, -142],
  [142, -142],
  [142, 142],
  [-142, 142],
] as const
export const tubeDistanceMm = 190
const tubeRadiusMm = 11
/** Photons per electron of the last GEM times quantum efficiency. */
const photoelectronsPerElectron = 0.07 * 0.194
const transitNs = 17
const transitRmsNs = 0.9 / 2.3548
/** The scintillation fades with a rate of 0.079 per ns. */
const scintillationNs = 1 / 0.079

/** Pulse of one photo-electron: a Gaussian of 0.516 ns and an exponential of 0.658 per ns, gain 0.398e6, on 50 ohm. */
const singleRmsNs = 0.516
const singleDecayNs = 1 / 0.658
export const singleAreaVoltNs = 0.398e6 * 1.602176634e-19 * 50 * 1e9

/** Arrivals and volts are kept in bins of a third of a nanosecond: a quarter of a fast sample, a twelfth of a slow one. */
export const binNs = 1 / 3
/** The slow digitizer sees nothing later than this after the first light. */
const longestNs = 20_000
const paddingNs = 12

export interface TubeLight {
  /** Millivolts of each tube in bins after `startNs`; pulses are positive here. */
  millivolts: Float32Array[]
  photoelectrons: number[]
  /** First bin, relative to the arrival of the first charge at the GEM. */
  startNs: number
  /** When the first charge arrives at the GEM, after the beginning of the track. */
  firstNs: number
}

/** Mean photo-electrons of a tube for one electron of the last GEM at (x, y) from the centre: light through a disc, seen and sent at an angle. */
export function tubeShare(xMm: number, yMm: number, tube: readonly [number, number], stretch = 1): number {
  const square = (xMm - stretch * tube[0]) ** 2 + (yMm - tube[1]) ** 2 + tubeDistanceMm ** 2
  return (photoelectronsPerElectron * tubeRadiusMm ** 2 * tubeDistanceMm ** 2) / (4 * square * square)
}

/**
 * What the photomultipliers give for one track: the charge arrives as the drift and longitudinal diffusion bring it, lights up, fades; photo-electrons
 * are drawn per bin from the expected ones (the same as drawing each), and their pulses follow by one convolution. Undefined without light.
 */
export function lightOnTubes(
  field: LightField,
  deposits: readonly Deposit[],
  electronsOut: Float64Array,
  random: Random,
): TubeLight | undefined {
  const speed = driftMmPerNs(field.model.driftKvPerCm)
  const arrivals = deposits.map((deposit) => (deposit.timeNs ?? 0) + deposit.zMm / speed)
  let [firstNs, lastNs] = [Infinity, -Infinity]
  arrivals.forEach((arrival, i) => {
    if (electronsOut[i] === 0) return
    firstNs = Math.min(firstNs, arrival)
    lastNs = Math.max(lastNs, arrival)
  })
  if (firstNs === Infinity) return undefined
  lastNs = Math.min(lastNs, firstNs + longestNs)
  // Room for the diffusion before and after, for transit, and for eight decay times.
  const spreadNs = (4 * field.diffusion.longitudinalRmsMm(field.model.driftMm)) / speed
  const startNs = -Math.ceil(spreadNs + paddingNs)
  const bins = Math.ceil((lastNs - firstNs - startNs + spreadNs + transitNs + 8 * scintillationNs + paddingNs) / binNs)
  const expected = tubes.map(() => new Float64Array(bins))
  const { pixelMm } = field.model
  const [centreX, centreY] = [(field.planeWidth * pixelMm) / 2, (field.height * pixelMm) / 2]
  const stretch = Math.max(1, field.planeWidth / 2304)
  deposits.forEach((deposit, i) => {
    const count = electronsOut[i] as number
    const centreNs = (arrivals[i] as number) - firstNs + transitNs - startNs
    if (count === 0 || centreNs > bins * binNs) return
    const rmsNs = Math.hypot(field.diffusion.longitudinalRmsMm(deposit.zMm) / speed, transitRmsNs)
    const from = Math.max(0, Math.ceil((centreNs - 4 * rmsNs) / binNs))
    const to = Math.min(bins - 1, Math.floor((centreNs + 4 * rmsNs) / binNs))
    const peak = (count * binNs) / (Math.sqrt(2 * Math.PI) * rmsNs)
    const shares = tubes.map((tube) => tubeShare(deposit.xMm - centreX, deposit.yMm - centreY, tube, stretch))
    addGaussian(expected, shares, from, to, ((from + 0.5) * binNs - centreNs) / rmsNs, binNs / rmsNs, peak)
  })
  const photoelectrons: number[] = []
  const millivolts = expected.map((row) => {
    fade(row, scintillationNs)
    photoelectrons.push(drawn(row, random))
    return pulses(row)
  })
  return { millivolts, photoelectrons, startNs, firstNs }
}

/** Adds shares of a Gaussian to rows, by recursion; `first` and `step` in units of its rms. */
function addGaussian(
  rows: readonly Float64Array[],
  shares: readonly number[],
  from: number,
  to: number,
  first: number,
  step: number,
  peak: number,
): void {
  const [a, b, c, d] = rows as [Float64Array, Float64Array, Float64Array, Float64Array]
  const [p, q, r, s] = shares as [number, number, number, number]
  let value = peak * Math.exp(-0.5 * first * first)
  let ratio = Math.exp(-first * step - 0.5 * step * step)
  const change = Math.exp(-step * step)
  for (let bin = from; bin <= to; bin++) {
    a[bin] = (a[bin] as number) + value * p
    b[bin] = (b[bin] as number) + value * q
    c[bin] = (c[bin] as number) + value * r
    d[bin] = (d[bin] as number) + value * s
    value *= ratio
    ratio *= change
  }
}

/** Convolution with a falling exponential, in place, keeping the sum. */
function fade(row: Float64Array, decayNs: number): void {
  const keep = Math.exp(-binNs / decayNs)
  let state = 0
  for (let i = 0; i < row.length; i++) {
    state = keep * state + (1 - keep) * (row[i] as number)
    row[i] = state
  }
}

function drawn(row: Float64Array, random: Random): number {
  let sum = 0
  for (let i = 0; i < row.length; i++) {
    const mean = row[i] as number
    if (mean < 1e-9) {
      row[i] = 0
      continue
    }
    const count = random.poisson(mean)
    row[i] = count
    sum += count
  }
  return sum
}

const gaussianTaps = (() => {
  const reach = Math.ceil((4 * singleRmsNs) / binNs)
  const taps = Array.from({ length: 2 * reach + 1 }, (_, i) =>
    Math.exp(-0.5 * (((i - reach) * binNs) / singleRmsNs) ** 2),
  )
  const sum = taps.reduce((total, tap) => total + tap, 0)
  return { reach, taps: taps.map((tap) => tap / sum) }
})()

/** Photo-electrons per bin to millivolts: the exponential part as a recursion, the Gaussian part with 15 taps. */
function pulses(row: Float64Array): Float32Array {
  fade(row, singleDecayNs)
  const { reach, taps } = gaussianTaps
  const scale = (1000 * singleAreaVoltNs) / binNs
  const result = new Float32Array(row.length)
  for (let i = 0; i < row.length; i++) {
    const value = (row[i] as number) * scale
    if (value < 1e-9) continue
    for (let k = 0; k < taps.length; k++) {
      const to = i + k - reach
      if (to >= 0 && to < result.length) result[to] = (result[to] as number) + value * (taps[k] as number)
    }
  }
  return result
}
