import type { DetectorModel } from './detector-model.ts'
import type { Random } from './random.ts'
import type { TrackKind } from './truth.ts'

/** Millimetres from the first pixel of the first camera, and from the GEM. */
export interface Place {
  xMm: number
  yMm: number
  zMm: number
}

/** Ionisation at a place (energy after quenching). */
export interface Deposit extends Place {
  energyKev: number
  /** After the beginning of the track; only tracks from files have it. */
  timeNs?: number
}

export interface Track {
  kind: TrackKind
  /** Those inside the drift volume over the GEM, in the order of the path. */
  deposits: Deposit[]
  /** Left in the volume, before and after quenching. */
  energyKev: number
  visibleEnergyKev: number
  /** At the vertex, -1 where it is not simulated. */
  kineticKev: number
  start: Place
  end: Place
  /** Path in the image plane and in space, as far as it stays in the volume. */
  lengthMm: number
  length3dMm: number
  /** Initial direction. */
  thetaRad: number
  phiRad: number
}

/** The drift volume over the GEM. */
export interface Volume {
  x0: number
  x1: number
  y0: number
  y1: number
  depthMm: number
}

export function volumeOf(model: DetectorModel, widthPx: number, heightPx: number): Volume {
  const [width, height] = [widthPx * model.pixelMm, heightPx * model.pixelMm]
  const margin = model.gemMarginShare
  return {
    x0: margin * width,
    x1: (1 - margin) * width,
    y0: margin * height,
    y1: (1 - margin) * height,
    depthMm: model.driftMm,
  }
}

export const isInside = ({ xMm, yMm, zMm }: Place, volume: Volume): boolean =>
  xMm >= volume.x0 && xMm <= volume.x1 && yMm >= volume.y0 && yMm <= volume.y1 && zMm >= 0 && zMm <= volume.depthMm

/** A unit vector, z along the drift away from the GEM. */
export interface Direction {
  x: number
  y: number
  z: number
}

export const directionOf = (thetaRad: number, phiRad: number): Direction => ({
  x: Math.sin(thetaRad) * Math.cos(phiRad),
  y: Math.sin(thetaRad) * Math.sin(phiRad),
  z: Math.cos(thetaRad),
})

export const anglesOf = ({ x, y, z }: Direction): { thetaRad: number; phiRad: number } => ({
  thetaRad: Math.acos(Math.max(-1, Math.min(1, z))),
  phiRad: Math.atan2(y, x),
})

export const along = (from: Place, direction: Direction, lengthMm: number): Place => ({
  xMm: from.xMm + direction.x * lengthMm,
  yMm: from.yMm + direction.y * lengthMm,
  zMm: from.zMm + direction.z * lengthMm,
})

/** The direction turned by an angle, the azimuth of the turn drawn. */
export function turned(direction: Direction, angleRad: number, random: Random): Direction {
  const azimuth = 2 * Math.PI * random.uniform()
  const { x, y, z } = direction
  // Two unit vectors across the direction.
  const flat = Math.hypot(x, y)
  const [ux, uy] = flat > 1e-6 ? [-y / flat, x / flat] : [1, 0]
  const [vx, vy, vz] = flat > 1e-6 ? [-z * uy, z * ux, x * uy - y * ux] : [0, 1, 0]
  const [s, c] = [Math.sin(angleRad), Math.cos(angleRad)]
  const [a, b] = [s * Math.cos(azimuth), s * Math.sin(azimuth)]
  const next = { x: c * x + a * ux + b * vx, y: c * y + a * uy + b * vy, z: c * z + b * vz }
  const norm = Math.hypot(next.x, next.y, next.z)
  return { x: next.x / norm, y: next.y / norm, z: next.z / norm }
}

/** The stretch of a line that lies in the volume, measured from `at` along the direction; empty (from = to) if it misses. */
export function stretchInside(at: Place, direction: Direction, volume: Volume): [number, number] {
  let [from, to] = [-1e5, 1e5]
  const cut = (position: number, part: number, low: number, high: number): void => {
    if (Math.abs(part) < 1e-12) {
      if (position < low || position > high) to = from
      return
    }
    const [near, far] = [(low - position) / part, (high - position) / part]
    from = Math.max(from, Math.min(near, far))
    to = Math.min(to, Math.max(near, far))
  }
  cut(at.xMm, direction.x, volume.x0, volume.x1)
  cut(at.yMm, direction.y, volume.y0, volume.y1)
  cut(at.zMm, direction.z, 0, volume.depthMm)
  return [from, Math.max(from, to)]
}
