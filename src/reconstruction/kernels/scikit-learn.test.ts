/**
 * Labels against scikit-learn itself: every label of every point, noise included, on simulated images and on random point
 * sets of all densities. 36 images in the usual run, 1000 under './cygnet test --long reconstruction'.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { simulateRun } from '../../detector/index.ts'
import { rounds, temporaryDirectory } from '../../foundation/testing.ts'
import { defaultParameters } from '../parameters.ts'
import { prepareCalibration } from './image-cells.ts'
import { chooseKernels, createTypescriptKernels } from './image-kernels.ts'
import type { ImageKernels } from './image-kernels.ts'
import { addPedestalImage, createPedestalAccumulator, finishPedestalMap } from './pedestal-map.ts'
import type { PedestalMap } from './pedestal-map.ts'
import { lightCorrectionOf } from './vignetting.ts'

const python = process.env.CYGNET_TEST_PYTHON
const hasSklearn =
  python !== undefined && existsSync(python) && spawnSync(python, ['-c', 'import sklearn, numpy']).status === 0

const cellsPerSide = 576
const simulatedSide = 768
const pointSets = rounds(24, 600)
const simulatedImages = rounds(12, 400)
/** Share of cells filled in the densest point set: 10 000 points usually, 100 000 in the long run. */
const highestDensity = rounds(0.03, 0.3)

/** One image for scikit-learn: points and our labels, column by column. */
interface Labelled {
  radius: number
  minimum: number
  x: Int32Array
  y: Int32Array
  weight: Int32Array
  labels: Int32Array
}

/** xorshift32: uniform in [0, 1). */
function randomOf(seed: number): () => number {
  let state = Math.imul(seed + 1, 0x9e3779b1) | 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
}

function kernelsOf(map: PedestalMap): { wasm: ImageKernels; oracle: ImageKernels } {
  const correction = lightCorrectionOf(map.width, map.height, defaultParameters)
  const calibration = prepareCalibration(map, correction, defaultParameters)
  const { kernels, reason } = chooseKernels(calibration, defaultParameters)
  expect(reason).toBeNull()
  return { wasm: kernels, oracle: createTypescriptKernels(calibration, defaultParameters) }
}

function labelPoints({ wasm, oracle }: ReturnType<typeof kernelsOf>, radius: number, minimum: number): Labelled {
  const { count } = wasm.points
  const [x, y, weight] = [wasm.points.x, wasm.points.y, wasm.points.weight].map((column) => column.slice(0, count))
  oracle.points.count = count
  oracle.points.x.set(x!)
  oracle.points.y.set(y!)
  oracle.points.weight.set(weight!)
  expect(wasm.cluster(radius, minimum)).toBe(oracle.cluster(radius, minimum))
  const labels = wasm.labels.slice(0, count)
  expect(Buffer.from(labels.buffer).equals(Buffer.from(oracle.labels.slice(0, count).buffer))).toBe(true)
  return { radius, minimum, x: x!, y: y!, weight: weight!, labels }
}

/** Uniform, clumped or banded points in raster order, from one in 10 000 cells up; every other set with other settings. */
function* randomPointSets(): Generator<Labelled> {
  const side = cellsPerSide * 4
  const flat = new Float32Array(side * side)
  const both = kernelsOf({ width: side, height: side, images: 1, mean: flat, sigma: flat })
  for (let number = 0; number < pointSets; number++) {
    const random = randomOf(number)
    const density = 1e-4 * (highestDensity / 1e-4) ** random()
    const heaviest = random() < 0.5 ? 3 : 200
    const wanted = Math.ceil(density * cellsPerSide ** 2)
    const taken = new Set<number>()
    for (let turn = 0; taken.size < wanted && turn < 3 * wanted; turn++) {
      let x = Math.floor(cellsPerSide * random())
      let y = Math.floor(cellsPerSide * random())
      if (number % 3 === 1 && random() < 0.7) {
        x = 100 * (x % 6) + Math.floor(60 * random() * random())
        y = 100 * (y % 6) + Math.floor(60 * random() * random())
      } else if (number % 3 === 2 && random() < 0.5) y = (x + Math.floor(12 * random())) % cellsPerSide
      taken.add(y * cellsPerSide + x)
    }
    const cells = [...taken].sort((a, b) => a - b)
    for (const [index, cell] of cells.entries()) {
      both.wasm.points.x[index] = cell % cellsPerSide
      both.wasm.points.y[index] = Math.floor(cell / cellsPerSide)
      both.wasm.points.weight[index] = 1 + Math.floor(heaviest * random() ** 4)
    }
    both.wasm.points.count = cells.length
    if (number % 2 === 0) yield labelPoints(both, 12, 20)
    else yield labelPoints(both, 1 + Math.floor(24 * random()), Math.ceil(400 * random() ** 3))
  }
}

