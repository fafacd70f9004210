/** What the models look at: the nine shape variables of CYGNO's classifier, and those of its energy and depth regression. */
import type { Cluster } from '../contract.ts'

interface Feature {
  name: string
  of(cluster: Cluster): number
}

/** Order of the inputs of the classifier, also of a foreign one. */
export const recoilFeatures: readonly Feature[] = [
  { name: 'densityCountsPerPx', of: (cluster) => cluster.densityCountsPerPx },
  { name: 'lengthPx', of: (cluster) => cluster.lengthPx },
  { name: 'slimness', of: (cluster) => ratio(cluster.widthPx, cluster.lengthPx) },
  { name: 'longGaussSigmaPx', of: (cluster) => measured(cluster.longGaussSigmaPx) },
  { name: 'latGaussSigmaPx', of: (cluster) => measured(cluster.latGaussSigmaPx) },
  { name: 'latRmsPx', of: (cluster) => cluster.latRmsPx },
  { name: 'longRmsPx', of: (cluster) => cluster.longRmsPx },
  { name: 'sizePx', of: (cluster) => cluster.sizePx },
  { name: 'hitsPx', of: (cluster) => cluster.hitsPx },
]

/** Order of the inputs of the regressions of energy and depth. */
export const regressionFeatures: readonly Feature[] = [
  { name: 'integralCounts', of: (cluster) => cluster.integralCounts },
  { name: 'xMeanPx', of: (cluster) => cluster.xMeanPx },
  { name: 'yMeanPx', of: (cluster) => cluster.yMeanPx },
  { name: 'rmsCounts', of: (cluster) => cluster.rmsCounts },
  { name: 'widthPx', of: (cluster) => cluster.widthPx },
  { name: 'lengthPx', of: (cluster) => cluster.lengthPx },
  { name: 'densityCountsPerPx', of: (cluster) => cluster.densityCountsPerPx },
  { name: 'latGaussSigmaPx', of: (cluster) => measured(cluster.latGaussSigmaPx) },
  { name: 'latRmsPx', of: (cluster) => cluster.latRmsPx },
]

export const featuresOf = (cluster: Cluster, features: readonly Feature[]): Float64Array =>
  Float64Array.from(features, (feature) => feature.of(cluster))

const ratio = (part: number, whole: number): number => (whole > 0 ? part / whole : 0)
/** A fit that failed says nothing: 0, not -999. */
const measured = (value: number): number => (value <= -1 ? 0 : value)
