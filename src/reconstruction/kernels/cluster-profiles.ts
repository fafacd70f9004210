/**
 * Light profiles of a cluster along and across its major axis, and what is read off them: rms, a peak, a Gaussian.
 *
 * A profile is first collected in slices of 1 px from the first pixel of the cluster on, all pixels, z with its sign.
 * Its bins grow from left to right until they hold at least 1 / error^2 pixels (long 25, lateral 11.1); the content of
 * a bin is the sum of z in counts, not divided by its width. As in the reference the first slice of a bin is not
 * counted when the bin decides to end, so bins are a slice longer than needed.
 *
 * Not followed:
 *  - the reference cuts the last bin off at a whole pixel and loses the light beyond; here the last bin holds it;
 *  - its profiles begin up to a pixel before the first pixel (mixed rounding); ours begin at it;
 *  - its peak widths are in bins; ours are in px, interpolated between bin centres.
 * Followed although odd: of several peaks the one farthest along the axis is kept, not the highest.
 */
import { findPeaks } from './find-peaks.ts'
import { failedFit, fitGaussian } from './gaussian-fit.ts'
import type { GaussianFit } from './gaussian-fit.ts'
import type { ReconstructionParameters } from '../parameters.ts'

/** Slices of 1 px; grown by `beginProfile` as needed. */
export interface ProfileSlices {
  pixels: Int32Array
  counts: Float64Array
  /** Slices in use. */
  length: number
}

export function createProfileSlices(): ProfileSlices {
  return { pixels: new Int32Array(1024), counts: new Float64Array(1024), length: 0 }
}

/** Empty slices for an extent of that many px. */
export function beginProfile(slices: ProfileSlices, extentPx: number): void {
  slices.length = Math.floor(extentPx + sliceSlack) + 1
  if (slices.pixels.length < slices.length) {
    slices.pixels = new Int32Array(slices.length * 2)
    slices.counts = new Float64Array(slices.length * 2)
  } else {
    slices.pixels.fill(0, 0, slices.length)
    slices.counts.fill(0, 0, slices.length)
  }
}

/** Added before a position is cut to its slice, so that rounding of the first pixel does not make it -1. */
export const sliceSlack = 1e-6

export interface Profile {
  /** Bins in use. */
  bins: number
  centres: Float64Array
  contents: Float64Array
  /** Last edge of each bin. */
  ends: Int32Array
}

/** Bins of at least 1 / relativeError^2 pixels (see above). */
export function growBins({ pixels, counts, length }: ProfileSlices, relativeError: number): Profile {
  const enough = Math.max(1, 1 / relativeError / relativeError)
  const ends: number[] = []
  let held = 0
  for (let slice = 0; slice < length; slice++) {
    if (held < enough) held += pixels[slice]!
    else {
      ends.push(slice)
      held = 0
    }
  }
  ends.push(length)
  const bins = ends.length
  const centres = new Float64Array(bins)
  const contents = new Float64Array(bins)
  let begin = 0
  for (let bin = 0; bin < bins; bin++) {
    let content = 0
    for (let slice = begin; slice < ends[bin]!; slice++) content += counts[slice]!
    contents[bin] = content
    centres[bin] = (begin + ends[bin]!) / 2
    begin = ends[bin]!
  }
  return { bins, centres, contents, ends: Int32Array.from(ends) }
}

export interface ProfilePeak {
  amplitudeCounts: number
  prominenceCounts: number
  meanPx: number
  fwhmPx: number
}

const noPeak: Readonly<ProfilePeak> = Object.freeze({
  amplitudeCounts: -999,
  prominenceCounts: -999,
  meanPx: -999,
  fwhmPx: -999,
})

/** The peak farthest along the profile, -999 without one. */
export function lastPeak({ bins, centres, contents }: Profile, parameters: ReconstructionParameters): ProfilePeak {
  const peak = findPeaks(contents.subarray(0, bins), {
    height: parameters.peakMinimumHeightCounts,
    distance: parameters.peakMinimumDistanceBins,
    prominence: parameters.peakMinimumProminenceCounts,
    width: parameters.peakMinimumWidthBins,
  }).at(-1)
  if (peak === undefined) return noPeak
  const positionOf = (bin: number) => {
    const left = Math.floor(bin)
    const right = Math.min(bins - 1, left + 1)
    return centres[left]! + (bin - left) * (centres[right]! - centres[left]!)
  }
  return {
    amplitudeCounts: peak.height,
    prominenceCounts: peak.prominence,
    meanPx: centres[peak.position]!,
    fwhmPx: positionOf(peak.rightCrossing) - positionOf(peak.leftCrossing),
  }
}

/** What is not fitted: -999 in every place. */
export const unfitted: Readonly<GaussianFit> = Object.freeze({
  amplitude: -999,
  mean: -999,
  sigma: -999,
  chi2: -999,
  status: -999,
})

/** Signed sums of z, z u and z u^2 over the pixels, u from the beginning of the profile. */
export interface ProfileSums {
  z: number
  zu: number
  zuu: number
}

/** sqrt(|<u^2> - <u>^2|) with weights z (negative ones too, as a ROOT histogram has it); -1 without light. */
export function profileRms({ z, zu, zuu }: ProfileSums): { mean: number; rms: number } {
  if (z === 0) return { mean: 0, rms: -1 }
  const mean = zu / z
  return { mean, rms: Math.sqrt(Math.abs(zuu / z - mean * mean)) }
}

/** Gaussian of the profile; `failedFit` where it holds no light. */
export function fitProfile(profile: Profile, sums: ProfileSums): GaussianFit {
  if (!(sums.z > 0)) return failedFit
  const { mean, rms } = profileRms(sums)
  return fitGaussian(profile.centres, profile.contents, profile.bins, mean, rms)
}
