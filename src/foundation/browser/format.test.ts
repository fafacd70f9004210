import { describe, expect, test } from 'vitest'
import { formatAge, formatBytes, formatCount, formatDuration, formatMoment, significant } from './format.ts'

describe('numbers and times for people', () => {
  test('sizes keep three digits and decimal units', () => {
    expect([0, 999, 1000, 10_616_832, 999_600, 1.58e9].map(formatBytes)).toEqual([
      '0 B',
      '999 B',
      '1.00 kB',
      '10.6 MB',
      '1.00 MB',
      '1.58 GB',
    ])
  })
  test('counts are grouped by a thin space, never by a comma', () => {
    expect(formatCount(1_234_567)).toBe('1\u202f234\u202f567')
  })
  test('significant digits without exponents in the everyday range', () => {
    expect([0, 0.0123, 1.234, 12.34, 123.4, 94_623.4].map((value) => significant(value, 3))).toEqual([
      '0',
      '0.0123',
      '1.23',
      '12.3',
      '123',
      '94\u202f623',
    ])
    expect(significant(Number.NaN, 3)).toBe('–')
  })
  test('durations and ages', () => {
    expect(formatDuration(242_000)).toBe('0:04:02')
    expect(formatDuration(2 * 86_400_000 + 3_600_000)).toBe('2 d 01:00:00')
    expect([500, 12_000, 200_000, 7_200_000, 4 * 86_400_000, -180_000].map(formatAge)).toEqual([
      'just now',
      '12 s ago',
      '3 min ago',
      '2 h ago',
      '4 d ago',
      'in 3 min',
    ])
  })
  test('every time carries its zone', () => {
    expect(formatMoment(Date.UTC(2026, 10, 23, 14, 29, 38), 'utc')).toBe('2026-11-23 14:29:38Z')
    expect(formatMoment(Date.UTC(2026, 10, 23, 14, 29, 38), 'utc', 'short')).toBe('14:29:38Z')
    expect(formatMoment(Date.UTC(2026, 10, 23, 14, 29, 38), 'local')).toMatch(/^2026-11-2\d \d\d:\d\d:38 \S+$/)
  })
})
