/**
 * Reconstruction of full-size simulated images, stage by stage: the SIMD kernels beside the plain TypeScript they are held
 * equal to and beside numpy + scipy + scikit-learn, on the same images in one run. Whole jobs: reconstruction-job.ts.
 *
 *   node bench/reconstruction.ts [--images 12]
 *
 * CYGNET_TEST_PYTHON names a Python with numpy, scipy and scikit-learn; without one the peer's columns are null. Prints
 * one JSON line per figure: {name, value, unit, peer, peerValue, ratio}; ratio = peerValue / value (above 1: we are faster).
 */
import { spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { simulateRun } from '../src/detector/index.ts'
import type { ImageTruth, TracksPerImage } from '../src/detector/index.ts'
import { defaultParameters } from '../src/reconstruction/index.ts'
import { prepareCalibration } from '../src/reconstruction/kernels/image-cells.ts'
import type { ImageCalibration } from '../src/reconstruction/kernels/image-cells.ts'
import { createImageChain, stages } from '../src/reconstruction/kernels/image-chain.ts'
import { chooseKernels, createTypescriptKernels } from '../src/reconstruction/kernels/image-kernels.ts'
import type { ImageKernels } from '../src/reconstruction/kernels/image-kernels.ts'
import {
  addPedestalImage,
  createPedestalAccumulator,
  finishPedestalMap,
} from '../src/reconstruction/kernels/pedestal-map.ts'
import { createPedestalSums } from '../src/reconstruction/kernels/pedestal-sums.ts'
import { lightCorrectionOf } from '../src/reconstruction/kernels/vignetting.ts'
import { distributionOf } from '../src/reconstruction/run-tally.ts'
import { addTally, emptyTally, matchImage, truthSummaryOf } from '../src/reconstruction/truth-matching.ts'

const side = 2304
const images = Number(process.argv[process.argv.indexOf('--images') + 1] || 12) || 12
const warmUp = 4
const pedestalImages = 30
const peer = 'numpy + scipy + scikit-learn'
const plain = 'plain TypeScript'
/** Those that exist twice. */
const kernelStages = ['cells', 'reduce', 'cluster'] as const

/**
 * The same definitions with the usual tools: cut, subtraction, suppression, acceptance, 2x2 rank filter and two 4x4
 * means by numpy and scipy (float32); DBSCAN by scikit-learn on our points, whose labels are compared with ours.
 */
const peerProgram = `
import sys, json, time, numpy as np
from scipy.ndimage import rank_filter
from sklearn.cluster import DBSCAN
folder, count, side = sys.argv[1], int(sys.argv[2]), 2304
mean = np.fromfile(folder + '/mean.f32', '<f4').reshape(side, side)
cut = mean + np.float32(0.6) * np.fromfile(folder + '/sigma.f32', '<f4').reshape(side, side)
def rebin(a): return a.reshape(side // 4, 4, side // 4, 4).mean(axis=(1, 3))
def cells(raw):
    z = np.where((raw > cut) & (raw < 5000), raw - mean, np.float32(0))
    z[:304] = 0
    z[2054:] = 0
    return rebin(z), rebin(rank_filter(z, 2, size=2, mode='reflect'))
out = {'cells': [], 'cluster': [], 'differences': 0, 'points': 0}
for i in range(-1, count):
    k = max(i, 0)
    raw = np.fromfile(f'{folder}/frame{k}.u16', '<u2').reshape(side, side).astype(np.float32)
    x, y, weight, labels = np.fromfile(f'{folder}/points{k}.i32', '<i4').reshape(4, -1)
    t0 = time.perf_counter()
    cells(raw)
    t1 = time.perf_counter()
    fit = DBSCAN(eps=12, min_samples=20, metric='cityblock').fit(np.column_stack([x, y]), sample_weight=weight)
    t2 = time.perf_counter()
    if i < 0: continue  # first call: imports and caches
    out['cells'].append((t1 - t0) * 1000)
    out['cluster'].append((t2 - t1) * 1000)
    out['differences'] += int((fit.labels_ != labels).sum())
    out['points'] += len(labels)
json.dump(out, sys.stdout)
`

interface Scene {
  name: string
  tracks: TracksPerImage
}
const scenes: Scene[] = [
  { name: 'sparse', tracks: { iron: 4, muon: 0.3, alpha: 0.3 } },
  { name: 'busy', tracks: { iron: 8, muon: 8, alpha: 1 } },
]

function print(
  name: string,
  value: number | null,
  unit: string,
  peerName: string | null = null,
  peerValue: number | null = null,
): void {
  const ratio = value !== null && peerValue !== null && value > 0 ? peerValue / value : null
  const rounded = (number: number | null) => (number === null ? null : Number(number.toPrecision(4)))
  console.log(
    JSON.stringify({
      name,
      value: rounded(value),
      unit,
      peer: peerName,
      peerValue: rounded(peerValue),
      ratio: rounded(ratio),
    }),
  )
}

async function framesOf(number: number, kind: 'pedestal' | 'data', count: number, tracks?: TracksPerImage) {
  const frames: { pixels: Uint16Array; truth: ImageTruth | undefined }[] = []
  const run = simulateRun({
    seed: 20,
    number,
    kind,
    images: count,
    startMs: 0,
    waveforms: false,
    ...(tracks && { tracksPerImage: tracks }),
  })
  for await (const event of run) {
    if (event.kind === 'event' && event.frame) frames.push({ pixels: event.frame.pixels, truth: event.truth })
  }
  return frames
}

const folder = await mkdtemp(join(tmpdir(), 'cygnet-bench-'))
try {
  const accumulator = createPedestalAccumulator(side, side)
  const sums = createPedestalSums(side, side)
  const pedestalMs: number[] = []
  const plainPedestalMs: number[] = []
  for (const { pixels } of await framesOf(1, 'pedestal', pedestalImages)) {
    const begin = performance.now()
    addPedestalImage(accumulator, pixels)
    const between = performance.now()
    sums.add(pixels)
    pedestalMs.push(performance.now() - between)
    plainPedestalMs.push(between - begin)
  }
  const { map } = finishPedestalMap(accumulator)
  const median = (ms: number[]) => distributionOf(ms).medianMs
  print('reconstruction.pedestal.per-image', median(pedestalMs), 'ms', plain, median(plainPedestalMs))
  const calibration = prepareCalibration(map, lightCorrectionOf(side, side, defaultParameters), defaultParameters)
  await writeFile(join(folder, 'mean.f32'), new Uint8Array(map.mean.buffer))
  await writeFile(join(folder, 'sigma.f32'), new Uint8Array(map.sigma.buffer))

  for (const [index, scene] of scenes.entries()) {
    const frames = await framesOf(2 + index, 'data', images, scene.tracks)
    const chain = createImageChain(calibration, defaultParameters)
    for (let turn = 0; turn < warmUp; turn++) chain.reconstruct(frames[turn % frames.length]!.pixels)
    const times = new Map<string, number[]>([...stages, 'total'].map((stage) => [stage, []]))
    const tally = emptyTally()
    let hits = 0
    let clusters = 0
    for (const { pixels, truth } of frames) {
      const image = chain.reconstruct(pixels)
      for (const stage of stages) times.get(stage)!.push(image.stageMs[stage])
      times.get('total')!.push(stages.reduce((sum, stage) => sum + image.stageMs[stage], 0))
      hits += image.macroHits
      clusters += image.clusters.length
      if (truth) addTally(tally, matchImage(image.clusters, truth, calibration, defaultParameters).tally)
    }
    const python = await peerTimes(
      scene.name,
      frames.map(({ pixels }) => pixels),
      calibration,
    )
    const oracle = kernelTimes(
      createTypescriptKernels(calibration, defaultParameters),
      frames.map(({ pixels }) => pixels),
    )
    for (const stage of kernelStages) {
      const ours = distributionOf(times.get(stage)!)
      const theirs = distributionOf(oracle[stage])
      print(
        `reconstruction.${scene.name}.${stage}.against-typescript.median`,
        ours.medianMs,
        'ms',
        plain,
        theirs.medianMs,
      )
      print(`reconstruction.${scene.name}.${stage}.against-typescript.p95`, ours.p95Ms, 'ms', plain, theirs.p95Ms)
    }
    const figures = { cells: python?.cells, cluster: python?.cluster }
    for (const stage of [...stages, 'total']) {
      const { medianMs, p95Ms } = distributionOf(times.get(stage)!)
      const other = figures[stage as keyof typeof figures]
      print(
        `reconstruction.${scene.name}.${stage}.median`,
        medianMs,
        'ms',
        other ? peer : null,
        other ? distributionOf(other).medianMs : null,
      )
      print(
        `reconstruction.${scene.name}.${stage}.p95`,
        p95Ms,
        'ms',
        other ? peer : null,
        other ? distributionOf(other).p95Ms : null,
      )
    }
    const truth = truthSummaryOf(tally)
    print(`reconstruction.${scene.name}.points-per-image`, hits / frames.length, 'points')
    print(`reconstruction.${scene.name}.clusters-per-image`, clusters / frames.length, 'clusters')
    print(`reconstruction.${scene.name}.efficiency`, truth.efficiency, `of ${truth.findable} findable tracks`)
    print(`reconstruction.${scene.name}.purity`, truth.purity, `over ${truth.selectedClusters} selected clusters`)
    print(
      `reconstruction.${scene.name}.resolved`,
      truth.resolved / truth.findable,
      'of findable tracks are the main track of a cluster',
    )
    print(
      `reconstruction.${scene.name}.merged`,
      truth.merged / truth.selectedClusters,
      'of selected clusters hold two or more tracks',
    )
    print(
      `reconstruction.${scene.name}.selected-fakes-per-image`,
      truth.selectedFakeClusters / frames.length,
      'clusters',
    )
    if (python)
      print(
        `reconstruction.${scene.name}.label-differences`,
        python.differences,
        `of ${python.points} points`,
        'scikit-learn DBSCAN',
        0,
      )
  }
} finally {
  await rm(folder, { recursive: true, force: true })
}

/** The three stages of one image, each timed. */
function runKernels(kernels: ImageKernels, pixels: Uint16Array): Record<(typeof kernelStages)[number], number> {
  const begin = performance.now()
  kernels.imageToCells(pixels)
  const cells = performance.now()
  kernels.findPoints()
  const reduce = performance.now()
  kernels.cluster(defaultParameters.clusterRadiusCells, defaultParameters.clusterMinimumWeightCounts)
  return { cells: cells - begin, reduce: reduce - cells, cluster: performance.now() - reduce }
}

function kernelTimes(kernels: ImageKernels, frames: Uint16Array[]) {
  for (let turn = 0; turn < warmUp; turn++) runKernels(kernels, frames[turn % frames.length]!)
  const times = frames.map((pixels) => runKernels(kernels, pixels))
  const of = (stage: (typeof kernelStages)[number]) => times.map((each) => each[stage])
  return { cells: of('cells'), reduce: of('reduce'), cluster: of('cluster') }
}

/** Writes images and our points and labels for the peer, and returns its times per image in ms. */
async function peerTimes(name: string, frames: Uint16Array[], calibration: ImageCalibration) {
  const python = process.env.CYGNET_TEST_PYTHON
  if (python === undefined || spawnSync(python, ['-c', 'import numpy, scipy, sklearn']).status !== 0) {
    console.error('no peer: CYGNET_TEST_PYTHON names no Python with numpy, scipy and scikit-learn')
    return undefined
  }
  const { kernels, reason } = chooseKernels(calibration, defaultParameters)
  if (reason !== null) console.error(`no SIMD kernels: ${reason}`)
  const { points, labels } = kernels
  for (const [index, pixels] of frames.entries()) {
    runKernels(kernels, pixels)
    const columns = [points.x, points.y, points.weight, labels].map((column) => column.slice(0, points.count))
    await writeFile(
      join(folder, `points${index}.i32`),
      Buffer.concat(columns.map((column) => new Uint8Array(column.buffer))),
    )
    await writeFile(
      join(folder, `frame${index}.u16`),
      new Uint8Array(pixels.buffer, pixels.byteOffset, pixels.byteLength),
    )
  }
  const run = spawnSync(python, ['-c', peerProgram, folder, String(frames.length)], { encoding: 'utf8' })
  if (run.status !== 0) throw new Error(`the peer failed on ${name}: ${run.stderr}`)
  return JSON.parse(run.stdout) as { cells: number[]; cluster: number[]; differences: number; points: number }
}
