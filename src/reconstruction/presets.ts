/**
 * Named sets of parameters: the settings of the reference for its sites today, and of its older epochs, as far as they
 * are this algorithm with other numbers. Each lists what it fixes; everything else is the default.
 *
 * What the older ones do not say (blank in the reference's tables) stays at the present default. Not offered: the
 * settings of 2019 and 2020 (LEMON papers, lime_2020, mango_2020), which ran another clustering (three passes of
 * iDBSCAN and geodesic active contours). An L1 radius with a fraction means its whole part: 1.1 and 1.3 are 1.
 */
import type { ReconstructionParameters } from './parameters.ts'

export interface Preset {
  name: string
  description: string
  parameters: Partial<ReconstructionParameters>
}

const now = {
  upperCutCounts: 5000,
  clusterMetric: 'cityblock',
  clusterRadiusCells: 12,
  clusterMinimumWeightCounts: 20,
  directionalRadiusCells: 28,
  directionalMinimumAccuracy: 0.95,
  directionalMinimumCells: 12,
  directionalThicknessCells: 6.5,
  directionalMaximumAttempts: 3,
} satisfies Partial<ReconstructionParameters>

const limeRows = { acceptanceFrameRows: 2304, acceptanceFirstRow: 304, acceptanceEndRow: 2054 }

export const presets: readonly Preset[] = [
  {
    name: 'LNGS',
    description: 'LIME underground, winter23: the defaults with the energy scale of run 2',
    parameters: {
      ...now,
      ...limeRows,
      zeroSuppressionSigma: 0.6,
      minimumNeighbourAverageCounts: 1.2,
      kevPerCount: 0.000481,
    },
  },
  {
    name: 'MC',
    description: 'simulated LIME images, winter23',
    parameters: { ...now, ...limeRows, zeroSuppressionSigma: 0.9, minimumNeighbourAverageCounts: 1.1 },
  },
  {
    name: 'LNF',
    description: 'GIN at Frascati, winter23: whole frame',
    parameters: {
      ...now,
      acceptanceFrameRows: 2304,
      acceptanceFirstRow: 0,
      acceptanceEndRow: 2304,
      zeroSuppressionSigma: 0.8,
      minimumNeighbourAverageCounts: 1.3,
      kevPerCount: 0.00075,
    },
  },
  {
    name: 'MANGO',
    description: 'MANGO, winter23: rows 200 to 2203',
    parameters: {
      ...now,
      acceptanceFrameRows: 2304,
      acceptanceFirstRow: 200,
      acceptanceEndRow: 2204,
      zeroSuppressionSigma: 1.8,
      minimumNeighbourAverageCounts: 1.1,
    },
  },
  {
    name: 'winter23',
    description: 'the present settings of the reference: the defaults',
    parameters: { ...now, ...limeRows, zeroSuppressionSigma: 0.6, minimumNeighbourAverageCounts: 1.2 },
  },
  {
    name: 'winter23-devel',
    description: 'forerunner of winter23: shorter reach, thinner tube',
    parameters: {
      ...now,
      ...limeRows,
      zeroSuppressionSigma: 0.9,
      minimumNeighbourAverageCounts: 1.1,
      clusterRadiusCells: 9,
      directionalRadiusCells: 11.5,
      directionalThicknessCells: 5.5,
    },
  },
  {
    name: 'autumn22',
    description: 'only adjacent macro-pixels cluster (L1 radius 1.3)',
    parameters: {
      ...now,
      ...limeRows,
      zeroSuppressionSigma: 0.9,
      minimumNeighbourAverageCounts: 1.3,
      clusterRadiusCells: 1.3,
      clusterMinimumWeightCounts: 5,
      directionalRadiusCells: 27.5,
      directionalThicknessCells: 10.5,
      directionalMinimumCells: 9,
    },
  },
  {
    name: 'summer22',
    description: 'only adjacent macro-pixels cluster (L1 radius 1.1)',
    parameters: {
      ...now,
      ...limeRows,
      zeroSuppressionSigma: 1.2,
      minimumNeighbourAverageCounts: 1.1,
      clusterRadiusCells: 1.1,
      clusterMinimumWeightCounts: 5,
      directionalRadiusCells: 11.5,
      directionalThicknessCells: 6.5,
      directionalMinimumCells: 20,
    },
  },
  {
    name: 'autumn21',
    description: 'only adjacent macro-pixels cluster (L1 radius 1.1), thin tube, nine attempts',
    parameters: {
      ...now,
      ...limeRows,
      zeroSuppressionSigma: 1.2,
      minimumNeighbourAverageCounts: 0.75,
      clusterRadiusCells: 1.1,
      clusterMinimumWeightCounts: 5,
      directionalRadiusCells: 7.5,
      directionalThicknessCells: 3.5,
      directionalMinimumCells: 20,
      directionalMaximumAttempts: 9,
    },
  },
  {
    name: 'lime21',
    description: 'the first directional clustering: Euclidean distance, upper cut 200 counts, accuracy 0.8',
    parameters: {
      ...limeRows,
      zeroSuppressionSigma: 1.3,
      upperCutCounts: 200,
      minimumNeighbourAverageCounts: 3.5,
      clusterMetric: 'euclidean',
      clusterRadiusCells: 5.8,
      clusterMinimumWeightCounts: 30,
      directionalRadiusCells: 15.5,
      directionalMinimumAccuracy: 0.8,
      directionalMinimumCells: 50,
      directionalThicknessCells: 5.5,
      directionalMaximumAttempts: 13,
    },
  },
]
