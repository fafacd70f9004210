/**
 * The SIMD kernels: lays out the memory of an instance of kernels.wasm for one calibration and calls it. Sources in
 * assembly/, compiled by `npm run kernels`; what they compute is defined in image-cells, noise-reducer and grid-dbscan.
 */
import { readFileSync } from 'node:fs'
import type { CellImages, ImageCalibration } from './image-cells.ts'
import type { ImageKernels } from './image-kernels.ts'
import type { CellPoints } from './noise-reducer.ts'
import type { ReconstructionParameters } from '../parameters.ts'

interface KernelExports {
  configureCells(
    width: number,
    height: number,
    firstRow: number,
    endRow: number,
    upperCut: number,
    scalarOnly: number,
    thresholds: number,
    pedestalCounts: number,
    pedestalParts: number,
    weights: number,
    edges: number,
    rowBuffers: number,
  ): void
  beginCells(): void
  addRows(raw: number, fromRow: number, toRow: number): bigint
  weightTotal(): bigint
  configurePoints(
    columns: number,
    rows: number,
    weights: number,
    edges: number,
    values: number,
    x: number,
    y: number,
    pointWeights: number,
  ): void
  findPoints(minimum: number, jump: number, needed: number, surelyBelow: number): number
  configureDbscan(
    columns: number,
    rows: number,
    x: number,
    y: number,
    pointWeights: number,
    labels: number,
    parents: number,
    pointAt: number,
    bits: number,
  ): void
  cluster(count: number, radius: number, minimumWeight: number): number
}

export const pageBytes = 65_536
/** Rows copied in at a time: 147 kB of a 2304-pixel image, which stay in the second-level cache. */
const rowsPerPiece = 32
const bias = 0x8000

/** Compiles kernels.wasm. Throws with a sentence where WebAssembly or its SIMD instructions are missing. */
export function loadKernelModule(): WebAssembly.Module {
  if (typeof WebAssembly === 'undefined') throw new Error('this JavaScript engine has no WebAssembly')
  const bytes = readFileSync(new URL('./kernels.wasm', import.meta.url))
  if (!WebAssembly.validate(bytes)) throw new Error('this machine or JavaScript engine has no WebAssembly SIMD')
  return new WebAssembly.Module(bytes)
}

