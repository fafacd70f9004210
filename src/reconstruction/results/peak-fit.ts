/**
 * The 55Fe peak: Gaussian + exponential by Levenberg-Marquardt on a chi2 with Poisson errors (an empty bin counts as
 * one), as people do it in notebooks with scipy's curve_fit; covariance = inverse of J^T W J at the minimum, not scaled.
 * Errors taken from the counts pull heights low where bins are nearly empty; centre and width hardly move.
 * Model at a bin's centre x: A exp(-(x-m)²/2s²) + B exp(-k (x-low)).
 */
import type { FilledHistogram, FitKind, PeakFit } from '../results-contract.ts'
import { chi2Probability, invertSymmetric, times } from './matrix.ts'

/** Below this a fit is refused: it would fit noise. */
const leastEntries = 50
const leastFilledBins = 8
/** A peak is claimed from this many standard errors of its amplitude on. */
const leastSignificance = 3
/** By how much a peak must describe the data better than a falling line does: chance makes bumps. */
const leastGain = 25
const poorProbability = 1e-4

interface Data {
  x: number[]
  counts: number[]
  errors: number[]
  low: number
  width: number
}
interface Minimum {
  parameters: number[]
  covariance: number[][]
  chi2: number
}

/** Fits the whole range of the histogram. `iron` has a background, `gaussian` has none. Never throws: it says why not. */
export function fitPeak(histogram: FilledHistogram, kind: Exclude<FitKind, 'none'>): PeakFit {
  const { low, high, counts, unit } = histogram
  const width = (high - low) / counts.length
  const entries = counts.reduce((sum, count) => sum + count, 0)
  const filled = counts.filter((count) => count > 0).length
  const within = `between ${compact(low)} and ${compact(high)}${unit === '' ? '' : ` ${unit}`}`
  if (entries < leastEntries)
    return failed(histogram, `only ${entries} entries ${within}; a fit needs at least ${leastEntries}`)
  if (filled < leastFilledBins)
    return failed(histogram, `only ${filled} bins have entries ${within}; a fit needs at least ${leastFilledBins}`)
  const data: Data = {
    x: counts.map((_, bin) => low + (bin + 0.5) * width),
    counts,
    errors: counts.map((count) => Math.sqrt(Math.max(count, 1))),
    low,
    width,
  }
  const starts = startingPeaks(data)
  const withBackground =
    kind === 'iron'
      ? best(
          data,
          starts.flatMap((peak) => backgroundStarts(data, peak)),
        )
      : undefined
  const alone = best(data, starts)
  // The background stays where it can be told from nothing and improves the fit; otherwise its two numbers mean nothing.
  const wanted =
    withBackground !== undefined && isPlausible(withBackground, data) && needsBackground(withBackground, alone)
  const found = wanted ? withBackground : (alone ?? withBackground)
  if (found === undefined) return failed(histogram, 'no minimum was found: the histogram has no shape of a peak')
  const line = best(data, lineStarts(data))
  if (line !== undefined && line.chi2 - found.chi2 < leastGain)
    return failed(
      histogram,
      `no peak: without one the data are described as well (chi2 ${compact(line.chi2)}, with a peak ${compact(found.chi2)})`,
    )
  return describe(histogram, data, found)
}

function needsBackground(withIt: Minimum, alone: Minimum | undefined): boolean {
  return alone === undefined || alone.chi2 - withIt.chi2 > 4
}

function describe(histogram: FilledHistogram, data: Data, { parameters, covariance, chi2 }: Minimum): PeakFit {
  const [amplitude, mean, sigma] = parameters as [number, number, number]
  const errorOf = (index: number): number => Math.sqrt(covariance[index]![index]!)
  const refusal = whyNoPeak(data, parameters, errorOf, histogram.unit)
  if (refusal !== undefined) return failed(histogram, refusal)
  const ndf = data.x.length - parameters.length
  const probability = ndf > 0 ? chi2Probability(chi2, ndf) : null
  const poor = probability !== null && probability < poorProbability
  const units = ['counts', histogram.unit, histogram.unit, 'counts', histogram.unit === '' ? '' : `1/${histogram.unit}`]
  const fitted = data.x.map((x) => valueAt(x, parameters, data.low))
  const relative =
    covariance[1]![1]! / mean ** 2 + covariance[2]![2]! / sigma ** 2 - (2 * covariance[1]![2]!) / (mean * sigma)
  return {
    state: poor ? 'poor' : 'ok',
    reason: poor
      ? `the curve does not describe the data: chi2 ${compact(chi2)} for ${ndf} degrees of freedom (bins ${compact(amplitude)} high at most)`
      : null,
    model: parameters.length === 5 ? 'gaussian+exponential' : 'gaussian',
    parameters: parameters.map((value, index) => ({
      name: names[index]!,
      value,
      error: errorOf(index),
      unit: units[index]!,
    })),
    covariance,
    chi2,
    ndf,
    probability,
    low: histogram.low,
    high: histogram.high,
    resolution: { value: sigma / mean, error: Math.abs(sigma / mean) * Math.sqrt(Math.max(relative, 0)) },
    firstBin: 0,
    fitted,
    background: data.x.map((x) =>
      parameters.length === 5 ? parameters[3]! * Math.exp(-parameters[4]! * (x - data.low)) : 0,
    ),
    residuals: data.counts.map((count, bin) => (count - fitted[bin]!) / data.errors[bin]!),
  }
}

