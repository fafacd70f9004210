/** The decoding tables of a block, from the lengths of its codes. */
import {
  TABLE_BITS,
  TABLE_MASK,
  CODE_LENGTHS,
  CODE_TABLE,
  SORTED,
  COUNTS,
  STARTS,
  LITERAL,
  KIND_VALUE,
  KIND_END,
  KIND_TABLE,
  KIND_INVALID,
} from './memory-map'

/** The code of the code lengths, at most 7 bits, must be complete. Entries: bits in 0-3, symbol above. */
export function buildCodeTable(): bool {
  if (!sortSymbols(CODE_LENGTHS, 19)) return false
  if (left != 0) return false
  fillCode(19)
  return true
}

function fillCode(symbols: u32): void {
  let code: u32 = 0
  let index: u32 = 0
  for (let bits: u32 = 1; bits <= 7; bits++) {
    for (let n = <u32>load<u16>(COUNTS + (bits << 1)); n > 0; n--) {
      const symbol = <u32>load<u16>(SORTED + (index << 1))
      index++
      for (let at = reverse(code, bits); at < 128; at += 1 << bits)
        store<u16>(CODE_TABLE + (at << 1), <u16>((symbol << 4) | bits))
      code++
    }
    code <<= 1
  }
}

/** Codes not given away by the lengths, of 2^15. */
let left: i32 = 0
let longest: u32 = 0

/** Counts and sorts symbols by the length of their code; false when there are more codes than bits allow. */
function sortSymbols(lengths: u32, symbols: u32): bool {
  memory.fill(COUNTS, 0, 32)
  for (let i: u32 = 0; i < symbols; i++) {
    const at = COUNTS + (<u32>load<u8>(lengths + i) << 1)
    store<u16>(at, load<u16>(at) + 1)
  }
  left = 1
  longest = 0
  let start: u32 = 0
  for (let bits: u32 = 1; bits <= 15; bits++) {
    const count = <u32>load<u16>(COUNTS + (bits << 1))
    left = (left << 1) - <i32>count
    if (left < 0) return false
    if (count > 0) longest = bits
    store<u16>(STARTS + (bits << 1), <u16>start)
    start += count
  }
  for (let i: u32 = 0; i < symbols; i++) {
    const bits = <u32>load<u8>(lengths + i)
    if (bits == 0) continue
    const at = STARTS + (bits << 1)
    const place = <u32>load<u16>(at)
    store<u16>(SORTED + (place << 1), <u16>i)
    store<u16>(at, <u16>(place + 1))
  }
  return true
}

@inline
function reverse(code: u32, bits: u32): u32 {
  let value = code
  value = ((value >> 1) & 0x5555) | ((value & 0x5555) << 1)
  value = ((value >> 2) & 0x3333) | ((value & 0x3333) << 2)
  value = ((value >> 4) & 0x0f0f) | ((value & 0x0f0f) << 4)
  value = ((value >> 8) & 0x00ff) | ((value & 0x00ff) << 8)
  return value >> (16 - bits)
}

/** The entry of a symbol without its code bits. */
function entryOf(symbol: u32, distance: bool): u32 {
  if (distance) {
    if (symbol > 29) return KIND_INVALID
    const extra: u32 = symbol < 4 ? 0 : (symbol >> 1) - 1
    const base: u32 = symbol < 4 ? symbol + 1 : ((2 + (symbol & 1)) << extra) + 1
    return (extra << 4) | KIND_VALUE | (base << 12)
  }
  if (symbol < 256) return LITERAL | (1 << 28) | symbol
  if (symbol == 256) return KIND_END
  if (symbol > 285) return KIND_INVALID
  if (symbol == 285) return KIND_VALUE | (258 << 12)
  const code = symbol - 257
  const extra: u32 = code < 8 ? 0 : (code >> 2) - 1
  const base: u32 = code < 8 ? code + 3 : ((4 + (code & 3)) << extra) + 3
  return (extra << 4) | KIND_VALUE | (base << 12)
}

/** False for lengths that make no code. An incomplete code is allowed where zlib allows it: of one symbol of one bit, or none at all. */
export function buildTable(table: u32, tableBits: u32, lengths: u32, symbols: u32, distance: bool): bool {
  if (!sortSymbols(lengths, symbols)) return false
  if (left > 0 && longest > 1) return false
  const size: u32 = 1 << tableBits
  if (left > 0) for (let i: u32 = 0; i < size; i++) store<u32>(table + (i << 2), KIND_INVALID | 1)
  const secondBits: u32 = longest > tableBits ? longest - tableBits : 0
  let code: u32 = 0
  let index: u32 = 0
  let next: u32 = size
  let prefix: u32 = 0xffffffff
  let second: u32 = 0
  for (let bits: u32 = 1; bits <= longest; bits++) {
    for (let n = <u32>load<u16>(COUNTS + (bits << 1)); n > 0; n--) {
      const symbol = <u32>load<u16>(SORTED + (index << 1))
      index++
      const entry = entryOf(symbol, distance)
      const turned = reverse(code, bits)
      code++
      if (bits <= tableBits) {
        const coded = entry & LITERAL ? entry | (bits << 24) : entry | bits
        for (let at = turned; at < size; at += 1 << bits) store<u32>(table + (at << 2), coded)
        continue
      }
      const low = turned & (size - 1)
      if (low != prefix) {
        prefix = low
        second = next
        next += 1 << secondBits
        store<u32>(table + (low << 2), KIND_TABLE | (secondBits << 4) | (second << 12))
      }
      const rest = bits - tableBits
      const coded = entry & LITERAL ? entry | (bits << 24) : entry | bits
      for (let at = turned >> tableBits; at < <u32>(1 << secondBits); at += 1 << rest)
        store<u32>(table + ((second + at) << 2), coded)
    }
    code <<= 1
  }
  return true
}

/** Entries whose bits hold two or three literals give them at once. From the highest down: what an entry looks at is still single. */
export function packLiterals(table: u32): void {
  for (let i: i32 = <i32>TABLE_MASK; i >= 0; i--) {
    const first = load<u32>(table + (<u32>i << 2))
    if (!(first & LITERAL)) continue
    const firstBits = (first >> 24) & 15
    const second = load<u32>(table + ((<u32>i >> firstBits) << 2))
    if (!(second & LITERAL)) continue
    const secondBits = firstBits + ((second >> 24) & 15)
    if (secondBits > TABLE_BITS) continue
    let packed: u32 = LITERAL | (2 << 28) | (secondBits << 24) | (first & 255) | ((second & 255) << 8)
    const third = load<u32>(table + ((<u32>i >> secondBits) << 2))
    if (third & LITERAL) {
      const thirdBits = secondBits + ((third >> 24) & 15)
      if (thirdBits <= TABLE_BITS)
        packed = LITERAL | (3 << 28) | (thirdBits << 24) | (first & 255) | ((second & 255) << 8) | ((third & 255) << 16)
    }
    store<u32>(table + (<u32>i << 2), packed)
  }
}
