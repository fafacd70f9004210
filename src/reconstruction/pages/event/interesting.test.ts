import { expect, test } from 'vitest'
import { eventsOfCsv, nextOf, stepped } from './interesting.ts'

test('events of a table of rows', () => {
  expect(eventsOfCsv('event\n3\n3\r\n12\n0\n\n')).toEqual([0, 3, 12])
  expect(eventsOfCsv('')).toEqual([])
})

test('the next interesting event goes around the end', () => {
  expect([
    nextOf([1, 4, 9], 4, 1),
    nextOf([1, 4, 9], 9, 1),
    nextOf([1, 4, 9], 1, -1),
    nextOf([1, 4, 9], 5, -1),
  ]).toEqual([9, 1, 9, 4])
  expect(nextOf([4], 4, 1)).toBeUndefined()
})

test('steps stay in the brushed range while one is in it', () => {
  expect([stepped(5, 1, 9, undefined), stepped(9, 1, 9, undefined), stepped(0, -1, 9, undefined)]).toEqual([6, 9, 0])
  expect([
    stepped(5, 1, 9, { from: 3, to: 5 }),
    stepped(3, -1, 9, { from: 3, to: 5 }),
    stepped(7, 1, 9, { from: 3, to: 5 }),
  ]).toEqual([5, 3, 8])
})
