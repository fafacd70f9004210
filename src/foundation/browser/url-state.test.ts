import { expect, test } from 'vitest'
import { withQuery } from './url-state.ts'

test('query parameters are set, kept and removed, and stay readable', () => {
  expect(withQuery('?kind=data&text=a', { kind: 'pedestal' })).toBe('kind=pedestal&text=a')
  expect(withQuery('kind=data&text=a', { text: '', kind: undefined })).toBe('')
  expect(withQuery('', { numbers: '1-20,44', subject: 'sim:2' })).toBe('numbers=1-20,44&subject=sim:2')
})
