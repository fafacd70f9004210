/**
 * A clock that is never put back, also not by a restart: for whatever ends at a time and must not begin again (tokens).
 * The highest time seen is kept on disk; while the wall clock is behind it, time goes on from there at the speed of the
 * monotonic clock. A leap forward counts at once, but is kept only when it has lasted: a clock that was wrong for a
 * minute must not keep people out for the years it showed.
 */
import { dirname } from 'node:path'
import { z } from 'zod'
import { ensureDirectory, readJsonFile, writeFileDurable } from './files.ts'
import type { Logger } from './log.ts'
import { printDuration, printTime, type Clock } from './time.ts'

/** How much of the time before a restart may be seen again. */
const keepEveryMs = 60_000
const leapMs = 3_600_000
const lastingMs = 600_000
const toleratedMs = 60_000

const floorSchema = z.object({ highestMs: z.int() })

export interface FlooredClock extends Clock {
  /** Resolves when what was seen so far is on disk. */
  kept(): Promise<void>
}

/** Opens the floor kept at `path`; a file that cannot be read counts as none. */
export async function openTimeFloor(options: {
  path: string
  clock: Clock
  log: Logger
  /** Default: the monotonic clock of this process. */
  monotonicMs?: () => number
}): Promise<FlooredClock> {
  const { path, clock, log, monotonicMs = () => performance.now() } = options
  await ensureDirectory(dirname(path))
  const found = await readJsonFile(path, floorSchema).catch(() => undefined)
  let writtenMs = found?.highestMs ?? 0
  let writing = Promise.resolve()
  let base = { ms: Math.max(writtenMs, clock.nowMs()), atMs: monotonicMs() }
  let leaptAtMs: number | undefined
  let isBehind = false

  function keep(): void {
    writtenMs = base.ms
    const content = JSON.stringify({ highestMs: writtenMs })
    writing = writing
      .then(() => writeFileDurable(path, content, { mode: 0o600 }))
      .catch((error: unknown) => log.warn({ error, path }, 'the highest time seen could not be kept'))
  }

  function tellIfBehind(wallMs: number, nowMs: number): void {
    const behind = nowMs - wallMs > toleratedMs
    if (behind && !isBehind) {
      const hint = `Set the clock right. If the time before was the wrong one, stop Cygnet, remove ${path} and start again.`
      log.error(
        { path, hint },
        `the clock of this machine was put back by ${printDuration(nowMs - wallMs)}: credentials are checked against ${printTime(nowMs)}`,
      )
    }
    isBehind = behind
  }

  function nowMs(): number {
    const wallMs = clock.nowMs()
    const atMs = monotonicMs()
    const expectedMs = Math.floor(base.ms + (atMs - base.atMs))
    if (wallMs > expectedMs + leapMs) {
      leaptAtMs ??= atMs
      if (atMs - leaptAtMs < lastingMs) return wallMs
    }
    leaptAtMs = undefined
    const now = Math.max(wallMs, expectedMs)
    tellIfBehind(wallMs, now)
    base = { ms: now, atMs }
    if (now - writtenMs >= keepEveryMs) keep()
    return now
  }

  nowMs()
  await writing
  return { nowMs, kept: () => writing }
}
