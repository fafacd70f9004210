/**
 * Slow-control events of a run as quantities with units: the detector's state between pictures.
 *
 * Formulas are those of the trend panels of the LIME DAQ (ODB /History/Display); x is the raw reading. "(x-4)/16" is a loop of 4 to 20 mA: a
 * reading below 3.6 mA is a broken loop and has no value. Source: domain study 2.2.
 */
import { bankNumbers, decodeBanks } from './midas-bank.ts'
import type { MidasEvent } from './midas-event.ts'
import { odbAt } from './odb-text.ts'
import type { Odb, OdbValue } from './odb-text.ts'

const slowEquipment = [
  'HV',
  'CATHODE',
  'Environment',
  'GasSystem',
  'CameraStatus',
  'TriggerModule',
  'SourceMotor',
] as const
export type SlowEquipment = (typeof slowEquipment)[number]

export interface SlowQuantity {
  /** Unique within its equipment: 'gas temperature', 'VGEM1 measured'. */
  name: string
  /** Null where the sensor is not there: an open current loop, a value that cannot be, NaN. */
  value: number | null
  unit: string
  /** As it was read. */
  raw: number
  /** Which channel it was read from: 'P0IIn3', 'MSRD[5]'. */
  source: string
}

export interface SlowReading {
  equipment: SlowEquipment
  atMs: number
  quantities: SlowQuantity[]
}

/** Event ids of the LIME frontends. */
const equipmentOfEvent: Record<number, SlowEquipment> = {
  3: 'HV',
  4: 'CATHODE',
  5: 'Environment',
  6: 'GasSystem',
  7: 'CameraStatus',
  8: 'TriggerModule',
  9: 'SourceMotor',
}

/** Names of channels, from the ODB; without them channels are numbered. */
export interface ChannelNames {
  HV: readonly string[]
  GasSystem: readonly string[]
}

export function channelNamesOf(odb: Odb): ChannelNames {
  const names = (equipment: string): string[] =>
    listOf(odbAt(odb, `/Equipment/${equipment}/Settings/Names`)).map((name) => (typeof name === 'string' ? name : ''))
  return { HV: names('HV'), GasSystem: names('GasSystem') }
}

/** The reading in a slow-control event; undefined for other events. Banks that cannot be read count as absent. */
export function slowReadingOf(event: MidasEvent, names?: ChannelNames): SlowReading | undefined {
  const equipment = event.kind === 'event' ? equipmentOfEvent[event.id] : undefined
  if (equipment === undefined) return undefined
  const banks = new Map(decodeBanks(event.data).banks.map((bank) => [bank.name, bankNumbers(bank) ?? []]))
  return { equipment, atMs: event.timestampSeconds * 1000, quantities: quantitiesOf(equipment, banks, names) }
}

/** What the ODB dump of a run says of every equipment it holds: the state when the run began (or ended). */
export function slowReadingsOfOdb(odb: Odb, atMs: number): SlowReading[] {
  const names = channelNamesOf(odb)
  return slowEquipment.flatMap((equipment) => {
    const banks = new Map<string, number[]>()
    for (const [variable, bank] of Object.entries(odbVariables)) {
      const value = odbAt(odb, `/Equipment/${equipment}/Variables/${variable}`)
      if (value !== undefined)
        banks.set(
          bank,
          listOf(value).map((one) => (typeof one === 'number' ? one : Number.NaN)),
        )
    }
    return banks.size === 0 ? [] : [{ equipment, atMs, quantities: quantitiesOf(equipment, banks, names) }]
  })
}

const odbVariables: Record<string, string> = {
  Input: 'INPT',
  Output: 'OUTP',
  Demand: 'DMND',
  Measured: 'MSRD',
  Current: 'CRNT',
  TCAM: 'TCAM',
  TMOD: 'TMOD',
}

const listOf = (value: OdbValue | undefined): OdbValue[] =>
  value === undefined ? [] : Array.isArray(value) ? value : [value]

interface Formula {
  name: string
  unit: string
  of: (x: number) => number | null
}

/** Full scale over 4 to 20 mA, from `zero`. */
const loop = (name: string, unit: string, scale: number, zero = 0): Formula => ({
  name,
  unit,
  of: (x) => (x < 3.6 ? null : ((x - 4) / 16) * scale + zero),
})
const plain = (name: string, unit: string): Formula => ({ name, unit, of: (x) => x })
const humidity: Formula = {
  name: 'relative humidity',
  unit: '%',
  of: (x) => {
    const percent = 37.5 * x - 37.7
    return percent < 0 || percent > 100 ? null : percent
  },
}

/** The 24 inputs of equipment Environment: three modules of eight. */
const environmentInputs = ['P0IIn', 'P1UIn', 'P3IIn'].flatMap((module) =>
  Array.from({ length: 8 }, (_, input) => `${module}${input}`),
)

/**
 * P1UIn1 is the room temperature of one panel and the room humidity of another (37.5x-37.7 %); one of them is wrong. The temperature is kept: it
 * gives 21.4 C where the humidity would be 63 %.
 */
const environment: Record<string, Formula> = {
  P0IIn0: loop('gas temperature', 'C', 200, -50),
  P0IIn3: loop('atmospheric pressure', 'bar', 1.6 * 1.007618),
  P0IIn5: loop('detector pressure', 'bar', 1.6 * 1.005454),
  P1UIn1: { name: 'room temperature', unit: 'C', of: (x) => -22.7 * x + 82.3 },
  P1UIn2: plain('air flow', 'V'),
  P1UIn5: humidity,
  P3IIn0: loop('filter 2 outlet pressure', 'bar', 2.6, -1),
  P3IIn1: loop('filter 2 inlet pressure', 'bar', 2.6, -1),
  P3IIn2: loop('filter 1 outlet pressure', 'bar', 2.6, -1),
  P3IIn3: loop('filter 1 inlet pressure', 'bar', 2.6, -1),
  P3IIn5: loop('mixture temperature', 'C', 145, -40),
  P3IIn6: loop('mixture density', 'g/l', 10),
  P3IIn7: loop('mixture density at 0 C', 'g/l', 11.5),
}

