import type { DetectorModel } from './detector-model.ts'
import type { Random } from './random.ts'
import { along, anglesOf, stretchInside } from './track.ts'
import type { Deposit, Direction, Place, Track, Volume } from './track.ts'

/** Through a horizontal area on the surface. */
export const muonsPerCm2AndMinute = 1

/**
 * Clusters of ionisation of a minimum ionising particle: 22 per cm (CF4 51, He 3.5 per cm, mixed), sizes falling as 1/n^2 up to 150 pairs, which makes
 * 2.6 keV/cm on average at 35 eV. (A limit of 25 pairs, as also quoted, would make 1.8.)
 */
export const clustersPerMm = 2.2
const largestCluster = 150

/** Down the rows, intensity as cos^2 of the angle to the vertical; through a horizontal area that is cos^3. */
export function cosmicDirection(random: Random): Direction {
  const down = random.uniform() ** 0.25
  const across = Math.sqrt(1 - down * down)
  const azimuth = random.between(0, 2 * Math.PI)
  return { x: across * Math.cos(azimuth), y: down, z: across * Math.sin(azimuth) }
}

/** Where a cosmic muon enters: somewhere on the top of the volume (first rows). */
export const cosmicEntry = (volume: Volume, random: Random): Place => ({
  xMm: random.between(volume.x0, volume.x1),
  yMm: volume.y0,
  zMm: random.between(0, volume.depthMm),
})

/** A muon through the whole volume in a straight line through `at`. */
export function muonTrack(
  at: Place,
  direction: Direction,
  volume: Volume,
  model: DetectorModel,
  random: Random,
): Track {
  const [from, to] = stretchInside(at, direction, volume)
  const clusters = random.poisson(clustersPerMm * (to - from))
  const places = Array.from({ length: clusters }, () => random.between(from, to)).sort((one, other) => one - other)
  let energyKev = 0
  const deposits = places.map((place): Deposit => {
    const kev = clusterSize(random) * model.pairEnergyKev
    energyKev += kev
    return { ...along(at, direction, place), energyKev: kev }
  })
  return {
    kind: 'muon',
    deposits,
    energyKev,
    visibleEnergyKev: energyKev,
    kineticKev: -1,
    start: along(at, direction, from),
    end: along(at, direction, to),
    lengthMm: (to - from) * Math.hypot(direction.x, direction.y),
    length3dMm: to - from,
    ...anglesOf(direction),
  }
}

/** n with probability proportional to 1/n^2, by inverting the continuous distribution and accepting with the ratio of the two. */
export function clusterSize(random: Random): number {
  for (;;) {
    const n = Math.floor(1 / (1 - random.uniform()))
    // floor(1/u) has probability 1/(n(n+1)); accepted with (n+1)/(2n) it is proportional to 1/n^2.
    if (n <= largestCluster && random.uniform() < (n + 1) / (2 * n)) return n
  }
}
