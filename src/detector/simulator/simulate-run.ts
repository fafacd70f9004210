import { setImmediate } from 'node:timers/promises'
import { cameraBank, cameraTypeOf } from '../camera.ts'
import type { Frame } from '../camera.ts'
import { encodeDigitizer } from '../digitizer.ts'
import { bankTypes } from '../midas-bank.ts'
import type { BankFormat, MidasBank } from '../midas-bank.ts'
import { checkedOptions } from './checked-options.ts'
import type { CheckedOptions } from './checked-options.ts'
import { externalEvents, inspectTracks } from './external-tracks.ts'
import type { ExternalTrack } from './external-tracks.ts'
import { exposeTrack } from './light.ts'
import { makeLightField } from './light-field.ts'
import type { LightField } from './light-field.ts'
import { makeTrack } from './make-track.ts'
import { lightOnTubes } from './pmt-light.ts'
import type { TubeLight } from './pmt-light.ts'
import { defaultSourceRateHz, productionOf } from './production.ts'
import { Random } from './random.ts'
import { exposeDark, makeSensor } from './sensor.ts'
import { drawTimeMs, openRowsAt, sensitiveMs } from './shutter.ts'
import { simulatedOdb } from './simulated-odb.ts'
import type { DrawnKind, SimulationOptions, TrackRequest } from './simulation-options.ts'
import { ambeTracks, ironSourceTracks, siteTracks } from './sites.ts'
import { volumeOf } from './track.ts'
import type { Track, Volume } from './track.ts'
import { truthOf } from './track-truth.ts'
import type { ImageTruth, Production, TrackTruth } from './truth.ts'
import { makeDigitizerNoise, makeWaveforms, triggersOf } from './waveforms.ts'

export type { SimulationOptions, TrackRequest, TracksPerImage } from './simulation-options.ts'

/** What the simulated detector gives, in the order of a file: begin of run, pictures and slow control, end of run. */
export type SimulatedEvent =
  | {
      kind: 'begin-of-run' | 'end-of-run'
      number: number
      timestampSeconds: number
      odb: unknown
      production: Production
      /** Pictures of the run: planned at its begin, taken at its end. */
      images: number
    }
  | {
      kind: 'event'
      id: number
      serialNumber: number
      timestampSeconds: number
      banks: MidasBank[]
      format: BankFormat
      /** Of a picture: that of the first camera, and those of all; undefined for slow control. */
      frame?: Frame
      frames?: Frame[]
      truth?: ImageTruth
    }

/** A camera status event before the first and then every 20 pictures (10 s). */
const statusEvery = 20

/**
 * Simulates one run, deterministic by its options (and its track file). Gives way to other work between images. Throws `badOptions`, and of a track file
 * `noSuchFile` and `badTracks`, all before the first event.
 * The pixels of a frame belong to the caller.
 */
export async function* simulateRun(options: SimulationOptions): AsyncGenerator<SimulatedEvent> {
  const { seed, number, kind } = options
  const checked = checkedOptions(options)
  const { frame, model, cameras, exposure, detectorSeed, periodMs, withWaveforms, tracksSource } = checked
  const volume = volumeOf(model, frame.width * cameras, frame.height)
  const source = tracksSource && (await inspectTracks(tracksSource, volume))
  const skip = options.skipEvents ?? 0
  const images = Math.min(
    options.images,
    source ? Math.ceil(Math.max(0, source.events - skip) / checked.eventsPerImage) : Infinity,
  )
  const sensors = Array.from({ length: cameras }, (_, camera) =>
    makeSensor(frame.width, frame.height, model, exposure.exposureMs, camera, detectorSeed, [seed, number]),
  )
  const field = kind === 'data' ? makeLightField(model, frame.width, frame.height, cameras, detectorSeed) : undefined
  const noise = withWaveforms && field ? makeDigitizerNoise(seed, number, 'digitizer') : undefined
  const startedSeconds = Math.floor(options.startMs / 1000)
  const secondsAt = (image: number): number => Math.floor((options.startMs + image * periodMs) / 1000)
  const production = productionOf(options, {
    model,
    camera: cameraTypeOf(frame.width, frame.height),
    frame,
    exposureMs: exposure.exposureMs,
    shutter: exposure.shutter,
    tracksPerImage: checked.tracksPerImage,
    source,
  })
  const odb = (endedSeconds: number, events: number): unknown =>
    simulatedOdb({
      number,
      kind,
      description: options.description ?? describe(options),
      exposureMs: exposure.exposureMs,
      startedSeconds,
      endedSeconds,
      events,
      camera: { type: cameraTypeOf(frame.width, frame.height), ...frame },
      cameras,
      model,
      source: options.source,
      waveforms: withWaveforms,
      production,
    })

  const outside = { number, production, images }
  yield { ...outside, kind: 'begin-of-run', timestampSeconds: startedSeconds, odb: odb(0, 0) }
  const external = tracksSource && field ? externalEvents(tracksSource, volume, skip) : undefined
  try {
    let nextId = 0
    for (let image = 0; image < images; image++) {
      await setImmediate()
      if (image % statusEvery === 0)
        yield cameraStatus(image / statusEvery, secondsAt(image), checked, new Random(seed, number, image, 'status'))
      const frames = sensors.map((sensor, camera): Frame => {
        const pixels = new Uint16Array(frame.width * frame.height)
        exposeDark(sensor, new Random(seed, number, image, 'noise', camera), pixels)
        return { camera, ...frame, pixels, exposureUs: exposure.exposureMs * 1000 }
      })
      const banks = frames.map(cameraBank)
      let tracks: TrackTruth[] = []
      if (field) {
        const random = new Random(seed, number, image, 'tracks')
        const drawn = tracksOfImage(options, checked, volume, image, random).map((request): TimedTrack => {
          const track = makeTrack(request, { volume, model, deltaRays: checked.deltaRays }, random)
          return { track, atMs: drawTimeMs(exposure, random) }
        })
        for (let event = 0; external && event < checked.eventsPerImage; event++) {
          const next = await external.next()
          if (next.done) break
          drawn.push(...timed(next.value, drawTimeMs(exposure, random), sensitiveMs(exposure)))
        }
        const picture = expose(field, drawn, checked, frames, nextId, random)
        tracks = picture.tracks
        nextId = picture.nextId
        if (noise) {
          const light = new Random(seed, number, image, 'waveforms')
          banks.push(...digitizerBanks(encodeDigitizer(makeWaveforms(picture.triggers, noise, light))))
        }
      } else if (withWaveforms) banks.push(...digitizerBanks(encodeDigitizer(noTriggers)))
      yield {
        kind: 'event',
        id: 1,
        serialNumber: image,
        timestampSeconds: secondsAt(image + 1),
        banks,
        format: '32-bit',
        frame: frames[0] as Frame,
        frames,
        truth: { event: image, tracks },
      }
    }
  } finally {
    await external?.return(undefined)
  }
  const endedSeconds = secondsAt(images)
  yield { ...outside, kind: 'end-of-run', timestampSeconds: endedSeconds, odb: odb(endedSeconds, images) }
}

