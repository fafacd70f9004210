import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { rounds } from '../../foundation/testing.ts'
import { addPedestalImage, createPedestalAccumulator, finishPedestalMap } from './pedestal-map.ts'
import { createPedestalSums } from './pedestal-sums.ts'

/** Images of one size, quiet or with pixels at both ends of the range, so that squares carry into the next word. */
const runs = fc
  .record({
    width: fc.integer({ min: 1, max: 40 }),
    height: fc.integer({ min: 1, max: 12 }),
    images: fc.integer({ min: 1, max: 9 }),
    wild: fc.boolean(),
    seed: fc.integer(),
  })
  .map(({ width, height, images, wild, seed }) => {
    let state = seed >>> 0
    const random = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32
    const pixel = () => (wild && random() < 0.3 ? (random() < 0.5 ? 0 : 65_535) : 90 + Math.floor(20 * random()))
    const frames = Array.from({ length: images }, () => Uint16Array.from({ length: width * height }, pixel))
    return { width, height, frames }
  })

describe('sums of a pedestal run', () => {
  it('are those of the plain TypeScript, and so is the map', () => {
    fc.assert(
      fc.property(runs, ({ width, height, frames }) => {
        const oracle = createPedestalAccumulator(width, height)
        const sums = createPedestalSums(width, height)
        for (const pixels of frames) {
          addPedestalImage(oracle, pixels)
          sums.add(pixels)
        }
        expect(sums.images).toBe(frames.length)
        const found = sums.accumulator()
        for (const name of ['origin', 'peak', 'sum', 'squares'] as const) {
          expect(Array.from(found[name]), name).toEqual(Array.from(oracle[name]))
        }
        expect(finishPedestalMap(found)).toEqual(finishPedestalMap(oracle))
      }),
      { numRuns: rounds(200) },
    )
  })

  it('are made without WebAssembly, too', () => {
    const sums = createPedestalSums(4, 2, () => {
      throw new Error('no WebAssembly')
    })
    const oracle = createPedestalAccumulator(4, 2)
    for (const level of [100, 120, 90]) {
      sums.add(new Uint16Array(8).fill(level))
      addPedestalImage(oracle, new Uint16Array(8).fill(level))
    }
    expect(sums.accumulator()).toEqual(oracle)
    expect(sums.images).toBe(3)
  })
})
