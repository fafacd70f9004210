import type { FileHandle } from 'node:fs/promises'
import { Fault } from '../foundation/errors.ts'
import { isGzip, openRunFile, readAt, sizeChange } from './byte-source.ts'
import { frameOf, isCameraBank } from './camera.ts'
import type { Frame } from './camera.ts'
import { decodeDigitizer } from './digitizer.ts'
import type { DigitizerEvent } from './digitizer.ts'
import { detectorFaults } from './errors.ts'
import {
  bankFormatOf,
  bankHeaderBytes,
  banksAtMost,
  decodeBankHeader,
  decodeBanks,
  oversizeBank,
  paddedBytes,
  tooManyBanks,
} from './midas-bank.ts'
import { decodeEventHeader, defaultMaxEventBytes, eventHeaderBytes, implausible } from './midas-event.ts'
import type { MidasEvent, RunFault } from './midas-event.ts'
import { hopMembers, indexGzip, readCompressedEntry } from './gzip-index.ts'
import { addEntry } from './index-entries.ts'
import type { IndexOptions, MidasIndex, MidasIndexEntry } from './index-entries.ts'
import { emptyOutcome, judgeRun, openMidasFile } from './midas-reader.ts'
import type { MidasOutcome } from './midas-reader.ts'

export type { MidasIndex, MidasIndexEntry } from './index-entries.ts'

/** A picture of a run: all cameras, and the waveforms read with it. */
export interface Picture {
  event: MidasEvent
  frames: Frame[]
  /** Undefined without digitizer banks, or where they do not fit together. */
  digitizer: DigitizerEvent | undefined
  /** Why the digitizer banks could not be decoded. */
  digitizerDamage?: string
}

/**
 * The table of contents of a run file. A plain file is skipped through by its headers, a few reads of 16 bytes per event, so that gigabytes take
 * milliseconds; so is a gzip file of event members; any other gzip file has to be inflated to its end, once, and can be entered anywhere afterwards.
 * Offsets are those of the uncompressed stream. Damage stands in `outcome`, as for the stream.
 */
export async function openMidasIndex(path: string, options: IndexOptions = {}): Promise<MidasIndex> {
  const handle = await openRunFile(path)
  try {
    if (!(await isGzip(handle))) return await indexPlain(path, handle, options)
    // What a hop finds is only told when it came to the end of the file.
    const hopped = await hopMembers(path, handle, withoutCalls(options))
    if (!hopped || options.inflate) return await indexGzip(path, options, hopped)
    for (const entry of hopped.entries) await options.onEntry?.(entry, hopped.outcome)
    return hopped
  } finally {
    await handle.close()
  }
}

const withoutCalls = ({ signal }: IndexOptions): IndexOptions => (signal ? { signal } : {})

