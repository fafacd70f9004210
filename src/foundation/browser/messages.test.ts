import { describe, expect, test } from 'vitest'
import { formatMessage, messagesOf } from './messages.ts'

describe('messages', () => {
  test('fills names and leaves unknown ones visible', () => {
    expect(formatMessage('Run {run} of {setup}', { run: 'sim:2', setup: 'lime' })).toBe('Run sim:2 of lime')
    expect(formatMessage('Run {run}', {})).toBe('Run {run}')
  })
  test('chooses plurals, exact numbers first, and groups digits', () => {
    const message = '{count, plural, =0 {no run} one {# run} other {# runs}} here'
    expect(formatMessage(message, { count: 0 })).toBe('no run here')
    expect(formatMessage(message, { count: 1 })).toBe('1 run here')
    expect(formatMessage(message, { count: 83_200 })).toBe('83,200 runs here')
  })
  test('a plural may hold other names', () => {
    expect(formatMessage('{n, plural, one {# file of {run}} other {# files of {run}}}', { n: 2, run: 'sim:2' })).toBe(
      '2 files of sim:2',
    )
  })
  test('a missing key shows itself', () => {
    const t = messagesOf({ known: 'yes' })
    expect(t('known')).toBe('yes')
    expect(t('absent' as 'known')).toBe('⟨absent⟩')
  })
})
