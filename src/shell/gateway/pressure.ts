/** Says in the log, at most every ten seconds, what had to be turned away: a flood is seen, not guessed. */
import type { Logger } from '../../foundation/log.ts'
import type { BodyPace } from './body-pace.ts'
import type { ConnectionGuard } from './connection-guard.ts'
import type { FairShare } from './fair-share.ts'

const everyMs = 10_000

export interface PressureParts {
  guard: ConnectionGuard
  pace: BodyPace
  share: FairShare
  streams: FairShare
}

export function watchPressure(parts: PressureParts, log: Logger): { close(): void } {
  let before = turnedAway(parts)
  const timer = setInterval(() => {
    const now = turnedAway(parts)
    if (now !== before) {
      const connections = parts.guard.counts()
      log.warn(
        { connections, stalled: parts.pace.stalled(), requests: parts.share.counts() },
        'traffic was turned away',
      )
    }
    before = now
  }, everyMs)
  timer.unref()
  return { close: () => clearInterval(timer) }
}

function turnedAway({ guard, pace, share, streams }: PressureParts): number {
  const { refused, evicted } = guard.counts()
  return refused + evicted + pace.stalled() + share.counts().refused + streams.counts().refused
}
