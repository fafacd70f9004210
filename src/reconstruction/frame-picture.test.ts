import { inflateSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { abovePedestal, asInt16, asUint16, greyPng, middleOf, reduced, scaleFor } from './frame-picture.ts'
import { hotPixels } from './hot-pixels.ts'
import { lightCorrectionOf } from './kernels/vignetting.ts'
import { defaultParameters } from './parameters.ts'

describe('frames for looking at', () => {
  it('keeps the mean, whatever the numbers', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 65_535 }), { minLength: 64, maxLength: 64 }), (numbers) => {
        const small = reduced({ width: 8, height: 8, values: Uint16Array.from(numbers) }, 4)
        expect([small.width, small.height]).toEqual([2, 2])
        const mean = (list: ArrayLike<number>) => Array.from(list).reduce((sum, one) => sum + one, 0) / list.length
        expect(mean(small.values)).toBeCloseTo(mean(numbers), 1)
        const scale = scaleFor(small.values, 65_535)
        asUint16(small.values, scale).forEach((stored, index) =>
          expect(Math.abs(stored / scale - small.values[index]!)).toBeLessThanOrEqual(0.51 / scale),
        )
      }),
    )
  })

  it('takes off the pedestal and, when asked to, the loss of light towards the edge', () => {
    const side = 64
    const frame = { width: side, height: side, pixels: new Uint16Array(side * side).fill(150) }
    const mean = new Float32Array(side * side).fill(99.5)
    expect(new Set(abovePedestal(frame, mean, undefined).values)).toEqual(new Set([50.5]))
    const light = lightCorrectionOf(side, side, defaultParameters)
    const { values } = abovePedestal(frame, mean, light)
    expect(values[(side / 2) * side + side / 2]).toBeCloseTo(50.5, 0)
    // The middle of the corner's cell: r/R = 42.4/32, 1 - 0.4 * 1.758 + 0.013 * 3.09 = 0.337 of the light is left.
    expect(values[0]! / 50.5).toBeCloseTo(1 / 0.337, 1)
    expect(asInt16(Float32Array.of(-40_000, -1.6, 40_000), 1)).toEqual(Int16Array.of(-32_768, -2, 32_767))
  })

  it('writes a PNG that says what it holds', () => {
    const png = Buffer.from(greyPng({ width: 3, height: 2, values: Float32Array.of(0, 50, 100, 150, -5, 25) }, 0, 100))
    expect(png.subarray(1, 4).toString()).toBe('PNG')
    expect([png.readUInt32BE(16), png.readUInt32BE(20), png[24], png[25]]).toEqual([3, 2, 8, 0])
    const sizeBytes = png.readUInt32BE(33)
    expect([...inflateSync(png.subarray(41, 41 + sizeBytes))]).toEqual([0, 0, 127, 255, 0, 255, 0, 64])
    expect(middleOf(Float32Array.from({ length: 1001 }, (_, index) => index))).toEqual({ low: 5, high: 996 })
  })
})

describe('hot pixels of a pedestal map', () => {
  it('finds twenty among a million, by mean or by noise, and nothing in a clean map', () => {
    const pixels = 1_000_000
    const noise = (index: number) => Math.sin(index * 12.9898) * 0.5
    const mean = Float32Array.from({ length: pixels }, (_, index) => 100 + noise(index))
    const sigma = Float32Array.from({ length: pixels }, (_, index) => 2.7 + noise(index + 7) / 5)
    expect(hotPixels({ mean, sigma }).length).toBe(0)
    const wanted = Array.from({ length: 20 }, (_, index) => 31_415 * (index + 1))
    wanted.forEach((pixel, index) => {
      if (index % 2 === 0) mean[pixel] = 65_535
      else sigma[pixel] = 300
    })
    mean[wanted[0]!] = 0
    expect([...hotPixels({ mean, sigma })]).toEqual(wanted)
  })
})
