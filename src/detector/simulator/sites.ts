import { alphaEnergiesKev, neutronRecoil } from './ion.ts'
import { muonsPerCm2AndMinute } from './muon.ts'
import type { Random } from './random.ts'
import type { TrackRequest } from './simulation-options.ts'
import { anglesOf, directionOf } from './track.ts'
import type { Place, Volume } from './track.ts'

export const siteNames = ['surface', 'lngs-4cm', 'lngs-10cm', 'lngs-water'] as const
export type SiteName = (typeof siteNames)[number]

/** Measured: interactions per second of LIME without shield, behind 4 and 10 cm of copper, and with 40 cm of water around it. */
const electronHz: Record<SiteName, number> = { surface: 34, 'lngs-4cm': 3.5, 'lngs-10cm': 1.3, 'lngs-water': 0.7 }
const withMuons: readonly SiteName[] = ['surface']
/** ASSUMPTION: alphas of radon and its daughters. */
const alphaHz = 0.03
const limeAreaMm2 = 330 * 330

/**
 * Tracks per second of a site, by what they are. LIME's rates, for another plane by its area (electrons, alphas) or its top (muons: 1 per cm2 and
 * minute, 27 Hz for LIME).
 */
export function siteRatesHz(site: SiteName, volume: Volume): { electron: number; muon: number; alpha: number } {
  const [width, height] = [volume.x1 - volume.x0, volume.y1 - volume.y0]
  const share = (width * height) / limeAreaMm2
  return {
    electron: electronHz[site] * share,
    muon: withMuons.includes(site) ? (muonsPerCm2AndMinute / 60 / 100) * width * volume.depthMm : 0,
    alpha: alphaHz * share,
  }
}

/** Natural radioactivity for so many seconds. Reconstruction study 4.6: the rates are measured, the spectrum and the alphas are assumptions. */
export function siteTracks(site: SiteName, seconds: number, volume: Volume, random: Random): TrackRequest[] {
  const rates = siteRatesHz(site, volume)
  const some = (rateHz: number, make: () => TrackRequest): TrackRequest[] =>
    Array.from({ length: random.poisson(rateHz * seconds) }, make)
  return [
    ...some(rates.electron, () => backgroundElectron(volume, random)),
    ...some(rates.muon, () => ({ kind: 'muon' })),
    ...some(rates.alpha, () => backgroundAlpha(volume, random)),
  ]
}

/** ASSUMPTION on the electrons that gammas make: 60 % exponential with mean 15 keV, 30 % flat from 1 to 60 keV, 10 % of 100 to 500 keV coming in through a wall. */
function backgroundElectron(volume: Volume, random: Random): TrackRequest {
  const sort = random.uniform()
  if (sort < 0.6) return { kind: 'electron', energyKev: Math.min(1000, 1 + random.exponential(14)) }
  if (sort < 0.9) return { kind: 'electron', energyKev: random.between(1, 60) }
  return { kind: 'electron', energyKev: random.between(100, 500), ...fromWall(volume, random, 'any') }
}

/** ASSUMPTION: four of five alphas come from the cathode or the rings around the field (half and half; 210Po half of the time), the others from radon in the gas. */
function backgroundAlpha(volume: Volume, random: Random): TrackRequest {
  const { radon222, polonium218, polonium214, polonium210 } = alphaEnergiesKev
  const one = (energies: readonly number[]): number =>
    energies[Math.floor(random.uniform() * energies.length)] as number
  if (random.uniform() < 0.2) return { kind: 'alpha', energyKev: one([radon222, polonium218, polonium214]) }
  const energyKev = one([polonium210, polonium210, polonium218, polonium214])
  return { kind: 'alpha', energyKev, ...fromWall(volume, random, random.uniform() < 0.5 ? 'cathode' : 'ring') }
}

/** A place on a wall and a direction inwards, as many per angle as from a flat source (cosine). */
function fromWall(
  { x0, x1, y0, y1, depthMm }: Volume,
  random: Random,
  wall: 'cathode' | 'ring' | 'any',
): Omit<TrackRequest, 'kind' | 'energyKev'> {
  const [width, height] = [x1 - x0, y1 - y0]
  const ends = wall === 'ring' ? 0 : width * height
  const sides = wall === 'cathode' ? 0 : 2 * (width + height) * depthMm
  const inward = Math.sqrt(random.uniform())
  const across = Math.sqrt(1 - inward * inward)
  const azimuth = random.between(0, 2 * Math.PI)
  const [a, b] = [across * Math.cos(azimuth), across * Math.sin(azimuth)]
  const at = (place: Place, x: number, y: number, z: number) => ({ ...place, ...anglesOf({ x, y, z }) })
  if (random.uniform() * (ends + sides) < ends)
    return at({ xMm: random.between(x0, x1), yMm: random.between(y0, y1), zMm: depthMm }, a, b, -inward)
  const zMm = random.between(0, depthMm)
  const place = random.between(0, 2 * (width + height))
  if (place < width) return at({ xMm: x0 + place, yMm: y0, zMm }, a, inward, b)
  if (place < 2 * width) return at({ xMm: x0 + place - width, yMm: y1, zMm }, a, -inward, b)
  if (place < 2 * width + height) return at({ xMm: x0, yMm: y0 + place - 2 * width, zMm }, inward, a, b)
  return at({ xMm: x1, yMm: y0 + place - 2 * width - height, zMm }, -inward, a, b)
}

/** Absorption length of the photons of 55Fe in the gas (estimate of study 4.2). */
const ironAbsorptionMm = 200

/** 55Fe: a source above the first rows, in the middle, at one depth of the drift; photons absorbed below it. */
export function ironSourceTracks(mean: number, zMm: number, volume: Volume, random: Random): TrackRequest[] {
  const height = volume.y1 - volume.y0
  const reach = 1 - Math.exp(-height / ironAbsorptionMm)
  const middle = (volume.x0 + volume.x1) / 2
  return Array.from({ length: random.poisson(mean) }, () => {
    const depth = -ironAbsorptionMm * Math.log(1 - reach * random.uniform())
    const angle = random.between(-0.5, 0.5)
    const direction = directionOf(Math.PI / 2 + random.between(-0.02, 0.02), 0)
    return {
      kind: 'iron',
      xMm: Math.max(volume.x0, Math.min(volume.x1, middle + depth * Math.tan(angle))),
      yMm: volume.y0 + depth,
      zMm: Math.max(0, Math.min(volume.depthMm, zMm + depth * direction.z)),
    }
  })
}

/** Recoils of neutrons as an AmBe source makes them, everywhere in the volume. Its gammas are not simulated: add electrons or a site. */
export const ambeTracks = (mean: number, random: Random): TrackRequest[] =>
  Array.from({ length: random.poisson(mean) }, () => neutronRecoil(random))
