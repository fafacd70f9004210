import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { temporaryDirectory, testOnDomainData } from '../foundation/testing.ts'
import type { DigitizerBoard } from './digitizer.ts'
import { correctTrigger, drs4AppliedByFrontend, isCorrectable, readDrs4Tables, repairSpikes } from './drs4.ts'
import type { Drs4Tables } from './drs4.ts'
import { readNpy } from './npy-file.ts'
import { parseOdb } from './odb-text.ts'

const word = (fraction: number): number => Math.round(fraction * 65536 + 32768)

/** A fast board as LIME sets it: channel 0 the trigger, 1 to 7 with the offset the tables were measured at. */
function fastBoard(
  triggers: number,
  startCells: number[],
  fill: (trigger: number, channel: number, i: number) => number,
) {
  const board: DigitizerBoard = {
    model: 1742,
    samples: 1024,
    channels: 32,
    triggers,
    vertical: 4096,
    sampling: 1333,
    offsets: Array.from({ length: 32 }, (_, channel) => word(channel === 0 ? -0.5 : channel < 8 ? -0.3 : 0)),
    timeTags: startCells.map(() => 0),
    extraTags: [],
    startCells,
    waveforms: new Uint16Array(triggers * 32 * 1024),
  }
  for (let trigger = 0; trigger < triggers; trigger++)
    for (let channel = 0; channel < 32; channel++)
      for (let i = 0; i < 1024; i++)
        board.waveforms[(trigger * 32 + channel) * 1024 + i] = Math.round(fill(trigger, channel, i))
  return board
}

/** A pulse as a photomultiplier gives it, downwards from a baseline; smooth. */
const pulse = (height: number, start: number, decay: number) => (i: number) =>
  3600 - (i < start ? 0 : height * (1 - Math.exp(-(i - start) / 8)) * Math.exp(-(i - start) / decay))

for (const site of ['LNGS', 'LNF', 'MAN']) {
  testOnDomainData(`waveforms with the real pattern of ${site} come back within a count`, async (data) => {
    const folder = join(data, 'digitizer')
    const tables = await readDrs4Tables(
      join(folder, `table_cell_${site}.npy`),
      join(folder, `table_nsample_${site}.npy`),
    )
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 1023 }), { minLength: 1, maxLength: 3 }),
        fc.integer({ min: 0, max: 2500 }),
        fc.integer({ min: 20, max: 900 }),
        fc.integer({ min: 10, max: 300 }),
        (startCells, height, start, decay) => {
          const shape = pulse(height, start, decay)
          const clean = (channel: number, i: number): number =>
            channel === 0 ? 4095 : channel <= 4 ? shape(i) + channel : 3600
          const board = fastBoard(startCells.length, startCells, (trigger, channel, i) =>
            channel === 0 || channel > 7
              ? clean(channel, i)
              : clean(channel, i) +
                tables.cell[channel * 1024 + ((i + startCells[trigger]!) % 1024)]! +
                tables.sample[channel * 1024 + i]!,
          )
          startCells.forEach((_, trigger) => {
            correctTrigger(board, trigger, tables).forEach((samples, channel) => {
              let worst = 0
              for (let i = 0; i < 1024; i++) worst = Math.max(worst, Math.abs(samples[i]! - clean(channel, i)))
              expect(worst, `channel ${channel}`).toBeLessThanOrEqual(1)
            })
          })
        },
      ),
      { numRuns: 25 },
    )
  })
}

testOnDomainData('reads the tables as they are', async (data) => {
  const { shape, values } = await readNpy(join(data, 'digitizer/table_cell_LNGS.npy'))
  expect(shape).toEqual([8, 1024])
  expect([Math.min(...values), Math.max(...values)]).toEqual([-112, 110])
  await expect(
    readDrs4Tables(join(data, 'reco/threshold.npy'), join(data, 'reco/threshold.npy')),
  ).rejects.toMatchObject({
    code: 'detector.bad_table',
  })
})

