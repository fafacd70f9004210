import { describe, expect, test } from 'vitest'
import { detectorModel } from './detector-model.ts'
import { electronEnergyKev, electronRangeGPerCm2, electronTrack, scatteringRad } from './electron.ts'
import {
  alphaEnergiesKev,
  alphaRangeMm,
  alphaTrack,
  lindhardQuenching,
  neutronRecoil,
  neutronRecoilMeanKev,
  neutronRecoilShares,
  recoilRangeMm,
  recoilTrack,
} from './ion.ts'
import { makeTrack } from './make-track.ts'
import { clusterSize, clustersPerMm, cosmicDirection, muonTrack } from './muon.ts'
import { Random } from './random.ts'
import { along, anglesOf, directionOf, isInside, stretchInside, turned, volumeOf } from './track.ts'
import type { Place, Track } from './track.ts'

const model = detectorModel()
const volume = volumeOf(model, 2304, 2304)
const middle: Place = { xMm: 173, yMm: 173, zMm: 250 }
const across = directionOf(Math.PI / 2, 0)
const maker = { volume, model, deltaRays: false }
const distance = (one: Place, other: Place): number =>
  Math.hypot(one.xMm - other.xMm, one.yMm - other.yMm, one.zMm - other.zMm)
const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length

describe('electrons', () => {
  // Practical ranges in He:CF4 60:40 at 1 atm, reconstruction study 4.2 (Katz and Penfold).
  test.each([
    [3, 0.07],
    [5.9, 0.32],
    [10, 1],
    [30, 9.7],
    [59, 34],
  ])('%d keV go %d mm', (energyKev, rangeMm) => {
    const range = (electronRangeGPerCm2(energyKev) / model.densityGPerCm3) * 10
    expect(range / rangeMm).toBeGreaterThan(0.88)
    expect(range / rangeMm).toBeLessThan(1.12)
  })

  test('range and energy are inverse to each other', () => {
    for (const energyKev of [1, 5.9, 50, 500, 1000])
      expect(electronEnergyKev(electronRangeGPerCm2(energyKev))).toBeCloseTo(energyKev, 6)
  })

  test('a track leaves all of its energy along a path as long as its range, and nothing outside', () => {
    for (const energyKev of [1, 5.9, 20, 59, 120]) {
      const track = electronTrack('electron', middle, across, energyKev, volume, model, new Random(1), false)
      expect(track.energyKev).toBeCloseTo(energyKev, 6)
      expect(track.visibleEnergyKev).toBe(track.energyKev)
      const rangeMm = (10 * electronRangeGPerCm2(energyKev)) / model.densityGPerCm3
      expect(track.length3dMm / rangeMm).toBeCloseTo(1, 2)
      expect(distance(track.start, track.end)).toBeLessThanOrEqual(rangeMm * 1.000001)
      expect(track.lengthMm).toBeLessThanOrEqual(track.length3dMm + 1e-9)
      expect(track.deposits.every((deposit) => deposit.energyKev > 0 && isInside(deposit, volume))).toBe(true)
      for (let i = 1; i < track.deposits.length; i++)
        expect(distance(track.deposits[i]!, track.deposits[i - 1]!)).toBeLessThan(0.5)
    }
  })

  test('most of the energy is lost at the end', () => {
    const { deposits } = electronTrack('electron', middle, across, 60, volume, model, new Random(1), false)
    const half = deposits.slice(0, deposits.length / 2).reduce((sum, one) => sum + one.energyKev, 0)
    expect(half).toBeLessThan(25)
  })

  test('scattering bends tracks, by the formula of Highland', () => {
    // 100 keV: beta p c = 0.1 * (0.1 + 1.022) / 0.611 = 0.1836 MeV; one thousandth of a radiation length.
    expect(scatteringRad(100, 0.0354, 35.4)).toBeCloseTo(
      (13.6 / 0.18363) * Math.sqrt(1e-3) * (1 + 0.038 * Math.log(1e-3)),
      2,
    )
    const bent = (energyKev: number): number =>
      mean(
        Array.from({ length: 60 }, (_, seed) => {
          const { start, end, length3dMm } = electronTrack(
            'electron',
            middle,
            across,
            energyKev,
            volume,
            model,
            new Random(seed),
            false,
          )
          return distance(start, end) / length3dMm
        }),
      )
    for (const energyKev of [10, 100]) {
      expect(bent(energyKev)).toBeLessThan(0.93)
      expect(bent(energyKev)).toBeGreaterThan(0.6)
    }
  })

  test('one that leaves the volume leaves the rest of its energy elsewhere', () => {
    const track = electronTrack('electron', middle, directionOf(0, 0), 1000, volume, model, new Random(3), false)
    expect(track.kineticKev).toBe(1000)
    expect(track.energyKev).toBeLessThan(500)
    expect(track.energyKev).toBeGreaterThan(20)
  })

  test('delta rays share the energy, they do not add to it', () => {
    let more = 0
    for (let seed = 0; seed < 40; seed++) {
      const plain = electronTrack('electron', middle, across, 100, volume, model, new Random(seed), false)
      const knocked = electronTrack('electron', middle, across, 100, volume, model, new Random(seed), true)
      if (knocked.deposits.length !== plain.deposits.length) more++
      if (knocked.deposits.every((deposit) => isInside(deposit, volume)))
        expect(knocked.energyKev).toBeLessThan(100.001)
    }
    expect(more).toBeGreaterThan(10)
  })

  test('55Fe: 5.90 and 6.49 keV in the ratio of its lines', () => {
    const energies = Array.from(
      { length: 3000 },
      (_, seed) => makeTrack({ kind: 'iron' }, maker, new Random(seed)).kineticKev,
    )
    expect(energies.filter((one) => one === 5.9).length / energies.length).toBeCloseTo(0.89, 1)
    expect(new Set(energies)).toEqual(new Set([5.9, 6.49]))
  })
})

