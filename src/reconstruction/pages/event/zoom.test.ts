import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { around, fitted, heldIn, panned, scaleBar, toImage, toView, zoomLimits, zoomedAt } from './zoom.ts'

const view = { width: 800, height: 600 }
const image = { width: 2304, height: 2304 }
const placement = fc.record({
  x: fc.double({ min: 0, max: 2304, noNaN: true }),
  y: fc.double({ min: 0, max: 2304, noNaN: true }),
  zoom: fc.double({ min: 0.05, max: 40, noNaN: true }),
})
const point = fc.record({
  x: fc.double({ min: 0, max: 800, noNaN: true }),
  y: fc.double({ min: 0, max: 600, noNaN: true }),
})

describe('zoom and pan', () => {
  test('the whole image fits', () => {
    const fit = fitted(image, view)
    expect(toView({ x: 0, y: 0 }, fit, view).y).toBeCloseTo(0)
    expect(toView({ x: 2304, y: 2304 }, fit, view).y).toBeCloseTo(600)
  })
  test('to the image and back', () => {
    fc.assert(
      fc.property(placement, point, (where, at) => {
        const back = toView(toImage(at, where, view), where, view)
        expect(back.x).toBeCloseTo(at.x, 6)
        expect(back.y).toBeCloseTo(at.y, 6)
      }),
    )
  })
  test('zooming keeps the point under the cursor and its limits', () => {
    fc.assert(
      fc.property(placement, point, fc.double({ min: 0.01, max: 100, noNaN: true }), (where, at, factor) => {
        const before = toImage(at, where, view)
        const zoomed = zoomedAt(where, factor, at, view)
        const after = toImage(at, zoomed, view)
        expect(after.x).toBeCloseTo(before.x, 5)
        expect(after.y).toBeCloseTo(before.y, 5)
        expect(zoomed.zoom).toBeGreaterThanOrEqual(zoomLimits.least)
        expect(zoomed.zoom).toBeLessThanOrEqual(zoomLimits.most)
      }),
    )
  })
  test('panning moves the image with the hand, and some of it stays in sight', () => {
    expect(panned({ x: 100, y: 100, zoom: 2 }, 20, -10)).toEqual({ x: 90, y: 105, zoom: 2 })
    expect(heldIn({ x: -50, y: 9999, zoom: 1 }, image)).toEqual({ x: 0, y: 2304, zoom: 1 })
  })
  test('flying to a cluster centres it', () => {
    const there = around({ left: 100, top: 200, right: 150, bottom: 220 }, view)
    expect([there.x, there.y]).toEqual([125, 210])
    expect(there.zoom).toBe(8)
    expect(around({ left: 5, top: 5, right: 6, bottom: 6 }, view).zoom).toBe(12)
  })
  test('the scale bar is 1, 2 or 5 times a power of ten and fits', () => {
    fc.assert(
      fc.property(fc.double({ min: 0.02, max: 64, noNaN: true }), (zoom) => {
        const length = scaleBar(zoom, 140)
        expect(length * zoom).toBeLessThanOrEqual(140.0001)
        expect(['1', '2', '5']).toContain(length.toExponential().slice(0, 1))
      }),
    )
  })
})
