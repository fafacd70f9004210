/**
 * The parameters of the digitizers' waveforms and of the match between them and the camera. Values are those of the
 * reference's present settings unless the meaning says otherwise; the match is ours, the reference has none.
 */
import type { ParameterDescription } from './parameters.ts'

/** Channel number of the weighted mean of the photomultipliers. */
export const averageChannel = 9

export interface WaveformParameters {
  pmtFirstChannel: number
  pmtLastChannel: number
  gemFirstChannel: number
  gemLastChannel: number
  fastBaselineSamples: number
  slowBaselineSamples: number
  pmtSmoothingSamples: number
  gemSmoothingSamples: number
  waveformPeakHeightRms: number
  waveformPeakThresholdCounts: number
  waveformPeakDistanceSamples: number
  waveformPeakProminenceShare: number
  waveformPeakWidthSamples: number
  overThresholdRms: number
  overThresholdRiseSamples: number
  overThresholdFallSamples: number
  globalExposureFirstMs: number
  pixelSideMm: number
  tubeOffsetMm: number
  tubeDistanceMm: number
  driftVelocityCmPerUs: number
  fastFullScaleMv: number
  slowFullScaleMv: number
  singlePhotoElectronMvNs: number
  matchChargeError: number
  matchScaleSpread: number
  matchMaximumChi2: number
}

export const defaultWaveformParameters: Readonly<WaveformParameters> = Object.freeze({
  pmtFirstChannel: 1,
  pmtLastChannel: 4,
  gemFirstChannel: 5,
  gemLastChannel: 7,
  fastBaselineSamples: 100,
  slowBaselineSamples: 400,
  pmtSmoothingSamples: 5,
  gemSmoothingSamples: 10,
  waveformPeakHeightRms: 5,
  waveformPeakThresholdCounts: 0,
  waveformPeakDistanceSamples: 1,
  waveformPeakProminenceShare: 0.25,
  waveformPeakWidthSamples: 5,
  overThresholdRms: 5,
  overThresholdRiseSamples: 10,
  overThresholdFallSamples: 5,
  globalExposureFirstMs: 180,
  pixelSideMm: 0.152,
  tubeOffsetMm: 142,
  tubeDistanceMm: 190,
  driftVelocityCmPerUs: 5.3,
  fastFullScaleMv: 1000,
  slowFullScaleMv: 2000,
  singlePhotoElectronMvNs: 3.2,
  matchChargeError: 0.1,
  matchScaleSpread: 0.35,
  matchMaximumChi2: 30,
})

export const waveformParameterCatalogue: Readonly<Record<keyof WaveformParameters, ParameterDescription>> = {
  pmtFirstChannel: { unit: '', reference: 'board_pmt_channels', meaning: 'first channel of the photomultipliers' },
  pmtLastChannel: { unit: '', reference: 'board_pmt_channels', meaning: 'last channel of the photomultipliers' },
  gemFirstChannel: { unit: '', reference: 'board_gem_channels', meaning: 'first channel of GEM signals (fast board)' },
  gemLastChannel: { unit: '', reference: 'board_gem_channels', meaning: 'last channel of GEM signals' },
  fastBaselineSamples: {
    unit: 'samples',
    reference: null,
    meaning: 'first samples of a fast waveform: baseline and rms',
  },
  slowBaselineSamples: { unit: 'samples', reference: null, meaning: 'the same of a slow waveform' },
  pmtSmoothingSamples: {
    unit: 'samples',
    reference: 'resample',
    meaning: 'moving average over a sample and those after it, so that the trace comes earlier',
  },
  gemSmoothingSamples: { unit: 'samples', reference: 'resample', meaning: 'the same of GEM signals' },
  waveformPeakHeightRms: { unit: 'rms', reference: 'height_RMS', meaning: 'least height of a peak' },
  waveformPeakThresholdCounts: {
    unit: 'counts',
    reference: 'threshold',
    meaning: 'least step from the neighbouring samples to the top of a peak',
  },
  waveformPeakDistanceSamples: { unit: 'samples', reference: 'distance', meaning: 'least distance between two peaks' },
  waveformPeakProminenceShare: {
    unit: '',
    reference: 'fixed_prom',
    meaning: 'least prominence of a peak, as a share of the highest sample',
  },
  waveformPeakWidthSamples: {
    unit: 'samples',
    reference: 'width',
    meaning: 'least width of a peak at half of its prominence',
  },
  overThresholdRms: { unit: 'rms', reference: null, meaning: 'threshold of the time over threshold' },
  overThresholdRiseSamples: {
    unit: 'samples',
    reference: null,
    meaning: 'so many samples in a row above the threshold begin the interval',
  },
  overThresholdFallSamples: {
    unit: 'samples',
    reference: null,
    meaning: 'so many samples in a row below it end the interval',
  },
  globalExposureFirstMs: {
    unit: 'ms',
    reference: null,
    meaning: 'from here to the exposure time every row of the rolling shutter is exposed',
  },
  pixelSideMm: { unit: 'mm', reference: null, meaning: 'side of a pixel on the GEM plane' },
  tubeOffsetMm: {
    unit: 'mm',
    reference: null,
    meaning: 'photomultipliers 1 to 4 stand at (-,-), (+,-), (+,+), (-,+) this far from the middle of the image',
  },
  tubeDistanceMm: { unit: 'mm', reference: null, meaning: 'from the GEM plane to the photomultipliers' },
  driftVelocityCmPerUs: {
    unit: 'cm/us',
    reference: null,
    meaning: 'drift velocity of electrons, 5.30 at 0.8 kV/cm in He:CF4 60:40',
  },
  fastFullScaleMv: { unit: 'mV', reference: null, meaning: 'range of the fast digitizer' },
  slowFullScaleMv: { unit: 'mV', reference: null, meaning: 'range of the slow digitizer' },
  singlePhotoElectronMvNs: {
    unit: 'mV ns',
    reference: null,
    meaning: 'area of the pulse of one photo-electron: gain 0.398e6 on 50 ohm',
  },
  matchChargeError: {
    unit: '',
    reference: null,
    meaning: 'relative error of the charge of a tube besides its statistics',
  },
  matchScaleSpread: {
    unit: '',
    reference: null,
    meaning: 'relative spread of charge over camera light (diffusion, attenuation, rows cut by the shutter)',
  },
  matchMaximumChi2: { unit: '', reference: null, meaning: 'a pair with more is left unmatched' },
}
