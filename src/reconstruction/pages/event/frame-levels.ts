/** What is made once of each image: its histograms and its smaller copies. Pure; runs in a worker. */
import { pedestalScale } from '../../contract.ts'
import type { FrameViewName } from '../../contract.ts'
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
  view: FrameViewName
  /** What is drawn. Stored = value + offset, so that what may be negative fits an unsigned texture. */
  pixels: Uint16Array<ArrayBuffer>
  offset: number
  /** As read out, where `pixels` are not that. */
  raw: Uint16Array<ArrayBuffer> | undefined
  /** Values as read out of the pixels that are drawn as their neighbours, by index (row * width + column). */
  masked: ReadonlyMap<number, number>
  /** Pixels at the end of the converter's range, at most `mostSaturated`. */
  saturated: Uint32Array
  /** Made from a small copy that came first: single pixels are not known yet. */
  coarse: boolean
  levels: Level[]
  all: Counts
  /** Without masked pixels and those that stand far above all their neighbours. */
  connected: Counts
}

/** How much light reaches the sensor at r pixels from the middle: 1 + quadratic (r/radius)^2 + quartic (r/radius)^4. */
export interface Light {
  quadratic: number
  quartic: number
  radiusPx: number
}

/** What a view is made of, besides the pixels. Stored pedestal = counts * 16. */
export interface Against {
  pedestal: Uint16Array
  light: Light
  /** Indices of hot, noisy and dead pixels, ascending. */
  hot: Uint32Array
}

export const levelCount = 3
const signedOffset = 32_768
const saturatedFrom = 65_535
export const mostSaturated = 20_000

/**
 * A frame with everything drawing needs from pixels as read out (uint16). Views other than raw need `against`; with it
 * and `masking`, hot pixels are drawn as their neighbours.
 */
export function frameOf(
  raw: Uint16Array<ArrayBuffer>,
  width: number,
  height: number,
  view: FrameViewName,
  against: Partial<Against>,
  masking: boolean,
): Frame {
  if (raw.length !== width * height) throw new RangeError(`frame of ${width} x ${height} has ${raw.length} pixels`)
  const saturated: number[] = []
  for (let index = 0; index < raw.length && saturated.length < mostSaturated; index += 1) {
    if (raw[index]! >= saturatedFrom) saturated.push(index)
  }
  const offset = view === 'raw' ? 0 : signedOffset
  const hot = masking ? (against.hot ?? new Uint32Array(0)) : new Uint32Array(0)
  const masked = new Map<number, number>()
  for (const index of hot) masked.set(index, raw[index] ?? 0)
  const pixels = view === 'raw' ? raw : seenAgainst(raw, width, height, view, against)
  hide(pixels, width, height, masked)
  const { all, connected } = countsOf(pixels, width, height, offset)
  return {
    width,
    height,
    view,
    pixels,
    offset,
    raw: view === 'raw' ? undefined : raw,
    masked,
    saturated: Uint32Array.from(saturated),
    coarse: false,
    levels: levelsOf(pixels, width, height, offset),
    all,
    connected,
  }
}

/** Counts above pedestal, corrected for vignetting in cells of 4 x 4 pixels as the chain does; whole counts. */
function seenAgainst(
  raw: Uint16Array,
  width: number,
  height: number,
  view: FrameViewName,
  { pedestal, light }: Partial<Against>,
): Uint16Array<ArrayBuffer> {
  if (pedestal?.length !== raw.length) throw new RangeError('the pedestal map does not fit the image')
  const stored = new Uint16Array(raw.length)
  const factors = new Float32Array(Math.ceil(width / 4)).fill(1)
  for (let row = 0, index = 0; row < height; row += 1) {
    if (view === 'calibrated' && light !== undefined && row % 4 === 0) {
      for (let cell = 0; cell < factors.length; cell += 1) {
        factors[cell] = 1 / lightAt(light, cell * 4 + 2 - width / 2, row + 2 - height / 2)
      }
    }
    for (let column = 0; column < width; column += 1, index += 1) {
      const counts = (raw[index]! - pedestal[index]! / pedestalScale) * factors[column >> 2]!
      stored[index] = Math.min(65_535, Math.max(0, Math.round(counts) + signedOffset))
    }
  }
  return stored
}

/** Share of the light that arrives at a place, from the middle of the frame; at least 0.05 as in the chain. */
export function lightAt(light: Light, x: number, y: number): number {
  const square = (x * x + y * y) / (light.radiusPx * light.radiusPx)
  return Math.max(0.05, 1 + light.quadratic * square + light.quartic * square * square)
}

