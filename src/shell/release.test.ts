import { expect, test } from 'vitest'
import { arrivedAt, firstRelease, returnedFrom, versionToStart } from './release.ts'

const first = firstRelease('1', 10)
const arrival = { nowMs: 20, migrated: null }

test('up runs what its checkout holds, until the home has left that on purpose', () => {
  expect(versionToStart(undefined, '1')).toBe('1')
  expect(versionToStart(first, '2')).toBe('2')
  const edited = arrivedAt(first, '2', { how: 'up', ...arrival })
  expect(versionToStart(edited, '1')).toBe('1')
  const upgraded = arrivedAt(first, '2', { how: 'upgrade', ...arrival })
  expect(upgraded).toMatchObject({ current: '2', previous: '1' })
  expect(versionToStart(upgraded, '1')).toBe('2')
  expect(versionToStart(upgraded, '3')).toBe('3')
  const back = arrivedAt(upgraded, '1', { how: 'rollback', ...arrival })
  expect([versionToStart(back, '1'), versionToStart(back, '2')]).toEqual(['1', '1'])
})

test('a version that failed is not tried again by itself; asked for, it is', () => {
  const failed = returnedFrom(first, '2', 20, 'it ended')
  expect(failed).toMatchObject({ current: '1', previous: null, left: ['2'], switching: null })
  expect(versionToStart(failed, '2')).toBe('1')
  expect(versionToStart({ ...failed, next: { version: '2', how: 'upgrade' } }, '1')).toBe('2')
  expect(arrivedAt(failed, '2', { how: 'upgrade', ...arrival }).left).toEqual(['1'])
})

test('a copy starts the present version, and so does everybody in the middle of a hand-over', () => {
  const switching = { to: '2', how: 'upgrade' as const, startedMs: 20, appliedBefore: [] }
  expect(versionToStart(first, undefined)).toBe('1')
  expect(versionToStart({ ...first, switching }, '2')).toBe('1')
})
