/** How well a score tells signal from background: the receiver operating characteristic. */

export interface OperatingPoint {
  threshold: number
  /** Share of the signal at or above the threshold. */
  signal: number
  /** Share of the background at or above it. */
  background: number
}

export interface OperatingCurve {
  points: OperatingPoint[]
  /** Chance that a signal scores higher than a background, ties half. */
  area: number
  /** Standard error of the area (Hanley and McNeil, Radiology 143 (1982) 29). */
  areaError: number
  signals: number
  backgrounds: number
}

const shownPoints = 200

export function operatingCurve(signal: readonly number[], background: readonly number[]): OperatingCurve {
  const all = [
    ...signal.map((score) => ({ score, isSignal: true })),
    ...background.map((score) => ({ score, isSignal: false })),
  ].toSorted((one, other) => other.score - one.score)
  const points: OperatingPoint[] = [{ threshold: Number.POSITIVE_INFINITY, signal: 0, background: 0 }]
  let [hits, fakes, area] = [0, 0, 0]
  for (let at = 0; at < all.length;) {
    const { score } = all[at]!
    const [hitsBefore, fakesBefore] = [hits, fakes]
    // Equal scores pass together.
    for (; at < all.length && all[at]!.score === score; at++) {
      if (all[at]!.isSignal) hits++
      else fakes++
    }
    area += ((fakes - fakesBefore) * (hits + hitsBefore)) / 2
    points.push({
      threshold: score,
      signal: hits / Math.max(1, signal.length),
      background: fakes / Math.max(1, background.length),
    })
  }
  const share = signal.length > 0 && background.length > 0 ? area / (signal.length * background.length) : Number.NaN
  return {
    points: thinned(points),
    area: share,
    areaError: errorOf(share, signal.length, background.length),
    signals: signal.length,
    backgrounds: background.length,
  }
}

/** Share of the background kept where a share of the signal is; between points by a straight line. */
export function backgroundAt({ points }: OperatingCurve, signal: number): number {
  const after = points.findIndex((point) => point.signal >= signal)
  if (after <= 0) return points[Math.max(0, after)]?.background ?? Number.NaN
  const [low, high] = [points[after - 1]!, points[after]!]
  if (high.signal === low.signal) return high.background
  return low.background + ((signal - low.signal) / (high.signal - low.signal)) * (high.background - low.background)
}

function errorOf(area: number, signals: number, backgrounds: number): number {
  const first = area / (2 - area)
  const second = (2 * area * area) / (1 + area)
  const variance =
    (area * (1 - area) + (signals - 1) * (first - area * area) + (backgrounds - 1) * (second - area * area)) /
    (signals * backgrounds)
  return Math.sqrt(Math.max(0, variance))
}

/** Enough points to draw, the first and last among them. */
function thinned(points: OperatingPoint[]): OperatingPoint[] {
  if (points.length <= shownPoints) return points
  return Array.from(
    { length: shownPoints },
    (_, index) => points[Math.round((index * (points.length - 1)) / (shownPoints - 1))]!,
  )
}
