/** Members that hold one event each (see gzip-member.ts), inflated by the threads of the process while the caller works on the one before. */
import type { FileHandle } from 'node:fs/promises'
import { crc32, inflateRaw } from 'node:zlib'
import type { EventMemory } from '../event-memory.ts'
import { defaultMaxEventBytes, eventHeaderBytes } from '../midas-event.ts'
import { memberTailBytes, parseMemberHead } from './gzip-member.ts'
import type { EventMember } from './gzip-member.ts'

export interface MemberLane {
  /** The next event, header and body, its checksum compared; undefined where something else follows, or damage, or nothing. */
  next(): Promise<Uint8Array | undefined>
  /** Byte of the file behind the last event given. */
  position(): number
  /** Waits until nothing is read any more; what was inflated ahead is given back. */
  close(): Promise<void>
}

/** Heads with more banks than fit here are read again, whole. */
const headBytes = 1024
const longHeadBytes = 70_000
/** A deflated event takes at least a thousandth of its size: a head that claims more is wrong, and is not believed. */
const inflationAtMost = 1032

export interface FoundMember {
  at: number
  headBytes: number
  event: EventMember
}

/** The event member at a byte of the file, if there is one that is all there. */
export async function findMember(handle: FileHandle, at: number, sizeBytes: number): Promise<FoundMember | undefined> {
  for (const count of [headBytes, longHeadBytes]) {
    if (at >= sizeBytes) return undefined
    const bytes = Buffer.alloc(Math.min(count, sizeBytes - at))
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, at)
    const head = parseMemberHead(bytes.subarray(0, bytesRead))
    if (typeof head === 'string' || (head !== undefined && !head.event)) return undefined
    if (head?.event) return plausible(head.event, head.sizeBytes, at, sizeBytes)
  }
  return undefined
}

function plausible(event: EventMember, size: number, at: number, sizeBytes: number): FoundMember | undefined {
  const { compressedBytes, uncompressedBytes } = event
  const deflatedBytes = compressedBytes - size - memberTailBytes
  if (deflatedBytes < 1 || at + compressedBytes > sizeBytes) return undefined
  if (uncompressedBytes > defaultMaxEventBytes + eventHeaderBytes) return undefined
  return uncompressedBytes <= deflatedBytes * inflationAtMost ? { at, headBytes: size, event } : undefined
}

/** The event of a member, header and body; undefined when the member does not hold what its head and tail say. */
export async function inflateMember(handle: FileHandle, member: FoundMember): Promise<Uint8Array | undefined> {
  const { at, event } = member
  const count = event.compressedBytes - member.headBytes
  const bytes = Buffer.allocUnsafe(count)
  const { bytesRead } = await handle.read(bytes, 0, count, at + member.headBytes)
  if (bytesRead < count) return undefined
  const deflated = bytes.subarray(0, count - memberTailBytes)
  const inflated = await new Promise<Uint8Array | undefined>((resolve) => {
    // A little more than is wanted: a buffer that is just full would be followed by another.
    const chunkSize = event.uncompressedBytes + 64
    inflateRaw(deflated, { chunkSize, maxOutputLength: chunkSize, info: true }, (error, result) => {
      // With `info` the answer is the output and the engine, which knows how much it used.
      const { buffer, engine } = (result ?? {}) as unknown as { buffer?: Uint8Array; engine?: { bytesWritten: number } }
      resolve(error || engine?.bytesWritten !== deflated.length ? undefined : buffer)
    })
  })
  if (inflated === undefined || inflated.length !== event.uncompressedBytes) return undefined
  const tail = count - memberTailBytes
  if (crc32(inflated) !== bytes.readUInt32LE(tail) || inflated.length >>> 0 !== bytes.readUInt32LE(tail + 4))
    return undefined
  if (!event.eventHeader.every((byte, i) => byte === inflated[i])) return undefined
  // Small ones share a buffer of the platform's; what is given here is nobody else's.
  return inflated.length < 64 * 1024
    ? Uint8Array.from(inflated)
    : new Uint8Array(inflated.buffer, inflated.byteOffset, inflated.length)
}

export function openMemberLane(
  handle: FileHandle,
  sizeBytes: number,
  ahead: number,
  memory: EventMemory | undefined,
): MemberLane {
  const queue: Promise<{ end: number; bytes: Uint8Array | undefined }>[] = []
  let filling = Promise.resolve()
  let position = 0
  let scanAt = 0
  let scanned = false
  const fill = async (): Promise<void> => {
    while (!scanned && queue.length < Math.max(1, ahead)) {
      const member = await findMember(handle, scanAt, sizeBytes)
      if (!member) {
        scanned = true
        return
      }
      const into = await memory?.take(member.event.uncompressedBytes)
      scanAt += member.event.compressedBytes
      const end = scanAt
      const inflating = inflated(member, into).then((bytes) => ({ end, bytes }))
      // Awaited when its turn comes.
      inflating.catch(() => undefined)
      queue.push(inflating)
    }
  }
  const inflated = async (member: FoundMember, into: Uint8Array | undefined): Promise<Uint8Array | undefined> => {
    if (into === undefined || memory === undefined) return inflateMember(handle, member)
    if (await memory.inflate(handle.fd, member, into)) return into
    memory.giveBack(into)
    return undefined
  }
  const fillOn = (): Promise<void> => {
    filling = filling.then(fill)
    return filling
  }
  return {
    next: async () => {
      // Not awaited while there is one to deliver: memory for a further one may only become free then.
      if (queue.length === 0) await fillOn()
      const first = queue.shift()
      if (!first) return undefined
      if (ahead > 1) void fillOn().catch(() => undefined)
      const { end, bytes } = await first
      if (bytes) position = end
      return bytes
    },
    position: () => position,
    close: async () => {
      scanned = true
      await filling.catch(() => undefined)
      for (const one of await Promise.allSettled(queue.splice(0)))
        if (one.status === 'fulfilled' && one.value.bytes) memory?.giveBack(one.value.bytes)
    },
  }
}
