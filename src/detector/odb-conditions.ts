import { isFolder, maskOdb, odbAt } from './odb-text.ts'
import type { Odb, OdbValue } from './odb-text.ts'

/** One value of the detector's state. A list gives one condition per element, with its index. */
export interface Condition {
  /** Where it stands in the ODB, e.g. '/Equipment/HV/Variables/Measured'. */
  path: string
  /** For people: 'Exposure', 'VGEM1 measured'. */
  name: string
  value: number | string | boolean
  unit?: string
  index?: number
}

/** The parameters of a run that other rooms show and search by. Undefined = the ODB does not say. */
export interface RunParameters {
  number: number | undefined
  startedMs: number | undefined
  endedMs: number | undefined
  /** 'simulation' = made by a named production; what a demonstration DAQ simulates counts as data. */
  kind: 'pedestal' | 'data' | 'simulation'
  /** Of a simulation: the name of its production. */
  production: string | undefined
  runType: number | undefined
  description: string
  exposureSeconds: number | undefined
  freeRunning: boolean | undefined
  /** Digitizers read with the camera. */
  withWaveforms: boolean | undefined
  sourceType: number | undefined
  sourcePosition: number | undefined
  shielding: number | undefined
  /** Measured volts of the electrodes by name, e.g. { VGEM1: 400.06, Drift: 960.7 }; of the photomultipliers, { PMT1: 772.5 }. */
  measuredVolts: Record<string, number>
  demandVolts: Record<string, number>
  cathodeVolts: number | undefined
  cameraTypes: string[]
  cameraTemperatureCelsius: number | undefined
  /** Shape of the frames where the ODB holds one (crops), as `frameShape` takes it. */
  frameShape: { width: number; height: number } | undefined
}

/** Folders that describe how a run was taken; everything below them becomes conditions. */
const folders = [
  '/Runinfo',
  '/Experiment/Run Parameters',
  '/Configurations',
  '/Simulation',
  '/Sequencer/Command/Load filename',
  '/Equipment/HV/Variables',
  '/Equipment/CATHODE/Variables',
  '/Equipment/Environment/Variables/Input',
  '/Equipment/GasSystem/Variables/Measured',
  '/Equipment/Trigger/Settings',
  '/Equipment/Trigger/Statistics/Events sent',
  '/Equipment/CameraStatus/Variables',
  '/Equipment/TriggerModule/Variables/TMOD',
  '/Equipment/SourceMotor/Variables',
]

const units: [RegExp, string][] = [
  [/^\/Configurations\/Exposure$/, 's'],
  [/discrimination_threshold$/, 'mV'],
  [/trigger_veto_time$/, 'us'],
  [/^\/Equipment\/(?:HV|CATHODE)\/Variables\/(?:Demand|Measured)$/, 'V'],
  [/^\/Equipment\/(?:HV|CATHODE)\/Variables\/Current$/, 'uA'],
  [/^\/Equipment\/CameraStatus\/Variables/, 'C'],
  [/^\/Equipment\/TriggerModule\/Variables\/TMOD$/, 'Hz'],
  [/DigitizerPostTrg$/, '%'],
  [/time binary$/, 's'],
]

/** The useful places of an ODB as typed, flat conditions, secrets masked. NaN stays the word 'NaN'. */
export function odbToConditions(odb: Odb): Condition[] {
  const safe = maskOdb(odb)
  const conditions: Condition[] = []
  for (const folder of folders) {
    const value = odbAt(safe, folder)
    if (value !== undefined) flatten(safe, folder, value, conditions)
  }
  return conditions
}

function flatten(odb: Odb, path: string, value: OdbValue, conditions: Condition[]): void {
  if (isFolder(value)) {
    for (const [key, inner] of Object.entries(value)) flatten(odb, `${path}/${key}`, inner, conditions)
    return
  }
  const unit = units.find(([pattern]) => pattern.test(path))?.[1]
  const last = path.slice(path.lastIndexOf('/') + 1)
  const add = (one: OdbValue, index?: number): void => {
    if (typeof one === 'object') return
    const label = index === undefined ? channelName(odb, path, 0) : channelName(odb, path, index)
    const name = label ? `${label} ${last.toLowerCase()}` : index === undefined ? last : `${last} ${index}`
    conditions.push({ path, name, value: one, ...(unit ? { unit } : {}), ...(index === undefined ? {} : { index }) })
  }
  if (Array.isArray(value)) value.forEach(add)
  else add(value)
}

