/**
 * A trained model as a file, and what it says of clusters: how much each looks like a nuclear recoil, its energy, its
 * distance from the GEM. Inference is a few hundred multiplications: no library, nothing to load.
 */
import { z } from 'zod'
import type { Cluster } from '../contract.ts'
import { reconstructionFaults } from '../errors.ts'
import { predictTrees } from './boosted-trees.ts'
import { predictClasses } from './dense-network.ts'
import { featuresOf, recoilFeatures, regressionFeatures } from './recoil-features.ts'

/** Order of the outputs of the classifier. */
export const recoilClasses = ['nuclear', 'electron', 'other'] as const
export type RecoilClass = (typeof recoilClasses)[number]

const layer = z
  .object({
    inputs: z.int().min(1).max(1024),
    outputs: z.int().min(1).max(1024),
    weights: z.array(z.number()),
    biases: z.array(z.number()),
  })
  .refine(
    ({ inputs, outputs, weights, biases }) => weights.length === inputs * outputs && biases.length === outputs,
    'the weights of a layer do not fit its sizes',
  )
const node = z.tuple([z.int(), z.number(), z.int(), z.int(), z.number()])
/** Nodes as [feature, threshold, left, right, value]; both ways lead to later nodes, so that every walk ends. */
const trees = z.object({
  start: z.number(),
  rate: z.number(),
  trees: z.array(
    z
      .array(node)
      .min(1)
      .max(4096)
      .refine(
        (nodes) =>
          nodes.every(
            ([feature, , left, right], index) =>
              feature < regressionFeatures.length &&
              (feature < 0 || (left > index && right > index && left < nodes.length && right < nodes.length)),
          ),
        'a tree leads nowhere or in a circle',
      ),
  ),
})
const normalisation = z.object({ name: z.string(), mean: z.number(), width: z.number().positive() })

export const recoilModelSchema = z
  .object({
    format: z.literal('cygnet-recoil-model'),
    version: z.literal(1),
    name: z.string(),
    madeAtMs: z.int(),
    codeVersion: z.string(),
    classifier: z.object({ inputs: z.array(normalisation), layers: z.array(layer).min(1).max(16) }),
    /** Of ln(visible energy / keV), so that a small energy counts as much as a large one. */
    logEnergy: trees,
    depthMm: trees,
    /** What it was trained and tested on and how well it did, for people (Markdown). */
    card: z.string(),
  })
  .refine(({ classifier }) => {
    const { inputs, layers } = classifier
    const sizes = [inputs.length, ...layers.map(({ outputs }) => outputs)]
    const follows = layers.every((one, index) => one.inputs === sizes[index])
    const names = inputs.every(({ name }, index) => name === recoilFeatures[index]?.name)
    return follows && names && inputs.length === recoilFeatures.length && sizes.at(-1) === recoilClasses.length
  }, 'the classifier does not take the features of this version or gives other classes')
export type RecoilModel = z.infer<typeof recoilModelSchema>

/** Throws `badModel`. */
export function parseRecoilModel(text: string, name: string): RecoilModel {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw reconstructionFaults.badModel(`${name} is not JSON.`, { cause })
  }
  const parsed = recoilModelSchema.safeParse(value)
  if (parsed.success) return parsed.data
  throw reconstructionFaults.badModel(`${name} is no recoil model: ${z.prettifyError(parsed.error)}`, {
    hint: 'Train one with: cygnet reco train',
  })
}

export interface RecoilAnswer {
  recoilScore: number
  learnedEnergyKev: number
  learnedZMm: number
}

/** Makes the function that looks at clusters. Clusters that fail the quality cut get -1: no model saw such in training. */
export function recoilPredictor(model: RecoilModel): (cluster: Cluster) => RecoilAnswer {
  const { inputs, layers } = model.classifier
  const energy = treesOf(model.logEnergy)
  const depth = treesOf(model.depthMm)
  return (cluster) => {
    if (!cluster.selected) return noAnswer
    const features = featuresOf(cluster, recoilFeatures).map(
      (value, index) => (value - inputs[index]!.mean) / inputs[index]!.width,
    )
    const shape = featuresOf(cluster, regressionFeatures)
    return {
      recoilScore: predictClasses(layers, features)[0]!,
      learnedEnergyKev: Math.exp(predictTrees(energy, shape)),
      learnedZMm: Math.max(0, predictTrees(depth, shape)),
    }
  }
}

export const noAnswer: RecoilAnswer = { recoilScore: -1, learnedEnergyKev: -1, learnedZMm: -1 }

function treesOf({ start, rate, trees: lists }: RecoilModel['logEnergy']) {
  return {
    start,
    rate,
    trees: lists.map((nodes) =>
      nodes.map(([feature, threshold, left, right, value]) => ({ feature, threshold, left, right, value })),
    ),
  }
}
