import { describe, expect, test } from 'vitest'
import { commandOf, dayMs, filterOf, unusedFilters } from './run-filter.ts'
import type { FilterName } from './run-filter.ts'

const of = (values: Partial<Record<FilterName, string>>) => (name: FilterName) => values[name] ?? ''

describe('run filter in the address', () => {
  test('an empty address asks for everything', () => {
    expect(filterOf(of({}))).toEqual({})
  })
  test('well-formed filters become the question', () => {
    expect(
      filterOf(
        of({
          text: 'fe55 copper',
          numbers: '100-200, 250',
          kind: 'data',
          quality: 'good',
          setup: 'lime',
          fault: 'yes',
        }),
      ),
    ).toEqual({
      text: 'fe55 copper',
      numbers: '100-200,250',
      kind: 'data',
      quality: 'good',
      setup: 'lime',
      hasFault: 'yes',
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
  test('the same list as a command: numbers first, the whole last day, words quoted', () => {
    expect(commandOf('demo', {})).toBe('cygnet runs list --experiment demo')
    const filter = filterOf(of({ text: "Fe55's; rm", numbers: '1-20', kind: 'data', to: '2026-11-02', fault: 'no' }))
    expect(commandOf('demo', filter)).toBe(
      "cygnet runs list 1-20 --experiment demo --text 'Fe55'\\''s; rm' --kind data --to 2026-11-02T23:59:59.999Z --fault no",
    )
  })
  test('what is not understood is left out and named', () => {
    const get = of({ kind: 'fe55', numbers: 'a-b', state: 'closed' })
    expect(filterOf(get)).toEqual({ state: 'closed' })
    expect(unusedFilters(get)).toEqual(['numbers', 'kind'])
  })
})
