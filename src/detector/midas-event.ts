/** What a MIDAS file is made of: a sequence of events, each a 16-byte little-endian header and a body. */

export type MidasEventKind = 'begin-of-run' | 'end-of-run' | 'message' | 'event'

export interface MidasEvent {
  kind: MidasEventKind
  id: number
  triggerMask: number
  /** Of a begin or end of run: the run number. Of other events: counted per event id, from 0. */
  serialNumber: number
  /** UTC seconds (the header has no finer time). */
  timestampSeconds: number
  /** Where the header begins, in the uncompressed stream. */
  byteOffset: number
  /** The body, owned by the caller: banks, or the text of an ODB dump or message. */
  data: Uint8Array
  /** Set when the body is damaged although the events around it are sound. */
  damage?: string
}

export type RunFaultCode =
  | 'empty'
  | 'truncated'
  | 'corrupt'
  | 'damaged-event'
  | 'bad-gzip'
  | 'no-begin-of-run'
  | 'no-end-of-run'
  | 'trailing-data'
  | 'changed-while-read'

/** Why a file is not a sound, complete run; `reason` is a sentence for people. */
export interface RunFault {
  code: RunFaultCode
  /** In the uncompressed stream: up to here the file was understood. */
  byteOffset: number
  reason: string
  /** Where in the compressed file it was met, when its compression is what is damaged. */
  compressedOffset?: number
}

export const eventHeaderBytes = 16
export const beginOfRunId = 0x8000
export const endOfRunId = 0x8001
export const messageId = 0x8002
/** The letters "MI": trigger mask of begin and end of run. */
export const midasMagic = 0x494d
/** Flags of the body of a bank event. */
export const bankFlags = { '16-bit': 0x01, '32-bit': 0x11, '32-bit-aligned': 0x31 } as const

/** An event may claim at most this much: six 4096 x 2304 cameras make 113 MB, the frontends stop at 150 MB. */
export const defaultMaxEventBytes = 256 * 1024 * 1024

export interface EventHeader {
  kind: MidasEventKind
  id: number
  triggerMask: number
  serialNumber: number
  timestampSeconds: number
  dataSizeBytes: number
}

export function decodeEventHeader(bytes: Uint8Array): EventHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, eventHeaderBytes)
  const id = view.getUint16(0, true)
  return {
    kind:
      id === beginOfRunId ? 'begin-of-run' : id === endOfRunId ? 'end-of-run' : id === messageId ? 'message' : 'event',
    id,
    triggerMask: view.getUint16(2, true),
    serialNumber: view.getUint32(4, true),
    timestampSeconds: view.getUint32(8, true),
    dataSizeBytes: view.getUint32(12, true),
  }
}

export function encodeEventHeader(header: Omit<EventHeader, 'kind'>): Uint8Array {
  const bytes = new Uint8Array(eventHeaderBytes)
  const view = new DataView(bytes.buffer)
  view.setUint16(0, header.id, true)
  view.setUint16(2, header.triggerMask, true)
  view.setUint32(4, header.serialNumber, true)
  view.setUint32(8, header.timestampSeconds, true)
  view.setUint32(12, header.dataSizeBytes, true)
  return bytes
}

/**
 * Why these bytes cannot be an event of a run file, or undefined. `bodyHead` is the first 8 bytes of the body (fewer if it is shorter).
 * Begin and end of run carry the magic mask; everything else of the 0x8000 range but messages is not written to files; a data event opens with the bank
 * total and one of three flag words. That is enough to tell an event from pixels read as a header.
 */
export function implausible(header: EventHeader, bodyHead: Uint8Array): string | undefined {
  if (header.kind === 'begin-of-run' || header.kind === 'end-of-run')
    return header.triggerMask === midasMagic ? undefined : 'a begin or end of run without the MIDAS mark'
  if (header.kind === 'message')
    return header.dataSizeBytes <= 1 << 20 ? undefined : 'a message of more than one megabyte'
  if (header.id >= 0x8000) return `event id 0x${header.id.toString(16)} is never written to a file`
  if (header.dataSizeBytes < 8 || bodyHead.length < 8) return 'an event too short to hold banks'
  const view = new DataView(bodyHead.buffer, bodyHead.byteOffset, 8)
  const total = view.getUint32(0, true)
  const flags = view.getUint32(4, true)
  if (flags !== bankFlags['16-bit'] && flags !== bankFlags['32-bit'] && flags !== bankFlags['32-bit-aligned'])
    return `bank flags 0x${flags.toString(16)} are none of the three known forms`
  if (total + 8 > header.dataSizeBytes)
    return `banks of ${total} bytes do not fit in an event of ${header.dataSizeBytes}`
  return undefined
}
