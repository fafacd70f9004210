import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { testOnDomainData } from '../foundation/testing.ts'
import { bankTypes, encodeBanks } from './midas-bank.ts'
import type { BankType } from './midas-bank.ts'
import type { MidasEvent } from './midas-event.ts'
import { parseOdb } from './odb-text.ts'
import {
  channelNamesOf,
  slowReadingOf,
  slowReadingsOfOdb,
  surroundingsOf,
  unknownSurroundings,
} from './slow-control.ts'
import type { SlowReading } from './slow-control.ts'

function slowEvent(id: number, banks: Record<string, { type: BankType; values: number[] }>): MidasEvent {
  const { pieces } = encodeBanks(
    Object.entries(banks).map(([name, { type, values }]) => {
      const data = type === 'f64' ? new Float64Array(values) : new Float32Array(values)
      return { name, type: bankTypes[type].word, data: new Uint8Array(data.buffer as ArrayBuffer) }
    }),
    '16-bit',
  )
  return {
    kind: 'event',
    id,
    triggerMask: 0,
    serialNumber: 0,
    timestampSeconds: 1_700_000_000,
    byteOffset: 0,
    data: Buffer.concat(pieces),
  }
}
const values = (reading: SlowReading | undefined): Record<string, string> =>
  Object.fromEntries(
    (reading?.quantities ?? []).map(({ name, value, unit }) => [
      name,
      `${value === null ? '-' : Number(value.toPrecision(4))} ${unit}`,
    ]),
  )

testOnDomainData('the real dump gives the values its panels showed', async (data) => {
  const { odb } = parseOdb(await readFile(join(data, 'daq/odb_LNGS_run42901_2023-12-14.json'), 'utf8'))
  const readings = new Map(slowReadingsOfOdb(odb, 7).map((reading) => [reading.equipment, reading]))
  expect(values(readings.get('Environment'))).toMatchObject({
    'gas temperature': '21.26 C',
    'atmospheric pressure': '0.9049 bar',
    'detector pressure': '0.9092 bar',
    'room temperature': '21.44 C',
    'mixture density': '1.402 g/l',
    'mixture temperature': '23.4 C',
    'relative humidity': '- %',
    'filter 2 inlet pressure': '-0.2357 bar',
  })
  const surroundings = surroundingsOf(readings.get('Environment')!)!
  expect(surroundings.gasTemperatureCelsius).toBeCloseTo(21.3, 1)
  expect(surroundings.atmosphericPressureBar).toBeCloseTo(0.905, 3)
  expect(surroundings.detectorPressureBar).toBeCloseTo(0.909, 3)
  expect(surroundings.roomTemperatureCelsius).toBeCloseTo(21.4, 1)
  expect(surroundings.mixtureDensityGPerL).toBeCloseTo(1.4, 2)
  expect(values(readings.get('HV'))).toMatchObject({
    'VGEM1 measured': '400.1 V',
    'PMT4 measured': '767.8 V',
    'PMT1 current': '180.2 uA',
  })
  expect(values(readings.get('CATHODE'))).toMatchObject({ 'cathode measured': '-41290 V' })
  expect(values(readings.get('GasSystem'))).toMatchObject({
    'detector pressure of the controller': '0.908 bar',
    'helium flow': '3.013 l/h',
    'CF4 bottle': '12.99 bar',
    water: '1.277 ppm/1000',
    'gas alarm 7': '0 ',
  })
  expect(values(readings.get('TriggerModule'))).toMatchObject({
    'accepted triggers': '0.9 Hz',
    'unvetoed triggers': '4.5 Hz',
  })
  expect(values(readings.get('CameraStatus'))).toEqual({ 'camera 0 sensor temperature': '-19 C' })

  const names = channelNamesOf(odb)
  const measured = Array.from({ length: 26 }, (_, index) => 100 + index)
  const event = slowEvent(3, { DMND: { type: 'f32', values: measured }, MSRD: { type: 'f32', values: measured } })
  expect(values(slowReadingOf(event, names))).toMatchObject({ 'VGEM1 measured': '105 V', 'PMT3 demand': '120 V' })
})

test('events of every equipment are read, others are none', () => {
  const inputs = Array.from({ length: 24 }, () => 12)
  inputs[0] = 0.001
  inputs[13] = 2
  const reading = slowReadingOf(slowEvent(5, { INPT: { type: 'f32', values: inputs } }))!
  expect(reading).toMatchObject({ equipment: 'Environment', atMs: 1_700_000_000_000 })
  expect(values(reading)).toMatchObject({
    'gas temperature': '- C',
    'detector pressure': '0.8044 bar',
    'relative humidity': '37.3 %',
    'mixture density': '5 g/l',
  })
  expect(surroundingsOf(reading)).toMatchObject({ gasTemperatureCelsius: null, humidityPercent: 37.3 })
  expect(values(slowReadingOf(slowEvent(7, { TCAM: { type: 'f64', values: [-18.5, Number.NaN] } })))).toEqual({
    'camera 0 sensor temperature': '-18.5 C',
    'camera 1 sensor temperature': '- C',
  })
  expect(values(slowReadingOf(slowEvent(8, { TMOD: { type: 'f32', values: [0.9, 0, 0, 0, 4.5] } })))).toMatchObject({
    'unvetoed triggers': '4.5 Hz',
    'rate 2': '0 Hz',
  })
  expect(values(slowReadingOf(slowEvent(4, { MSRD: { type: 'f32', values: [-41291] } })))).toEqual({
    'cathode measured': '-41290 V',
  })
  expect(values(slowReadingOf(slowEvent(9, { INPT: { type: 'f32', values: [3, 1] } })))).toMatchObject({
    'source position': '3 ',
  })
  expect(slowReadingOf(slowEvent(1, {}))).toBeUndefined()
  expect(surroundingsOf(slowReadingOf(slowEvent(7, { TCAM: { type: 'f64', values: [-18] } }))!)).toBeUndefined()
  // A bank of another length, an empty event: what is there is read.
  expect(surroundingsOf(slowReadingOf(slowEvent(5, {}))!)).toEqual(unknownSurroundings)
  expect(values(slowReadingOf(slowEvent(6, { MSRD: { type: 'f32', values: [1, 2] } })))).toEqual({})
})
