import { spawnSync } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { temporaryDirectory } from '../../foundation/testing.ts'
import { createDraws } from '../kernels/seeded-random.ts'
import { testCluster } from '../testing.ts'
import { predictTrees, trainTrees } from './boosted-trees.ts'
import { predictClasses, trainNetwork } from './dense-network.ts'
import { openForeignModel } from './foreign-model.ts'
import { backgroundAt, operatingCurve } from './operating-curve.ts'
import { featuresOf, recoilFeatures } from './recoil-features.ts'
import { parseRecoilModel, recoilPredictor } from './recoil-model.ts'
import type { RecoilModel } from './recoil-model.ts'
import { shippedModelPath } from './score-images.ts'
import { trainModels } from './train.ts'

const python = process.env.CYGNET_TEST_PYTHON
const has = (modules: string): boolean =>
  python !== undefined && spawnSync(python, ['-c', `import ${modules}`]).status === 0
const withSklearn = has('sklearn') ? '' : ' (SKIPPED: CYGNET_TEST_PYTHON names no Python with scikit-learn)'
const withOnnx = has('onnx') ? '' : ' (SKIPPED: CYGNET_TEST_PYTHON names no Python with onnx)'

function inPython<Answer>(program: string, input: unknown, ...argv: string[]): Answer {
  const { status, stdout, stderr } = spawnSync(python!, ['-c', program, ...argv], {
    encoding: 'utf8',
    input: JSON.stringify(input),
    maxBuffer: 1 << 28,
  })
  if (status !== 0) throw new Error(stderr)
  return JSON.parse(stdout) as Answer
}

const uniform = (draws: ReturnType<typeof createDraws>): number => draws.below(1_000_000) / 1_000_000

describe('dense network', () => {
  test('learns what no straight cut can, the same each time, and gives probabilities', () => {
    const draws = createDraws(7)
    const sample = (count: number) => {
      const features = Array.from({ length: count }, () =>
        Float64Array.of(uniform(draws) * 2 - 1, uniform(draws) * 2 - 1),
      )
      const classes = Uint8Array.from(features, ([x, y]) => (x! * y! > 0 ? 1 : 0))
      return { features, classes, weights: new Float64Array(count).fill(1) }
    }
    const [train, check, test] = [sample(2000), sample(400), sample(1000)]
    const options = { sizes: [2, 10, 7, 2], epochs: 40, batch: 50, rate: 5e-3, seed: 3 }
    const network = trainNetwork(train, check, options)
    const right = test.features.filter((row, index) => {
      const probabilities = predictClasses(network, row)
      expect(probabilities.reduce((one, other) => one + other)).toBeCloseTo(1, 12)
      return probabilities[test.classes[index]!]! > 0.5
    })
    expect(right.length / test.features.length).toBeGreaterThan(0.95)
    expect(trainNetwork(train, check, { ...options, epochs: 2 })).toEqual(
      trainNetwork(train, check, { ...options, epochs: 2 }),
    )
  })

  test('one step goes down the slope that differences show', () => {
    const draws = createDraws(11)
    const features = Array.from({ length: 12 }, () => Float64Array.from({ length: 3 }, () => uniform(draws) - 0.5))
    const rows = {
      features,
      classes: Uint8Array.from(features, (_, row) => row % 3),
      weights: Float64Array.from(features, (_, row) => 1 + row / 10),
    }
    const loss = (network: ReturnType<typeof trainNetwork>): number =>
      features.reduce(
        (sum, row, index) => sum - rows.weights[index]! * Math.log(predictClasses(network, row)[rows.classes[index]!]!),
        0,
      )
    // With a checking sample that never improves the network before the first step cannot be had: compare rates instead.
    const at = (rate: number) => trainNetwork(rows, rows, { sizes: [3, 4, 3], epochs: 1, batch: 12, rate, seed: 5 })
    const before = at(1e-12)
    const after = at(1e-4)
    // Adam's first step moves each weight by the rate, against the sign of its gradient.
    before.forEach((layer, index) =>
      layer.weights.forEach((weight, position) => {
        const moved = structuredClone(before)
        moved[index]!.weights[position] = weight + 1e-5
        const slope = (loss(moved) - loss(before)) / 1e-5
        if (Math.abs(slope) < 1e-4) return
        const step = after[index]!.weights[position]! - weight
        expect(Math.sign(step)).toBe(-Math.sign(slope))
        expect(Math.abs(step)).toBeCloseTo(1e-4, 5)
      }),
    )
  })
})

