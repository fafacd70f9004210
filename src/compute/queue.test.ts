import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { judge, lost } from './attempt-end.ts'
import { wholeCharacters } from './log-stream.ts'
import { chooseNext, sumOf, type Demand } from './queue.ts'
import { cutAtHours } from './usage.ts'

const demand: fc.Arbitrary<Demand> = fc.record({
  id: fc.uuid(),
  class: fc.constantFrom('interactive', 'prompt', 'batch'),
  cpuMilli: fc.integer({ min: 50, max: 4000 }),
  memoryMiB: fc.integer({ min: 32, max: 4096 }),
})
const slots = fc.record({
  cpuMilli: fc.integer({ min: 0, max: 16_000 }),
  memoryMiB: fc.integer({ min: 0, max: 16_000 }),
})

describe('choosing the next jobs', () => {
  test('never more than there is, nobody overtaken, the floor kept', () => {
    fc.assert(
      fc.property(
        fc.array(demand, { maxLength: 20 }),
        slots,
        fc.integer({ min: 0, max: 2000 }),
        (waiting, capacity, floorMiB) => {
          const floor = { cpuMilli: 0, memoryMiB: floorMiB }
          const chosen = chooseNext(waiting, { cpuMilli: 0, memoryMiB: 0 }, capacity, floor)
          expect(chosen).toEqual(waiting.slice(0, chosen.length).map(({ id }) => id))
          const taken = waiting.slice(0, chosen.length)
          const used = sumOf(taken)
          expect(used.cpuMilli).toBeLessThanOrEqual(capacity.cpuMilli)
          expect(used.memoryMiB).toBeLessThanOrEqual(capacity.memoryMiB)
          if (taken.at(-1)?.class === 'batch') expect(used.memoryMiB).toBeLessThanOrEqual(capacity.memoryMiB - floorMiB)
        },
      ),
    )
  })

  test('a wide job at the head holds the line until it fits', () => {
    const wide: Demand = { id: 'wide', class: 'batch', cpuMilli: 4000, memoryMiB: 100 }
    const small: Demand = { id: 'small', class: 'batch', cpuMilli: 100, memoryMiB: 100 }
    const none = { cpuMilli: 0, memoryMiB: 0 }
    expect(
      chooseNext([wide, small], { cpuMilli: 1000, memoryMiB: 0 }, { cpuMilli: 4000, memoryMiB: 1000 }, none),
    ).toEqual([])
    expect(chooseNext([wide, small], none, { cpuMilli: 4000, memoryMiB: 1000 }, none)).toEqual(['wide'])
  })
})

describe('usage intervals', () => {
  test('cover the stretch without gap or overlap and never cross an hour', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 2e12 }),
        fc.integer({ min: 0, max: 50 * 3_600_000 }),
        (startMs, lengthMs) => {
          const pieces = cutAtHours(startMs, startMs + lengthMs)
          let at = startMs
          for (const piece of pieces) {
            expect(piece.startMs).toBe(at)
            expect(piece.endMs).toBeGreaterThan(piece.startMs)
            expect(Math.floor(piece.startMs / 3_600_000)).toBe(Math.floor((piece.endMs - 1) / 3_600_000))
            at = piece.endMs
          }
          expect(at).toBe(startMs + lengthMs)
        },
      ),
    )
  })
})

describe('the end of an attempt', () => {
  const counters = {
    retry: { exitCodes: [75], maximum: 3, infrastructure: 5 },
    infrastructureLosses: 0,
    userFailures: 0,
    memoryMiB: 64,
    walltimeMs: 1000,
  }
  const done = {
    attempt: 'a.1',
    reason: 'exited' as const,
    detail: null,
    exitCode: 0,
    signal: null,
    startedMs: 0,
    endedMs: 1,
    cpuSeconds: 0,
    peakMemoryBytes: 0,
    outputs: [],
    note: null,
  }

  test('losses are bounded, and the last one says how often', () => {
    expect(lost('gone', counters)).toMatchObject({ next: 'again', counts: 'infrastructure_losses' })
    expect(lost('gone', { ...counters, infrastructureLosses: 5 })).toMatchObject({
      next: 'end',
      state: 'failed',
      reason: 'gone, 6 times',
    })
  })

  test('only success succeeds', () => {
    expect(judge(done, counters, '')).toEqual({ next: 'succeed' })
    for (const reason of [
      'cancelled',
      'walltime',
      'memory',
      'log-too-large',
      'disk-full',
      'launch-failed',
      'revoked',
    ] as const) {
      expect(judge({ ...done, reason }, counters, '').next).not.toBe('succeed')
    }
    expect(judge({ ...done, exitCode: 75 }, counters, '')).toMatchObject({ next: 'again', counts: 'user_failures' })
    expect(judge({ ...done, exitCode: 75 }, { ...counters, userFailures: 2 }, '')).toMatchObject({
      next: 'end',
      state: 'failed',
    })
    expect(judge({ ...done, exitCode: 1 }, counters, '')).toMatchObject({ next: 'end', state: 'failed' })
  })
})

test('pieces of a log end at whole characters', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), fc.nat(), (text, cut) => {
      const bytes = Buffer.from(text)
      const piece = bytes.subarray(0, (cut % bytes.length) + 1)
      const whole = wholeCharacters(piece)
      expect(piece.length - whole).toBeLessThan(4)
      expect(piece.subarray(0, whole).toString('utf8')).not.toContain('\ufffd')
      if (piece.length === bytes.length) expect(whole).toBe(bytes.length)
    }),
  )
})
