import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { frameOf, levelCount, pixelAt } from './frame-levels.ts'
import { levelFor } from './painter.ts'

describe('frames and their smaller copies', () => {
  test('signed counts come back as they were', () => {
    const frame = frameOf(Int16Array.from([-5, 0, 7, 32_767]).buffer, 2, 2, true)
    expect([pixelAt(frame, 0, 0), pixelAt(frame, 1, 0), pixelAt(frame, 0.9, 1.5), pixelAt(frame, 1, 1)]).toEqual([
      -5, 0, 7, 32_767,
    ])
    expect(pixelAt(frame, 2, 0)).toBeUndefined()
    expect(pixelAt(frame, -0.1, 0)).toBeUndefined()
  })
  test('means are true to a sixteenth of a count, maxima exact', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 900 }), { minLength: 64, maxLength: 64 }), (values) => {
        const frame = frameOf(Uint16Array.from(values).buffer, 8, 8, false)
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
  test('odd sizes and the wrong number of bytes', () => {
    const frame = frameOf(new Uint16Array(5 * 3).fill(9).buffer, 5, 3, false)
    expect(frame.levels.map((level) => [level.width, level.height])).toEqual([
      [2, 1],
      [1, 1],
      [1, 1],
    ])
    expect(() => frameOf(new Uint16Array(7).buffer, 4, 2, false)).toThrow('4 x 2')
  })
  test('a sample covers one to two pixels of the chosen copy', () => {
    expect([0.5, 1, 1.9, 2, 3.9, 4, 8, 100].map((perPixel) => levelFor(perPixel, levelCount))).toEqual([
      0, 0, 0, 1, 1, 2, 3, 3,
    ])
  })
})
