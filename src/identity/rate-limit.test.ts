/** Who tries wrong secrets is slowed down; nobody else is, whatever he does. */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Fault } from '../foundation/errors.ts'
import { fakeClock } from '../foundation/time.ts'
import { identityFaults } from './errors.ts'
import { createRateLimit, createSecretLimit } from './rate-limit.ts'

const wrong = async (): Promise<never> => {
  throw identityFaults.wrongAccessKey('wrong')
}
const statusOf = async (work: Promise<unknown>): Promise<number> =>
  await work.then(
    () => 200,
    (error: unknown) => (error as Fault).status,
  )

test('a limit says when to come back, and then lets in', () => {
  const clock = fakeClock()
  const limit = createRateLimit({ clock, burst: 2, perMinute: 4 })
  limit.take('a')
  limit.take('a')
  let said = 0
  try {
    limit.take('a')
  } catch (error) {
    expect(error).toMatchObject({ status: 429, hint: 'Wait 15 seconds and try again.' })
    said = (error as Fault).extra!.retryAfterSeconds as number
  }
  expect(said).toBe(15)
  clock.advance(14_000)
  expect(() => limit.take('a')).toThrow(Fault)
  clock.advance(1_000)
  limit.take('a')
  expect(limit.isFull('b')).toBe(true)
  expect(limit.isFull('a')).toBe(false)
  clock.advance(60_000)
  expect(limit.isFull('a')).toBe(true)
})

test('a thousand attackers from as many addresses never stop a right secret from another one', async () => {
  const clock = fakeClock()
  const limit = createSecretLimit(clock)
  const attackers = Array.from({ length: 1000 }, (_, index) => `10.${index >> 8}.${index & 255}.1`)
  for (let times = 0; times < 6; times++)
    await Promise.all(attackers.map((address) => statusOf(limit.attempt(address, wrong))))
  // They do hold each other up.
  expect(await statusOf(limit.attempt(attackers[0]!, wrong))).toBe(429)
  for (let times = 0; times < 50; times++) expect(await statusOf(limit.attempt('192.0.2.7', async () => 1))).toBe(200)
  // One slip of the owner changes nothing about that his next, right one passes after a moment at the latest.
  expect(await statusOf(limit.attempt('192.0.2.8', wrong))).toBe(401)
  clock.advance(60_000)
  expect(await statusOf(limit.attempt('192.0.2.8', async () => 1))).toBe(200)
})

test('right secrets are free, also while many are asked for at once', async () => {
  const limit = createSecretLimit(fakeClock())
  for (let round = 0; round < 30; round++) {
    const answers = Array.from({ length: 50 }, () => statusOf(limit.attempt('a', async () => 1)))
    expect(new Set(await Promise.all(answers))).toEqual(new Set([200]))
  }
})

test('faults of the platform count for nobody', async () => {
  const limit = createSecretLimit(fakeClock())
  const broken = async () => {
    throw new Error('the disk')
  }
  for (let times = 0; times < 90; times++) await limit.attempt('a', broken).catch(() => undefined)
  let reported = 0
  expect(await statusOf(limit.attempt('a', wrong, async () => void (reported += 1)))).toBe(401)
  expect(reported).toBe(1)
})

test('who has a network of IPv6 addresses has one bucket; others are not in it', () => {
  fc.assert(
    fc.property(fc.ipV6(), fc.array(fc.nat(65_535), { minLength: 4, maxLength: 4 }), (address, tail) => {
      const limit = createRateLimit({ clock: fakeClock(), burst: 1, perMinute: 1 })
      const full = expanded(address)
      limit.take(full.join(':'))
      const neighbour = [...full.slice(0, 4), ...tail.map((group) => group.toString(16))].join(':')
      const isMapped = full.slice(0, 5).every((group) => group === '0')
      if (!isMapped) expect(() => limit.take(neighbour)).toThrow(Fault)
      limit.take([((parseInt(full[0]!, 16) ^ 1) | 0x2000).toString(16), ...full.slice(1)].join(':'))
    }),
  )
  const limit = createRateLimit({ clock: fakeClock(), burst: 1, perMinute: 1 })
  limit.take('::ffff:192.0.2.1')
  expect(() => limit.take('192.0.2.1')).toThrow(Fault)
  limit.take('::ffff:192.0.2.2')
  limit.take('2001:db8::1')
  for (const same of ['2001:DB8:0:0::2', '2001:0db8:0000:0000:1:2:3:4', '2001:db8::ffff:0:0:1'])
    expect(() => limit.take(same), same).toThrow(Fault)
  limit.take('2001:db8:0:1::1')
})

test('its memory is bounded', () => {
  const limit = createRateLimit({ clock: fakeClock(), burst: 1, perMinute: 1 })
  for (let index = 0; index < 20_001; index++) limit.take(`key ${index}`)
  expect(limit.isFull('key 0')).toBe(true)
  expect(limit.isFull('key 20000')).toBe(false)
})

function expanded(address: string): string[] {
  const [left = '', right] = address.split('::')
  const groupsOf = (part: string) => (part === '' ? [] : part.split(':').flatMap(quads))
  const before = groupsOf(left)
  if (right === undefined) return before
  const after = groupsOf(right)
  return [...before, ...Array.from({ length: 8 - before.length - after.length }, () => '0'), ...after]
}

function quads(group: string): string[] {
  if (!group.includes('.')) return [group]
  const [a, b, c, d] = group.split('.').map(Number)
  return [((a! << 8) | b!).toString(16), ((c! << 8) | d!).toString(16)]
}
