/**
 * Every number the pipeline depends on, as data: name, unit, meaning, and what the reference calls it. The values
 * are the reference's present settings for the LIME detector underground ("winter23"). The whole object is stored
 * with each result, so a campaign with other numbers is another object, never another program.
 */

import { defaultModelParameters, modelParameterCatalogue } from './model-parameters.ts'
import type { ModelParameters } from './model-parameters.ts'
import { defaultTrackParameters, trackParameterCatalogue } from './track-parameters.ts'
import type { TrackParameters } from './track-parameters.ts'
import { defaultWaveformParameters, waveformParameterCatalogue } from './waveform-parameters.ts'
import type { WaveformParameters } from './waveform-parameters.ts'

export interface ReconstructionParameters extends TrackParameters, WaveformParameters, ModelParameters {
  upperCutCounts: number
  zeroSuppressionSigma: number
  acceptanceFirstRow: number
  acceptanceEndRow: number
  acceptanceFrameRows: number
  minimumNeighbourAverageCounts: number
  neighbourJumpCounts: number
  minimumActiveNeighbours: number
  clusterRadiusCells: number
  clusterMinimumWeightCounts: number
  minimumMacroPixels: number
  sparkVetoCountsPerPixel: number
  sparkVetoOffsetCounts: number
  vignettingQuadratic: number
  vignettingQuartic: number
  vignettingRadiusPx: number
  minimumBarycentreIntegralCounts: number
  selectionMinimumRmsCounts: number
  selectionMinimumIntegralCounts: number
}

export const defaultParameters: Readonly<ReconstructionParameters> = Object.freeze({
  upperCutCounts: 5000,
  zeroSuppressionSigma: 0.6,
  acceptanceFirstRow: 304,
  acceptanceEndRow: 2054,
  acceptanceFrameRows: 2304,
  minimumNeighbourAverageCounts: 1.2,
  neighbourJumpCounts: 10,
  minimumActiveNeighbours: 3,
  clusterRadiusCells: 12,
  clusterMinimumWeightCounts: 20,
  minimumMacroPixels: 2,
  sparkVetoCountsPerPixel: 200,
  sparkVetoOffsetCounts: 9e6,
  vignettingQuadratic: -0.4,
  vignettingQuartic: 0.013,
  vignettingRadiusPx: 1152,
  minimumBarycentreIntegralCounts: 10,
  selectionMinimumRmsCounts: 6,
  selectionMinimumIntegralCounts: 700,
  ...defaultTrackParameters,
  ...defaultWaveformParameters,
  ...defaultModelParameters,
})

export interface ParameterDescription {
  unit: string
  /** The reference's own name for it, or null where its program has the number written in. */
  reference: string | null
  meaning: string
  /** The only values allowed, where it is not any number. */
  choices?: readonly (string | number)[]
  /** A text of this form instead of a number. */
  text?: { pattern: RegExp; words: string }
}

