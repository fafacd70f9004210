/**
 * Unpacks one LZ4 block (format: lz4_Block_format.md of the LZ4 project): tokens of literals and matches. Throws a
 * RangeError for a block that does not fit; writes nothing outside.
 */
export function unpackLz4(packed: Uint8Array, plainBytes: number): Uint8Array {
  const plain = new Uint8Array(plainBytes)
  let [at, filled] = [0, 0]
  const longer = (length: number): number => {
    if (length < 15) return length
    for (;;) {
      const more = byteAt(packed, at++)
      length += more
      if (more < 255) return length
    }
  }
  while (at < packed.length) {
    const token = byteAt(packed, at++)
    const literals = longer(token >> 4)
    if (at + literals > packed.length || filled + literals > plainBytes) throw new RangeError('literals do not fit')
    plain.set(packed.subarray(at, at + literals), filled)
    at += literals
    filled += literals
    if (at >= packed.length) break
    const back = byteAt(packed, at) | (byteAt(packed, at + 1) << 8)
    at += 2
    const length = longer(token & 15) + 4
    if (back === 0 || back > filled || filled + length > plainBytes) throw new RangeError('a match does not fit')
    // A match may overlap what it writes: byte by byte.
    const end = filled + length
    while (filled < end) {
      plain[filled] = plain[filled - back]!
      filled++
    }
  }
  if (filled !== plainBytes) throw new RangeError('the block ends early')
  return plain
}

function byteAt(bytes: Uint8Array, at: number): number {
  const byte = bytes[at]
  if (byte === undefined) throw new RangeError('the block ends in the middle of a token')
  return byte
}
