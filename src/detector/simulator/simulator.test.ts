import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { temporaryDirectory, testOnDomainData } from '../../foundation/testing.ts'
import type { Frame } from '../camera.ts'
import { readPictureAt } from '../midas-index.ts'
import { readRunFacts } from '../run-facts.ts'
import { detectorModel, diffusionAt } from './detector-model.ts'
import { Random } from './random.ts'
import { makeSensor } from './sensor.ts'
import { simulateRun } from './simulate-run.ts'
import type { SimulationOptions } from './simulate-run.ts'
import { readTruth } from './truth.ts'
import type { ImageTruth, TrackTruth } from './truth.ts'
import { simulatedRunNames, writeSimulatedRun } from './write-run.ts'

const nothing = { iron: 0, muon: 0, alpha: 0 }
const small: SimulationOptions = {
  seed: 5,
  number: 1,
  kind: 'data',
  images: 2,
  frame: { width: 256, height: 256 },
  startMs: 0,
}

async function pictures(
  options: SimulationOptions,
): Promise<{ frame: Frame; truth: ImageTruth; banks: Uint8Array[] }[]> {
  const result: { frame: Frame; truth: ImageTruth; banks: Uint8Array[] }[] = []
  for await (const event of simulateRun(options))
    if (event.kind === 'event' && event.frame && event.truth)
      result.push({ frame: event.frame, truth: event.truth, banks: event.banks.map((bank) => bank.data) })
  return result
}

const sensorOf = (side: number, detectorSeed: number, runSeed: number[]) =>
  makeSensor(side, side, detectorModel(), 300, 0, detectorSeed, runSeed)
const { transverseRmsMm, longitudinalRmsMm } = diffusionAt(0.8)

const mean = (values: Iterable<number>): number => {
  let [sum, count] = [0, 0]
  for (const value of values) [sum, count] = [sum + value, count + 1]
  return sum / count
}

describe('determinism', () => {
  test('the same options give the same run, other seeds, runs and images another', async () => {
    const [first, again] = [await pictures(small), await pictures(small)]
    expect(again).toEqual(first)
    const others = [await pictures({ ...small, seed: 6 }), await pictures({ ...small, number: 2 })]
    for (const other of others) expect(other[0]!.frame.pixels).not.toEqual(first[0]!.frame.pixels)
    expect(first[0]!.frame.pixels).not.toEqual(first[1]!.frame.pixels)
  })

  test('an image does not depend on how many come after it', async () => {
    expect((await pictures({ ...small, images: 1 }))[0]).toEqual((await pictures(small))[0])
  })

  test('the generator is the one that was released', () => {
    const random = new Random(1, 2, 'golden')
    expect(Array.from({ length: 4 }, () => random.next())).toMatchInlineSnapshot(`
      [
        3830877561,
        2388568554,
        1397902202,
        4223287145,
      ]
    `)
  })
})

describe('the sensor', () => {
  test('a pedestal has the mean and noise of the real camera, with tails', async () => {
    const frames = (await pictures({ ...small, kind: 'pedestal', images: 30, waveforms: false })).map(
      (one) => one.frame.pixels,
    )
    const means = new Float64Array(256 * 256)
    const noise = new Float64Array(256 * 256)
    for (const frame of frames) for (const [i, value] of frame.entries()) means[i]! += value / frames.length
    for (const frame of frames)
      for (const [i, value] of frame.entries()) noise[i]! += (value - means[i]!) ** 2 / (frames.length - 1)
    expect(mean(means)).toBeGreaterThan(99)
    expect(mean(means)).toBeLessThan(100)
    const sorted = Array.from(noise, Math.sqrt).sort((one, other) => one - other)
    expect(sorted[sorted.length >> 1]).toBeGreaterThan(3)
    expect(sorted[sorted.length >> 1]).toBeLessThan(3.6)
    expect(sorted.filter((value) => value > 6).length / sorted.length).toBeGreaterThan(0.001)
    expect(sorted.filter((value) => value > 10).length / sorted.length).toBeLessThan(0.003)
  })

  test('structure: bright first rows, central band, darker sides and dark columns', () => {
    const { mean: map, width, height } = sensorOf(1024, 1, [1])
    const region = (x0: number, x1: number, y0: number, y1: number): number => {
      let sum = 0
      for (let y = y0; y < y1; y++) for (let x = x0; x < x1; x++) sum += map[y * width + x]!
      return sum / ((x1 - x0) * (y1 - y0))
    }
    const middle = region(200, 300, 400, 600)
    expect(region(0, width, 0, 8) - middle).toBeGreaterThan(2)
    expect(region(0, width, height - 8, height) - middle).toBeGreaterThan(1)
    expect(region(490, 534, 800, 900) - middle).toBeGreaterThan(0.8)
    expect(middle - region(0, 10, 300, 700)).toBeGreaterThan(0.7)
    expect(region(300, 306, 100, 900) - region(307, 309, 100, 900)).toBeGreaterThan(0.5)
  })

  test('runs of one camera share their pattern, but not all hot pixels', () => {
    const [one, other] = [sensorOf(1024, 1, [1, 1]), sensorOf(1024, 1, [1, 2])]
    const different = one.mean.reduce((count, value, i) => count + (value === other.mean[i] ? 0 : 1), 0)
    expect(different).toBeGreaterThan(4)
    expect(different).toBeLessThan(30)
    expect(sensorOf(64, 2, [1, 1]).mean).not.toEqual(sensorOf(64, 1, [1, 1]).mean)
  })

  testOnDomainData('macro-pixel noise is that of the real pedestal map, to a third', async (data) => {
    const bytes = await readFile(join(data, 'detector/pedmap_ex100_rebin4.pedmap.sigma.512x512.f32'))
    const real = Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(4 * i)).sort(
      (one, other) => one - other,
    )
    const { rms: map } = sensorOf(512, 1, [1])
    const macro = mean(map) / 4
    expect(macro / real[real.length >> 1]!).toBeGreaterThan(0.67)
    expect(macro / real[real.length >> 1]!).toBeLessThan(1.5)
  })
})

