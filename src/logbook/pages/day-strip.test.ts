import { describe, expect, test } from 'vitest'
import { clipRun, sumRuns } from './day-strip.ts'

const run = (
  startedMs: number | null,
  endedMs: number | null,
  state: 'closed' | 'recording' | 'crashed' = 'closed',
) => ({ startedMs, endedMs, state, images: 10, sizeBytes: 100 })

describe('a day of runs', () => {
  test('runs are clipped to the day; one that records lasts until now', () => {
    expect(clipRun(run(50, 150), 100, 200)).toEqual({ fromMs: 100, toMs: 150 })
    expect(clipRun(run(120, null, 'recording'), 100, 200)).toEqual({ fromMs: 120, toMs: 200 })
    expect(clipRun(run(120, null, 'crashed'), 100, 200)).toEqual({ fromMs: 120, toMs: 120 })
    expect(clipRun(run(null, null), 100, 200)).toBeUndefined()
    expect(clipRun(run(10, 20), 100, 200)).toBeUndefined()
  })
  test('two setups at once count once as time recorded', () => {
    expect(sumRuns([run(100, 150), run(120, 160), run(180, 190)], 100, 200)).toEqual({
      runs: 3,
      images: 30,
      sizeBytes: 300,
      liveShare: 0.7,
    })
  })
  test('no run, no time', () => {
    expect(sumRuns([], 100, 200)).toEqual({ runs: 0, images: 0, sizeBytes: 0, liveShare: 0 })
  })
})
