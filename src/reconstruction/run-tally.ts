/** Totals, timings and small histograms of a run, filled image by image. */
import type { Cluster, RunProductsSummary } from './contract.ts'

type Histogram = RunProductsSummary['histograms'][number]

const histogramShapes: { quantity: keyof Cluster & string; unit: string; low: number; high: number; bins: number }[] = [
  { quantity: 'integralCounts', unit: 'counts', low: 0, high: 30_000, bins: 60 },
  { quantity: 'rmsCounts', unit: 'counts', low: 0, high: 40, bins: 40 },
  { quantity: 'lengthPx', unit: 'px', low: 0, high: 2400, bins: 48 },
  { quantity: 'densityCountsPerPx', unit: 'counts/px', low: 0, high: 60, bins: 60 },
]

export interface RunTotals {
  clusters: number
  selectedClusters: number
  selectedLightCounts: number
  timings: RunProductsSummary['timings']
  /** Of the selected clusters. */
  histograms: Histogram[]
}

export interface RunTally {
  addTime(stage: string, ms: number): void
  addClusters(clusters: readonly Cluster[]): void
  finish(): RunTotals
}

export function createRunTally(stageNames: readonly string[]): RunTally {
  const times = new Map<string, number[]>(stageNames.map((name) => [name, []]))
  const histograms = histogramShapes.map(({ quantity, unit, low, high, bins }) => ({
    quantity,
    unit,
    low,
    high,
    underflow: 0,
    overflow: 0,
    counts: new Array<number>(bins).fill(0),
  }))
  let clusters = 0
  let selectedClusters = 0
  let selectedLightCounts = 0
  return {
    addTime(stage, ms) {
      times.get(stage)!.push(ms)
    },
    addClusters(found) {
      clusters += found.length
      for (const cluster of found) {
        if (!cluster.selected) continue
        selectedClusters++
        selectedLightCounts += cluster.integralCounts
        for (const histogram of histograms) fill(histogram, Number(cluster[histogram.quantity]))
      }
    },
    finish() {
      const timings = Object.fromEntries([...times].map(([stage, values]) => [stage, distributionOf(values)]))
      return { clusters, selectedClusters, selectedLightCounts, timings, histograms }
    },
  }
}

function fill(histogram: Histogram, value: number): void {
  const bin = Math.floor(((value - histogram.low) / (histogram.high - histogram.low)) * histogram.counts.length)
  if (bin < 0) histogram.underflow++
  else if (bin >= histogram.counts.length) histogram.overflow++
  else histogram.counts[bin]!++
}

/** Median and 95th percentile (nearest rank) of times in ms. */
export function distributionOf(values: readonly number[]): RunProductsSummary['timings'][string] {
  const sorted = [...values].sort((a, b) => a - b)
  const rank = (share: number) => sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0
  return {
    count: sorted.length,
    medianMs: rank(0.5),
    p95Ms: rank(0.95),
    totalMs: sorted.reduce((sum, ms) => sum + ms, 0),
  }
}
