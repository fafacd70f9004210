import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { addPedestalImage, createPedestalAccumulator, finishPedestalMap, judgePedestalMap } from './pedestal-map.ts'

function mapOf(images: number[][], width = images[0]!.length) {
  const accumulator = createPedestalAccumulator(width, 1)
  for (const image of images) addPedestalImage(accumulator, Uint16Array.from(image))
  return finishPedestalMap(accumulator)
}

const quiet = fc.array(fc.array(fc.integer({ min: 90, max: 110 }), { minLength: 3, maxLength: 3 }), {
  minLength: 4,
  maxLength: 40,
})

describe('pedestal map', () => {
  it('is the mean and the sample standard deviation of each pixel', () => {
    fc.assert(
      fc.property(quiet, (images) => {
        const { map, rejectedPeaks } = mapOf(images)
        expect(rejectedPeaks).toBe(0)
        for (let pixel = 0; pixel < 3; pixel++) {
          const values = images.map((image) => image[pixel]!)
          const mean = values.reduce((sum, value) => sum + value, 0) / values.length
          const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1)
          expect(map.mean[pixel]).toBeCloseTo(mean, 4)
          expect(map.sigma[pixel]).toBeCloseTo(Math.sqrt(variance), 4)
        }
      }),
    )
  })

  it('does not depend on the order of the images', () => {
    fc.assert(
      fc.property(quiet, fc.nat(), (images, turn) => {
        const turned = [...images.slice(turn % images.length), ...images.slice(0, turn % images.length)]
        expect(mapOf(turned).map.mean).toEqual(mapOf(images).map.mean)
        expect(mapOf(turned).map.sigma).toEqual(mapOf(images).map.sigma)
      }),
    )
  })

  it('leaves out one bright image of a pixel, also when it is the first', () => {
    const images = Array.from({ length: 12 }, (_, index) => [100 + (index % 3), 100 + (index % 3)])
    images[0]![0] = 900
    images[5]![1] = 65535
    const { map, rejectedPeaks } = mapOf(images)
    expect(rejectedPeaks).toBe(2)
    for (const pixel of [0, 1]) {
      expect(map.mean[pixel]).toBeGreaterThan(100)
      expect(map.mean[pixel]).toBeLessThan(102)
      expect(map.sigma[pixel]).toBeLessThan(1.2)
    }
  })

  it('warns about few images and an odd level, and counts hot pixels', () => {
    const images = Array.from({ length: 8 }, (_, index) => [150 + (index % 2), 151, 150, 400])
    const { map, rejectedPeaks } = mapOf(images)
    const quality = judgePedestalMap(map, rejectedPeaks)
    expect(quality.hotPixels).toBe(1)
    expect(quality.warnings.join()).toMatch(/8 images.*outside 97..103/)
  })
})
