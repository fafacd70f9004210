/** Tables of contents of gzip files: by hopping over the heads of event members, or by inflating everything once. */
import type { FileHandle } from 'node:fs/promises'
import { crc32 } from 'node:zlib'
import { memberPlace, openRunFile } from './byte-source.ts'
import { detectorFaults } from './errors.ts'
import { inflateFrom } from './inflate/gzip-stream.ts'
import { findMember, inflateMember } from './inflate/member-lane.ts'
import { checkpointOf, collectPoints, pointBefore } from './inflate/seek-table.ts'
import type { SeekTable } from './inflate/seek-table.ts'
import { banksAtMost, decodeBanks } from './midas-bank.ts'
import { decodeEventHeader, encodeEventHeader, eventHeaderBytes } from './midas-event.ts'
import type { MidasEvent } from './midas-event.ts'
import { addEntry } from './index-entries.ts'
import type { IndexOptions, MidasIndex, MidasIndexEntry } from './index-entries.ts'
import { emptyOutcome, judgeRun, openMidasFile } from './midas-reader.ts'

/**
 * The index of a file whose members are one event each, by their heads alone: 32 bytes and a few more are read per event, nothing is inflated.
 * Undefined for every other file, and for one that is cut or not in order from its first byte to its last: that has to be looked at as a whole.
 */
export async function hopMembers(
  path: string,
  handle: FileHandle,
  options: IndexOptions,
): Promise<MidasIndex | undefined> {
  const { size } = await handle.stat()
  const outcome = { ...emptyOutcome(), compressed: true, fileSizeBytes: size }
  const judge = judgeRun(outcome)
  const offsets: number[] = []
  const index: MidasIndex = { path, entries: [], pictures: [], outcome, seek: { kind: 'members', offsets } }
  let at = 0
  let byteOffset = 0
  while (at < size) {
    options.signal?.throwIfAborted()
    const member = await findMember(handle, at, size)
    const banks = member?.event.banks
    if (!member || !banks || banks.length > banksAtMost) return undefined
    const header = decodeEventHeader(member.event.eventHeader)
    if (judge.count(1 + banks.length, byteOffset)) return undefined
    judge.event(header, byteOffset)
    const start = byteOffset
    offsets.push(at)
    at += member.event.compressedBytes
    byteOffset += member.event.uncompressedBytes
    if (header.kind === 'event') outcome.events++
    outcome.bytesRead = byteOffset
    outcome.consumedBytes = at
    await addEntry(
      index,
      {
        ...header,
        byteOffset: start,
        banks: banks.map((bank) => ({ ...bank, byteOffset: start + bank.byteOffset })),
      },
      options,
    )
  }
  judge.end(byteOffset)
  outcome.complete = judge.complete()
  return index
}

/**
 * The index of any gzip file, by inflating it once; damage stands in the outcome, as for the stream. `hopped` is what the heads of event members
 * say, if they were asked: then no points are needed.
 */
export async function indexGzip(path: string, options: IndexOptions, hopped?: MidasIndex): Promise<MidasIndex> {
  const { points, windows, onPlace } = collectPoints()
  const reader = openMidasFile(path, hopped ? options : { ...options, onPlace })
  const checksums: number[] = []
  const seek: SeekTable = hopped?.seek ?? { kind: 'points', points, checksums, windows: { bytes: windows } }
  const index: MidasIndex = { path, entries: [], pictures: [], outcome: reader.outcome, seek }
  for await (const event of reader) {
    if (!hopped) checksums.push(checksumOf(event))
    await addEntry(index, entryOf(event), options)
    await options.onEvent?.(event, index)
  }
  if (seek.kind === 'members') seek.offsets.splice(index.entries.length)
  return index
}

const checksumOf = (event: MidasEvent): number =>
  crc32(event.data, crc32(encodeEventHeader({ ...event, dataSizeBytes: event.data.length })))

function entryOf(event: MidasEvent): MidasIndexEntry {
  const { data, ...fields } = event
  const entry: MidasIndexEntry = { ...fields, dataSizeBytes: data.length, banks: [] }
  if (event.kind !== 'event') return entry
  const start = event.byteOffset + eventHeaderBytes
  entry.banks = decodeBanks(data).banks.map((bank) => ({
    name: bank.name,
    type: bank.type,
    byteOffset: start + bank.data.byteOffset - data.byteOffset,
    sizeBytes: bank.data.length,
  }))
  return entry
}

/** The body of an entry. Throws `unreadableFile` when what lies there is not what was indexed. */
export async function readCompressedEntry(
  index: MidasIndex & { seek: SeekTable },
  position: number,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const entry = index.entries[position]!
  const handle = await openRunFile(index.path)
  try {
    const found =
      index.seek.kind === 'members'
        ? await fromMember(handle, index.seek.offsets[position]!, entry)
        : await fromPoint(handle, index.seek, position, entry, signal)
    if (found !== undefined) return found
  } finally {
    await handle.close()
  }
  throw detectorFaults.unreadableFile(
    `Event ${position} of ${index.path} is not what was indexed: the file was changed or is damaged there.`,
  )
}

async function fromMember(handle: FileHandle, at: number, entry: MidasIndexEntry): Promise<Uint8Array | undefined> {
  const member = await findMember(handle, at, (await handle.stat()).size)
  if (!member || member.event.uncompressedBytes !== eventHeaderBytes + entry.dataSizeBytes) return undefined
  const bytes = await inflateMember(handle, member)
  const same = encodeEventHeader(entry).every((byte, i) => byte === bytes?.[i])
  return same ? bytes?.subarray(eventHeaderBytes) : undefined
}

async function fromPoint(
  handle: FileHandle,
  seek: SeekTable & { kind: 'points' },
  position: number,
  entry: MidasIndexEntry,
  signal: AbortSignal | undefined,
): Promise<Uint8Array | undefined> {
  const point = pointBefore(seek.points, entry.byteOffset)
  const from = point === undefined ? memberPlace(0, 0) : await checkpointOf(seek, point)
  if (!from) return undefined
  const { bytes } = await inflateFrom(handle, {
    sizeBytes: (await handle.stat()).size,
    from,
    skip: entry.byteOffset - from.uncompressed,
    count: eventHeaderBytes + entry.dataSizeBytes,
    signal,
  })
  return crc32(bytes) === seek.checksums[position] ? bytes.subarray(eventHeaderBytes) : undefined
}
