/**
 * Heads of gzip members (RFC 1952), and the subfield "CY" that we put into the head of a member that holds exactly one event. Any gunzip passes
 * over it; with it a reader hops from event to event without inflating:
 *
 *   0 u32  CRC32 of the rest of the subfield     4 u64 size of the whole member, head and tail included     12 u64 size of what it holds
 *   20     the 16 bytes of the event's header    36 u16 number of banks, 0xffff = not told
 *   38     for each bank: name (4 bytes), u32 type, u32 size of its data, u32 where the data begin in the event
 */
import { crc32 } from 'node:zlib'
import { eventHeaderBytes } from '../midas-event.ts'

export interface MemberHead {
  /** Of the head itself. */
  sizeBytes: number
  event: EventMember | undefined
}

export interface EventMember {
  /** Of the whole member. */
  compressedBytes: number
  uncompressedBytes: number
  eventHeader: Uint8Array
  /** Offsets in the event; undefined when there are too many to be told. */
  banks: { name: string; type: number; byteOffset: number; sizeBytes: number }[] | undefined
}

const subfieldId = [0x43, 0x59] as const
const fixedBytes = 38
const bankBytes = 16
const unknownBanks = 0xffff
/** What fits in an extra field of 65535 bytes. */
const banksAtMost = 4000
export const memberTailBytes = 8
/** A head longer than that (a file name or comment without end) is damage. */
export const headBytesAtMost = 128 * 1024

const flag = { headerCrc: 2, extra: 4, name: 8, comment: 16, reserved: 0xe0 } as const

/** Undefined when more bytes are needed; a text says why these cannot be the head of a gzip member. */
export function parseMemberHead(bytes: Uint8Array): MemberHead | string | undefined {
  if (bytes.length < 10) return bytes.length >= 2 && !isGzipHead(bytes) ? 'no gzip head' : undefined
  if (!isGzipHead(bytes)) return 'no gzip head'
  if (bytes[2] !== 8) return `compression method ${bytes[2]}, which is none`
  const flags = bytes[3]!
  if (flags & flag.reserved) return 'flags that no gzip sets'
  let at = 10
  let event: EventMember | undefined
  if (flags & flag.extra) {
    if (bytes.length < at + 2) return undefined
    const length = bytes[at]! | (bytes[at + 1]! << 8)
    at += 2
    if (bytes.length < at + length) return undefined
    event = findSubfield(bytes.subarray(at, at + length))
    at += length
  }
  for (const text of [flag.name, flag.comment]) {
    if (!(flags & text)) continue
    const end = bytes.indexOf(0, at)
    if (end < 0) return bytes.length > headBytesAtMost ? 'a name without end' : undefined
    at = end + 1
  }
  if (flags & flag.headerCrc) {
    if (bytes.length < at + 2) return undefined
    const told = bytes[at]! | (bytes[at + 1]! << 8)
    if ((crc32(bytes.subarray(0, at)) & 0xffff) !== told) return 'a head whose checksum is wrong'
    at += 2
  }
  return { sizeBytes: at, event }
}

const isGzipHead = (bytes: Uint8Array): boolean => bytes[0] === 0x1f && bytes[1] === 0x8b

function findSubfield(extra: Uint8Array): EventMember | undefined {
  for (let at = 0; at + 4 <= extra.length;) {
    const length = extra[at + 2]! | (extra[at + 3]! << 8)
    const data = extra.subarray(at + 4, at + 4 + length)
    if (extra[at] === subfieldId[0] && extra[at + 1] === subfieldId[1] && data.length === length)
      return parseSubfield(data)
    at += 4 + length
  }
  return undefined
}

/** Undefined for anything that is not whole and of sense: such a member is inflated like any other. */
function parseSubfield(data: Uint8Array): EventMember | undefined {
  if (data.length < fixedBytes) return undefined
  const view = new DataView(data.buffer, data.byteOffset, data.length)
  if (view.getUint32(0, true) !== crc32(data.subarray(4))) return undefined
  const compressedBytes = Number(view.getBigUint64(4, true))
  const uncompressedBytes = Number(view.getBigUint64(12, true))
  if (!Number.isSafeInteger(compressedBytes) || uncompressedBytes < eventHeaderBytes) return undefined
  if (uncompressedBytes !== eventHeaderBytes + view.getUint32(20 + 12, true)) return undefined
  const eventHeader = data.slice(20, 20 + eventHeaderBytes)
  const count = view.getUint16(36, true)
  if (count === unknownBanks) return { compressedBytes, uncompressedBytes, eventHeader, banks: undefined }
  if (data.length !== fixedBytes + count * bankBytes) return undefined
  const banks = Array.from({ length: count }, (_, i) => {
    const at = fixedBytes + i * bankBytes
    return {
      name: String.fromCharCode(data[at]!, data[at + 1]!, data[at + 2]!, data[at + 3]!),
      type: view.getUint32(at + 4, true),
      sizeBytes: view.getUint32(at + 8, true),
      byteOffset: view.getUint32(at + 12, true),
    }
  })
  if (banks.some((bank) => bank.byteOffset + bank.sizeBytes > uncompressedBytes)) return undefined
  return { compressedBytes, uncompressedBytes, eventHeader, banks }
}

/** Head and tail around the deflated bytes of one event. `crc` is that of the event, header and body. */
export function encodeEventMember(
  event: Pick<EventMember, 'uncompressedBytes' | 'eventHeader' | 'banks'>,
  deflated: Uint8Array,
  crc: number,
): { head: Uint8Array; tail: Uint8Array } {
  const banks = event.banks !== undefined && event.banks.length <= banksAtMost ? event.banks : undefined
  const length = fixedBytes + (banks?.length ?? 0) * bankBytes
  const head = new Uint8Array(12 + 4 + length)
  // No name, no time; 4 = made for speed, 255 = unknown system: the same event gives the same bytes everywhere.
  head.set([0x1f, 0x8b, 8, flag.extra, 0, 0, 0, 0, 4, 255])
  const view = new DataView(head.buffer)
  view.setUint16(10, 4 + length, true)
  head.set(subfieldId, 12)
  view.setUint16(14, length, true)
  const data = 16
  view.setBigUint64(data + 4, BigInt(head.length + deflated.length + memberTailBytes), true)
  view.setBigUint64(data + 12, BigInt(event.uncompressedBytes), true)
  head.set(event.eventHeader, data + 20)
  view.setUint16(data + 36, banks?.length ?? unknownBanks, true)
  for (const [i, bank] of (banks ?? []).entries()) {
    const at = data + fixedBytes + i * bankBytes
    for (let c = 0; c < 4; c++) head[at + c] = bank.name.charCodeAt(c)
    view.setUint32(at + 4, bank.type, true)
    view.setUint32(at + 8, bank.sizeBytes, true)
    view.setUint32(at + 12, bank.byteOffset, true)
  }
  view.setUint32(data, crc32(head.subarray(data + 4)), true)
  const tail = new Uint8Array(memberTailBytes)
  const tailView = new DataView(tail.buffer)
  tailView.setUint32(0, crc, true)
  tailView.setUint32(4, event.uncompressedBytes >>> 0, true)
  return { head, tail }
}
