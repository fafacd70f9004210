import { beforeAll, describe, expect, it } from 'vitest'
import { simulateRun } from '../../detector/index.ts'
import type { SimulationOptions } from '../../detector/index.ts'
import { rounds } from '../../foundation/testing.ts'
import { completeParameters } from '../parameters.ts'
import type { ReconstructionParameters } from '../parameters.ts'
import { presets } from '../presets.ts'
import { addTally, emptyTally, matchImage, truthSummaryOf } from '../truth-matching.ts'
import { prepareCalibration } from './image-cells.ts'
import { createImageChain } from './image-chain.ts'
import { addPedestalImage, createPedestalAccumulator, finishPedestalMap } from './pedestal-map.ts'
import type { PedestalMap } from './pedestal-map.ts'
import { adjustedRandIndex } from './rand-index.ts'
import { lightCorrectionOf } from './vignetting.ts'

const common = { seed: 33, startMs: 0, waveforms: false }

async function pedestalOf(side: number, images: number): Promise<PedestalMap> {
  const sums = createPedestalAccumulator(side, side)
  const frame = { width: side, height: side }
  for await (const event of simulateRun({ ...common, number: 1, kind: 'pedestal', images, frame })) {
    if (event.kind === 'event' && event.frame) addPedestalImage(sums, event.frame.pixels)
  }
  return finishPedestalMap(sums).map
}

async function imagesOf(side: number, options: Partial<SimulationOptions>) {
  const found = []
  const frame = { width: side, height: side }
  for await (const event of simulateRun({ ...common, number: 2, kind: 'data', images: 1, frame, ...options })) {
    if (event.kind === 'event' && event.frame) found.push({ pixels: event.frame.pixels, truth: event.truth! })
  }
  return found
}

function chainOf(map: PedestalMap, given: Partial<ReconstructionParameters> = {}) {
  const parameters = completeParameters(given)
  const calibration = prepareCalibration(map, lightCorrectionOf(map.width, map.height, parameters), parameters)
  return { parameters, calibration, chain: createImageChain(calibration, parameters) }
}

const side = 576
const darkness = { tracksPerImage: { iron: 0, muon: 0, alpha: 0 } }