describe('npy files', () => {
  const header = (text: string, body: Uint8Array): Uint8Array => {
    const padded = `${text}${' '.repeat((64 - ((text.length + 11) % 64)) % 64)}\n`
    return Buffer.concat([
      Buffer.from([0x93, ...Buffer.from('NUMPY'), 1, 0, padded.length & 255, padded.length >> 8]),
      Buffer.from(padded, 'latin1'),
      body,
    ])
  }
  const good = "{'descr': '<i2', 'fortran_order': False, 'shape': (3,), }"

  test('are read, or refused with what is wrong', async () => {
    await using folder = await temporaryDirectory()
    await mkdir(folder.path, { recursive: true })
    const path = join(folder.path, 'table.npy')
    const read = async (bytes: Uint8Array) => {
      await writeFile(path, bytes)
      return await readNpy(path)
    }
    const body = new Uint8Array(new Int16Array([1, -2, 300]).buffer)
    expect(await read(header(good, body))).toEqual({ shape: [3], values: Float64Array.of(1, -2, 300) })
    const refusals: [Uint8Array, RegExp][] = [
      [Buffer.from('not a table at all'), /does not begin/],
      [header(good, body.subarray(0, 4)), /3 values of 2 bytes and has 4/],
      [header(good.replace('<i2', '>i2'), body), /holds >i2/],
      [header(good.replace('False', 'True'), body), /C order/],
    ]
    for (const [bytes, sentence] of refusals)
      await expect(read(bytes)).rejects.toMatchObject({
        code: 'detector.bad_table',
        detail: expect.stringMatching(sentence),
      })
    await expect(readNpy(join(folder.path, 'none.npy'))).rejects.toMatchObject({ code: 'detector.no_such_file' })
  })
})

const flat: Drs4Tables = { cell: new Float64Array(8192).fill(50), sample: new Float64Array(8192), sha256: '' }

test('only channels with the offset of the tables are corrected', () => {
  const board = fastBoard(1, [10], () => 3000)
  board.offsets[3] = word(-0.1)
  expect(
    Array.from({ length: 32 }, (_, channel) => isCorrectable(board, channel)).flatMap((is, at) => (is ? [at] : [])),
  ).toEqual([1, 2, 4, 5, 6, 7])
  const corrected = correctTrigger(board, 0, flat)
  expect(corrected.map((samples) => samples[500])).toEqual([3000, 2950, 2950, 3000, 2950, 2950, 2950, 2950])
  expect(() => correctTrigger({ ...board, model: 1720 }, 0, flat)).toThrow(/no DRS4 correction/)
})

test('spikes and steps that all channels show are taken out, pulses are not', () => {
  const channels = () => Array.from({ length: 8 }, (_, channel) => new Float64Array(1024).fill(3000 + channel))
  for (const [from, width] of [
    [1, 1],
    [1, 2],
    [300, 1],
    [301, 2],
    [1022, 2],
    [1023, 1],
  ] as const) {
    const spiky = channels()
    for (const samples of spiky) samples.fill(2900, from, from + width)
    repairSpikes(spiky)
    expect(spiky, `${width} samples at ${from}`).toEqual(channels())
  }
  const step = channels()
  for (const samples of step) samples.fill(3100, 600, 606)
  repairSpikes(step)
  expect(step).toEqual(channels())
  // A pulse of the photomultipliers, a spike of seven channels: physics or not, it stays.
  const real = channels()
  for (const samples of real.slice(1, 5)) samples.fill(500, 200, 700)
  real.forEach((samples, channel) => channel > 0 && samples.fill(2900, 40, 41))
  const kept = real.map((samples) => samples.slice())
  repairSpikes(real)
  expect(real).toEqual(kept)
})

testOnDomainData('the real ODB says that its waveforms are not corrected', async (data) => {
  const { odb } = parseOdb(await readFile(join(data, 'daq/odb_LNGS_run42901_2023-12-14.json'), 'utf8'))
  expect(drs4AppliedByFrontend(odb)).toBe(false)
  expect(drs4AppliedByFrontend({ Configurations: { DRS4Correction: true } })).toBe(true)
  expect(drs4AppliedByFrontend({})).toBeUndefined()
})
