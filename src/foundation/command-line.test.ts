import { expect, test } from 'vitest'
import { tableText } from './command-line.ts'

test('a row of a table is one line, whatever a reason looks like', () => {
  const rows = [{ run: 'sim:2', reason: 'it exited with code 3; the last it said:\n  boo\r\n' }]
  expect(tableText(rows, ['run', 'reason']).split('\n')).toHaveLength(3)
  expect(tableText(rows, ['run', 'reason'])).toContain('said: | boo')
})