describe('image chain', () => {
  let map: PedestalMap
  beforeAll(async () => {
    map = await pedestalOf(side, 20)
  })

  it('vetoes a spark exactly above its limit', async () => {
    const { chain, parameters } = chainOf(map)
    const limit = parameters.sparkVetoCountsPerPixel * side * side + parameters.sparkVetoOffsetCounts
    // The reference's number for a Fusion: 2 x 100 x 2304^2 + 9e6.
    expect(parameters.sparkVetoCountsPerPixel * 2304 ** 2 + parameters.sparkVetoOffsetCounts).toBe(1_070_683_200)
    const pixels = new Uint16Array(side * side).fill(Math.floor(limit / (side * side)))
    let missing = limit - pixels.length * pixels[0]!
    for (let at = 0; missing > 0; at++, missing--) pixels[at % pixels.length]!++
    expect(chain.reconstruct(pixels)).toMatchObject({ rawSumCounts: limit, vetoed: false })
    pixels[0]!++
    expect(chain.reconstruct(pixels)).toMatchObject({
      rawSumCounts: limit + 1,
      vetoed: true,
      clusters: [],
      macroHits: 0,
    })
  })

  it('selects nothing in images of noise', async () => {
    const { chain } = chainOf(map)
    let clusters = 0
    for (const { pixels } of await imagesOf(side, { ...darkness, images: rounds(60), number: 3 })) {
      const found = chain.reconstruct(pixels).clusters
      clusters += found.length
      expect(found.filter((cluster) => cluster.selected)).toEqual([])
    }
    expect(clusters).toBeGreaterThan(0)
  })

  it('finds the tracks in every mode, and says which clusters the directional step made', async () => {
    const images = await imagesOf(side, { images: 20, tracksPerImage: { iron: 2, muon: 1, alpha: 0.2 }, number: 4 })
    const labels = new Map<string, Int32Array[]>()
    for (const directionalMode of ['off', 'fast', 'faithful'] as const) {
      labels.set(directionalMode, [])
      const { chain, calibration, parameters } = chainOf(map, { directionalMode })
      const tally = emptyTally()
      let tracks = 0
      for (const { pixels, truth } of images) {
        const { clusters } = chain.reconstruct(pixels, 1)
        const label = new Int32Array(calibration.cellColumns * calibration.cellRows).fill(-1)
        clusters.forEach(({ cells }, rank) => {
          for (const cell of cells) label[cell] = rank
        })
        labels.get(directionalMode)!.push(label)
        tracks += clusters.filter((cluster) => cluster.directional).length
        addTally(tally, matchImage(clusters, truth, calibration, parameters).tally)
      }
      const summary = truthSummaryOf(tally)
      expect(summary.efficiency, directionalMode).toBeGreaterThan(0.9)
      expect(summary.purity, directionalMode).toBeGreaterThan(0.85)
      expect(tracks > 0, directionalMode).toBe(directionalMode !== 'off')
    }
    const agreement = labels
      .get('fast')!
      .map((label, image) => adjustedRandIndex(label, labels.get('faithful')![image]!))
    const mean = agreement.reduce((sum, value) => sum + value, 0) / agreement.length
    console.log(
      `simulated images, fast against faithful: mean adjusted Rand index ${mean.toFixed(4)}, ` +
        `identical ${agreement.filter((value) => value === 1).length} of ${agreement.length}`,
    )
    expect(mean).toBeGreaterThan(0.98)
  })

  it('stores the pixels its integral is the sum of, rounded to 0.1', async () => {
    const { chain, parameters } = chainOf(map)
    const images = await imagesOf(side, { images: 4, tracksPerImage: { iron: 3, muon: 0.5, alpha: 0.2 }, number: 5 })
    let stored = 0
    for (const { pixels: raw } of images) {
      const { clusters, pixels } = chain.reconstruct(raw)
      const bright = clusters.filter((cluster) => cluster.integralCounts > parameters.savePixelsMinimumIntegralCounts)
      expect(new Set(pixels.cluster)).toEqual(new Set(bright.map((_, rank) => rank)))
      bright.forEach((cluster, rank) => {
        const own = [...pixels.cluster.keys()].filter((at) => pixels.cluster[at] === rank)
        stored += own.length
        expect(own.length).toBe(cluster.sizePx)
        const sum = own.reduce((total, at) => total + pixels.counts[at]!, 0)
        expect(Math.abs(sum - cluster.integralCounts)).toBeLessThan(0.05 * own.length)
        expect(Math.min(...own.map((at) => pixels.x[at]!))).toBe(cluster.xMinPx)
        expect(Math.max(...own.map((at) => pixels.y[at]!))).toBe(cluster.yMaxPx)
      })
      expect(chainOf(map, { savePixels: 0 }).chain.reconstruct(raw).pixels.x.length).toBe(0)
    }
    expect(stored).toBeGreaterThan(1000)
  })

  it('runs with every preset', async () => {
    const [image] = await imagesOf(side, { tracksPerImage: { iron: 4, muon: 0, alpha: 0 }, number: 6 })
    for (const { name, parameters } of presets) {
      const { clusters } = chainOf(map, parameters).chain.reconstruct(image!.pixels)
      expect(clusters.filter((cluster) => cluster.integralCounts > 1000).length, name).toBeGreaterThan(0)
    }
  })
})

describe('energy of 55Fe', () => {
  it('is 5.9 keV at 250 mm from the GEM, and the width of the spot that of its diffusion', async () => {
    const map = await pedestalOf(2304, 12)
    const tracks = Array.from({ length: 16 }, (_, index) => ({
      kind: 'iron' as const,
      energyKev: 5.9,
      xMm: 173 + ((index % 4) - 1.5) * 50,
      yMm: 173 + (Math.floor(index / 4) - 1.5) * 50,
      zMm: 250,
    }))
    const { chain } = chainOf(map)
    const along = chainOf(map, { energyAlongTrack: 1 }).chain
    const images = await imagesOf(2304, { ...darkness, tracks, images: rounds(2), number: 7 })
    const clusters = images.flatMap(({ pixels }) => chain.reconstruct(pixels).clusters.filter((one) => one.selected))
    expect(clusters.length).toBe(16 * images.length)
    const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
    const energyKev = mean(clusters.map((cluster) => cluster.energyKev))
    // sigma_T^2 = 0.13475 + 0.0143819 z[cm] mm^2, 0.152 mm per pixel.
    const sigmaMm = mean(clusters.map((cluster) => cluster.latGaussSigmaPx)) * 0.152
    console.log(`55Fe at 250 mm: ${energyKev.toFixed(2)} keV, Gaussian width ${sigmaMm.toFixed(3)} mm`)
    expect(Math.abs(energyKev / 5.9 - 1)).toBeLessThan(0.1)
    expect(Math.abs(sigmaMm / Math.sqrt(0.13475 + 0.0143819 * 25) - 1)).toBeLessThan(0.2)
    expect(clusters.every((cluster) => cluster.latGaussStatus === 3 && cluster.pathLengthPx === -1)).toBe(true)
    const sliced = along.reconstruct(images[0]!.pixels).clusters.filter((one) => one.selected)
    expect(sliced.every((cluster) => cluster.energyKev > 0 && cluster.pathLengthPx >= 1)).toBe(true)
  })
})