const names = ['amplitude', 'mean', 'sigma', 'background', 'slope']

function whyNoPeak(
  data: Data,
  parameters: readonly number[],
  errorOf: (index: number) => number,
  unit: string,
): string | undefined {
  const [amplitude, mean, sigma] = parameters as [number, number, number]
  const high = data.low + data.width * data.x.length
  const of = unit === '' ? '' : ` ${unit}`
  if (!(amplitude > leastSignificance * errorOf(0)))
    return `no peak: its height is ${compact(amplitude)} ± ${compact(errorOf(0))} counts, not ${leastSignificance} standard errors above nothing`
  if (mean <= data.low || mean >= high)
    return `no peak within the range: the best centre is ${compact(mean)}${of}, outside of ${compact(data.low)} to ${compact(high)}`
  if (sigma > (high - data.low) / 2) return `no peak: the best width, ${compact(sigma)}${of}, is as wide as the range`
  if (sigma < data.width / 2)
    return `no peak: the best width, ${compact(sigma)}${of}, is narrower than a bin; take narrower bins or a smaller range`
  if (errorOf(1) > sigma || errorOf(2) > sigma)
    return `no peak: centre and width are not determined (± ${compact(errorOf(1))} and ± ${compact(errorOf(2))}${of})`
  return undefined
}

function failed({ low, high }: FilledHistogram, reason: string): PeakFit {
  const nothing = { fitted: [], background: [], residuals: [], firstBin: 0, parameters: [], covariance: [] }
  const numbers = { chi2: null, ndf: null, probability: null, resolution: null }
  return { state: 'failed', reason, model: null, low, high, ...nothing, ...numbers }
}

const compact = (value: number): string => String(Number(value.toPrecision(4)))

/** Value of the model; three parameters are a Gaussian alone, two an exponential alone. */
function valueAt(x: number, parameters: readonly number[], low: number): number {
  if (parameters.length === 2) return parameters[0]! * Math.exp(-parameters[1]! * (x - low))
  const [amplitude, mean, sigma, background, slope] = parameters as [number, number, number, number?, number?]
  const gauss = amplitude * Math.exp(-0.5 * ((x - mean) / sigma) ** 2)
  return background === undefined ? gauss : gauss + background * Math.exp(-slope! * (x - low))
}

function derivativesAt(x: number, parameters: readonly number[], low: number): number[] {
  if (parameters.length === 2) {
    const decay = Math.exp(-parameters[1]! * (x - low))
    return [decay, -parameters[0]! * (x - low) * decay]
  }
  const [amplitude, mean, sigma, background, slope] = parameters as [number, number, number, number?, number?]
  const away = (x - mean) / sigma
  const shape = Math.exp(-0.5 * away * away)
  const gauss = [shape, (amplitude * shape * away) / sigma, (amplitude * shape * away * away) / sigma]
  if (background === undefined) return gauss
  const decay = Math.exp(-slope! * (x - low))
  return [...gauss, decay, -background * (x - low) * decay]
}

/** Gaussians to begin with: the highest places of the smoothed histogram, and its centre of gravity. */
function startingPeaks({ x, counts, width }: Data): number[][] {
  const reach = Math.max(1, Math.round(counts.length / 30))
  const smooth = counts.map((_, bin) => {
    const part = counts.slice(Math.max(0, bin - reach), bin + reach + 1)
    return part.reduce((sum, count) => sum + count, 0) / part.length
  })
  const tops = smooth
    .map((height, bin) => ({ height, bin }))
    .filter(({ height, bin }) => {
      const around = smooth.slice(Math.max(0, bin - 2 * reach), bin + 2 * reach + 1)
      return height > 0 && height >= Math.max(...around)
    })
    .sort((a, b) => b.height - a.height)
    .slice(0, 2)
  const starts = tops.map(({ height, bin }) => {
    const halfHeight = (from: number, step: number): number => {
      let at = from
      while (at >= 0 && at < smooth.length && smooth[at]! > height / 2) at += step
      return Math.abs(at - from)
    }
    const half = Math.max(1, Math.min(halfHeight(bin, 1), halfHeight(bin, -1)))
    return [height, x[bin]!, (half * width) / 1.18]
  })
  const total = counts.reduce((sum, count) => sum + count, 0)
  const mean = x.reduce((sum, at, bin) => sum + at * counts[bin]!, 0) / total
  const rms = Math.sqrt(x.reduce((sum, at, bin) => sum + (at - mean) ** 2 * counts[bin]!, 0) / total)
  return [...starts, [Math.max(...smooth), mean, Math.max(rms, width)]]
}

