import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { frameOf } from './frame-levels.ts'
import { autoWindow, draggedWindow, drawnHistogram, percentile, roundedWindow } from './window-level.ts'
import type { Counts } from './window-level.ts'

function countsOf(values: number[], offset = 0): Counts {
  const bins = new Uint32Array(65_536)
  for (const value of values) bins[value + offset]! += 1
  return { bins, offset, total: values.length }
}

describe('window and level', () => {
  test('percentiles, also of signed counts', () => {
    const counts = countsOf([-3, -1, 0, 0, 1, 5, 7, 9, 9, 100], 32_768)
    expect([0, 0.1, 0.5, 0.9, 1].map((share) => percentile(counts, share))).toEqual([-3, -3, 1, 9, 100])
  })

  test('a frame of noise with dead pixels gets a window of the noise', () => {
    const width = 64
    const pixels = new Uint16Array(width * width)
    for (let index = 0; index < pixels.length; index += 1) pixels[index] = 100 + ((index * 7919) % 11) - 5
    for (const index of [500, 1500, 2501]) pixels[index] = 65_535
    const frame = frameOf(pixels, width, width, 'raw', {}, true)
    expect(frame.connected.total).toBe(frame.all.total - 3)
    const { low, high } = autoWindow(frame.connected)
    expect(low).toBeGreaterThanOrEqual(94)
    expect(high).toBeLessThan(140)
  })

  test('pressing again is never weaker', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 65_535 }), { minLength: 1, maxLength: 300 }), (values) => {
        const counts = countsOf(values)
        const windows = [0, 1, 2, 3].map((strength) => autoWindow(counts, strength))
        for (const [index, window] of windows.entries()) {
          expect(window.high).toBeGreaterThan(window.low)
          if (index > 0) expect(window.high).toBeLessThanOrEqual(windows[index - 1]!.high)
        }
      }),
    )
  })

  test('dragging moves the level sideways and the width downwards', () => {
    expect(draggedWindow({ low: 100, high: 130 }, 300, 0)).toEqual({ low: 130, high: 160 })
    const wider = draggedWindow({ low: 100, high: 130 }, 0, 200)
    expect(wider.high - wider.low).toBe(82)
    expect(roundedWindow({ low: 99.6, high: 99.9 })).toEqual({ low: 100, high: 101 })
  })

  test('the drawn histogram holds the window and every pixel between its ends', () => {
    const counts = countsOf([90, 95, 95, 100, 120, 40_000])
    const drawn = drawnHistogram(counts, { low: 92, high: 130 }, 100)
    expect(drawn.bars.length).toBeLessThanOrEqual(101)
    expect(drawn.from).toBeLessThanOrEqual(90)
    expect(drawn.to).toBeGreaterThanOrEqual(130)
    expect(drawn.bars.reduce((sum, count) => sum + count, 0)).toBe(6)
  })
})
