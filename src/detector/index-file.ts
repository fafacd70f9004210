/**
 * The table of contents of a compressed run as a file: saved once, read in a millisecond.
 *
 *   0 "CYGNETIX"   8 u32 version   12 u32 size of the deflated table   16 u32 CRC32 of it   20 the table, JSON   then the windows of the seek points
 *
 * Size: windows at most 64 KiB and a hundredth of the run file; the table some 20 bytes per event. It is bound to the state of the file it was made
 * from; whatever is wrong with it, it counts as not there.
 */
import { open } from 'node:fs/promises'
import { promisify } from 'node:util'
import { crc32, deflateRawSync, inflateRaw } from 'node:zlib'
import { z } from 'zod'
import { writeFileDurable } from '../foundation/files.ts'
import { openRunFile, readAt } from './byte-source.ts'
import { sameFile, stampOf } from './file-stamp.ts'
import type { FileStamp } from './file-stamp.ts'
import { addEntry } from './index-entries.ts'
import type { MidasIndex, MidasIndexEntry } from './index-entries.ts'
import { windowBytes } from './inflate/inflate-machine.ts'
import { decodeEventHeader, defaultMaxEventBytes, encodeEventHeader, eventHeaderBytes } from './midas-event.ts'

const magic = 'CYGNETIX'
const version = 1
const headBytes = 20
/** Of the table: far more than the longest run needs. */
const deflatedTableAtMost = 64 * 1024 * 1024
const tableAtMost = 256 * 1024 * 1024

const whole = z.int().min(0)
const checksum = z.int().min(0).max(0xffffffff)
const bankRow = z.tuple([z.string().length(4), checksum, whole, whole])
const faultCodes = [
  'empty',
  'truncated',
  'corrupt',
  'damaged-event',
  'bad-gzip',
  'no-begin-of-run',
  'no-end-of-run',
  'trailing-data',
  'changed-while-read',
] as const
const tableSchema = z.strictObject({
  file: z.strictObject({ sizeBytes: whole, changedNs: z.string(), edgesCrc: checksum }),
  outcome: z.strictObject({
    complete: z.boolean(),
    fault: z
      .strictObject({
        code: z.enum(faultCodes),
        byteOffset: whole,
        reason: z.string(),
        compressedOffset: whole.optional(),
      })
      .optional(),
    events: whole,
    damagedEvents: whole,
    number: whole.optional(),
    bytesRead: whole,
    consumedBytes: whole,
    fileSizeBytes: whole,
    compressed: z.literal(true),
  }),
  /** id, mask, serial, time, offset, size, banks (name, type, offset, size), damage. */
  entries: z.array(z.tuple([checksum, checksum, checksum, checksum, whole, whole, z.array(bankRow)], z.string())),
  seek: z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('members'), offsets: z.array(whole) }),
    z.strictObject({
      kind: z.literal('points'),
      checksums: z.array(checksum),
      /** uncompressed, compressed bit, header bit, stored left, last block, member head, window: at, size, CRC. */
      points: z.array(
        z.tuple([whole, whole, z.int().min(-1), whole.max(0xffff), z.boolean(), z.boolean(), whole, whole, checksum]),
      ),
    }),
  ]),
})

/** Writes the index of a compressed run, whole or not at all. `stamp` is that of the run file before it was read. */
export async function saveIndex(path: string, index: MidasIndex, stamp: FileStamp): Promise<void> {
  const { outcome, entries, seek } = index
  if (!seek) throw new TypeError('only compressed files have an index worth saving')
  const table: z.input<typeof tableSchema> = {
    file: stamp,
    outcome: { ...outcome, compressed: true },
    entries: entries.map((entry) => [
      entry.id,
      entry.triggerMask,
      entry.serialNumber,
      entry.timestampSeconds,
      entry.byteOffset,
      entry.dataSizeBytes,
      entry.banks.map((bank) => [bank.name, bank.type, bank.byteOffset, bank.sizeBytes]),
      ...(entry.damage === undefined ? [] : [entry.damage]),
    ]),
    seek:
      seek.kind === 'members'
        ? seek
        : {
            kind: 'points',
            checksums: seek.checksums,
            points: seek.points.map((point) => [
              point.uncompressed,
              point.compressedBit,
              point.headerBit,
              point.storedLeft,
              point.lastBlock,
              point.memberHead,
              point.windowAt,
              point.windowSize,
              point.windowCrc,
            ]),
          },
  }
  const deflated = deflateRawSync(JSON.stringify(table))
  const head = Buffer.alloc(headBytes)
  head.write(magic, 'latin1')
  head.writeUInt32LE(version, 8)
  head.writeUInt32LE(deflated.length, 12)
  head.writeUInt32LE(crc32(deflated), 16)
  const windows = seek.kind === 'points' && 'bytes' in seek.windows ? seek.windows.bytes : []
  await writeFileDurable(path, Buffer.concat([head, deflated, ...windows]), { mode: 0o600 })
}

