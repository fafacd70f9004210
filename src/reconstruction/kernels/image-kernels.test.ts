import { readFile } from 'node:fs/promises'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compileKernels, kernelsPath } from '../../../tools/kernels.ts'
import { rounds } from '../../foundation/testing.ts'
import { simulateRun } from '../../detector/index.ts'
import { defaultParameters } from '../parameters.ts'
import type { ReconstructionParameters } from '../parameters.ts'
import { prepareCalibration } from './image-cells.ts'
import type { ImageCalibration } from './image-cells.ts'
import { createImageChain } from './image-chain.ts'
import { chooseKernels, createTypescriptKernels } from './image-kernels.ts'
import type { ImageKernels } from './image-kernels.ts'
import { addPedestalImage, createPedestalAccumulator, finishPedestalMap } from './pedestal-map.ts'
import { lightCorrectionOf } from './vignetting.ts'

/** Small deterministic generator, so that a failing scene is one number. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

interface Scene {
  columns: number
  rows: number
  firstRow: number
  cutFromEnd: number
  kind: (typeof kinds)[number]
  parameters: Partial<ReconstructionParameters>
  seed: number
}

const kinds = ['noise', 'tracks', 'hot', 'saturated', 'empty', 'full', 'extreme'] as const

const scene: fc.Arbitrary<Scene> = fc.record({
  columns: fc.integer({ min: 1, max: 21 }),
  rows: fc.integer({ min: 1, max: 21 }),
  firstRow: fc.constantFrom(0, 0, 1, 4, 7, 32, 100),
  cutFromEnd: fc.constantFrom(0, 0, 1, 2, 4, 6, 100),
  kind: fc.constantFrom(...kinds),
  parameters: fc.record({
    zeroSuppressionSigma: fc.constantFrom(0, 0.6, 0.6, 1.3, -0.5),
    upperCutCounts: fc.constantFrom(5000, 5000, 65_536, 300, 1, 0),
    minimumNeighbourAverageCounts: fc.constantFrom(1.2, 1.2, 0.3, 12, 0, -1),
    neighbourJumpCounts: fc.constantFrom(10, 1, 0),
    minimumActiveNeighbours: fc.constantFrom(3, 0, 7),
    clusterRadiusCells: fc.constantFrom(12, 1, 1.9, 3, 30, 0, -1),
    clusterMinimumWeightCounts: fc.constantFrom(20, 0, 2.5, 200, 5000),
  }),
  seed: fc.integer(),
})

/** A pixel as the kind of image has it. */
function pixelOf(kind: Scene['kind'], random: () => number, bright: boolean): number {
  const share = random()
  if (kind === 'empty') return 0
  if (kind === 'full') return 65_535
  if (kind === 'extreme') return Math.floor(65_536 * share)
  if (kind === 'saturated' && share < 0.3) return 4990 + Math.floor(20 * random())
  if (kind === 'hot' && share < 0.05) return 200 + Math.floor(65_000 * random() ** 4)
  if (kind === 'tracks' && bright) return 100 + Math.floor(500 * random())
  return 90 + Math.floor(22 * random())
}

function makeScene(given: Scene) {
  const width = given.columns * 4
  const height = given.rows * 4
  const random = randomOf(given.seed)
  const pixels = new Uint16Array(new SharedArrayBuffer(width * height * 2))
  const mean = new Float32Array(width * height)
  const sigma = new Float32Array(width * height)
  for (let index = 0; index < pixels.length; index++) {
    const inBand = Math.abs((index % width) - ((index / width) | 0)) < 4
    mean[index] = given.kind === 'extreme' ? 65_535 * random() ** 3 : 95 + 10 * random() + (random() < 0.01 ? 300 : 0)
    sigma[index] = random() < 0.05 ? 0 : 2 + 4 * random()
    pixels[index] = pixelOf(given.kind, random, inBand)
  }
  const parameters: ReconstructionParameters = {
    ...defaultParameters,
    ...given.parameters,
    acceptanceFrameRows: height,
    acceptanceFirstRow: Math.min(given.firstRow, height),
    acceptanceEndRow: Math.max(Math.min(given.firstRow, height), height - given.cutFromEnd),
  }
  const map = { width, height, images: 1, mean, sigma }
  return {
    pixels,
    parameters,
    calibration: prepareCalibration(map, lightCorrectionOf(width, height, parameters), parameters),
  }
}

