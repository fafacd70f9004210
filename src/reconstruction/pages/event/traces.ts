/** Recorded traces as drawings. Pure. */
import type { TraceBoard, Waveform } from '../../contract.ts'

/** Photomultipliers first, then GEMs; what no cable is on is left out. */
export function shownChannels(board: TraceBoard): TraceBoard['channels'] {
  const order = { pmt: 0, gem: 1, trigger: 2, unused: 3 }
  return board.channels
    .filter(({ kind }) => kind === 'pmt' || kind === 'gem')
    .toSorted((a, b) => order[a.kind] - order[b.kind] || a.channel - b.channel)
}

/** A closed band between the lowest and the highest counts, filling the height; `yOf` puts other counts beside it. */
export function envelopePath(
  low: readonly number[],
  high: readonly number[],
  width: number,
  height: number,
): { path: string; yOf: (counts: number) => number } {
  let least = Infinity
  let most = -Infinity
  for (const value of low) if (value < least) least = value
  for (const value of high) if (value > most) most = value
  const span = Math.max(most - least, 1)
  const yOf = (counts: number): number => Number((height - 3 - ((counts - least) / span) * (height - 6)).toFixed(1))
  if (low.length === 0) return { path: '', yOf }
  const xOf = (index: number): number => Number((((index + 0.5) / low.length) * width).toFixed(1))
  const upper = high.map((value, index) => `${xOf(index)} ${yOf(value)}`)
  const lower = low.map((value, index) => `${xOf(index)} ${yOf(value)}`).toReversed()
  return { path: `M${[...upper, ...lower].join('L')}Z`, yOf }
}

export interface Peak {
  /** Samples from the beginning of the trace. */
  position: number
  heightCounts: number
  halfWidth: number
  fullWidth: number
}

/** Peaks of a row of the waveform table. */
export function peaksOf(row: Pick<Waveform, 'peakList'>): Peak[] {
  try {
    const list = JSON.parse(row.peakList) as unknown
    if (!Array.isArray(list)) return []
    return list.flatMap((peak: unknown) => {
      if (!Array.isArray(peak) || peak.length < 4 || !peak.every((one) => typeof one === 'number')) return []
      const [position, heightCounts, halfWidth, fullWidth] = peak as [number, number, number, number]
      return [{ position, heightCounts, halfWidth, fullWidth }]
    })
  } catch {
    return []
  }
}

/**
 * Where a pulse stood above threshold. The table says for how many samples it did, not from when on: it is the stretch of
 * that length with most light (pulses go down). Undefined without a pulse.
 */
export function aboveThreshold(
  channel: { low: readonly number[]; high: readonly number[] },
  baselineCounts: number,
  lengthSamples: number,
  samplesPerPoint: number,
): { from: number; to: number } | undefined {
  const length = Math.min(channel.low.length, Math.max(1, Math.round(lengthSamples / samplesPerPoint)))
  if (lengthSamples <= 0 || length === 0) return undefined
  const depth = (index: number): number => baselineCounts - ((channel.low[index] ?? 0) + (channel.high[index] ?? 0)) / 2
  let sum = 0
  let best = -Infinity
  let from = 0
  for (let index = 0; index < channel.low.length; index += 1) {
    sum += depth(index) - (index >= length ? depth(index - length) : 0)
    if (index >= length - 1 && sum > best) {
      best = sum
      from = index - length + 1
    }
  }
  return { from: from * samplesPerPoint, to: (from + length) * samplesPerPoint }
}
