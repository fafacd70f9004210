import { expect, test } from 'vitest'
import { decadeTicks, linearTicks, measured, tickText } from './ticks.ts'

test('ticks are round and short', () => {
  expect(linearTicks(4000, 18_000, 7)).toEqual([4000, 6000, 8000, 10_000, 12_000, 14_000, 16_000, 18_000])
  expect(linearTicks(0, 0.3, 3)).toEqual([0, 0.1, 0.2, 0.3])
  expect(linearTicks(1, 1, 5)).toEqual([])
  expect(decadeTicks(2000)).toEqual([1, 10, 100, 1000])
  expect([12_000, 0.25, 3.2e8, 1e-6].map(tickText)).toEqual(['12\u202F000', '0.25', '3.2e8', '1e-6'])
})

test('a value has the digits that its error leaves it', () => {
  expect(measured(7.5852, 0.6512)).toBe('7.59 ± 0.65')
  expect(measured(9917.03, 222.4)).toBe('9\u202F917 ± 222')
  expect(measured(0.0123456, 0.00045)).toBe('0.01235 ± 0.00045')
  expect(measured(12_345.6789, 0.00012)).toBe('12\u202F345.67890 ± 0.00012')
  expect(measured(5, 0)).toBe('5.000')
  expect(measured(Number.NaN, 1)).toBe('–')
})
