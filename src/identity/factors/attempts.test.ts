import { expect, test } from 'vitest'
import { fakeClock } from '../../foundation/time.ts'
import { identityFaults } from '../errors.ts'
import { createSignInAttempts, longestWaitMs } from './attempts.ts'

const wrong = () => Promise.reject(identityFaults.wrongFactors('no'))
const right = () => Promise.resolve('in')
const nothing = () => Promise.resolve()

function desk() {
  const clock = fakeClock()
  const waits: number[] = []
  const attempts = createSignInAttempts(clock, (ms) => {
    waits.push(ms)
    return Promise.resolve()
  })
  const fail = async (address: string, name = 'alice') =>
    await attempts.attempt({ address, name }, wrong, nothing).catch((error: { code: string }) => error.code)
  return { clock, waits, attempts, fail }
}

test('guessing at one account from many addresses becomes slow, and its owner still comes in, from anywhere', async () => {
  const { attempts, fail, waits } = desk()
  for (let guess = 0; guess < 500; guess += 1) await fail(`10.0.${guess >> 8}.${guess & 255}`)
  expect(waits.at(-1)).toBe(longestWaitMs)
  expect(await attempts.attempt({ address: '192.0.2.7', name: 'alice' }, right, nothing)).toBe('in')
  // Nobody else waits.
  expect(attempts.waitMs('bob')).toBe(0)
})

test('one address is told to wait; the right answer passes beside its wrong ones', async () => {
  const { attempts, fail } = desk()
  const codes: unknown[] = []
  for (let guess = 0; guess < 30; guess += 1) codes.push(await fail('10.0.0.1', `name${guess}`))
  expect(codes.slice(0, 20).every((code) => code === 'identity.wrong_factors')).toBe(true)
  expect(codes.at(-1)).toBe('identity.too_many_attempts')
  expect(await attempts.attempt({ address: '10.0.0.1', name: 'alice' }, right, nothing)).toBe('in')
})

test('a name that nobody has becomes slow in the same way', async () => {
  const { attempts, fail } = desk()
  for (let guess = 0; guess < 9; guess += 1) {
    await fail(`10.0.0.${guess}`, 'alice')
    await fail(`10.0.0.${guess}`, 'nobody')
    expect(attempts.waitMs('alice')).toBe(attempts.waitMs('nobody'))
  }
  expect(attempts.waitMs('nobody')).toBeGreaterThan(0)
})

test('the wait shrinks by itself', async () => {
  const { attempts, fail, clock } = desk()
  for (let guess = 0; guess < 20; guess += 1) await fail(`10.0.0.${guess}`)
  const before = attempts.waitMs('alice')
  clock.advance(5 * 60_000)
  expect(attempts.waitMs('alice')).toBeLessThan(before)
  clock.advance(3_600_000)
  expect(attempts.waitMs('alice')).toBe(0)
})

test('no more than a few attempts wait at once, so that waiting itself is no attack', async () => {
  const clock = fakeClock()
  const waiting: (() => void)[] = []
  const attempts = createSignInAttempts(clock, () => new Promise<void>((resolve) => waiting.push(resolve)))
  for (let guess = 0; guess < 6; guess += 1)
    await attempts.attempt({ address: `10.0.0.${guess}`, name: 'alice' }, wrong, nothing).catch(() => {})
  const held = Array.from({ length: 3 }, () => attempts.attempt({ address: '10.0.1.1', name: 'alice' }, right, nothing))
  await expect(attempts.attempt({ address: '10.0.1.1', name: 'alice' }, right, nothing)).rejects.toMatchObject({
    code: 'identity.too_many_attempts',
  })
  const elsewhere = attempts.attempt({ address: '192.0.2.7', name: 'alice' }, right, nothing)
  for (const go of waiting) go()
  expect(await Promise.all([...held, elsewhere])).toEqual(['in', 'in', 'in', 'in'])
})

test('codes alone are few: ten an hour and address, sixty in all, for somebody who knows the password', () => {
  const { attempts, clock } = desk()
  for (let code = 0; code < 10; code += 1) attempts.takeCode('alice', '10.0.0.1')
  expect(() => attempts.takeCode('alice', '10.0.0.1')).toThrow('Too many attempts')
  for (let code = 0; code < 49; code += 1) attempts.takeCode('alice', `10.0.1.${code}`)
  attempts.takeCode('alice', '10.0.2.1')
  expect(() => attempts.takeCode('alice', '10.0.2.2')).toThrow('Too many attempts')
  attempts.takeCode('bob', '10.0.0.1')
  clock.advance(3_600_000)
  attempts.takeCode('alice', '10.0.0.1')
})
