import { detectorFaults } from '../errors.ts'
import type { DetectorModel } from './detector-model.ts'
import { electronTrack } from './electron.ts'
import { alphaEnergiesKev, alphaTrack, neutronRecoilMeanKev, recoilTrack } from './ion.ts'
import { cosmicDirection, cosmicEntry, muonTrack } from './muon.ts'
import type { Random } from './random.ts'
import type { DrawnKind, TrackRequest } from './simulation-options.ts'
import { anglesOf, directionOf } from './track.ts'
import type { Direction, Place, Track, Volume } from './track.ts'

export interface TrackMaker {
  volume: Volume
  model: DetectorModel
  deltaRays: boolean
}

/** keV for which the formulas of a kind hold. */
const energyLimitsKev: Record<Exclude<DrawnKind, 'muon'>, [number, number]> = {
  iron: [0.5, 100],
  electron: [0.5, 2500],
  alpha: [100, 12_000],
  helium: [0.1, 5000],
  carbon: [0.1, 5000],
  fluorine: [0.1, 5000],
}

/** Makes a track; what the request leaves out is drawn: place anywhere over the GEM, direction from everywhere (muons: from the sky), energy of the kind. */
export function makeTrack(request: TrackRequest, { volume, model, deltaRays }: TrackMaker, random: Random): Track {
  if (request.kind === 'muon') {
    const direction = withAngles(request, cosmicDirection(random))
    return muonTrack(placeOf(request, cosmicEntry(volume, random), model), direction, volume, model, random)
  }
  const anywhere = {
    xMm: random.between(volume.x0, volume.x1),
    yMm: random.between(volume.y0, volume.y1),
    zMm: random.between(5, volume.depthMm - 5),
  }
  const start = placeOf(request, anywhere, model)
  const isotropic = directionOf(Math.acos(random.between(-1, 1)), random.between(-Math.PI, Math.PI))
  const direction = withAngles(request, isotropic)
  const energyKev = request.energyKev ?? usualEnergyKev(request.kind, random)
  switch (request.kind) {
    case 'iron':
    case 'electron':
      return electronTrack(request.kind, start, direction, energyKev, volume, model, random, deltaRays)
    case 'alpha':
      return alphaTrack(start, direction, energyKev, volume)
    case 'helium':
    case 'carbon':
    case 'fluorine':
      return recoilTrack(request.kind, start, direction, energyKev, volume)
  }
}

/** 55Fe: 5.90 (89 %) and 6.49 keV. Electrons without a site: flat from 1 to 60 keV. Recoils: exponential, as neutrons make them. */
function usualEnergyKev(kind: Exclude<DrawnKind, 'muon'>, random: Random): number {
  if (kind === 'iron') return random.uniform() < 0.89 ? 5.9 : 6.49
  if (kind === 'electron') return random.between(1, 60)
  if (kind === 'alpha') {
    const energies = Object.values(alphaEnergiesKev)
    return energies[Math.floor(random.uniform() * energies.length)] as number
  }
  return Math.max(0.5, random.exponential(neutronRecoilMeanKev[kind]))
}

function placeOf({ xPx, yPx, xMm, yMm, zMm }: TrackRequest, drawn: Place, { pixelMm }: DetectorModel): Place {
  return {
    xMm: xMm ?? (xPx === undefined ? drawn.xMm : xPx * pixelMm),
    yMm: yMm ?? (yPx === undefined ? drawn.yMm : yPx * pixelMm),
    zMm: zMm ?? drawn.zMm,
  }
}

function withAngles({ thetaRad, phiRad }: TrackRequest, drawn: Direction): Direction {
  if (thetaRad === undefined && phiRad === undefined) return drawn
  const angles = anglesOf(drawn)
  return directionOf(thetaRad ?? angles.thetaRad, phiRad ?? angles.phiRad)
}

/** Throws `badOptions` for a request no detector can fulfil. */
export function checkRequest(request: TrackRequest): void {
  const { kind, energyKev } = request
  if (kind !== 'muon' && !(kind in energyLimitsKev))
    throw detectorFaults.badOptions(`There is no track of kind ${String(kind)}.`, {
      hint: `Kinds: muon, ${Object.keys(energyLimitsKev).join(', ')}.`,
    })
  for (const [name, value] of Object.entries(request))
    if (name !== 'kind' && value !== undefined && !Number.isFinite(value))
      throw detectorFaults.badOptions(`${name} of a track is a number, not ${String(value)}.`)
  if (kind === 'muon' || energyKev === undefined) return
  const [low, high] = energyLimitsKev[kind]
  if (energyKev < low || energyKev > high)
    throw detectorFaults.badOptions(`Energies of kind ${kind} lie between ${low} and ${high} keV, not at ${energyKev}.`)
}
