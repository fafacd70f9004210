/** What the sample threads are told and what they answer (see samples.ts). Everything travels by structured clone. */
import type { ImageTruth, SimulationOptions, TrackRequest } from '../../detector/index.ts'
import type { Cluster } from '../contract.ts'
import type { ImageCalibration } from '../kernels/image-cells.ts'
import type { ReconstructionParameters } from '../parameters.ts'
import type { TrackMatch, TruthTally } from '../truth-matching.ts'
import type { EventWaveforms } from '../waveforms/analyse-event.ts'
import type { KeptPoints, ModeAgreement } from './kept-points.ts'
import type { RoiLight } from './roi-light.ts'

/**
 * Tracks on a square grid of places, so that they do not run into each other: the requests in turn, image after image,
 * such that every place sees each of them; moved by up to `jitterPx` in x and y (drawn by seed and image).
 */
export interface TrackLayout {
  /** Places per side. */
  side: number
  /** Frame pixels left free at each border. */
  marginPx: number
  jitterPx: number
  requests: readonly TrackRequest[]
}

/** What the sample is made of; the same for all its images. */
export interface SampleRequest {
  seed: number
  images: number
  simulation: Omit<SimulationOptions, 'seed' | 'number' | 'kind' | 'images' | 'startMs' | 'tracksOf' | 'tracksSource'>
  parameters: ReconstructionParameters
  layout: TrackLayout | undefined
  /** Keep the points and labels of the images of the first so many. */
  keepPointsOf: number
  /** Of those, how many go through both modes of the directional step. */
  compareModesOf: number
}

export interface SampleImage {
  /** Number within the sample. */
  event: number
  truth: ImageTruth
  clusters: Cluster[]
  stageMs: Record<string, number>
  /** Processor time of the whole chain: what it costs when other programs take turns with it. */
  cpuMs: number
  suppressedSumCounts: number
  macroHits: number
  vetoed: boolean
  /** What became of each track of the truth, in its order. */
  tracks: TrackMatch[]
  tally: TruthTally
  roi: RoiLight
  /** With `simulation.waveforms`: the triggers of the image, and the light of each selected cluster in the tubes. */
  tubes?: { waveforms: EventWaveforms; gains: (number[] | undefined)[] }
  points?: KeptPoints
  modes?: ModeAgreement
}

export type SampleTask =
  | { task: 'pedestal'; simulation: SampleRequest['simulation']; parameters: ReconstructionParameters; images: number }
  | {
      task: 'block'
      request: SampleRequest
      /** Names the calibration, so that a thread keeps its memory while it stays the same. */
      calibrationKey: string
      calibration: ImageCalibration
      block: number
      first: number
      images: number
    }

export type SampleAnswer =
  | { answer: 'pedestal'; calibration: ImageCalibration }
  | { answer: 'image'; image: SampleImage }
  | { answer: 'block' }
  | { answer: 'failed'; reason: string }
