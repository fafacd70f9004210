import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { silentLogger } from './log.ts'
import { temporaryDirectory } from './testing.ts'
import { openTimeFloor } from './time-floor.ts'
import { fakeClock } from './time.ts'

const hourMs = 3_600_000

async function opened() {
  const folder = await temporaryDirectory()
  const path = join(folder.path, 'floor.json')
  const clock = fakeClock()
  let monotonicMs = 0
  const open = () => openTimeFloor({ path, clock, log: silentLogger(), monotonicMs: () => monotonicMs })
  /** So much time really passes. */
  const pass = (ms: number) => {
    monotonicMs += ms
    clock.advance(ms)
  }
  return { clock, open, pass }
}

test('time that was seen does not come again: not when the clock is put back, and not after a restart', async () => {
  for (const backMs of [300_000, hourMs, 24 * hourMs]) {
    const { clock, open, pass } = await opened()
    const floor = await open()
    pass(30 * 60_000)
    const beforeMs = floor.nowMs()
    clock.advance(-backMs)
    expect(floor.nowMs()).toBe(beforeMs)
    pass(hourMs)
    expect(floor.nowMs()).toBe(beforeMs + hourMs)
    await floor.kept()
    expect((await open()).nowMs()).toBe(beforeMs + hourMs)
  }
})

test('a wrong clock counts while it is there, and is forgotten if it was soon put right', async () => {
  const { clock, open, pass } = await opened()
  const floor = await open()
  const rightMs = clock.nowMs()
  clock.set(Date.UTC(2038, 0, 19, 3, 14, 7))
  expect(floor.nowMs()).toBe(clock.nowMs())
  clock.set(rightMs)
  pass(60_000)
  expect(floor.nowMs()).toBe(rightMs + 60_000)
  // One that lasts is the time.
  clock.advance(24 * hourMs)
  floor.nowMs()
  pass(600_000)
  const laterMs = floor.nowMs()
  expect(laterMs).toBe(clock.nowMs())
  clock.advance(-24 * hourMs)
  expect(floor.nowMs()).toBe(laterMs)
})

test('whatever small jumps there are, it never goes back and never stands still', async () => {
  const { clock, open, pass } = await opened()
  const floor = await open()
  let lastMs = floor.nowMs()
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 100_000 }),
      fc.integer({ min: -hourMs, max: 50 * 60_000 }),
      (passedMs, jumpMs) => {
        const wallMs = clock.nowMs()
        pass(passedMs)
        clock.advance(jumpMs)
        const nowMs = floor.nowMs()
        expect(nowMs).toBeGreaterThanOrEqual(lastMs + passedMs)
        lastMs = nowMs
        clock.set(wallMs + passedMs)
      },
    ),
  )
})
