import { describe, expect, test } from 'vitest'
import { dayMs, filterOf, unusedFilters } from './run-filter.ts'
import type { FilterName } from './run-filter.ts'

const of = (values: Partial<Record<FilterName, string>>) => (name: FilterName) => values[name] ?? ''

describe('run filter in the address', () => {
  test('an empty address asks for everything', () => {
    expect(filterOf(of({}))).toEqual({})
  })
  test('well-formed filters become the question', () => {
    expect(filterOf(of({ text: 'fe55 copper', numbers: '100-200, 250', kind: 'data', quality: 'good', setup: 'lime', fault: 'yes' }))).toEqual({
      text: 'fe55 copper', numbers: '100-200,250', kind: 'data', quality: 'good', setup: 'lime', hasFault: 'yes',
    })
  })
  test('days are UTC and the last one counts wholly', () => {
    const filter = filterOf(of({ from: '2026-11-01', to: '2026-11-02' }))
    expect(filter.startedFromMs).toBe(Date.UTC(2026, 10, 1))
    expect(filter.startedToMs).toBe(Date.UTC(2026, 10, 3) - 1)
    expect(dayMs('2026-11-01T12:30')).toBe(Date.UTC(2026, 10, 1, 12, 30))
    expect(dayMs('2026-13-01')).toBeUndefined()
    expect(dayMs('yesterday')).toBeUndefined()
  })
  test('what is not understood is left out and named', () => {
    const get = of({ kind: 'fe55', numbers: 'a-b', state: 'closed' })
    expect(filterOf(get)).toEqual({ state: 'closed' })
    expect(unusedFilters(get)).toEqual(['numbers', 'kind'])
  })
})
