/**
 * The first three stages of an image behind one face: the SIMD kernels (kernels.wasm) where the machine has them, the
 * plain TypeScript they are held equal to where it has not. Both give the same bits.
 */
import { createDbscanScratch, gridDbscan } from './grid-dbscan.ts'
import { createCellScratch, imageToCells } from './image-cells.ts'
import type { CellImages, ImageCalibration } from './image-cells.ts'
import { collectPoints, createCellPoints, createReducerScratch, reduceNoise } from './noise-reducer.ts'
import type { CellPoints } from './noise-reducer.ts'
import { createWasmKernels, loadKernelModule } from './wasm-kernels.ts'
import type { ReconstructionParameters } from '../parameters.ts'

/** Belongs to one thread. Its arrays are overwritten by the next call; only the first `points.count` points are meant. */
export interface ImageKernels {
  readonly name: 'wasm-simd' | 'typescript'
  readonly images: CellImages
  readonly points: CellPoints
  readonly labels: Int32Array
  /** Raw image to `images` (stage 1). */
  imageToCells(pixels: Uint16Array): void
  /** `images` to `points` (stage 2). */
  findPoints(): void
  /** `points` to `labels` (stage 3); returns the number of clusters. */
  cluster(radiusCells: number, minimumWeight: number): number
}

export interface ChosenKernels {
  kernels: ImageKernels
  /** Why it is not the SIMD kernels; null when it is. */
  reason: string | null
}

/** The SIMD kernels, or plain TypeScript and the reason. `module` is for tests; by default kernels.wasm. */
export function chooseKernels(
  calibration: ImageCalibration,
  parameters: ReconstructionParameters,
  module: () => WebAssembly.Module = loadKernelModule,
): ChosenKernels {
  try {
    return { kernels: createWasmKernels(calibration, parameters, module()), reason: null }
  } catch (error) {
    return {
      kernels: createTypescriptKernels(calibration, parameters),
      reason: error instanceof Error ? error.message : String(error),
    }
  }
}

export function createTypescriptKernels(
  calibration: ImageCalibration,
  parameters: ReconstructionParameters,
): ImageKernels {
  const { width, cellColumns, cellRows } = calibration
  const cells = cellColumns * cellRows
  const cellScratch = createCellScratch(width)
  const images: CellImages = {
    weight: new Int32Array(cells),
    edge: new Int32Array(cells),
    rawSumCounts: 0,
    suppressedSumCounts: 0,
  }
  const reducer = createReducerScratch(cells)
  const points = createCellPoints(cells)
  const dbscan = createDbscanScratch(cellColumns, cellRows)
  const labels = new Int32Array(cells)
  return {
    name: 'typescript',
    images,
    points,
    labels,
    imageToCells(pixels) {
      imageToCells(pixels, calibration, cellScratch, images)
    },
    findPoints() {
      reduceNoise(images.edge, cellColumns, cellRows, parameters, reducer)
      collectPoints(reducer.values, images.weight, cellColumns, cellRows, points)
    },
    cluster: (radiusCells, minimumWeight) => gridDbscan(points, radiusCells, minimumWeight, dbscan, labels),
  }
}
