import type { Random } from './random.ts'
import type { TrackKind } from './truth.ts'

/** Side of a pixel on the GEM plane (346 mm seen by 2304 pixels), depth of the drift, mean energy of an ion pair. */
export const pixelMm = 346 / 2304
export const driftMm = 500
export const pairEnergyKev = 0.035

/** Energy left at a place: millimetres in the frame and from the GEM. */
export interface Deposit {
  xMm: number
  yMm: number
  zMm: number
  energyKev: number
}

export interface Track {
  kind: TrackKind
  deposits: Deposit[]
  energyKev: number
  /** In the image plane. */
  lengthMm: number
  angleRad: number
  /** Change of z per millimetre in the image plane. */
  slope: number
}

/** A track asked for; what is left out is drawn. */
export interface TrackRequest {
  kind: TrackKind
  xPx?: number
  yPx?: number
  zMm?: number
  angleRad?: number
  energyKev?: number
}

export interface Field {
  widthMm: number
  heightMm: number
}

/** The GEM covers 330 of the 346 mm seen. */
const gemMargin = (346 - 330) / 2 / 346

export function makeTrack(request: TrackRequest, field: Field, random: Random): Track {
  const xMm =
    request.xPx === undefined ? field.widthMm * random.between(gemMargin, 1 - gemMargin) : request.xPx * pixelMm
  const yMm =
    request.yPx === undefined ? field.heightMm * random.between(gemMargin, 1 - gemMargin) : request.yPx * pixelMm
  const zMm = request.zMm ?? random.between(5, driftMm - 5)
  const angleRad = request.angleRad ?? random.between(-Math.PI, Math.PI)
  const at = { xMm, yMm, zMm }
  if (request.kind === 'iron') return ironSpot(at, angleRad, request.energyKev, random)
  return request.kind === 'alpha' ? alpha(at, angleRad, request.energyKev, random) : muon(at, angleRad, field, random)
}

interface Place {
  xMm: number
  yMm: number
  zMm: number
}

/** A photoelectron of 55Fe: 5.90 keV (89 %) or 6.49 keV, stopped after 0.32 mm (practical range of Katz and Penfold). */
function ironSpot(at: Place, angleRad: number, energy: number | undefined, random: Random): Track {
  const energyKev = energy ?? (random.uniform() < 0.89 ? 5.9 : 6.49)
  const cosine = random.between(-1, 1)
  const points = 4
  const deposits = Array.from({ length: points }, (_, i) => {
    const along = 0.32 * ((i + 0.5) / points - 0.5)
    const flat = along * Math.sqrt(1 - cosine * cosine)
    return {
      xMm: at.xMm + flat * Math.cos(angleRad),
      yMm: at.yMm + flat * Math.sin(angleRad),
      zMm: Math.max(0, at.zMm + along * cosine),
      energyKev: energyKev / points,
    }
  })
  return { kind: 'iron', deposits, energyKev, lengthMm: 0, angleRad, slope: 0 }
}

const alphaEnergiesKev = [5490, 6000, 7690, 5300]

/** An alpha of radon and its daughters: range 0.32 E^1.5 cm of air (E in MeV) times 0.794 in He:CF4 60:40, dE/dx from the residual range. */
function alpha(at: Place, angleRad: number, energy: number | undefined, random: Random): Track {
  const startKev = energy ?? (alphaEnergiesKev[Math.floor(random.uniform() * alphaEnergiesKev.length)] as number)
  const rangeMm = 10 * 0.794 * 0.32 * (startKev / 1000) ** 1.5
  const cosine = random.between(-0.8, 0.8)
  const flat = Math.sqrt(1 - cosine * cosine)
  const steps = Math.ceil(rangeMm / 0.2)
  const deposits: Deposit[] = []
  let energyKev = 0
  let lengthMm = 0
  for (let i = 0; i < steps; i++) {
    const from = 1 - i / steps
    const to = 1 - (i + 1) / steps
    const along = (rangeMm * (i + 0.5)) / steps - rangeMm / 2
    const zMm = at.zMm + along * cosine
    // The track ends at the GEM or at the cathode.
    if (zMm < 0 || zMm > driftMm) continue
    const step = startKev * (from ** (2 / 3) - to ** (2 / 3))
    energyKev += step
    lengthMm += (rangeMm / steps) * flat
    deposits.push({
      xMm: at.xMm + along * flat * Math.cos(angleRad),
      yMm: at.yMm + along * flat * Math.sin(angleRad),
      zMm,
      energyKev: step,
    })
  }
  return { kind: 'alpha', deposits, energyKev, lengthMm, angleRad, slope: cosine / flat }
}

/** Ionisation clusters of a minimum ionising particle: 22 per cm, sizes falling as 1/n^2 up to 150 pairs, which makes 2.7 keV/cm on average. */
const clustersPerMm = 2.2
const largestCluster = 150

/** A muon through the whole field in a straight line. */
function muon(at: Place, angleRad: number, field: Field, random: Random): Track {
  const slope = random.between(-1, 1)
  const [from, to] = inside(at, angleRad, slope, field)
  const lengthMm = to - from
  const clusters = random.poisson(clustersPerMm * lengthMm * Math.hypot(1, slope))
  const deposits: Deposit[] = []
  let energyKev = 0
  for (let i = 0; i < clusters; i++) {
    const along = random.between(from, to)
    const pairs = clusterSize(random)
    energyKev += pairs * pairEnergyKev
    deposits.push({
      xMm: at.xMm + along * Math.cos(angleRad),
      yMm: at.yMm + along * Math.sin(angleRad),
      zMm: at.zMm + along * slope,
      energyKev: pairs * pairEnergyKev,
    })
  }
  return { kind: 'muon', deposits, energyKev, lengthMm, angleRad, slope }
}

/** The stretch of a line that lies in the field and in the drift volume. */
function inside(at: Place, angleRad: number, slope: number, field: Field): [number, number] {
  let [from, to] = [-1e4, 1e4]
  const cut = (position: number, direction: number, size: number): void => {
    if (Math.abs(direction) < 1e-9) return
    const [near, far] = [-position / direction, (size - position) / direction]
    from = Math.max(from, Math.min(near, far))
    to = Math.min(to, Math.max(near, far))
  }
  cut(at.xMm, Math.cos(angleRad), field.widthMm)
  cut(at.yMm, Math.sin(angleRad), field.heightMm)
  cut(at.zMm, slope, driftMm)
  return [from, Math.max(from, to)]
}

/** n with probability proportional to 1/n^2, 1 <= n <= 150, by inverting the continuous distribution and accepting with the ratio of the two. */
function clusterSize(random: Random): number {
  for (;;) {
    const n = Math.floor(1 / (1 - random.uniform()))
    // floor(1/u) has probability 1/(n(n+1)); accepted with (n+1)/(2n) it is proportional to 1/n^2.
    if (n <= largestCluster && random.uniform() < (n + 1) / (2 * n)) return n
  }
}
