import type { DetectorModel } from './detector-model.ts'
import { Random, gaussianTable } from './random.ts'

/** The camera without light: mean and rms of every pixel, in counts. */
export interface Sensor {
  width: number
  height: number
  mean: Float32Array
  rms: Float32Array
  table: Float32Array
}

const electronicOffsetCounts = 99
const pixelOffsetRms = 1.4
const rowNoiseRms = 0.2
const noisyFraction = 0.003
const hotFraction = 1e-5

/** Electrons per pixel and second: the model's at -5 C, two fifths of it every 10 C colder (0.5 at -5 C, 0.2 at -15 C). */
export const darkRate = ({ darkElectronsPerSecond, sensorCelsius }: DetectorModel): number =>
  darkElectronsPerSecond * 0.4 ** ((-5 - sensorCelsius) / 10)

/**
 * A sensor with the structure seen in real pedestals: brighter first and last rows, a central band that widens downwards, darker sides, dark columns
 * every 205 pixels, patterns of columns and rows, offsets of single pixels, a tail of noisy pixels, hot pixels. The pattern belongs to the camera
 * (`detectorSeed`), so that a pedestal run fits the data runs after it; half of the hot pixels change with the run (`runSeed`).
 * Dark current adds its mean and its noise.
 */
export function makeSensor(
  width: number,
  height: number,
  model: DetectorModel,
  exposureMs: number,
  camera: number,
  detectorSeed: number,
  runSeed: (number | string)[],
): Sensor {
  const random = new Random(detectorSeed, 'sensor', ...(camera === 0 ? [] : [camera]))
  const { electronsPerCount, readNoiseElectrons } = model
  const darkElectrons = darkRate(model) * (exposureMs / 1000)
  const offset = electronicOffsetCounts + darkElectrons / electronsPerCount
  const table = gaussianTable()
  const columnPattern = Float32Array.from({ length: width }, (_, x) => {
    const side = Math.exp(-x / (0.02 * width)) + Math.exp(-(width - 1 - x) / (0.02 * width))
    return offset - 1.5 * side + 0.25 * random.gaussian() - (x % 205 === 102 || x % 205 === 103 ? 1.2 : 0)
  })
  const edgeShape = Float32Array.from({ length: width }, (_, x) => 1 + 0.6 * Math.sin((x / width) * 11.5 - 1.6))
  const rowPattern = Float32Array.from({ length: height }, () => 0.3 * random.gaussian())
  const mean = new Float32Array(width * height)
  const rms = new Float32Array(width * height)
  const noise = Math.sqrt(readNoiseElectrons ** 2 + darkElectrons) / electronsPerCount
  const band = new Float32Array(width)
  for (let y = 0; y < height; y++) {
    const down = y / height
    const edge = 4 * Math.exp(-y / (0.018 * height)) + 2.5 * Math.exp(-(height - 1 - y) / (0.02 * height))
    if (y % 8 === 0)
      for (let x = 0; x < width; x++)
        band[x] = (0.3 + 0.7 * down) * Math.exp(-0.5 * (((x + 0.5) / width - 0.5) / (0.04 + 0.05 * down)) ** 2)
    const row = rowPattern[y] as number
    for (let x = 0, i = y * width; x < width; x++, i++) {
      const bits = random.next()
      const central = band[x] as number
      mean[i] =
        (columnPattern[x] as number) +
        row +
        edge * (edgeShape[x] as number) +
        1.5 * central +
        pixelOffsetRms * (table[bits & 0xffff] as number)
      rms[i] = noise * (1 + 0.08 * central + 0.06 * (table[bits >>> 16] as number))
    }
  }
  for (let n = Math.round(noisyFraction * width * height); n > 0; n--) {
    const i = Math.floor(random.uniform() * width * height)
    rms[i] = Math.min(20, (rms[i] as number) * random.between(2, 6))
  }
  const hot = (source: Random): void => {
    for (let n = Math.round((hotFraction * width * height) / 2); n > 0; n--) {
      const i = Math.floor(source.uniform() * width * height)
      const extra = source.between(20, 200)
      mean[i] = (mean[i] as number) + extra
      rms[i] = Math.hypot(rms[i] as number, Math.sqrt(extra / electronsPerCount))
    }
  }
  hot(random)
  hot(new Random(...runSeed, 'hot pixels', ...(camera === 0 ? [] : [camera])))
  return { width, height, mean, rms, table }
}

/** One dark exposure into `pixels`: every pixel its mean and noise, every row a common shift of 0.2 counts rms. */
export function exposeDark(sensor: Sensor, random: Random, pixels: Uint16Array): void {
  const { width, height, mean, rms, table } = sensor
  // xorshift128 on local variables: the generator object would cost as much as the rest of the loop.
  let a = random.next() | 1
  let b = random.next()
  let c = random.next()
  let d = random.next()
  for (let y = 0, i = 0; y < height; y++) {
    const shift = rowNoiseRms * random.gaussian() + 0.5
    const end = i + width
    for (; i < end; i += 2) {
      const t = a ^ (a << 11)
      a = b
      b = c
      c = d
      d = d ^ (d >>> 19) ^ t ^ (t >>> 8)
      pixels[i] = (mean[i] as number) + shift + (rms[i] as number) * (table[d & 0xffff] as number)
      pixels[i + 1] = (mean[i + 1] as number) + shift + (rms[i + 1] as number) * (table[d >>> 16] as number)
    }
  }
}
