import { detectorFaults } from './errors.ts'
import { decodeBanks } from './midas-bank.ts'
import type { MidasEvent } from './midas-event.ts'

/** One board of a picture's readout. */
export interface DigitizerBoard {
  /** 1742 = fast (V1742, 750 MS/s at LIME), 1720 = slow (V1720, 250 MS/s); other numbers are kept. */
  model: number
  samples: number
  channels: number
  triggers: number
  /** Counts of full scale, 4096 = 12 bits. */
  vertical: number
  /** As written by the frontend: picoseconds per sample for the V1742, MS/s for the V1720. No reader relies on it. */
  sampling: number
  /** Per channel: offset fraction * 65536 + 32768. */
  offsets: number[]
  /** Per trigger, in units of 8.5 ns. */
  timeTags: number[]
  /** CYGNO-04 only: per trigger, group 1 of the V1742 or the trigger pattern of the V1720. */
  extraTags: number[]
  /** V1742 only: per trigger, DRS4 cell where the waveform starts, 0..1023. */
  startCells: number[]
  /** Waveforms of trigger, channel, sample, in this order. Counts; pulses are negative. */
  waveforms: Uint16Array
}

export interface DigitizerEvent {
  /** 0 = LIME (2022 to 2025), 1000 = CYGNO-04. */
  version: number
  boards: DigitizerBoard[]
}

export const timeTagNs = 8.5
/** The counter of the V1742 has 30 bits: it starts again after 9.1 s. */
const timeTagMask = 0x3fffffff
export const fastModel = 1742
const startCellModel = fastModel

/**
 * Decodes the two digitizer banks of a picture: DGH0 (u32: what was read) and DIG0 (u16: the samples). The header's first word is the number of
 * boards, or a version of 1000 or more followed by it. Throws `badDigitizer` where the header is cut or the samples are not as many as it says.
 */
export function decodeDigitizer(header: Uint8Array, samples: Uint8Array): DigitizerEvent {
  const { version, boards } = decodeDigitizerHeader(header)
  const expected = boards.reduce((sum, board) => sum + board.triggers * board.channels * board.samples, 0)
  if (samples.length !== expected * 2) {
    const sums = boards.map(
      (board) => `${board.model}: ${board.triggers} triggers x ${board.channels} channels x ${board.samples} samples`,
    )
    throw detectorFaults.badDigitizer(
      `DGH0 announces ${expected} samples, DIG0 holds ${samples.length / 2}${sums.length > 0 ? ` (${sums.join('; ')})` : ''}.`,
      {
        hint: `DIG0 is ${Math.abs(samples.length - expected * 2)} bytes too ${samples.length > expected * 2 ? 'long' : 'short'}.`,
      },
    )
  }
  const aligned = samples.byteOffset % 2 === 0 ? samples : samples.slice()
  const all = new Uint16Array(aligned.buffer as ArrayBuffer, aligned.byteOffset, expected)
  let start = 0
  for (const board of boards) {
    const count = board.triggers * board.channels * board.samples
    board.waveforms = all.subarray(start, start + count)
    start += count
  }
  return { version, boards }
}

/** Banks DGH0 and DIG0 of an event as they are. */
export interface DigitizerBanks {
  header: Uint8Array
  samples: Uint8Array
}

/** The digitizer banks of an event in whatever order it has them (views); undefined where it has not both. */
export function digitizerBanksOf(event: MidasEvent): DigitizerBanks | undefined {
  if (event.kind !== 'event') return undefined
  const { banks } = decodeBanks(event.data)
  const header = banks.find((bank) => bank.name === 'DGH0')?.data
  const samples = banks.find((bank) => bank.name === 'DIG0')?.data
  return header && samples ? { header, samples } : undefined
}

