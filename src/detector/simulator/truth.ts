import { readFile } from 'node:fs/promises'
import { detectorFaults } from '../errors.ts'

/** 'external' = deposits of another program without a particle we know. */
export const trackKinds = ['iron', 'muon', 'alpha', 'electron', 'helium', 'carbon', 'fluorine', 'external'] as const
export type TrackKind = (typeof trackKinds)[number]

/** A place in the raw frame, in pixels; outside of it where a track leaves the frame. */
export interface PlacePx {
  x: number
  y: number
}

/** One interaction of the simulator in one camera. Coordinates are pixels of the raw frame: x = column, y = row. */
export interface TrackTruth {
  /** Unique within the run; a track seen by two cameras has one entry for each, with one id. */
  id: number
  kind: TrackKind
  /** Left in the drift volume, before quenching. */
  energyKev: number
  /** What of it ionises: `energyKev` after quenching (the same for electrons, muons, alphas to a percent). */
  visibleEnergyKev: number
  /** At the vertex; more than `energyKev` where a track leaves the volume, -1 where it is not simulated (muons, external deposits). */
  kineticKev: number
  /** Electrons that reach the first GEM. */
  primaries: number
  /** n of CAMn. */
  camera: number
  /** Mean place of the energy. */
  xPx: number
  yPx: number
  /** Mean distance from the GEM: 0 near, 500 far. */
  zMm: number
  zMinMm: number
  zMaxMm: number
  /** Vertex and end. */
  startPx: PlacePx
  endPx: PlacePx
  /** Path in the image plane, and in space. */
  lengthMm: number
  length3dMm: number
  /** From the vertex to the end in the image plane, in radians, x to the right and y down the rows. */
  angleRad: number
  /** Initial direction: from the axis of the drift (0 = away from the GEM), and around it as `angleRad`. */
  theta3dRad: number
  phi3dRad: number
  /** In the exposure: 0 = the first row opens. */
  atMs: number
  /** Rows of its light that the rolling shutter cut. */
  rowsLost: number
  /** Its trigger among those of the picture; -1 for none. */
  trigger: number
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

/** How a simulated run was made: enough to make it again. */
export interface Production {
  /** Given by the one who asked for it; undefined for the demonstration DAQ, whose runs count as data. */
  name?: string
  generator: string
  version: string
  seed: number
  /** Every constant of the simulated detector that can be changed, in the units of their names. */
  geometry: Record<string, number | string>
  /** What was simulated: site, tracks per image. */
  recipe?: Record<string, number | string>
  /** The file of deposits from another program. */
  source?: { name: string; format: string; sha256: string; sizeBytes: number; events: number; deposits: number }
}

/** The sidecar `run00012.truth.json`. */
export interface RunTruth {
  format: 'cygnet-truth'
  version: 2
  generator: string
  seed: number
  run: number
  kind: 'pedestal' | 'data'
  production: Production
  frameWidth: number
  frameHeight: number
  images: ImageTruth[]
}

/** What version 1 had of a track. */
type TrackTruth1 = Pick<
  TrackTruth,
  | 'id'
  | 'kind'
  | 'energyKev'
  | 'xPx'
  | 'yPx'
  | 'zMm'
  | 'lengthMm'
  | 'angleRad'
  | 'box'
  | 'expectedCounts'
  | 'pixelCount'
  | 'cells'
>

/** Reads a truth sidecar of version 2 or 1; what version 1 did not know is derived or says so. Throws `noSuchFile` or `badTruth`. */
export async function readTruth(path: string): Promise<RunTruth> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (cause) {
    throw detectorFaults.noSuchFile(`There is no truth file ${path}.`, { cause })
  }
  let value: (Omit<RunTruth, 'version'> & { version: number }) | undefined
  try {
    value = JSON.parse(text) as typeof value
  } catch (cause) {
    throw detectorFaults.badTruth(`${path} is not JSON.`, { cause })
  }
  if (value?.format !== 'cygnet-truth' || !Array.isArray(value.images) || (value.version !== 1 && value.version !== 2))
    throw detectorFaults.badTruth(`${path} is not a truth file of version 1 or 2.`, {
      hint: 'A file of a later version needs a later Cygnet.',
    })
  if (value.version === 2) return { ...value, version: 2 }
  return {
    ...value,
    version: 2,
    production: {
      generator: value.generator,
      version: '1',
      seed: value.seed,
      geometry: { pixelMm: pixelMmOfVersion1 },
    },
    images: value.images.map(({ event, tracks }) => ({ event, tracks: tracks.map(fromVersion1) })),
  }
}

const pixelMmOfVersion1 = 346 / 2304

/** Version 1 had straight tracks known by their middle, one camera, no shutter, and triggers without a link to tracks. */
function fromVersion1(track: TrackTruth1): TrackTruth {
  const [dx, dy] = [Math.cos(track.angleRad), Math.sin(track.angleRad)].map(
    (part) => (part * track.lengthMm) / 2 / pixelMmOfVersion1,
  ) as [number, number]
  return {
    ...track,
    visibleEnergyKev: track.energyKev,
    kineticKev: -1,
    primaries: Math.round(track.energyKev / 0.035),
    camera: 0,
    zMinMm: track.zMm,
    zMaxMm: track.zMm,
    startPx: { x: track.xPx - dx, y: track.yPx - dy },
    endPx: { x: track.xPx + dx, y: track.yPx + dy },
    length3dMm: track.lengthMm,
    theta3dRad: Math.PI / 2,
    phi3dRad: track.angleRad,
    atMs: -1,
    rowsLost: 0,
    trigger: -1,
  }
}
