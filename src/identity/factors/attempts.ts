/**
 * How often passwords and codes may be tried. By address as everywhere; by account only so that guessing becomes slow,
 * never so that its owner is locked out: who types the right ones, from wherever, comes in a few seconds later, and a
 * passkey, a session or a key never waits. Codes alone (six digits) are few, so whoever already knows the password may try
 * ten an hour and address, sixty an hour in all, and the owner is told.
 */
import { setTimeout as later } from 'node:timers/promises'
import { Fault } from '../../foundation/errors.ts'
import { monotonicMsOf, type Clock } from '../../foundation/time.ts'
import { identityFaults } from '../errors.ts'
import { createRateLimit } from '../rate-limit.ts'

/** So many wrong ones are free, then each adds to the wait of the next. */
const freeWrong = 5
const stepMs = 400
export const longestWaitMs = 4_000
/** One wrong attempt is forgotten after this. */
const forgetMs = 60_000
const mostWaitingEach = 3
const mostWaiting = 500
const mostNames = 10_000

export interface SignInAttempts {
  /**
   * Runs `work`, which throws a Fault if something was wrong, after the wait that the account's wrong attempts have earned.
   * @throws Fault identity.too_many_attempts
   */
  attempt<Result>(
    who: { address: string; name: string },
    work: () => Promise<Result>,
    onWrong: () => Promise<void>,
  ): Promise<Result>
  /** Before a code is looked at, for a person whose password was right. @throws Fault identity.too_many_attempts */
  takeCode(personId: string, address: string): void
  giveCodeBack(personId: string, address: string): void
  /** After a wrong code: whether this was one too many to be a slip. */
  isGuessing(personId: string): boolean
  /** How long an attempt for this name waits now. */
  waitMs(name: string): number
}

export function createSignInAttempts(
  clock: Clock,
  wait: (ms: number) => Promise<unknown> = (ms) => later(ms),
): SignInAttempts {
  // By address only: a limit on all together would let a crowd of machines keep everybody out.
  const answered = createRateLimit({ clock, burst: 20, perMinute: 20 })
  const tried = createRateLimit({ clock, burst: 60, perMinute: 60 })
  const codesHere = createRateLimit({ clock, burst: 10, perMinute: 10 / 60 })
  const codesInAll = createRateLimit({ clock, burst: 60, perMinute: 1 })
  const slips = createRateLimit({ clock, burst: 4, perMinute: 4 / 60 })
  const wrong = new Map<string, { count: number; atMs: number }>()
  const waiting = new Map<string, number>()
  let waitingInAll = 0

  function wrongNow(name: string): number {
    const kept = wrong.get(name)
    if (kept === undefined) return 0
    return Math.max(0, kept.count - Math.floor((monotonicMsOf(clock) - kept.atMs) / forgetMs))
  }

  function waitMs(name: string): number {
    return Math.min(longestWaitMs, Math.max(0, wrongNow(name) - freeWrong) * stepMs)
  }

  function countWrong(name: string): void {
    const count = Math.min(wrongNow(name) + 1, freeWrong + longestWaitMs / stepMs)
    wrong.delete(name)
    if (wrong.size >= mostNames) wrong.delete(wrong.keys().next().value!)
    wrong.set(name, { count, atMs: monotonicMsOf(clock) })
  }

  async function inLine<Result>(key: string, ms: number, work: () => Promise<Result>): Promise<Result> {
    if (ms === 0) return await work()
    const already = waiting.get(key) ?? 0
    if (already >= mostWaitingEach || waitingInAll >= mostWaiting)
      throw identityFaults.tooManyAttempts('Too many attempts from here.', {
        hint: 'Wait a minute and try again.',
        retry: true,
      })
    waiting.set(key, already + 1)
    waitingInAll += 1
    try {
      await wait(ms)
    } finally {
      waitingInAll -= 1
      const left = waiting.get(key)! - 1
      if (left === 0) waiting.delete(key)
      else waiting.set(key, left)
    }
    return await work()
  }

  return {
    waitMs,
    async attempt({ address, name }, work, onWrong) {
      const key = `${address} ${name}`
      tried.take(address)
      try {
        const result = await inLine(key, waitMs(name), work)
        tried.giveBack(address)
        return result
      } catch (error) {
        if (!(error instanceof Fault) || error.status >= 500) throw error
        answered.take(address)
        countWrong(name)
        await onWrong()
        throw error
      }
    },
    takeCode(personId, address) {
      codesHere.take(`${personId} ${address}`)
      codesInAll.take(personId)
    },
    giveCodeBack(personId, address) {
      codesHere.giveBack(`${personId} ${address}`)
      codesInAll.giveBack(personId)
    },
    isGuessing(personId) {
      try {
        slips.take(personId)
        return false
      } catch {
        return true
      }
    },
  }
}
