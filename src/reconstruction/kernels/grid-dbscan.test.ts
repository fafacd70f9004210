import { existsSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createDbscanScratch, gridDbscan } from './grid-dbscan.ts'
import { naiveDbscan } from './naive-oracle.ts'
import type { CellPoints } from './noise-reducer.ts'

interface Scene {
  columns: number
  rows: number
  radius: number
  minimum: number
  points: CellPoints
}

/** Distinct points of a grid in any order, dense or thin, with weights 1..9. */
const scenes: fc.Arbitrary<Scene> = fc
  .record({
    columns: fc.integer({ min: 1, max: 40 }),
    rows: fc.integer({ min: 1, max: 40 }),
    radius: fc.integer({ min: 0, max: 14 }),
    minimum: fc.integer({ min: 1, max: 60 }),
    picks: fc.uniqueArray(fc.tuple(fc.nat(39), fc.nat(39), fc.integer({ min: 1, max: 9 })), {
      maxLength: 160,
      selector: ([x, y]) => y * 40 + x,
    }),
  })
  .map(({ columns, rows, radius, minimum, picks }) => {
    const inside = picks.filter(([x, y]) => x < columns && y < rows)
    return {
      columns,
      rows,
      radius,
      minimum,
      points: {
        count: inside.length,
        x: Int32Array.from(inside, ([x]) => x),
        y: Int32Array.from(inside, ([, y]) => y),
        weight: Int32Array.from(inside, ([, , weight]) => weight),
      },
    }
  })

function labelsOf(scene: Scene, connection: 'automatic' | 'enumeration' | 'distance-transform'): number[] {
  const labels = new Int32Array(Math.max(1, scene.points.count))
  const scratch = createDbscanScratch(scene.columns, scene.rows)
  gridDbscan(scene.points, scene.radius, scene.minimum, scratch, labels, connection)
  return [...labels.subarray(0, scene.points.count)]
}

describe('grid DBSCAN', () => {
  it('gives the labels of the sequential definition, whichever way cores are joined', () => {
    fc.assert(
      fc.property(scenes, (scene) => {
        const expected = naiveDbscan(scene.points, scene.radius, scene.minimum)
        expect(labelsOf(scene, 'enumeration')).toEqual(expected)
        expect(labelsOf(scene, 'distance-transform')).toEqual(expected)
      }),
      { numRuns: 400 },
    )
  })

  it('leaves nothing behind in its scratch memory', () => {
    const scratch = createDbscanScratch(40, 40)
    fc.assert(
      fc.property(scenes, (scene) => {
        const labels = new Int32Array(1600)
        gridDbscan(
          scene.points,
          scene.radius,
          scene.minimum,
          { ...scratch, columns: scene.columns, rows: scene.rows },
          labels,
        )
        expect([...labels.subarray(0, scene.points.count)]).toEqual(labelsOf(scene, 'automatic'))
      }),
      { numRuns: 100 },
    )
  })

  const python = process.env.CYGNET_TEST_PYTHON
  const hasSklearn =
    python !== undefined && existsSync(python) && spawnSync(python, ['-c', 'import sklearn, numpy']).status === 0
  it.skipIf(!hasSklearn)(
    `gives the labels of scikit-learn on the same points and order${hasSklearn ? '' : ' (SKIPPED: CYGNET_TEST_PYTHON names no Python with scikit-learn)'}`,
    () => {
      const samples = fc.sample(
        scenes.filter((scene) => scene.points.count > 0 && scene.radius > 0),
        { numRuns: 300, seed: 7 },
      )
      const input = samples.map((scene) => ({
        radius: scene.radius,
        minimum: scene.minimum,
        points: Array.from({ length: scene.points.count }, (_, index) => [
          scene.points.x[index],
          scene.points.y[index],
        ]),
        weights: [...scene.points.weight],
      }))
      const run = spawnSync(python!, ['-c', sklearnProgram], { input: JSON.stringify(input), maxBuffer: 1 << 28 })
      expect(run.status, run.stderr.toString()).toBe(0)
      const expected = JSON.parse(run.stdout.toString()) as number[][]
      samples.forEach((scene, index) => expect(labelsOf(scene, 'automatic')).toEqual(expected[index]))
    },
  )
})

const sklearnProgram = `
import json, sys, numpy as np
from sklearn.cluster import DBSCAN
out = []
for s in json.load(sys.stdin):
    fit = DBSCAN(eps=s['radius'], min_samples=s['minimum'], metric='cityblock').fit(np.array(s['points']), sample_weight=np.array(s['weights']))
    out.append(fit.labels_.tolist())
json.dump(out, sys.stdout)
`
