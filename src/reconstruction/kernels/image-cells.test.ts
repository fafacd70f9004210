import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { defaultParameters } from '../parameters.ts'
import { createCellScratch, imageToCells, prepareCalibration } from './image-cells.ts'
import type { CellImages } from './image-cells.ts'
import { naiveCellSums, naiveNoiseReducer, naiveRankFilter, naiveSuppressed } from './naive-oracle.ts'
import { createCellPoints, createReducerScratch, collectPoints, reduceNoise } from './noise-reducer.ts'
import { lightCorrectionOf } from './vignetting.ts'

const scene = fc.record({
  columns: fc.integer({ min: 5, max: 12 }),
  rows: fc.integer({ min: 5, max: 12 }),
  firstRow: fc.constantFrom(0, 3, 8),
  cutFromEnd: fc.constantFrom(0, 2, 5),
  nsigma: fc.constantFrom(0, 0.6, 1.3),
  seed: fc.integer(),
})

/** Small deterministic generator, so that a failing scene is one number. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

function makeScene(given: {
  columns: number
  rows: number
  firstRow: number
  cutFromEnd: number
  nsigma: number
  seed: number
}) {
  const width = given.columns * 4
  const height = given.rows * 4
  const random = randomOf(given.seed)
  const pixels = new Uint16Array(width * height)
  const mean = new Float32Array(width * height)
  const sigma = new Float32Array(width * height)
  for (let index = 0; index < pixels.length; index++) {
    mean[index] = 95 + 10 * random()
    sigma[index] = random() < 0.05 ? 0 : 2 + 4 * random()
    const kind = random()
    pixels[index] =
      kind < 0.02
        ? 65535
        : kind < 0.04
          ? 5000 - Math.round(random())
          : kind < 0.3
            ? 100 + 200 * random()
            : 90 + 20 * random()
  }
  const parameters = {
    ...defaultParameters,
    zeroSuppressionSigma: given.nsigma,
    acceptanceFrameRows: height,
    acceptanceFirstRow: given.firstRow,
    acceptanceEndRow: height - given.cutFromEnd,
  }
  const calibration = prepareCalibration(
    { width, height, images: 1, mean, sigma },
    lightCorrectionOf(width, height, parameters),
    parameters,
  )
  const cells = given.columns * given.rows
  const images: CellImages = {
    weight: new Int32Array(cells),
    edge: new Int32Array(cells),
    rawSumCounts: 0,
    suppressedSumCounts: 0,
  }
  imageToCells(pixels, calibration, createCellScratch(width), images)
  return { pixels, mean, sigma, calibration, images, parameters, ...given }
}

describe('image to cells', () => {
  it('equals the definitions: suppression, 2x2 rank filter, 4x4 sums', () => {
    fc.assert(
      fc.property(scene, (given) => {
        const { pixels, calibration, images } = makeScene(given)
        const suppressed = naiveSuppressed(pixels, calibration)
        expect([...images.weight]).toEqual(naiveCellSums(suppressed))
        expect([...images.edge]).toEqual(naiveCellSums(naiveRankFilter(suppressed)))
        expect(images.rawSumCounts).toBe(pixels.reduce((sum, raw) => sum + raw, 0))
      }),
      { numRuns: 150 },
    )
  })

  it('decides like "raw - mean > nsigma * rms" in floating point', () => {
    fc.assert(
      fc.property(scene, (given) => {
        const { pixels, mean, sigma, calibration, parameters } = makeScene(given)
        for (let index = 0; index < pixels.length; index++) {
          const excess = pixels[index]! - mean[index]! - parameters.zeroSuppressionSigma * sigma[index]!
          if (Math.abs(excess) > 1e-9) expect(pixels[index]! > calibration.threshold[index]!).toBe(excess > 0)
        }
      }),
      { numRuns: 30 },
    )
  })

  it('reduces noise in place exactly as defined and collects points by the rounding rule', () => {
    fc.assert(
      fc.property(scene, (given) => {
        const { images, parameters, columns, rows } = makeScene(given)
        const scratch = createReducerScratch(columns * rows)
        reduceNoise(images.edge, columns, rows, parameters, scratch)
        const expected = naiveNoiseReducer(images.edge, columns, rows, parameters)
        for (let cell = 0; cell < expected.length; cell++) expect(scratch.values[cell]).toBe(expected[cell])
        const points = createCellPoints(columns * rows)
        collectPoints(scratch.values, images.weight, columns, rows, points)
        const active = [...scratch.values.keys()].filter((cell) => scratch.values[cell]! > 0.5)
        expect([...points.x.subarray(0, points.count)].map((x, index) => points.y[index]! * columns + x)).toEqual(
          active,
        )
        for (let index = 0; index < points.count; index++) expect(points.weight[index]).toBeGreaterThanOrEqual(1)
      }),
      { numRuns: 150 },
    )
  })
})
