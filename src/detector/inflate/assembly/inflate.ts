/**
 * Deflate (RFC 1951) with a state that can be saved and taken up again at any symbol.
 *
 * The host writes compressed bytes into the input region, calls `run`, and takes what was made from the output region. `run` stops only between
 * symbols, so that the state between calls is: the bit position, whether a block is open and where its header began, and the 32 KiB before.
 * Whatever the bits are, nothing is read or written outside the regions.
 *
 * Speed: a table of 12 bits gives up to three literals at a look (camera pixels are pairs of a short low byte and a zero), 64 bits are taken in at once.
 */

import {
  TABLE_BITS,
  TABLE_MASK,
  DISTANCE_BITS,
  DISTANCE_MASK,
  LITERAL_TABLE,
  DISTANCE_TABLE,
  FIXED_LITERAL_TABLE,
  FIXED_DISTANCE_TABLE,
  LENGTHS,
  FIXED_LENGTHS,
  CODE_LENGTHS,
  CODE_TABLE,
  INPUT,
  INPUT_BYTES,
  OUTPUT,
  OUTPUT_BYTES,
  END,
  NEED_INPUT,
  NEED_OUTPUT,
  STREAM_END,
  BAD_BLOCK_TYPE,
  BAD_STORED_LENGTH,
  TOO_MANY_SYMBOLS,
  BAD_CODE_LENGTHS,
  NO_END_OF_BLOCK,
  BAD_CODE,
  BAD_DISTANCE,
  MODE_HEADER,
  MODE_STORED,
  MODE_FIXED,
  MODE_DYNAMIC,
  MODE_DONE,
  LITERAL,
  KIND_VALUE,
  KIND_END,
  KIND_TABLE,
  KIND_MASK,
} from './memory-map'
import { buildCodeTable, buildTable, packLiterals } from './tables'

let inAt: u32 = INPUT
let inEnd: u32 = INPUT
/** Bits of the byte before `inAt` that are not yet used, 0 to 7. */
let bitsLeft: u32 = 0
let outAt: u32 = OUTPUT
/** Nothing before this address belongs to the stream. */
let outOldest: u32 = OUTPUT
let mode: i32 = MODE_HEADER
let lastBlock: bool = false
let storedLeft: u32 = 0
let fixedReady: bool = false
/** Where the header of the open block began, in bits from the start of the input region; a long block's lies before it. */
let headerBit: f64 = 0

export function memoryMap(which: i32): u32 {
  if (which == 0) return INPUT
  if (which == 1) return INPUT_BYTES
  if (which == 2) return OUTPUT
  if (which == 3) return OUTPUT_BYTES
  return END
}
export function getInAt(): u32 { return inAt }
export function getBitsLeft(): u32 { return bitsLeft }
export function getOutAt(): u32 { return outAt }
export function getMode(): i32 { return mode }
export function isLastBlock(): bool { return lastBlock }
export function getStoredLeft(): u32 { return storedLeft }
export function getHeaderBit(): f64 { return headerBit }

/**
 * Input lies in [at, end); `unused` bits of the byte before are still to come. The host keeps everything inside the input region. What was at
 * an address before is now `moved` bytes lower.
 */
export function setInput(at: u32, end: u32, unused: u32, moved: f64): void {
  inAt = at
  inEnd = end
  bitsLeft = unused
  headerBit -= moved * 8
}
export function setOutput(at: u32, oldest: u32): void {
  outAt = at
  outOldest = oldest
}
/** Begins a stream: window empty, before the first block. */
export function begin(): void {
  mode = MODE_HEADER
  lastBlock = false
  storedLeft = 0
}
/** Takes a saved place inside a stored block up again; 0 bytes left is the place before a header. */
export function resumeStored(left: u32, last: bool): void {
  mode = left == 0 ? (last ? MODE_DONE : MODE_HEADER) : MODE_STORED
  storedLeft = left
  lastBlock = last
}

// The bit reader of the headers: 64 bits taken in at once, `need` tells whether so many are there.
let hold: u64 = 0
let held: u32 = 0

@inline
function takeIn(): void {
  hold = 0
  held = bitsLeft
  if (bitsLeft > 0) hold = <u64>(load<u8>(inAt - 1) >> <u8>(8 - bitsLeft))
}
@inline
function need(bits: u32): bool {
  while (held < bits) {
    if (inAt >= inEnd) return false
    hold |= <u64>load<u8>(inAt) << <u64>held
    inAt++
    held += 8
  }
  return true
}
@inline
function drop(bits: u32): u32 {
  const value = <u32>(hold & ((<u64>1 << <u64>bits) - 1))
  hold >>= <u64>bits
  held -= bits
  return value
}
@inline
function giveBack(): void {
  inAt -= held >> 3
  bitsLeft = held & 7
}

