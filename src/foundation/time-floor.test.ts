import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createLogger } from './log.ts'
import { temporaryDirectory } from './testing.ts'
import { openTimeFloor } from './time-floor.ts'
import { fakeClock } from './time.ts'

const minuteMs = 60_000
const hourMs = 60 * minuteMs
const end2038Ms = Date.UTC(2038, 0, 19, 3, 14, 7)

async function opened() {
  const folder = await temporaryDirectory()
  const path = join(folder.path, 'floor.json')
  const clock = fakeClock()
  const lines: string[] = []
  const log = createLogger({ process: 'test', destination: { write: (line: string) => void lines.push(line) } })
  const open = () => openTimeFloor({ path, clock, log })
  const onDisk = async () => (JSON.parse(await readFile(path, 'utf8')) as { highestMs: number }).highestMs
  /** Somebody sets the clock by so much; no time passes. */
  const set = (byMs: number) => clock.set(clock.nowMs() + byMs)
  return { clock, lines, open, onDisk, set }
}

test('time that was seen does not come again: not when the clock is put back, and not after a restart', async () => {
  for (const backMs of [1000, 5 * minuteMs, hourMs, 23 * hourMs]) {
    const { clock, open, set, lines } = await opened()
    const floor = await open()
    clock.advance(30 * minuteMs)
    const beforeMs = floor.nowMs()
    set(-backMs)
    expect(floor.nowMs()).toBe(beforeMs)
    expect(floor.trouble() !== undefined).toBe(backMs > minuteMs)
    clock.advance(hourMs)
    expect(floor.nowMs()).toBe(beforeMs + hourMs)
    await floor.kept()
    expect((await open()).nowMs()).toBe(beforeMs + hourMs)
    expect(lines.some((line) => line.includes('was put back'))).toBe(backMs > minuteMs)
  }
})

test('a leap to 2038 and back: what had ended stays ended, and the years it showed do not count', async () => {
  const { clock, open, onDisk, set } = await opened()
  const floor = await open()
  clock.advance(10 * minuteMs)
  const endedMs = floor.nowMs()
  const leapMs = end2038Ms - clock.nowMs()
  set(leapMs)
  // It counts while it is there, and small steps back in it end nothing again.
  expect(floor.nowMs()).toBe(clock.nowMs())
  set(-9 * minuteMs)
  expect(floor.nowMs()).toBe(clock.nowMs() + 9 * minuteMs)
  clock.advance(59 * minuteMs)
  floor.nowMs()
  await floor.kept()
  expect(await onDisk()).toBeLessThanOrEqual(endedMs + hourMs)
  set(-leapMs + 9 * minuteMs)
  expect(floor.nowMs()).toBe(clock.nowMs())
  expect(floor.nowMs()).toBe(endedMs + 59 * minuteMs)
  expect(floor.trouble()).toBeUndefined()
  expect((await open()).nowMs()).toBe(endedMs + 59 * minuteMs)
})

test('a leap that lasts an hour is the time; found to be wrong later, by more than a day, it is not believed', async () => {
  for (const afterRestart of [false, true]) {
    const { clock, open, onDisk, set, lines } = await opened()
    let floor = await open()
    const leapMs = end2038Ms - clock.nowMs()
    set(leapMs)
    for (let minute = 0; minute <= 60; minute += 1) {
      clock.advance(minuteMs)
      floor.nowMs()
    }
    await floor.kept()
    expect(await onDisk()).toBeGreaterThan(end2038Ms)
    set(-leapMs)
    if (afterRestart) floor = await open()
    expect(floor.nowMs()).toBe(clock.nowMs())
    expect(floor.trouble()!.what).toContain('is not believed')
    expect(lines.filter((line) => line.includes('is not believed'))).toHaveLength(1)
    clock.advance(hourMs)
    expect(floor.nowMs()).toBe(clock.nowMs())
    await floor.kept()
    expect(await onDisk()).toBe(clock.nowMs())
    expect((await open()).trouble()).toBeUndefined()
  }
})

test('a machine that begins in 1970 and hears the time later loses no floor', async () => {
  const { clock, open, onDisk } = await opened()
  await open()
  const rightMs = clock.nowMs()
  const kept = await onDisk()
  clock.set(0)
  const floor = await open()
  expect(floor.nowMs()).toBe(0)
  clock.advance(5 * minuteMs)
  floor.nowMs()
  await floor.kept()
  expect(await onDisk()).toBe(kept)
  clock.set(rightMs + 20 * minuteMs)
  expect(floor.nowMs()).toBe(rightMs + 20 * minuteMs)
})

test('a clock that runs ever too fast takes the floor along for ten minutes, not for ever', async () => {
  const { clock, open, set } = await opened()
  const floor = await open()
  const beginMs = clock.nowMs()
  for (let second = 0; second < 60; second += 1) {
    clock.advance(1000)
    set(99_000)
    expect(floor.nowMs()).toBe(clock.nowMs())
  }
  set(beginMs + minuteMs - clock.nowMs())
  expect(floor.nowMs()).toBeGreaterThan(clock.nowMs())
  expect(floor.nowMs()).toBeLessThanOrEqual(clock.nowMs() + 10 * minuteMs + 1000)
})

test('whatever small jumps there are, it never goes back and never stands still', async () => {
  const { clock, open } = await opened()
  const floor = await open()
  let lastMs = floor.nowMs()
  const jump = fc.integer({ min: -5 * minuteMs, max: 5 * minuteMs })
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 100_000 }), jump, (passedMs, jumpMs) => {
      const wallMs = clock.nowMs()
      clock.advance(passedMs)
      clock.set(wallMs + passedMs + jumpMs)
      const nowMs = floor.nowMs()
      expect(nowMs).toBeGreaterThanOrEqual(lastMs + passedMs)
      lastMs = nowMs
      clock.set(wallMs + passedMs)
    }),
  )
})