/** Runs the three stages in both and wants the same bits after each. */
function expectSame(
  wasm: ImageKernels,
  oracle: ImageKernels,
  pixels: Uint16Array,
  parameters: Readonly<ReconstructionParameters>,
): number {
  for (const kernels of [wasm, oracle]) kernels.imageToCells(pixels)
  expect(wasm.images.rawSumCounts).toBe(oracle.images.rawSumCounts)
  expect(wasm.images.suppressedSumCounts).toBe(oracle.images.suppressedSumCounts)
  expectEqual(wasm.images.weight, oracle.images.weight)
  expectEqual(wasm.images.edge, oracle.images.edge)
  for (const kernels of [wasm, oracle]) kernels.findPoints()
  const { count } = oracle.points
  expect(wasm.points.count).toBe(count)
  for (const column of ['x', 'y', 'weight'] as const) {
    expectEqual(wasm.points[column].subarray(0, count), oracle.points[column].subarray(0, count))
  }
  const { clusterRadiusCells, clusterMinimumWeightCounts } = parameters
  const [found, expected] = [wasm, oracle].map((kernels) =>
    kernels.cluster(clusterRadiusCells, clusterMinimumWeightCounts),
  )
  expect(found).toBe(expected)
  expectEqual(wasm.labels.subarray(0, count), oracle.labels.subarray(0, count))
  return count
}

/** Compares bytes first: the matcher of the test runner is slow on a third of a million numbers. */
function expectEqual(found: Int32Array, expected: Int32Array): void {
  const bytesOf = (array: Int32Array) => Buffer.from(array.buffer, array.byteOffset, array.byteLength)
  if (bytesOf(found).equals(bytesOf(expected))) return
  const at = found.findIndex((value, index) => value !== expected[index])
  expect({ at, value: found[at] }).toEqual({ at, value: expected[at] })
}

function wasmOf(calibration: ImageCalibration, parameters: ReconstructionParameters): ImageKernels {
  const { kernels, reason } = chooseKernels(calibration, parameters)
  expect(reason).toBeNull()
  expect(kernels.name).toBe('wasm-simd')
  return kernels
}

describe('kernels in WebAssembly', () => {
  it('are the committed bytes when compiled anew', { timeout: 300_000 }, async () => {
    expect(Buffer.from(await compileKernels()).equals(await readFile(kernelsPath)), "run 'npm run kernels'").toBe(true)
  })

  it(
    'equal the TypeScript bit for bit on random images of any size, brightness and setting',
    { timeout: 600_000 },
    () => {
      fc.assert(
        fc.property(scene, (given) => {
          const { pixels, parameters, calibration } = makeScene(given)
          const wasm = wasmOf(calibration, parameters)
          const oracle = createTypescriptKernels(calibration, parameters)
          expectSame(wasm, oracle, pixels, parameters)
          // A second image finds nothing of the first.
          expectSame(wasm, oracle, pixels.toReversed(), parameters)
        }),
        { numRuns: rounds(600) },
      )
    },
  )

  it('equal the TypeScript bit for bit on full-size simulated images', { timeout: 600_000 }, async () => {
    const side = 2304
    const simulated = async function* (kind: 'pedestal' | 'data', images: number) {
      const tracksPerImage = { iron: 6, muon: 4, alpha: 1 }
      const options = { seed: 31, number: 1, kind, images, startMs: 0, waveforms: false, tracksPerImage }
      for await (const event of simulateRun(options)) {
        if (event.kind === 'event' && event.frame) yield event.frame.pixels
      }
    }
    const accumulator = createPedestalAccumulator(side, side)
    for await (const pixels of simulated('pedestal', 6)) addPedestalImage(accumulator, pixels)
    const { map } = finishPedestalMap(accumulator)
    const correction = lightCorrectionOf(side, side, defaultParameters)
    const calibration = prepareCalibration(map, correction, defaultParameters)
    const wasm = wasmOf(calibration, defaultParameters)
    const oracle = createTypescriptKernels(calibration, defaultParameters)
    let points = 0
    for await (const pixels of simulated('data', rounds(4)))
      points += expectSame(wasm, oracle, pixels, defaultParameters)
    expect(points).toBeGreaterThan(1000)
  })

  it('leave the work to the TypeScript, and say why, where they cannot run', () => {
    const { pixels, parameters, calibration } = makeScene({
      columns: 12,
      rows: 12,
      firstRow: 0,
      cutFromEnd: 0,
      kind: 'tracks',
      parameters: {},
      seed: 5,
    })
    const without = chooseKernels(calibration, parameters, () => {
      throw new Error('this machine has no WebAssembly SIMD')
    })
    expect(without.kernels.name).toBe('typescript')
    const plain = createImageChain(calibration, parameters, without)
    expect(plain.implementation).toEqual({ kernels: 'typescript', reason: 'this machine has no WebAssembly SIMD' })
    const usual = createImageChain(calibration, parameters)
    expect(usual.implementation).toEqual({ kernels: 'wasm-simd', reason: null })
    const { stageMs: _plainMs, ...expected } = plain.reconstruct(pixels)
    const { stageMs: _usualMs, ...found } = usual.reconstruct(pixels)
    expect(expected.clusters.length).toBeGreaterThan(0)
    expect(found).toEqual(expected)

    const impossible = { ...calibration, pedestalFixed: calibration.pedestalFixed.map(() => -1) }
    expect(chooseKernels(impossible, parameters)).toMatchObject({
      kernels: { name: 'typescript' },
      reason: 'the pedestal map holds values outside 0..65535 counts',
    })
  })
})
