/** Recorded traces for drawing: every channel of one trigger, thinned out to the lowest and highest count per point. */
import { fastModel, waveformOf } from '../../detector/index.ts'
import type { DigitizerBoard } from '../../detector/index.ts'
import type { TraceBoard } from '../waveform-contract.ts'
import type { WaveformParameters } from '../waveform-parameters.ts'
import { nsPerSample } from './analyse-event.ts'

const slowModel = 1720

/** A board's traces of one trigger as at most `points` points. */
export function tracesOf(
  board: DigitizerBoard,
  trigger: number,
  points: number,
  parameters: WaveformParameters,
): TraceBoard {
  const samplesPerPoint = Math.max(1, Math.ceil(board.samples / points))
  return {
    name: board.model === fastModel ? 'fast' : board.model === slowModel ? 'slow' : 'other',
    model: board.model,
    samples: board.samples,
    nsPerSample: nsPerSample(board),
    samplesPerPoint,
    channels: Array.from({ length: board.channels }, (_, channel) => ({
      channel,
      ...labelOf(channel, board.model === fastModel, parameters),
      ...thinned(waveformOf(board, trigger, channel), samplesPerPoint),
    })),
  }
}

function labelOf(
  channel: number,
  withGems: boolean,
  { pmtFirstChannel, pmtLastChannel, gemFirstChannel, gemLastChannel }: WaveformParameters,
): Pick<TraceBoard['channels'][number], 'label' | 'kind'> {
  if (channel === 0) return { label: 'trigger', kind: 'trigger' }
  if (channel >= pmtFirstChannel && channel <= pmtLastChannel)
    return { label: `PMT${channel - pmtFirstChannel + 1}`, kind: 'pmt' }
  if (withGems && channel >= gemFirstChannel && channel <= gemLastChannel)
    return { label: `GEM${channel - gemFirstChannel + 1}`, kind: 'gem' }
  return { label: `channel ${channel}`, kind: 'unused' }
}

function thinned(samples: Uint16Array, samplesPerPoint: number): { low: number[]; high: number[] } {
  if (samplesPerPoint === 1) return { low: [...samples], high: [...samples] }
  const low: number[] = []
  const high: number[] = []
  for (let from = 0; from < samples.length; from += samplesPerPoint) {
    const end = Math.min(samples.length, from + samplesPerPoint)
    let least = samples[from]!
    let most = least
    for (let i = from + 1; i < end; i++) {
      const value = samples[i]!
      if (value < least) least = value
      else if (value > most) most = value
    }
    low.push(least)
    high.push(most)
  }
  return { low, high }
}
