/**
 * Gradient-boosted regression trees by histograms: 500 trees of depth 3 at rate 0.1, as CYGNO's regression of energy and
 * depth (study of the reconstruction, section 8). Losses: squared, or a quantile (Friedman, Ann. Statist. 29 (2001) 1189).
 */

export interface TreeNode {
  /** Index of the feature asked; -1 in a leaf. */
  feature: number
  /** Left if the value is at or below. */
  threshold: number
  left: number
  right: number
  /** Of a leaf. */
  value: number
}

export interface BoostedTrees {
  start: number
  rate: number
  /** Each a list of nodes, the first is the root. */
  trees: TreeNode[][]
}

export interface BoostingOptions {
  trees: number
  depth: number
  rate: number
  leastRows: number
  loss: { kind: 'squared' } | { kind: 'quantile'; quantile: number }
  onTree?(done: number): void
}

const bins = 64

/** `rows` are feature vectors of one length; not a number goes left. The same input gives the same trees. */
export function trainTrees(
  rows: readonly ArrayLike<number>[],
  targets: Float64Array,
  options: BoostingOptions,
): BoostedTrees {
  const features = rows[0]?.length ?? 0
  const edges = Array.from({ length: features }, (_, feature) => edgesOf(rows.map((row) => row[feature]!)))
  const binned = edges.map((limits, feature) => Uint8Array.from(rows, (row) => binOf(limits, row[feature]!)))
  const { loss } = options
  const start = loss.kind === 'squared' ? meanOf(targets) : quantileOf(targets, loss.quantile)
  const predictions = new Float64Array(targets.length).fill(start)
  const model: BoostedTrees = { start, rate: options.rate, trees: [] }
  const slopes = new Float64Array(targets.length)
  for (let tree = 0; tree < options.trees; tree++) {
    for (let row = 0; row < targets.length; row++) {
      const rest = targets[row]! - predictions[row]!
      slopes[row] = loss.kind === 'squared' ? rest : rest > 0 ? loss.quantile : loss.quantile - 1
    }
    const nodes: TreeNode[] = []
    const all = Uint32Array.from({ length: targets.length }, (_, row) => row)
    grow(nodes, all, 0, { binned, edges, slopes, targets, predictions, options })
    model.trees.push(nodes)
    options.onTree?.(tree + 1)
  }
  return model
}

export function predictTrees({ start, rate, trees }: BoostedTrees, row: ArrayLike<number>): number {
  let value = start
  for (const nodes of trees) {
    let node = nodes[0]!
    while (node.feature >= 0) node = nodes[row[node.feature]! > node.threshold ? node.right : node.left]!
    value += rate * node.value
  }
  return value
}

interface Growth {
  binned: Uint8Array[]
  edges: Float64Array[]
  slopes: Float64Array
  targets: Float64Array
  predictions: Float64Array
  options: BoostingOptions
}

/** Adds the node of these rows and those below it; answers its index. Leaves move the predictions of their rows. */
function grow(nodes: TreeNode[], rows: Uint32Array, depth: number, growth: Growth): number {
  const index = nodes.length
  const node: TreeNode = { feature: -1, threshold: 0, left: -1, right: -1, value: 0 }
  nodes.push(node)
  const split = depth < growth.options.depth ? bestSplit(rows, growth) : undefined
  if (split === undefined) {
    node.value = leafValue(rows, growth)
    for (const row of rows) growth.predictions[row]! += growth.options.rate * node.value
    return index
  }
  const column = growth.binned[split.feature]!
  node.feature = split.feature
  node.threshold = growth.edges[split.feature]![split.bin]!
  node.left = grow(
    nodes,
    rows.filter((row) => column[row]! <= split.bin),
    depth + 1,
    growth,
  )
  node.right = grow(
    nodes,
    rows.filter((row) => column[row]! > split.bin),
    depth + 1,
    growth,
  )
  return index
}

/** Where the sum of squares of the slopes falls most. */
function bestSplit(
  rows: Uint32Array,
  { binned, edges, slopes, options }: Growth,
): { feature: number; bin: number } | undefined {
  let total = 0
  for (const row of rows) total += slopes[row]!
  let best: { feature: number; bin: number } | undefined
  let bestGain = (total * total) / Math.max(1, rows.length) + 1e-9 * Math.max(1, Math.abs(total))
  const sums = new Float64Array(bins)
  const counts = new Uint32Array(bins)
  for (let feature = 0; feature < binned.length; feature++) {
    sums.fill(0)
    counts.fill(0)
    const column = binned[feature]!
    for (const row of rows) {
      sums[column[row]!]! += slopes[row]!
      counts[column[row]!]! += 1
    }
    let [leftSum, leftCount] = [0, 0]
    for (let bin = 0; bin < edges[feature]!.length; bin++) {
      leftSum += sums[bin]!
      leftCount += counts[bin]!
      const rightCount = rows.length - leftCount
      if (leftCount < options.leastRows || rightCount < options.leastRows) continue
      const gain = (leftSum * leftSum) / leftCount + (total - leftSum) ** 2 / rightCount
      if (gain > bestGain) {
        bestGain = gain
        best = { feature, bin }
      }
    }
  }
  return best
}

function leafValue(rows: Uint32Array, { targets, predictions, options }: Growth): number {
  const rest = Float64Array.from(rows, (row) => targets[row]! - predictions[row]!)
  return options.loss.kind === 'squared' ? meanOf(rest) : quantileOf(rest, options.loss.quantile)
}

/** Upper edges of at most 64 bins with about the same number of rows each. */
function edgesOf(values: number[]): Float64Array {
  const sorted = Float64Array.from(values.filter((value) => Number.isFinite(value))).sort()
  const edges = new Set<number>()
  for (let bin = 1; bin < bins; bin++) {
    const value = sorted[Math.floor((bin * sorted.length) / bins)]
    if (value !== undefined && value < sorted.at(-1)!) edges.add(value)
  }
  return Float64Array.from(edges)
}

function binOf(edges: Float64Array, value: number): number {
  let [low, high] = [0, edges.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (value > edges[middle]!) low = middle + 1
    else high = middle
  }
  return low
}

const meanOf = (values: Float64Array): number =>
  values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length

function quantileOf(values: Float64Array, quantile: number): number {
  if (values.length === 0) return 0
  return values.slice().sort()[Math.min(values.length - 1, Math.floor(quantile * values.length))]!
}
