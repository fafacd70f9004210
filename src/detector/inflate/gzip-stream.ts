/** Forward inflating of a gzip file, member after member, that can be left at any place and taken up there again. */
import type { FileHandle } from 'node:fs/promises'
import { crc32 } from 'node:zlib'
import { detectorFaults } from '../errors.ts'
import { headBytesAtMost, memberTailBytes, parseMemberHead } from './gzip-member.ts'
import type { EventMember } from './gzip-member.ts'
import {
  damageWords,
  giveMachineBack,
  machineModes,
  needInput,
  streamEnd,
  takeMachine,
  windowBytes,
} from './inflate-machine.ts'

/** A place between two symbols: all that is needed to inflate from there on. */
export interface Checkpoint {
  /** Position in the uncompressed stream. */
  uncompressed: number
  /** Position in the file, in bits. */
  compressedBit: number
  /** Where the head of the open block stands; -1 outside a block of codes. */
  headerBit: number
  /** Bytes still to come in a stored block. */
  storedLeft: number
  lastBlock: boolean
  /** At the head of a member: nothing before is needed. */
  memberHead: boolean
  /** What was inflated before, at most 32 KiB. */
  window: Uint8Array
}

export interface StreamDamage {
  code: 'bad-gzip' | 'truncated' | 'trailing-data'
  reason: string
  /** Byte of the file at which it was met. */
  compressedOffset: number
}

export interface GzipStream {
  /**
   * The next bytes, in view of a memory that the next call uses again. Undefined when the stream has ended, is damaged, or stands within 257 bytes
   * before position `limit` of the uncompressed stream (no farther: a symbol is never cut).
   */
  next(limit: number): Promise<Uint8Array | undefined>
  /** Uncompressed bytes given so far, and where in the file the inflater stands. */
  position(): number
  compressedPosition(): number
  /** No more bytes will come. */
  ended(): boolean
  damage(): StreamDamage | undefined
  /** The place where it stands; undefined where nothing can be taken up (after the end, in a member's tail). */
  checkpoint(): Checkpoint | undefined
  /** What the head of the present member says of the event it holds. */
  eventMember(): EventMember | undefined
  /** Gives the memory back; the stream must not be used any more. */
  close(): void
}

export interface StreamOptions {
  sizeBytes: number
  from?: Checkpoint
  /** Reads less at a time, for short visits. */
  chunkBytes?: number
}

