import { describe, expect, test } from 'vitest'
import { languageOf } from './language.ts'
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
  test('a language has its own plurals and numbers', () => {
    const message = '{count, plural, one {# ospite} other {# ospiti}}'
    expect(formatMessage(message, { count: 1 }, 'it')).toBe('1 ospite')
    expect(formatMessage(message, { count: 83_200 }, 'it')).toBe('83.200 ospiti')
  })
  test('what we do not speak is English', () => {
    expect(['it', 'it-IT', 'IT-ch', 'de', '', undefined, '__proto__'].map(languageOf)).toEqual([
      'it',
      'it',
      'it',
      'en',
      'en',
      'en',
      'en',
    ])
    const t = messagesOf({ greeting: 'Welcome' }, { it: { greeting: 'Benvenuta' } })
    expect(t('greeting')).toBe('Welcome')
  })
})
