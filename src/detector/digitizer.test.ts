import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { testOnDomainData } from '../foundation/testing.ts'
import { decodeDigitizer, decodeDigitizerHeader, encodeDigitizer, triggerTimeMs, waveformOf } from './digitizer.ts'
import type { DigitizerBoard, DigitizerEvent } from './digitizer.ts'
import { odbAt, parseOdb } from './odb-text.ts'

const anyBoard = (version: number): fc.Arbitrary<DigitizerBoard> =>
  fc
    .record({
      model: fc.constantFrom(1742, 1720, 1730),
      samples: fc.integer({ min: 0, max: 12 }),
      channels: fc.integer({ min: 0, max: 8 }),
      triggers: fc.integer({ min: 0, max: 5 }),
      seed: fc.nat(60_000),
    })
    .map(({ model, samples, channels, triggers, seed }) => ({
      model,
      samples,
      channels,
      triggers,
      vertical: 4096,
      sampling: 250,
      offsets: Array.from({ length: channels }, (_, i) => seed + i),
      timeTags: Array.from({ length: triggers }, (_, i) => 1000 * i),
      extraTags: version > 0 ? Array.from({ length: triggers }, (_, i) => i) : [],
      startCells: model === 1742 ? Array.from({ length: triggers }, (_, i) => i) : [],
      waveforms: Uint16Array.from({ length: samples * channels * triggers }, (_, i) => (seed + i) & 0xffff),
    }))
const anyReadout: fc.Arbitrary<DigitizerEvent> = fc
  .constantFrom(0, 1000)
  .chain((version) => fc.array(anyBoard(version), { maxLength: 3 }).map((boards) => ({ version, boards })))

test('what is encoded is decoded again, both generations, any order of boards', () => {
  fc.assert(
    fc.property(anyReadout, (readout) => {
      const { header, samples } = encodeDigitizer(readout)
      expect(decodeDigitizer(header, samples)).toEqual(readout)
    }),
  )
})

test('a LIME trigger has the sizes of the real one', () => {
  const board = (model: number, samples: number, channels: number): DigitizerBoard => ({
    model,
    samples,
    channels,
    triggers: 1,
    vertical: 4096,
    sampling: 250,
    offsets: Array.from({ length: channels }, () => 0),
    timeTags: [7],
    extraTags: [],
    startCells: model === 1742 ? [511] : [],
    waveforms: Uint16Array.from({ length: samples * channels }, (_, i) => i),
  })
  const readout = { version: 0, boards: [board(1742, 1024, 32), board(1720, 4000, 8)] }
  const { header, samples } = encodeDigitizer(readout)
  expect(samples.length).toBe(65_536 + 64_000)
  expect(header.length).toBe(4 * (1 + (6 + 32 + 2) + (6 + 8 + 1)))
  const odd = new Uint8Array(samples.length + 1)
  odd.set(samples, 1)
  const decoded = decodeDigitizer(header, odd.subarray(1))
  expect(waveformOf(decoded.boards[1]!, 0, 3)[5]).toBe(3 * 4000 + 5)
})

const limeBoard = (model: number, triggers: number): DigitizerBoard => {
  const [samples, channels] = model === 1742 ? [1024, 32] : [4000, 8]
  return {
    model,
    samples,
    channels,
    triggers,
    vertical: 4096,
    sampling: model === 1742 ? 1333 : 250,
    offsets: Array.from({ length: channels }, () => 32768),
    timeTags: Array.from({ length: triggers }, (_, i) => 1_000_000 * i),
    extraTags: [],
    startCells: model === 1742 ? Array.from({ length: triggers }, (_, i) => i) : [],
    waveforms: new Uint16Array(triggers * channels * samples).fill(triggers),
  }
}

test.each([
  ['no trigger', [limeBoard(1742, 0), limeBoard(1720, 0)]],
  ['128 triggers', [limeBoard(1742, 128), limeBoard(1720, 128)]],
  ['the slow board first', [limeBoard(1720, 2), limeBoard(1742, 2)]],
  ['the fast board only', [limeBoard(1742, 3)]],
  ['the slow board only', [limeBoard(1720, 3)]],
])('reads a readout with %s, of both generations of headers', (_, boards) => {
  for (const version of [0, 1000]) {
    const extraTags = (board: DigitizerBoard) => (version > 0 ? board.timeTags.map((tag) => tag + 1) : [])
    const readout = { version, boards: boards.map((board) => ({ ...board, extraTags: extraTags(board) })) }
    const { header, samples } = encodeDigitizer(readout)
    const read = decodeDigitizer(header, samples)
    expect(
      read.boards.map(({ model, triggers, timeTags, startCells, extraTags: extra }) => [
        model,
        triggers,
        timeTags,
        startCells,
        extra,
      ]),
    ).toEqual(
      readout.boards.map(({ model, triggers, timeTags, startCells, extraTags: extra }) => [
        model,
        triggers,
        timeTags,
        startCells,
        extra,
      ]),
    )
    for (const board of read.boards)
      if (board.triggers > 0)
        expect(waveformOf(board, board.triggers - 1, board.channels - 1).at(-1)).toBe(board.triggers)
  }
})

