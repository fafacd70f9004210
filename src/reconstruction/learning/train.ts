/**
 * Trains the recoil model: a small dense network for nuclear against electron recoils, boosted trees for energy and
 * depth, each judged on a sample that took no part in training. Everything is deterministic by the seed.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { programVersion } from '../../foundation/version.ts'
import type { TrainingOptions } from '../study-contract.ts'
import { machineOf } from '../study/sections/speed.ts'
import { openSampleSource } from '../study/samples.ts'
import type { StudyPlace, StudyProgress } from '../study/study-kinds.ts'
import type { StudyReport } from '../study/study-report.ts'
import { trainTrees } from './boosted-trees.ts'
import type { BoostedTrees } from './boosted-trees.ts'
import { trainNetwork } from './dense-network.ts'
import type { LabelledRows } from './dense-network.ts'
import { modelCard } from './model-card.ts'
import { featuresOf, recoilFeatures, regressionFeatures } from './recoil-features.ts'
import { recoilClasses } from './recoil-model.ts'
import type { RecoilModel } from './recoil-model.ts'
import { trainingSections } from './training-sections.ts'
import { labelledClusters } from './training-sample.ts'
import type { LabelledCluster, TrainingSamplePlan } from './training-sample.ts'

export const modelFileName = 'recoil-model.json'
export const cardFileName = 'model-card.md'
/** Seeds of the samples; the validation's own are elsewhere, so that it judges the model on images it never saw. */
const seeds = { train: 1_500_000, check: 1_600_000, test: 2_500_000 }
const sizes = [recoilFeatures.length, 10, 7, recoilClasses.length]
const batch = 70

/** Leaves `recoil-model.json` and `model-card.md` in the out folder. */
export async function trainModels(
  options: TrainingOptions,
  progress: StudyProgress,
  place: StudyPlace,
): Promise<StudyReport> {
  const begin = performance.now()
  const madeAtMs = Date.now()
  const plans = plansOf(options)
  const source = openSampleSource(place.workers, options.quick ? 40 : 100)
  const samples: LabelledCluster[][] = []
  const wallMs: number[] = []
  try {
    for (const plan of plans) {
      const from = performance.now()
      samples.push(await labelledClusters(source, plan, progress))
      wallMs.push(performance.now() - from)
    }
  } finally {
    await source.close()
  }
  const [train, check, test] = samples as [LabelledCluster[], LabelledCluster[], LabelledCluster[]]
  progress.say(`${train.length} clusters to train with, ${check.length} to stop by, ${test.length} to judge with`)

  const normalisation = normalisationOf(train)
  const losses: { epoch: number; train: number; check: number }[] = []
  const layers = trainNetwork(rowsOf(train, normalisation), rowsOf(check, normalisation), {
    sizes,
    epochs: options.epochs,
    batch,
    rate: options.rate,
    seed: options.seed,
    onEpoch(epoch, loss, checkLoss) {
      losses.push({ epoch: epoch + 1, train: loss, check: checkLoss })
      progress.step('epoch', epoch + 1, options.epochs)
    },
  })
  const known = train.filter(({ label }) => label !== 'other')
  const trees = (name: string, target: (one: LabelledCluster) => number): BoostedTrees =>
    trainTrees(
      known.map(({ cluster }) => featuresOf(cluster, regressionFeatures)),
      Float64Array.from(known, target),
      {
        trees: options.trees,
        depth: 3,
        rate: 0.1,
        leastRows: 7,
        loss: { kind: 'squared' },
        onTree: (done) => progress.step(`${name} tree`, done, options.trees),
      },
    )
  const model: RecoilModel = {
    format: 'cygnet-recoil-model',
    version: 1,
    name: `recoils, ${train.length} clusters, seed ${options.seed}`,
    madeAtMs,
    codeVersion: place.codeVersion,
    classifier: { inputs: normalisation, layers },
    logEnergy: filed(trees('energy', ({ visibleEnergyKev }) => Math.log(visibleEnergyKev))),
    depthMm: filed(trees('depth', ({ zMm }) => zMm)),
    card: '',
  }
  const judged = trainingSections({ model, train, check, test, losses, plans })
  model.card = modelCard({
    model,
    options,
    plans,
    sections: judged,
    counts: { train: train.length, test: test.length },
  })
  await writeFile(join(place.outFolder, modelFileName), JSON.stringify(model))
  await writeFile(join(place.outFolder, cardFileName), model.card)
  return {
    format: 'cygnet-study',
    version: 1,
    kind: 'training',
    title: 'Training of the recoil model',
    madeAtMs,
    codeVersion: place.codeVersion,
    programVersion: programVersion(),
    options: { ...options },
    machine: machineOf(),
    images: plans.reduce((sum, { images }) => sum + images, 0),
    wallMs: performance.now() - begin,
    samples: plans.map((plan, index) => ({
      name: plan.name,
      purpose: plan.purpose,
      seed: plan.seed,
      images: plan.images,
      frame: `${plan.framePx} x ${plan.framePx} px`,
      content: 'single tracks on a grid: He, C and F recoils, electrons, 55Fe, alphas; muons besides',
      wallMs: wallMs[index]!,
    })),
    notes: [
      'Labels and response come from our own simulator: how the model does on real data is not known from these numbers.',
      'Train, check and test samples have seeds of their own; no number below was made on images the model saw.',
    ],
    sections: judged,
  }
}

function plansOf({ images, seed, quick }: TrainingOptions): TrainingSamplePlan[] {
  const whole = quick ? Math.max(12, Math.round(images / 10)) : images
  const framePx = quick ? 1152 : 2304
  const part = (name: keyof typeof seeds, purpose: 'tuning' | 'test', share: number): TrainingSamplePlan => ({
    name,
    purpose,
    seed: seeds[name] + 1000 * seed,
    images: Math.max(4, Math.round(whole * share)),
    framePx,
  })
  return [part('train', 'tuning', 0.6), part('check', 'tuning', 0.15), part('test', 'test', 0.25)]
}

function normalisationOf(rows: readonly LabelledCluster[]): RecoilModel['classifier']['inputs'] {
  return recoilFeatures.map(({ name, of }) => {
    const values = rows.map(({ cluster }) => of(cluster))
    const mean = values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length)
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, values.length)
    return { name, mean, width: variance > 0 ? Math.sqrt(variance) : 1 }
  })
}

/** Each class counts the same in all, however many clusters it has. */
function rowsOf(rows: readonly LabelledCluster[], inputs: RecoilModel['classifier']['inputs']): LabelledRows {
  const classes = Uint8Array.from(rows, ({ label }) => recoilClasses.indexOf(label))
  const counts = recoilClasses.map((_, index) => classes.filter((one) => one === index).length)
  const present = counts.filter((count) => count > 0).length
  return {
    features: rows.map(({ cluster }) =>
      featuresOf(cluster, recoilFeatures).map((value, index) => (value - inputs[index]!.mean) / inputs[index]!.width),
    ),
    classes,
    weights: Float64Array.from(classes, (one) => rows.length / (present * counts[one]!)),
  }
}

/** Six digits are more than the trees know. */
function filed({ start, rate, trees }: BoostedTrees): RecoilModel['logEnergy'] {
  const short = (value: number): number => Number(value.toPrecision(6))
  return {
    start: short(start),
    rate,
    trees: trees.map((nodes) =>
      nodes.map(({ feature, threshold, left, right, value }) => [feature, threshold, left, right, short(value)]),
    ),
  }
}
