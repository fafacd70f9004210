/**
 * Pixels that a camera's pedestal map shows to be hot, noisy or dead: what they say is not light. For the display only:
 * the chain handles them by their own sigma.
 */
import type { PedestalMap } from './kernels/pedestal-map.ts'

/** Widths of the distribution over all pixels beyond which a pixel counts as hot. */
const widths = 12
/** Counts; a map of hardly any images has no width to speak of. */
const leastMeanDifference = 8
const leastSigmaDifference = 4

/** Indices (row * width + column), ascending. `sigma` may be empty: then only means decide. */
export function hotPixels({ mean, sigma }: Pick<PedestalMap, 'mean' | 'sigma'>): Uint32Array {
  const means = limitsOf(mean, leastMeanDifference)
  const sigmas = sigma.length === mean.length ? limitsOf(sigma, leastSigmaDifference) : undefined
  const found: number[] = []
  for (let index = 0; index < mean.length; index++) {
    const value = mean[index]!
    if (value < means.low || value > means.high || (sigmas !== undefined && sigma[index]! > sigmas.high)) {
      found.push(index)
    }
  }
  return Uint32Array.from(found)
}

/** Median and half of the middle 68 %, from every 31st value: 170 000 of a camera. */
function limitsOf(values: Float32Array, least: number): { low: number; high: number } {
  const step = values.length > 100_000 ? 31 : 1
  const sample = new Float32Array(Math.ceil(values.length / step))
  for (let index = 0; index < sample.length; index++) sample[index] = values[index * step]!
  sample.sort()
  const at = (share: number) => sample[Math.floor(share * (sample.length - 1))] ?? 0
  const reach = Math.max(least, widths * ((at(0.84) - at(0.16)) / 2))
  return { low: at(0.5) - reach, high: at(0.5) + reach }
}
