/**
 * All triggers of one picture: rows of the waveform table, and the light of each trigger for the match with the camera.
 *
 * Per trigger and digitizer: the photomultipliers, their weighted mean as channel 9 (weight = maximum / rms,
 * normalised; only its time over threshold and the positions of its peaks mean something), and of the fast digitizer the
 * GEM signals.
 */
import {
  correctTrigger,
  decodeDigitizer,
  fastModel,
  hasDrs4Correction,
  isCorrectable,
  triggerTimeMs,
  waveformOf,
} from '../../detector/threads.ts'
import type { DigitizerBoard, DigitizerEvent, Drs4Tables } from '../../detector/index.ts'
import { averageChannel } from '../waveform-parameters.ts'
import type { Waveform } from '../waveform-columns.ts'
import type { WaveformParameters } from '../waveform-parameters.ts'
import { baselineOf, measureTrace, rmsOf, turnUp } from './analyse-waveform.ts'
import type { TraceKind, WaveformMeasures } from './analyse-waveform.ts'

/** What the match needs to know of a trigger. */
export interface TriggerLight {
  trigger: number
  timeMs: number
  /**
   * Charge of each tube in the time over threshold of their mean (counts x samples), its variance, and whether the
   * pulse went beyond the range of the digitizer (then the charge is a lower limit); undefined without a pulse.
   */
  charges: { counts: number[]; variances: number[]; clipped: boolean[] } | undefined
  /** Time over threshold of the mean of the tubes; 0 = no pulse. */
  overThresholdNs: number
}

export interface EventWaveforms {
  rows: Waveform[]
  triggers: TriggerLight[]
  /** Channels whose DRS4 errors were taken out, over all triggers; and those of the fast board that needed it and were not. */
  corrected: number
  uncorrected: number
  /** Time spent, and how many waveforms of each digitizer (their means counted as well). */
  fast: { waveforms: number; ms: number }
  slow: { waveforms: number; ms: number }
}

export interface EventContext {
  parameters: WaveformParameters
  /** Milliseconds; undefined = the run does not say: then nothing is inside the global exposure. */
  exposureMs: number | undefined
  /** Tables of the fast digitizer's crate; undefined = not corrected here. */
  tables: Drs4Tables | undefined
  /** The frontend corrected them already. */
  alreadyCorrected: boolean
}

/** From 180 ms (the last row opens) to the end of the exposure (the first row closes). */
export function insideGlobalExposure(
  timeMs: number,
  exposureMs: number | undefined,
  { globalExposureFirstMs }: WaveformParameters,
): boolean {
  return exposureMs !== undefined && timeMs >= globalExposureFirstMs && timeMs <= exposureMs
}

/** 750 MS/s and 250 MS/s, as everywhere: the word of the header has another unit on each board. */
export const nsPerSample = (board: Pick<DigitizerBoard, 'model'>): number => (board.model === fastModel ? 4 / 3 : 4)

/** Samples before and after the time over threshold that belong to the charge: 20 and 60 ns, the scintillation fades with 12.7 ns. */
const chargeBeforeNs = 20
const chargeAfterNs = 60

/** `event` is the number of the picture. Rows: trigger, then digitizer in the order of the readout, then channel. */
export function analyseEvent(event: number, digitizer: DigitizerEvent, context: EventContext): EventWaveforms {
  const result: EventWaveforms = {
    rows: [],
    triggers: [],
    corrected: 0,
    uncorrected: 0,
    fast: { waveforms: 0, ms: 0 },
    slow: { waveforms: 0, ms: 0 },
  }
  const triggers = Math.max(0, ...digitizer.boards.map((board) => board.triggers))
  for (let trigger = 0; trigger < triggers; trigger++) {
    const means: { board: DigitizerBoard; measures: WaveformMeasures; tubes: Float64Array[] }[] = []
    for (const board of digitizer.boards) {
      if (trigger >= board.triggers || board.samples === 0) continue
      const began = performance.now()
      const before = result.rows.length
      const mean = analyseTrigger(event, board, trigger, context, result)
      if (mean !== undefined) means.push({ board, ...mean })
      const spent = board.model === fastModel ? result.fast : result.slow
      spent.waveforms += result.rows.length - before
      spent.ms += performance.now() - began
    }
    result.triggers.push(lightOf(trigger, digitizer, means, context.parameters))
  }
  return result
}

