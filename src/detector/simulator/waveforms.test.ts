import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { testOnDomainData } from '../../foundation/testing.ts'
import { decodeDigitizer, waveformOf } from '../digitizer.ts'
import type { DigitizerBoard } from '../digitizer.ts'
import { singleAreaVoltNs, tubeShare, tubes } from './pmt-light.ts'
import { fourier, makeNoise, noiseBandHz, noiseDensity } from './pmt-noise.ts'
import { Random } from './random.ts'
import { simulateRun } from './simulate-run.ts'
import type { SimulationOptions } from './simulation-options.ts'
import type { TrackTruth } from './truth.ts'

const nothing = { iron: 0, muon: 0, alpha: 0 }
const base: SimulationOptions = {
  seed: 1,
  number: 1,
  kind: 'data',
  images: 10,
  startMs: 0,
  frame: { width: 256, height: 256 },
  tracksPerImage: nothing,
  detector: { gainRmsShare: 0 },
}

async function pictures(options: SimulationOptions): Promise<{ boards: DigitizerBoard[]; tracks: TrackTruth[] }[]> {
  const result: { boards: DigitizerBoard[]; tracks: TrackTruth[] }[] = []
  for await (const event of simulateRun(options)) {
    if (event.kind !== 'event' || !event.truth) continue
    const bank = (name: string): Uint8Array => event.banks.find((one) => one.name === name)!.data
    result.push({ ...decodeDigitizer(bank('DGH0'), bank('DIG0')), tracks: event.truth.tracks })
  }
  return result
}

interface Pulse {
  baseline: number
  noiseRms: number
  peak: number
  peakSample: number
  /** Samples above half of the peak. */
  width: number
  area: number
}

function pulseOf(board: DigitizerBoard, trigger: number, channel: number): Pulse {
  const quiet = board.model === 1742 ? 150 : 1000
  const samples = [...waveformOf(board, trigger, channel)]
  const head = samples.slice(0, quiet)
  const baseline = head.reduce((sum, one) => sum + one, 0) / quiet
  const noiseRms = Math.sqrt(head.reduce((sum, one) => sum + (one - baseline) ** 2, 0) / quiet)
  const depth = samples.map((one) => baseline - one)
  const peak = Math.max(...depth)
  const at = depth.indexOf(peak)
  return {
    baseline,
    noiseRms,
    peak,
    peakSample: at,
    width: depth.filter((one) => one > peak / 2).length,
    area: depth.slice(Math.max(0, at - 40), at + 120).reduce((sum, one) => sum + one, 0),
  }
}

const iron = (zMm: number): SimulationOptions => ({
  ...base,
  tracks: [{ kind: 'iron', xPx: 128, yPx: 128, zMm, energyKev: 5.9 }],
})
const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length

describe('pulses', () => {
  // Study 4.7: about 800 photo-electrons per photomultiplier, 65 mV, 40 ns for 5.9 keV in the middle, from the digitization of the collaboration.
  test('a central 5.9 keV deposit on the fast board', async () => {
    const pulses = (await pictures(iron(250))).flatMap(({ boards }) =>
      [1, 2, 3, 4].map((tube) => pulseOf(boards[0]!, 0, tube)),
    )
    const charge = mean(pulses.map((one) => one.area)) / 4.096 / 0.75 / 1000
    expect(charge / singleAreaVoltNs / 800).toBeGreaterThan(0.8)
    expect(charge / singleAreaVoltNs / 800).toBeLessThan(1.25)
    expect(mean(pulses.map((one) => one.peak)) / 4.096).toBeGreaterThan(50)
    expect(mean(pulses.map((one) => one.peak)) / 4.096).toBeLessThan(100)
    expect(mean(pulses.map((one) => one.width)) / 0.75).toBeGreaterThan(20)
    expect(mean(pulses.map((one) => one.width)) / 0.75).toBeLessThan(50)
    for (const pulse of pulses) {
      expect(pulse.peakSample).toBeGreaterThan(205)
      expect(pulse.peakSample).toBeLessThan(260)
    }
  })

  test('the slow board sees the same charge at its own place', async () => {
    for (const { boards } of await pictures(iron(250)))
      for (const tube of [1, 3]) {
        const [fast, slow] = [pulseOf(boards[0]!, 0, tube), pulseOf(boards[1]!, 0, tube)]
        expect(slow.peakSample).toBeGreaterThan(1460)
        expect(slow.peakSample).toBeLessThan(1490)
        const [fastNs, slowNs] = [fast.area / 4.096 / 0.75, (slow.area / 2.048) * 4]
        expect(slowNs / fastNs).toBeGreaterThan(0.8)
        expect(slowNs / fastNs).toBeLessThan(1.2)
      }
  })

  test('one photo-electron: gain 0.398e6 on 50 ohm', () => {
    expect(singleAreaVoltNs * 1e-9).toBeCloseTo(3.19e-12, 13)
  })

  test('light falls with the fourth power of the distance', () => {
    const [near, far] = [tubeShare(-142, -142, tubes[0]), tubeShare(142, 142, tubes[0])]
    expect(near / far).toBeCloseTo(((2 * 284 ** 2 + 190 ** 2) / 190 ** 2) ** 2, 0)
    // 0.0136 r^2 z^2 / (4 R^4) below the centre.
    expect(
      tubeShare(0, 0, tubes[2]) / ((0.0136 * 11 ** 2 * 190 ** 2) / (4 * (2 * 142 ** 2 + 190 ** 2) ** 2)),
    ).toBeCloseTo(1, 2)
  })

  test('a track along the drift lasts as long as the drift takes', async () => {
    const along = { kind: 'alpha', xPx: 128, yPx: 128, zMm: 200, energyKev: 5490, thetaRad: 0, phiRad: 0 } as const
    for (const { boards, tracks } of await pictures({ ...base, images: 3, tracks: [along] })) {
      const samples = waveformOf(boards[1]!, 0, 1)
      const baseline = mean([...samples.subarray(0, 1000)])
      const above = [...samples].flatMap((one, at) => (baseline - one > 15 ? [at] : []))
      const lastedNs = (above.at(-1)! - above[0]!) * 4
      const expectedNs = (tracks[0]!.zMaxMm - tracks[0]!.zMinMm) / 0.053
      expect(Math.abs(lastedNs - expectedNs)).toBeLessThan(120)
    }
  })
})

