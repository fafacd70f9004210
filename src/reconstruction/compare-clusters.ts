/** Two results of one run, cluster by cluster, event after event: never more than a page of each in memory at once. */
import type { ClusterComparison } from './campaign-contract.ts'
import { integralShift, matchClusters, shiftDistribution } from './cluster-matching.ts'
import type { MatchCluster, Matching } from './cluster-matching.ts'
import type { ProductReader } from './product-reader.ts'

const pageRows = 2000
/** Of each file; a run of LIME has some ten thousand. */
export const mostCompared = 50_000

/** Paths of two clusters.parquet. */
export async function compareClusters(
  products: Pick<ProductReader, 'clusters'>,
  [firstPath, secondPath]: readonly [string, string],
  wanted: { limit: number; selectedOnly: boolean },
): Promise<Omit<ClusterComparison, 'run'>> {
  const selected = wanted.selectedOnly ? true : undefined
  const first = await readAll(products, firstPath, selected)
  const second = await readAll(products, secondPath, selected)
  const all: Matching = { pairs: [], onlyFirst: [], onlySecond: [] }
  const others = groupsOf(second.clusters)
  for (const [key, group] of groupsOf(first.clusters)) {
    const { pairs, onlyFirst, onlySecond } = matchClusters(group, others.get(key) ?? [])
    all.pairs.push(...pairs)
    all.onlyFirst.push(...onlyFirst)
    all.onlySecond.push(...onlySecond)
    others.delete(key)
    // Control has other work to do between images.
    if (group.length > 100) await new Promise(setImmediate)
  }
  for (const group of others.values()) all.onlySecond.push(...group)
  const unmatched = [
    ...all.onlyFirst.map((cluster) => ({ in: 'first' as const, cluster })),
    ...all.onlySecond.map((cluster) => ({ in: 'second' as const, cluster })),
  ].sort((a, b) => b.cluster.integralCounts - a.cluster.integralCounts)
  return {
    firstClusters: first.clusters.length,
    secondClusters: second.clusters.length,
    matched: all.pairs.length,
    onlyFirst: all.onlyFirst.length,
    onlySecond: all.onlySecond.length,
    integralShift: shiftDistribution(all.pairs.map(integralShift)),
    positionShiftPx: shiftDistribution(all.pairs.map(({ shiftPx }) => shiftPx)),
    pairs: all.pairs.toSorted((a, b) => Math.abs(integralShift(b)) - Math.abs(integralShift(a))).slice(0, wanted.limit),
    unmatched: unmatched.slice(0, wanted.limit).map(({ in: side, cluster: one }) => ({
      in: side,
      event: one.event,
      camera: one.camera,
      cluster: one.cluster,
      integralCounts: one.integralCounts,
      xMeanPx: one.xMeanPx,
      yMeanPx: one.yMeanPx,
    })),
    cut: first.cut || second.cut,
  }
}

async function readAll(
  products: Pick<ProductReader, 'clusters'>,
  path: string,
  selected: boolean | undefined,
): Promise<{ clusters: MatchCluster[]; cut: boolean }> {
  const clusters: MatchCluster[] = []
  let row: number | null = 0
  while (row !== null && clusters.length < mostCompared) {
    const page = await products.clusters(path, { fromRow: row, limit: pageRows, selected })
    // Of fifty columns these few are kept.
    for (const one of page.items) {
      const { event, camera, cluster, integralCounts, xMeanPx, yMeanPx, xMinPx, xMaxPx, yMinPx, yMaxPx } = one
      const box = { xMinPx, xMaxPx, yMinPx, yMaxPx }
      clusters.push({ event, camera, cluster, integralCounts, xMeanPx, yMeanPx, ...box, selected: one.selected })
    }
    row = page.nextRow
  }
  return { clusters, cut: row !== null }
}

function groupsOf(clusters: readonly MatchCluster[]): Map<string, MatchCluster[]> {
  const groups = new Map<string, MatchCluster[]>()
  for (const cluster of clusters) {
    const key = `${cluster.event}/${cluster.camera}`
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [cluster])
    else group.push(cluster)
  }
  return groups
}