/** The saved index of a run file as it is now; undefined when there is none, none of this version, or none of this file. */
export async function loadIndex(path: string, runPath: string): Promise<MidasIndex | undefined> {
  const found = await readTable(path)
  if (!found) return undefined
  const { table, windowsAt } = found
  const run = await openRunFile(runPath)
  try {
    if (!sameFile(await stampOf(run), table.file)) return undefined
  } finally {
    await run.close()
  }
  const { fault, number, ...outcome } = table.outcome
  const index: MidasIndex = {
    path: runPath,
    entries: [],
    pictures: [],
    outcome: { ...outcome, fault: fault && withoutUndefined(fault), number },
  }
  let end = 0
  for (const row of table.entries) {
    const entry = entryOf(row)
    // Entries follow each other; so nothing outside the file is ever looked for, and nothing twice.
    if (entry.byteOffset < end || entry.dataSizeBytes > defaultMaxEventBytes) return undefined
    end = entry.byteOffset + eventHeaderBytes + entry.dataSizeBytes
    await addEntry(index, entry, {})
  }
  const { seek } = table
  if (seek.kind === 'members') {
    if (seek.offsets.length !== index.entries.length) return undefined
    return { ...index, seek }
  }
  if (seek.checksums.length !== index.entries.length) return undefined
  const points = seek.points.map(
    ([uncompressed, compressedBit, headerBit, storedLeft, lastBlock, memberHead, windowAt, windowSize, windowCrc]) => ({
      uncompressed,
      compressedBit,
      headerBit,
      storedLeft,
      lastBlock,
      memberHead,
      windowAt,
      windowSize,
      windowCrc,
    }),
  )
  const bits = table.file.sizeBytes * 8
  const sound = points.every(
    (point, i) =>
      point.compressedBit <= bits &&
      point.headerBit <= point.compressedBit &&
      point.windowSize <= 2 * windowBytes &&
      point.uncompressed >= (points[i - 1]?.uncompressed ?? 0),
  )
  if (!sound) return undefined
  const windows = { path, offset: windowsAt }
  return { ...index, seek: { kind: 'points', checksums: seek.checksums, points, windows } }
}

function entryOf(row: z.output<typeof tableSchema>['entries'][number]): MidasIndexEntry {
  const [id, triggerMask, serialNumber, timestampSeconds, byteOffset, dataSizeBytes, banks, damage] = row
  const header = { id, triggerMask, serialNumber, timestampSeconds, dataSizeBytes }
  return {
    ...decodeEventHeader(encodeEventHeader(header)),
    byteOffset,
    banks: banks.map(([name, type, at, sizeBytes]) => ({ name, type, byteOffset: at, sizeBytes })),
    ...(damage === undefined ? {} : { damage }),
  }
}

function withoutUndefined<Code>({
  compressedOffset,
  ...fault
}: {
  code: Code
  byteOffset: number
  reason: string
  compressedOffset?: number | undefined
}) {
  return compressedOffset === undefined ? fault : { ...fault, compressedOffset }
}

async function readTable(path: string) {
  const handle = await open(path, 'r').catch(() => undefined)
  if (!handle) return undefined
  try {
    const head = Buffer.from(await readAt(handle, headBytes, 0))
    if (head.length < headBytes || head.toString('latin1', 0, 8) !== magic || head.readUInt32LE(8) !== version)
      return undefined
    const size = head.readUInt32LE(12)
    if (size > deflatedTableAtMost || size > (await handle.stat()).size) return undefined
    const deflated = await readAt(handle, size, headBytes)
    if (deflated.length !== size || crc32(deflated) !== head.readUInt32LE(16)) return undefined
    const text = await promisify(inflateRaw)(deflated, { maxOutputLength: tableAtMost, chunkSize: 1 << 20 })
    const parsed = tableSchema.safeParse(JSON.parse(text.toString('utf8')))
    return parsed.success ? { table: parsed.data, windowsAt: headBytes + size } : undefined
  } catch {
    return undefined
  } finally {
    await handle.close()
  }
}