describe('nuclei', () => {
  // Shares of the energy that ionise, study 4.2 (Lindhard).
  test.each([
    ['helium', 1, 0.42],
    ['helium', 10, 0.77],
    ['carbon', 10, 0.43],
    ['fluorine', 10, 0.35],
  ] as const)('quenching of %s at %d keV is %d', (kind, energyKev, share) => {
    expect(Math.abs(lindhardQuenching(kind, energyKev) - share)).toBeLessThan(0.02)
  })

  test('ranges of recoils: helium below a millimetre up to 100 keV, the others shorter', () => {
    expect(recoilRangeMm('helium', 10)).toBeCloseTo(0.13, 3)
    expect(recoilRangeMm('helium', 100)).toBeCloseTo(0.92, 2)
    expect(recoilRangeMm('carbon', 10)).toBeCloseTo(0.06, 3)
    expect(recoilRangeMm('fluorine', 10)).toBeCloseTo(0.045, 3)
  })

  test('a recoil is denser at its head', () => {
    const { deposits, visibleEnergyKev, energyKev, length3dMm } = recoilTrack('helium', middle, across, 60, volume)
    const sum = (from: number, to: number): number =>
      deposits.slice(from, to).reduce((all, one) => all + one.energyKev, 0)
    const middleOf = Math.floor(deposits.length / 2)
    expect(sum(0, middleOf)).toBeGreaterThan(1.2 * sum(deposits.length - middleOf, deposits.length))
    expect(deposits.at(-1)!.energyKev / deposits[0]!.energyKev).toBeGreaterThan(0.4)
    expect(deposits.at(-1)!.energyKev / deposits[0]!.energyKev).toBeLessThan(0.6)
    expect(energyKev).toBeCloseTo(60, 9)
    expect(visibleEnergyKev).toBeCloseTo(60 * lindhardQuenching('helium', 60), 9)
    expect(sum(0, deposits.length)).toBeCloseTo(visibleEnergyKev, 9)
    expect(length3dMm).toBeCloseTo(recoilRangeMm('helium', 60), 9)
  })

  test('alphas: 33 mm at 5.5 MeV, the energy of the named decays, the peak of Bragg at the end', () => {
    expect(alphaRangeMm(5500)).toBeGreaterThan(32)
    expect(alphaRangeMm(5500)).toBeLessThan(34)
    const drawn = new Set(
      Array.from({ length: 60 }, (_, seed) => makeTrack({ kind: 'alpha' }, maker, new Random(seed)).kineticKev),
    )
    expect(drawn).toEqual(new Set(Object.values(alphaEnergiesKev)))
    const track = alphaTrack(middle, across, 5490, volume)
    expect(track.energyKev).toBeCloseTo(5490, 6)
    expect(track.deposits.at(-1)!.energyKev / track.deposits[0]!.energyKev).toBeGreaterThan(3)
    // dE/dx = 2/3 E/R where the residual range is R.
    const step = distance(track.deposits[1]!, track.deposits[0]!)
    expect(track.deposits[0]!.energyKev / step / ((2 / 3) * (5490 / alphaRangeMm(5490)))).toBeCloseTo(1, 1)
  })

  test('alphas end at the cathode and the GEM', () => {
    const track = alphaTrack({ ...middle, zMm: 490 }, directionOf(0, 0), 5490, volume)
    expect(track.energyKev).toBeLessThan(2000)
    expect(track.end.zMm).toBeLessThanOrEqual(volume.depthMm)
  })

  test('neutron recoils fall exponentially with the mean of their nucleus, in the assumed shares', () => {
    const random = new Random(7)
    const drawn = Array.from({ length: 6000 }, () => neutronRecoil(random))
    for (const kind of ['helium', 'carbon', 'fluorine'] as const) {
      const energies = drawn.filter((one) => one.kind === kind).map((one) => one.energyKev)
      expect(mean(energies) / neutronRecoilMeanKev[kind]).toBeCloseTo(1, 0.7)
      expect(energies.length / drawn.length).toBeCloseTo(neutronRecoilShares[kind], 1)
    }
  })
})

