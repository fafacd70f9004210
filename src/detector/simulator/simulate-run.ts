import { setImmediate } from 'node:timers/promises'
import { cameraBank, cameraTypeOf } from '../camera.ts'
import type { Frame } from '../camera.ts'
import { encodeDigitizer } from '../digitizer.ts'
import { detectorFaults } from '../errors.ts'
import { bankTypes } from '../midas-bank.ts'
import type { BankFormat, MidasBank } from '../midas-bank.ts'
import { makeTrack, pixelMm } from './deposits.ts'
import type { TrackRequest } from './deposits.ts'
import { exposeTrack, makeLightField } from './light.ts'
import { Random } from './random.ts'
import { exposeDark, makeSensor } from './sensor.ts'
import { simulatedOdb } from './simulated-odb.ts'
import type { ImageTruth, TrackTruth } from './truth.ts'
import { makeWaveforms } from './waveforms.ts'

export type { TrackRequest } from './deposits.ts'

/** Changes whenever the same seed gives another run than before. */
export const generatorName = 'cygnet-detector-simulator 1'

/** Mean numbers per image; the actual ones are drawn from a Poisson distribution. */
export interface TracksPerImage {
  iron: number
  muon: number
  alpha: number
}

export interface SimulationOptions {
  /** Seeds what happens in the run; with the run number, so that runs of one series differ. */
  seed: number
  /** The run number. */
  number: number
  /** Pedestal runs have no tracks and no triggers. */
  kind: 'pedestal' | 'data'
  images: number
  /** Default Fusion, 2304 x 2304. */
  camera?: 'Fusion' | 'Flash' | 'Quest'
  /** A smaller detector for quick tests, e.g. 256 x 256 or 576 x 576: same pixels, optics scaled to the frame. Multiples of 8. */
  frame?: { width: number; height: number }
  /** UTC. */
  startMs: number
  /** Default 300. */
  exposureMs?: number
  /** From one picture to the next. Default exposure + 184 ms of readout. */
  periodMs?: number
  /** Default 4 iron, 0.3 muon, 0.3 alpha. */
  tracksPerImage?: Partial<TracksPerImage>
  /** Tracks put in every image, besides the drawn ones. */
  tracks?: readonly TrackRequest[]
  /** The camera and GEM used: fixed pattern, most hot pixels, gain map. The same for a pedestal run and its data runs. Default 1. */
  detectorSeed?: number
  description?: string
  /** Digitizer banks. Default true. */
  waveforms?: boolean
}

/** What the simulated detector gives, in the order of a file: begin of run, pictures and slow control, end of run. */
export type SimulatedEvent =
  | { kind: 'begin-of-run' | 'end-of-run'; number: number; timestampSeconds: number; odb: unknown }
  | {
      kind: 'event'
      id: number
      serialNumber: number
      timestampSeconds: number
      banks: MidasBank[]
      format: BankFormat
      /** Of a picture; undefined for slow control. */
      frame?: Frame
      truth?: ImageTruth
    }

const readoutMs = 184.4
const defaultTracks: TracksPerImage = { iron: 4, muon: 0.3, alpha: 0.3 }
const sensorSizes = {
  Fusion: { width: 2304, height: 2304 },
  Flash: { width: 2048, height: 2048 },
  Quest: { width: 4096, height: 2304 },
}
/** A camera status event before the first and then every 20 pictures (10 s). */
const statusEvery = 20

/**
 * Simulates one run, deterministic by its options. Gives way to other work between images. Throws `badOptions`.
 * The pixels of a frame belong to the caller.
 */