interface TimedTrack {
  track: Track
  atMs: number
}

/** All tracks of one picture but those of a file. */
function tracksOfImage(
  options: SimulationOptions,
  checked: CheckedOptions,
  volume: Volume,
  image: number,
  random: Random,
): TrackRequest[] {
  const seconds = sensitiveMs(checked.exposure) / 1000
  const requests: TrackRequest[] = [...(options.tracks ?? []), ...(options.tracksOf?.(image) ?? [])]
  for (const [kind, mean] of Object.entries(checked.tracksPerImage) as [DrawnKind, number][])
    for (let count = random.poisson(mean); count > 0; count--) requests.push({ kind })
  if (options.site) requests.push(...siteTracks(options.site, seconds, volume, random))
  if (options.source) {
    const mean = (options.sourceRateHz ?? defaultSourceRateHz[options.source]) * seconds
    if (options.source === 'ambe') requests.push(...ambeTracks(mean, random))
    else requests.push(...ironSourceTracks(mean, options.sourceZMm ?? volume.depthMm / 2, volume, random))
  }
  return requests
}

/** Tracks of an event of a file, each at its own time; those after the picture are not in it. */
const timed = (tracks: readonly ExternalTrack[], atMs: number, sensitive: number): TimedTrack[] =>
  tracks.map(({ track, timeNs }) => ({ track, atMs: atMs + timeNs / 1e6 })).filter((one) => one.atMs < sensitive)

/** Puts tracks into the frames and finds their triggers. */
function expose(
  field: LightField,
  drawn: readonly TimedTrack[],
  { exposure, withWaveforms }: CheckedOptions,
  frames: readonly Frame[],
  firstId: number,
  random: Random,
) {
  const pixels = frames.map((frame) => frame.pixels)
  const seen = drawn
    .filter(({ track }) => track.visibleEnergyKev > 0)
    .map(({ track, atMs }) => {
      const exposed = exposeTrack(field, track, openRowsAt(exposure, atMs), random, pixels)
      const light: TubeLight | undefined = withWaveforms
        ? lightOnTubes(field, track.deposits, exposed.electronsOut, random)
        : undefined
      return { track, atMs, exposed, light }
    })
    .filter(({ exposed }) => exposed.primaries > 0)
  const { triggers, ofTrack } = triggersOf(seen)
  const tracks = seen.flatMap(({ track, atMs, exposed }, index) =>
    truthOf(track, exposed, { id: firstId + index, atMs, trigger: ofTrack[index] as number }, field),
  )
  return { tracks, triggers, nextId: firstId + seen.length }
}

const noTriggers = makeWaveforms([], undefined, new Random(0))

const digitizerBanks = ({ header, samples }: { header: Uint8Array; samples: Uint8Array }): MidasBank[] => [
  { name: 'DIG0', type: bankTypes.u16.word, data: samples },
  { name: 'DGH0', type: bankTypes.u32.word, data: header },
]

function describe({ kind, site, source, tracksFile, tracksSource }: SimulationOptions): string {
  if (kind === 'pedestal') return 'Simulated pedestal'
  const parts = [
    site && `site ${site}`,
    source && { iron: '55Fe source', ambe: 'AmBe neutrons' }[source],
    (tracksFile ?? tracksSource) && `tracks of ${tracksSource?.name ?? tracksFile?.split('/').at(-1)}`,
  ].filter(Boolean)
  return `Simulated data: ${parts.length > 0 ? parts.join(', ') : '55Fe, muons, alphas'}`
}

/** Equipment CameraStatus: the temperature of each sensor, in the 16-bit form of slow-control events. */
function cameraStatus(
  serialNumber: number,
  timestampSeconds: number,
  { model, cameras }: CheckedOptions,
  random: Random,
): SimulatedEvent {
  const data = new Uint8Array(8 * cameras)
  const view = new DataView(data.buffer)
  for (let camera = 0; camera < cameras; camera++)
    view.setFloat64(8 * camera, Math.round(10 * model.sensorCelsius + 3 * random.gaussian()) / 10, true)
  return {
    kind: 'event',
    id: 7,
    serialNumber,
    timestampSeconds,
    banks: [{ name: 'TCAM', type: bankTypes.f64.word, data }],
    format: '16-bit',
  }
}
