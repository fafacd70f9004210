/**
 * A small dense network: rectified linear layers and a softmax at the end, trained by Adam on the weighted
 * cross-entropy. CYGNO's classifier of recoils has layers 9-10-7-3 (201 parameters), rate 1e-4, 30 epochs, batches of
 * 70 and weights per class (study of the reconstruction, section 8). Adam: Kingma and Ba, arXiv 1412.6980.
 */
import { createDraws } from '../kernels/seeded-random.ts'

export interface DenseLayer {
  inputs: number
  outputs: number
  /** Row by row: the weights of output 0 for all inputs, then of output 1, ... */
  weights: number[]
  biases: number[]
}
export type DenseNetwork = DenseLayer[]

export interface TrainingOptions {
  /** Sizes of the layers, input and output included. */
  sizes: readonly number[]
  epochs: number
  batch: number
  rate: number
  seed: number
  /** Called after each epoch with the mean loss of the training and of the checking sample. */
  onEpoch?(epoch: number, loss: number, checkLoss: number): void
}

/** Rows of normalised features, their class, and how much each row counts. */
export interface LabelledRows {
  features: readonly Float64Array[]
  classes: Uint8Array
  weights: Float64Array
}

const decay = { first: 0.9, second: 0.999, tiny: 1e-8 }

/** Probabilities of the classes, in the order of the last layer. */
export function predictClasses(network: DenseNetwork, features: ArrayLike<number>): number[] {
  let values: ArrayLike<number> = features
  network.forEach((layer, index) => {
    const sums = applyLayer(layer, values)
    values = index === network.length - 1 ? softmax(sums) : sums.map((sum) => Math.max(0, sum))
  })
  return Array.from(values)
}

/**
 * Trains from random weights; of all epochs the one with the smallest loss on the checking sample is kept, so that more
 * epochs never make it worse. The same options and rows give the same network.
 */
export function trainNetwork(train: LabelledRows, check: LabelledRows, options: TrainingOptions): DenseNetwork {
  const draws = createDraws(options.seed)
  const network = initialNetwork(options.sizes, draws)
  const state = network.map(() => ({ weights: moments(), biases: moments() }))
  const order = Uint32Array.from({ length: train.features.length }, (_, row) => row)
  let best = structuredClone(network)
  let bestLoss = Number.POSITIVE_INFINITY
  let step = 0
  for (let epoch = 0; epoch < options.epochs; epoch++) {
    shuffle(order, draws)
    let loss = 0
    for (let begin = 0; begin < order.length; begin += options.batch) {
      const rows = order.subarray(begin, begin + options.batch)
      const gradients = network.map((layer) => ({
        weights: new Float64Array(layer.weights.length),
        biases: new Float64Array(layer.biases.length),
      }))
      for (const row of rows) loss += addGradients(network, gradients, train, row)
      step++
      network.forEach((layer, index) => {
        const scale = options.rate * (Math.sqrt(1 - decay.second ** step) / (1 - decay.first ** step))
        adam(layer.weights, gradients[index]!.weights, state[index]!.weights, rows.length, scale)
        adam(layer.biases, gradients[index]!.biases, state[index]!.biases, rows.length, scale)
      })
    }
    const checkLoss = meanLoss(network, check)
    options.onEpoch?.(epoch, loss / Math.max(1, order.length), checkLoss)
    if (checkLoss < bestLoss) {
      bestLoss = checkLoss
      best = structuredClone(network)
    }
  }
  return best
}

interface Moments {
  first: Float64Array
  second: Float64Array
}

const moments = (): Moments => ({ first: new Float64Array(0), second: new Float64Array(0) })

function initialNetwork(sizes: readonly number[], draws: ReturnType<typeof createDraws>): DenseNetwork {
  const uniform = (): number => draws.below(1_000_001) / 500_000 - 1
  return sizes.slice(1).map((outputs, index) => {
    const inputs = sizes[index]!
    // He's bound for rectified units, so that signals keep their size from layer to layer.
    const bound = Math.sqrt(6 / inputs)
    return {
      inputs,
      outputs,
      weights: Array.from({ length: inputs * outputs }, () => bound * uniform()),
      biases: Array.from({ length: outputs }, () => 0),
    }
  })
}

function applyLayer({ inputs, outputs, weights, biases }: DenseLayer, values: ArrayLike<number>): number[] {
  return Array.from({ length: outputs }, (_, output) => {
    let sum = biases[output]!
    for (let input = 0; input < inputs; input++) sum += weights[output * inputs + input]! * values[input]!
    return sum
  })
}

function softmax(sums: readonly number[]): number[] {
  const largest = Math.max(...sums)
  const powers = sums.map((sum) => Math.exp(sum - largest))
  const total = powers.reduce((one, other) => one + other, 0)
  return powers.map((power) => power / total)
}

/** Adds the gradients of one row; answers its weighted loss. */
function addGradients(
  network: DenseNetwork,
  gradients: { weights: Float64Array; biases: Float64Array }[],
  { features, classes, weights }: LabelledRows,
  row: number,
): number {
  const values: ArrayLike<number>[] = [features[row]!]
  network.forEach((layer, index) => {
    const sums = applyLayer(layer, values[index]!)
    values.push(index === network.length - 1 ? softmax(sums) : sums.map((sum) => Math.max(0, sum)))
  })
  const probabilities = values[network.length]!
  const [wanted, weight] = [classes[row]!, weights[row]!]
  let delta = Array.from(probabilities, (probability, index) => weight * (probability - (index === wanted ? 1 : 0)))
  for (let index = network.length - 1; index >= 0; index--) {
    const layer = network[index]!
    const input = values[index]!
    const gradient = gradients[index]!
    const before = Array.from({ length: layer.inputs }, () => 0)
    for (let output = 0; output < layer.outputs; output++) {
      const change = delta[output]!
      gradient.biases[output]! += change
      for (let at = 0; at < layer.inputs; at++) {
        gradient.weights[output * layer.inputs + at]! += change * input[at]!
        if (input[at]! > 0) before[at]! += change * layer.weights[output * layer.inputs + at]!
      }
    }
    delta = before
  }
  return -weight * Math.log(Math.max(1e-12, probabilities[wanted]!))
}

function adam(values: number[], gradient: Float64Array, state: Moments, rows: number, scale: number): void {
  if (state.first.length === 0) {
    state.first = new Float64Array(values.length)
    state.second = new Float64Array(values.length)
  }
  for (let index = 0; index < values.length; index++) {
    const slope = gradient[index]! / rows
    const first = (state.first[index] = decay.first * state.first[index]! + (1 - decay.first) * slope)
    const second = (state.second[index] = decay.second * state.second[index]! + (1 - decay.second) * slope * slope)
    values[index]! -= (scale * first) / (Math.sqrt(second) + decay.tiny)
  }
}

function meanLoss(network: DenseNetwork, rows: LabelledRows): number {
  let [loss, total] = [0, 0]
  rows.features.forEach((features, row) => {
    const probability = predictClasses(network, features)[rows.classes[row]!]!
    loss -= rows.weights[row]! * Math.log(Math.max(1e-12, probability))
    total += rows.weights[row]!
  })
  return total === 0 ? 0 : loss / total
}

function shuffle(order: Uint32Array, draws: ReturnType<typeof createDraws>): void {
  for (let last = order.length - 1; last > 0; last--) {
    const other = draws.below(last + 1)
    const held = order[last]!
    order[last] = order[other]!
    order[other] = held
  }
}
