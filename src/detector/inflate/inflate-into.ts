import { readSync } from 'node:fs'
import { crc32 } from 'node:zlib'
import { memberTailBytes } from './gzip-member.ts'
import { giveMachineBack, needInput, streamEnd, takeMachine, windowBytes } from './inflate-machine.ts'
import type { InflateMachine } from './inflate-machine.ts'
import type { FoundMember } from './member-lane.ts'

/**
 * The event of a member, header and body, into memory of its size, at once: for threads that have nothing else to do. False
 * when the member does not hold what its head and tail say, or cannot be read.
 */
export function inflateInto(fd: number, { at, headBytes, event }: FoundMember, into: Uint8Array): boolean {
  const tailAt = at + event.compressedBytes - memberTailBytes
  const machine = takeMachine()
  try {
    const crc = run(machine, fd, at + headBytes, tailAt, into)
    if (crc === undefined) return false
    const tail = Buffer.alloc(memberTailBytes)
    if (readSync(fd, tail, 0, memberTailBytes, tailAt) < memberTailBytes) return false
    if (tail.readUInt32LE(0) !== crc || tail.readUInt32LE(4) !== into.length >>> 0) return false
    return event.eventHeader.every((byte, index) => byte === into[index])
  } catch {
    return false
  } finally {
    giveMachineBack(machine)
  }
}

/** The end of the last block is found although there is no room; more than the longest symbol. */
const beyondBytes = 512

/** The checksum of what came out; undefined unless [begin, end) of the file is one deflated stream of just that size. */
function run(machine: InflateMachine, fd: number, begin: number, end: number, into: Uint8Array): number | undefined {
  const { bytes, input, output } = machine
  const out = Buffer.from(bytes.buffer)
  const target = Buffer.from(into.buffer as ArrayBuffer, into.byteOffset, into.length)
  let fileAt = begin
  let inputEnd = input.begin + 1
  let filled = 0
  let crc = 0
  /** Moves what is left to the front, with the byte before it that may hold bits still to come, and reads on. */
  const refill = (): boolean => {
    const at = machine.getInAt()
    const unused = machine.getBitsLeft()
    const moved = at - 1 - input.begin
    if (moved > 0) {
      bytes.copyWithin(input.begin, at - 1, inputEnd)
      inputEnd -= moved
    }
    const count = Math.min(input.end - inputEnd, end - fileAt)
    const read = count > 0 ? readSync(fd, bytes, inputEnd, count, fileAt) : 0
    inputEnd += read
    fileAt += read
    machine.setInput(at - moved, inputEnd, unused, moved)
    return read > 0
  }
  machine.setInput(inputEnd, inputEnd, 0, 0)
  machine.begin()
  machine.setOutput(output.begin, output.begin)
  let from = output.begin
  for (;;) {
    const result = machine.run(Math.min(output.end, from + into.length - filled + beyondBytes))
    const made = bytes.subarray(from, machine.getOutAt())
    if (made.length > into.length - filled) return undefined
    crc = crc32(made, crc)
    // `set` of typed arrays goes word by word where memory is shared between threads: six times slower.
    out.copy(target, filled, from, from + made.length)
    filled += made.length
    from += made.length
    if (result === streamEnd) {
      const consumed = fileAt - (inputEnd - machine.getInAt())
      return filled === into.length && consumed === end ? crc : undefined
    }
    if (result < 0) return undefined
    if (result === needInput) {
      if (!refill()) return undefined
    } else {
      // The window stays in front of what comes next.
      const keep = Math.min(windowBytes, from - output.begin)
      if (made.length === 0 && keep === from - output.begin) return undefined
      bytes.copyWithin(output.begin, from - keep, from)
      from = output.begin + keep
      machine.setOutput(from, output.begin)
    }
  }
}