function analyseTrigger(
  event: number,
  board: DigitizerBoard,
  trigger: number,
  context: EventContext,
  result: EventWaveforms,
): { measures: WaveformMeasures; tubes: Float64Array[] } | undefined {
  const { parameters } = context
  const isFast = board.model === fastModel
  const timeMs = triggerTimeMs(board, trigger)
  const inside = insideGlobalExposure(timeMs, context.exposureMs, parameters)
  const baselineSamples = isFast ? parameters.fastBaselineSamples : parameters.slowBaselineSamples
  const kindOf = (samples: number): TraceKind => ({
    baselineSamples,
    smoothingSamples: Math.max(1, Math.round(samples)),
  })
  const tubeKind = kindOf(parameters.pmtSmoothingSamples)
  const gemKind = kindOf(parameters.gemSmoothingSamples)
  const corrected = correctedOf(board, trigger, context)
  const smoothed = new Float64Array(board.samples)
  const channelsOf = (first: number, last: number): number[] =>
    Array.from({ length: board.channels }, (_, channel) => channel).filter(
      (channel) => channel >= first && channel <= last,
    )
  const put = (channel: number, gem: boolean, measures: WaveformMeasures): void => {
    result.rows.push(rowOf({ event, trigger, channel, gem, inside, timeMs, samples: board.samples }, measures))
  }
  const measure = (channel: number, kind: TraceKind, upright: Float64Array): WaveformMeasures => {
    const samples = corrected?.[channel] ?? waveformOf(board, trigger, channel)
    if (isFast && isCorrectable(board, channel) && !context.alreadyCorrected) {
      if (corrected === undefined) result.uncorrected++
      else result.corrected++
    }
    const baseline = baselineOf(samples, baselineSamples)
    turnUp(samples, baseline, upright)
    return measureTrace(upright, baseline, kind, parameters, smoothed)
  }
  const channels = channelsOf(parameters.pmtFirstChannel, parameters.pmtLastChannel)
  const tubes = channels.map(() => new Float64Array(board.samples))
  const measured = channels.map((channel, index) => measure(channel, tubeKind, tubes[index]!))
  channels.forEach((channel, index) => put(channel, false, measured[index]!))
  let mean: WaveformMeasures | undefined
  if (channels.length > 0) {
    const weights = weightsOf(measured)
    const average = new Float64Array(board.samples)
    let baseline = 0
    tubes.forEach((tube, index) => {
      const weight = weights[index]!
      baseline += weight * measured[index]!.baselineCounts
      for (let i = 0; i < average.length; i++) average[i] = average[i]! + weight * tube[i]!
    })
    mean = measureTrace(average, baseline, tubeKind, parameters, smoothed)
    put(averageChannel, false, mean)
  }
  if (isFast) {
    const upright = new Float64Array(board.samples)
    for (const channel of channelsOf(parameters.gemFirstChannel, parameters.gemLastChannel))
      put(channel, true, measure(channel, gemKind, upright))
  }
  return mean === undefined ? undefined : { measures: mean, tubes }
}

function correctedOf(board: DigitizerBoard, trigger: number, context: EventContext): Float64Array[] | undefined {
  if (context.tables === undefined || context.alreadyCorrected || !hasDrs4Correction(board)) return undefined
  return correctTrigger(board, trigger, context.tables)
}

/** Signal over noise of each tube, normalised; equal where no tube has any. */
function weightsOf(measured: readonly WaveformMeasures[]): number[] {
  const ratios = measured.map(({ maximumCounts, rmsCounts }) =>
    rmsCounts > 0 && maximumCounts > 0 ? maximumCounts / rmsCounts : 0,
  )
  const sum = ratios.reduce((total, ratio) => total + ratio, 0)
  return ratios.map((ratio) => (sum > 0 ? ratio / sum : 1 / ratios.length))
}

function rowOf(
  place: {
    event: number
    trigger: number
    channel: number
    gem: boolean
    inside: boolean
    timeMs: number
    samples: number
  },
  measures: WaveformMeasures,
): Waveform {
  const { overThreshold, peaks } = measures
  return {
    event: place.event,
    trigger: place.trigger,
    channel: place.channel,
    gem: place.gem,
    samplesPerWaveform: place.samples,
    insideGlobalExposure: place.inside,
    triggerTimeMs: place.timeMs,
    baselineCounts: measures.baselineCounts,
    rmsCounts: measures.rmsCounts,
    totalIntegralCounts: measures.totalIntegralCounts,
    totalCharge: measures.totalCharge,
    maximumCounts: measures.maximumCounts,
    peaks: peaks.length,
    timeOverThresholdSamples: overThreshold === undefined ? 0 : overThreshold.end - overThreshold.begin,
    timeOverThresholdArea: overThreshold?.area ?? 0,
    peakList: JSON.stringify(peaks.map((peak) => peak.map((value) => Math.round(value * 1000) / 1000))),
  }
}

