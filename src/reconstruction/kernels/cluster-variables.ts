/**
 * Stage 4: the variables of each cluster, from the full-resolution pixels of its macro-pixels only.
 *
 * Conventions (reference section "output branches"): *all* 16 pixels of each macro-pixel count, with
 * z = (raw - pedestal) / V(r) in counts, negative values included; *hits* are those above zero suppression. Lengths
 * are in full-resolution pixels; x is the column and y the row of the stored frame, pixel (0, 0) has its centre at
 * (0, 0).
 *
 * Not followed, because they are defects or follow from the mirrored image of the reference:
 *  - its x is the row of a mirrored frame; ours is the column as stored;
 *  - a pixel at or above the upper cut became *minus its pedestal* (it is zeroed before subtraction); here it adds 0;
 *  - theta came from the first eigenvector of an unsorted eigen-solver (sometimes the minor axis); ours is always the
 *    major axis;
 *  - rms along an axis was taken with negative weights (it may be imaginary); ours weights with max(0, z).
 * Profiles, peaks and fits: see cluster-profiles.ts and gaussian-fit.ts.
 */
import {
  beginProfile,
  createProfileSlices,
  fitProfile,
  growBins,
  lastPeak,
  profileRms,
  sliceSlack,
  unfitted,
} from './cluster-profiles.ts'
import type { ProfileSlices, ProfileSums } from './cluster-profiles.ts'
import { cellSide, fixedPerCount } from './image-cells.ts'
import type { ImageCalibration } from './image-cells.ts'
import type { CellPoints } from './noise-reducer.ts'
import type { ReconstructionParameters } from '../parameters.ts'

/** Quadratic model of gain saturation, counts; see `correctedIntegralCounts`. */
const saturation = { a: 0.13209, b: 0.0725, c: 1.6282 }
/** Where a z^2 + b z + c touches z: the correction acts above it. */
const saturationFromCounts = (1 - saturation.b) / (2 * saturation.a)

export interface ClusterVariables {
  /** Label given by the clustering; the cells of this cluster are the points with this label. */
  label: number
  /** Number of all pixels, 16 x macro-pixels (px). */
  sizePx: number
  /** Pixels above zero suppression and below the upper cut (px). */
  hitsPx: number
  macroPixels: number
  /** Sum of z (counts). */
  integralCounts: number
  /** sqrt(<z^2> - <z>^2) over all pixels (counts). */
  rmsCounts: number
  /** Sum max(0,z) x / sum max(0,z) (px); 0 when the integral is below `minimumBarycentreIntegralCounts`. */
  xMeanPx: number
  yMeanPx: number
  xMinPx: number
  xMaxPx: number
  yMinPx: number
  yMaxPx: number
  /** Largest minus smallest projection of the pixels on the major / minor axis of the unweighted covariance (px). */
  lengthPx: number
  widthPx: number
  /** Root of the max(0,z)-weighted variance of those projections (px). */
  longRmsPx: number
  latRmsPx: number
  /** Direction of the major axis, (-90, 90] degrees, from +x (columns) towards +y (rows, downwards on screen). */
  thetaDeg: number
  /** integral / hits (counts/px); 0 without hits. */
  densityCountsPerPx: number
  /** rms and integral above the quality cuts. */
  selected: boolean
  /** rms of the longitudinal / transverse profile, weights z with sign (px). */
  longFullRmsPx: number
  latFullRmsPx: number
  /** The peak farthest along the longitudinal profile; -999 without one. */
  longPeakAmplitudeCounts: number
  longPeakProminenceCounts: number
  longPeakMeanPx: number
  longPeakFwhmPx: number
  latPeakFwhmPx: number
  /** Gaussian of each profile; -999 below `fitMinimumIntegralCounts`; chi2 999 and status -1 where it failed. */
  latGaussAmplitudeCounts: number
  latGaussMeanPx: number
  latGaussSigmaPx: number
  latGaussChi2: number
  latGaussStatus: number
  longGaussAmplitudeCounts: number
  longGaussMeanPx: number
  longGaussSigmaPx: number
  longGaussChi2: number
  longGaussStatus: number
  /**
   * Sum of a z^2 + b z + c over all pixels (counts), a = 0.13209, b = 0.0725, c = 1.6282: from a0 = 0.1855,
   * sigma0 = 2.5 counts and 1.40434 counts per unit, measured with LEMON.
   */
  correctedIntegralCounts: number
  /** integral x `kevPerCount` (keV). */
  energyKev: number
  /** width / length. */
  slimness: number
}

