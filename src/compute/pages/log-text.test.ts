import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { appendLog, emptyLog } from './log-text.ts'

const all = (pieces: string[], keep = 1000) => pieces.reduce((log, piece) => appendLog(log, piece, keep), emptyLog)

describe('text of a live log', () => {
  test('pieces join into lines', () => {
    expect(all(['one\ntw', 'o\nthree']).lines).toEqual(['one', 'two', 'three'])
  })
  test('colours go, carriage returns overwrite as in a terminal', () => {
    expect(all(['\u001b[31mred\u001b[0m\r\n']).lines).toEqual(['red', ''])
    expect(all(['10 %\r20 %\r30 %\ndone']).lines).toEqual(['30 %', 'done'])
  })
  test('only the last lines stay and the lost ones are counted', () => {
    expect(all(['a\nb\nc\nd'], 2)).toEqual({ lines: ['c', 'd'], dropped: 2 })
  })
  test('plain text is the same in whatever pieces it comes', () => {
    fc.assert(
      fc.property(fc.array(fc.stringMatching(/^[a-z\n]{0,6}$/)), (pieces) => {
        expect(all(pieces).lines.join('\n')).toBe(pieces.join(''))
      }),
    )
  })
})
