import { detectorFaults } from './errors.ts'

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
export const fastModel = 1742
const startCellModel = fastModel

/**
 * Decodes the two digitizer banks of a picture: DGH0 (u32: what was read) and DIG0 (u16: the samples). The header's first word is the number of
 * boards, or a version of 1000 or more followed by it. Throws `badDigitizer` where the header is cut or the samples are not as many as it says.
 */
export function decodeDigitizer(header: Uint8Array, samples: Uint8Array): DigitizerEvent {
  const { version, boards } = decodeDigitizerHeader(header)
  const expected = boards.reduce((sum, board) => sum + board.triggers * board.channels * board.samples, 0)
  if (samples.length !== expected * 2)
    throw detectorFaults.badDigitizer(`DGH0 announces ${expected} samples, DIG0 holds ${samples.length / 2}.`)
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

/** DGH0 alone, the waveforms empty: how many triggers a picture has, without its samples. Throws `badDigitizer`. */
export function decodeDigitizerHeader(header: Uint8Array): DigitizerEvent {
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength)
  const words = Math.floor(header.length / 4)
  let at = 0
  const word = (): number => {
    if (at >= words) throw detectorFaults.badDigitizer(`DGH0 ends after ${words} words, in the middle of a board.`)
    return view.getUint32(4 * at++, true)
  }
  const list = (count: number, what: string): number[] => {
    if (count > words - at)
      throw detectorFaults.badDigitizer(`DGH0 announces ${count} ${what} where ${words - at} words are left.`)
    return Array.from({ length: count }, word)
  }
  const first = word()
  const version = first >= 1000 ? first : 0
  const count = version > 0 ? word() : first
  if (count > 16) throw detectorFaults.badDigitizer(`DGH0 announces ${count} boards; a crate holds fewer.`)
  const boards: DigitizerBoard[] = []
  for (let i = 0; i < count; i++) {
    const [model, sampleCount, channels, triggers, vertical, sampling] = [
      word(),
      word(),
      word(),
      word(),
      word(),
      word(),
    ]
    boards.push({
      model,
      samples: sampleCount,
      channels,
      triggers,
      vertical,
      sampling,
      offsets: list(channels, 'channels'),
      timeTags: list(triggers, 'triggers'),
      extraTags: version > 0 ? list(triggers, 'triggers') : [],
      startCells: model === startCellModel ? list(triggers, 'triggers') : [],
      waveforms: new Uint16Array(0),
    })
  }
  return { version, boards }
}

/** The waveform of one trigger and channel (a view). */
export function waveformOf(board: DigitizerBoard, trigger: number, channel: number): Uint16Array {
  const start = (trigger * board.channels + channel) * board.samples
  return board.waveforms.subarray(start, start + board.samples)
}

/** The two banks of a picture. Throws RangeError where lists and counts disagree. */
export function encodeDigitizer(event: DigitizerEvent): { header: Uint8Array; samples: Uint8Array } {
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
