import { describe, expect, it } from 'vitest'
import { decodeDigitizer, encodeDigitizer } from '../../detector/index.ts'
import type { DigitizerBoard, DigitizerEvent, Drs4Tables } from '../../detector/index.ts'
import { defaultWaveformParameters as parameters } from '../waveform-parameters.ts'
import { analyseEvent, insideGlobalExposure } from './analyse-event.ts'
import type { EventContext } from './analyse-event.ts'
import { tracesOf } from './traces.ts'

const word = (fraction: number): number => Math.round(fraction * 65536 + 32768)

/** A board with one pulse per trigger on the photomultipliers: tube t of height `heights[t]` counts, `ns` long. */
function board(
  model: number,
  triggers: { timeMs: number; heights: number[]; ns: number }[],
  more: Partial<DigitizerBoard> = {},
): DigitizerBoard {
  const isFast = model === 1742
  const [samples, channels, start, nsPerSample] = isFast ? [1024, 32, 210, 4 / 3] : [4000, 8, 1466, 4]
  const waveforms = new Uint16Array(triggers.length * channels * samples)
  triggers.forEach(({ heights, ns }, trigger) => {
    for (let channel = 0; channel < channels; channel++)
      for (let i = 0; i < samples; i++) {
        const height = heights[channel - 1] ?? 0
        const inside = i >= start && i < start + ns / nsPerSample
        const noise = ((i * 7919 + channel * 31) % 7) - 3
        waveforms[(trigger * channels + channel) * samples + i] = 3500 + noise - (inside ? height : 0)
      }
  })
  return {
    model,
    samples,
    channels,
    triggers: triggers.length,
    vertical: 4096,
    sampling: 0,
    offsets: Array.from({ length: channels }, (_, channel) => word(isFast && channel > 0 && channel < 8 ? -0.3 : 0)),
    timeTags: triggers.map(({ timeMs }) => Math.round((timeMs * 1e6) / 8.5)),
    extraTags: [],
    startCells: isFast ? triggers.map(() => 100) : [],
    waveforms,
    ...more,
  }
}

const context: EventContext = { parameters, exposureMs: 300, tables: undefined, alreadyCorrected: true }
/** As it comes from a file. */
const stored = (boards: DigitizerBoard[], version = 0): DigitizerEvent => {
  const { header, samples } = encodeDigitizer({ version, boards })
  return decodeDigitizer(header, samples)
}
const pulse = { timeMs: 200, heights: [400, 300, 200, 100], ns: 200 }

