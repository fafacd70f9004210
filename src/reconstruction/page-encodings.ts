/**
 * Two encodings of Parquet data pages for columns of a few hundred thousand integers, into memory that is used again: byte
 * for byte what hyparquet-writer makes of them (which allocates and appends single bytes), several times sooner.
 */

const blockValues = 128
const miniblocks = 4
const miniblockValues = blockValues / miniblocks

/** Enough for a page of either encoding. */
export const pageBytesAtMost = (count: number): number => 64 + count * 5 + (Math.ceil(count / blockValues) + 1) * 16

function putVarint(into: Uint8Array, at: number, value: number): number {
  let rest = value
  while (rest >= 0x80) {
    into[at++] = (rest & 0x7f) | 0x80
    rest = Math.floor(rest / 0x80)
  }
  into[at++] = rest
  return at
}

const putZigZag = (into: Uint8Array, at: number, value: number): number =>
  putVarint(into, at, value < 0 ? -value * 2 - 1 : value * 2)

function putDeltaHead(into: Uint8Array, count: number, first: number): number {
  let at = putVarint(into, 0, blockValues)
  at = putVarint(into, at, miniblocks)
  at = putVarint(into, at, count)
  return putZigZag(into, at, first)
}

/** DELTA_BINARY_PACKED of `count` times the same number; returns the bytes written. */
export function packConstant(value: number, count: number, into: Uint8Array): number {
  const at = putDeltaHead(into, count, value)
  // Per block: smallest difference 0, four widths of 0.
  const end = at + Math.ceil((count - 1) / blockValues) * (1 + miniblocks)
  into.fill(0, at, end)
  return end
}

/** DELTA_BINARY_PACKED; differences must stay below 2^25. Returns the bytes written. */
export function packDeltas(values: Int32Array, into: Uint8Array): number {
  const count = values.length
  let at = putDeltaHead(into, count, values[0]!)
  for (let index = 1; index < count; index += blockValues) {
    const end = Math.min(index + blockValues, count)
    let least = values[index]! - values[index - 1]!
    let most = least
    for (let one = index + 1; one < end; one++) {
      const delta = values[one]! - values[one - 1]!
      if (delta < least) least = delta
      else if (delta > most) most = delta
    }
    at = putZigZag(into, at, least)
    const widthsAt = at
    at += miniblocks
    into.fill(0, widthsAt, at)
    if (most === least) continue
    for (let mini = 0; mini < miniblocks; mini++) {
      const begin = index + mini * miniblockValues
      const stop = Math.min(begin + miniblockValues, end)
      let bits = 0
      for (let one = begin; one < stop; one++) bits |= values[one]! - values[one - 1]! - least
      const width = 32 - Math.clz32(bits)
      into[widthsAt + mini] = width
      if (width === 0) continue
      let buffer = 0
      let held = 0
      // A miniblock is always filled up to 32 values, which are a whole number of bytes.
      for (let one = begin; one < begin + miniblockValues; one++) {
        if (one < stop) buffer |= (values[one]! - values[one - 1]! - least) << held
        held += width
        while (held >= 8) {
          into[at++] = buffer
          buffer >>>= 8
          held -= 8
        }
      }
    }
  }
  return at
}

/** Indices into a dictionary of `size` values: RLE_DICTIONARY with its width in front. Returns the bytes written. */
export function packIndices(indices: Int32Array, size: number, into: Uint8Array): number {
  const count = indices.length
  const width = Math.ceil(Math.log2(size))
  into[0] = width
  let at = 1
  let groups = 0
  let groupsFrom = 0
  const flush = (): void => {
    if (groups === 0) return
    at = putVarint(into, at, groups * 2 + 1)
    let buffer = 0
    let held = 0
    const end = groupsFrom + groups * 8
    for (let one = groupsFrom; one < end; one++) {
      if (one < count) buffer |= indices[one]! << held
      held += width
      while (held >= 8) {
        into[at++] = buffer
        buffer >>>= 8
        held -= 8
      }
    }
    groups = 0
  }
  for (let index = 0; index < count;) {
    const first = indices[index]!
    let run = 1
    while (index + run < count && indices[index + run] === first) run++
    if (run < 8) {
      if (groups++ === 0) groupsFrom = index
      index += 8
      continue
    }
    flush()
    at = putVarint(into, at, run * 2)
    for (let bit = 0; bit < width; bit += 8) into[at++] = first >> bit
    index += run
  }
  flush()
  return at
}