async function* simulatedPoints(): AsyncGenerator<Labelled> {
  const options = {
    seed: 47,
    frame: { width: simulatedSide, height: simulatedSide },
    startMs: 0,
    waveforms: false,
    tracksPerImage: { iron: 3, muon: 1, alpha: 0.3 },
  }
  const accumulator = createPedestalAccumulator(simulatedSide, simulatedSide)
  for await (const event of simulateRun({ ...options, number: 1, kind: 'pedestal', images: 10 })) {
    if (event.kind === 'event' && event.frame) addPedestalImage(accumulator, event.frame.pixels)
  }
  const both = kernelsOf(finishPedestalMap(accumulator).map)
  for await (const event of simulateRun({ ...options, number: 2, kind: 'data', images: simulatedImages })) {
    if (event.kind !== 'event' || !event.frame) continue
    both.wasm.imageToCells(event.frame.pixels)
    both.wasm.findPoints()
    yield labelPoints(both, defaultParameters.clusterRadiusCells, defaultParameters.clusterMinimumWeightCounts)
  }
}

it.skipIf(!hasSklearn)(
  `${pointSets + simulatedImages} images have the labels of scikit-learn, every point${hasSklearn ? '' : ' (SKIPPED: CYGNET_TEST_PYTHON names no Python with scikit-learn)'}`,
  { timeout: 3_600_000 },
  async () => {
    await using folder = await temporaryDirectory()
    const path = join(folder.path, 'images.i32')
    const file = await open(path, 'w')
    try {
      for (const source of [randomPointSets(), simulatedPoints()]) {
        for await (const { radius, minimum, x, y, weight, labels } of source) {
          const parts = [Int32Array.of(x.length, radius, minimum), x, y, weight, labels]
          for (const part of parts) await file.write(new Uint8Array(part.buffer))
        }
      }
    } finally {
      await file.close()
    }
    const run = spawnSync(python!, ['-c', sklearnProgram, path], { encoding: 'utf8', maxBuffer: 1 << 26 })
    expect(run.status, run.stderr).toBe(0)
    const found = JSON.parse(run.stdout) as Record<'images' | 'points' | 'noise' | 'clusters' | 'differences', number>
    console.log(
      `scikit-learn agrees: ${found.images} images, ${found.points} points (${found.noise} noise), ${found.clusters} clusters, ${found.differences} labels differ`,
    )
    expect(found.images).toBe(pointSets + simulatedImages)
    expect(found.points).toBeGreaterThan(20_000)
    expect(found.differences).toBe(0)
  },
)

const sklearnProgram = `
import json, sys, numpy as np
from sklearn.cluster import DBSCAN
data = np.fromfile(sys.argv[1], '<i4')
out = dict(images=0, points=0, noise=0, clusters=0, differences=0)
at = 0
while at < len(data):
    count, radius, minimum = data[at:at + 3]
    x, y, weight, labels = data[at + 3:at + 3 + 4 * count].reshape(4, -1)
    at += 3 + 4 * count
    out['images'] += 1
    if count == 0: continue
    fit = DBSCAN(eps=int(radius), min_samples=int(minimum), metric='cityblock').fit(np.column_stack([x, y]), sample_weight=weight)
    out['points'] += int(count)
    out['noise'] += int((fit.labels_ < 0).sum())
    out['clusters'] += int(fit.labels_.max()) + 1
    out['differences'] += int((fit.labels_ != labels).sum())
json.dump(out, sys.stdout)
`
