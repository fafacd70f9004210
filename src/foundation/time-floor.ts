/**
 * A clock that is not put back, also not by a restart: for whatever ends at a time and must not begin again (tokens).
 * The highest time seen is kept on disk; while the wall clock is behind it, time goes on from there at the speed of the
 * monotonic clock. The floor rises only as the monotonic clock vouches for it: a leap forward counts at once, but is
 * taken into the floor when it has lasted an hour, so a clock that was wrong for a while keeps nobody out for the years
 * it showed. And a floor more than a day ahead of the wall clock is not believed: then the floor was the wrong one.
 */
import { dirname } from 'node:path'
import { z } from 'zod'
import { ensureDirectory, readJsonFile, writeFileDurable } from './files.ts'
import type { Logger } from './log.ts'
import { monotonicMsOf, printDuration, printTime, type Clock } from './time.ts'

/** How much of the time before a restart may be seen again. */
const keepEveryMs = 60_000
/** Farther ahead of the monotonic clock, in one step or in an hour, is a leap; so much back ends one. */
const leapMs = 600_000
/** A leap that has lasted so long is the time. */
const lastingMs = 3_600_000
/** A floor farther ahead of the wall clock is not believed. */
const believedMs = 24 * 3_600_000
const toleratedMs = 60_000

const floorSchema = z.object({ highestMs: z.int() })

/** What somebody should look at, in words. */
export interface ClockTrouble {
  what: string
  hint: string
}

export interface FlooredClock extends Clock {
  /** Resolves when what was seen so far is on disk. */
  kept(): Promise<void>
  /** While the wall clock is behind, or when a floor was not believed since this was opened. */
  trouble(): ClockTrouble | undefined
}

/** A time that goes on by itself: this much at this reading of the monotonic clock. */
interface Track {
  ms: number
  atMs: number
}

/** Opens the floor kept at `path`; a file that cannot be read counts as none. */
export async function openTimeFloor(options: { path: string; clock: Clock; log: Logger }): Promise<FlooredClock> {
  const { path, clock, log } = options
  const monotonicMs = (): number => monotonicMsOf(clock)
  await ensureDirectory(dirname(path))
  const found = await readJsonFile(path, floorSchema).catch(() => undefined)
  let writtenMs = found?.highestMs ?? 0
  let writing = Promise.resolve()
  let floor: Track = { ms: found?.highestMs ?? clock.nowMs(), atMs: monotonicMs() }
  /** How much faster than the monotonic clock the floor may still rise; an hour refills it. */
  let slackMs = leapMs
  /** A time beyond the floor that has not lasted yet. */
  let leap: (Track & { sinceMs: number }) | undefined
  /** The floor on disk stays until what took the place of a floor that was not believed has lasted. */
  let keepsFromMs = -Infinity
  let behind: ClockTrouble | undefined
  let disbelieved: ClockTrouble | undefined

  const later = ({ ms, atMs }: Track, nowMs: number): number => ms + (nowMs - atMs)

  function keep(atMs: number): void {
    if (floor.ms - writtenMs < keepEveryMs || atMs < keepsFromMs) return
    writtenMs = Math.floor(floor.ms)
    const content = JSON.stringify({ highestMs: writtenMs })
    writing = writing
      .then(() => writeFileDurable(path, content, { mode: 0o600 }))
      .catch((error: unknown) => log.warn({ error, path }, 'the highest time seen could not be kept'))
  }

  function disbelieve(wallMs: number, atMs: number): void {
    disbelieved = {
      what: `The clock of this machine was ${printTime(floor.ms)} before and is ${printTime(wallMs)} now; the earlier time is not believed.`,
      hint: 'Set the clock right if it is wrong now. Whatever ended in the last hours before may be valid once more: sign everybody out if that matters.',
    }
    log.error({ path, hint: disbelieved.hint }, disbelieved.what)
    floor = { ms: wallMs, atMs }
    leap = undefined
    writtenMs = 0
    keepsFromMs = atMs + lastingMs
  }

  /** What a wall clock beyond the floor comes to. */
  function leapTo(wallMs: number, atMs: number): number {
    const expectedMs = leap && later(leap, atMs)
    const goesOn = expectedMs !== undefined && Math.abs(wallMs - expectedMs) <= leapMs
    const ms = goesOn ? Math.max(wallMs, expectedMs) : wallMs
    leap = { ms, atMs, sinceMs: goesOn ? leap!.sinceMs : atMs }
    if (atMs - leap.sinceMs >= lastingMs) {
      floor = { ms, atMs }
      leap = undefined
    }
    return ms
  }

  function nowMs(): number {
    const wallMs = clock.nowMs()
    const atMs = monotonicMs()
    if (later(floor, atMs) - wallMs > believedMs) disbelieve(wallMs, atMs)
    slackMs = Math.min(leapMs, slackMs + (atMs - floor.atMs) * (leapMs / lastingMs))
    floor = { ms: later(floor, atMs), atMs }
    const aheadMs = wallMs - floor.ms
    let now = floor.ms
    // A small step back ends no leap: what ended in it stays so.
    const inLeap = leap !== undefined && Math.abs(wallMs - later(leap, atMs)) <= leapMs
    if (inLeap || aheadMs > slackMs) now = leapTo(wallMs, atMs)
    else {
      leap = undefined
      if (aheadMs > 0) {
        slackMs -= aheadMs
        now = floor.ms = wallMs
      }
    }
    tellIfBehind(wallMs, now)
    keep(atMs)
    return Math.floor(now)
  }

  function tellIfBehind(wallMs: number, nowMs: number): void {
    if (nowMs - wallMs <= toleratedMs) {
      behind = undefined
      return
    }
    const isNew = behind === undefined
    behind = {
      what: `The clock of this machine was put back by ${printDuration(nowMs - wallMs)}: credentials are checked against ${printTime(nowMs)}.`,
      hint: `Set the clock right. If the time before was the wrong one, stop Cygnet, remove ${path} and start again.`,
    }
    if (isNew) log.error({ path, hint: behind.hint }, behind.what)
  }

  nowMs()
  await writing
  return {
    nowMs,
    monotonicMs,
    kept: () => writing,
    trouble() {
      nowMs()
      return behind ?? disbelieved
    },
  }
}
