import { expect, test } from 'vitest'
import { crumbsOf, s3AddressOf, shellQuoted, splitPrefix } from './object-path.ts'

test('prefixes read as folders', () => {
  expect(crumbsOf('lime/sim/')).toEqual([
    { name: 'lime', prefix: 'lime/' },
    { name: 'sim', prefix: 'lime/sim/' },
  ])
  expect(crumbsOf('')).toEqual([])
  expect(splitPrefix('lime/run000')).toEqual({ folder: 'lime/', start: 'run000' })
  expect(splitPrefix('lime/')).toEqual({ folder: 'lime/', start: '' })
})

test('names survive a shell', () => {
  expect(s3AddressOf('demo-raw', 'a b.mid')).toBe('s3://demo-raw/a b.mid')
  expect(shellQuoted('demo-raw/run00001.mid')).toBe('demo-raw/run00001.mid')
  expect(shellQuoted("it's $HOME")).toBe(`'it'\\''s $HOME'`)
})
