/**
 * The modes of the directional clustering step against each other and against the truth, on simulated full-size images.
 *
 *   node bench/directional.ts [--images 20]
 *
 * Per scene and mode: clusters, tracks of the step, efficiency, purity, resolved and merged tracks, selected fakes, time
 * of the step. Agreement of two modes: adjusted Rand index over all points either gives to a cluster; "faithful, other
 * draws" is the faithful mode with another seed, that is how far the reference agrees with itself. Prints one JSON line per figure.
 */
import { simulateRun } from '../src/detector/index.ts'
import type { ImageTruth } from '../src/detector/index.ts'
import { adjustedRandIndex } from '../src/reconstruction/kernels/rand-index.ts'
import { prepareCalibration } from '../src/reconstruction/kernels/image-cells.ts'
import { createImageChain } from '../src/reconstruction/kernels/image-chain.ts'
import type { ReconstructedImage } from '../src/reconstruction/kernels/image-chain.ts'
import {
  addPedestalImage,
  createPedestalAccumulator,
  finishPedestalMap,
} from '../src/reconstruction/kernels/pedestal-map.ts'
import { lightCorrectionOf } from '../src/reconstruction/kernels/vignetting.ts'
import { completeParameters } from '../src/reconstruction/parameters.ts'
import { distributionOf } from '../src/reconstruction/run-tally.ts'
import { addTally, emptyTally, matchImage, truthSummaryOf } from '../src/reconstruction/truth-matching.ts'

const side = 2304
const images = Number(process.argv[process.argv.indexOf('--images') + 1] || 20) || 20
const scenes = [
  { name: 'sparse', tracks: { iron: 4, muon: 0.3, alpha: 0.3 } },
  { name: 'medium', tracks: { iron: 6, muon: 3, alpha: 0.5 } },
  { name: 'busy', tracks: { iron: 8, muon: 8, alpha: 1 } },
]
const variants = [
  { name: 'off', mode: 'off', seed: 1 },
  { name: 'fast', mode: 'fast', seed: 1 },
  { name: 'faithful', mode: 'faithful', seed: 1 },
  { name: 'faithful, other draws', mode: 'faithful', seed: 2 },
] as const
const pairs = [
  [1, 2],
  [2, 3],
  [0, 2],
] as const

function print(name: string, value: number | null, unit: string): void {
  console.log(JSON.stringify({ name, value: value === null ? null : Number(value.toPrecision(4)), unit }))
}

const pedestal = createPedestalAccumulator(side, side)
for await (const event of simulateRun({
  seed: 20,
  number: 1,
  kind: 'pedestal',
  images: 30,
  startMs: 0,
  waveforms: false,
})) {
  if (event.kind === 'event' && event.frame) addPedestalImage(pedestal, event.frame.pixels)
}
const defaults = completeParameters({})
const light = lightCorrectionOf(side, side, defaults)
const calibration = prepareCalibration(finishPedestalMap(pedestal).map, light, defaults)

/** Cluster rank per cell, -1 where there is none. */
function labelsOf(image: ReconstructedImage): Int32Array {
  const labels = new Int32Array((side / 4) ** 2).fill(-1)
  image.clusters.forEach((cluster, rank) => {
    for (const cell of cluster.cells) labels[cell] = rank
  })
  return labels
}

for (const [index, { name, tracks }] of scenes.entries()) {
  const chains = variants.map(({ mode, seed }) => {
    const parameters = completeParameters({ directionalMode: mode })
    return {
      parameters,
      seed,
      chain: createImageChain(calibration, parameters),
      tally: emptyTally(),
      clusters: 0,
      tracks: 0,
    }
  })
  const times = chains.map((): number[] => [])
  const agreement = pairs.map((): number[] => [])
  const run = simulateRun({
    seed: 20,
    number: index + 2,
    kind: 'data',
    images,
    startMs: 0,
    waveforms: false,
    tracksPerImage: tracks,
  })
  for await (const event of run) {
    if (event.kind !== 'event' || event.frame === undefined) continue
    const truth: ImageTruth = event.truth!
    const labels = chains.map((variant, at) => {
      const image = variant.chain.reconstruct(event.frame!.pixels, variant.seed)
      times[at]!.push(image.stageMs.directional)
      variant.clusters += image.clusters.length
      variant.tracks += image.clusters.filter((cluster) => cluster.directional).length
      addTally(variant.tally, matchImage(image.clusters, truth, calibration, variant.parameters).tally)
      return labelsOf(image)
    })
    pairs.forEach(([one, other], at) => agreement[at]!.push(adjustedRandIndex(labels[one]!, labels[other]!)))
  }
  variants.forEach((variant, at) => {
    const { tally, clusters, tracks: made } = chains[at]!
    const truth = truthSummaryOf(tally)
    const label = `${name} / ${variant.name}`
    print(`${label}: clusters`, clusters / images, 'per image')
    print(`${label}: directional tracks`, made / images, 'per image')
    print(`${label}: efficiency`, truth.efficiency, '')
    print(`${label}: purity`, truth.purity, '')
    print(`${label}: resolved / findable`, truth.resolved / Math.max(1, truth.findable), '')
    print(`${label}: split`, truth.split / images, 'per image')
    print(`${label}: merged`, truth.merged / images, 'per image')
    print(`${label}: selected fakes`, truth.selectedFakeClusters / images, 'per image')
    print(`${label}: time of the step`, distributionOf(times[at]!).medianMs, 'ms')
  })
  pairs.forEach(([one, other], at) => {
    const values = agreement[at]!
    const label = `${name} / ${variants[one].name} against ${variants[other].name}`
    print(`${label}: mean adjusted Rand index`, values.reduce((sum, value) => sum + value, 0) / values.length, '')
    print(`${label}: identical images`, values.filter((value) => value === 1).length / values.length, '')
  })
}
