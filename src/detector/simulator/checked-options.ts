import { detectorFaults } from '../errors.ts'
import { detectorModel } from './detector-model.ts'
import type { DetectorModel } from './detector-model.ts'
import { checkRequest } from './make-track.ts'
import type { Exposure } from './shutter.ts'
import type { DrawnKind, SimulationOptions } from './simulation-options.ts'
import { siteNames } from './sites.ts'
import { trackFile } from './track-files.ts'
import type { TrackSource } from './track-source.ts'
import { trackKinds } from './truth.ts'

/** The options with their defaults. */
export interface CheckedOptions {
  frame: { width: number; height: number }
  cameras: number
  model: DetectorModel
  exposure: Exposure
  periodMs: number
  detectorSeed: number
  withWaveforms: boolean
  deltaRays: boolean
  tracksPerImage: Record<string, number>
  tracksSource: TrackSource | undefined
  eventsPerImage: number
}

const sensorSizes = {
  Fusion: { width: 2304, height: 2304 },
  Flash: { width: 2048, height: 2048 },
  Quest: { width: 4096, height: 2304 },
}
const defaultTracks = { iron: 4, muon: 0.3, alpha: 0.3 }
const drawnKinds: readonly string[] = trackKinds.filter((kind) => kind !== 'external')

const wrong = (what: string, hint?: string) => detectorFaults.badOptions(what, hint === undefined ? {} : { hint })
const whole = (value: number, low: number, high: number): boolean =>
  Number.isInteger(value) && value >= low && value <= high

/** Throws `badOptions` for options that make no sense; the track file is looked at later. */
export function checkedOptions(options: SimulationOptions): CheckedOptions {
  checkRun(options)
  const frame = checkedFrame(options)
  const model = detectorModel(options.camera, {
    ...options.detector,
    ...(options.gemVolts === undefined ? {} : { gem1Volts: options.gemVolts }),
  })
  const tracksSource =
    options.tracksSource ?? (options.tracksFile === undefined ? undefined : trackFile(options.tracksFile))
  if (options.tracksSource && options.tracksFile !== undefined) throw wrong('Deposits come from one track file.')
  const elsewhere = options.site ?? options.source ?? tracksSource
  const exposureMs = options.exposureMs ?? 300
  const { width, height } = frame
  return {
    frame: { width, height },
    cameras: options.cameras ?? 1,
    model,
    exposure: {
      exposureMs,
      readoutMs: model.readoutMs,
      height,
      shutter: options.shutter ?? (options.site ?? options.source) !== undefined,
    },
    periodMs: options.periodMs ?? exposureMs + model.readoutMs,
    detectorSeed: options.detectorSeed ?? 1,
    withWaveforms: options.waveforms ?? true,
    deltaRays: options.deltaRays ?? false,
    tracksPerImage: { ...(elsewhere === undefined ? defaultTracks : {}), ...options.tracksPerImage },
    tracksSource: options.kind === 'data' ? tracksSource : undefined,
    eventsPerImage: options.eventsPerImage ?? 1,
  }
}

function checkedFrame(options: SimulationOptions): { width: number; height: number } {
  const frame = options.frame ?? sensorSizes[options.camera ?? 'Fusion']
  if (!frame)
    throw wrong(`There is no camera ${String(options.camera)}.`, `Cameras: ${Object.keys(sensorSizes).join(', ')}.`)
  for (const side of [frame.width, frame.height])
    if (!whole(side, 64, 4096) || side % 8 !== 0)
      throw wrong(`A frame side is a multiple of 8 between 64 and 4096 pixels, not ${side}.`)
  // Without header the shape of a bank is known by its size only.
  if (options.frame && frame.width !== frame.height)
    throw wrong('A small frame is square, since readers tell its shape by its size.')
  return frame
}

function checkRun(options: SimulationOptions): void {
  if (!whole(options.images, 0, 1_000_000))
    throw wrong(`A run has between 0 and a million images, not ${options.images}.`)
  if (!whole(options.number, 0, 0xffffffff))
    throw wrong(`A run number is a whole number of 32 bits, not ${options.number}.`)
  if (!Number.isSafeInteger(options.seed)) throw wrong(`A seed is a whole number, not ${options.seed}.`)
  if (!whole(options.startMs, 0, 0xffffffff * 1000))
    throw wrong(`The start is a time in milliseconds UTC, not ${options.startMs}.`)
  const period = options.periodMs ?? options.exposureMs ?? 300
  if (!((options.exposureMs ?? 300) > 0) || !(period > 0)) throw wrong('Exposure and period are longer than nothing.')
  if (!whole(options.cameras ?? 1, 1, 10))
    throw wrong(`A picture has between 1 and 10 cameras, not ${options.cameras}.`)
  if (!whole(options.eventsPerImage ?? 1, 1, 10_000))
    throw wrong(`A picture takes between 1 and 10000 events of a track file, not ${options.eventsPerImage}.`)
  if (!whole(options.skipEvents ?? 0, 0, Number.MAX_SAFE_INTEGER))
    throw wrong(`Events that are skipped are a whole number, not ${options.skipEvents}.`)
  if (options.site !== undefined && !siteNames.includes(options.site))
    throw wrong(`There is no site ${String(options.site)}.`, `Sites: ${siteNames.join(', ')}.`)
  if (options.source !== undefined && !['iron', 'ambe'].includes(options.source))
    throw wrong(`There is no source ${String(options.source)}.`, 'Sources: iron, ambe.')
  const rate = options.sourceRateHz ?? 1
  if (!(rate >= 0 && rate <= 100_000)) throw wrong(`A source rate lies between 0 and 100000 Hz, not at ${rate}.`)
  const { production } = options
  if (production !== undefined && !/^[\w][\w .:+-]{0,63}$/.test(production))
    throw wrong(
      `'${production}' does not name a production.`,
      'Use 1 to 64 letters, digits, spaces and . _ : + -, beginning with a letter or digit.',
    )
  for (const [kind, mean] of Object.entries(options.tracksPerImage ?? {}) as [DrawnKind, number][]) {
    if (!drawnKinds.includes(kind))
      throw wrong(`There is no track of kind ${kind}.`, `Kinds: ${drawnKinds.join(', ')}.`)
    if (!(mean >= 0 && mean <= 10_000))
      throw wrong(`A mean number of tracks lies between 0 and 10000, not ${mean} (${kind}).`)
  }
  for (const request of options.tracks ?? []) checkRequest(request)
}
