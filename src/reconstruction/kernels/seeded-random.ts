/** Deterministic pseudo-random numbers for the RANSAC of the faithful mode; the same seeds give the same draws everywhere. */

/** Mixes whole numbers into one 32-bit seed. */
export function mixSeed(...parts: readonly number[]): number {
  let hash = 0x9e3779b9
  for (const part of parts) {
    hash = Math.imul(hash ^ (part | 0), 0x85ebca6b)
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
    hash ^= hash >>> 16
  }
  return hash >>> 0
}

/** A 32-bit seed of a name, e.g. of a run. */
export function seedOfText(text: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
  return hash >>> 0
}

export interface Draws {
  /** Uniform whole number in 0 .. end - 1. */
  below(end: number): number
}

/** Mulberry32. */
export function createDraws(seed: number): Draws {
  let state = seed | 0
  return {
    below(end) {
      state = (state + 0x6d2b79f5) | 0
      let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
      return Math.floor(((mixed ^ (mixed >>> 14)) >>> 0) * (end / 4294967296))
    },
  }
}
