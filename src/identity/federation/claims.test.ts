import fc from 'fast-check'
import { expect, test } from 'vitest'
import { claimsForRules, displayNameOf, fulfils, labelOf, mayBeRuleClaim, proposedNameOf } from './claims.ts'
import { ownPage } from './next-path.ts'

test('groups come as lists and as one text, with and without the slash; absent is none', () => {
  for (const groups of [['/cygno', '/cygno/daq'], ['cygno', 'cygno/daq'], '/cygno /cygno/daq', 'cygno cygno/daq']) {
    const claims = claimsForRules({ 'wlcg.groups': groups })
    for (const value of ['/cygno', 'cygno', '/cygno/daq']) expect(fulfils(claims, 'wlcg.groups', value)).toBe(true)
    for (const value of ['/', '', 'daq', '/cygno/', 'cygn', '/CYGNO', '//cygno'])
      expect(fulfils(claims, 'wlcg.groups', value), value).toBe(false)
    expect(fulfils(claims, 'groups', '/cygno')).toBe(false)
  }
  for (const nothing of [undefined, null, 17, true, {}, { cygno: true }, [], [17, null, ['cygno']], ''])
    expect(fulfils(claimsForRules({ groups: nothing }), 'groups', 'cygno')).toBe(false)
})

test('no claim that people can choose is ever kept for rules, however it is called', () => {
  const said = {
    email: 'a@b',
    preferred_username: 'a',
    Email: 'a@b',
    'e-mail': 'a',
    sub: 'x',
    aud: 'y',
    __proto__: 'z',
  }
  expect(claimsForRules(said, JSON.parse('{"__proto__":"x","constructor":"a","groups":"g"}') as never)).toEqual({
    constructor: ['a'],
    groups: ['g'],
  })
  expect(fulfils({}, 'constructor', 'a')).toBe(false)
  expect(fulfils({}, 'toString', 'a')).toBe(false)
  expect(mayBeRuleClaim('entitlements')).toBe(true)
})

test('what the ID token says is not replaced by what was asked for later', () => {
  expect(claimsForRules({ groups: ['a'] }, { groups: ['b'], more: 'c' })).toEqual({ groups: ['a'], more: ['c'] })
})

test('whatever an institute says, what is kept is small and what is proposed is a possible name', () => {
  const strange = fc.string({
    unit: fc.constantFrom(...'aZ09 éÀßΩя中😀ﬁ-_.@/\\<\n\t\0\u0301\u202e\u2028\ufeff'),
    maxLength: 300,
  })
  const value = fc.oneof(fc.string({ maxLength: 400 }), fc.array(fc.oneof(fc.string(), fc.integer())), fc.jsonValue())
  fc.assert(
    fc.property(fc.dictionary(fc.string(), value, { maxKeys: 80 }), (claims) => {
      const lists = Object.values(claimsForRules(claims))
      const texts = lists.flat()
      expect(lists.length <= 50 && lists.every(({ length }) => length <= 200)).toBe(true)
      expect(texts.every(({ length }) => length <= 255)).toBe(true)
    }),
  )
  fc.assert(
    fc.property(strange, strange, (name, email) => {
      const said = { preferred_username: name, name, email }
      expect(proposedNameOf(said)).toMatch(/^([a-z][a-z0-9]{1,19})?$/)
      for (const text of [labelOf(said, 'sub'), displayNameOf(said)]) {
        expect(text.length).toBeLessThanOrEqual(100)
        expect(text).not.toMatch(/[\p{Cc}\p{Cf}\u2028\u2029]/u)
      }
    }),
  )
  expect(proposedNameOf({ preferred_username: 'Émilie.Dupont-Àbc@inst.example' })).toBe('emiliedupontabc')
  expect(proposedNameOf({ preferred_username: '42', family_name: 'Müller' })).toBe('muller')
  expect(proposedNameOf({ preferred_username: 'Анна' })).toBe('')
})

test('B-48: only pages of ours are ever next', () => {
  const wicked = [
    ...['//evil', '/\\evil', 'https:evil', 'https://evil', '\t//evil', '%09//evil', '/%09/evil', '/@evil', '@evil'],
    ...['/me@evil', '/me:80', '/me#x', '/e//evil', '/./me', '/e/../me', '/e/..', '/..//evil', '/unknown', '/api/x'],
    ...['/oidc/auth', '/me?next=//evil', '/me?next=https:evil', '/sign-in', '/sign-in?interaction=a&next=//evil', ''],
    ...[`/e/${'a'.repeat(5000)}`, '/me\n', ' /me', '/ME', 'javascript:alert(1)', '/e/demo%2f..%2f'],
  ]
  for (const next of wicked) expect(ownPage(next), next).toBe('/')
  for (const next of ['/', '/me', '/e/demo/runs/lngs/42901', '/e/demo/runs?page=2&state=done', '/site/audit', '/join'])
    expect(ownPage(next)).toBe(next)
  expect(ownPage('/sign-in?interaction=abc_DEF-123')).toBe('/sign-in?interaction=abc_DEF-123')
  fc.assert(
    fc.property(fc.string({ maxLength: 60 }), (next) => {
      const url = new URL(ownPage(next), 'https://cygnet.example')
      expect(url.origin).toBe('https://cygnet.example')
    }),
  )
})
