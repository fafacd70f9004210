import type { DetectorModel } from './detector-model.ts'
import type { SiteName } from './sites.ts'
import type { TrackSource } from './track-source.ts'
import type { TrackKind } from './truth.ts'

/** Kinds that can be asked for or drawn; 'external' comes from track files only. */
export type DrawnKind = Exclude<TrackKind, 'external'>

/** Mean numbers per image; the actual ones are drawn from a Poisson distribution. */
export type TracksPerImage = Partial<Record<DrawnKind, number>>

/** A track asked for; what is left out is drawn. */
export interface TrackRequest {
  kind: DrawnKind
  /** Kinetic energy at the vertex. A muon has none. */
  energyKev?: number
  /** The vertex (of a muon any place of its line), in the raw frame of the first camera: in pixels, or in millimetres from its first pixel. */
  xPx?: number
  yPx?: number
  xMm?: number
  yMm?: number
  /** From the GEM, 0 to 500. */
  zMm?: number
  /** Initial direction: from the axis of the drift (0 = away from the GEM), and in the image plane, x to the right and y down the rows. */
  thetaRad?: number
  phiRad?: number
}

export interface SimulationOptions {
  /** Seeds what happens in the run; with the run number, so that runs of one series differ. */
  seed: number
  /** The run number. */
  number: number
  /** Pedestal runs have no tracks and no triggers. */
  kind: 'pedestal' | 'data'
  /** With a track file: at most so many; the run ends where the file ends. */
  images: number
  /** Default Fusion, 2304 x 2304. */
  camera?: 'Fusion' | 'Flash' | 'Quest'
  /** So many cameras side by side over one plane, each with its own sensor, CAM0 to CAM9. Default 1. */
  cameras?: number
  /** A smaller detector for quick tests, e.g. 256 x 256 or 576 x 576: same pixels, optics scaled to the frame. Multiples of 8. */
  frame?: { width: number; height: number }
  /** UTC. */
  startMs: number
  /** Default 300. */
  exposureMs?: number
  /** From one picture to the next. Default exposure + readout (184 ms for a Fusion). */
  periodMs?: number
  /** Default 4 iron, 0.3 muon, 0.3 alpha; nothing with a site, a source or a track file. */
  tracksPerImage?: TracksPerImage
  /** Natural radioactivity of a place, as a Poisson number of tracks for exposure and readout. */
  site?: SiteName
  /** A source at the detector: 55Fe at `sourceZMm` beside the field, or neutrons of an AmBe (recoils everywhere). */
  source?: 'iron' | 'ambe'
  /** Interactions per second of the source. Default 30 (iron) or 2 (AmBe). */
  sourceRateHz?: number
  /** Default 250. */
  sourceZMm?: number
  /** Tracks put in every image, besides the drawn ones. */
  tracks?: readonly TrackRequest[]
  /** Tracks put in one image, counted from 0, besides those above. */
  tracksOf?: (image: number) => readonly TrackRequest[]
  /** Deposits of another program: a CSV (also .gz) or Parquet file, see `track-source.ts`. */
  tracksFile?: string
  /** The same from any other reader. */
  tracksSource?: TrackSource
  /** Events of the track file in one picture. Default 1. */
  eventsPerImage?: number
  /** Events of the track file that earlier runs have taken. Default 0. */
  skipEvents?: number
  /** Rolling shutter: tracks while rows open or close are cut, and tracks pile up in the readout too. Default: with a site or a source. */
  shutter?: boolean
  /** Knock-on electrons above 2 keV along electrons. Default false. */
  deltaRays?: boolean
  /** Volts of the first GEM; the others stay at 440. Default 440. */
  gemVolts?: number
  /** Other constants than those of LIME. */
  detector?: Partial<DetectorModel>
  /** The camera and GEM used: fixed pattern, most hot pixels, gain map. The same for a pedestal run and its data runs. Default 1. */
  detectorSeed?: number
  description?: string | undefined
  /** Digitizer banks. Default true. */
  waveforms?: boolean
  /** Names an explicit simulation production: its runs are of kind 'simulation' in the logbook. */
  production?: string
}