async function indexPlain(path: string, handle: FileHandle, options: IndexOptions): Promise<MidasIndex> {
  const { size } = await handle.stat()
  const limit = options.maxEventBytes ?? defaultMaxEventBytes
  const outcome: MidasOutcome = { ...emptyOutcome(), fileSizeBytes: size }
  const judge = judgeRun(outcome)
  const index: MidasIndex = { path, entries: [], pictures: [], outcome }
  const accept = async (entry: MidasIndexEntry): Promise<void> => {
    judge.event(entry, entry.byteOffset)
    if (entry.damage !== undefined) {
      outcome.damagedEvents++
      judge.fault({ code: 'damaged-event', byteOffset: entry.byteOffset, reason: entry.damage })
    }
    if (entry.kind === 'event') outcome.events++
    outcome.bytesRead = outcome.consumedBytes = entry.byteOffset + eventHeaderBytes + entry.dataSizeBytes
    await addEntry(index, entry, options)
  }
  const corrupt = (entry: MidasIndexEntry): RunFault => ({
    code: 'corrupt',
    byteOffset: entry.byteOffset,
    reason: `what stands here is not an event: ${entry.damage}`,
  })
  let held: MidasIndexEntry | undefined
  let offset = 0
  while (offset < size) {
    options.signal?.throwIfAborted()
    const head = await readAt(handle, Math.min(eventHeaderBytes + 8, size - offset), offset)
    if (head.length < eventHeaderBytes) {
      judge.lost(
        held
          ? corrupt(held)
          : {
              code: 'truncated',
              byteOffset: offset,
              reason: `the file ends in the middle of an event header, ${head.length} bytes into it`,
            },
      )
      held = undefined
      break
    }
    const header = decodeEventHeader(head)
    const oversize = header.dataSizeBytes > limit
    const left = size - offset - eventHeaderBytes
    const bodyHead = head.subarray(eventHeaderBytes, eventHeaderBytes + Math.min(8, header.dataSizeBytes))
    const damage = oversize
      ? `an event claims ${header.dataSizeBytes} bytes, more than the limit of ${limit}`
      : implausible(header, bodyHead)
    if (held && damage !== undefined) {
      judge.lost(corrupt(held))
      held = undefined
      break
    }
    if (held) await accept(held)
    held = undefined
    if (oversize) {
      judge.lost({ code: 'corrupt', byteOffset: offset, reason: damage ?? '' })
      break
    }
    if (header.dataSizeBytes > left) {
      const cut = `the file ends in the middle of an event, after ${left} of ${header.dataSizeBytes} bytes`
      judge.lost(
        damage !== undefined && left >= 8
          ? { code: 'corrupt', byteOffset: offset, reason: damage }
          : { code: 'truncated', byteOffset: offset, reason: cut },
      )
      break
    }
    const entry: MidasIndexEntry = { ...header, byteOffset: offset, banks: [] }
    const walked =
      damage === undefined && header.kind === 'event'
        ? await walkBanks(handle, offset + eventHeaderBytes, bodyHead)
        : { banks: [] }
    const tooMany = judge.count(1 + walked.banks.length, offset)
    if (tooMany) {
      judge.lost(tooMany)
      break
    }
    if (damage !== undefined) held = { ...entry, damage }
    else await accept({ ...entry, ...walked })
    offset += eventHeaderBytes + header.dataSizeBytes
  }
  if (held) await accept(held)
  const change = await sizeChange(handle, size)
  if (change) {
    outcome.fault = undefined
    judge.fault({ ...change, byteOffset: outcome.bytesRead })
  }
  judge.end(outcome.bytesRead)
  outcome.complete = judge.complete()
  return index
}

/** The bank headers of one event, their data skipped; stops where `decodeBanks` does. */
async function walkBanks(
  handle: FileHandle,
  bodyOffset: number,
  bodyHead: Uint8Array,
): Promise<Pick<MidasIndexEntry, 'banks' | 'damage'>> {
  const view = new DataView(bodyHead.buffer, bodyHead.byteOffset, 8)
  const format = bankFormatOf(view.getUint32(4, true)) ?? '32-bit'
  const headerBytes = bankHeaderBytes[format]
  const end = bodyOffset + 8 + view.getUint32(0, true)
  const banks: MidasIndexEntry['banks'] = []
  for (let offset = bodyOffset + 8; offset + headerBytes <= end;) {
    if (banks.length === banksAtMost) return { banks, damage: tooManyBanks }
    const bytes = await readAt(handle, headerBytes, offset)
    // Only a file that shrinks under our hands ends here; the end of the index says so.
    if (bytes.length < headerBytes) break
    const { name, type, sizeBytes } = decodeBankHeader(bytes, format)
    const start = offset + headerBytes
    if (start + sizeBytes > end) return { banks, damage: oversizeBank(name, sizeBytes, end - start) }
    banks.push({ name, type, byteOffset: start, sizeBytes })
    offset = start + paddedBytes(sizeBytes)
  }
  return { banks }
}

async function readIndexedBytes(path: string, byteOffset: number, sizeBytes: number): Promise<Uint8Array> {
  const handle = await openRunFile(path)
  try {
    const bytes = await readAt(handle, sizeBytes, byteOffset)
    if (bytes.length === sizeBytes) return bytes
    throw detectorFaults.unreadableFile(
      `${path} ends at byte ${byteOffset + bytes.length}, before the end of the event; it shrank since it was indexed.`,
    )
  } finally {
    await handle.close()
  }
}