/** Masked pixels get the mean of those of their eight neighbours that are not masked. */
function hide(pixels: Uint16Array, width: number, height: number, masked: ReadonlyMap<number, number>): void {
  for (const index of masked.keys()) {
    const [column, row] = [index % width, Math.floor(index / width)]
    let sum = 0
    let count = 0
    for (let y = Math.max(row - 1, 0); y <= Math.min(row + 1, height - 1); y += 1) {
      for (let x = Math.max(column - 1, 0); x <= Math.min(column + 1, width - 1); x += 1) {
        const neighbour = y * width + x
        if (masked.has(neighbour)) continue
        sum += pixels[neighbour]!
        count += 1
      }
    }
    if (count > 0) pixels[index] = Math.round(sum / count)
  }
}

/**
 * A frame of full size from means of `side` x `side` pixels (stored = mean * scale), to look at until the pixels come.
 * Copies that are smaller than it are as exact as they will be.
 */
export function coarseFrame(
  bytes: ArrayBuffer,
  small: { width: number; height: number; scale: number },
  full: { width: number; height: number },
  view: FrameViewName,
): Frame {
  const values = view === 'raw' ? new Uint16Array(bytes) : new Int16Array(bytes)
  const offset = view === 'raw' ? 0 : signedOffset
  const { width, height } = full
  const side = Math.max(1, Math.round(width / small.width))
  const pixels = new Uint16Array(width * height)
  const means = new Float32Array(values.length)
  const rounded = new Uint16Array(values.length)
  for (let index = 0; index < values.length; index += 1) {
    means[index] = values[index]! / small.scale + offset
    rounded[index] = Math.min(65_535, Math.max(0, Math.round(means[index]!)))
  }
  for (let row = 0; row < height; row += 1) {
    const from = Math.min(Math.floor(row / side), small.height - 1) * small.width
    for (let column = 0; column < width; column += 1) {
      pixels[row * width + column] = rounded[from + Math.min(Math.floor(column / side), small.width - 1)]!
    }
  }
  const { all, connected } = countsOf(rounded, small.width, small.height, offset)
  const levels = levelsOf(pixels, width, height, offset)
  const exact = levels[Math.round(Math.log2(side)) - 1]
  if (exact?.width === small.width && exact.height === small.height) {
    Object.assign(exact, packed(means, offset), { max: rounded })
  }
  return {
    width,
    height,
    view,
    pixels,
    offset,
    raw: undefined,
    masked: new Map(),
    saturated: new Uint32Array(0),
    coarse: true,
    levels,
    all,
    connected,
  }
}

/** Value as read out; undefined outside of the image and while only a small copy is known. */
export function rawAt(frame: Frame, column: number, row: number): number | undefined {
  if (frame.coarse || column < 0 || row < 0 || column >= frame.width || row >= frame.height) return undefined
  const index = row * frame.width + column
  return frame.raw?.[index] ?? frame.masked.get(index) ?? frame.pixels[index]
}

/** Drawn value of a pixel, or undefined outside of the image. */
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
    for (let row = 0; row < nextHeight; row += 1) {
      for (let column = 0; column < nextWidth; column += 1) {
        const a = Math.min(row * 2, fromHeight - 1) * fromWidth + Math.min(column * 2, fromWidth - 1)
        const right = column * 2 + 1 < fromWidth ? 1 : 0
        const down = row * 2 + 1 < fromHeight ? fromWidth : 0
        const mean = (sums[a]! + sums[a + right]! + sums[a + down]! + sums[a + down + right]!) / 4
        const at = row * nextWidth + column
        means[at] = mean
        max[at] = Math.max(tops[a]!, tops[a + right]!, tops[a + down]!, tops[a + down + right]!)
      }
    }
    levels.push({ width: nextWidth, height: nextHeight, ...packed(means, offset), max })
    sums = means
    tops = max
    fromWidth = nextWidth
    fromHeight = nextHeight
  }
  return levels
}

/** Means in 16 bits, as fine as those allow: a mean of noise must not become stairs of whole counts. */
function packed(means: Float32Array, offset: number): Pick<Level, 'mean' | 'meanScale' | 'meanFrom'> {
  let least = Infinity
  let most = -Infinity
  for (const mean of means) {
    if (mean < least) least = mean
    if (mean > most) most = mean
  }
  const meanScale = Math.min(64, 65_535 / Math.max(most - least, 1))
  const mean = new Uint16Array(means.length)
  for (let index = 0; index < means.length; index += 1) mean[index] = Math.round((means[index]! - least) * meanScale)
  return { mean, meanScale, meanFrom: least - offset }
}
