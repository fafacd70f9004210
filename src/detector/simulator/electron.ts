import type { DetectorModel } from './detector-model.ts'
import type { Random } from './random.ts'
import { along, anglesOf, isInside, turned } from './track.ts'
import type { Deposit, Direction, Place, Track, Volume } from './track.ts'

const electronMassMev = 0.511

/** Practical range in g/cm2 of an electron of 1 keV to 2.5 MeV: 0.412 E^(1.265 - 0.0954 ln E), E in MeV (Katz and Penfold 1952). */
export function electronRangeGPerCm2(energyKev: number): number {
  const log = Math.log(energyKev / 1000)
  return 0.412 * Math.exp((1.265 - 0.0954 * log) * log)
}

/** The energy in keV whose practical range is so many g/cm2: the formula solved for ln E. */
export function electronEnergyKev(rangeGPerCm2: number): number {
  if (rangeGPerCm2 <= 0) return 0
  const log = (1.265 - Math.sqrt(1.265 ** 2 - 4 * 0.0954 * Math.log(rangeGPerCm2 / 0.412))) / (2 * 0.0954)
  return 1000 * Math.exp(log)
}

/** rms of the deflection in one plane after so many g/cm2 (Highland); energies in keV. */
export function scatteringRad(energyKev: number, pathGPerCm2: number, radiationLengthGPerCm2: number): number {
  const kinetic = energyKev / 1000
  const momentumSquare = kinetic * (kinetic + 2 * electronMassMev)
  const betaMomentum = momentumSquare / (kinetic + electronMassMev)
  const share = pathGPerCm2 / radiationLengthGPerCm2
  return (13.6 / betaMomentum) * Math.sqrt(share) * Math.max(0.1, 1 + 0.038 * Math.log(share))
}

/** Energy is laid down at least this densely, so that light has no beads (diffusion is never below 0.37 mm). */
const pieceMm = 0.25
const shortestStepMm = 0.05
const deltaThresholdKev = 2

/**
 * An electron from its vertex until it stops or leaves the volume: residual range gives the energy lost in a step of 5 % of it (at least 0.05 mm),
 * multiple scattering turns it after each. Reconstruction study 4.2. The practical range is used as the length of the path.
 */
export function electronTrack(
  kind: 'electron' | 'iron',
  start: Place,
  direction: Direction,
  kineticKev: number,
  volume: Volume,
  model: DetectorModel,
  random: Random,
  withDeltaRays: boolean,
): Track {
  const deposits: Deposit[] = []
  const path = walk(deposits, start, direction, kineticKev, volume, model, random, withDeltaRays)
  const energyKev = deposits.reduce((sum, deposit) => sum + deposit.energyKev, 0)
  return { kind, deposits, energyKev, visibleEnergyKev: energyKev, kineticKev, start, ...path, ...anglesOf(direction) }
}

function walk(
  deposits: Deposit[],
  start: Place,
  initial: Direction,
  kineticKev: number,
  volume: Volume,
  model: DetectorModel,
  random: Random,
  withDeltaRays: boolean,
): { end: Place; lengthMm: number; length3dMm: number } {
  const mmPerRange = 10 / model.densityGPerCm3
  let [place, direction] = [start, initial]
  let [energyKev, lengthMm, length3dMm] = [kineticKev, 0, 0]
  let residualMm = electronRangeGPerCm2(kineticKev) * mmPerRange
  while (residualMm > 1e-4 && isInside(place, volume)) {
    const stepMm = Math.min(residualMm, Math.max(shortestStepMm, 0.05 * residualMm))
    const leftKev = stepMm >= residualMm ? 0 : electronEnergyKev((residualMm - stepMm) / mmPerRange)
    const pieces = Math.ceil(stepMm / pieceMm)
    for (let piece = 0; piece < pieces; piece++) {
      const at = along(place, direction, (stepMm * (piece + 0.5)) / pieces)
      if (!isInside(at, volume)) break
      deposits.push({ ...at, energyKev: (energyKev - leftKev) / pieces })
      length3dMm += stepMm / pieces
      lengthMm += (stepMm / pieces) * Math.hypot(direction.x, direction.y)
    }
    place = along(place, direction, stepMm)
    const before = energyKev
    energyKev = leftKev
    residualMm -= stepMm
    if (residualMm <= 0) break
    if (withDeltaRays) {
      const deltaKev = deltaRay(energyKev, stepMm / mmPerRange, random)
      if (deltaKev > 0) {
        // A knock-on electron leaves at an angle whose cosine is the root of its share of the energy.
        const out = turned(direction, Math.acos(Math.sqrt(deltaKev / energyKev)), random)
        walk(deposits, place, out, deltaKev, volume, model, random, false)
        energyKev -= deltaKev
        residualMm = electronRangeGPerCm2(energyKev) * mmPerRange
      }
    }
    const rms = scatteringRad(before, stepMm / mmPerRange, model.radiationLengthGPerCm2)
    const angle = rms * Math.sqrt(-2 * Math.log(1 - random.uniform()))
    direction = turned(direction, Math.min(Math.PI / 2, angle), random)
  }
  return { end: place, lengthMm, length3dMm }
}

/** Energy of a knock-on electron made on the way, 0 for none: dN/dT = K/2 Z/A x / (beta^2 T^2), K = 0.307 MeV cm2/g (PDG), between 2 keV and half of the energy. */
function deltaRay(energyKev: number, pathGPerCm2: number, random: Random): number {
  const largestKev = energyKev / 2
  if (largestKev <= deltaThresholdKev) return 0
  const gamma = 1 + energyKev / 1000 / electronMassMev
  const betaSquare = 1 - 1 / gamma ** 2
  const perKev = (0.5 * 0.307 * 0.49 * pathGPerCm2 * 1000) / betaSquare
  const mean = perKev * (1 / deltaThresholdKev - 1 / largestKev)
  if (random.uniform() >= mean) return 0
  return 1 / (1 / deltaThresholdKev - random.uniform() * (1 / deltaThresholdKev - 1 / largestKev))
}