/** Throws when the calibration cannot be held in the kernels' form (a pedestal below 0). */
export function createWasmKernels(
  calibration: ImageCalibration,
  parameters: ReconstructionParameters,
  module: WebAssembly.Module,
): ImageKernels {
  const { width, height, cellColumns, cellRows } = calibration
  const cells = cellColumns * cellRows
  const plan = planMemory()
  const at = {
    raw: plan.take((rowsPerPiece + 1) * width * 2),
    thresholds: plan.take(width * height * 2),
    pedestalCounts: plan.take(width * height * 2),
    pedestalParts: plan.take(width * height),
    rowBuffers: plan.take(4 * width + 64),
    weights: plan.take(cells * 4),
    edges: plan.take(cells * 4),
    values: plan.take(cells * 4 + 64),
    x: plan.take(cells * 4),
    y: plan.take(cells * 4),
    pointWeights: plan.take(cells * 4),
    labels: plan.take(cells * 4),
    parents: plan.take(cells * 4),
    pointAt: plan.take(cells * 4),
    bits: plan.take(2 * cellRows * ((cellColumns >> 3) + 16)),
  }
  const memory = new WebAssembly.Memory({ initial: Math.ceil(plan.sizeBytes() / pageBytes) })
  const kernel = new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as KernelExports
  const below = loadCalibration(calibration, {
    thresholds: new Uint16Array(memory.buffer, at.thresholds, width * height),
    counts: new Uint16Array(memory.buffer, at.pedestalCounts, width * height),
    parts: new Uint8Array(memory.buffer, at.pedestalParts, width * height),
  })
  kernel.configureCells(
    width,
    height,
    calibration.firstRow,
    calibration.endRow,
    Math.max(1, Math.trunc(calibration.upperCut)),
    below ? 1 : 0,
    at.thresholds,
    at.pedestalCounts,
    at.pedestalParts,
    at.weights,
    at.edges,
    at.rowBuffers,
  )
  kernel.configurePoints(cellColumns, cellRows, at.weights, at.edges, at.values, at.x, at.y, at.pointWeights)
  kernel.configureDbscan(cellColumns, cellRows, at.x, at.y, at.pointWeights, at.labels, at.parents, at.pointAt, at.bits)
  const integers = (place: number) => new Int32Array(memory.buffer, place, cells)
  const rowBytes = width * Uint16Array.BYTES_PER_ELEMENT
  const piece = Buffer.from(memory.buffer as ArrayBuffer, at.raw, (rowsPerPiece + 1) * rowBytes)
  const images: CellImages = {
    weight: integers(at.weights),
    edge: integers(at.edges),
    rawSumCounts: 0,
    suppressedSumCounts: 0,
  }
  const points: CellPoints = {
    count: 0,
    x: integers(at.x),
    y: integers(at.y),
    weight: integers(at.pointWeights),
  }
  const minimum = parameters.minimumNeighbourAverageCounts
  // A sum of seven numbers that are not negative is off by less than a millionth in float32.
  const surelyBelow = minimum > 0 && !below ? 8 * minimum * (1 - 2e-6) : Number.NEGATIVE_INFINITY

  return {
    name: 'wasm-simd',
    images,
    points,
    labels: integers(at.labels),
    imageToCells(pixels) {
      if (pixels.length !== width * height)
        throw new RangeError(`image has ${pixels.length} pixels instead of ${width * height}`)
      kernel.beginCells()
      // `set` of typed arrays goes word by word where memory is shared between threads: six times slower.
      const raw = Buffer.from(pixels.buffer as ArrayBuffer, pixels.byteOffset, pixels.byteLength)
      let rawSum = 0
      for (let row = 0; row < height; row += rowsPerPiece) {
        const end = Math.min(row + rowsPerPiece, height)
        if (row === 0) raw.copy(piece, rowBytes, 0, end * rowBytes)
        else raw.copy(piece, 0, (row - 1) * rowBytes, end * rowBytes)
        rawSum += Number(kernel.addRows(at.raw, row, end))
      }
      images.rawSumCounts = rawSum
      images.suppressedSumCounts = Number(kernel.weightTotal()) / 256
    },
    findPoints() {
      points.count = kernel.findPoints(
        minimum,
        parameters.neighbourJumpCounts,
        parameters.minimumActiveNeighbours,
        surelyBelow,
      )
    },
    cluster(radiusCells, minimumWeight) {
      const radius = Math.min(Math.max(-1, Math.floor(radiusCells)), cellColumns + cellRows)
      return kernel.cluster(points.count, radius, minimumWeight)
    },
  }
}

/** Places buffers one after the other in a memory, aligned to 64 bytes; nothing lies at address 0. */
export function planMemory() {
  let next = 64
  return {
    take(sizeBytes: number): number {
      const place = next
      next += (sizeBytes + 63) & ~63
      return place
    },
    sizeBytes: () => next,
  }
}

/**
 * Threshold and pedestal in the kernels' form: 16-bit words with the sign bit turned, the parts of a count in bytes.
 * Returns whether a kept pixel may lie below its pedestal.
 */
function loadCalibration(
  calibration: ImageCalibration,
  into: { thresholds: Uint16Array; counts: Uint16Array; parts: Uint8Array },
): boolean {
  const { threshold, pedestalFixed, upperCut } = calibration
  const nothing = upperCut < 1
  let below = false
  for (let index = 0; index < threshold.length; index++) {
    const pedestal = pedestalFixed[index]!
    const level = threshold[index]!
    if (pedestal < 0 || pedestal >= 1 << 24) throw new Error('the pedestal map holds values outside 0..65535 counts')
    if ((level + 1) << 8 < pedestal) below = true
    into.thresholds[index] = (nothing ? 65_535 : level) ^ bias
    into.counts[index] = (pedestal >> 8) ^ bias
    into.parts[index] = pedestal & 0xff
  }
  return below
}
