/** What is made once of each image: its histograms and its smaller copies. Pure; runs in a worker. */
import type { Counts } from './window-level.ts'

/** A copy of the image at 1/2, 1/4 or 1/8: true value of a mean = stored / meanScale + meanFrom. */
export interface Level {
  width: number
  height: number
  mean: Uint16Array<ArrayBuffer>
  meanScale: number
  meanFrom: number
  max: Uint16Array<ArrayBuffer>
}

export interface Frame {
  width: number
  height: number
  /** Stored = true value + offset, so that subtracted (signed) images fit an unsigned texture. */
  pixels: Uint16Array<ArrayBuffer>
  offset: number
  levels: Level[]
  all: Counts
  /** Without pixels that stand far above all their neighbours. */
  connected: Counts
}

export const levelCount = 3

/** Bytes of the API (little-endian uint16, or int16 when signed) to a frame with everything drawing needs. */
export function frameOf(bytes: ArrayBuffer, width: number, height: number, signed: boolean): Frame {
  const offset = signed ? 32_768 : 0
  const pixels = new Uint16Array(bytes)
  if (pixels.length !== width * height)
    throw new RangeError(`frame of ${width} x ${height} has ${pixels.length} pixels`)
  if (signed) {
    // Adding 32768 to a two's complement number is flipping its sign bit.
    for (let index = 0; index < pixels.length; index += 1) pixels[index] = (pixels[index] ?? 0) ^ 0x8000
  }
  const { all, connected } = countsOf(pixels, width, height, offset)
  return { width, height, pixels, offset, levels: levelsOf(pixels, width, height, offset), all, connected }
}

/** True value of a pixel, or undefined outside of the image. */
export function pixelAt(
  frame: Pick<Frame, 'pixels' | 'width' | 'height' | 'offset'>,
  x: number,
  y: number,
): number | undefined {
  const column = Math.floor(x)
  const row = Math.floor(y)
  if (column < 0 || row < 0 || column >= frame.width || row >= frame.height) return undefined
  const stored = frame.pixels[row * frame.width + column]
  return stored === undefined ? undefined : stored - frame.offset
}

function countsOf(
  pixels: Uint16Array,
  width: number,
  height: number,
  offset: number,
): { all: Counts; connected: Counts } {
  const all = new Uint32Array(65_536)
  const connected = new Uint32Array(65_536)
  let lonely = 0
  for (let row = 0; row < height; row += 1) {
    const above = row > 0 ? -width : width
    const below = row < height - 1 ? width : -width
    for (let column = 0; column < width; column += 1) {
      const index = row * width + column
      const value = pixels[index]!
      all[value]! += 1
      const side = Math.max(
        pixels[column > 0 ? index - 1 : index + 1]!,
        pixels[column < width - 1 ? index + 1 : index - 1]!,
      )
      const neighbour = Math.max(side, pixels[index + above] ?? 0, pixels[index + below] ?? 0)
      // 20 counts is about seven times the noise of one pixel of the cameras we know.
      if (value - neighbour > 20) lonely += 1
      else connected[value]! += 1
    }
  }
  return {
    all: { bins: all, offset, total: pixels.length },
    connected: { bins: connected, offset, total: pixels.length - lonely },
  }
}

function levelsOf(pixels: Uint16Array, width: number, height: number, offset: number): Level[] {
  const levels: Level[] = []
  let sums: Float32Array | Uint16Array = pixels
  let tops: Uint16Array = pixels
  let fromWidth = width
  let fromHeight = height
  for (let level = 0; level < levelCount; level += 1) {
    const nextWidth = Math.max(fromWidth >> 1, 1)
    const nextHeight = Math.max(fromHeight >> 1, 1)
    const means = new Float32Array(nextWidth * nextHeight)
    const max = new Uint16Array(nextWidth * nextHeight)
    let least = Infinity
    let most = -Infinity
    for (let row = 0; row < nextHeight; row += 1) {
      for (let column = 0; column < nextWidth; column += 1) {
        const a = Math.min(row * 2, fromHeight - 1) * fromWidth + Math.min(column * 2, fromWidth - 1)
        const right = column * 2 + 1 < fromWidth ? 1 : 0
        const down = row * 2 + 1 < fromHeight ? fromWidth : 0
        const mean = (sums[a]! + sums[a + right]! + sums[a + down]! + sums[a + down + right]!) / 4
        const at = row * nextWidth + column
        means[at] = mean
        if (mean < least) least = mean
        if (mean > most) most = mean
        max[at] = Math.max(tops[a]!, tops[a + right]!, tops[a + down]!, tops[a + down + right]!)
      }
    }
    // As fine as 16 bits allow: a mean of noise must not become stairs of whole counts.
    const meanScale = Math.min(64, 65_535 / Math.max(most - least, 1))
    const mean = new Uint16Array(means.length)
    for (let index = 0; index < means.length; index += 1) mean[index] = Math.round((means[index]! - least) * meanScale)
    levels.push({ width: nextWidth, height: nextHeight, mean, meanScale, meanFrom: least - offset, max })
    sums = means
    tops = max
    fromWidth = nextWidth
    fromHeight = nextHeight
  }
  return levels
}
