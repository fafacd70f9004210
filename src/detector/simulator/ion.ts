import type { Random } from './random.ts'
import { along, anglesOf, isInside } from './track.ts'
import type { Deposit, Direction, Place, Track, Volume } from './track.ts'

export type RecoilKind = 'helium' | 'carbon' | 'fluorine'

/** Charge, mass, projected range at 10 keV and how it grows. The ranges are estimates (study 4.2), to be replaced by SRIM tables. */
const nuclei: Record<RecoilKind, { charge: number; mass: number; range10KevMm: number; exponent: number }> = {
  helium: { charge: 2, mass: 4, range10KevMm: 0.13, exponent: 0.85 },
  carbon: { charge: 6, mass: 12, range10KevMm: 0.06, exponent: 0.8 },
  fluorine: { charge: 9, mass: 19, range10KevMm: 0.045, exponent: 0.8 },
}

/** Share of the energy of a nucleus that ionises (Lindhard, in its own element): He 0.77, C 0.43, F 0.35 at 10 keV. */
export function lindhardQuenching(kind: RecoilKind, energyKev: number): number {
  const { charge, mass } = nuclei[kind]
  const reduced = 11.5 * charge ** (-7 / 3) * energyKev
  const g = 3 * reduced ** 0.15 + 0.7 * reduced ** 0.6 + reduced
  const k = (0.133 * charge ** (2 / 3)) / Math.sqrt(mass)
  return (k * g) / (1 + k * g)
}

export function recoilRangeMm(kind: RecoilKind, energyKev: number): number {
  const { range10KevMm, exponent } = nuclei[kind]
  return range10KevMm * (energyKev / 10) ** exponent
}

/** Ionisation of a recoil falls along its path from 1 to 0.4 of its beginning: head and tail. */
const headTail = 0.6

/** A nuclear recoil: a short straight path, the ionisation left after quenching denser at its beginning. */
export function recoilTrack(
  kind: RecoilKind,
  start: Place,
  direction: Direction,
  kineticKev: number,
  volume: Volume,
): Track {
  const rangeMm = recoilRangeMm(kind, kineticKev)
  const points = Math.max(5, Math.min(200, Math.ceil(rangeMm / 0.2)))
  return straight(
    kind,
    start,
    direction,
    kineticKev,
    rangeMm,
    points,
    volume,
    lindhardQuenching(kind, kineticKev),
    (share) => (share - (headTail / 2) * share ** 2) / (1 - headTail / 2),
  )
}

/** 222Rn, 218Po, 214Po, 210Po. */
export const alphaEnergiesKev = { radon222: 5490, polonium218: 6000, polonium214: 7690, polonium210: 5300 } as const

/** Bragg-Kleeman: 0.32 E^1.5 cm of air (E in MeV) times 0.794 for He:CF4 60:40. 5.5 MeV: 33 mm. */
export const alphaRangeMm = (energyKev: number): number => 10 * 0.794 * 0.32 * (energyKev / 1000) ** 1.5

/** An alpha: straight, the energy left in it falling as the power 2/3 of the residual range, so densest at its end. */
export function alphaTrack(start: Place, direction: Direction, kineticKev: number, volume: Volume): Track {
  const rangeMm = alphaRangeMm(kineticKev)
  const quenching = lindhardQuenching('helium', kineticKev)
  const points = Math.ceil(rangeMm / 0.2)
  return straight(
    'alpha',
    start,
    direction,
    kineticKev,
    rangeMm,
    points,
    volume,
    quenching,
    (share) => 1 - (1 - share) ** (2 / 3),
  )
}

/** `lost` = share of the energy lost after a share of the path. */
function straight(
  kind: RecoilKind | 'alpha',
  start: Place,
  direction: Direction,
  kineticKev: number,
  rangeMm: number,
  points: number,
  volume: Volume,
  quenching: number,
  lost: (share: number) => number,
): Track {
  const deposits: Deposit[] = []
  let [energyKev, length3dMm] = [0, 0]
  for (let i = 0; i < points; i++) {
    const at = along(start, direction, (rangeMm * (i + 0.5)) / points)
    if (!isInside(at, volume)) break
    const step = kineticKev * (lost((i + 1) / points) - lost(i / points))
    energyKev += step
    length3dMm += rangeMm / points
    deposits.push({ ...at, energyKev: step * quenching })
  }
  return {
    kind,
    deposits,
    energyKev,
    visibleEnergyKev: energyKev * quenching,
    kineticKev,
    start,
    end: along(start, direction, length3dMm),
    lengthMm: length3dMm * Math.hypot(direction.x, direction.y),
    length3dMm,
    ...anglesOf(direction),
  }
}

/** A nucleus knocked on by neutrons of a few MeV: energies fall exponentially (means of study 4.2; carbon between the two by its kinematics). */
export const neutronRecoilMeanKev: Record<RecoilKind, number> = { helium: 30, carbon: 15, fluorine: 12 }
/** ASSUMPTION: shares of the recoils from the numbers of atoms in He:CF4 60:40 (0.6 : 0.4 : 1.6) and cross sections of about 3, 2 and 3 barn. */
export const neutronRecoilShares: Record<RecoilKind, number> = { helium: 0.24, carbon: 0.11, fluorine: 0.65 }

export function neutronRecoil(random: Random): { kind: RecoilKind; energyKev: number } {
  const draw = random.uniform()
  const { helium, carbon } = neutronRecoilShares
  const kind = draw < helium ? 'helium' : draw < helium + carbon ? 'carbon' : 'fluorine'
  return { kind, energyKev: Math.max(0.5, random.exponential(neutronRecoilMeanKev[kind])) }
}