/** Makes as much output as there is input and room for: up to address `limit`, exclusive. */
export function run(limit: u32): i32 {
  while (true) {
    if (mode == MODE_DONE) return STREAM_END
    if (mode == MODE_HEADER) {
      const result = readHeader()
      if (result != 1) return result
    }
    if (mode == MODE_STORED) {
      let count = storedLeft
      const there = inEnd - inAt
      const room = limit > outAt ? limit - outAt : 0
      if (count > there) count = there
      if (count > room) count = room
      memory.copy(outAt, inAt, count)
      outAt += count
      inAt += count
      storedLeft -= count
      if (storedLeft > 0) return count == room ? NEED_OUTPUT : NEED_INPUT
      mode = lastBlock ? MODE_DONE : MODE_HEADER
    } else if (mode == MODE_FIXED || mode == MODE_DYNAMIC) {
      const fixed = mode == MODE_FIXED
      const result = decode(
        fixed ? FIXED_LITERAL_TABLE : LITERAL_TABLE,
        fixed ? FIXED_DISTANCE_TABLE : DISTANCE_TABLE,
        fixed ? FIXED_LENGTHS : LENGTHS,
        limit,
      )
      if (result != STREAM_END) return result
      mode = lastBlock ? MODE_DONE : MODE_HEADER
    }
  }
}

/** 1 when a block is open, else why not; without enough input the place stays before the header. */
export function readHeader(): i32 {
  const inBefore = inAt
  const bitsBefore = bitsLeft
  takeIn()
  const result = parseHeader()
  if (result == 1) {
    giveBack()
    headerBit = <f64>(inBefore - INPUT) * 8 - <f64>bitsBefore
  } else {
    inAt = inBefore
    bitsLeft = bitsBefore
  }
  return result
}

function parseHeader(): i32 {
  if (!need(3)) return NEED_INPUT
  const last = drop(1) == 1
  const kind = drop(2)
  if (kind == 3) return BAD_BLOCK_TYPE
  if (kind == 0) {
    drop(held & 7)
    if (!need(32)) return NEED_INPUT
    const length = drop(16)
    if ((drop(16) ^ 0xffff) != length) return BAD_STORED_LENGTH
    storedLeft = length
    mode = MODE_STORED
  } else if (kind == 1) {
    if (!fixedReady) buildFixed()
    mode = MODE_FIXED
  } else {
    const result = readTables()
    if (result != 1) return result
    mode = MODE_DYNAMIC
  }
  lastBlock = last
  return 1
}

function buildFixed(): void {
  for (let i: u32 = 0; i < 144; i++) store<u8>(FIXED_LENGTHS + i, 8)
  for (let i: u32 = 144; i < 256; i++) store<u8>(FIXED_LENGTHS + i, 9)
  for (let i: u32 = 256; i < 280; i++) store<u8>(FIXED_LENGTHS + i, 7)
  for (let i: u32 = 280; i < 288; i++) store<u8>(FIXED_LENGTHS + i, 8)
  for (let i: u32 = 288; i < 320; i++) store<u8>(FIXED_LENGTHS + i, 5)
  buildTable(FIXED_LITERAL_TABLE, TABLE_BITS, FIXED_LENGTHS, 288, false)
  packLiterals(FIXED_LITERAL_TABLE)
  buildTable(FIXED_DISTANCE_TABLE, DISTANCE_BITS, FIXED_LENGTHS + 288, 32, true)
  fixedReady = true
}

@inline
function orderOf(i: u32): u32 {
  // 16 17 18 0 8 7 9 6 10 5 11 4 12 3 13 2 14 1 15
  if (i < 3) return 16 + i
  if (i == 3) return 0
  return i & 1 ? 7 - ((i - 5) >> 1) : 8 + ((i - 4) >> 1)
}

