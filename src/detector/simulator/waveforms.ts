import { fastModel, timeTagNs } from '../digitizer.ts'
import type { DigitizerBoard, DigitizerEvent } from '../digitizer.ts'
import { binNs } from './pmt-light.ts'
import type { TubeLight } from './pmt-light.ts'
import { makeNoise, noiseLength } from './pmt-noise.ts'
import { Random } from './random.ts'

interface BoardKind {
  model: number
  samples: number
  channels: number
  sampling: number
  samplingHz: number
  /** Bins of the light per sample. */
  binsPerSample: number
  countsPerMv: number
  /** Where the trigger stands. */
  triggerSample: number
  /** The mark on channel 0. */
  markSamples: [number, number]
  /** rms in counts, the shape that of the real spectrum; undefined = as that spectrum says. */
  noiseRms?: number
  offsets: number[]
}

const offsetWord = (fraction: number): number => Math.round(fraction * 65536 + 32768)

/** The two boards of LIME. Ranges (1 and 2 V), baselines, offsets, marks as in its ODB and its published waveforms. */
const fast: BoardKind = {
  model: fastModel,
  samples: 1024,
  channels: 32,
  sampling: 1333,
  samplingHz: 750e6,
  binsPerSample: 4,
  countsPerMv: 4.096,
  triggerSample: 200,
  markSamples: [285, 390],
  offsets: Array.from({ length: 32 }, (_, i) => offsetWord(i === 0 ? -0.5 : i < 8 ? -0.3 : 0)),
}
const slow: BoardKind = {
  model: 1720,
  samples: 4000,
  channels: 8,
  sampling: 250,
  samplingHz: 250e6,
  binsPerSample: 12,
  countsPerMv: 2.048,
  triggerSample: 1466,
  markSamples: [1590, 1625],
  noiseRms: 1.3,
  offsets: Array.from({ length: 8 }, (_, i) => offsetWord(i === 0 ? -0.45 : 0)),
}

/** The digitizer takes at most so many triggers per picture. */
export const maxTriggers = 128
/** discrimination_threshold and majority of the trigger logic. */
const thresholdMv = 2
const majority = 2

/** Light of one track, and when it began in the exposure. */
export interface TimedLight {
  atMs: number
  light: TubeLight | undefined
}

export interface Trigger {
  /** After the first row opened. */
  atNs: number
  lights: TubeLight[]
  /** Of each light, after the trigger. */
  delaysNs: number[]
}

/** After a trigger the slow board records so long; light in this time belongs to it. */
const recordedNs = (slow.samples - slow.triggerSample) * 4

/**
 * The triggers of a picture in order of time, and of each track its trigger (-1: too little light, or the digitizer was full). A trigger begins with
 * the first charge at the GEM of a track that two photomultipliers see above 2 mV.
 */
export function triggersOf(tracks: readonly TimedLight[]): { triggers: Trigger[]; ofTrack: number[] } {
  const ofTrack = tracks.map(() => -1)
  const order = tracks
    .flatMap(({ atMs, light }, index) => (light ? [{ index, light, atNs: atMs * 1e6 + light.firstNs }] : []))
    .sort((one, other) => one.atNs - other.atNs)
  const triggers: Trigger[] = []
  for (const { index, light, atNs } of order) {
    let last = triggers.at(-1)
    if (last === undefined || atNs > last.atNs + recordedNs) {
      const seen = light.millivolts.filter((volts) => volts.some((one) => one > thresholdMv)).length
      if (seen < majority || triggers.length === maxTriggers) continue
      last = { atNs, lights: [], delaysNs: [] }
      triggers.push(last)
    }
    last.lights.push(light)
    last.delaysNs.push(atNs - last.atNs)
    ofTrack[index] = triggers.length - 1
  }
  return { triggers, ofTrack }
}

/** Noise of a run for both boards, in counts and rounded, its beginning repeated at the end so that a waveform may start anywhere. */
export interface DigitizerNoise {
  fast: BoardNoise
  slow: BoardNoise
}

interface BoardNoise {
  counts: Float32Array
  rounded: Int16Array
}

export function makeDigitizerNoise(...seed: (number | string)[]): DigitizerNoise {
  const of = (kind: BoardKind): BoardNoise => {
    const noise = makeNoise(kind.samplingHz, new Random(...seed, kind.model))
    const factor = kind.noiseRms === undefined ? 1000 * kind.countsPerMv : kind.noiseRms / rmsOf(noise)
    const counts = new Float32Array(noiseLength + kind.samples)
    for (let i = 0; i < counts.length; i++) counts[i] = (noise[i % noiseLength] as number) * factor
    return { counts, rounded: Int16Array.from(counts, Math.round) }
  }
  return { fast: of(fast), slow: of(slow) }
}