export interface AccessOptions {
  signal?: AbortSignal
}

/**
 * The event at a position of the file, begin of run being position 0. With the index of a plain file it is one read, with that of a gzip file
 * inflating from shortly before it; with a path the stream is read up to the event and no further. Throws `noSuchEvent` for a position the file does not have.
 */
export async function readEventAt(
  source: MidasIndex | string,
  position: number,
  options: AccessOptions = {},
): Promise<MidasEvent> {
  if (typeof source !== 'string') {
    const entry = source.entries[position]
    if (!entry) throw noSuchEvent(source.path, position, source.entries.length)
    return await readEntry(source, position, options.signal)
  }
  let at = 0
  for await (const event of openMidasFile(source, options)) if (at++ === position) return event
  throw noSuchEvent(source, position, at)
}

async function readEntry(index: MidasIndex, position: number, signal: AbortSignal | undefined): Promise<MidasEvent> {
  const { banks: _, dataSizeBytes, ...fields } = index.entries[position]!
  const { path, seek } = index
  const data = seek
    ? await readCompressedEntry({ ...index, seek }, position, signal)
    : await readIndexedBytes(path, fields.byteOffset + eventHeaderBytes, dataSizeBytes)
  return { ...fields, data }
}

const noSuchEvent = (path: string, position: number, found: number) =>
  detectorFaults.noSuchEvent(`${path} has no event ${position}: it holds ${found}, counted from 0.`)

/**
 * Picture k of a run (from 0): the k-th event with a camera bank. Costs as `readEventAt`; from a path of a plain file the index is made first.
 * `hint` is the frame shape of the ODB, needed for cropped rectangles only. Throws `noSuchEvent`, `badFrame`.
 */
export async function readPictureAt(
  source: MidasIndex | string,
  picture: number,
  options: AccessOptions & { hint?: { width: number; height: number } } = {},
): Promise<Picture> {
  const index = typeof source === 'string' ? await indexUnlessCompressed(source, options) : source
  if (index) {
    const position = index.pictures[picture]
    if (position === undefined) throw noSuchPicture(index.path, picture, index.pictures.length)
    return pictureOf(await readEntry(index, position, options.signal), options.hint)
  }
  const path = source as string
  let at = 0
  for await (const event of openMidasFile(path, options)) {
    if (event.kind !== 'event' || !decodeBanks(event.data).banks.some((bank) => isCameraBank(bank.name))) continue
    if (at++ === picture) return pictureOf(event, options.hint)
  }
  throw noSuchPicture(path, picture, at)
}

async function indexUnlessCompressed(path: string, options: AccessOptions): Promise<MidasIndex | undefined> {
  const handle = await openRunFile(path)
  try {
    return (await isGzip(handle)) ? await hopMembers(path, handle, options) : await indexPlain(path, handle, options)
  } finally {
    await handle.close()
  }
}

/** The picture an event holds. Throws `badFrame`. */
export function pictureOf(event: MidasEvent, hint: { width: number; height: number } | undefined): Picture {
  const { banks } = decodeBanks(event.data)
  const frames = banks.filter((bank) => isCameraBank(bank.name)).map((bank) => frameOf(bank, hint))
  const header = banks.find((bank) => bank.name === 'DGH0')
  const samples = banks.find((bank) => bank.name === 'DIG0')
  if (!header || !samples) return { event, frames, digitizer: undefined }
  try {
    return { event, frames, digitizer: decodeDigitizer(header.data, samples.data) }
  } catch (error) {
    if (error instanceof Fault) return { event, frames, digitizer: undefined, digitizerDamage: error.detail }
    throw error
  }
}

const noSuchPicture = (path: string, picture: number, found: number) =>
  detectorFaults.noSuchEvent(`${path} has no picture ${picture}: it holds ${found}, counted from 0.`, {
    extra: { pictures: found },
  })