function readTables(): i32 {
  if (!need(14)) return NEED_INPUT
  const literals = drop(5) + 257
  const distances = drop(5) + 1
  const codes = drop(4) + 4
  if (literals > 286 || distances > 30) return TOO_MANY_SYMBOLS
  memory.fill(CODE_LENGTHS, 0, 19)
  for (let i: u32 = 0; i < codes; i++) {
    if (!need(3)) return NEED_INPUT
    store<u8>(CODE_LENGTHS + orderOf(i), <u8>drop(3))
  }
  if (!buildCodeTable()) return BAD_CODE_LENGTHS
  // The lengths are written where the tables of an open block do not look: no block is open here.
  let at: u32 = 0
  const all = literals + distances
  let previous: u8 = 0
  while (at < all) {
    need(7 + 7)
    const entry = load<u16>(CODE_TABLE + (<u32>(hold & 127) << 1))
    const bits = <u32>(entry & 15)
    const symbol = <u32>(entry >> 4)
    if (bits > held) return NEED_INPUT
    if (symbol < 16) {
      drop(bits)
      previous = <u8>symbol
      store<u8>(LENGTHS + at, previous)
      at++
      continue
    }
    const extra: u32 = symbol == 16 ? 2 : symbol == 17 ? 3 : 7
    if (bits + extra > held) return NEED_INPUT
    drop(bits)
    const repeat = drop(extra) + (symbol == 18 ? 11 : 3)
    if (symbol == 16 && at == 0) return BAD_CODE_LENGTHS
    if (symbol != 16) previous = 0
    if (at + repeat > all) return BAD_CODE_LENGTHS
    memory.fill(LENGTHS + at, previous, repeat)
    at += repeat
  }
  if (load<u8>(LENGTHS + 256) == 0) return NO_END_OF_BLOCK
  if (!buildTable(DISTANCE_TABLE, DISTANCE_BITS, LENGTHS + literals, distances, true)) return BAD_CODE_LENGTHS
  if (!buildTable(LITERAL_TABLE, TABLE_BITS, LENGTHS, literals, false)) return BAD_CODE_LENGTHS
  packLiterals(LITERAL_TABLE)
  return 1
}

