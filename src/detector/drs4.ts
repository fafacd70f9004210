/**
 * Corrections of the DRS4 chips of the fast digitizer (V1742), done in software where the crate has not done them. The tables are measured for
 * each crate and are data of the experiment: they are read from files, never part of the program.
 *
 * Source: domain study 2.4; the rules for spikes are those of the vendor's correction routines and of the collaboration's library.
 */
import { createHash } from 'node:crypto'
import { fastModel, waveformOf } from './digitizer.ts'
import type { DigitizerBoard } from './digitizer.ts'
import { detectorFaults } from './errors.ts'
import { readNpy } from './npy-file.ts'
import { odbAt } from './odb-text.ts'
import type { Odb } from './odb-text.ts'

/** Channels of the first group, to which the one start cell that is stored belongs. */
const correctedChannels = 8
const cells = 1024

export interface Drs4Tables {
  /** Offset of each cell, counts, channel by channel (8 x 1024). */
  cell: Float64Array
  /** Offset of each position in the waveform, counts (8 x 1024). */
  sample: Float64Array
  /** Of the values, so that a result can say with which tables it was made. */
  sha256: string
}

/** Reads `table_cell_*.npy` and `table_nsample_*.npy`. Throws `noSuchFile`, `badTable`. */
export async function readDrs4Tables(cellPath: string, samplePath: string): Promise<Drs4Tables> {
  const hash = createHash('sha256')
  const [cell, sample] = await Promise.all([cellPath, samplePath].map(readTable))
  for (const values of [cell!, sample!]) hash.update(new Uint8Array(values.buffer as ArrayBuffer))
  return { cell: cell!, sample: sample!, sha256: hash.digest('hex') }
}

async function readTable(path: string): Promise<Float64Array> {
  const { shape, values } = await readNpy(path)
  if (shape.length !== 2 || shape[0] !== correctedChannels || shape[1] !== cells)
    throw detectorFaults.badTable(`${path} is ${shape.join(' x ')}, a DRS4 table is ${correctedChannels} x ${cells}.`)
  const bad = values.findIndex((value) => !Number.isFinite(value) || Math.abs(value) > 4096)
  if (bad >= 0) throw detectorFaults.badTable(`${path} holds ${values[bad]} at ${bad}; offsets are below 4096 counts.`)
  return values
}

/** True when the frontend wrote corrected waveforms; undefined when the ODB does not say (the real LIME never corrects). */
export function drs4AppliedByFrontend(odb: Odb): boolean | undefined {
  const value = odbAt(odb, '/Configurations/DRS4Correction')
  return typeof value === 'boolean' ? value : typeof value === 'number' ? value !== 0 : undefined
}

/** The input offset of a channel as a fraction of the range, from its word in the header. */
const offsetFraction = (word: number): number => (word - 32768) / 65536

/** The tables hold for channels 0 to 7 with an offset between -0.35 and -0.25: others were not measured. */
export function isCorrectable(board: DigitizerBoard, channel: number): boolean {
  const offset = offsetFraction(board.offsets[channel] ?? 32768)
  return board.model === fastModel && channel < correctedChannels && offset > -0.35 && offset < -0.25
}

/** True for a fast board whose waveforms have the length the tables were measured with. */
export function hasDrs4Correction(board: DigitizerBoard): boolean {
  return board.model === fastModel && board.samples === cells && board.channels >= correctedChannels
}

/**
 * The first eight channels of one trigger of a fast board, corrected: the offset of every cell (the waveform begins at the trigger's start cell),
 * then that of every sample, then spikes and steps that all eight channels show. Channels the tables do not hold for are returned as recorded.
 * Counts; the board is left as it is. Throws `badDigitizer` for a board of other length or fewer channels.
 */
export function correctTrigger(board: DigitizerBoard, trigger: number, tables: Drs4Tables): Float64Array[] {
  if (!hasDrs4Correction(board))
    throw detectorFaults.badDigitizer(
      `Board ${board.model} with ${board.channels} channels of ${board.samples} samples has no DRS4 correction.`,
    )
  const startCell = board.startCells[trigger]!
  const channels = Array.from({ length: correctedChannels }, (_, channel) => {
    const raw = waveformOf(board, trigger, channel)
    const corrected = Float64Array.from(raw)
    if (!isCorrectable(board, channel)) return corrected
    const row = channel * cells
    for (let i = 0; i < cells; i++)
      corrected[i] = raw[i]! - tables.cell[row + ((i + startCell) & (cells - 1))]! - tables.sample[row + i]!
    return corrected
  })
  const repaired = channels.map((samples) => samples.slice())
  repairSpikes(repaired)
  return channels.map((samples, channel) => (isCorrectable(board, channel) ? repaired[channel]! : samples))
}

const spikeCounts = 30
const stepSamples = 6
/** Second sample of a wide spike: less than this above the first. */
const wideSpikeCounts = 5

/**
 * Takes out what all channels show at the same sample: a fall of more than 30 counts of one or two samples becomes the mean of its neighbours, six
 * samples more than 30 counts above the level of the waveform become that level. A pulse is never in all channels, the trigger's among them.
 * The level is the median; the collaboration's library takes the mean, which a large pulse pulls so far down that its baseline counts as a step.
 */
export function repairSpikes(channels: readonly Float64Array[]): void {
  const length = channels[0]?.length ?? 0
  if (length < stepSamples + 2) return
  const levels = channels.map((samples) => samples.toSorted()[length >> 1]!)
  for (let i = 1; i < length; i++) {
    if (channels.every((samples) => spikeSamples(samples, i) > 0)) for (const samples of channels) repairAt(samples, i)
    if (i < length - stepSamples && channels.every((samples, channel) => isStep(samples, i, levels[channel]!)))
      channels.forEach((samples, channel) => samples.fill(levels[channel]!, i, i + stepSamples))
  }
}

/** How many samples the spike at `i` has: 0, 1 or 2. */
function spikeSamples(samples: Float64Array, i: number): 0 | 1 | 2 {
  const last = samples.length - 1
  const at = samples[i]!
  const deep = (index: number): boolean => samples[index]! - at > spikeCounts
  if (i === 1) return deep(2) ? 1 : deep(3) && samples[3]! - samples[2]! > spikeCounts ? 2 : 0
  if (!deep(i - 1)) return 0
  if (i === last) return 1
  if (deep(i + 1)) return 1
  if (i === last - 1) return 2
  return deep(i + 2) && samples[i + 1]! - at < wideSpikeCounts ? 2 : 0
}

function repairAt(samples: Float64Array, i: number): void {
  const width = spikeSamples(samples, i)
  const first = i === 1 ? 0 : i
  const end = i + width
  const left = i === 1 ? undefined : samples[i - 1]
  const right = end < samples.length ? samples[end] : undefined
  const value = left === undefined ? right! : right === undefined ? left : (left + right) / 2
  samples.fill(value, first, end)
}

function isStep(samples: Float64Array, i: number, level: number): boolean {
  for (let m = i; m < i + stepSamples; m++) if (!(samples[m]! - level > spikeCounts)) return false
  return true
}