describe('tracks', () => {
  const spots = async (zMm: number, images = 40) =>
    await pictures({
      ...small,
      images,
      tracksPerImage: nothing,
      waveforms: false,
      tracks: [{ kind: 'iron', xPx: 128, yPx: 128, zMm, energyKev: 5.9 }],
    })

  test.each([5, 250, 465])(
    'a spot at %i mm is as wide as diffusion makes it, a little more near the GEM where it saturates',
    async (zMm) => {
      const all = await spots(zMm)
      const dark = (await pictures({ ...small, images: 40, tracksPerImage: nothing, waveforms: false })).map(
        (one) => one.frame.pixels,
      )
      let [sum, squares] = [0, 0]
      for (const [image, { frame }] of all.entries())
        for (let y = 88; y < 168; y++)
          for (let x = 88; x < 168; x++) {
            const light = frame.pixels[y * 256 + x]! - dark[image]![y * 256 + x]!
            sum += light
            squares += light * ((x + 0.5 - 128) ** 2 + (y + 0.5 - 128) ** 2)
          }
      const sigmaMm = Math.sqrt(squares / sum / 2) * (346 / 2304)
      expect(sigmaMm / transverseRmsMm(zMm)).toBeGreaterThan(1)
      expect(sigmaMm / transverseRmsMm(zMm)).toBeLessThan(1.4)
      const seen = sum / all.length
      expect(seen / mean(all.map((one) => one.truth.tracks[0]!.expectedCounts))).toBeCloseTo(1, 1)
    },
  )

  test('diffusion constants are those of the gas', () => {
    expect(transverseRmsMm(0)).toBeCloseTo(0.367, 3)
    expect(transverseRmsMm(250)).toBeCloseTo(0.703, 3)
    expect(longitudinalRmsMm(500)).toBeCloseTo(0.765, 3)
  })

  test('muons are long and faint, alphas straight, shorter and bright', async () => {
    const one = async (kind: 'muon' | 'alpha'): Promise<TrackTruth> =>
      (
        await pictures({
          ...small,
          images: 1,
          frame: { width: 576, height: 576 },
          tracksPerImage: nothing,
          tracks: [{ kind, xPx: 288, yPx: 288, zMm: 250, phiRad: 0.5 }],
        })
      )[0]!.truth.tracks[0]!
    const [muon, alpha] = [await one('muon'), await one('alpha')]
    expect(muon.lengthMm).toBeGreaterThan(80)
    expect(muon.energyKev / muon.lengthMm).toBeGreaterThan(0.15)
    expect(muon.energyKev / muon.lengthMm).toBeLessThan(0.6)
    expect(alpha.lengthMm).toBeGreaterThan(15)
    expect(alpha.lengthMm).toBeLessThan(60)
    expect(alpha.expectedCounts / alpha.pixelCount).toBeGreaterThan(4 * (muon.expectedCounts / muon.pixelCount))
  })

  test('the truth cells are the places where the light is', async () => {
    const dark = await pictures({ ...small, images: 3, tracksPerImage: nothing })
    const lit = await pictures({
      ...small,
      images: 3,
      tracksPerImage: nothing,
      tracks: [{ kind: 'alpha' }, { kind: 'iron', xPx: 40, yPx: 210 }],
    })
    for (const [image, { frame, truth }] of lit.entries()) {
      const cells = new Map<number, number>()
      for (const track of truth.tracks) {
        const { rebin, runs, counts } = track.cells
        expect(rebin).toBe(4)
        expect(track.pixelCount).toBe(counts.length * 16)
        let next = 0
        for (let i = 0; i < runs.length; i += 3)
          for (let column = runs[i + 1]!; column < runs[i + 1]! + runs[i + 2]!; column++) {
            const [x, y] = [column * 4, runs[i]! * 4]
            expect(x >= track.box.x0 && x < track.box.x1 && y >= track.box.y0 && y < track.box.y1).toBe(true)
            cells.set(runs[i]! * 64 + column, (cells.get(runs[i]! * 64 + column) ?? 0) + counts[next++]!)
          }
        expect(next).toBe(counts.length)
        expect(counts.reduce((sum, one) => sum + one, 0)).toBeLessThanOrEqual(track.expectedCounts + counts.length)
      }
      let [inside, outside] = [0, 0]
      for (let i = 0; i < frame.pixels.length; i++) {
        const light = frame.pixels[i]! - dark[image]!.frame.pixels[i]!
        if (cells.has((i >> 10) * 64 + ((i & 255) >> 2))) inside += light
        else outside += light
      }
      expect(outside / (inside + outside)).toBeLessThan(0.1)
    }
  })

  test('several cameras share one plane: a track across two of them has an entry for each, with one id', async () => {
    const cameras = { ...small, images: 4, tracksPerImage: nothing, cameras: 3, shutter: false }
    const across = {
      kind: 'alpha',
      xMm: 30,
      yPx: 128,
      zMm: 400,
      energyKev: 5490,
      thetaRad: Math.PI / 2,
      phiRad: 0,
    } as const
    const spot = { kind: 'iron', xPx: 600, yPx: 100, zMm: 200 } as const
    for await (const event of simulateRun({ ...cameras, tracks: [across, spot] })) {
      if (event.kind !== 'event') continue
      if (event.id === 7) expect(event.banks[0]!.data).toHaveLength(24)
      if (!event.truth || !event.frames) continue
      expect(event.banks.map((bank) => bank.name)).toEqual(['CAM0', 'CAM1', 'CAM2', 'DIG0', 'DGH0'])
      const [first, second, iron] = event.truth.tracks
      expect([first?.camera, second?.camera, iron?.camera]).toEqual([0, 1, 2])
      expect(first!.id).toBe(second!.id)
      expect(first!.trigger).toBe(second!.trigger)
      expect(first!.xPx - second!.xPx).toBeCloseTo(256, 6)
      expect(first!.box.x1).toBe(256)
      expect(second!.box.x0).toBe(0)
      expect(iron!.xPx).toBeGreaterThan(80)
      expect(iron!.xPx).toBeLessThan(95)
      for (const track of event.truth.tracks) {
        const { pixels } = event.frames[track.camera]!
        let light = 0
        for (let y = track.box.y0; y < track.box.y1; y++)
          for (let x = track.box.x0; x < track.box.x1; x++) light += pixels[y * 256 + x]! - 99
        expect(light).toBeGreaterThan(0.7 * track.expectedCounts)
      }
    }
    const one = await pictures({ ...small, images: 1 })
    const three = await pictures({ ...small, images: 1, cameras: 3, tracksPerImage: nothing })
    expect(sensorOf(64, 1, [1, 1])).not.toEqual(makeSensor(64, 64, detectorModel(), 300, 1, 1, [1, 1]))
    expect(one[0]!.frame.pixels).toHaveLength(three[0]!.frame.pixels.length)
  })

  test('a picture of the usual detector has what its means say', async () => {
    const images = 60
    const kinds = (await pictures({ ...small, images, waveforms: false })).flatMap((one) =>
      one.truth.tracks.map((track) => track.kind),
    )
    expect(kinds.filter((kind) => kind === 'iron').length / images).toBeGreaterThan(3)
    expect(kinds.filter((kind) => kind === 'iron').length / images).toBeLessThan(5)
    expect(new Set(kinds)).toEqual(new Set(['iron', 'muon', 'alpha']))
  })

  test('truth of any kind makes sense', async () => {
    const each = (['iron', 'electron', 'muon', 'alpha', 'helium', 'carbon', 'fluorine'] as const).map((kind) => ({
      kind,
    }))
    const all = await pictures({ ...small, images: 6, tracks: each, shutter: true, deltaRays: true })
    const tracks = all.flatMap((one) => one.truth.tracks)
    expect(new Set(tracks.map((track) => track.kind)).size).toBe(7)
    expect(new Set(tracks.map((track) => track.id)).size).toBe(tracks.length)
    for (const track of tracks) {
      expect(Object.values(track).every((value) => typeof value !== 'number' || Number.isFinite(value))).toBe(true)
      expect(track.visibleEnergyKev).toBeLessThanOrEqual(track.energyKev)
      expect(track.zMinMm).toBeLessThanOrEqual(track.zMm)
      expect(track.zMm).toBeLessThanOrEqual(track.zMaxMm)
      expect(track.lengthMm).toBeLessThanOrEqual(track.length3dMm + 0.01)
      expect(Math.abs(track.primaries / (track.visibleEnergyKev / 0.035) - 1)).toBeLessThan(0.6)
      expect(track.atMs).toBeGreaterThanOrEqual(0)
      expect(track.atMs).toBeLessThan(484.4)
      expect(JSON.parse(JSON.stringify(track))).toEqual(track)
    }
  })

  test('pedestal runs have no tracks', async () => {
    for (const { truth } of await pictures({ ...small, kind: 'pedestal', tracks: [{ kind: 'alpha' }] }))
      expect(truth.tracks).toEqual([])
  })
})