/** Symbols of one block; STREAM_END at the end of the block. */
function decode(literals: u32, distances: u32, lengths: u32, limit: u32): i32 {
  let at = inAt
  let out = outAt
  let bits: u64 = 0
  let count: u32 = bitsLeft
  if (count > 0) bits = <u64>(load<u8>(at - 1) >> <u8>(8 - count))
  const inFast = inEnd - INPUT > 32 ? inEnd - 32 : 0
  const outFast = limit - OUTPUT > 320 ? limit - 320 : 0
  const oldest = outOldest

  while (at < inFast && out < outFast) {
    bits |= load<u64>(at) << <u64>count
    at += (63 - count) >> 3
    count |= 56
    let entry = load<u32>(literals + ((<u32>bits & TABLE_MASK) << 2))
    if (entry & LITERAL) {
      // Three looks of at most 12 bits, then at least 20 remain: enough for the code and extra bits of a length.
      store<u32>(out, entry)
      out += (entry >> 28) & 3
      let used = (entry >> 24) & 15
      bits >>= <u64>used
      count -= used
      entry = load<u32>(literals + ((<u32>bits & TABLE_MASK) << 2))
      if (entry & LITERAL) {
        store<u32>(out, entry)
        out += (entry >> 28) & 3
        used = (entry >> 24) & 15
        bits >>= <u64>used
        count -= used
        entry = load<u32>(literals + ((<u32>bits & TABLE_MASK) << 2))
        if (entry & LITERAL) {
          store<u32>(out, entry)
          out += (entry >> 28) & 3
          used = (entry >> 24) & 15
          bits >>= <u64>used
          count -= used
          continue
        }
      }
    }
    if ((entry & KIND_MASK) == KIND_TABLE) {
      entry = load<u32>(literals + (((entry >> 12) + (<u32>(bits >> <u64>TABLE_BITS) & ((1 << ((entry >> 4) & 15)) - 1)) << 2)))
      if (entry & LITERAL) {
        store<u8>(out, <u8>entry)
        out += 1
        const used = (entry >> 24) & 15
        bits >>= <u64>used
        count -= used
        continue
      }
    }
    // The rest of a symbol is decided with its place remembered: errors are told from where it began.
    if (entry & KIND_MASK) break
    const lengthBits = entry & 15
    const lengthExtra = (entry >> 4) & 15
    const length = (entry >> 12) + (<u32>(bits >> <u64>lengthBits) & ((1 << lengthExtra) - 1))
    let later = bits >> <u64>(lengthBits + lengthExtra)
    let laterCount = count - lengthBits - lengthExtra
    let laterAt = at
    later |= load<u64>(laterAt) << <u64>laterCount
    laterAt += (63 - laterCount) >> 3
    laterCount |= 56
    let far = load<u32>(distances + ((<u32>later & DISTANCE_MASK) << 2))
    if ((far & KIND_MASK) == KIND_TABLE)
      far = load<u32>(distances + (((far >> 12) + (<u32>(later >> <u64>DISTANCE_BITS) & ((1 << ((far >> 4) & 15)) - 1)) << 2)))
    if (far & KIND_MASK) break
    const farBits = far & 15
    const farExtra = (far >> 4) & 15
    const distance = (far >> 12) + (<u32>(later >> <u64>farBits) & ((1 << farExtra) - 1))
    if (distance > out - oldest) break
    bits = later >> <u64>(farBits + farExtra)
    count = laterCount - farBits - farExtra
    at = laterAt
    const end = out + length
    let from = out - distance
    if (distance >= 8) {
      store<u64>(out, load<u64>(from))
      store<u64>(out + 8, load<u64>(from + 8))
      if (length > 16) {
        out += 16
        from += 16
        do {
          store<u64>(out, load<u64>(from))
          out += 8
          from += 8
        } while (out < end)
      }
    } else if (distance == 1) {
      const byte = <u64>load<u8>(from) * 0x0101010101010101
      do {
        store<u64>(out, byte)
        out += 8
      } while (out < end)
    } else {
      do {
        store<u8>(out, load<u8>(from))
        out++
        from++
      } while (out < end)
    }
    out = end
  }

  // Bytes taken in but not used go back: the careful loop counts what is there.
  at -= count >> 3
  count &= 7
  bits = count > 0 ? <u64>(load<u8>(at - 1) >> <u8>(8 - count)) : 0

  let result = NEED_INPUT
  while (true) {
    while (count <= 48 && at < inEnd) {
      bits |= <u64>load<u8>(at) << <u64>count
      at++
      count += 8
    }
    let entry = load<u32>(literals + ((<u32>bits & TABLE_MASK) << 2))
    if ((entry & (LITERAL | KIND_MASK)) == KIND_TABLE)
      entry = load<u32>(literals + (((entry >> 12) + (<u32>(bits >> <u64>TABLE_BITS) & ((1 << ((entry >> 4) & 15)) - 1)) << 2)))
    if (entry & LITERAL) {
      const used = <u32>load<u8>(lengths + (entry & 255))
      if (used > count) { result = NEED_INPUT; break }
      if (out >= limit) { result = NEED_OUTPUT; break }
      store<u8>(out, <u8>entry)
      out++
      bits >>= <u64>used
      count -= used
      continue
    }
    const codeBits = entry & 15
    const kind = entry & KIND_MASK
    if (codeBits > count) { result = NEED_INPUT; break }
    if (kind == KIND_END) {
      count -= codeBits
      bits >>= <u64>codeBits
      result = STREAM_END
      break
    }
    if (kind != KIND_VALUE) { result = BAD_CODE; break }
    const lengthExtra = (entry >> 4) & 15
    if (codeBits + lengthExtra > count) { result = NEED_INPUT; break }
    const length = (entry >> 12) + (<u32>(bits >> <u64>codeBits) & ((1 << lengthExtra) - 1))
    const later = bits >> <u64>(codeBits + lengthExtra)
    const laterCount = count - codeBits - lengthExtra
    let far = load<u32>(distances + ((<u32>later & DISTANCE_MASK) << 2))
    if ((far & KIND_MASK) == KIND_TABLE)
      far = load<u32>(distances + (((far >> 12) + (<u32>(later >> <u64>DISTANCE_BITS) & ((1 << ((far >> 4) & 15)) - 1)) << 2)))
    const farBits = far & 15
    const farExtra = (far >> 4) & 15
    if (farBits > laterCount) { result = NEED_INPUT; break }
    if (far & KIND_MASK) { result = BAD_CODE; break }
    if (farBits + farExtra > laterCount) { result = NEED_INPUT; break }
    const distance = (far >> 12) + (<u32>(later >> <u64>farBits) & ((1 << farExtra) - 1))
    if (distance > out - oldest) { result = BAD_DISTANCE; break }
    if (out + length > limit) { result = NEED_OUTPUT; break }
    bits = later >> <u64>(farBits + farExtra)
    count = laterCount - farBits - farExtra
    for (let n = length, from = out - distance; n > 0; n--) {
      store<u8>(out, load<u8>(from))
      out++
      from++
    }
  }
  at -= count >> 3
  inAt = at
  bitsLeft = count & 7
  outAt = out
  return result
}