describe('muons', () => {
  test('22 clusters per cm with sizes of 1/n^2 make 2.4 to 2.8 keV/cm on average, less at most', () => {
    const random = new Random(4)
    const sizes = Array.from({ length: 100_000 }, () => clusterSize(random))
    const perCm = mean(sizes) * clustersPerMm * 10 * model.pairEnergyKev
    expect(perCm).toBeGreaterThan(2.4)
    expect(perCm).toBeLessThan(2.8)
    expect(sizes.filter((size) => size === 1).length / sizes.filter((size) => size === 2).length).toBeCloseTo(4, 0.4)
    const losses = Array.from({ length: 400 }, () => {
      const track = muonTrack(middle, across, volume, model, random)
      return track.energyKev / (track.length3dMm / 10)
    }).sort((one, other) => one - other)
    expect(mean(losses)).toBeGreaterThan(2.4)
    expect(mean(losses)).toBeLessThan(2.8)
    expect(losses[200]!).toBeLessThan(mean(losses))
  })

  test('from the sky: cos^3 of the angle to the vertical through a horizontal area, through the whole volume', () => {
    const random = new Random(5)
    const down = Array.from({ length: 20_000 }, () => cosmicDirection(random).y)
    expect(mean(down)).toBeCloseTo(4 / 5, 2)
    for (let seed = 0; seed < 30; seed++) {
      const track = makeTrack({ kind: 'muon' }, maker, new Random(seed))
      expect(track.start.yMm).toBeCloseTo(volume.y0, 6)
      expect(distance(track.start, track.end)).toBeCloseTo(track.length3dMm, 6)
    }
  })

  test('a line that misses the volume leaves nothing', () => {
    const track = muonTrack({ xMm: -50, yMm: 0, zMm: 100 }, directionOf(0, 0), volume, model, new Random(1))
    expect(track).toMatchObject({ deposits: [], energyKev: 0, length3dMm: 0 })
  })
})

describe('requests and geometry', () => {
  test('what is asked for is what is made', () => {
    const track: Track = makeTrack(
      { kind: 'electron', energyKev: 40, xMm: 100, yPx: 1000, zMm: 300, thetaRad: 1, phiRad: 2 },
      maker,
      new Random(1),
    )
    expect(track.start).toEqual({ xMm: 100, yMm: 1000 * model.pixelMm, zMm: 300 })
    expect([track.thetaRad, track.phiRad]).toEqual([expect.closeTo(1, 9), expect.closeTo(2, 9)])
    expect(track.kineticKev).toBe(40)
  })

  test('angles, turns and stretches agree with each other', () => {
    const random = new Random(2)
    for (let i = 0; i < 200; i++) {
      const direction = directionOf(Math.acos(random.between(-1, 1)), random.between(-3, 3))
      const { thetaRad, phiRad } = anglesOf(direction)
      const again = directionOf(thetaRad, phiRad)
      expect([again.x, again.y, again.z]).toEqual(
        [direction.x, direction.y, direction.z].map((one) => expect.closeTo(one, 6)),
      )
      const angle = random.between(0, 1.5)
      const other = turned(direction, angle, random)
      expect(direction.x * other.x + direction.y * other.y + direction.z * other.z).toBeCloseTo(Math.cos(angle), 6)
      const [from, to] = stretchInside(middle, direction, volume)
      expect(isInside(along(middle, direction, (from + to) / 2), volume)).toBe(true)
      expect(isInside(along(middle, direction, to + 0.001), volume)).toBe(false)
      expect(isInside(along(middle, direction, from - 0.001), volume)).toBe(false)
    }
  })
})