const rmsOf = (values: Float32Array): number =>
  Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length)

/**
 * Waveforms of one picture in the genuine layout: pulses of the photomultipliers on channels 1 to 4 of both boards, the trigger's mark on channel 0, noise
 * everywhere. Already free of the errors of the DRS4 chips.
 */
export function makeWaveforms(
  triggers: readonly Trigger[],
  noise: DigitizerNoise | undefined,
  random: Random,
): DigitizerEvent {
  const timeTags = triggers.map(({ atNs }) => Math.floor(atNs / timeTagNs) & 0x3fffffff)
  const boards = (
    [
      [fast, noise?.fast],
      [slow, noise?.slow],
    ] as const
  ).map(([kind, trace]): DigitizerBoard => {
    const waveforms = new Uint16Array(triggers.length * kind.channels * kind.samples)
    const pulse = new Float32Array(kind.samples)
    triggers.forEach((trigger, index) => {
      if (!trace) return
      // Clocks of boards and detector are not in step.
      const phase = Math.floor(random.uniform() * kind.binsPerSample)
      for (let channel = 0; channel < kind.channels; channel++) {
        const start = (index * kind.channels + channel) * kind.samples
        const samples = waveforms.subarray(start, start + kind.samples)
        const noiseStart = random.next() % noiseLength
        if (channel === 0) fillMark(kind, samples, trace.counts, noiseStart)
        else {
          const baseline = baselineOf(kind, channel)
          fillNoise(baseline, samples, trace.rounded, noiseStart)
          if (channel > 4) continue
          const [from, to] = sampled(kind, trigger, channel - 1, phase, pulse)
          addPulse(baseline, samples, pulse, from, to, trace.counts, noiseStart)
        }
      }
    })
    return {
      model: kind.model,
      samples: kind.samples,
      channels: kind.channels,
      triggers: triggers.length,
      vertical: 4096,
      sampling: kind.sampling,
      offsets: kind.offsets,
      timeTags,
      extraTags: [],
      startCells: kind.model === fastModel ? triggers.map(() => random.next() & 1023) : [],
      waveforms,
    }
  })
  return { version: 0, boards }
}

const baselineOf = (kind: BoardKind, channel: number): number =>
  kind.model === fastModel && channel < 8 ? 3830 + ((channel * 7) % 36) : 2052 + ((channel * 13) % 98)

/** Counts a tube's light takes from the baseline, sample by sample: the mean over the bins of a sample. Answers the samples that have any. */
function sampled(
  kind: BoardKind,
  trigger: Trigger,
  tube: number,
  phase: number,
  pulse: Float32Array,
): [number, number] {
  pulse.fill(0)
  const { binsPerSample, samples } = kind
  const factor = kind.countsPerMv / binsPerSample
  let [from, to] = [samples, 0]
  trigger.lights.forEach((light, index) => {
    const volts = light.millivolts[tube] as Float32Array
    const delayNs = light.startNs + (trigger.delaysNs[index] as number)
    const firstBin = Math.round(delayNs / binNs) + kind.triggerSample * binsPerSample + phase
    const begin = Math.max(0, -firstBin)
    const end = Math.min(volts.length, samples * binsPerSample - firstBin)
    if (begin >= end) return
    for (let i = begin; i < end; i++) {
      const sample = Math.floor((firstBin + i) / binsPerSample)
      pulse[sample] = (pulse[sample] as number) + factor * (volts[i] as number)
    }
    from = Math.min(from, Math.floor((firstBin + begin) / binsPerSample))
    to = Math.max(to, Math.floor((firstBin + end - 1) / binsPerSample) + 1)
  })
  return [from, to]
}

function fillNoise(baseline: number, samples: Uint16Array, noise: Int16Array, noiseStart: number): void {
  for (let i = 0; i < samples.length; i++) samples[i] = baseline + (noise[noiseStart + i] as number)
}

function addPulse(
  baseline: number,
  samples: Uint16Array,
  pulse: Float32Array,
  from: number,
  to: number,
  noise: Float32Array,
  noiseStart: number,
): void {
  for (let i = from; i < to; i++) {
    const level = Math.round(baseline + (noise[noiseStart + i] as number) - (pulse[i] as number))
    samples[i] = level < 0 ? 0 : level > 4095 ? 4095 : level
  }
}

/** The trigger signal: full scale, down to 2150 while it is marked. */
function fillMark(kind: BoardKind, samples: Uint16Array, noise: Float32Array, noiseStart: number): void {
  samples.fill(4095)
  for (let i = kind.markSamples[0]; i < kind.markSamples[1]; i++)
    samples[i] = 2150 + 12 * (noise[noiseStart + i] as number)
}
