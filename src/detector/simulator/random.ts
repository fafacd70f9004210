/**
 * The simulator's own generator (xoshiro128**), so that a seed means the same run on every machine. One instance is one stream;
 * `new Random(seed, run, 'noise')` gives independent streams.
 */
export class Random {
  #a: number
  #b: number
  #c: number
  #d: number
  #spare: number | undefined

  constructor(...seeds: (number | string)[]) {
    let state = 0x9e3779b9
    const mix = (value: number): void => {
      state = Math.imul(state ^ value, 0x85ebca6b)
      state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35) ^ (state >>> 16)
    }
    for (const seed of seeds)
      if (typeof seed === 'string') for (const letter of seed) mix(letter.codePointAt(0) ?? 0)
      else {
        mix(seed >>> 0)
        mix(Math.floor(seed / 2 ** 32) >>> 0)
      }
    const word = (): number => {
      state = (state + 0x6d2b79f5) | 0
      let t = Math.imul(state ^ (state >>> 15), state | 1)
      t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
      return (t ^ (t >>> 14)) >>> 0
    }
    this.#a = word()
    this.#b = word()
    this.#c = word()
    this.#d = word() | 1
  }

  /** 32 random bits. */
  next(): number {
    const five = Math.imul(this.#b, 5)
    const result = Math.imul((five << 7) | (five >>> 25), 9) >>> 0
    const t = this.#b << 9
    this.#c ^= this.#a
    this.#d ^= this.#b
    this.#b ^= this.#c
    this.#a ^= this.#d
    this.#c ^= t
    this.#d = (this.#d << 11) | (this.#d >>> 21)
    return result
  }

  /** In [0, 1). */
  uniform(): number {
    return this.next() / 2 ** 32
  }

  between(low: number, high: number): number {
    return low + (high - low) * this.uniform()
  }

  exponential(mean: number): number {
    return -mean * Math.log(1 - this.uniform())
  }

  gaussian(): number {
    if (this.#spare !== undefined) {
      const spare = this.#spare
      this.#spare = undefined
      return spare
    }
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()))
    const angle = 2 * Math.PI * this.uniform()
    this.#spare = radius * Math.sin(angle)
    return radius * Math.cos(angle)
  }

  /** Exact below 30, by the normal approximation above. */
  poisson(mean: number): number {
    if (mean > 30) return Math.max(0, Math.round(mean + Math.sqrt(mean) * this.gaussian()))
    let product = this.uniform()
    // exp(-mean) is above 1 - mean: the usual answer for small means needs no exponential.
    if (product <= 1 - mean) return 0
    const limit = Math.exp(-mean)
    let count = 0
    for (; product > limit; product *= this.uniform()) count++
    return count
  }

  /** The sum of `shape` exponentials of mean 1 (Marsaglia and Tsang); shape >= 1. */
  gamma(shape: number): number {
    const d = shape - 1 / 3
    const c = 1 / Math.sqrt(9 * d)
    for (;;) {
      const x = this.gaussian()
      const v = (1 + c * x) ** 3
      if (v > 0 && Math.log(1 - this.uniform()) < 0.5 * x * x + d - d * v + d * Math.log(v)) return d * v
    }
  }
}

/** Size of the table below: 16 random bits choose an entry. */
export const gaussianTableBits = 16

/** 65536 equally likely values of a normal distribution (rms 1, largest 4.3): one lookup for one noise value, two for one 32-bit draw. */
export function gaussianTable(): Float32Array {
  const size = 1 << gaussianTableBits
  const table = new Float32Array(size)
  for (let i = 0; i < size / 2; i++) {
    const value = normalQuantile((i + 0.5) / size)
    table[i] = value
    table[size - 1 - i] = -value
  }
  return table
}

/** Inverse of the normal distribution below 1/2, to 4.5e-4 (rational approximation, Abramowitz and Stegun 26.2.23). */
function normalQuantile(p: number): number {
  const t = Math.sqrt(-2 * Math.log(p))
  return -(t - (2.515517 + 0.802853 * t + 0.010328 * t * t) / (1 + 1.432788 * t + 0.189269 * t * t + 0.001308 * t ** 3))
}