export function openGzipStream(handle: FileHandle, options: StreamOptions): GzipStream {
  const machine = takeMachine()
  const { input, output, bytes } = machine
  const { sizeBytes } = options
  const chunkBytes = Math.min(options.chunkBytes ?? input.end - input.begin, input.end - input.begin)
  /** Position in the file of what will be read next, and of the end of what lies in the input region. */
  let fileAt = 0
  let inputEnd = input.begin + 1
  let position = 0
  let state: 'head' | 'body' | 'ended' = 'head'
  let failure: StreamDamage | undefined
  let member: { crc: number; sizeBytes: number; known: boolean; event: EventMember | undefined; outFrom: number }
  let oldest = output.begin
  let members = 0
  let resumed: Promise<void> | undefined

  const inAt = (): number => machine.getInAt()
  /** Position in the file of the first byte of the input region. */
  const regionStart = (): number => fileAt - (inputEnd - input.begin)
  const compressedPosition = (): number => fileAt - (inputEnd - inAt())
  const fail = (code: StreamDamage['code'], reason: string): undefined => {
    failure ??= { code, reason, compressedOffset: compressedPosition() }
    state = 'ended'
  }
  /** Empties the input region and goes to a byte of the file, the first `used` bits of which are done with. */
  const goTo = async (byte: number, used: number): Promise<void> => {
    const before = regionStart()
    fileAt = byte
    inputEnd = input.begin + (used === 0 ? 1 : 0)
    machine.setInput(inputEnd, inputEnd, 0, regionStart() - before)
    await refill()
    if (used > 0) machine.setInput(input.begin + 1, inputEnd, 8 - used, 0)
  }
  /** Moves what is left to the front and reads on; false at the end of the file. */
  const refill = async (): Promise<boolean> => {
    const at = inAt()
    const unused = machine.getBitsLeft()
    const keepFrom = unused > 0 || at > input.begin ? at - 1 : at
    const moved = keepFrom - input.begin
    if (moved > 0) {
      bytes.copyWithin(input.begin, keepFrom, inputEnd)
      inputEnd -= moved
    }
    const count = Math.min(chunkBytes, input.end - inputEnd, Math.max(0, sizeBytes - fileAt))
    let read = 0
    if (count > 0) {
      try {
        read = (await handle.read(bytes, inputEnd, count, fileAt)).bytesRead
      } catch (cause) {
        throw detectorFaults.unreadableFile(`The file cannot be read at byte ${fileAt}: ${(cause as Error).message}.`, {
          cause,
        })
      }
    }
    inputEnd += read
    fileAt += read
    machine.setInput(at - moved, inputEnd, unused, moved)
    return read > 0
  }
  const skipInput = (count: number): void => machine.setInput(inAt() + count, inputEnd, 0, 0)
  const available = (): number => inputEnd - inAt()
  const ensure = async (count: number): Promise<boolean> => {
    while (available() < count) if (!(await refill())) return false
    return true
  }

  const beginMember = (event: EventMember | undefined): void => {
    machine.begin()
    member = { crc: 0, sizeBytes: 0, known: true, event, outFrom: position }
    const at = output.begin
    machine.setOutput(at, at)
    oldest = at
    state = 'body'
  }
  const readHead = async (): Promise<void> => {
    for (;;) {
      const there = await ensure(1)
      if (!there && members > 0) {
        state = 'ended'
        return
      }
      const head = parseMemberHead(bytes.subarray(inAt(), inputEnd))
      if (typeof head === 'object') {
        skipInput(head.sizeBytes)
        beginMember(head.event)
        return
      }
      if (typeof head === 'string') {
        if (members === 0) return fail('bad-gzip', `the compressed data are damaged (${head})`)
        if (head === 'no gzip head' && (await onlyZeros())) return
        return fail('trailing-data', 'something that is not gzip follows the compressed data')
      }
      if (available() > headBytesAtMost) return fail('bad-gzip', 'the compressed data are damaged (a head without end)')
      if (!(await ensure(available() + 1))) return cutShort()
    }
  }
  /** Some tapes and programs fill up with zeros; gzip passes over them. */
  const onlyZeros = async (): Promise<boolean> => {
    const start = { file: fileAt, left: available() }
    while (await ensure(1)) {
      const rest = bytes.subarray(inAt(), inputEnd)
      if (rest.some((byte) => byte !== 0)) {
        await goTo(start.file - start.left, 0)
        return false
      }
      skipInput(rest.length)
    }
    state = 'ended'
    return true
  }
  const cutShort = (): undefined => fail('truncated', 'the gzip file ends before its last member does')
  const readTail = async (): Promise<void> => {
    if (!(await ensure(memberTailBytes))) return cutShort()
    const view = new DataView(bytes.buffer, inAt(), memberTailBytes)
    if (member.known) {
      if (view.getUint32(0, true) !== member.crc)
        return fail('bad-gzip', 'the compressed data are damaged (what came out has another checksum than was noted)')
      if (view.getUint32(4, true) !== member.sizeBytes % 2 ** 32)
        return fail('bad-gzip', 'the compressed data are damaged (what came out has another length than was noted)')
    }
    skipInput(memberTailBytes)
    members++
    state = 'head'
  }
  /** Makes room behind the window. */
  const slide = (): void => {
    const at = machine.getOutAt()
    const keep = Math.min(windowBytes, at - oldest)
    bytes.copyWithin(output.begin, at - keep, at)
    oldest = output.begin
    machine.setOutput(output.begin + keep, oldest)
  }

  const next = async (limit: number): Promise<Uint8Array | undefined> => {
    if (resumed) {
      await resumed
      resumed = undefined
    }
    for (;;) {
      if (state === 'ended') return undefined
      if (state === 'head') {
        if (position >= limit) return undefined
        await readHead()
        continue
      }
      const from = machine.getOutAt()
      const wanted = Math.max(0, limit - position)
      const result = machine.run(Math.min(output.end, from + wanted))
      const made = bytes.subarray(from, machine.getOutAt())
      if (made.length > 0) {
        if (member.known) member.crc = crc32(made, member.crc)
        member.sizeBytes += made.length
        position += made.length
        return made
      }
      if (result === needInput) {
        if (!(await refill())) return cutShort()
      } else if (result === streamEnd) {
        machine.setInput(inAt(), inputEnd, 0, 0)
        await readTail()
      } else if (result < 0) {
        return fail('bad-gzip', `the compressed data are damaged (${damageWords[result] ?? 'unknown'})`)
      } else if (output.end - from >= wanted) return undefined
      else slide()
    }
  }

  const checkpoint = (): Checkpoint | undefined => {
    const place = { uncompressed: position, headerBit: -1, storedLeft: 0, lastBlock: false, window: new Uint8Array(0) }
    if (state === 'ended' || resumed) return undefined
    if (state === 'head') return { ...place, compressedBit: compressedPosition() * 8, memberHead: true }
    const mode = machine.getMode()
    if (mode === machineModes.done) return undefined
    const at = machine.getOutAt()
    return {
      ...place,
      compressedBit: compressedPosition() * 8 - machine.getBitsLeft(),
      headerBit:
        mode === machineModes.fixed || mode === machineModes.dynamic ? regionStart() * 8 + machine.getHeaderBit() : -1,
      storedLeft: mode === machineModes.stored ? machine.getStoredLeft() : 0,
      lastBlock: machine.isLastBlock() !== 0,
      memberHead: false,
      window: bytes.slice(Math.max(oldest, at - windowBytes), at),
    }
  }

  const resume = async (from: Checkpoint): Promise<void> => {
    position = from.uncompressed
    if (from.memberHead) {
      // What stands at the very beginning of a file is its first member or damage, never something behind one.
      members = from.compressedBit > 0 ? 1 : 0
      await goTo(Math.floor(from.compressedBit / 8), 0)
      return
    }
    beginMember(undefined)
    // What came before in this member is not known here, so neither is its checksum.
    member.known = false
    const window = from.window.subarray(0, windowBytes)
    bytes.set(window, output.begin)
    machine.setOutput(output.begin + window.length, output.begin)
    if (from.headerBit >= 0) {
      await goTo(Math.floor(from.headerBit / 8), from.headerBit % 8)
      let result = machine.readHeader()
      while (result === needInput && (await refill())) result = machine.readHeader()
      if (result !== 1) return fail('bad-gzip', 'the compressed data are not those that were indexed')
    } else machine.resumeStored(from.storedLeft, from.lastBlock)
    const byte = Math.floor(from.compressedBit / 8)
    const there = input.begin + byte - regionStart()
    if (from.headerBit >= 0 && there >= input.begin && there + 1 < inputEnd) {
      const used = from.compressedBit % 8
      machine.setInput(used === 0 ? there : there + 1, inputEnd, used === 0 ? 0 : 8 - used, 0)
    } else await goTo(byte, from.compressedBit % 8)
  }

  begin()
  return {
    next,
    position: () => position,
    compressedPosition,
    ended: () => state === 'ended',
    damage: () => failure,
    checkpoint,
    eventMember: () => (state === 'body' ? member.event : undefined),
    close: () => giveMachineBack(machine),
  }

  function begin(): void {
    machine.setInput(inputEnd, inputEnd, 0, 0)
    beginMember(undefined)
    state = 'head'
    if (options.from) {
      resumed = resume(options.from)
      // Thrown by the first `next`.
      resumed.catch(() => undefined)
    }
  }
}

/** Bytes from a checkpoint on: `skip` of them passed over, then exactly `count`. Fewer only where the file ends or is damaged. */
export async function inflateFrom(
  handle: FileHandle,
  options: StreamOptions & { from: Checkpoint; skip: number; count: number; signal?: AbortSignal | undefined },
): Promise<{ bytes: Uint8Array; damage: StreamDamage | undefined }> {
  const stream = openGzipStream(handle, options)
  const bytes = new Uint8Array(options.count)
  const begin = options.from.uncompressed + options.skip
  let filled = 0
  try {
    while (filled < bytes.length) {
      options.signal?.throwIfAborted()
      const before = stream.position()
      const chunk = await stream.next(begin + bytes.length + 258)
      if (chunk === undefined) break
      const piece = chunk.subarray(Math.max(0, Math.min(chunk.length, begin - before)))
      const wanted = piece.subarray(0, bytes.length - filled)
      bytes.set(wanted, filled)
      filled += wanted.length
    }
    return { bytes: bytes.subarray(0, filled), damage: stream.damage() }
  } finally {
    stream.close()
  }
}