describe('boosted trees', () => {
  const draws = createDraws(19)
  const rowsOf = (count: number) =>
    Array.from({ length: count }, () => Array.from({ length: 4 }, () => uniform(draws) * 4 - 2))
  const truth = ([a, b, c]: readonly number[]) => Math.sin(2 * a!) + a! * b! + (c! > 0 ? 1 : 0)
  const options = { trees: 300, depth: 3, rate: 0.1, leastRows: 7 }

  test.skipIf(!has('sklearn'))(`describe a curved surface as well as those of scikit-learn${withSklearn}`, () => {
    const [train, test] = [rowsOf(3000), rowsOf(1000)]
    const targets = Float64Array.from(train, truth)
    const model = trainTrees(train, targets, { ...options, loss: { kind: 'squared' } })
    const error = (predict: (row: readonly number[], index: number) => number) =>
      Math.sqrt(test.reduce((sum, row, index) => sum + (predict(row, index) - truth(row)) ** 2, 0) / test.length)
    const theirs = inPython<number[]>(
      `
import json, sys
from sklearn.ensemble import GradientBoostingRegressor
train, targets, test = json.load(sys.stdin)
model = GradientBoostingRegressor(n_estimators=300, max_depth=3, learning_rate=0.1, min_samples_leaf=7, random_state=0)
print(json.dumps(model.fit(train, targets).predict(test).tolist()))`,
      [train, [...targets], test],
    )
    expect(error((row) => predictTrees(model, row))).toBeLessThan(1.15 * error((_, index) => theirs[index]!))
  })

  test('a quantile has its share of the targets below it', () => {
    const train = rowsOf(3000)
    const targets = Float64Array.from(train, (row) => truth(row) + uniform(draws))
    const model = trainTrees(train, targets, { ...options, trees: 100, loss: { kind: 'quantile', quantile: 0.9 } })
    const below = train.filter((row, index) => targets[index]! <= predictTrees(model, row)).length
    expect(below / train.length).toBeGreaterThan(0.87)
    expect(below / train.length).toBeLessThan(0.95)
  })

  test('rows that are all alike, or none, give a constant', () => {
    const same = trainTrees([[1], [1], [1]], Float64Array.of(2, 4, 6), {
      ...options,
      trees: 3,
      loss: { kind: 'squared' },
    })
    expect(predictTrees(same, [1])).toBeCloseTo(4, 9)
    expect(
      predictTrees(trainTrees([], new Float64Array(0), { ...options, trees: 3, loss: { kind: 'squared' } }), []),
    ).toBe(0)
  })
})

describe('operating curve', () => {
  test('its area is the share of pairs in the right order, ties half', () => {
    const scores = fc.array(fc.integer({ min: 0, max: 12 }), { minLength: 1, maxLength: 40 })
    fc.assert(
      fc.property(scores, scores, (signal, background) => {
        let pairs = 0
        for (const one of signal) for (const other of background) pairs += one > other ? 1 : one === other ? 0.5 : 0
        const curve = operatingCurve(signal, background)
        expect(curve.area).toBeCloseTo(pairs / (signal.length * background.length), 12)
        expect(curve.points.at(-1)).toMatchObject({ signal: 1, background: 1 })
        expect(backgroundAt(curve, 1)).toBe(curve.points.find((point) => point.signal === 1)!.background)
      }),
    )
  })
})

