import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { coarseFrame, frameOf, levelCount, lightAt, pixelAt, rawAt } from './frame-levels.ts'
import { levelFor } from './painter.ts'
import { autoWindow } from './window-level.ts'

const light = { quadratic: -0.4, quartic: 0.013, radiusPx: 32 }
const flat = (pixels: number) => ({
  pedestal: new Uint16Array(pixels).fill(100 * 16),
  light,
  hot: new Uint32Array(0),
})

describe('frames and their smaller copies', () => {
  test('counts above pedestal, and what was read out', () => {
    const frame = frameOf(Uint16Array.from([95, 100, 107, 65_535]), 2, 2, 'subtracted', flat(4), false)
    expect([pixelAt(frame, 0, 0), pixelAt(frame, 1, 0), pixelAt(frame, 0.9, 1.5), pixelAt(frame, 1, 1)]).toEqual([
      -5, 0, 7, 32_767,
    ])
    expect([rawAt(frame, 0, 0), rawAt(frame, 1, 1), rawAt(frame, 2, 0)]).toEqual([95, 65_535, undefined])
    expect([...frame.saturated]).toEqual([3])
    expect(pixelAt(frame, 2, 0)).toBeUndefined()
    expect(pixelAt(frame, -0.1, 0)).toBeUndefined()
  })
  test('means are true to a sixteenth of a count, maxima exact', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 900 }), { minLength: 64, maxLength: 64 }), (values) => {
        const frame = frameOf(Uint16Array.from(values), 8, 8, 'raw', {}, true)
        const [half] = frame.levels
        for (let row = 0; row < 4; row += 1) {
          for (let column = 0; column < 4; column += 1) {
            const four = [0, 1, 8, 9].map((step) => values[row * 16 + column * 2 + step]!)
            const at = row * 4 + column
            expect(half!.mean[at]! / half!.meanScale + half!.meanFrom).toBeCloseTo(
              four.reduce((sum, value) => sum + value, 0) / 4,
              1,
            )
            expect(half!.max[at]).toBe(Math.max(...four))
          }
        }
      }),
    )
  })
  test('calibrated counts are divided by the share of the light that arrives', () => {
    const pixels = new Uint16Array(64 * 64).fill(200)
    const frame = frameOf(pixels, 64, 64, 'calibrated', flat(64 * 64), true)
    expect(pixelAt(frame, 32, 32)).toBe(Math.round(100 / lightAt(light, 2, 2)))
    expect(pixelAt(frame, 0, 63)).toBe(Math.round(100 / lightAt(light, -30, 30)))
    expect(() => frameOf(pixels, 64, 64, 'calibrated', {}, true)).toThrow('pedestal')
  })
  test('twenty hot pixels are drawn as their neighbours, their values stay known, the window does not care', () => {
    const side = 128
    const noise = () => Uint16Array.from({ length: side * side }, (_, index) => 100 + ((index * 7919) % 11) - 5)
    const pixels = noise()
    // Two of them side by side: the rule of lonely pixels alone would miss those.
    const hot = Uint32Array.from([500, 501, ...Array.from({ length: 18 }, (_, index) => 1000 + index * 777)])
    for (const index of hot) pixels[index] = 40_000 + index
    const before = pixels.slice()
    const quiet = autoWindow(frameOf(noise(), side, side, 'raw', {}, true).connected)
    const masked = frameOf(pixels.slice(), side, side, 'raw', { ...flat(side * side), hot }, true)
    expect(autoWindow(masked.connected)).toEqual(quiet)
    for (const index of hot) {
      expect(pixelAt(masked, index % side, Math.floor(index / side))).toBeLessThan(110)
      expect(rawAt(masked, index % side, Math.floor(index / side))).toBe(before[index])
    }
    const shown = frameOf(pixels.slice(), side, side, 'raw', { ...flat(side * side), hot }, false)
    expect(pixelAt(shown, 500 % side, Math.floor(500 / side))).toBe(40_500)
    expect(shown.masked.size).toBe(0)
  })
  test('a small copy stands for the frame until it comes, in the same place', () => {
    const full = { width: 32, height: 16 }
    const pixels = Uint16Array.from({ length: 32 * 16 }, (_, index) => 100 + (index % 32))
    const means = Uint16Array.from({ length: 8 * 4 }, (_, index) => (101.5 + 4 * (index % 8)) * 16)
    const coarse = coarseFrame(means.buffer, { width: 8, height: 4, scale: 16 }, full, 'raw')
    const exact = frameOf(pixels, 32, 16, 'raw', {}, true)
    expect([coarse.width, coarse.height, coarse.coarse]).toEqual([32, 16, true])
    expect(rawAt(coarse, 3, 3)).toBeUndefined()
    expect(coarse.levels.map(({ width }) => width)).toEqual(exact.levels.map(({ width }) => width))
    const [quarter, same] = [coarse.levels[1]!, exact.levels[1]!]
    for (let index = 0; index < 32; index += 1) {
      const value = quarter.mean[index]! / quarter.meanScale + quarter.meanFrom
      expect(value).toBeCloseTo(same.mean[index]! / same.meanScale + same.meanFrom, 1)
    }
    const below = coarseFrame(
      Int16Array.from([-32, 16]).buffer,
      { width: 2, height: 1, scale: 16 },
      { width: 8, height: 4 },
      'subtracted',
    )
    expect([pixelAt(below, 0, 0), pixelAt(below, 7, 3)]).toEqual([-2, 1])
  })
  test('odd sizes and the wrong number of bytes', () => {
    const frame = frameOf(new Uint16Array(5 * 3).fill(9), 5, 3, 'raw', {}, true)
    expect(frame.levels.map((level) => [level.width, level.height])).toEqual([
      [2, 1],
      [1, 1],
      [1, 1],
    ])
    expect(() => frameOf(new Uint16Array(7), 4, 2, 'raw', {}, true)).toThrow('4 x 2')
  })
  test('a sample covers one to two pixels of the chosen copy', () => {
    expect([0.5, 1, 1.9, 2, 3.9, 4, 8, 100].map((perPixel) => levelFor(perPixel, levelCount))).toEqual([
      0, 0, 0, 1, 1, 2, 3, 3,
    ])
  })
})
