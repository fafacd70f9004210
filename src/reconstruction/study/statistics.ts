/**
 * Statistics of the validation. Intervals are central 68.27 % (one sigma) unless said otherwise. Held against scipy in
 * the tests.
 */
import type { Estimate } from './study-report.ts'

const oneSigmaShare = 0.682689492137086

/** ln Gamma(x), x > 0: Lanczos, absolute error below 1e-9. */
export function logGamma(x: number): number {
  const weights = [
    76.18009172947146, -86.5053203294168, 24.01409824083091, -1.231739572450155, 0.1208650973866179e-2,
    -0.5395239384953e-5,
  ]
  const base = x + 5.5 - (x + 0.5) * Math.log(x + 5.5)
  let sum = 1.000000000190015
  weights.forEach((weight, index) => (sum += weight / (x + 1 + index)))
  return Math.log((2.506628274631 * sum) / x) - base
}

/** Regularised incomplete beta function I_x(a, b) by its continued fraction. */
export function betaShare(a: number, b: number, x: number): number {
  if (x <= 0) return 0
  if (x >= 1) return 1
  if (x > (a + 1) / (a + b + 2)) return 1 - betaShare(b, a, 1 - x)
  const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x)) / a
  let d = 1 / guarded(1 - ((a + b) * x) / (a + 1))
  let c = 1
  let result = d
  for (let m = 1; m < 10_000; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m))
    d = 1 / guarded(1 + even * d)
    c = guarded(1 + even / c)
    result *= d * c
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1))
    d = 1 / guarded(1 + odd * d)
    c = guarded(1 + odd / c)
    result *= d * c
    if (Math.abs(d * c - 1) < 1e-15) break
  }
  return front * result
}

const guarded = (value: number) => (Math.abs(value) < 1e-300 ? 1e-300 : value)

/** Inverse of betaShare in x by bisection: 1e-12. */
function betaQuantile(a: number, b: number, share: number): number {
  let low = 0
  let high = 1
  for (let step = 0; step < 60; step++) {
    const middle = (low + high) / 2
    if (betaShare(a, b, middle) < share) low = middle
    else high = middle
  }
  return (low + high) / 2
}

/** An efficiency k / n with the interval of Clopper and Pearson: it holds the truth at least as often as it says. */
export function clopperPearson(k: number, n: number, share = oneSigmaShare): Estimate {
  if (n === 0) return { value: null, low: null, high: null, entries: 0 }
  const tail = (1 - share) / 2
  return {
    value: k / n,
    low: k === 0 ? 0 : betaQuantile(k, n - k + 1, tail),
    high: k === n ? 1 : betaQuantile(k + 1, n - k, 1 - tail),
    entries: n,
  }
}

/** An efficiency k / n with Wilson's interval: for curves, where Clopper and Pearson's is wider than it says. */
export function wilson(k: number, n: number, sigma = 1): Estimate {
  if (n === 0) return { value: null, low: null, high: null, entries: 0 }
  const share = k / n
  const z2 = sigma * sigma
  const centre = (share + z2 / (2 * n)) / (1 + z2 / n)
  const half = (sigma / (1 + z2 / n)) * Math.sqrt((share * (1 - share)) / n + z2 / (4 * n * n))
  return { value: share, low: Math.max(0, centre - half), high: Math.min(1, centre + half), entries: n }
}

/** A rate of `count` events in `exposure`, with the exact (Garwood) interval of a Poisson count. */
export function poissonRate(count: number, exposure: number, share = oneSigmaShare): Estimate {
  if (exposure <= 0) return { value: null, low: null, high: null, entries: 0 }
  const tail = (1 - share) / 2
  return {
    value: count / exposure,
    low: (count === 0 ? 0 : gammaQuantile(count, tail)) / exposure,
    high: gammaQuantile(count + 1, 1 - tail) / exposure,
    entries: count,
  }
}

