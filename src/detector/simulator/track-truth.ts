import type { LightField } from './light-field.ts'
import type { CameraLight, ExposedTrack } from './light.ts'
import type { Place, Track } from './track.ts'
import type { PlacePx, TrackTruth } from './truth.ts'

/** What happened to a track besides its light. */
export interface TrackCircumstances {
  id: number
  atMs: number
  trigger: number
}

/** The truth of one track: an entry for each camera that sees it; where none does, one for the camera in front of it. */
export function truthOf(
  track: Track,
  exposed: ExposedTrack,
  { id, atMs, trigger }: TrackCircumstances,
  field: LightField,
): TrackTruth[] {
  const { pixelMm } = field.model
  const mean = meanPlace(track)
  const depths = track.deposits.map((deposit) => deposit.zMm)
  const inPixels = ({ xMm, yMm }: Place, camera: number): PlacePx => ({
    x: rounded(xMm / pixelMm - camera * field.width, 2),
    y: rounded(yMm / pixelMm, 2),
  })
  const cameras = exposed.cameras.length > 0 ? exposed.cameras : [unseen(mean, field)]
  return cameras.map(({ camera, ...light }) => {
    const { x, y } = inPixels(mean, camera)
    const [start, end] = [inPixels(track.start, camera), inPixels(track.end, camera)]
    return {
      id,
      kind: track.kind,
      energyKev: rounded(track.energyKev, 3),
      visibleEnergyKev: rounded(track.visibleEnergyKev, 3),
      kineticKev: rounded(track.kineticKev, 3),
      primaries: exposed.primaries,
      camera,
      xPx: x,
      yPx: y,
      zMm: rounded(mean.zMm, 2),
      zMinMm: rounded(
        depths.reduce((least, one) => Math.min(least, one)),
        2,
      ),
      zMaxMm: rounded(
        depths.reduce((most, one) => Math.max(most, one)),
        2,
      ),
      startPx: start,
      endPx: end,
      lengthMm: rounded(track.lengthMm, 2),
      length3dMm: rounded(track.length3dMm, 2),
      angleRad: rounded(Math.atan2(track.end.yMm - track.start.yMm, track.end.xMm - track.start.xMm), 4),
      theta3dRad: rounded(track.thetaRad, 4),
      phi3dRad: rounded(track.phiRad, 4),
      atMs: rounded(atMs, 6),
      rowsLost: light.rowsLost,
      trigger,
      box: light.box,
      expectedCounts: rounded(light.expectedCounts, 1),
      pixelCount: light.pixelCount,
      cells: light.cells,
    }
  })
}

/** Of the ionisation. */
function meanPlace({ deposits }: Track): Place {
  let [x, y, z, sum] = [0, 0, 0, 0]
  for (const { xMm, yMm, zMm, energyKev } of deposits) {
    x += energyKev * xMm
    y += energyKev * yMm
    z += energyKev * zMm
    sum += energyKev
  }
  return { xMm: x / sum, yMm: y / sum, zMm: z / sum }
}

function unseen(mean: Place, field: LightField): CameraLight {
  const camera = Math.floor(mean.xMm / field.model.pixelMm / field.width)
  return {
    camera: Math.max(0, Math.min(field.cameras - 1, camera)),
    expectedCounts: 0,
    rowsLost: 0,
    box: { x0: 0, y0: 0, x1: 0, y1: 0 },
    pixelCount: 0,
    cells: { rebin: 4, runs: [], counts: [] },
  }
}

const rounded = (value: number, digits: number): number => Math.round(value * 10 ** digits) / 10 ** digits