export interface ClusterScratch {
  /** Start of each cluster's cells in `order`, one more than clusters. */
  start: Int32Array
  order: Int32Array
  long: ProfileSlices
  lat: ProfileSlices
  /** z rounded to 0.1 of all pixels, 16 for each place of `order`: see cluster-pixels.ts. Empty unless pixels are stored. */
  tenthCounts: Float32Array
}

export function createClusterScratch(cells: number): ClusterScratch {
  return {
    start: new Int32Array(cells + 1),
    order: new Int32Array(cells),
    long: createProfileSlices(),
    lat: createProfileSlices(),
    tenthCounts: new Float32Array(0),
  }
}

/** Groups the points by label: afterwards cluster k owns order[start[k]] .. order[start[k + 1] - 1]. */
export function groupByLabel(labels: Int32Array, count: number, clusters: number, scratch: ClusterScratch): void {
  const { start, order } = scratch
  start.fill(0, 0, clusters + 1)
  for (let index = 0; index < count; index++) {
    const label = labels[index]!
    if (label >= 0) start[label + 1] = start[label + 1]! + 1
  }
  for (let label = 0; label < clusters; label++) start[label + 1] = start[label + 1]! + start[label]!
  const next = start.slice(0, clusters)
  for (let index = 0; index < count; index++) {
    const label = labels[index]!
    if (label >= 0) {
      const at = next[label]!
      order[at] = index
      next[label] = at + 1
    }
  }
}

/**
 * Variables of all clusters with at least `minimumMacroPixels` cells, brightest first (ties: lower label first).
 * `groupByLabel` must have been called; `pixels` is the raw image the points came from.
 */
export function measureClusters(
  pixels: Uint16Array,
  calibration: ImageCalibration,
  points: CellPoints,
  clusters: number,
  parameters: ReconstructionParameters,
  scratch: ClusterScratch,
): ClusterVariables[] {
  const measured: ClusterVariables[] = []
  const needed = parameters.savePixels === 1 ? scratch.start[clusters]! * cellSide * cellSide : 0
  if (scratch.tenthCounts.length < needed) scratch.tenthCounts = new Float32Array(needed * 2)
  for (let label = 0; label < clusters; label++) {
    if (scratch.start[label + 1]! - scratch.start[label]! < parameters.minimumMacroPixels) continue
    measured.push(measureCluster(pixels, calibration, points, label, parameters, scratch))
  }
  return measured.sort((a, b) => b.integralCounts - a.integralCounts || a.label - b.label)
}