describe('a trained model', () => {
  test('the one that is shipped is sound, and its card lies beside it', async () => {
    const model = parseRecoilModel(await readFile(shippedModelPath, 'utf8'), 'default')
    expect(await readFile(shippedModelPath.replace(/json$/, 'md'), 'utf8')).toBe(model.card)
    expect(model.card).not.toContain('FAILS')
  })

  test('is made from simulated images, judged on others, and looks at clusters', { timeout: 120_000 }, async () => {
    await using folder = await temporaryDirectory()
    const report = await trainModels(
      { images: 40, quick: true, epochs: 15, trees: 40, rate: 3e-3, seed: 2 },
      { say: () => {}, step: () => {}, signal: new AbortController().signal },
      { outFolder: folder.path, workers: 2, codeVersion: 'test' },
    )
    expect(report.sections.map(({ id }) => id)).toEqual(['classifier', 'energy', 'depth'])
    expect(new Set(report.samples.map(({ seed }) => seed)).size).toBe(3)
    const card = await readFile(join(folder.path, 'model-card.md'), 'utf8')
    expect(card).toContain('Where not to use it')
    const text = await readFile(join(folder.path, 'recoil-model.json'), 'utf8')
    const predict = recoilPredictor(parseRecoilModel(text, 'recoil-model.json'))
    const answer = predict(
      testCluster({ selected: true, integralCounts: 9000, sizePx: 900, hitsPx: 500, lengthPx: 30, widthPx: 28 }),
    )
    expect(answer.recoilScore).toBeGreaterThanOrEqual(0)
    expect(answer.recoilScore).toBeLessThanOrEqual(1)
    expect(answer.learnedEnergyKev).toBeGreaterThan(0)
    expect(predict(testCluster({ selected: false }))).toEqual({ recoilScore: -1, learnedEnergyKev: -1, learnedZMm: -1 })

    // What somebody may do to a model file: each is refused in words, none loops for ever.
    const model = JSON.parse(text) as RecoilModel
    const broken = (change: (model: RecoilModel) => void): string => {
      const copy = structuredClone(model)
      change(copy)
      return JSON.stringify(copy)
    }
    for (const bad of [
      '{',
      '{}',
      broken((one) => one.classifier.layers[0]!.weights.pop()),
      broken((one) => one.classifier.inputs.reverse()),
      broken((one) => one.classifier.layers.pop()),
      broken((one) => (one.logEnergy.trees[0] = [[0, 1, 0, 0, 1]])),
      broken(
        (one) =>
          (one.depthMm.trees[0] = [
            [99, 1, 1, 2, 1],
            [-1, 0, -1, -1, 0],
            [-1, 0, -1, -1, 0],
          ]),
      ),
    ])
      expect(() => parseRecoilModel(bad, 'x.json')).toThrow(/x\.json is n/)
  })
})

describe('a model of somebody else', () => {
  test.skipIf(!has('onnx'))(`ONNX gives the scores its own arithmetic gives${withOnnx}`, async () => {
    await using folder = await temporaryDirectory()
    const path = join(folder.path, 'foreign.onnx')
    const program = `
import json, sys, numpy as np, onnx
from onnx import helper, TensorProto, numpy_helper
outputs, width = json.load(sys.stdin)
rng = np.random.default_rng(4)
weights = numpy_helper.from_array(rng.normal(size=(width, outputs)).astype('f4') * 0.01, 'w')
nodes = [helper.make_node('MatMul', ['x', 'w'], ['sum'])]
nodes.append(helper.make_node('Softmax', ['sum'], ['p'], axis=1) if outputs > 1 else helper.make_node('Sigmoid', ['sum'], ['p']))
graph = helper.make_graph(nodes, 'g', [helper.make_tensor_value_info('x', TensorProto.FLOAT, ['n', width])],
  [helper.make_tensor_value_info('p', TensorProto.FLOAT, ['n', outputs])], [weights])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)])
model.ir_version = 9
onnx.save(model, sys.argv[1])
print(json.dumps(numpy_helper.to_array(weights).tolist()))`
    const clusters = Array.from({ length: 5 }, (_, index) =>
      testCluster({ selected: true, densityCountsPerPx: 5 + index, lengthPx: 20 + 3 * index, hitsPx: 90 * index }),
    )
    for (const outputs of [1, 3]) {
      const weights = inPython<number[][]>(program, [outputs, recoilFeatures.length], path)
      const model = await openForeignModel(await readFile(path), 'foreign.onnx')
      const scores = await model.score(clusters)
      clusters.forEach((cluster, row) => {
        const features = featuresOf(cluster, recoilFeatures)
        const sums = Array.from({ length: outputs }, (_, output) =>
          features.reduce((sum, value, input) => sum + value * weights[input]![output]!, 0),
        )
        const expected =
          outputs === 1
            ? 1 / (1 + Math.exp(-sums[0]!))
            : Math.exp(sums[0]!) / sums.reduce((sum, one) => sum + Math.exp(one), 0)
        expect(scores[row]).toBeCloseTo(expected, 4)
      })
      expect(await model.score([])).toHaveLength(0)
      await model.close()
    }
    inPython(program, [2, 4], path)
    const narrow = await openForeignModel(await readFile(path), 'narrow.onnx')
    await expect(narrow.score(clusters)).rejects.toThrow(/does not run on 9 features/)
    await narrow.close()
  })

  test('bytes that are no model are refused in words', async () => {
    await using folder = await temporaryDirectory()
    const path = join(folder.path, 'x.onnx')
    await writeFile(path, 'not a model')
    await expect(openForeignModel(await readFile(path), 'x.onnx')).rejects.toThrow(/x\.onnx is no ONNX model/)
  })
})
