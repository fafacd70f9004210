/** The options of `cygnet daq simulate` that say what the simulated detector is and what it sees. */
import type { Command } from 'commander'
import type { SimulationOptions } from '../detector/index.ts'
import { foundationFaults } from '../foundation/errors.ts'

export interface SimulationFlags {
  site?: string
  source?: string
  sourceRate?: string
  sourceZ?: string
  tracks?: string
  tracksFile?: string
  eventsPerImage?: string
  deltaRays?: boolean
  shutter?: boolean
  camera?: string
  cameras?: string
  frame?: string
  exposure?: string
  gem?: string
  detector?: string
  detectorSeed?: string
  waveforms?: boolean
  production?: string
  description?: string
}

const sites = ['surface', 'lngs-4cm', 'lngs-10cm', 'lngs-water'] as const
const sources = ['iron', 'ambe'] as const
const cameras = ['Fusion', 'Flash', 'Quest'] as const
const kinds = ['iron', 'electron', 'muon', 'alpha', 'helium', 'carbon', 'fluorine'] as const

export function addSimulationFlags(verb: Command): Command {
  return verb
    .option('--site <name>', `natural radioactivity of a place: ${sites.join(', ')}`)
    .option('--source <name>', 'a source: iron (55Fe beside the field) or ambe (neutron recoils)')
    .option('--source-rate <hz>', 'interactions of the source per second; default: iron 30, ambe 2')
    .option('--source-z <mm>', 'distance of the iron source from the GEM; default: the middle of the drift')
    .option(
      '--tracks <list>',
      `mean tracks per image, as iron=4,electron=1 (${kinds.join(', ')}); default without site, source and file: iron=4,muon=0.3,alpha=0.3`,
    )
    .option(
      '--tracks-file <path>',
      'deposits of another program (.csv, .csv.gz, .parquet, .root) with columns event, track, x_mm, y_mm (from the centre of the GEM plane), z_mm (from the GEM), energy_kev, and if known time_ns, particle; one run with all events unless --runs and --images say else',
    )
    .option('--events-per-image <n>', 'events of the file in one image; default 1')
    .option('--delta-rays', 'knock-on electrons above 2 keV along electrons')
    .option('--shutter', 'tracks are cut while rows open and close; default with a site or a source')
    .option('--no-shutter', 'tracks are never cut')
    .option('--camera <type>', `${cameras.join(', ')}; default Fusion`)
    .option('--cameras <n>', 'cameras side by side over one plane, 1 to 10; default 1')
    .option('--frame <pixels>', 'a smaller, square detector for quick tests, e.g. 576')
    .option('--exposure <seconds>', 'default 0.3')
    .option('--gem <volts>', 'of the first GEM; default 440')
    .option('--detector <list>', 'other constants than those of LIME, as absorptionMm=1350,pairEnergyKev=0.0462')
    .option('--detector-seed <n>', 'which camera and GEM: fixed pattern, hot pixels, gain map; default 1')
    .option('--no-waveforms', 'without digitizers')
    .option('--production <name>', 'makes a named simulation production: its runs are of kind simulation, not data')
    .option('--description <text>', 'of the data runs')
}

/** The simulation the flags ask for. Throws a 400 that names the flag; what they mean together is checked by the simulator. */
export function simulationOf(flags: SimulationFlags): Partial<SimulationOptions> {
  const asked: Partial<SimulationOptions> = {}
  const number = (flag: string, text: string | undefined, set: (value: number) => void, low = 0): void => {
    if (text === undefined) return
    const value = Number(text)
    if (text.trim() === '' || !Number.isFinite(value) || value < low)
      throw foundationFaults.badRequest(`${flag} '${text}' is not a number of ${low} or more.`)
    set(value)
  }
  if (flags.site !== undefined) asked.site = oneOf('--site', flags.site, sites)
  if (flags.source !== undefined) asked.source = oneOf('--source', flags.source, sources)
  if (flags.camera !== undefined) asked.camera = oneOf('--camera', flags.camera, cameras)
  if ((flags.sourceRate ?? flags.sourceZ) !== undefined && flags.source === undefined)
    throw foundationFaults.badRequest('--source-rate and --source-z say something of a source.', {
      hint: 'Add --source iron or --source ambe.',
    })
  number('--source-rate', flags.sourceRate, (value) => (asked.sourceRateHz = value))
  number('--source-z', flags.sourceZ, (value) => (asked.sourceZMm = value))
  if (flags.tracks !== undefined) {
    const means = listOf('--tracks', flags.tracks, 'iron=4,electron=1')
    asked.tracksPerImage = Object.fromEntries(means.map(([kind, mean]) => [oneOf('--tracks', kind, kinds), mean]))
  }
  if (flags.tracksFile !== undefined) asked.tracksFile = flags.tracksFile
  if (flags.eventsPerImage !== undefined && flags.tracksFile === undefined)
    throw foundationFaults.badRequest('--events-per-image says something of a track file.', {
      hint: 'Add --tracks-file.',
    })
  number('--events-per-image', flags.eventsPerImage, (value) => (asked.eventsPerImage = value), 1)
  if (flags.deltaRays === true) asked.deltaRays = true
  if (flags.shutter !== undefined) asked.shutter = flags.shutter
  number('--cameras', flags.cameras, (value) => (asked.cameras = value), 1)
  number('--frame', flags.frame, (value) => (asked.frame = { width: value, height: value }), 64)
  number('--exposure', flags.exposure, (value) => (asked.exposureMs = value * 1000))
  number('--gem', flags.gem, (value) => (asked.gemVolts = value))
  if (flags.detector !== undefined)
    asked.detector = Object.fromEntries(listOf('--detector', flags.detector, 'absorptionMm=1350'))
  number('--detector-seed', flags.detectorSeed, (value) => (asked.detectorSeed = value))
  if (flags.waveforms === false) asked.waveforms = false
  if (flags.production !== undefined) asked.production = flags.production
  if (flags.description !== undefined) asked.description = flags.description
  return asked
}

function oneOf<Name extends string>(flag: string, text: string, names: readonly Name[]): Name {
  const found = names.find((name) => name.toLowerCase() === text.toLowerCase())
  if (found !== undefined) return found
  throw foundationFaults.badRequest(`${flag} knows no '${text}'.`, { hint: `It is one of ${names.join(', ')}.` })
}

function listOf(flag: string, text: string, example: string): [string, number][] {
  return text.split(',').map((part) => {
    const [name = '', value = '', ...more] = part.split('=').map((one) => one.trim())
    if (name === '' || value === '' || more.length > 0 || !Number.isFinite(Number(value)))
      throw foundationFaults.badRequest(`${flag} cannot read '${part}'.`, {
        hint: `Give names and numbers: ${example}.`,
      })
    return [name, Number(value)]
  })
}