/** Tags of the gas controller by their names in the ODB (cut to 20 characters there). */
const gas: Record<string, Formula> = {
  Logic_Press_Camera: plain('detector pressure of the controller', 'bar'),
  PAR_PID_Camera_SP: plain('detector pressure set point', 'bar'),
  Logic_PID_Camera_Out: plain('pressure valve', '%'),
  STS_Ana_AT401_VALUE: { name: 'water', unit: 'ppm/1000', of: (x) => x / 1000 },
  STS_Flow_FCT101_VALU: plain('helium flow', 'l/h'),
  STS_Flow_FCT201_VALU: plain('CF4 flow', 'l/h'),
  STS_Flow_FCT301_VALU: plain('SF6 flow', 'l/h'),
  STS_FCT401_Corr: plain('recirculation flow', 'l/h'),
  STS_Press_PT101_VALU: plain('helium bottle', 'bar'),
  STS_Press_PT201_VALU: plain('CF4 bottle', 'bar'),
  STS_Press_PT301_VALU: plain('SF6 bottle', 'bar'),
  STS_Press_PT404_VALU: plain('recirculation inlet pressure', 'bar'),
  STS_Press_PT405_VALU: plain('recirculation pressure', 'bar'),
  STS_Press_PT406_VALU: plain('recovery pressure', 'bar'),
}
/** The eight alarm bits of the controller. */
const gasAlarms = { first: 298, end: 306 }

function quantitiesOf(
  equipment: SlowEquipment,
  banks: ReadonlyMap<string, readonly number[]>,
  names: ChannelNames | undefined,
): SlowQuantity[] {
  const quantities: SlowQuantity[] = []
  const add = (formula: Formula, raw: number, source: string): void => {
    const value = Number.isFinite(raw) ? formula.of(raw) : null
    quantities.push({ name: formula.name, value, unit: formula.unit, raw, source })
  }
  const all = (bank: string, formula: (index: number) => Formula | undefined): void =>
    banks.get(bank)?.forEach((raw, index) => {
      const found = formula(index)
      if (found) add(found, raw, `${bank}[${index}]`)
    })
  switch (equipment) {
    case 'Environment':
      banks.get('INPT')?.forEach((raw, index) => {
        const source = environmentInputs[index]
        const formula = source === undefined ? undefined : environment[source]
        if (formula) add(formula, raw, source!)
      })
      break
    case 'HV':
    case 'CATHODE': {
      const label = (index: number): string =>
        equipment === 'CATHODE' ? 'cathode' : names?.HV[index] || `channel ${index}`
      all('DMND', (index) => plain(`${label(index)} demand`, 'V'))
      all('MSRD', (index) => plain(`${label(index)} measured`, 'V'))
      all('CRNT', (index) => plain(`${label(index)} current`, 'uA'))
      break
    }
    case 'GasSystem':
      all('MSRD', (index) =>
        index >= gasAlarms.first && index < gasAlarms.end
          ? plain(`gas alarm ${index - gasAlarms.first}`, '')
          : gas[names?.GasSystem[index] ?? ''],
      )
      break
    case 'CameraStatus':
      all('TCAM', (index) => plain(`camera ${index} sensor temperature`, 'C'))
      break
    case 'TriggerModule':
      all('TMOD', (index) =>
        plain(index === 0 ? 'accepted triggers' : index === 4 ? 'unvetoed triggers' : `rate ${index}`, 'Hz'),
      )
      break
    case 'SourceMotor':
      all('INPT', (index) => plain(index === 0 ? 'source position' : `source reference ${index - 1}`, ''))
      break
  }
  return quantities
}

/** The surroundings of a picture, as the reference writes them beside each event; null = not known. */
export interface Surroundings {
  /** Lime_pressure, bar absolute. */
  detectorPressureBar: number | null
  /** Atm_pressure, bar absolute. */
  atmosphericPressureBar: number | null
  /** Lime_temperature: of the gas, C. */
  gasTemperatureCelsius: number | null
  /** Atm_temperature: of the room, C. */
  roomTemperatureCelsius: number | null
  /** Humidity, % relative. */
  humidityPercent: number | null
  /** Mixture_Density, g/l. */
  mixtureDensityGPerL: number | null
}

export const unknownSurroundings: Readonly<Surroundings> = Object.freeze({
  detectorPressureBar: null,
  atmosphericPressureBar: null,
  gasTemperatureCelsius: null,
  roomTemperatureCelsius: null,
  humidityPercent: null,
  mixtureDensityGPerL: null,
})

/** What a reading of Environment says of the surroundings; undefined for readings of other equipment. */
export function surroundingsOf(reading: SlowReading): Surroundings | undefined {
  if (reading.equipment !== 'Environment') return undefined
  const value = (name: string): number | null =>
    reading.quantities.find((quantity) => quantity.name === name)?.value ?? null
  return {
    detectorPressureBar: value('detector pressure'),
    atmosphericPressureBar: value('atmospheric pressure'),
    gasTemperatureCelsius: value('gas temperature'),
    roomTemperatureCelsius: value('room temperature'),
    humidityPercent: value('relative humidity'),
    mixtureDensityGPerL: value('mixture density'),
  }
}