export async function* simulateRun(options: SimulationOptions): AsyncGenerator<SimulatedEvent> {
  const { seed, number, kind, images } = options
  const frame = checked(options)
  const exposureMs = options.exposureMs ?? 300
  const periodMs = options.periodMs ?? exposureMs + readoutMs
  const detectorSeed = options.detectorSeed ?? 1
  const withWaveforms = options.waveforms ?? true
  const mean = { ...defaultTracks, ...options.tracksPerImage }
  const sensor = makeSensor(frame.width, frame.height, detectorSeed, [seed, number])
  const field = kind === 'data' ? makeLightField(frame.width, frame.height, detectorSeed) : undefined
  const area = { widthMm: frame.width * pixelMm, heightMm: frame.height * pixelMm }
  const startedSeconds = Math.floor(options.startMs / 1000)
  const secondsAt = (image: number): number => Math.floor((options.startMs + image * periodMs) / 1000)
  const odb = (endedSeconds: number, events: number): unknown =>
    simulatedOdb({
      number,
      kind,
      description:
        options.description ?? (kind === 'pedestal' ? 'Simulated pedestal' : 'Simulated data: 55Fe, muons, alphas'),
      exposureMs,
      startedSeconds,
      endedSeconds,
      events,
      camera: { type: cameraTypeOf(frame.width, frame.height), ...frame },
      waveforms: withWaveforms,
      seed,
    })

  yield { kind: 'begin-of-run', number, timestampSeconds: startedSeconds, odb: odb(0, 0) }
  let trackId = 0
  for (let image = 0; image < images; image++) {
    await setImmediate()
    if (image % statusEvery === 0)
      yield cameraStatus(image / statusEvery, secondsAt(image), new Random(seed, number, image, 'status'))
    const pixels = new Uint16Array(frame.width * frame.height)
    exposeDark(sensor, new Random(seed, number, image, 'noise'), pixels)
    const tracks: TrackTruth[] = []
    if (field) {
      const random = new Random(seed, number, image, 'tracks')
      for (const request of [...(options.tracks ?? []), ...drawn(mean, random)]) {
        const truth = exposeTrack(field, makeTrack(request, area, random), trackId, random, pixels)
        if (!truth) continue
        tracks.push(truth)
        trackId++
      }
    }
    const picture: Frame = { camera: 0, ...frame, pixels, exposureUs: exposureMs * 1000 }
    const banks = [cameraBank(picture)]
    if (withWaveforms) {
      const digitizer = encodeDigitizer(
        makeWaveforms(sensor, tracks, exposureMs, pixelMm, new Random(seed, number, image, 'waveforms')),
      )
      banks.push(
        { name: 'DIG0', type: bankTypes.u16.word, data: digitizer.samples },
        { name: 'DGH0', type: bankTypes.u32.word, data: digitizer.header },
      )
    }
    yield {
      kind: 'event',
      id: 1,
      serialNumber: image,
      timestampSeconds: secondsAt(image + 1),
      banks,
      format: '32-bit',
      frame: picture,
      truth: { event: image, tracks },
    }
  }
  const endedSeconds = secondsAt(images)
  yield { kind: 'end-of-run', number, timestampSeconds: endedSeconds, odb: odb(endedSeconds, images) }
}

function drawn(mean: TracksPerImage, random: Random): TrackRequest[] {
  return (['iron', 'muon', 'alpha'] as const).flatMap((kind) =>
    Array.from({ length: random.poisson(mean[kind]) }, () => ({ kind })),
  )
}

/** Equipment CameraStatus: the temperature of the sensor, in the 16-bit form of slow-control events. */
function cameraStatus(serialNumber: number, timestampSeconds: number, random: Random): SimulatedEvent {
  const data = new Uint8Array(8)
  new DataView(data.buffer).setFloat64(0, Math.round(-190 + 3 * random.gaussian()) / 10, true)
  return {
    kind: 'event',
    id: 7,
    serialNumber,
    timestampSeconds,
    banks: [{ name: 'TCAM', type: bankTypes.f64.word, data }],
    format: '16-bit',
  }
}

/** The frame size of the options, all of which are checked here. */
function checked(options: SimulationOptions): { width: number; height: number } {
  const frame = options.frame ?? sensorSizes[options.camera ?? 'Fusion']
  const wrong = (what: string) => detectorFaults.badOptions(what)
  const whole = (value: number, low: number, high: number): boolean =>
    Number.isInteger(value) && value >= low && value <= high
  for (const side of [frame.width, frame.height])
    if (!whole(side, 64, 4096) || side % 8 !== 0)
      throw wrong(`A frame side is a multiple of 8 between 64 and 4096 pixels, not ${side}.`)
  // Without header the shape of a bank is known by its size only.
  if (options.frame && frame.width !== frame.height)
    throw wrong('A small frame is square, since readers tell its shape by its size.')
  if (!whole(options.images, 0, 1_000_000))
    throw wrong(`A run has between 0 and a million images, not ${options.images}.`)
  if (!whole(options.number, 0, 0xffffffff))
    throw wrong(`A run number is a whole number of 32 bits, not ${options.number}.`)
  if (!Number.isSafeInteger(options.seed)) throw wrong(`A seed is a whole number, not ${options.seed}.`)
  if (!whole(options.startMs, 0, 0xffffffff * 1000))
    throw wrong(`The start is a time in milliseconds UTC, not ${options.startMs}.`)
  const period = options.periodMs ?? options.exposureMs ?? 300
  if (!((options.exposureMs ?? 300) > 0) || !(period > 0)) throw wrong('Exposure and period are longer than nothing.')
  for (const [kind, mean] of Object.entries(options.tracksPerImage ?? {}))
    if (!(mean >= 0 && mean <= 10_000))
      throw wrong(`A mean number of tracks lies between 0 and 10000, not ${mean} (${kind}).`)
  return { width: frame.width, height: frame.height }
}