/** Equipment names its channels in Settings/Names (or Names Input, Names Output). */
function channelName(odb: Odb, path: string, index: number): string | undefined {
  const found = /^(\/Equipment\/[^/]+)\/Variables\/([^/]+)$/.exec(path)
  if (!found) return undefined
  const names = odbAt(odb, `${found[1]}/Settings/Names ${found[2]}`) ?? odbAt(odb, `${found[1]}/Settings/Names`)
  const name = Array.isArray(names) ? names[index] : index === 0 ? names : undefined
  return typeof name === 'string' && name !== '' ? name : undefined
}

/** What the ODB says of the run. Values of another type than expected count as absent. */
export function runParametersOf(odb: Odb): RunParameters {
  const number = (path: string): number | undefined => numberOf(odbAt(odb, path))
  const flag = (path: string): boolean | undefined => {
    const value = odbAt(odb, path)
    return typeof value === 'boolean' ? value : typeof value === 'number' ? value !== 0 : undefined
  }
  const startedSeconds = number('/Runinfo/Start time binary')
  const stoppedSeconds = number('/Runinfo/Stop time binary')
  const ended = startedSeconds && stoppedSeconds && stoppedSeconds >= startedSeconds ? stoppedSeconds * 1000 : undefined
  const description = odbAt(odb, '/Experiment/Run Parameters/Run description')
  const named = odbAt(odb, '/Simulation/Production')
  const production = typeof named === 'string' && named !== '' ? named : undefined
  const types = odbAt(odb, '/Equipment/Trigger/Settings/Camera type')
  const width = number('/Equipment/Trigger/Settings/Camera width')
  const height = number('/Equipment/Trigger/Settings/Camera height')
  return {
    number: number('/Runinfo/Run number'),
    startedMs: startedSeconds ? startedSeconds * 1000 : undefined,
    endedMs: ended,
    kind: flag('/Configurations/Pedestal') ? 'pedestal' : production === undefined ? 'data' : 'simulation',
    production,
    runType: number('/Configurations/run_type'),
    description: typeof description === 'string' ? description : '',
    exposureSeconds: number('/Configurations/Exposure'),
    freeRunning: flag('/Configurations/FreeRunning'),
    withWaveforms: flag('/Configurations/pmt_acquisition'),
    sourceType: number('/Configurations/SourceState/source_type'),
    sourcePosition: number('/Configurations/SourceState/source_position'),
    shielding: number('/Configurations/shielding_configuration'),
    measuredVolts: electrodes(odb, 'Measured'),
    demandVolts: electrodes(odb, 'Demand'),
    cathodeVolts: number('/Equipment/CATHODE/Variables/Measured'),
    cameraTypes: listOf(types).filter((one) => typeof one === 'string'),
    cameraTemperatureCelsius: numberOf(listOf(odbAt(odb, '/Equipment/CameraStatus/Variables/TCAM'))[0]),
    frameShape: width && height ? { width, height } : undefined,
  }
}

const numberOf = (value: OdbValue | undefined): number | undefined => (typeof value === 'number' ? value : undefined)
const listOf = (value: OdbValue | undefined): OdbValue[] =>
  value === undefined ? [] : Array.isArray(value) ? value : [value]

/** High voltages by channel name; spare channels (Ch00.007, broken) are left out. */
function electrodes(odb: Odb, which: 'Measured' | 'Demand'): Record<string, number> {
  const names = listOf(odbAt(odb, '/Equipment/HV/Settings/Names'))
  const values = listOf(odbAt(odb, `/Equipment/HV/Variables/${which}`))
  const result: Record<string, number> = {}
  names.forEach((name, index) => {
    const value = numberOf(values[index])
    if (typeof name === 'string' && value !== undefined && /^(?:Offset|VGEM\d|Transf\d|Drift|PMT\d)$/.test(name))
      result[name] = value
  })
  return result
}
