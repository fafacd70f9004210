/** Sums of squares of points about their mean. */
export interface SecondMoments {
  uMean: number
  vMean: number
  uu: number
  uv: number
  vv: number
}

/** Of the first `n` points; not divided by their number. */
export function secondMoments(u: ArrayLike<number>, v: ArrayLike<number>, n: number): SecondMoments {
  let uMean = 0
  let vMean = 0
  for (let at = 0; at < n; at++) {
    uMean += u[at]!
    vMean += v[at]!
  }
  uMean /= n
  vMean /= n
  let uu = 0
  let uv = 0
  let vv = 0
  for (let at = 0; at < n; at++) {
    uu += (u[at]! - uMean) ** 2
    uv += (u[at]! - uMean) * (v[at]! - vMean)
    vv += (v[at]! - vMean) ** 2
  }
  return { uMean, vMean, uu, uv, vv }
}
