import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { testOnDomainData } from '../../foundation/testing.ts'
import { defaultParameters } from '../parameters.ts'
import { createClusterScratch, groupByLabel, measureClusters } from './cluster-variables.ts'
import { prepareCalibration } from './image-cells.ts'
import type { CellPoints } from './noise-reducer.ts'
import { outlineOf } from './outlines.ts'

const level = 100

/** A flat detector: pedestal 100 +- 2 counts, no vignetting; `pixels` are counts above pedestal. */
function measure(
  width: number,
  height: number,
  pixels: { x: number; y: number; counts: number }[],
  label = (_x: number, _y: number) => 0,
) {
  const raw = new Uint16Array(width * height).fill(level)
  const cells = new Map<number, number>()
  for (const { x, y, counts } of pixels) {
    raw[y * width + x] = Math.max(0, Math.round(level + counts))
    cells.set(Math.floor(y / 4) * (width / 4) + Math.floor(x / 4), label(x, y))
  }
  const order = [...cells.keys()].sort((a, b) => a - b)
  const points: CellPoints = {
    count: order.length,
    x: Int32Array.from(order, (cell) => cell % (width / 4)),
    y: Int32Array.from(order, (cell) => Math.floor(cell / (width / 4))),
    weight: new Int32Array(order.length).fill(1),
  }
  const labels = Int32Array.from(order, (cell) => cells.get(cell)!)
  const map = {
    width,
    height,
    images: 100,
    mean: new Float32Array(width * height).fill(level),
    sigma: new Float32Array(width * height).fill(2),
  }
  const parameters = { ...defaultParameters, minimumMacroPixels: 1, acceptanceFrameRows: -1 }
  const calibration = prepareCalibration(map, new Float32Array((width * height) / 16).fill(1), parameters)
  const scratch = createClusterScratch(points.count)
  const clusters = Math.max(...labels) + 1
  groupByLabel(labels, points.count, clusters, scratch)
  return { clusters: measureClusters(raw, calibration, points, clusters, parameters, scratch), points, raw }
}

const someCells = fc.uniqueArray(fc.tuple(fc.nat(9), fc.nat(9)), {
  minLength: 2,
  maxLength: 40,
  selector: ([x, y]) => y * 10 + x,
})

