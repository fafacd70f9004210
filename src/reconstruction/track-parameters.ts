/**
 * The parameters of everything after the points: directional clustering, profiles and fits, energy, optional steps.
 * Values are those of the reference's present settings ("winter23") unless the meaning says otherwise.
 */
import type { ParameterDescription } from './parameters.ts'

export const directionalModes = ['off', 'fast', 'faithful'] as const
export type DirectionalMode = (typeof directionalModes)[number]
export const clusterMetrics = ['cityblock', 'euclidean'] as const
export type ClusterMetric = (typeof clusterMetrics)[number]

export const rootFileContents = ['none', 'clusters', 'pixels'] as const
export type RootFileContent = (typeof rootFileContents)[number]

export interface TrackParameters {
  clusterMetric: ClusterMetric
  directionalMode: DirectionalMode
  directionalRadiusCells: number
  directionalMinimumAccuracy: number
  directionalMinimumCells: number
  directionalThicknessCells: number
  directionalMaximumAttempts: number
  isolationRadiusCells: number
  expandNonCore: number
  longProfileError: number
  latProfileError: number
  peakMinimumHeightCounts: number
  peakMinimumDistanceBins: number
  peakMinimumProminenceCounts: number
  peakMinimumWidthBins: number
  fitMinimumIntegralCounts: number
  kevPerCount: number
  saturationCorrection: number
  energyAlongTrack: number
  energySliceRadiusPx: number
  energyPruneRounds: number
  energyActivePixelCounts: number
  cosmicKiller: number
  cosmicMinimumLengthPx: number
  cosmicMinimumTouchPx: number
  savePixels: number
  savePixelsMinimumIntegralCounts: number
  savePixelsMaximumLengthPx: number
  rootFile: RootFileContent
}

export const defaultTrackParameters: Readonly<TrackParameters> = Object.freeze({
  clusterMetric: 'cityblock',
  directionalMode: 'fast',
  directionalRadiusCells: 28,
  directionalMinimumAccuracy: 0.95,
  directionalMinimumCells: 12,
  directionalThicknessCells: 6.5,
  directionalMaximumAttempts: 3,
  isolationRadiusCells: 5,
  expandNonCore: 1,
  longProfileError: 0.2,
  latProfileError: 0.3,
  peakMinimumHeightCounts: 3,
  peakMinimumDistanceBins: 6,
  peakMinimumProminenceCounts: 2,
  peakMinimumWidthBins: 2,
  fitMinimumIntegralCounts: 700,
  kevPerCount: 0.000532,
  saturationCorrection: 0,
  energyAlongTrack: 0,
  energySliceRadiusPx: 30,
  energyPruneRounds: 10,
  energyActivePixelCounts: 2.25,
  cosmicKiller: 0,
  cosmicMinimumLengthPx: 200,
  cosmicMinimumTouchPx: 5,
  savePixels: 1,
  savePixelsMinimumIntegralCounts: 850,
  savePixelsMaximumLengthPx: 100_000,
  rootFile: 'clusters',
})

const switched = [0, 1] as const