function measureCluster(
  pixels: Uint16Array,
  calibration: ImageCalibration,
  points: CellPoints,
  label: number,
  parameters: ReconstructionParameters,
  scratch: ClusterScratch,
): ClusterVariables {
  const { width, cellColumns, threshold, pedestalFixed, upperCut, lightCorrection } = calibration
  const { x, y } = points
  const { order } = scratch
  const begin = scratch.start[label]!
  const end = scratch.start[label + 1]!
  const cells = end - begin

  // Axes: covariance of the macro-pixel coordinates, unweighted.
  let sumX = 0
  let sumY = 0
  for (let at = begin; at < end; at++) {
    sumX += x[order[at]!]!
    sumY += y[order[at]!]!
  }
  const centreX = sumX / cells
  const centreY = sumY / cells
  let xx = 0
  let xy = 0
  let yy = 0
  for (let at = begin; at < end; at++) {
    const dx = x[order[at]!]! - centreX
    const dy = y[order[at]!]! - centreY
    xx += dx * dx
    xy += dx * dy
    yy += dy * dy
  }
  const angle = 0.5 * Math.atan2(2 * xy, xx - yy)
  const cosine = Math.cos(angle)
  const sine = Math.sin(angle)

  // Coordinates relative to the middle of the cluster keep the second moments accurate.
  const originX = Math.round(centreX) * cellSide
  const originY = Math.round(centreY) * cellSide
  let firstX = Infinity
  let lastX = -Infinity
  let firstY = Infinity
  let lastY = -Infinity
  let longMin = Infinity
  let longMax = -Infinity
  let latMin = Infinity
  let latMax = -Infinity
  for (let at = begin; at < end; at++) {
    const cellX = x[order[at]!]!
    const cellY = y[order[at]!]!
    if (cellX < firstX) firstX = cellX
    if (cellX > lastX) lastX = cellX
    if (cellY < firstY) firstY = cellY
    if (cellY > lastY) lastY = cellY
    // The extreme projections of a cell are those of its corner pixels.
    for (let corner = 0; corner < 4; corner++) {
      const dx = cellX * cellSide + (corner & 1) * (cellSide - 1) - originX
      const dy = cellY * cellSide + (corner >> 1) * (cellSide - 1) - originY
      const long = dx * cosine + dy * sine
      const lat = dy * cosine - dx * sine
      if (long < longMin) longMin = long
      if (long > longMax) longMax = long
      if (lat < latMin) latMin = lat
      if (lat > latMax) latMax = lat
    }
  }
  const lengthPx = longMax - longMin
  const widthPx = latMax - latMin
  beginProfile(scratch.long, lengthPx)
  beginProfile(scratch.lat, widthPx)
  const longPixels = scratch.long.pixels
  const longCounts = scratch.long.counts
  const latPixels = scratch.lat.pixels
  const latCounts = scratch.lat.counts

  const correctSaturation = parameters.saturationCorrection === 1
  const { tenthCounts } = scratch
  let hitsPx = 0
  let integral = 0
  let squares = 0
  let light = 0
  let lightX = 0
  let lightY = 0
  let lightLong = 0
  let lightLat = 0
  let lightLong2 = 0
  let lightLat2 = 0
  let longZu = 0
  let longZuu = 0
  let latZu = 0
  let latZuu = 0
  for (let at = begin; at < end; at++) {
    const cellX = x[order[at]!]!
    const cellY = y[order[at]!]!
    const correction = lightCorrection[cellY * cellColumns + cellX]! / fixedPerCount
    const tenths = (10 * lightCorrection[cellY * cellColumns + cellX]!) / fixedPerCount
    let place = at * cellSide * cellSide
    for (let stepY = 0; stepY < cellSide; stepY++) {
      const row = cellY * cellSide + stepY
      const dy = row - originY
      const longOfRow = dy * sine - longMin
      const latOfRow = dy * cosine - latMin
      let index = row * width + cellX * cellSide
      for (let stepX = 0; stepX < cellSide; stepX++, index++, place++) {
        const dx = cellX * cellSide + stepX - originX
        const long = dx * cosine + longOfRow
        const lat = latOfRow - dx * sine
        const longSlice = (long + sliceSlack) | 0
        const latSlice = (lat + sliceSlack) | 0
        longPixels[longSlice] = longPixels[longSlice]! + 1
        latPixels[latSlice] = latPixels[latSlice]! + 1
        const raw = pixels[index]!
        if (raw >= upperCut) {
          tenthCounts[place] = 0
          continue
        }
        const fixed = (raw << 8) - pedestalFixed[index]!
        // Beyond its end, where no pixels are stored, this does nothing.
        tenthCounts[place] = Math.floor(fixed * tenths + 0.5) / 10
        let z = fixed * correction
        if (correctSaturation && z > saturationFromCounts) z = (saturation.a * z + saturation.b) * z + saturation.c
        integral += z
        squares += z * z
        longCounts[longSlice] = longCounts[longSlice]! + z
        latCounts[latSlice] = latCounts[latSlice]! + z
        longZu += z * long
        longZuu += z * long * long
        latZu += z * lat
        latZuu += z * lat * lat
        if (raw > threshold[index]!) hitsPx++
        if (z > 0) {
          light += z
          lightX += z * dx
          lightY += z * dy
          lightLong += z * long
          lightLat += z * lat
          lightLong2 += z * long * long
          lightLat2 += z * lat * lat
        }
      }
    }
  }
  const longSums: ProfileSums = { z: integral, zu: longZu, zuu: longZuu }
  const latSums: ProfileSums = { z: integral, zu: latZu, zuu: latZuu }
  const sizePx = cells * cellSide * cellSide
  const mean = integral / sizePx
  const rmsCounts = Math.sqrt(Math.max(0, squares / sizePx - mean * mean))
  const hasBarycentre = integral >= parameters.minimumBarycentreIntegralCounts && light > 0
  const thetaDeg = (angle * 180) / Math.PI
  const longProfile = growBins(scratch.long, parameters.longProfileError)
  const latProfile = growBins(scratch.lat, parameters.latProfileError)
  const longPeak = lastPeak(longProfile, parameters)
  const fitted = integral > parameters.fitMinimumIntegralCounts
  const longGauss = fitted ? fitProfile(longProfile, longSums) : unfitted
  const latGauss = fitted ? fitProfile(latProfile, latSums) : unfitted
  return {
    label,
    sizePx,
    hitsPx,
    macroPixels: cells,
    integralCounts: integral,
    rmsCounts,
    xMeanPx: hasBarycentre ? originX + lightX / light : 0,
    yMeanPx: hasBarycentre ? originY + lightY / light : 0,
    xMinPx: firstX * cellSide,
    xMaxPx: lastX * cellSide + cellSide - 1,
    yMinPx: firstY * cellSide,
    yMaxPx: lastY * cellSide + cellSide - 1,
    lengthPx,
    widthPx,
    longRmsPx: light > 0 ? Math.sqrt(Math.max(0, lightLong2 / light - (lightLong / light) ** 2)) : 0,
    latRmsPx: light > 0 ? Math.sqrt(Math.max(0, lightLat2 / light - (lightLat / light) ** 2)) : 0,
    thetaDeg: thetaDeg <= -90 ? 90 : thetaDeg,
    densityCountsPerPx: hitsPx > 0 ? integral / hitsPx : 0,
    selected: rmsCounts > parameters.selectionMinimumRmsCounts && integral > parameters.selectionMinimumIntegralCounts,
    longFullRmsPx: profileRms(longSums).rms,
    latFullRmsPx: profileRms(latSums).rms,
    longPeakAmplitudeCounts: longPeak.amplitudeCounts,
    longPeakProminenceCounts: longPeak.prominenceCounts,
    longPeakMeanPx: longPeak.meanPx,
    longPeakFwhmPx: longPeak.fwhmPx,
    latPeakFwhmPx: lastPeak(latProfile, parameters).fwhmPx,
    latGaussAmplitudeCounts: latGauss.amplitude,
    latGaussMeanPx: latGauss.mean,
    latGaussSigmaPx: latGauss.sigma,
    latGaussChi2: latGauss.chi2,
    latGaussStatus: latGauss.status,
    longGaussAmplitudeCounts: longGauss.amplitude,
    longGaussMeanPx: longGauss.mean,
    longGaussSigmaPx: longGauss.sigma,
    longGaussChi2: longGauss.chi2,
    longGaussStatus: longGauss.status,
    correctedIntegralCounts: saturation.a * squares + saturation.b * integral + saturation.c * sizePx,
    energyKev: integral * parameters.kevPerCount,
    slimness: lengthPx > 0 ? widthPx / lengthPx : 0,
  }
}