describe('cluster variables', () => {
  it('equal their definitions on random clusters', () => {
    fc.assert(
      fc.property(
        someCells,
        fc.array(fc.integer({ min: -20, max: 300 }), { minLength: 16, maxLength: 16 }),
        (cells, values) => {
          const pixels = cells.flatMap(([cx, cy]) =>
            values.map((value, index) => ({
              x: cx * 4 + (index % 4),
              y: cy * 4 + Math.floor(index / 4),
              counts: value + cx - cy,
            })),
          )
          const [cluster] = measure(40, 40, pixels).clusters
          const z = pixels.map(({ counts }) => counts)
          const integral = z.reduce((sum, value) => sum + value, 0)
          const mean = integral / z.length
          expect(cluster!.sizePx).toBe(pixels.length)
          expect(cluster!.integralCounts).toBeCloseTo(integral, 6)
          expect(cluster!.rmsCounts).toBeCloseTo(
            Math.sqrt(z.reduce((sum, value) => sum + (value - mean) ** 2, 0) / z.length),
            6,
          )
          expect(cluster!.hitsPx).toBe(z.filter((value) => level + value > Math.floor(level + 0.6 * 2)).length)
          const corrected = z.reduce((sum, value) => sum + 0.13209 * value * value + 0.0725 * value + 1.6282, 0)
          expect(cluster!.correctedIntegralCounts).toBeCloseTo(corrected, 6)
          expect(cluster!.energyKev).toBeCloseTo(integral * defaultParameters.kevPerCount, 9)
          expect(cluster!.slimness).toBeCloseTo(cluster!.widthPx / cluster!.lengthPx, 9)
          const angle = (cluster!.thetaDeg * Math.PI) / 180
          for (const [rms, extent, project] of [
            [
              cluster!.longFullRmsPx,
              cluster!.lengthPx,
              (x: number, y: number) => x * Math.cos(angle) + y * Math.sin(angle),
            ],
            [
              cluster!.latFullRmsPx,
              cluster!.widthPx,
              (x: number, y: number) => y * Math.cos(angle) - x * Math.sin(angle),
            ],
          ] as const) {
            const along = pixels.map(({ x, y }) => project(x, y))
            expect(extent).toBeCloseTo(Math.max(...along) - Math.min(...along), 6)
            if (integral <= 0) continue
            const first = along.reduce((sum, u, index) => sum + u * z[index]!, 0) / integral
            const second = along.reduce((sum, u, index) => sum + u * u * z[index]!, 0) / integral
            expect(rms).toBeCloseTo(Math.sqrt(Math.abs(second - first * first)), 4)
          }
          expect([cluster!.xMinPx, cluster!.xMaxPx]).toEqual([
            Math.min(...pixels.map(({ x }) => x)),
            Math.max(...pixels.map(({ x }) => x)),
          ])
          const light = pixels.reduce((sum, { counts }) => sum + Math.max(0, counts), 0)
          if (integral >= 10) {
            expect(cluster!.xMeanPx).toBeCloseTo(
              pixels.reduce((sum, { x, counts }) => sum + x * Math.max(0, counts), 0) / light,
              6,
            )
            expect(cluster!.yMeanPx).toBeCloseTo(
              pixels.reduce((sum, { y, counts }) => sum + y * Math.max(0, counts), 0) / light,
              6,
            )
          }
        },
      ),
      { numRuns: 100 },
    )
  })

  it('gives the axis of a straight track whatever its direction', () => {
    for (const degrees of [-80, -45, -10, 0, 25, 45, 70, 90]) {
      const angle = (degrees * Math.PI) / 180
      const pixels = new Map<number, { x: number; y: number; counts: number }>()
      for (let along = -150; along <= 150; along += 0.5) {
        const x = Math.round(200 + along * Math.cos(angle))
        const y = Math.round(200 + along * Math.sin(angle))
        pixels.set(y * 400 + x, { x, y, counts: 50 })
      }
      const [cluster] = measure(400, 400, [...pixels.values()]).clusters
      const turn = Math.abs(cluster!.thetaDeg - degrees)
      expect(Math.min(turn, 180 - turn)).toBeLessThan(1)
      expect(cluster!.lengthPx).toBeGreaterThan(298)
      expect(cluster!.lengthPx).toBeLessThan(312)
      expect(cluster!.widthPx).toBeLessThan(14)
      expect(cluster!.longRmsPx).toBeCloseTo(300 / Math.sqrt(12), -1)
    }
  })

  it('sorts by integral and leaves out pixels at the upper cut', () => {
    const { clusters } = measure(
      64,
      64,
      [
        { x: 1, y: 1, counts: 50 },
        { x: 40, y: 40, counts: 500 },
        { x: 41, y: 40, counts: 60000 },
      ],
      (x) => (x < 20 ? 0 : 1),
    )
    expect(clusters.map(({ label, integralCounts }) => [label, integralCounts])).toEqual([
      [1, 500],
      [0, 50],
    ])
  })

  testOnDomainData('real clusters give sane variables', async (data) => {
    const folder = join(data, 'reco')
    const names = (await readdir(folder)).filter((name) => /^sclu_\d\.npy$/.test(name)).sort()
    expect(names.length).toBeGreaterThan(0)
    for (const name of names) {
      const rows = readNpy(await readFile(join(folder, name)))
      const pixels = rows.map(([x, y, counts]) => ({ x: Math.round(x!), y: Math.round(y!), counts: counts! }))
      const [cluster] = measure(2304, 2304, pixels).clusters
      const light = pixels.reduce((sum, { counts }) => sum + counts, 0)
      expect(Math.abs(cluster!.integralCounts - light)).toBeLessThan(0.5 * pixels.length)
      expect(cluster!.hitsPx).toBeLessThanOrEqual(pixels.length)
      expect(cluster!.sizePx).toBeGreaterThanOrEqual(pixels.length)
      expect(cluster!.lengthPx).toBeGreaterThanOrEqual(cluster!.widthPx)
      for (const [mean, low, high] of [
        [cluster!.xMeanPx, cluster!.xMinPx, cluster!.xMaxPx],
        [cluster!.yMeanPx, cluster!.yMinPx, cluster!.yMaxPx],
      ]) {
        expect(mean).toBeGreaterThan(low!)
        expect(mean).toBeLessThan(high!)
      }
      expect(cluster!.longRmsPx).toBeLessThan(cluster!.lengthPx / 2)
      expect(cluster!.densityCountsPerPx).toBeGreaterThan(2)
    }
  })
})

describe('outlines', () => {
  it('enclose every cell of the cluster and nothing far from it', () => {
    fc.assert(
      fc.property(someCells, (cells) => {
        const x = Int32Array.from(cells, ([cx]) => cx)
        const y = Int32Array.from(cells, ([, cy]) => cy)
        const rings = outlineOf(
          x,
          y,
          cells.map((_, index) => index),
        )
        expect(rings.length).toBeGreaterThan(0)
        for (const [cx, cy] of cells) {
          expect(rings.some((ring) => isInside(ring, cx * 4 + 2, cy * 4 + 2))).toBe(true)
        }
        for (const ring of rings) {
          expect(ring.every(Number.isInteger)).toBe(true)
          for (let at = 0; at < ring.length; at += 2) {
            const near = cells.some(
              ([cx, cy]) => Math.abs(ring[at]! - cx * 4 - 2) <= 8 && Math.abs(ring[at + 1]! - cy * 4 - 2) <= 8,
            )
            expect(near).toBe(true)
          }
        }
      }),
    )
  })
})

function isInside(ring: number[], x: number, y: number): boolean {
  let inside = false
  for (let at = 0, before = ring.length - 2; at < ring.length; before = at, at += 2) {
    const [x0, y0, x1, y1] = [ring[before]!, ring[before + 1]!, ring[at]!, ring[at + 1]!]
    if (y0 > y !== y1 > y && x < ((x1 - x0) * (y - y0)) / (y1 - y0) + x0) inside = !inside
  }
  return inside
}

/** NumPy v1 file of float64 rows, C order. */
function readNpy(bytes: Buffer): number[][] {
  const headerBytes = bytes.readUInt16LE(8)
  const shape = /'shape': \((\d+), (\d+)\)/.exec(bytes.toString('latin1', 10, 10 + headerBytes))!
  const [rows, columns] = [Number(shape[1]), Number(shape[2])]
  const start = 10 + headerBytes
  return Array.from({ length: rows }, (_, row) =>
    Array.from({ length: columns }, (_, column) => bytes.readDoubleLE(start + 8 * (row * columns + column))),
  )
}