/** Regularised lower incomplete gamma function P(a, x). */
export function gammaShare(a: number, x: number): number {
  if (x <= 0) return 0
  const front = Math.exp(a * Math.log(x) - x - logGamma(a))
  if (x < a + 1) {
    let term = 1 / a
    let sum = term
    for (let n = 1; n < 100_000 && term > sum * 1e-16; n++) {
      term *= x / (a + n)
      sum += term
    }
    return front * sum
  }
  let b = x + 1 - a
  let c = 1e300
  let d = 1 / guarded(b)
  let fraction = d
  for (let n = 1; n < 100_000; n++) {
    const step = -n * (n - a)
    b += 2
    d = 1 / guarded(step * d + b)
    c = guarded(b + step / c)
    fraction *= d * c
    if (Math.abs(d * c - 1) < 1e-15) break
  }
  return 1 - front * fraction
}

function gammaQuantile(a: number, share: number): number {
  let low = 0
  let high = a + 10 * Math.sqrt(a) + 20
  for (let step = 0; step < 100; step++) {
    const middle = (low + high) / 2
    if (gammaShare(a, middle) < share) low = middle
    else high = middle
  }
  return (low + high) / 2
}

export interface Moments {
  entries: number
  mean: number
  meanError: number
  sigma: number
  sigmaError: number
}

/** Mean and standard deviation with their standard errors (the second from the fourth moment, so not only for normal values). */
export function momentsOf(values: readonly number[]): Moments {
  const entries = values.length
  if (entries === 0) return { entries, mean: NaN, meanError: NaN, sigma: NaN, sigmaError: NaN }
  const mean = values.reduce((sum, value) => sum + value, 0) / entries
  let second = 0
  let fourth = 0
  for (const value of values) {
    second += (value - mean) ** 2
    fourth += (value - mean) ** 4
  }
  const variance = entries > 1 ? second / (entries - 1) : 0
  const sigma = Math.sqrt(variance)
  const spread = fourth / entries - (second / entries) ** 2
  return {
    entries,
    mean,
    meanError: entries > 1 ? sigma / Math.sqrt(entries) : NaN,
    sigma,
    sigmaError: entries > 3 && sigma > 0 ? Math.sqrt(Math.max(spread, 0) / entries) / (2 * sigma) : NaN,
  }
}

/** Linear interpolation between order statistics (numpy's default); the values are sorted here. */
export function quantile(values: readonly number[], share: number): number {
  if (values.length === 0) return NaN
  const sorted = [...values].sort((a, b) => a - b)
  const at = share * (sorted.length - 1)
  const below = Math.floor(at)
  return sorted[below]! + (at - below) * ((sorted[below + 1] ?? sorted[below]!) - sorted[below]!)
}

/**
 * Median with the interval of order statistics (binomial, normal approximation from 20 entries on).
 */
export function medianOf(values: readonly number[]): Estimate {
  if (values.length === 0) return { value: null, low: null, high: null, entries: 0 }
  const half = 0.5 / Math.sqrt(values.length)
  return {
    value: quantile(values, 0.5),
    low: quantile(values, Math.max(0, 0.5 - half)),
    high: quantile(values, Math.min(1, 0.5 + half)),
    entries: values.length,
  }
}

/**
 * The Gaussian core of a peak: maximum likelihood of a Gaussian truncated to [mean - below sigma, mean + above sigma],
 * the window iterated until it stands (the reference fits its 55Fe peak from mean - 0.6 sd to mean + 3 sd; with the
 * truncation in the likelihood the window does not bias the width). Errors from the curvature.
 */
