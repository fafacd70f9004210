/**
 * Peaks of a sampled curve, number for number those of `scipy.signal.find_peaks` (tested against it).
 *
 * A peak is a sample, or the middle of a plateau, with lower neighbours on both sides. Peaks are then removed by
 * plateau size, height, threshold, distance (lower ones first; of equally high ones the last stays), prominence and
 * width, in this order.
 */

/** The least value, or [least, most]; undefined = no limit. */
export type Limits = number | readonly [least: number | undefined, most: number | undefined]

export interface PeakConditions {
  /** Value at the top. */
  height?: Limits | undefined
  /** Vertical distance to the neighbouring samples. */
  threshold?: Limits | undefined
  /** Samples between tops, at least 1. */
  distance?: number | undefined
  prominence?: Limits | undefined
  /** In samples, at `relativeHeight`. */
  width?: Limits | undefined
  /** Samples of a flat top. */
  plateauSize?: Limits | undefined
  /** Samples around a peak in which its bases are looked for, above 1; all without it. */
  windowSamples?: number | undefined
  /** Share of the prominence below the top where the width is taken; 0.5 = half. */
  relativeHeight?: number | undefined
}

export interface PeakWidth {
  /** In samples, between the interpolated crossings. */
  width: number
  /** Value at which it is taken. */
  level: number
  leftCrossing: number
  rightCrossing: number
}

export interface Peak {
  /** Sample of the top. */
  position: number
  height: number
  /** Height above the higher of the two lowest points between the peak and higher ground (or the end). */
  prominence: number
  leftBase: number
  rightBase: number
  width: number
  widthLevel: number
  leftCrossing: number
  rightCrossing: number
}

/** Peaks from left to right. Throws RangeError for a distance below 1, a window of 1 or less, a negative relative height. */
export function findPeaks(values: ArrayLike<number>, conditions: PeakConditions = {}): Peak[] {
  const { distance, windowSamples, relativeHeight = 0.5 } = conditions
  if (distance !== undefined && !(distance >= 1)) throw new RangeError('the distance of peaks is at least 1 sample')
  if (windowSamples !== undefined && !(windowSamples > 1)) throw new RangeError('the window is longer than 1 sample')
  if (!(relativeHeight >= 0)) throw new RangeError('the relative height is 0 or more')
  let tops = localMaxima(values, limitsOf(conditions.height ?? -Infinity), limitsOf(conditions.plateauSize ?? 1))
  if (conditions.threshold !== undefined) {
    const [least, most] = limitsOf(conditions.threshold)
    tops = tops.filter((at) => {
      const left = values[at]! - values[at - 1]!
      const right = values[at]! - values[at + 1]!
      return Math.min(left, right) >= least && Math.max(left, right) <= most
    })
  }
  if (distance !== undefined) tops = farApart(values, tops, distance)
  const peaks: Peak[] = []
  for (const position of tops) {
    const bases = prominenceOf(values, position, windowSamples)
    if (!within(bases.prominence, conditions.prominence)) continue
    const { width, level, leftCrossing, rightCrossing } = peakWidth(values, { position, ...bases }, relativeHeight)
    if (!within(width, conditions.width)) continue
    peaks.push({ position, height: values[position]!, ...bases, width, widthLevel: level, leftCrossing, rightCrossing })
  }
  return peaks
}

/** Width of a found peak at another share of its prominence. */
export function peakWidth(
  values: ArrayLike<number>,
  { position, prominence, leftBase, rightBase }: Pick<Peak, 'position' | 'prominence' | 'leftBase' | 'rightBase'>,
  relativeHeight: number,
): PeakWidth {
  const level = values[position]! - prominence * relativeHeight
  let at = position
  while (leftBase < at && level < values[at]!) at--
  let leftCrossing = at
  if (values[at]! < level) leftCrossing += (level - values[at]!) / (values[at + 1]! - values[at]!)
  at = position
  while (at < rightBase && level < values[at]!) at++
  let rightCrossing = at
  if (values[at]! < level) rightCrossing -= (level - values[at]!) / (values[at - 1]! - values[at]!)
  return { width: rightCrossing - leftCrossing, level, leftCrossing, rightCrossing }
}

function limitsOf(limits: Limits): [number, number] {
  if (typeof limits === 'number') return [limits, Infinity]
  return [limits[0] ?? -Infinity, limits[1] ?? Infinity]
}

function within(value: number, limits: Limits | undefined): boolean {
  if (limits === undefined) return true
  const [least, most] = limitsOf(limits)
  return value >= least && value <= most
}

/** Tops within the limits of height and of samples of a flat top. */
function localMaxima(
  values: ArrayLike<number>,
  [lowest, highest]: [number, number],
  [smallest, largest]: [number, number],
): number[] {
  const found: number[] = []
  const last = values.length - 1
  for (let at = 1; at < last; at++) {
    if (!(values[at - 1]! < values[at]!)) continue
    let ahead = at + 1
    while (ahead < last && values[ahead] === values[at]) ahead++
    if (values[ahead]! < values[at]!) {
      const size = ahead - at
      if (values[at]! >= lowest && values[at]! <= highest && size >= smallest && size <= largest)
        found.push((at + ahead - 1) >> 1)
      at = ahead
    }
  }
  return found
}

function farApart(values: ArrayLike<number>, tops: number[], minimumDistance: number): number[] {
  const distance = Math.ceil(minimumDistance)
  const keep = tops.map(() => true)
  const byHeight = tops.map((_, index) => index).sort((a, b) => values[tops[a]!]! - values[tops[b]!]! || a - b)
  for (let rank = byHeight.length - 1; rank >= 0; rank--) {
    const index = byHeight[rank]!
    if (!keep[index]) continue
    for (let left = index - 1; left >= 0 && tops[index]! - tops[left]! < distance; left--) keep[left] = false
    for (let right = index + 1; right < tops.length && tops[right]! - tops[index]! < distance; right++)
      keep[right] = false
  }
  return tops.filter((_, index) => keep[index])
}

function prominenceOf(
  values: ArrayLike<number>,
  position: number,
  windowSamples: number | undefined,
): { prominence: number; leftBase: number; rightBase: number } {
  // A window is widened to an odd whole number of samples around the peak.
  const half = windowSamples === undefined ? Infinity : Math.ceil(windowSamples) >> 1
  const begin = Math.max(0, position - half)
  const end = Math.min(values.length - 1, position + half)
  const top = values[position]!
  let leftBase = position
  let leftLowest = top
  for (let at = position; at >= begin && values[at]! <= top; at--) {
    if (values[at]! < leftLowest) {
      leftLowest = values[at]!
      leftBase = at
    }
  }
  let rightBase = position
  let rightLowest = top
  for (let at = position; at <= end && values[at]! <= top; at++) {
    if (values[at]! < rightLowest) {
      rightLowest = values[at]!
      rightBase = at
    }
  }
  return { prominence: top - Math.max(leftLowest, rightLowest), leftBase, rightBase }
}
