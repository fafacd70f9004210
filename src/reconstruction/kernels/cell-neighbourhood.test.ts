import { spawnSync } from 'node:child_process'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { rounds } from '../../foundation/testing.ts'
import { createNeighbourhoodScratch, floodClusters, halfWidths, markCores } from './cell-neighbourhood.ts'
import { createDbscanScratch, gridDbscan } from './grid-dbscan.ts'
import type { CellPoints } from './noise-reducer.ts'
import type { ClusterMetric } from '../track-parameters.ts'

const side = 60

const scenes = fc
  .record({
    metric: fc.constantFrom<ClusterMetric>('cityblock', 'euclidean'),
    radius: fc.oneof(fc.integer({ min: 1, max: 14 }), fc.constantFrom(1.1, 1.3, 2.26, 3.5, 5.8, 9.9)),
    minimum: fc.integer({ min: 1, max: 60 }),
    picks: fc.uniqueArray(fc.tuple(fc.nat(side - 1), fc.nat(side - 1), fc.integer({ min: 1, max: 9 })), {
      minLength: 1,
      maxLength: 250,
      selector: ([x, y]) => y * side + x,
    }),
  })
  .map(({ picks, ...rest }) => ({
    ...rest,
    points: {
      count: picks.length,
      x: Int32Array.from(picks, ([x]) => x),
      y: Int32Array.from(picks, ([, y]) => y),
      weight: Int32Array.from(picks, ([, , weight]) => weight),
    } satisfies CellPoints,
  }))
type Scene = typeof scenes extends fc.Arbitrary<infer One> ? One : never

const scratch = createNeighbourhoodScratch(side, side)

function labelsOf({ metric, radius, minimum, points }: Scene): number[] {
  const widths = halfWidths(metric, radius)
  const core = new Uint8Array(points.count)
  markCores(points, widths, minimum, scratch, core)
  const labels = new Int32Array(points.count).fill(-1)
  const options = { free: -1, first: 0, dropped: -1, minimumPoints: 1 }
  const clusters = floodClusters(points, core, widths, labels, options, scratch)
  expect(clusters).toBe(Math.max(-1, ...labels) + 1)
  return [...labels]
}

describe('clustering by floods', () => {
  it('has the labels of the grid DBSCAN where the metric is the same', () => {
    fc.assert(
      fc.property(scenes, (scene) => {
        const labels = new Int32Array(scene.points.count)
        gridDbscan(scene.points, scene.radius, scene.minimum, createDbscanScratch(side, side), labels)
        expect(labelsOf({ ...scene, metric: 'cityblock' })).toEqual([...labels])
      }),
      { numRuns: rounds(150) },
    )
  })

  const python = process.env.CYGNET_TEST_PYTHON
  const hasSklearn = python !== undefined && spawnSync(python, ['-c', 'import sklearn, numpy']).status === 0
  it.skipIf(!hasSklearn)(
    `has the labels of scikit-learn in both metrics${hasSklearn ? '' : ' (SKIPPED: CYGNET_TEST_PYTHON names no Python with scikit-learn)'}`,
    () => {
      const samples = fc.sample(scenes, { numRuns: rounds(300), seed: 5 })
      const input = samples.map(({ metric, radius, minimum, points }) => ({
        metric,
        radius,
        minimum,
        points: Array.from({ length: points.count }, (_, index) => [points.x[index], points.y[index]]),
        weights: [...points.weight],
      }))
      const run = spawnSync(python!, ['-c', program], { input: JSON.stringify(input), maxBuffer: 1 << 28 })
      expect(run.status, run.stderr.toString()).toBe(0)
      const expected = JSON.parse(run.stdout.toString()) as number[][]
      samples.forEach((scene, index) => expect(labelsOf(scene)).toEqual(expected[index]))
    },
  )
})

const program = `
import json, sys, numpy as np
from sklearn.cluster import DBSCAN
out = []
for s in json.load(sys.stdin):
    fit = DBSCAN(eps=s['radius'], min_samples=s['minimum'], metric=s['metric']).fit(np.array(s['points']), sample_weight=np.array(s['weights']))
    out.append(fit.labels_.tolist())
json.dump(out, sys.stdout)
`
