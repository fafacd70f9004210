/** How far two clusterings of the same points agree: the adjusted Rand index (Hubert and Arabie 1985), for studies and tests. */

/**
 * 1 = the same partition, about 0 = as chance would have it. Points that neither gives to a cluster (-1 in both) are left
 * out; noise counts as one cluster of its own. 1 when there is no point at all.
 */
export function adjustedRandIndex(one: Int32Array, other: Int32Array): number {
  const together = new Map<number, number>()
  const inOne = new Map<number, number>()
  const inOther = new Map<number, number>()
  const count = (map: Map<number, number>, key: number) => map.set(key, (map.get(key) ?? 0) + 1)
  let points = 0
  for (let at = 0; at < one.length; at++) {
    const a = one[at]!
    const b = other[at]!
    if (a < 0 && b < 0) continue
    points++
    count(together, (a + 1) * 1_000_003 + b)
    count(inOne, a)
    count(inOther, b)
  }
  const pairs = (map: Map<number, number>) => {
    let sum = 0
    for (const size of map.values()) sum += (size * (size - 1)) / 2
    return sum
  }
  const both = pairs(together)
  const first = pairs(inOne)
  const second = pairs(inOther)
  const expected = points > 1 ? (first * second) / ((points * (points - 1)) / 2) : 0
  const most = (first + second) / 2
  return most === expected ? 1 : (both - expected) / (most - expected)
}
