import { expect, test } from 'vitest'
import { codeOfFragment, safeNext } from './fragment.ts'

test('the code of a sign-in link', () => {
  expect(codeOfFragment('#code=abc_-1')).toBe('abc_-1')
  expect(codeOfFragment('')).toBeUndefined()
  expect(codeOfFragment('#code=')).toBeUndefined()
})

test('signing in leads only to pages of this app', () => {
  expect(safeNext('?next=%2Fe%2Fdemo%2Fruns%3Fkind%3Ddata')).toBe('/e/demo/runs?kind=data')
  for (const bad of [
    'https://evil.example',
    '//evil.example',
    '/\\evil.example',
    'javascript:alert(1)',
    '/sign-in?next=/',
  ]) {
    expect(safeNext(`?next=${encodeURIComponent(bad)}`)).toBe('/')
  }
})
