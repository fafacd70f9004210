/** Random numbers that a seed brings back, and bodies that need not be kept to be known. */
import { createCipheriv, createHash } from 'node:crypto'

export interface Random {
  /** An integer in [0, below). */
  below(below: number): number
  pick<Item>(items: readonly Item[]): Item
  /** True once in so many times. */
  oneIn(times: number): boolean
}

export function randomOf(seed: number): Random {
  let state = seed >>> 0
  const next = () => {
    // mulberry32
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
  const below = (limit: number) => Math.floor((next() / 2 ** 32) * limit)
  return { below, pick: (items) => items[below(items.length)]!, oneIn: (times) => below(times) === 0 }
}

/** Noise of a given length that its name determines. */
export function noise(name: string, sizeBytes: number): Buffer {
  const key = createHash('sha256').update(name).digest()
  return createCipheriv('aes-128-ctr', key.subarray(0, 16), key.subarray(16)).update(Buffer.alloc(sizeBytes))
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** The seed of a campaign: CYGNET_SEED, or the same every day in short runs, or a new one. */
export function campaignSeed(): number {
  const { CYGNET_SEED: given, CYGNET_LONG: long } = process.env
  if (given !== undefined) return Number(given)
  return long === undefined ? 20_261_123 : Math.floor(Math.random() * 2 ** 31)
}

export const isLong = process.env.CYGNET_LONG === 'faults' || process.env.CYGNET_LONG === 'storage'
