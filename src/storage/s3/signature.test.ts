import fc from 'fast-check'
import { expect, test } from 'vitest'
import { canonicalRequest, encodeForSignature, isSameSignature, requestSignature, signingKey } from './signature.ts'

// The GET example of "Authenticating Requests: Using the Authorization Header" in the Amazon S3 API reference.
test('the published example comes out', () => {
  const scope = { date: '20130524', region: 'us-east-1' }
  const canonical = canonicalRequest({
    method: 'GET',
    path: '/test.txt',
    query: [],
    headers: [
      ['host', 'examplebucket.s3.amazonaws.com'],
      ['range', 'bytes=0-9'],
      ['x-amz-content-sha256', 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
      ['x-amz-date', '20130524T000000Z'],
    ],
    payloadHash: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  })
  const key = signingKey('wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY', scope)
  expect(requestSignature(key, '20130524T000000Z', scope, canonical)).toBe(
    'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
  )
})

const base = { method: 'GET', path: '/b/k', headers: [['host', 'h']] as [string, string][], payloadHash: 'x' }

test('the order of the query does not matter, everything else does', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.string(), fc.string())), (query) => {
      expect(canonicalRequest({ ...base, query })).toBe(canonicalRequest({ ...base, query: query.toReversed() }))
    }),
  )
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' }), (a, b) => {
      fc.pre(a !== b && a.isWellFormed() && b.isWellFormed())
      expect(canonicalRequest({ ...base, path: `/b/${a}`, query: [] })).not.toBe(
        canonicalRequest({ ...base, path: `/b/${b}`, query: [] }),
      )
      expect(canonicalRequest({ ...base, query: [['n', a]] })).not.toBe(
        canonicalRequest({ ...base, query: [['n', b]] }),
      )
    }),
  )
})

test('encoding leaves only unreserved characters, and decodes to what it was', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      fc.pre(text.isWellFormed())
      const encoded = encodeForSignature(text)
      expect(encoded).toMatch(/^(?:[A-Za-z0-9._~-]|%[0-9A-F]{2})*$/)
      expect(decodeURIComponent(encoded)).toBe(text)
    }),
  )
})

test('header values are trimmed and blanks inside them folded', () => {
  const canonical = (value: string) => canonicalRequest({ ...base, headers: [['host', value]], query: [] })
  expect(canonical('  a   b ')).toBe(canonical('a b'))
})

test('a signature is 64 hexadecimal digits and nothing else', () => {
  const right = 'a'.repeat(64)
  expect(isSameSignature(right, right)).toBe(true)
  for (const wrong of ['', 'a', 'A'.repeat(64), `${right}a`, `${'a'.repeat(63)}b`, `${'a'.repeat(63)}\n`])
    expect(isSameSignature(right, wrong)).toBe(false)
})