export const trackParameterCatalogue: Readonly<Record<keyof TrackParameters, ParameterDescription>> = {
  clusterMetric: {
    unit: '',
    reference: 'metric',
    meaning: 'distance of the clustering; settings before autumn 2021 are Euclidean',
    choices: clusterMetrics,
  },
  directionalMode: {
    unit: '',
    reference: null,
    meaning:
      'directional step of the clustering: off (plain DBSCAN), fast (least squares), faithful (RANSAC with fixed seeds)',
    choices: directionalModes,
  },
  directionalRadiusCells: {
    unit: 'cells',
    reference: 'dir_radius',
    meaning: 'reach of the extension of a track, L1 distance',
  },
  directionalMinimumAccuracy: {
    unit: '',
    reference: 'dir_min_accuracy',
    meaning: 'share of inliers above which a cluster is a track candidate',
  },
  directionalMinimumCells: {
    unit: 'cells',
    reference: 'dir_minsamples',
    meaning: 'clusters of this many macro-pixels or fewer are not tested',
  },
  directionalThicknessCells: {
    unit: 'cells',
    reference: 'dir_thickness',
    meaning: 'half width of the tube around the polynomial of a track',
  },
  directionalMaximumAttempts: {
    unit: '',
    reference: 'max_attempts',
    meaning: 'extensions of a track after the first',
  },
  isolationRadiusCells: {
    unit: 'cells',
    reference: 'isolation_radius',
    meaning: 'points closer than this (Euclidean) to a track and not in it are dropped',
  },
  expandNonCore: {
    unit: '',
    reference: 'expand_noncore',
    meaning: '1: a track grows through points that are not core, too',
    choices: switched,
  },
  longProfileError: {
    unit: '',
    reference: 'relError',
    meaning: 'bins of the longitudinal profile grow until they hold 1/error^2 pixels',
  },
  latProfileError: { unit: '', reference: 'relError', meaning: 'the same of the transverse profile' },
  peakMinimumHeightCounts: { unit: 'counts', reference: 'threshold', meaning: 'least height of a peak of a profile' },
  peakMinimumDistanceBins: {
    unit: 'bins',
    reference: 'min_distance_peaks',
    meaning: 'least distance between two peaks of a profile',
  },
  peakMinimumProminenceCounts: { unit: 'counts', reference: 'prominence', meaning: 'least prominence of a peak' },
  peakMinimumWidthBins: { unit: 'bins', reference: 'width', meaning: 'least width of a peak at half prominence' },
  fitMinimumIntegralCounts: {
    unit: 'counts',
    reference: null,
    meaning: 'profiles of clusters with less light are not fitted (the reference fits all)',
  },
  kevPerCount: {
    unit: 'keV/count',
    reference: 'calib_params',
    meaning:
      'energy per count; the default is that of simulated 55Fe (5.9 keV, 250 mm from the GEM, 440 V): 11 097 counts; LIME underground has 0.000481',
  },
  saturationCorrection: {
    unit: '',
    reference: 'saturation_corr',
    meaning: '1: pixels above 3.5 counts are corrected for gain saturation before they are summed',
    choices: switched,
  },
  energyAlongTrack: {
    unit: '',
    reference: 'calibrate_clusters',
    meaning: '1: energy from slices along the skeleton of the track, each with the factor of its light density',
    choices: switched,
  },
  energySliceRadiusPx: { unit: 'px', reference: null, meaning: 'radius of those slices' },
  energyPruneRounds: { unit: '', reference: null, meaning: 'end points taken off the skeleton, times' },
  energyActivePixelCounts: { unit: 'counts', reference: null, meaning: 'pixels above this count for the density' },
  cosmicKiller: {
    unit: '',
    reference: 'cosmic_killer',
    meaning: '1: clusters on the line of a long straight track are counted as its pieces',
    choices: switched,
  },
  cosmicMinimumLengthPx: { unit: 'px', reference: null, meaning: 'least length of such a track' },
  cosmicMinimumTouchPx: { unit: 'px', reference: null, meaning: 'its line must cross more pixels than this' },
  savePixels: {
    unit: '',
    reference: 'saveKeys',
    meaning: '1: pixels of bright clusters are stored (pixels.parquet)',
    choices: switched,
  },
  savePixelsMinimumIntegralCounts: {
    unit: 'counts',
    reference: 'redpix',
    meaning: 'pixels are stored of clusters with more light than this',
  },
  savePixelsMaximumLengthPx: { unit: 'px', reference: 'redpix', meaning: 'and shorter than this' },
  rootFile: {
    unit: '',
    reference: null,
    meaning:
      'the same result as a ROOT file: none, the trees of clusters and waveforms, or those with the pixels (redpix)',
    choices: rootFileContents,
  },
}