describe('files', () => {
  test('a written run is read back with its truth beside it', async () => {
    const { path } = await temporaryDirectory()
    const seen: number[] = []
    const run = await writeSimulatedRun(
      path,
      { ...small, number: 123_456, images: 3 },
      { onEvent: ({ image }) => seen.push(image) },
    )
    expect(run).toMatchObject({
      path: join(path, 'run123456.mid'),
      truthPath: join(path, 'run123456.truth.json'),
      images: 3,
      complete: true,
    })
    expect(seen).toEqual([0, 1, 2])
    const truth = await readTruth(run.truthPath)
    expect(truth).toMatchObject({ run: 123_456, seed: 5, kind: 'data', frameWidth: 256, frameHeight: 256 })
    const expected = await pictures({ ...small, number: 123_456, images: 3 })
    expect(truth.images).toEqual(expected.map((one) => one.truth))
    const picture = await readPictureAt(run.path, 2)
    expect(picture.frames[0]!.pixels).toEqual(expected[2]!.frame.pixels)
    const triggers = truth.images[2]!.tracks.map((track) => track.trigger)
    expect(picture.digitizer?.boards[0]?.triggers).toBe(Math.max(...triggers) + 1)
    await expect(writeSimulatedRun(path, { ...small, number: 123_456 })).rejects.toMatchObject({
      code: 'detector.already_there',
      status: 409,
    })
  })

  test('the truth is whole before the end of run is written, and a stopped run is a crashed one', async () => {
    const { path } = await temporaryDirectory()
    const controller = new AbortController()
    const run = await writeSimulatedRun(
      path,
      { ...small, images: 50 },
      { signal: controller.signal, paceMs: 5, onEvent: ({ image }) => image === 1 && controller.abort() },
    )
    expect(run).toMatchObject({ images: 2, complete: false })
    expect((await readTruth(run.truthPath)).images).toHaveLength(2)
    expect(await readRunFacts(run.path)).toMatchObject({
      complete: false,
      images: 2,
      fault: { code: 'no-end-of-run', byteOffset: (await stat(run.path)).size },
    })
  })

  test('the file grows while it is recorded, gzip too', async () => {
    for (const gzip of [false, true]) {
      const { path } = await temporaryDirectory()
      const file = join(path, simulatedRunNames(1, gzip).runFile)
      const sizes: Promise<number>[] = []
      await writeSimulatedRun(
        path,
        { ...small, images: 4 },
        { gzip, onEvent: () => sizes.push(stat(file).then(({ size }) => size)) },
      )
      const grown = await Promise.all(sizes)
      expect(grown).toEqual(grown.toSorted((one, other) => one - other))
      expect(await readRunFacts(file)).toMatchObject({ complete: true, images: 4 })
    }
  })

  test('options that make no sense are a Fault before any file appears', async () => {
    const { path } = await temporaryDirectory()
    for (const wrong of [
      { frame: { width: 100, height: 100 } },
      { images: -1 },
      { seed: 0.5 },
      { tracksPerImage: { iron: NaN } },
      { startMs: -1 },
      { cameras: 11 },
      { gemVolts: 1000 },
      { site: 'moon' as 'surface' },
      { production: '*' },
      { tracksPerImage: { lead: 1 } as never },
      { tracks: [{ kind: 'electron' as const, energyKev: 1e9 }] },
      { tracks: [{ kind: 'iron' as const, xPx: NaN }] },
      { detector: { pixelMm: -1 } },
      { exposureMs: 0 },
    ])
      await expect(writeSimulatedRun(path, { ...small, ...wrong })).rejects.toMatchObject({
        code: 'detector.bad_options',
        status: 422,
      })
    await expect(stat(join(path, 'run00001.mid'))).rejects.toThrow()
  })
})