/** DGH0 alone, the waveforms empty: how many triggers a picture has, without its samples. Throws `badDigitizer`. */
export function decodeDigitizerHeader(header: Uint8Array): DigitizerEvent {
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength)
  const words = Math.floor(header.length / 4)
  let at = 0
  /** Every error says at which word of the bank, what should stand there, and of which board. */
  const here = (what: string): string => `word ${at} (byte ${4 * at}), where ${what} should stand`
  const word = (what: string): number => {
    if (at >= words) throw detectorFaults.badDigitizer(`DGH0 ends after ${words} words, before ${here(what)}.`)
    return view.getUint32(4 * at++, true)
  }
  const list = (length: number, what: string): number[] => {
    if (length > words - at)
      throw detectorFaults.badDigitizer(`DGH0 announces ${length} words from ${here(what)}; ${words - at} are left.`)
    return Array.from({ length }, () => word(what))
  }
  const first = word('the number of boards')
  const version = first >= 1000 ? first : 0
  const count = version > 0 ? word('the number of boards') : first
  if (count > 16)
    throw detectorFaults.badDigitizer(
      `DGH0 announces ${count} boards in word ${at - 1} (byte ${4 * (at - 1)}); a crate holds fewer.`,
    )
  const boards: DigitizerBoard[] = []
  for (let i = 0; i < count; i++) {
    const of = `of board ${i + 1} of ${count}`
    const model = word(`the model ${of}`)
    const fact = (what: string): number => word(`the ${what} ${of} (${model})`)
    const sampleCount = fact('samples per waveform')
    const channels = fact('number of channels')
    const triggers = fact('number of triggers')
    const vertical = fact('vertical resolution')
    const sampling = fact('sampling')
    const facts = (length: number, what: string): number[] => list(length, `the ${what} ${of} (${model})`)
    boards.push({
      model,
      samples: sampleCount,
      channels,
      triggers,
      vertical,
      sampling,
      offsets: facts(channels, 'channel offsets'),
      timeTags: facts(triggers, 'trigger time tags'),
      extraTags: version > 0 ? facts(triggers, 'second time tags') : [],
      startCells: model === startCellModel ? facts(triggers, 'start cells') : [],
      waveforms: new Uint16Array(0),
    })
  }
  return { version, boards }
}

/** When a trigger came, in ms after the start of the exposure. */
export function triggerTimeMs(board: DigitizerBoard, trigger: number): number {
  return ((board.timeTags[trigger]! & timeTagMask) * timeTagNs) / 1e6
}

/** The waveform of one trigger and channel (a view). */
export function waveformOf(board: DigitizerBoard, trigger: number, channel: number): Uint16Array {
  const start = (trigger * board.channels + channel) * board.samples
  return board.waveforms.subarray(start, start + board.samples)
}

/** The two banks of a picture. Throws RangeError where lists and counts disagree. */
export function encodeDigitizer(event: DigitizerEvent): DigitizerBanks {
  const words: number[] = event.version > 0 ? [event.version, event.boards.length] : [event.boards.length]
  for (const board of event.boards) {
    const expected = board.triggers * board.channels * board.samples
    if (
      board.offsets.length !== board.channels ||
      board.timeTags.length !== board.triggers ||
      board.extraTags.length !== (event.version > 0 ? board.triggers : 0) ||
      board.startCells.length !== (board.model === startCellModel ? board.triggers : 0) ||
      board.waveforms.length !== expected
    )
      throw new RangeError(`the lists of board ${board.model} do not have the lengths its counts say`)
    words.push(board.model, board.samples, board.channels, board.triggers, board.vertical, board.sampling)
    words.push(...board.offsets, ...board.timeTags, ...board.extraTags, ...board.startCells)
  }
  const header = new Uint8Array(words.length * 4)
  const view = new DataView(header.buffer)
  words.forEach((word, i) => view.setUint32(4 * i, word >>> 0, true))
  const samples = new Uint8Array(event.boards.reduce((sum, board) => sum + board.waveforms.byteLength, 0))
  let offset = 0
  for (const { waveforms } of event.boards) {
    samples.set(new Uint8Array(waveforms.buffer as ArrayBuffer, waveforms.byteOffset, waveforms.byteLength), offset)
    offset += waveforms.byteLength
  }
  return { header, samples }
}
