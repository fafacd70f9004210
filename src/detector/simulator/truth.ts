import { readFile } from 'node:fs/promises'
import { detectorFaults } from '../errors.ts'

export type TrackKind = 'iron' | 'muon' | 'alpha'

/** One interaction of the simulator. Coordinates are pixels of the raw frame: x = column, y = row. */
export interface TrackTruth {
  /** Unique within the run. */
  id: number
  kind: TrackKind
  energyKev: number
  /** Middle of the track. */
  xPx: number
  yPx: number
  /** Distance from the GEM at the middle: 0 near, 500 far. */
  zMm: number
  /** In the image plane. 0 for a spot. */
  lengthMm: number
  /** Direction in the image plane from the first end, in radians, x to the right and y down the rows. */
  angleRad: number
  /** Bounding box of `cells` in pixels, ends excluded. */
  box: { x0: number; y0: number; x1: number; y1: number }
  /** Light of the track in the frame, in counts, before photon statistics and noise. */
  expectedCounts: number
  /** Pixels of the cells below. */
  pixelCount: number
  /** The cells of `rebin` x `rebin` pixels the track lights by more than half a count per pixel on average. */
  cells: {
    rebin: number
    /** Flat triples: cell row, first cell column, number of cells. */
    runs: number[]
    /** Expected counts in each cell (summed over its pixels), in the order of `runs`. */
    counts: number[]
  }
}

export interface ImageTruth {
  /** Zero-based picture number = serial number of the trigger event. */
  event: number
  tracks: TrackTruth[]
}

/** The sidecar `run00012.truth.json`. */
export interface RunTruth {
  format: 'cygnet-truth'
  version: 1
  generator: string
  seed: number
  run: number
  kind: 'pedestal' | 'data'
  frameWidth: number
  frameHeight: number
  images: ImageTruth[]
}

/** Reads a truth sidecar. Throws `noSuchFile` or `badTruth`. */
export async function readTruth(path: string): Promise<RunTruth> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (cause) {
    throw detectorFaults.noSuchFile(`There is no truth file ${path}.`, { cause })
  }
  let value: RunTruth | undefined
  try {
    value = JSON.parse(text) as RunTruth
  } catch (cause) {
    throw detectorFaults.badTruth(`${path} is not JSON.`, { cause })
  }
  if (value?.format !== 'cygnet-truth' || value.version !== 1 || !Array.isArray(value.images))
    throw detectorFaults.badTruth(`${path} is not a truth file of version 1.`)
  return value
}
