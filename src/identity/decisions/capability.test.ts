import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Capability } from '../subject.ts'
import {
  covers,
  formatCapability,
  includes,
  intersect,
  isPlace,
  parseCapability,
  placeCovers,
  reduced,
  substitute,
} from './capability.ts'

const segment = fc.constantFrom('a', 'b', 'ab', '*')
const place = fc
  .tuple(fc.array(segment, { minLength: 1, maxLength: 3 }), fc.boolean())
  .map(([segments, isTree]) => [...segments, ...(isTree ? ['**'] : [])].join('/'))
const capability: fc.Arbitrary<Capability> = fc.oneof(
  fc.constantFrom<Capability>({ action: 'jobs.submit' }, { action: 'data.read' }, { action: 'data.create' }),
  place.map((where): Capability => ({ action: 'data.read', place: where })),
  place.map((where): Capability => ({ action: 'data.create', place: where })),
)
const list = fc.array(capability, { maxLength: 5 })
const action = fc.constantFrom('jobs.submit', 'data.read', 'data.create')
const reached = fc.record(
  {
    bucket: fc.constantFrom('a', 'b', 'ab'),
    key: fc.array(fc.constantFrom('a', 'b', 'ab', '', '..'), { maxLength: 4 }).map((parts) => parts.join('/')),
    listing: fc.boolean(),
  },
  { requiredKeys: [] },
)
type Where = { bucket?: string; key?: string; listing?: boolean }
const gives = (all: readonly Capability[], what: 'jobs.submit' | 'data.read' | 'data.create', where: Where) =>
  all.some((one) => covers(one, what, where))
const runs = { numRuns: 2000 }

describe('the text of capabilities', () => {
  test.each(['data.read', 'data.read:/cygno-work/analysis/**', 'jobs.submit', 'share.create:/*/x/*', 'data.read:/**'])(
    '%s is read and written alike',
    (text) => expect(formatCapability(parseCapability(text)!)).toBe(text),
  )

  test.each([
    'data.read:cygno-work',
    'data.read:/',
    'data.read:',
    'data.read:/a//b',
    'data.read:/a/',
    'data.read:/a/../b',
    'data.read:/a/./b',
    'data.read:/a/**/b',
    'data.read:/a/x*',
    'data.read:/a/b**',
    'data.read:/a\0b',
    `data.read:/${'x'.repeat(1025)}`,
    'jobs.submit:/a',
    'DATA.READ',
    'constructor',
    ' data.read',
    'data.*',
    '',
  ])('%j is no capability', (text) => expect(parseCapability(text)).toBeUndefined())
})

describe('places are compared by whole segments', () => {
  test.each([
    ['b/foo/bar/**', 'b', 'foo/bar', true],
    ['b/foo/bar/**', 'b', 'foo/bar/qux', true],
    ['b/foo/bar/**', 'b', 'foo/bargain', false],
    ['b/foo/bar/**', 'b', 'foo', false],
    ['b/foo/bar', 'b', 'foo/bar', true],
    ['b/foo/bar', 'b', 'foo/bar/qux', false],
    ['b/foo/bar/*/**', 'b', 'foo/bar', false],
    ['b/foo/*', 'b', 'foo/', false],
    ['b/foo/*/x', 'b', 'foo/anna/x', true],
    ['b/foo/**', 'b', 'foo/../bar', false],
    ['b/foo/**', 'b', 'foo/./x', false],
    ['b/**', 'b2', 'x', false],
    ['b/**', 'b', undefined, true],
    ['**', 'anything', 'at/all', true],
    ['*/x', 'anything', 'x', true],
    ['b/foo/**', 'b', 'foo/%2e%2e/bar', true],
  ])('%s against %s %s', (wanted, bucket, key, expected) => {
    expect(placeCovers(wanted, bucket, key)).toBe(expected)
  })

  test.each([
    ['b/lime/**', 'lime/', true],
    ['b/lime/**', 'lime/run', true],
    ['b/lime/**', 'lime', false],
    ['b/lime/**', 'lim', false],
    ['b/lime/**', '', false],
    ['b/**', '', true],
    ['b/**', 'anything', true],
    ['b/*', 'x', false],
    ['b/lime', 'lime', false],
  ])('a listing of what begins so: %s against %s', (wanted, prefix, expected) => {
    expect(placeCovers(wanted, 'b', prefix, true)).toBe(expected)
  })

  test('a listing that is allowed shows nothing that may not be read', () => {
    fc.assert(
      fc.property(place, reached, fc.string({ maxLength: 4 }), (wanted, { bucket = 'a', key = '' }, more) => {
        if (`${key}${more}`.split('/').some((one) => one === '..' || one === '.')) return
        if (placeCovers(wanted, bucket, key, true)) expect(placeCovers(wanted, bucket, key + more)).toBe(true)
      }),
      runs,
    )
  })
})

describe('intersect is the meet', () => {
  test('it gives what both give, and nothing else', () => {
    fc.assert(
      fc.property(list, list, action, reached, (one, other, what, where) => {
        expect(gives(intersect(one, other), what, where)).toBe(gives(one, what, where) && gives(other, what, where))
      }),
      { numRuns: 5000 },
    )
  })

  test('it is idempotent, and neither order nor grouping matter', () => {
    fc.assert(
      fc.property(list, list, list, (one, other, third) => {
        expect(intersect(one, one)).toEqual(reduced(one))
        expect(intersect(one, other)).toEqual(intersect(other, one))
        expect(intersect(intersect(one, other), third)).toEqual(intersect(one, intersect(other, third)))
        expect(intersect(one, [])).toEqual([])
      }),
      runs,
    )
  })

  test('includes says which of two is wider', () => {
    fc.assert(
      fc.property(capability, capability, action, reached, (wide, narrow, what, where) => {
        if (includes(wide, narrow) && covers(narrow, what, where)) expect(covers(wide, what, where)).toBe(true)
      }),
      runs,
    )
  })

  test('reducing changes no right, and what it makes can be written and read', () => {
    fc.assert(
      fc.property(list, list, action, reached, (one, other, what, where) => {
        expect(gives(reduced(one), what, where)).toBe(gives(one, what, where))
        const met = intersect(one, other)
        expect(met.map((each) => parseCapability(formatCapability(each)))).toEqual(met)
      }),
      runs,
    )
  })
})

describe('names that stand for themselves', () => {
  const home: Capability = { action: 'data.modify', place: 'cygno-work/home/${user}/**' }

  test('are put in as whole segments', () => {
    expect(substitute(home, { user: 'anna' })?.place).toBe('cygno-work/home/anna/**')
    expect(substitute({ action: 'data.read', place: 'w/${group}/**' }, { group: 'analysis/muons' })?.place).toBe(
      'w/analysis/muons/**',
    )
    expect(substitute({ action: 'jobs.submit' }, {})).toEqual({ action: 'jobs.submit' })
  })

  test.each(['..', '*', '**', 'a/b', '', 'a b', '${group}', 'ann\0a', '.hidden'])(
    'a user called %j gets nothing by it',
    (user) => expect(substitute(home, { user })).toBeUndefined(),
  )

  test.each(['w/x${user}/**', 'w/${home}/**', 'w/$user', 'w/${group}/**'])('%s stays without', (where) => {
    expect(substitute({ action: 'data.read', place: where }, { user: 'anna' })).toBeUndefined()
    expect(isPlace('cygno-work/${user}/**')).toBe(true)
  })
})