/**
 * Charges are taken from the slow digitizer where there is one: its 16 us hold the longest drift; the time over
 * threshold from the fast one, which is finer, unless its 1.4 us end first.
 */
function lightOf(
  trigger: number,
  digitizer: DigitizerEvent,
  means: { board: DigitizerBoard; measures: WaveformMeasures; tubes: Float64Array[] }[],
  parameters: WaveformParameters,
): TriggerLight {
  const timed = digitizer.boards.find((board) => trigger < board.triggers)!
  const light: TriggerLight = {
    trigger,
    timeMs: triggerTimeMs(timed, trigger),
    charges: undefined,
    overThresholdNs: 0,
  }
  const withPulse = means.filter(({ measures }) => measures.overThreshold !== undefined)
  const fast = withPulse.find(({ board }) => board.model === fastModel)
  const slow = withPulse.find(({ board }) => board.model !== fastModel)
  const lasting = fast?.measures.overThreshold!.closed === true ? fast : (slow ?? fast)
  const counted = slow ?? fast
  if (lasting === undefined || counted === undefined) return light
  const { begin, end } = lasting.measures.overThreshold!
  light.overThresholdNs = (end - begin) * nsPerSample(lasting.board)
  light.charges = chargesOf(counted.board, trigger, counted.measures.overThreshold!, counted.tubes, parameters)
  return light
}

function chargesOf(
  board: DigitizerBoard,
  trigger: number,
  window: { begin: number; end: number },
  tubes: readonly Float64Array[],
  parameters: WaveformParameters,
): TriggerLight['charges'] {
  const ns = nsPerSample(board)
  const isFast = board.model === fastModel
  const baselineSamples = isFast ? parameters.fastBaselineSamples : parameters.slowBaselineSamples
  const first = Math.max(0, window.begin - Math.ceil(chargeBeforeNs / ns))
  // The smoothed trace stands earlier by a smoothing length.
  const after = Math.ceil(chargeAfterNs / ns) + parameters.pmtSmoothingSamples - 1
  const end = Math.min(board.samples, window.end + after)
  const fullScaleMv = isFast ? parameters.fastFullScaleMv : parameters.slowFullScaleMv
  const countsPerPhotoElectron = (parameters.singlePhotoElectronMvNs * (board.vertical || 4096)) / fullScaleMv / ns
  const counts: number[] = []
  const variances: number[] = []
  const clipped: boolean[] = []
  tubes.forEach((tube, index) => {
    let charge = 0
    for (let i = first; i < end; i++) charge += tube[i]!
    const recorded = waveformOf(board, trigger, Math.max(0, parameters.pmtFirstChannel) + index)
    clipped.push(recorded.subarray(first, end).includes(0))
    const noise = rmsOf(tube, baselineSamples)
    const samples = end - first
    counts.push(charge)
    // Noise in the window, error of the baseline, statistics of photo-electrons (and of the gain of each: a factor 2).
    variances.push(
      noise ** 2 * (samples + samples ** 2 / baselineSamples) + 2 * countsPerPhotoElectron * Math.max(0, charge),
    )
  })
  return { counts, variances, clipped }
}

/** The digitizer banks of a picture and what is needed to read them, as they go to a worker. */
export interface DigitizerRequest {
  event: number
  header: Uint8Array<ArrayBuffer>
  samples: Uint8Array<ArrayBuffer>
  exposureMs: number | undefined
  alreadyCorrected: boolean
}

/** Analyses the banks; they have been decoded once before, so that they fit together. */
export function analyseRequest(
  { event, header, samples, exposureMs, alreadyCorrected }: DigitizerRequest,
  parameters: WaveformParameters,
  tables: Drs4Tables | undefined,
): EventWaveforms {
  return analyseEvent(event, decodeDigitizer(header, samples), { parameters, exposureMs, tables, alreadyCorrected })
}