export function gaussianCore(values: readonly number[], below = 2, above = 2): Moments | undefined {
  if (values.length < 20) return undefined
  let mean = quantile(values, 0.5)
  let sigma = (quantile(values, 0.8413) - quantile(values, 0.1587)) / 2
  if (!(sigma > 0)) return undefined
  let fit: ReturnType<typeof truncatedGaussian>
  for (let step = 0; step < 50; step++) {
    const low = mean - below * sigma
    const high = mean + above * sigma
    const inside = values.filter((value) => value >= low && value <= high)
    if (inside.length < 15) return undefined
    fit = truncatedGaussian(inside, low, high, mean, sigma)
    if (fit === undefined) return undefined
    const moved = Math.abs(fit.mean - mean) + Math.abs(fit.sigma - sigma)
    // Half a step: the window of a few hundred entries would otherwise jump between two sets of them.
    mean = (mean + fit.mean) / 2
    sigma = (sigma + fit.sigma) / 2
    if (moved < 1e-4 * sigma) break
  }
  return fit
}

/** Newton steps on (mean, ln sigma) of the truncated likelihood; the sums of the sample are all it needs. */
function truncatedGaussian(
  inside: readonly number[],
  low: number,
  high: number,
  startMean: number,
  startSigma: number,
): Moments | undefined {
  const n = inside.length
  const average = inside.reduce((sum, value) => sum + value, 0) / n
  const square = inside.reduce((sum, value) => sum + (value - average) ** 2, 0) / n
  const cost = (mean: number, logSigma: number) => {
    const sigma = Math.exp(logSigma)
    const share = normalShare((high - mean) / sigma) - normalShare((low - mean) / sigma)
    return logSigma + (square + (average - mean) ** 2) / (2 * sigma * sigma) + Math.log(Math.max(share, 1e-12))
  }
  let at = { mean: startMean, logSigma: Math.log(startSigma) }
  const h = { mean: 1e-3 * startSigma, logSigma: 1e-3 }
  const curvature = () => {
    const f = (i: number, j: number) => cost(at.mean + i * h.mean, at.logSigma + j * h.logSigma)
    const middle = f(0, 0)
    return {
      slopeMean: (f(1, 0) - f(-1, 0)) / (2 * h.mean),
      slopeSigma: (f(0, 1) - f(0, -1)) / (2 * h.logSigma),
      mm: (f(1, 0) - 2 * middle + f(-1, 0)) / h.mean ** 2,
      ss: (f(0, 1) - 2 * middle + f(0, -1)) / h.logSigma ** 2,
      ms: (f(1, 1) - f(1, -1) - f(-1, 1) + f(-1, -1)) / (4 * h.mean * h.logSigma),
    }
  }
  for (let step = 0; step < 60; step++) {
    const { slopeMean, slopeSigma, mm, ss, ms } = curvature()
    const determinant = mm * ss - ms * ms
    let dMean =
      determinant > 0 && mm > 0 ? (ss * slopeMean - ms * slopeSigma) / determinant : slopeMean * startSigma ** 2
    let dSigma = determinant > 0 && mm > 0 ? (mm * slopeSigma - ms * slopeMean) / determinant : slopeSigma
    const sigma = Math.exp(at.logSigma)
    dMean = Math.max(-0.5 * sigma, Math.min(0.5 * sigma, dMean))
    dSigma = Math.max(-0.2, Math.min(0.2, dSigma))
    at = { mean: at.mean - dMean, logSigma: at.logSigma - dSigma }
    if (Math.abs(dMean) < 1e-8 * sigma && Math.abs(dSigma) < 1e-8) break
  }
  const sigma = Math.exp(at.logSigma)
  const { mm, ss, ms } = curvature()
  const determinant = mm * ss - ms * ms
  // A window with hardly any peak in it makes the likelihood flat: no answer is better than a wide one.
  if (!(determinant > 0) || sigma > 10 * startSigma || Math.abs(at.mean - startMean) > 5 * startSigma) return undefined
  return {
    entries: n,
    mean: at.mean,
    meanError: Math.sqrt(ss / determinant / n),
    sigma,
    sigmaError: sigma * Math.sqrt(mm / determinant / n),
  }
}

/** Share of a normal distribution below z. */
export function normalShare(z: number): number {
  const half = gammaShare(0.5, (z * z) / 2) / 2
  return z < 0 ? 0.5 - half : 0.5 + half
}

