import fc from 'fast-check'
import { expect, test } from 'vitest'
import { longestPassword, passwordFault, shortestPassword, unforeseen } from './password-rules.ts'

const own = ['cygno', 'lime', 'Giovanni Rossi', 'grossi']

test('what everybody would try first is refused, however it is dressed up', () => {
  for (const password of [
    'password1234',
    'P@ssw0rd!2024#',
    'qwertyuiop12',
    '123456789012',
    'aaaaaaaaaaaa',
    'abababababab',
    'zaq12wsxcde3',
    'iloveyou12345',
    'Welcome2Physics!',
    'letmeinletmein',
    'monkey dragon sunshine',
    'juventus1897!!',
    'ottobre2026!!',
    'motdepasse1234',
  ])
    expect(passwordFault(password, own), password).toBe('foreseeable')
})

test('so are the names of the person and of his experiment', () => {
  for (const password of ['cygno-lime-2026', 'lime2026cygno!!', 'Giovanni.Rossi85', 'gr0ssi.cygn0.lime'])
    expect(passwordFault(password, own), password).toBe('foreseeable')
  expect(passwordFault('Giovanni.Rossi85')).toBeUndefined()
})

test('sentences and random letters pass, with no kind of character demanded', () => {
  for (const password of [
    'correct horse battery staple',
    'la gatta al lardo frettolosa',
    'bruno ama il mare calmo',
    'my dog ate 3 pizzas',
    'x7kp2mq9vl4t',
    'àèìòù ñandú çedilla',
  ])
    expect(passwordFault(password, own), password).toBeUndefined()
})

test('length counts whole characters, however they are composed', () => {
  expect(passwordFault('x7kp2mq9vl4')).toBe('short')
  // Eleven letters, two of them written as letter and accent.
  expect(passwordFault('x7kp2mq9vé\u0065\u0301'.normalize('NFD'))).toBe('short')
  expect(passwordFault('🦢🐈🐕🐎🐖🐑')).toBe('short')
  expect(passwordFault(`${'x7kp2mq9vl4t'.repeat(11)}`)).toBe('long')
  expect([shortestPassword, longestPassword]).toEqual([12, 128])
})

test('any text is judged, quickly, and never as more than it is long', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 200 }), (text) => {
      const left = unforeseen(text, own)
      expect(left).toBeGreaterThanOrEqual(0)
      expect(left).toBeLessThanOrEqual([...text.normalize('NFKC').toLowerCase()].length + 3)
      passwordFault(text, own)
    }),
    { numRuns: 300 },
  )
})

test('a common word more never makes a password better than a random letter more', () => {
  fc.assert(
    fc.property(
      fc.stringMatching(/^[b-df-hj-np-tv-z]{4,10}$/),
      fc.constantFrom('password', 'cygno', '2026', '12345'),
      (rest, word) => {
        expect(unforeseen(rest + word, own)).toBeLessThanOrEqual(unforeseen(rest, own) + 2)
      },
    ),
  )
})
