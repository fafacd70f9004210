/**
 * Mean and rms of every pixel over the images of a pedestal run, in one pass and without keeping the images.
 *
 * The sums are of integers (raw pixel minus the pixel of the first image), so they are exact and independent of the
 * order of the images. Source: the reference keeps mean and rms = sqrt(sum (x - mean)^2 / (n - 1)) over two passes.
 *
 * Not followed: the reference rejects nothing. A particle or spark in one image of a short run would leave a scar,
 * therefore the largest value of each pixel is set aside as well, and is left out when it lies more than
 * `peakRejectionSigma` sigma (and `peakRejectionFloorCounts`) above the mean of the others.
 */

export interface PedestalAccumulator {
  width: number
  height: number
  images: number
  /** First image: the origin the sums are taken from, so that they stay small. */
  origin: Uint16Array
  peak: Uint16Array
  sum: Int32Array
  squares: Float64Array
}

export interface PedestalMap {
  width: number
  height: number
  images: number
  /** counts, row by row. */
  mean: Float32Array
  /** counts, sample standard deviation, row by row. */
  sigma: Float32Array
}

export const peakRejectionSigma = 8
export const peakRejectionFloorCounts = 20
/** Fewer images than this give no usable rms. The reference asks for 100; fewer are accepted and noted. */
export const minimumPedestalImages = 5

export function createPedestalAccumulator(width: number, height: number): PedestalAccumulator {
  const pixels = width * height
  return {
    width,
    height,
    images: 0,
    origin: new Uint16Array(pixels),
    peak: new Uint16Array(pixels),
    sum: new Int32Array(pixels),
    squares: new Float64Array(pixels),
  }
}

/** Adds one image of `width * height` raw pixels. Exact up to 32 000 images (int32 sum of 16-bit differences). */
export function addPedestalImage(accumulator: PedestalAccumulator, pixels: Uint16Array): void {
  const { origin, peak, sum, squares } = accumulator
  const length = sum.length
  if (pixels.length !== length) throw new RangeError(`pedestal image has ${pixels.length} pixels instead of ${length}`)
  if (accumulator.images === 0) {
    origin.set(pixels)
    peak.set(pixels)
  } else {
    for (let index = 0; index < length; index++) {
      const raw = pixels[index]!
      const difference = raw - origin[index]!
      sum[index] = sum[index]! + difference
      squares[index] = squares[index]! + difference * difference
      if (raw > peak[index]!) peak[index] = raw
    }
  }
  accumulator.images++
}

/** Mean and sample rms per pixel, and in how many pixels the largest value was left out. */
export function finishPedestalMap(accumulator: PedestalAccumulator): { map: PedestalMap; rejectedPeaks: number } {
  const { width, height, images, origin, peak, sum, squares } = accumulator
  const length = sum.length
  const mean = new Float32Array(length)
  const sigma = new Float32Array(length)
  let rejectedPeaks = 0
  const canReject = images >= 4
  for (let index = 0; index < length; index++) {
    const total = sum[index]!
    const square = squares[index]!
    let average = total / images
    let variance = images > 1 ? (square - total * average) / (images - 1) : 0
    if (canReject) {
      const top = peak[index]! - origin[index]!
      const others = images - 1
      const restAverage = (total - top) / others
      const restVariance = Math.max(0, (square - top * top - (total - top) * restAverage) / (others - 1))
      const excess = top - restAverage
      if (
        excess > peakRejectionFloorCounts &&
        excess * excess > peakRejectionSigma * peakRejectionSigma * restVariance
      ) {
        average = restAverage
        variance = restVariance
        rejectedPeaks++
      }
    }
    mean[index] = origin[index]! + average
    sigma[index] = Math.sqrt(Math.max(0, variance))
  }
  return { map: { width, height, images, mean, sigma }, rejectedPeaks }
}

export interface PedestalQuality {
  images: number
  meanCounts: number
  medianSigmaCounts: number
  sigma99Counts: number
  sigma999Counts: number
  hotPixels: number
  deadPixels: number
  rejectedPeaks: number
  warnings: string[]
}

/**
 * What a person looks at before trusting a map. Sanity ranges 97..103 (mean) and 0..10 counts (rms) are those of
 * the reference's check histograms; a hot pixel lies more than 20 counts off the median mean.
 */
export function judgePedestalMap(map: PedestalMap, rejectedPeaks: number): PedestalQuality {
  // Quantiles from an even sample of the pixels: sorting five million floats takes a second and says the same.
  const stride = Math.max(1, Math.floor(map.mean.length / 200_000)) | 1
  const sample = (values: Float32Array) => values.filter((_, index) => index % stride === 0).sort()
  const sortedSigma = sample(map.sigma)
  const sortedMean = sample(map.mean)
  const at = (values: Float32Array, share: number) =>
    values[Math.min(values.length - 1, Math.floor(values.length * share))] ?? 0
  const medianMean = at(sortedMean, 0.5)
  let total = 0
  let hotPixels = 0
  let deadPixels = 0
  for (let index = 0; index < map.mean.length; index++) {
    const value = map.mean[index]!
    total += value
    if (Math.abs(value - medianMean) > 20) hotPixels++
    if (map.sigma[index] === 0) deadPixels++
  }
  const meanCounts = total / map.mean.length
  const warnings: string[] = []
  if (map.images < 100) warnings.push(`made from ${map.images} images; 100 or more are usual`)
  if (meanCounts < 97 || meanCounts > 103) warnings.push(`mean ${meanCounts.toFixed(2)} counts is outside 97..103`)
  const medianSigmaCounts = at(sortedSigma, 0.5)
  if (medianSigmaCounts > 10) warnings.push(`median rms ${medianSigmaCounts.toFixed(2)} counts is above 10`)
  return {
    images: map.images,
    meanCounts,
    medianSigmaCounts,
    sigma99Counts: at(sortedSigma, 0.99),
    sigma999Counts: at(sortedSigma, 0.999),
    hotPixels,
    deadPixels,
    rejectedPeaks,
    warnings,
  }
}
