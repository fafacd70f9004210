/** Chance that can be had again: everything a simulated world leaves to chance comes from one of these. */

export interface Chance {
  /** A number in [0, 1). */
  next(): number
  /** An integer in [from, to]. */
  between(from: number, to: number): number
  /** True so often. */
  of(probability: number): boolean
  pick<Item>(items: readonly Item[]): Item
  bytes(sizeBytes: number): Buffer
}

/** sfc32 (Doty-Humphrey's small fast counter), seeded by one integer. */
export function chanceOf(seed: number): Chance {
  let [a, b, c, counter] = [seed | 0, (seed / 0x100000000) | 0, 0x9e3779b9 | 0, 1]
  const draw = (): number => {
    const sum = (a + b + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = ((c << 21) | (c >>> 11)) + sum
    c |= 0
    return sum >>> 0
  }
  for (let turn = 0; turn < 15; turn++) draw()
  const next = (): number => draw() / 0x100000000
  return {
    next,
    between: (from, to) => from + Math.floor(next() * (to - from + 1)),
    of: (probability) => next() < probability,
    pick: (items) => items[Math.floor(next() * items.length)]!,
    bytes(sizeBytes) {
      const bytes = Buffer.alloc(sizeBytes)
      for (let at = 0; at < sizeBytes; at++) bytes[at] = draw() & 0xff
      return bytes
    },
  }
}
