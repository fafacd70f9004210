import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { distanceOf, lineProfile, mmPerPxOf, profileCsv, regionStatistics, startPoints } from './measure.ts'

const image = { width: 100, height: 80 }
const inside = (column: number, row: number) => column >= 0 && row >= 0 && column < 100 && row < 80
const slope = (column: number, row: number) => (inside(column, row) ? column + 1000 * row : undefined)

describe('measuring in an image', () => {
  test('a profile walks along the line, pixel by pixel', () => {
    const profile = lineProfile({ x0: 2.5, y0: 3.5, x1: 12.5, y1: 3.5 }, 1, slope)
    expect(profile.map(({ value }) => value)).toEqual(Array.from({ length: 11 }, (_, step) => 3002 + step))
    const wide = lineProfile({ x0: 2.5, y0: 3.5, x1: 12.5, y1: 3.5 }, 3, slope)
    expect(wide.map(({ value }) => value)).toEqual(profile.map(({ value }) => value))
    expect(lineProfile({ x0: 90.5, y0: 1, x1: 110.5, y1: 1 }, 1, slope).at(-1)!.value).toBeNull()
    expect(lineProfile({ x0: 5, y0: 5, x1: 5, y1: 5 }, 1, slope).length).toBe(2)
  })

  test('a box is what numbers say', () => {
    fc.assert(
      fc.property(fc.nat(99), fc.nat(79), fc.nat(99), fc.nat(79), (x0, y0, x1, y1) => {
        const values: number[] = []
        for (let row = Math.min(y0, y1); row < Math.max(y0, y1); row += 1)
          for (let column = Math.min(x0, x1); column < Math.max(x0, x1); column += 1) values.push(column + 1000 * row)
        const found = regionStatistics('box', { x0, y0, x1, y1 }, image, slope)
        if (values.length === 0) {
          expect(found).toBeUndefined()
          return
        }
        const mean = values.reduce((sum, value) => sum + value, 0) / values.length
        const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length
        expect(found).toMatchObject({ pixels: values.length, least: Math.min(...values), most: Math.max(...values) })
        expect(found!.mean).toBeCloseTo(mean, 6)
        expect(found!.sigma).toBeCloseTo(Math.sqrt(variance), 5)
      }),
      { numRuns: 50 },
    )
  })

  test('an ellipse has pi a b pixels and only those inside of the image', () => {
    const flat = (column: number, row: number) => (inside(column, row) ? 7 : undefined)
    const round = regionStatistics('ellipse', { x0: 20, y0: 20, x1: 60, y1: 50 }, image, flat)!
    expect(Math.abs(round.pixels - Math.PI * 20 * 15)).toBeLessThan(12)
    expect([round.mean, round.sigma, round.sum]).toEqual([7, 0, 7 * round.pixels])
    expect(regionStatistics('box', { x0: -50, y0: -50, x1: 10, y1: 10 }, image, flat)!.pixels).toBe(100)
    expect(regionStatistics('ellipse', { x0: 300, y0: 300, x1: 400, y1: 400 }, image, flat)).toBeUndefined()
  })

  test('distances in px and mm, csv, a beginning', () => {
    const distance = distanceOf({ x0: 0, y0: 0, x1: 30, y1: 40 }, mmPerPxOf({ width: 2304, height: 2304 }))
    expect(distance.px).toBe(50)
    expect(distance.mm).toBeCloseTo(7.509, 3)
    expect(distance.degrees).toBeCloseTo(53.13, 2)
    const csv = profileCsv(lineProfile({ x0: 98.5, y0: 0.5, x1: 100.5, y1: 0.5 }, 1, slope), 'adu')
    expect(csv).toBe(
      'distance_px,x_px,y_px,value_adu\n0.000,98.500,0.500,98\n1.000,99.500,0.500,99\n2.000,100.500,0.500,\n',
    )
    expect(startPoints('box', { x: 50.2, y: 40 }, 60)).toEqual({ x0: 40, y0: 30, x1: 60, y1: 50 })
    expect(startPoints('line', { x: 50, y: 40 }, 60)).toEqual({ x0: 40, y0: 40, x1: 60, y1: 40 })
  })
})
