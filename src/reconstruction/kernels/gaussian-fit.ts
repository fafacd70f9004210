/**
 * Chi2 fit of A exp(-(x - mean)^2 / (2 sigma^2)) to the bins of a profile, as the reference lets ROOT do it.
 *
 * Bins: those whose centre lies within mean +- 5 rms of the profile and whose content is not 0; error = sqrt(|content|)
 * (what a ROOT histogram filled with weights has). Limits: mean +- 1 rms, sigma 0.5 .. 1.5 rms; amplitude free. The
 * amplitude is linear and is solved for in closed form at each step; mean and sigma are found by Gauss-Newton steps
 * on the remaining residuals with damping (Levenberg-Marquardt), a parameter at its limit is held there while the
 * step points outwards.
 */

export interface GaussianFit {
  amplitude: number
  mean: number
  sigma: number
  chi2: number
  /** 3 converged (ROOT's "covariance accurate"), 1 stopped after the last round, -1 no fit. */
  status: number
}

export const failedFit: Readonly<GaussianFit> = Object.freeze({
  amplitude: -999,
  mean: -999,
  sigma: -999,
  chi2: 999,
  status: -1,
})

const rounds = 60
const fitRangeRms = 5

interface Model {
  amplitude: number
  chi2: number
}

/** `centres` and `contents` have `bins` entries; `mean` and `rms` are those of the profile. */
export function fitGaussian(
  centres: Float64Array,
  contents: Float64Array,
  bins: number,
  mean: number,
  rms: number,
): GaussianFit {
  if (!(rms > 0)) return failedFit
  const from = mean - fitRangeRms * rms
  const to = mean + fitRangeRms * rms
  const x: number[] = []
  const y: number[] = []
  for (let bin = 0; bin < bins; bin++) {
    if (contents[bin] !== 0 && centres[bin]! >= from && centres[bin]! <= to) {
      x.push(centres[bin]!)
      y.push(contents[bin]!)
    }
  }
  if (x.length < 3) return failedFit

  const modelAt = (atMean: number, atSigma: number): Model => {
    let top = 0
    let bottom = 0
    let squares = 0
    for (let bin = 0; bin < x.length; bin++) {
      const shape = Math.exp(-0.5 * ((x[bin]! - atMean) / atSigma) ** 2)
      const weight = 1 / Math.abs(y[bin]!)
      top += weight * shape * y[bin]!
      bottom += weight * shape * shape
      squares += Math.abs(y[bin]!)
    }
    const amplitude = bottom > 0 ? top / bottom : 0
    return { amplitude, chi2: squares - amplitude * top }
  }

  const meanLow = mean - rms
  const meanHigh = mean + rms
  const sigmaLow = 0.5 * rms
  const sigmaHigh = 1.5 * rms
  let fit = { mean, sigma: rms }
  let best = modelAt(fit.mean, fit.sigma)
  let damping = 1e-3
  let converged = false
  for (let round = 0; round < rounds && !converged; round++) {
    // Derivatives of the residuals by mean and sigma, with the part along the amplitude projected out.
    let gg = 0
    let gm = 0
    let gs = 0
    let mm = 0
    let ms = 0
    let ss = 0
    let gr = 0
    let mr = 0
    let sr = 0
    for (let bin = 0; bin < x.length; bin++) {
      const away = (x[bin]! - fit.mean) / fit.sigma
      const shape = Math.exp(-0.5 * away * away)
      const byMean = (best.amplitude * shape * away) / fit.sigma
      const bySigma = byMean * away
      const weight = 1 / Math.abs(y[bin]!)
      const rest = y[bin]! - best.amplitude * shape
      gg += weight * shape * shape
      gm += weight * shape * byMean
      gs += weight * shape * bySigma
      mm += weight * byMean * byMean
      ms += weight * byMean * bySigma
      ss += weight * bySigma * bySigma
      gr += weight * shape * rest
      mr += weight * byMean * rest
      sr += weight * bySigma * rest
    }
    if (!(gg > 0) || !(mm > 0) || !(ss > 0)) break
    const hMm = mm - (gm * gm) / gg
    const hMs = ms - (gm * gs) / gg
    const hSs = ss - (gs * gs) / gg
    const meanSlope = mr - (gm * gr) / gg
    const sigmaSlope = sr - (gs * gr) / gg
    const meanHeld = (fit.mean <= meanLow && meanSlope < 0) || (fit.mean >= meanHigh && meanSlope > 0)
    const sigmaHeld = (fit.sigma <= sigmaLow && sigmaSlope < 0) || (fit.sigma >= sigmaHigh && sigmaSlope > 0)
    if (meanHeld && sigmaHeld) {
      converged = true
      break
    }
    let accepted = false
    while (!accepted && damping < 1e12) {
      const a = hMm * (1 + damping)
      const d = hSs * (1 + damping)
      let meanStep = 0
      let sigmaStep = 0
      if (meanHeld) sigmaStep = sigmaSlope / d
      else if (sigmaHeld) meanStep = meanSlope / a
      else {
        const determinant = a * d - hMs * hMs
        meanStep = (d * meanSlope - hMs * sigmaSlope) / determinant
        sigmaStep = (a * sigmaSlope - hMs * meanSlope) / determinant
      }
      if (!Number.isFinite(meanStep) || !Number.isFinite(sigmaStep)) break
      const next = {
        mean: Math.min(meanHigh, Math.max(meanLow, fit.mean + meanStep)),
        sigma: Math.min(sigmaHigh, Math.max(sigmaLow, fit.sigma + sigmaStep)),
      }
      const tried = modelAt(next.mean, next.sigma)
      if (tried.chi2 <= best.chi2) {
        const moved = Math.abs(next.mean - fit.mean) + Math.abs(next.sigma - fit.sigma)
        converged = moved < 1e-6 * rms || best.chi2 - tried.chi2 < 1e-10 * best.chi2
        fit = next
        best = tried
        damping = Math.max(1e-9, damping / 10)
        accepted = true
      } else damping *= 10
    }
    // No step makes it smaller: this is the minimum to the accuracy of the numbers.
    if (!accepted) converged = true
  }
  return { amplitude: best.amplitude, mean: fit.mean, sigma: fit.sigma, chi2: best.chi2, status: converged ? 3 : 1 }
}