export const parameterCatalogue: Readonly<Record<keyof ReconstructionParameters, ParameterDescription>> = {
  upperCutCounts: {
    unit: 'counts',
    reference: 'cimax',
    meaning: 'a raw pixel at or above this is taken out of the image',
  },
  zeroSuppressionSigma: {
    unit: 'pedestal rms',
    reference: 'nsigma',
    meaning: 'a pixel is kept when it exceeds its pedestal by more than this',
  },
  acceptanceFirstRow: {
    unit: 'px',
    reference: 'xmin',
    meaning: 'first row inside the acceptance of the LIME geometry',
  },
  acceptanceEndRow: { unit: 'px', reference: 'xmax', meaning: 'first row after the acceptance' },
  acceptanceFrameRows: {
    unit: 'px',
    reference: 'npixx',
    meaning: 'the acceptance applies to frames of this height; others are used whole',
  },
  minimumNeighbourAverageCounts: {
    unit: 'counts',
    reference: 'min_neighbors_average',
    meaning: 'a macro-pixel whose eight neighbours average less is cleared',
  },
  neighbourJumpCounts: {
    unit: 'counts',
    reference: null,
    meaning: 'a macro-pixel further from the average of its neighbours takes that average',
  },
  minimumActiveNeighbours: {
    unit: 'cells',
    reference: null,
    meaning: 'a macro-pixel with fewer non-zero cells in its 3x3 (itself included) is cleared',
  },
  clusterRadiusCells: {
    unit: 'cells',
    reference: 'dbscan_eps',
    meaning: 'neighbourhood of the clustering in macro-pixels; of an L1 distance the whole part counts',
  },
  clusterMinimumWeightCounts: {
    unit: 'counts',
    reference: 'dbscan_minsamples',
    meaning: 'weight within that distance that makes a core point',
  },
  minimumMacroPixels: { unit: 'cells', reference: null, meaning: 'a smaller cluster is not reported' },
  sparkVetoCountsPerPixel: {
    unit: 'counts/px',
    reference: null,
    meaning: 'an image whose raw sum exceeds this per pixel plus the offset is not reconstructed',
  },
  sparkVetoOffsetCounts: { unit: 'counts', reference: null, meaning: 'offset of the spark veto' },
  vignettingQuadratic: {
    unit: '',
    reference: 'normmap_lime',
    meaning: 'relative light at radius r: 1 + quadratic (r/R)^2 + quartic (r/R)^4',
  },
  vignettingQuartic: { unit: '', reference: 'normmap_lime', meaning: 'see vignettingQuadratic' },
  vignettingRadiusPx: { unit: 'px', reference: 'normmap_lime', meaning: 'R, half the side of the frame' },
  minimumBarycentreIntegralCounts: {
    unit: 'counts',
    reference: null,
    meaning: 'below this integral a cluster has no barycentre (0, 0)',
  },
  selectionMinimumRmsCounts: {
    unit: 'counts',
    reference: 'sc_rms > 6',
    meaning: 'quality cut that removes clusters of noise',
  },
  selectionMinimumIntegralCounts: {
    unit: 'counts',
    reference: 'sc_integral > 700',
    meaning: 'quality cut that removes clusters of noise',
  },
  ...trackParameterCatalogue,
  ...waveformParameterCatalogue,
  ...modelParameterCatalogue,
}

/** What is wrong with parameters somebody gave, in sentences; empty when they can be used. */
export function parameterProblems(given: Readonly<Record<string, unknown>>): string[] {
  const problems: string[] = []
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(parameterCatalogue, name)) {
      problems.push(`there is no parameter '${name}'`)
      continue
    }
    const { choices, text } = parameterCatalogue[name as keyof ReconstructionParameters]
    if (text !== undefined) {
      if (typeof value !== 'string' || !text.pattern.test(value)) problems.push(`${name} is ${text.words}`)
    } else if (choices !== undefined && !choices.some((choice) => choice === value)) {
      problems.push(`${name} is one of ${choices.join(', ')}, not ${String(value)}`)
    } else if (choices === undefined && (typeof value !== 'number' || !Number.isFinite(value))) {
      problems.push(`${name} is a number, not ${String(value)}`)
    }
  }
  return problems
}

/** The whole set: defaults where nothing is given. Throws a RangeError that names what cannot be used. */
export function completeParameters(given: Readonly<Record<string, unknown>>): ReconstructionParameters {
  const problems = parameterProblems(given)
  if (problems.length > 0) throw new RangeError(problems.join('; '))
  return { ...defaultParameters, ...(given as Partial<ReconstructionParameters>) }
}

/** Rows of a frame of that height that are searched for clusters: first row, and the row after the last. */
export function acceptedRows(parameters: ReconstructionParameters, heightPx: number): { first: number; end: number } {
  if (heightPx !== parameters.acceptanceFrameRows) return { first: 0, end: heightPx }
  return { first: parameters.acceptanceFirstRow, end: parameters.acceptanceEndRow }
}