/** The exponential to begin with, by a straight line through the logarithm of what is away from the peak. */
function backgroundStarts({ x, counts, low, width }: Data, peak: readonly number[]): number[][] {
  const [amplitude, mean, sigma] = peak as [number, number, number]
  const away = x.map((_, bin) => bin).filter((bin) => Math.abs(x[bin]! - mean) > 2.5 * sigma && counts[bin]! > 0)
  let n = 0
  let sx = 0
  let sy = 0
  let sxx = 0
  let sxy = 0
  for (const bin of away) {
    const weight = counts[bin]!
    const at = x[bin]! - low
    const height = Math.log(counts[bin]!)
    n += weight
    sx += weight * at
    sy += weight * height
    sxx += weight * at * at
    sxy += weight * at * height
  }
  const span = width * x.length
  const divisor = n * sxx - sx * sx
  const level = Math.max(0.2 * amplitude, 0.5)
  const plain = [
    [0.8 * amplitude, mean, sigma, level, 1 / span],
    [0.8 * amplitude, mean, sigma, 2 * level, 5 / span],
  ]
  if (away.length < 3 || !(divisor > 0)) return plain
  const slope = -(n * sxy - sx * sy) / divisor
  const height = Math.exp((sy + slope * sx) / n)
  return [[Math.max(amplitude - height, 0.3 * amplitude), mean, sigma, height, slope], ...plain]
}

function lineStarts({ counts, width }: Data): number[][] {
  const level = counts.reduce((sum, count) => sum + count, 0) / counts.length
  const span = width * counts.length
  return [1, -1].map((sign) => [Math.max(level, 1), sign / span])
}

function isPlausible({ parameters, covariance }: Minimum, data: Data): boolean {
  const [amplitude, mean, sigma, background] = parameters as [number, number, number, number]
  const high = data.low + data.width * data.x.length
  return (
    amplitude > 0 &&
    background > 0 &&
    mean > data.low &&
    mean < high &&
    sigma < high - data.low &&
    covariance.every((row, index) => row[index]! > 0)
  )
}

/** The deepest minimum; no further start is tried when one describes the data as well as chance allows. */
function best(data: Data, starts: readonly (readonly number[])[]): Minimum | undefined {
  let deepest: Minimum | undefined
  for (const start of starts) {
    const found = minimise(data, start)
    if (found !== undefined && (deepest === undefined || found.chi2 < deepest.chi2)) deepest = found
    if (deepest !== undefined && deepest.chi2 < 1.2 * (data.x.length - start.length)) break
  }
  return deepest
}

/** Levenberg-Marquardt with Marquardt's scaling; undefined when it does not converge or the minimum is degenerate. */
function minimise(data: Data, start: readonly number[]): Minimum | undefined {
  let parameters = [...start]
  let chi2 = chi2Of(data, parameters)
  let damping = 1e-3
  let still = 0
  for (let step = 0; step < 300; step++) {
    const { normal, gradient } = normalEquations(data, parameters)
    const damped = normal.map((row, index) =>
      row.map((value, column) => (column === index ? value * (1 + damping) : value)),
    )
    const inverse = invertSymmetric(damped)
    if (inverse === undefined) {
      damping *= 10
      if (damping > 1e12) return undefined
      continue
    }
    const move = times(inverse, gradient)
    const tried = parameters.map((value, index) => value + move[index]!)
    if (tried.length > 2) tried[2] = Math.abs(tried[2]!) || parameters[2]!
    const triedChi2 = chi2Of(data, tried)
    if (triedChi2 <= chi2) {
      const gained = chi2 - triedChi2
      parameters = tried
      chi2 = triedChi2
      damping = Math.max(damping / 10, 1e-12)
      still = gained <= 1e-10 * (1 + chi2) ? still + 1 : 0
      if (still >= 2) break
    } else {
      damping *= 10
      if (damping > 1e12) break
    }
  }
  const covariance = invertSymmetric(normalEquations(data, parameters).normal)
  return covariance === undefined || !Number.isFinite(chi2) ? undefined : { parameters, covariance, chi2 }
}

function chi2Of({ x, counts, errors, low }: Data, parameters: readonly number[]): number {
  let sum = 0
  for (let bin = 0; bin < x.length; bin++)
    sum += ((counts[bin]! - valueAt(x[bin]!, parameters, low)) / errors[bin]!) ** 2
  return Number.isNaN(sum) ? Infinity : sum
}

function normalEquations({ x, counts, errors, low }: Data, parameters: readonly number[]) {
  const size = parameters.length
  const normal = Array.from({ length: size }, () => new Array<number>(size).fill(0))
  const gradient = new Array<number>(size).fill(0)
  for (let bin = 0; bin < x.length; bin++) {
    const slope = derivativesAt(x[bin]!, parameters, low)
    const weight = 1 / errors[bin]! ** 2
    const away = weight * (counts[bin]! - valueAt(x[bin]!, parameters, low))
    for (let row = 0; row < size; row++) {
      const weighted = weight * slope[row]!
      gradient[row]! += away * slope[row]!
      const line = normal[row]!
      for (let column = 0; column <= row; column++) line[column]! += weighted * slope[column]!
    }
  }
  for (let row = 0; row < size; row++)
    for (let column = row + 1; column < size; column++) normal[row]![column] = normal[column]![row]!
  return { normal, gradient }
}