describe('analyseEvent', () => {
  it('gives a row per trigger and channel, means as channel 9, GEMs of the fast board', () => {
    const { rows, triggers } = analyseEvent(7, stored([board(1742, [pulse]), board(1720, [pulse])]), context)
    expect(
      rows.map(({ samplesPerWaveform, channel, gem }) => `${samplesPerWaveform}/${channel}${gem ? ' gem' : ''}`),
    ).toEqual(
      ['1024/1', '1024/2', '1024/3', '1024/4', '1024/9', '1024/5 gem', '1024/6 gem', '1024/7 gem'].concat([
        '4000/1',
        '4000/2',
        '4000/3',
        '4000/4',
        '4000/9',
      ]),
    )
    expect(
      rows.every(({ event, trigger, insideGlobalExposure: inside }) => event === 7 && trigger === 0 && inside),
    ).toBe(true)
    const fast = rows.slice(0, 5)
    fast.slice(0, 4).forEach((row, tube) => {
      expect(row.maximumCounts).toBeCloseTo(pulse.heights[tube]!, -1)
      expect(Math.abs(row.timeOverThresholdSamples - 150)).toBeLessThanOrEqual(4)
      expect(row.peaks).toBeGreaterThan(0)
      expect(row.totalCharge).toBeCloseTo((row.totalIntegralCounts * 4) / 3 / 50, 3)
    })
    // Weights are signal over noise, here as 4 : 3 : 2 : 1.
    expect(fast[4]!.maximumCounts).toBeCloseTo((400 * 4 + 300 * 3 + 200 * 2 + 100) / 10, -1)
    expect(
      rows
        .filter(({ gem }) => gem)
        .every(({ peaks, timeOverThresholdSamples }) => peaks + timeOverThresholdSamples === 0),
    ).toBe(true)
    expect(triggers[0]!.timeMs).toBeCloseTo(200, 4)
    // 200 ns and the four samples of the smoothing, finer than the slow board's 4 ns.
    expect(Math.abs(triggers[0]!.overThresholdNs - 204)).toBeLessThan(6)
    expect(triggers[0]!.charges!.counts.map((count) => Math.round(count / 50 / 10) * 10)).toEqual([400, 300, 200, 100])
    expect(triggers[0]!.charges!.clipped).toEqual([false, false, false, false])
  })

  it('takes boards in any order, one alone, and either generation of headers', () => {
    const both = analyseEvent(0, stored([board(1742, [pulse]), board(1720, [pulse])]), context)
    const swapped = analyseEvent(0, stored([board(1720, [pulse]), board(1742, [pulse])]), context)
    expect(swapped.triggers).toEqual(both.triggers)
    expect(swapped.rows.length).toBe(both.rows.length)
    const extraTags = [9]
    const cygno04 = [board(1742, [pulse], { extraTags }), board(1720, [pulse], { extraTags })]
    expect(analyseEvent(0, stored(cygno04, 1000), context).rows).toEqual(both.rows)
    const slow = analyseEvent(0, stored([board(1720, [pulse])]), context)
    expect(slow.rows.map(({ channel }) => channel)).toEqual([1, 2, 3, 4, 9])
    expect(Math.abs(slow.triggers[0]!.overThresholdNs - 216)).toBeLessThan(12)
    const fast = analyseEvent(0, stored([board(1742, [pulse])]), context)
    expect(fast.triggers[0]!.charges!.counts.map((count) => Math.round(count / 150 / 10) * 10)).toEqual([
      400, 300, 200, 100,
    ])
  })

  it('takes no trigger and 128 of them', () => {
    expect(analyseEvent(0, stored([board(1742, []), board(1720, [])]), context)).toMatchObject({
      rows: [],
      triggers: [],
    })
    const many = Array.from({ length: 128 }, (_, trigger) => ({ ...pulse, timeMs: 2 * trigger }))
    const { rows, triggers } = analyseEvent(0, stored([board(1720, many)]), context)
    expect(rows.length).toBe(128 * 5)
    expect(triggers.map(({ trigger }) => trigger)).toEqual(Array.from({ length: 128 }, (_, trigger) => trigger))
    expect(rows.filter(({ insideGlobalExposure: inside }) => inside).length).toBe((128 - 90) * 5)
  })

  it('measures long pulses on the slow board, whose window holds them', () => {
    const long = { ...pulse, ns: 4000 }
    const { triggers } = analyseEvent(0, stored([board(1742, [long]), board(1720, [long])]), context)
    expect(Math.abs(triggers[0]!.overThresholdNs - 4016)).toBeLessThan(12)
  })

  it('knows pulses beyond the range of the digitizer', () => {
    const bright = { ...pulse, heights: [3600, 3600, 200, 100] }
    const boards = [board(1720, [bright])]
    for (const one of boards) one.waveforms.forEach((value, i) => value > 4095 && (one.waveforms[i] = 0))
    expect(analyseEvent(0, stored(boards), context).triggers[0]!.charges!.clipped).toEqual([true, true, false, false])
  })

  it('corrects the fast board where there are tables and the frontend did not', () => {
    const tables: Drs4Tables = { cell: new Float64Array(8192).fill(3), sample: new Float64Array(8192), sha256: 'x' }
    const boards = stored([board(1742, [pulse]), board(1720, [pulse])])
    const corrected = analyseEvent(0, boards, { ...context, alreadyCorrected: false, tables })
    expect(corrected).toMatchObject({ corrected: 7, uncorrected: 0 })
    const plain = analyseEvent(0, boards, { ...context, alreadyCorrected: false })
    expect(plain).toMatchObject({ corrected: 0, uncorrected: 7 })
    expect(plain.rows[0]!.baselineCounts - corrected.rows[0]!.baselineCounts).toBeCloseTo(3, 6)
    expect(analyseEvent(0, boards, { ...context, tables })).toMatchObject({ corrected: 0, uncorrected: 0 })
  })

  it('is inside the global exposure from 180 ms to its end, and nowhere when that is not known', () => {
    const inside = [179.9, 180, 300, 300.1].map((ms) => insideGlobalExposure(ms, 300, parameters))
    expect(inside).toEqual([false, true, true, false])
    expect(insideGlobalExposure(200, undefined, parameters)).toBe(false)
  })
})

it('traces for drawing keep the lowest and the highest count of every point', () => {
  const slow = stored([board(1720, [pulse])]).boards[0]!
  const whole = tracesOf(slow, 0, 8192, parameters)
  expect(whole).toMatchObject({ name: 'slow', samplesPerPoint: 1, nsPerSample: 4 })
  expect(whole.channels[1]!.low).toEqual(whole.channels[1]!.high)
  const thin = tracesOf(slow, 0, 300, parameters)
  expect(thin.samplesPerPoint).toBe(14)
  expect(thin.channels.map(({ label }) => label)).toEqual([
    'trigger',
    'PMT1',
    'PMT2',
    'PMT3',
    'PMT4',
    'channel 5',
    'channel 6',
    'channel 7',
  ])
  for (const [channel, { low, high }] of thin.channels.entries()) {
    expect(low.length).toBe(Math.ceil(4000 / 14))
    low.forEach((least, point) => {
      const part = whole.channels[channel]!.low.slice(point * 14, point * 14 + 14)
      expect([least, high[point]]).toEqual([Math.min(...part), Math.max(...part)])
    })
  }
  expect(
    tracesOf(board(1742, [pulse]), 0, 1024, parameters)
      .channels.slice(4, 9)
      .map(({ kind }) => kind),
  ).toEqual(['pmt', 'gem', 'gem', 'gem', 'unused'])
})
