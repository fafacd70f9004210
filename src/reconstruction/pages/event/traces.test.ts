import { expect, test } from 'vitest'
import type { TraceBoard } from '../../contract.ts'
import { aboveThreshold, envelopePath, peaksOf, shownChannels } from './traces.ts'

test('a trace is a band from its lowest to its highest counts', () => {
  const { path, yOf } = envelopePath([0, 50], [10, 100], 100, 106)
  expect([yOf(100), yOf(50), yOf(0)]).toEqual([3, 53, 103])
  expect(path).toBe('M25 93L75 3L75 53L25 103Z')
  expect(envelopePath([], [], 100, 50).path).toBe('')
  expect(envelopePath([7], [7], 100, 50).path).toMatch(/^M50 47L50 47Z$/)
})

test('peaks of a row; nonsense is no peak', () => {
  expect(peaksOf({ peakList: '[[370,120.5,8,20],[1,2]]' })).toEqual([
    { position: 370, heightCounts: 120.5, halfWidth: 8, fullWidth: 20 },
  ])
  expect(peaksOf({ peakList: 'x' })).toEqual([])
})

test('tubes stand before GEMs, the trigger and free inputs are not drawn', () => {
  const channels = (['trigger', 'gem', 'pmt', 'unused', 'pmt'] as const).map((kind, channel) => ({
    channel,
    label: kind,
    kind,
    low: [],
    high: [],
  }))
  const board: TraceBoard = {
    name: 'fast',
    model: 1742,
    samples: 1024,
    nsPerSample: 4 / 3,
    samplesPerPoint: 1,
    channels,
  }
  expect(shownChannels(board).map(({ channel }) => channel)).toEqual([2, 4, 1])
})

test('the time over threshold lies where the pulse is', () => {
  const trace = Array.from({ length: 200 }, (_, index) => (index >= 120 && index < 150 ? 3000 : 3800))
  expect(aboveThreshold({ low: trace, high: trace }, 3800, 30, 1)).toEqual({ from: 120, to: 150 })
  expect(aboveThreshold({ low: trace, high: trace }, 3800, 120, 4)).toEqual({ from: 480, to: 600 })
  expect(aboveThreshold({ low: trace, high: trace }, 3800, 0, 1)).toBeUndefined()
})
