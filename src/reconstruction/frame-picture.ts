/** Frames for looking at: views of the pixels, smaller copies, a grey PNG. Pure. */
import { crc32, deflateSync } from 'node:zlib'
import { cellSide } from './kernels/image-cells.ts'

export interface Values {
  width: number
  height: number
  values: Float32Array
}

/** Counts above pedestal, and corrected for vignetting when the factors per cell of 4 x 4 pixels are given. */
export function abovePedestal(
  { width, height, pixels }: { width: number; height: number; pixels: Uint16Array },
  mean: Float32Array,
  lightCorrection: Float32Array | undefined,
): Values {
  const values = new Float32Array(pixels.length)
  const columns = Math.ceil(width / cellSide)
  for (let row = 0, index = 0; row < height; row++) {
    const cellRow = Math.floor(row / cellSide) * columns
    for (let column = 0; column < width; column++, index++) {
      const factor = lightCorrection === undefined ? 1 : (lightCorrection[cellRow + (column >> 2)] ?? 1)
      values[index] = (pixels[index]! - mean[index]!) * factor
    }
  }
  return { width, height, values }
}

/** Means of `side` x `side` pixels; what is left over at the right and lower edge is dropped. */
export function reduced(
  frame: { width: number; height: number; values: Float32Array | Uint16Array },
  side: number,
): Values {
  const width = Math.max(1, Math.floor(frame.width / side))
  const height = Math.max(1, Math.floor(frame.height / side))
  const values = new Float32Array(width * height)
  for (let row = 0; row < height; row++) {
    for (let inner = 0; inner < side; inner++) {
      let from = (row * side + inner) * frame.width
      for (let column = 0; column < width; column++) {
        let sum = 0
        for (let step = 0; step < side; step++) sum += frame.values[from++]!
        values[row * width + column]! += sum
      }
    }
  }
  const pixels = side * side
  for (let index = 0; index < values.length; index++) values[index]! /= pixels
  return { width, height, values }
}

/** As fine as 16 bits allow, by powers of two; 1 for whole counts. */
export function scaleFor(values: Float32Array, most: number): number {
  let largest = 1
  for (let index = 0; index < values.length; index++) {
    const size = Math.abs(values[index]!)
    if (size > largest) largest = size
  }
  let scale = 16
  while (scale > 1 && largest * scale > most) scale /= 2
  return scale
}

export function asUint16(values: Float32Array, scale: number): Uint16Array {
  const stored = new Uint16Array(values.length)
  for (let index = 0; index < stored.length; index++) {
    stored[index] = Math.min(65_535, Math.max(0, Math.round(values[index]! * scale)))
  }
  return stored
}

export function asInt16(values: Float32Array, scale: number): Int16Array {
  const stored = new Int16Array(values.length)
  for (let index = 0; index < stored.length; index++) {
    stored[index] = Math.min(32_767, Math.max(-32_768, Math.round(values[index]! * scale)))
  }
  return stored
}

/** Limits that leave 0.5 % dark and 0.35 % bright, from a sample of the values. */
export function middleOf(values: Float32Array): { low: number; high: number } {
  const step = Math.max(1, Math.floor(values.length / 50_000))
  const sample = new Float32Array(Math.ceil(values.length / step))
  for (let index = 0; index < sample.length; index++) sample[index] = values[index * step]!
  sample.sort()
  const low = sample[Math.floor(0.005 * (sample.length - 1))] ?? 0
  return { low, high: Math.max(sample[Math.floor(0.9965 * (sample.length - 1))] ?? 1, low + 1) }
}

/** An 8-bit grey PNG (ISO/IEC 15948), black at `low`, white at `high`. */
export function greyPng({ width, height, values }: Values, low: number, high: number): Uint8Array {
  const lines = new Uint8Array((width + 1) * height)
  const factor = 255 / Math.max(high - low, 1e-9)
  for (let row = 0, at = 0, index = 0; row < height; row++) {
    lines[at++] = 0
    for (let column = 0; column < width; column++, index++) {
      lines[at++] = Math.min(255, Math.max(0, Math.round((values[index]! - low) * factor)))
    }
  }
  const head = Buffer.alloc(13)
  head.writeUInt32BE(width, 0)
  head.writeUInt32BE(height, 4)
  head.set([8, 0, 0, 0, 0], 8)
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', head),
    chunk('IDAT', deflateSync(lines, { level: 1 })),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

function chunk(name: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(name, 'latin1'), data])
  const sizes = Buffer.alloc(8)
  sizes.writeUInt32BE(data.length, 0)
  sizes.writeUInt32BE(crc32(body), 4)
  return Buffer.concat([sizes.subarray(0, 4), body, sizes.subarray(4)])
}
