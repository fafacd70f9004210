/**
 * How often secrets may be tried. Ours have at least 128 random bits, so the limits protect the database and the log from
 * floods, not the secrets from guessing. Nobody can lock a victim out: there is no limit per account, what is right passes
 * while wrong attempts from the same address are already told to wait, and every bucket refills within a minute.
 */
import { Fault } from '../foundation/errors.ts'
import { monotonicMsOf, type Clock } from '../foundation/time.ts'
import { identityFaults } from './errors.ts'

export interface RateLimit {
  /** Takes one from the bucket of this key. @throws Fault identity.too_many_attempts */
  take(key: string): void
  giveBack(key: string): void
}

export interface RateLimitOptions {
  clock: Clock
  /** What a fresh bucket holds. */
  burst: number
  /** How fast it refills. */
  perMinute: number
}

const mostKeys = 10_000

/** Token buckets by key; the keys used least recently are forgotten, which only makes their buckets full again. */
export function createRateLimit({ clock, burst, perMinute }: RateLimitOptions): RateLimit {
  const buckets = new Map<string, { left: number; atMs: number }>()

  function bucketOf(key: string): { left: number; atMs: number } {
    const nowMs = monotonicMsOf(clock)
    const bucket = buckets.get(key) ?? { left: burst, atMs: nowMs }
    buckets.delete(key)
    if (buckets.size >= mostKeys) buckets.delete(buckets.keys().next().value!)
    buckets.set(key, bucket)
    bucket.left = Math.min(burst, bucket.left + ((nowMs - bucket.atMs) / 60_000) * perMinute)
    bucket.atMs = nowMs
    return bucket
  }

  return {
    take(key) {
      const bucket = bucketOf(key)
      if (bucket.left < 1) {
        throw identityFaults.tooManyAttempts('Too many attempts from here.', {
          hint: 'Wait a minute and try again.',
          retry: true,
        })
      }
      bucket.left -= 1
    },
    giveBack(key) {
      const bucket = bucketOf(key)
      bucket.left = Math.min(burst, bucket.left + 1)
    },
  }
}

export interface SecretLimit {
  /**
   * Runs `work`, which throws a Fault if the secret is wrong. Right attempts are free. Wrong ones are answered as such and
   * reported to `onWrong` twenty times a minute and address; after that the answer is 'too many attempts'.
   */
  attempt<Result>(address: string, work: () => Promise<Result>, onWrong?: () => Promise<void>): Promise<Result>
}

export function createSecretLimit(clock: Clock): SecretLimit {
  const answered = createRateLimit({ clock, burst: 20, perMinute: 20 })
  const tried = createRateLimit({ clock, burst: 100, perMinute: 100 })
  const triedByAll = createRateLimit({ clock, burst: 500, perMinute: 2000 })
  return {
    async attempt(address, work, onWrong) {
      tried.take(address)
      triedByAll.take('all')
      try {
        const result = await work()
        tried.giveBack(address)
        triedByAll.giveBack('all')
        return result
      } catch (error) {
        if (!(error instanceof Fault) || error.status >= 500) throw error
        answered.take(address)
        await onWrong?.()
        throw error
      }
    },
  }
}
