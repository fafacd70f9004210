import { describe, expect, test } from 'vitest'
import { detectorModel } from './detector-model.ts'
import { makeTrack } from './make-track.ts'
import { Random } from './random.ts'
import { simulateRun } from './simulate-run.ts'
import type { SimulationOptions } from './simulation-options.ts'
import { ambeTracks, ironSourceTracks, siteNames, siteRatesHz, siteTracks } from './sites.ts'
import { volumeOf } from './track.ts'
import type { TrackTruth } from './truth.ts'

const model = detectorModel()
const volume = volumeOf(model, 2304, 2304)
const small: SimulationOptions = {
  seed: 5,
  number: 1,
  kind: 'data',
  images: 30,
  frame: { width: 256, height: 256 },
  startMs: 0,
  waveforms: false,
}

async function tracksOf(options: SimulationOptions): Promise<TrackTruth[]> {
  const tracks: TrackTruth[] = []
  for await (const event of simulateRun(options))
    if (event.kind === 'event') tracks.push(...(event.truth?.tracks ?? []))
  return tracks
}

describe('sites', () => {
  test('rates are those measured: 34, 3.5, 1.3 and 0.7 per second, muons on the surface only', () => {
    expect(siteNames.map((site) => siteRatesHz(site, volume).electron)).toEqual(
      [34, 3.5, 1.3, 0.7].map((rate) => expect.closeTo(rate, 6)),
    )
    // 33 x 50 cm seen from above, 1 muon per cm2 and minute.
    expect(siteRatesHz('surface', volume).muon).toBeCloseTo(27.5, 0)
    expect(siteRatesHz('lngs-4cm', volume).muon).toBe(0)
  })

  // Study 4.5: electrons in exposure and readout of one picture (0.484 s).
  test.each([
    ['surface', 17],
    ['lngs-4cm', 1.7],
    ['lngs-10cm', 0.65],
    ['lngs-water', 0.34],
  ] as const)('%s has %d electrons in a picture', (site, expected) => {
    const random = new Random(3)
    const pictures = 600
    let electrons = 0
    for (let i = 0; i < pictures; i++)
      electrons += siteTracks(site, 0.4844, volume, random).filter((track) => track.kind === 'electron').length
    expect(Math.abs(electrons / pictures / expected - 1)).toBeLessThan(0.15)
  })

  test('the assumed spectrum: exponential, flat, and one of ten crossing with 100 to 500 keV', () => {
    const random = new Random(1)
    const energies = siteTracks('surface', 300, volume, random)
      .filter((track) => track.kind === 'electron')
      .map((track) => track.energyKev!)
    const share = (low: number, high: number): number =>
      energies.filter((one) => one >= low && one < high).length / energies.length
    expect(share(100, 501)).toBeCloseTo(0.1, 1)
    expect(share(0, 1)).toBe(0)
    // 60 % exponential (mean 15 keV, from 1) and 30 % flat below 60 keV.
    expect(Math.abs(share(1, 15) - (0.6 * (1 - Math.exp(-1)) + 0.3 * (14 / 59)))).toBeLessThan(0.02)
  })

  test('four of five alphas begin on a wall and go inwards', () => {
    const random = new Random(1)
    const alphas = siteTracks('lngs-4cm', 30_000, volume, random).filter((track) => track.kind === 'alpha')
    expect(alphas.length / 30_000).toBeCloseTo(0.03, 2)
    const onWall = alphas.filter(
      ({ xMm, yMm, zMm }) =>
        zMm === volume.depthMm || xMm === volume.x0 || xMm === volume.x1 || yMm === volume.y0 || yMm === volume.y1,
    )
    expect(onWall.length / alphas.length).toBeCloseTo(0.8, 1)
    for (const request of onWall.slice(0, 100)) {
      const track = makeTrack(request, { volume, model, deltaRays: false }, new Random(1))
      expect(track.energyKev).toBeGreaterThan(0)
    }
  })

  test('a small detector at a site sees its share, with the shutter', async () => {
    const tracks = await tracksOf({ ...small, site: 'surface', images: 120 })
    const electrons = tracks.filter((track) => track.kind === 'electron').length
    const share = (256 / 2304) ** 2
    expect(Math.abs(electrons / 120 - 34 * share * 0.4844)).toBeLessThan(0.12)
    expect(tracks.every((track) => track.kind !== 'iron')).toBe(true)
    expect(tracks.some((track) => track.rowsLost > 0)).toBe(true)
    expect(Math.max(...tracks.map((track) => track.atMs))).toBeGreaterThan(300)
    expect(Math.max(...tracks.map((track) => track.atMs))).toBeLessThan(484.4)
  })
})

describe('sources', () => {
  test('55Fe stands at one depth and is absorbed over 20 cm', () => {
    const spots = ironSourceTracks(8000, 250, volume, new Random(1))
    expect(spots.length).toBeGreaterThan(7600)
    const height = volume.y1 - volume.y0
    const upper = spots.filter((spot) => spot.yMm! - volume.y0 < height / 2).length / spots.length
    const expected = (1 - Math.exp(-height / 400)) / (1 - Math.exp(-height / 200))
    expect(upper).toBeCloseTo(expected, 1)
    expect(spots.every((spot) => Math.abs(spot.zMm! - 250) < 10)).toBe(true)
  })

  test('AmBe makes recoils with a falling spectrum, quenched in the truth', async () => {
    expect(ambeTracks(200, new Random(1)).every((one) => ['helium', 'carbon', 'fluorine'].includes(one.kind))).toBe(
      true,
    )
    const tracks = await tracksOf({ ...small, source: 'ambe', sourceRateHz: 20 })
    expect(tracks.length / 30 / (20 * 0.4844)).toBeCloseTo(1, 0.7)
    for (const track of tracks) {
      expect(track.visibleEnergyKev).toBeLessThan(track.energyKev)
      expect(track.kineticKev).toBeGreaterThanOrEqual(track.energyKev - 0.001)
    }
  })
})
