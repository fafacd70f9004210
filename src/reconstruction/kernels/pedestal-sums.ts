/**
 * The sums of a pedestal run, by the SIMD kernel where the machine has it, otherwise by the plain TypeScript of
 * pedestal-map.ts. Both give the same numbers.
 */
import { addPedestalImage, createPedestalAccumulator } from './pedestal-map.ts'
import type { PedestalAccumulator } from './pedestal-map.ts'
import { loadKernelModule, pageBytes, planMemory } from './wasm-kernels.ts'

export interface PedestalSums {
  readonly width: number
  readonly height: number
  readonly images: number
  /** Adds one image of `width * height` raw pixels. Exact up to 32 000 images. */
  add(pixels: Uint16Array): void
  /** The sums so far, for `finishPedestalMap`; valid until the next image. */
  accumulator(): PedestalAccumulator
}

interface PedestalExports {
  configurePedestal(origins: number, peaks: number, sums: number, squares: number, carries: number): void
  addPixels(raw: number, first: number, count: number): void
}

/** Pixels copied in at a time: 128 kB, which stay in the second-level cache. */
const pixelsPerPiece = 65_536

/** `load` is for tests; by default kernels.wasm. */
export function createPedestalSums(
  width: number,
  height: number,
  load: () => WebAssembly.Module = loadKernelModule,
): PedestalSums {
  try {
    return createWasmPedestalSums(width, height, load())
  } catch {
    const accumulator = createPedestalAccumulator(width, height)
    return {
      width,
      height,
      get images() {
        return accumulator.images
      },
      add: (pixels) => addPedestalImage(accumulator, pixels),
      accumulator: () => accumulator,
    }
  }
}

function createWasmPedestalSums(width: number, height: number, module: WebAssembly.Module): PedestalSums {
  const length = width * height
  const plan = planMemory()
  const at = {
    raw: plan.take(pixelsPerPiece * 2),
    origins: plan.take(length * 2),
    peaks: plan.take(length * 2),
    sums: plan.take(length * 4),
    squares: plan.take(length * 4),
    carries: plan.take(length * 2),
  }
  const memory = new WebAssembly.Memory({ initial: Math.ceil(plan.sizeBytes() / pageBytes) })
  const kernel = new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as PedestalExports
  kernel.configurePedestal(at.origins, at.peaks, at.sums, at.squares, at.carries)
  const piece = new Uint16Array(memory.buffer, at.raw, pixelsPerPiece)
  const origin = new Uint16Array(memory.buffer, at.origins, length)
  const peak = new Uint16Array(memory.buffer, at.peaks, length)
  let images = 0
  return {
    width,
    height,
    get images() {
      return images
    },
    add(pixels) {
      if (pixels.length !== length)
        throw new RangeError(`pedestal image has ${pixels.length} pixels instead of ${length}`)
      if (images++ === 0) {
        origin.set(pixels)
        peak.set(pixels)
        return
      }
      for (let first = 0; first < length; first += pixelsPerPiece) {
        const part = pixels.subarray(first, first + pixelsPerPiece)
        piece.set(part)
        kernel.addPixels(at.raw, first, part.length)
      }
    },
    accumulator() {
      const low = new Uint32Array(memory.buffer, at.squares, length)
      const carries = new Uint16Array(memory.buffer, at.carries, length)
      const squares = Float64Array.from(low)
      for (let index = 0; index < length; index++) {
        if (carries[index] !== 0) squares[index] = squares[index]! + carries[index]! * 2 ** 32
      }
      return { width, height, images, origin, peak, sum: new Int32Array(memory.buffer, at.sums, length), squares }
    },
  }
}