export interface LineFit {
  slope: number
  slopeError: number
  intercept: number
  interceptError: number
  chi2: number
  degrees: number
}

/** Weighted straight line through points with errors in y. */
export function lineFit(points: readonly { x: number; y: number; error: number }[]): LineFit {
  let [s, sx, sy, sxx, sxy] = [0, 0, 0, 0, 0]
  for (const { x, y, error } of points) {
    const weight = 1 / (error * error)
    s += weight
    sx += weight * x
    sy += weight * y
    sxx += weight * x * x
    sxy += weight * x * y
  }
  const determinant = s * sxx - sx * sx
  const slope = (s * sxy - sx * sy) / determinant
  const intercept = (sxx * sy - sx * sxy) / determinant
  const chi2 = points.reduce((sum, { x, y, error }) => sum + ((y - intercept - slope * x) / error) ** 2, 0)
  return {
    slope,
    slopeError: Math.sqrt(s / determinant),
    intercept,
    interceptError: Math.sqrt(sxx / determinant),
    chi2,
    degrees: points.length - 2,
  }
}

/**
 * Where an efficiency that rises with x first reaches `level`, linear in ln x between the two points around it. The
 * interval comes from moving both points by their own. Undefined when the curve never crosses.
 */
export function crossing(points: readonly { x: number; efficiency: Estimate }[], level: number): Estimate | undefined {
  const sorted = points.filter(({ efficiency }) => efficiency.value !== null).sort((a, b) => a.x - b.x)
  const place = (pick: (efficiency: Estimate) => number): number | undefined => {
    for (let index = 1; index < sorted.length; index++) {
      const [before, after] = [sorted[index - 1]!, sorted[index]!]
      const [low, high] = [pick(before.efficiency), pick(after.efficiency)]
      if (low < level && high >= level) {
        const share = (level - low) / (high - low)
        return Math.exp(Math.log(before.x) + share * (Math.log(after.x) - Math.log(before.x)))
      }
    }
    return undefined
  }
  const value = place((efficiency) => efficiency.value!)
  if (value === undefined) return undefined
  return {
    value,
    low: place((efficiency) => efficiency.high!) ?? sorted[0]!.x,
    high: place((efficiency) => efficiency.low!) ?? sorted.at(-1)!.x,
  }
}

/** Value and standard error as an estimate. */
export function estimate(value: number, error: number, entries?: number): Estimate {
  if (!Number.isFinite(value)) return { value: null, low: null, high: null, ...(entries !== undefined && { entries }) }
  const known = Number.isFinite(error)
  return {
    value,
    low: known ? value - error : null,
    high: known ? value + error : null,
    ...(entries !== undefined && { entries }),
  }
}

/** Half the width of the interval. */
export function errorOf({ low, high }: Estimate): number {
  return low === null || high === null ? NaN : (high - low) / 2
}

/** Adjusted Rand index of two labellings of the same points (1 = the same partition). */
export function adjustedRandIndex(one: ArrayLike<number>, other: ArrayLike<number>): number {
  const both = new Map<string, number>()
  const ones = new Map<number, number>()
  const others = new Map<number, number>()
  for (let index = 0; index < one.length; index++) {
    const [a, b] = [one[index]!, other[index]!]
    both.set(`${a},${b}`, (both.get(`${a},${b}`) ?? 0) + 1)
    ones.set(a, (ones.get(a) ?? 0) + 1)
    others.set(b, (others.get(b) ?? 0) + 1)
  }
  const pairs = (counts: Iterable<number>) => {
    let sum = 0
    for (const count of counts) sum += (count * (count - 1)) / 2
    return sum
  }
  const all = pairs([one.length])
  const expected = all === 0 ? 0 : (pairs(ones.values()) * pairs(others.values())) / all
  const most = (pairs(ones.values()) + pairs(others.values())) / 2
  return most === expected ? 1 : (pairs(both.values()) - expected) / (most - expected)
}
