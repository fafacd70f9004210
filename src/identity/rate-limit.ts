/**
 * How often secrets may be tried. Ours have at least 128 random bits (passwords have a limit of their own beside this one,
 * factors/attempts.ts), so the limits protect the database and the log from floods, not the secrets from guessing. Nobody
 * can lock a victim out: limits bind only the address that wrong secrets come from, a right one costs nothing and passes
 * while wrong ones from the same address are already told to wait, an address that has tried nothing wrong is never
 * refused whatever others do, and every bucket refills within a minute. Sessions and tokens that are there go on.
 */
import { isIPv6 } from 'node:net'
import { Fault } from '../foundation/errors.ts'
import { plainAddress } from '../foundation/http-guard.ts'
import { monotonicMsOf, type Clock } from '../foundation/time.ts'
import { identityFaults } from './errors.ts'

export interface RateLimit {
  /** Takes one from the bucket of this key. @throws Fault identity.too_many_attempts, which says when to come back */
  take(key: string): void
  giveBack(key: string): void
  /** Nothing is missing from its bucket. */
  isFull(key: string): boolean
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
    const place = placeOf(key)
    const bucket = buckets.get(place) ?? { left: burst, atMs: nowMs }
    buckets.delete(place)
    if (buckets.size >= mostKeys) buckets.delete(buckets.keys().next().value!)
    buckets.set(place, bucket)
    bucket.left = Math.min(burst, bucket.left + ((nowMs - bucket.atMs) / 60_000) * perMinute)
    bucket.atMs = nowMs
    return bucket
  }

  return {
    take(key) {
      const bucket = bucketOf(key)
      if (bucket.left < 1) {
        const retryAfterSeconds = Math.max(1, Math.ceil(((1 - bucket.left) / perMinute) * 60))
        throw identityFaults.tooManyAttempts('Too many attempts from here.', {
          hint: `Wait ${waitWords(retryAfterSeconds)} and try again.`,
          retry: true,
          extra: { retryAfterSeconds },
        })
      }
      bucket.left -= 1
    },
    giveBack(key) {
      const bucket = bucketOf(key)
      bucket.left = Math.min(burst, bucket.left + 1)
    },
    isFull(key) {
      const bucket = buckets.get(placeOf(key))
      return bucket === undefined || bucketOf(key).left >= burst
    },
  }
}

/** Whoever has one IPv6 address has all that begin like it: they share a bucket. */
function placeOf(key: string): string {
  if (!isIPv6(key)) return key
  const plain = plainAddress(key)
  if (plain !== key) return plain
  const [left = '', right] = key.replace(/%.*$/, '').toLowerCase().split('::')
  const groups = left === '' ? [] : left.split(':')
  const after = right === undefined || right === '' ? [] : right.split(':')
  const missing = right === undefined ? 0 : 8 - groups.length - after.length
  const all = [...groups, ...Array.from({ length: Math.max(0, missing) }, () => '0'), ...after]
  return `${all
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':')}::/64`
}

function waitWords(seconds: number): string {
  if (seconds < 90) return seconds === 1 ? 'a second' : `${seconds} seconds`
  return `${Math.ceil(seconds / 60)} minutes`
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
      // Many attackers together only hold up each other.
      const isSuspect = !answered.isFull(address)
      tried.take(address)
      if (isSuspect) triedByAll.take('all')
      try {
        const result = await work()
        tried.giveBack(address)
        if (isSuspect) triedByAll.giveBack('all')
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
