import { fastModel, timeTagNs } from '../digitizer.ts'
import type { DigitizerBoard, DigitizerEvent } from '../digitizer.ts'
import type { Random } from './random.ts'
import type { Sensor } from './sensor.ts'
import type { TrackTruth } from './truth.ts'

interface BoardKind {
  model: number
  samples: number
  channels: number
  sampling: number
  nsPerSample: number
  countsPerMv: number
  noiseRms: number
  pulseSample: number
  triggerSamples: [number, number]
  offsets: number[]
}

const offsetWord = (fraction: number): number => Math.round(fraction * 65536 + 32768)

/** The two boards of LIME. Baselines and offsets as in its ODB and its published waveforms. */
const fast: BoardKind = {
  model: fastModel,
  samples: 1024,
  channels: 32,
  sampling: 1333,
  nsPerSample: 1 / 0.75,
  countsPerMv: 4.096,
  noiseRms: 2.5,
  pulseSample: 210,
  triggerSamples: [285, 390],
  offsets: Array.from({ length: 32 }, (_, i) => offsetWord(i === 0 ? -0.5 : i < 8 ? -0.3 : 0)),
}
const slow: BoardKind = {
  model: 1720,
  samples: 4000,
  channels: 8,
  sampling: 250,
  nsPerSample: 4,
  countsPerMv: 2.048,
  noiseRms: 1.3,
  pulseSample: 1466,
  triggerSamples: [1590, 1625],
  offsets: Array.from({ length: 8 }, (_, i) => offsetWord(i === 0 ? -0.45 : 0)),
}

const maxTriggers = 16
const driftMmPerNs = 0.053
/** Photomultipliers 1 to 4 at the corners of the field, 190 mm from the GEM; light falls with the fourth power of the distance. */
const tubes = [
  [-142, -142],
  [142, -142],
  [142, 142],
  [-142, 142],
] as const
const tubeDistanceMm = 190
/** Pulse of a 5.9 keV deposit under the centre: 65 mV high. */
const centralPulseMv = 65
const decayNs = 12.7

/**
 * Waveforms of one picture in the genuine layout, simple in shape: one trigger per track (at most 16), on the photomultipliers a pulse as long as
 * the track is deep, scaled by light and distance; trigger mark on channel 0, noise elsewhere. Without tracks there are no triggers.
 */
export function makeWaveforms(
  sensor: Sensor,
  tracks: readonly TrackTruth[],
  exposureMs: number,
  pixelMm: number,
  random: Random,
): DigitizerEvent {
  const seen = tracks.slice(0, maxTriggers)
  const timeTags = seen
    .map(() => Math.floor((random.between(0, exposureMs) * 1e6) / timeTagNs) & 0x3fffffff)
    .sort((one, other) => one - other)
  const boards = [fast, slow].map((kind): DigitizerBoard => {
    const waveforms = new Uint16Array(seen.length * kind.channels * kind.samples)
    seen.forEach((track, trigger) => {
      const pulses = tubePulses(kind, track, sensor, pixelMm)
      for (let channel = 0; channel < kind.channels; channel++) {
        const start = (trigger * kind.channels + channel) * kind.samples
        fillChannel(
          kind,
          waveforms.subarray(start, start + kind.samples),
          channel,
          pulses[channel - 1],
          sensor.table,
          random,
        )
      }
    })
    return {
      model: kind.model,
      samples: kind.samples,
      channels: kind.channels,
      triggers: seen.length,
      vertical: 4096,
      sampling: kind.sampling,
      offsets: kind.offsets,
      timeTags,
      extraTags: [],
      startCells: kind.model === fastModel ? seen.map(() => random.next() & 1023) : [],
      waveforms,
    }
  })
  return { version: 0, boards }
}

/** Depth of the pulse, in counts, at every sample after its start, for each of the four tubes. */
function tubePulses(kind: BoardKind, track: TrackTruth, sensor: Sensor, pixelMm: number): Float32Array[] {
  const x = (track.xPx - sensor.width / 2) * pixelMm
  const y = (track.yPx - sensor.height / 2) * pixelMm
  const depthMm = track.kind === 'iron' ? 1 : Math.min(200, track.lengthMm * 0.5 + 1)
  const durationNs = 10 + depthMm / driftMmPerNs
  const shape = Float32Array.from({ length: kind.samples - kind.pulseSample }, (_, i) => {
    const t = (i + 0.5) * kind.nsPerSample
    const rising = 1 - Math.exp(-Math.min(t, durationNs) / decayNs)
    return rising * Math.exp(-Math.max(0, t - durationNs) / decayNs) * (30 / durationNs)
  })
  const centre = 142 ** 2 * 2 + tubeDistanceMm ** 2
  return tubes.map(([tubeX, tubeY]) => {
    const square = (x - tubeX) ** 2 + (y - tubeY) ** 2 + tubeDistanceMm ** 2
    const height = centralPulseMv * kind.countsPerMv * (track.energyKev / 5.9) * (centre / square) ** 2
    return shape.map((value) => value * height)
  })
}

function fillChannel(
  kind: BoardKind,
  samples: Uint16Array,
  channel: number,
  pulse: Float32Array | undefined,
  table: Float32Array,
  random: Random,
): void {
  const isTrigger = channel === 0
  const baseline = isTrigger
    ? 4095
    : kind.model === fastModel && channel < 8
      ? 3830 + ((channel * 7) % 36)
      : 2052 + ((channel * 13) % 98)
  for (let i = 0; i < samples.length; i++) {
    const noise = kind.noiseRms * (table[random.next() & 0xffff] as number)
    const marked = isTrigger && i >= kind.triggerSamples[0] && i < kind.triggerSamples[1]
    const level = marked
      ? 2150 + 12 * noise
      : isTrigger
        ? baseline
        : baseline + noise - (i < kind.pulseSample ? 0 : (pulse?.[i - kind.pulseSample] ?? 0))
    samples[i] = Math.max(0, Math.min(4095, Math.round(level)))
  }
}
