/** Time as tests can own it. Times are UTC milliseconds, integers. */

export interface Clock {
  nowMs(): number
  /** Time that passed, whoever sets the clock; without it, that of this process (`performance.now`). */
  monotonicMs?(): number
}

export interface FakeClock extends Clock {
  /** So much time passes; less than none is a clock that is put back. */
  advance(byMs: number): void
  /** Somebody sets the clock; no time passes. */
  set(toMs: number): void
  monotonicMs(): number
}

export function systemClock(): Clock {
  return { nowMs: () => Date.now() }
}

/** For how long something takes or has to wait: a clock that is set does not touch it. */
export function monotonicMsOf(clock: Clock): number {
  return clock.monotonicMs?.() ?? performance.now()
}

/** A clock that stands still until it is told to move. */
export function fakeClock(startMs = Date.UTC(2026, 0, 1)): FakeClock {
  let nowMs = startMs
  let passedMs = 0
  return {
    nowMs: () => nowMs,
    monotonicMs: () => passedMs,
    advance(byMs) {
      nowMs += byMs
      passedMs += Math.max(0, byMs)
    },
    set(toMs) {
      nowMs = toMs
    },
  }
}

/** '2026-01-01 00:00:00 UTC': every printed time carries its zone. */
export function printTime(timeMs: number): string {
  return `${new Date(timeMs).toISOString().slice(0, 19).replace('T', ' ')} UTC`
}

/** '350 ms', '12 s', '3 min 20 s', '2 h 5 min', '4 d 3 h': two units at most. */
export function printDuration(durationMs: number): string {
  if (durationMs < 1000) return `${Math.round(durationMs)} ms`
  const seconds = Math.floor(durationMs / 1000)
  const parts: [number, string][] = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ]
  const first = parts.findIndex(([amount]) => amount > 0)
  return parts
    .slice(first, first + 2)
    .filter(([amount]) => amount > 0)
    .map(([amount, unit]) => `${amount} ${unit}`)
    .join(' ')
}