test('an error names the word and the byte, the board and what is missing', () => {
  const { header, samples } = encodeDigitizer({ version: 0, boards: [limeBoard(1742, 1), limeBoard(1720, 1)] })
  const fastWords = 6 + 32 + 2
  expect(() => decodeDigitizerHeader(header.subarray(0, 4 * (1 + fastWords + 3)))).toThrow(
    'DGH0 ends after 44 words, before word 44 (byte 176), where the number of triggers of board 2 of 2 (1720) should stand.',
  )
  const wrong = header.slice()
  new DataView(wrong.buffer).setUint32(4 * 4, 5, true)
  expect(() => decodeDigitizer(wrong, samples)).toThrow(/^DGH0 /)
  new DataView(wrong.buffer).setUint32(4 * 4, 1_000_000, true)
  expect(() => decodeDigitizerHeader(wrong)).toThrow(
    'DGH0 announces 1000000 words from word 39 (byte 156), where the trigger time tags of board 1 of 2 (1742) should stand; 17 are left.',
  )
  try {
    decodeDigitizer(header, samples.subarray(0, samples.length - 2000))
    expect.unreachable()
  } catch (error) {
    expect(error).toMatchObject({
      code: 'detector.bad_digitizer',
      detail:
        'DGH0 announces 64768 samples, DIG0 holds 63768 (1742: 1 triggers x 32 channels x 1024 samples; 1720: 1 triggers x 8 channels x 4000 samples).',
      hint: 'DIG0 is 2000 bytes too short.',
    })
  }
})

test('a time tag counts 8.5 ns and has 30 bits', () => {
  const board = { ...limeBoard(1720, 2), timeTags: [0x40000000 + 21_176_471, 0] }
  expect(triggerTimeMs(board, 0)).toBeCloseTo(180, 4)
  expect(triggerTimeMs(board, 1)).toBe(0)
})

test('banks that do not fit together are a Fault, whatever they hold', () => {
  const { header, samples } = encodeDigitizer({ version: 0, boards: [] })
  expect(() => decodeDigitizer(header, new Uint8Array(4))).toThrow('DGH0 announces 0 samples, DIG0 holds 2.')
  expect(() => decodeDigitizerHeader(header.subarray(0, 2))).toThrow(
    /ends after 0 words, before word 0 \(byte 0\), where the number of boards should stand/,
  )
  expect(decodeDigitizer(header, samples).boards).toEqual([])
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.nat(5), fc.nat(2000), fc.nat(0xffffffff))), (words) => {
      try {
        decodeDigitizerHeader(new Uint8Array(Uint32Array.from(words).buffer))
      } catch (error) {
        expect(error).toMatchObject({ code: 'detector.bad_digitizer' })
      }
    }),
    { numRuns: 300 },
  )
})

testOnDomainData('offsets of the real ODB survive the words of the header', async (data) => {
  const { odb } = parseOdb(await readFile(join(data, 'daq/odb_LNGS_run42901_2023-12-14.json'), 'utf8'))
  const fractions = (odbAt(odb, '/Configurations/DigitizerOffset') as number[]).slice(0, 32)
  const offsets = fractions.map((fraction) => Math.round(fraction * 65536 + 32768))
  const board = {
    model: 1742,
    samples: 1024,
    channels: 32,
    triggers: 0,
    vertical: 4096,
    sampling: 1333,
    offsets,
    timeTags: [],
    extraTags: [],
    startCells: [],
    waveforms: new Uint16Array(0),
  }
  const { header } = encodeDigitizer({ version: 0, boards: [board] })
  const read = decodeDigitizerHeader(header).boards[0]!.offsets.map((word) => (word - 32768) / 65536)
  read.forEach((fraction, i) => expect(fraction).toBeCloseTo(fractions[i]!, 4))
})