describe('triggers', () => {
  test('time tags are those of the tracks, after their drift, in order', async () => {
    for (const { boards, tracks } of await pictures({ ...base, images: 20, tracksPerImage: { iron: 5 } })) {
      for (const board of boards) {
        expect(board.timeTags).toEqual(boards[0]!.timeTags)
        expect(board.timeTags).toEqual(board.timeTags.toSorted((one, other) => one - other))
      }
      for (const track of tracks) {
        expect(track.trigger).toBeGreaterThanOrEqual(0)
        const tagMs = boards[0]!.timeTags[track.trigger]! * 8.5e-6
        expect(Math.abs(tagMs - track.atMs)).toBeLessThan(0.03)
      }
      expect(boards[0]!.startCells).toHaveLength(boards[0]!.triggers)
      expect(boards[0]!.startCells.every((cell) => cell >= 0 && cell < 1024)).toBe(true)
    }
  })

  test('tracks of one moment share a trigger, and too little light makes none', async () => {
    const at = (zMm: number, energyKev: number) => ({ kind: 'iron', xPx: 128, yPx: 128, zMm, energyKev }) as const
    const many = await pictures({
      ...base,
      images: 4,
      exposureMs: 0.001,
      tracks: [at(100, 5.9), at(120, 5.9), at(300, 5.9)],
    })
    for (const { boards, tracks } of many) {
      expect(boards[0]!.triggers).toBe(1)
      expect(tracks.map((track) => track.trigger)).toEqual([0, 0, 0])
    }
    const faint = await pictures({
      ...base,
      images: 2,
      gemVolts: 300,
      tracks: [{ kind: 'fluorine', xPx: 128, yPx: 128, zMm: 450, energyKev: 0.5 }],
    })
    for (const { boards, tracks } of faint) {
      expect(boards[0]!.triggers).toBe(0)
      expect(tracks.every((track) => track.trigger === -1)).toBe(true)
    }
  })

  test('the mark of the trigger and the baselines are where the real ones are', async () => {
    const [picture] = await pictures({ ...iron(250), images: 1 })
    const [fast, slow] = picture!.boards as [DigitizerBoard, DigitizerBoard]
    const mark = waveformOf(fast, 0, 0)
    expect(mark[100]).toBe(4095)
    expect(mark[330]).toBeGreaterThan(2050)
    expect(mark[330]).toBeLessThan(2250)
    expect(waveformOf(slow, 0, 0)[1600]).toBeLessThan(2300)
    for (let tube = 1; tube < 8; tube++) {
      const pulse = pulseOf(fast, 0, tube)
      expect(pulse.baseline).toBeGreaterThan(3825)
      expect(pulse.baseline).toBeLessThan(3870)
      expect(pulse.noiseRms).toBeGreaterThan(1)
      expect(pulse.noiseRms).toBeLessThan(4)
      const late = pulseOf(slow, 0, tube)
      expect(late.baseline).toBeGreaterThan(2045)
      expect(late.baseline).toBeLessThan(2155)
      expect(late.noiseRms).toBeGreaterThan(1)
      expect(late.noiseRms).toBeLessThan(2)
    }
  })
})

describe('noise', () => {
  test('0.43 mV rms at 750 MS/s, nearly white', () => {
    const noise = makeNoise(750e6, new Random(1))
    const rms = Math.sqrt(noise.reduce((sum, one) => sum + one * one, 0) / noise.length)
    expect(rms * 1000).toBeCloseTo(0.43, 1)
  })

  testOnDomainData('has the measured spectrum of a photomultiplier of LIME', async (data) => {
    const text = await readFile(join(data, 'digitizer/LIME_fast_noise_spectrum_pmt1.txt'), 'utf8')
    const measured = text.trim().split('\n').map(Number)
    const perBand = (measured.length - 1) / noiseDensity.length
    for (const [band, density] of noiseDensity.entries())
      expect(density * 1e-18).toBeCloseTo(mean(measured.slice(band * perBand, (band + 1) * perBand)), 18)
    // What comes out has it too: mean periodogram of stretches of 1024 samples.
    const noise = makeNoise(750e6, new Random(2))
    const power = new Float64Array(512)
    const stretches = noise.length / 1024
    for (let stretch = 0; stretch < stretches; stretch++) {
      const real = Float64Array.from(noise.subarray(stretch * 1024, (stretch + 1) * 1024))
      const imaginary = new Float64Array(1024)
      fourier(real, imaginary)
      for (let k = 0; k < 512; k++) power[k]! += (real[k]! ** 2 + imaginary[k]! ** 2) / 1024 / 750e6 / stretches
    }
    for (let band = 2; band < 62; band++) {
      const found = mean([...power.subarray(band * 8, band * 8 + 8)])
      expect(found / mean(measured.slice(band * 8, band * 8 + 8)), `${(band * noiseBandHz) / 1e6} MHz`).toBeGreaterThan(
        0.7,
      )
      expect(found / mean(measured.slice(band * 8, band * 8 + 8))).toBeLessThan(1.4)
    }
  })
})
