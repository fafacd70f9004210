import { Secret, TOTP } from 'otpauth'
import { expect, test } from 'vitest'
import { fakeClock, type FakeClock } from '../../foundation/time.ts'
import { forEachDatabase, type OpenTestDatabase } from '../../foundation/testing.ts'
import { personBrowser, startIdentity, type Browser, type TestIdentity } from '../testing.ts'
import { createPasswordHasher } from './password-hash.ts'
import { memoryDatabase } from './testing.ts'

const password = 'bruno ama il mare calmo'
const refused = { code: 'identity.wrong_factors', status: 401 }

interface World {
  clock: FakeClock
  identity: TestIdentity
  alice: { id: string; browser: Browser }
  secret: string
  /** What the app shows now, or so many steps from now. */
  code: (steps?: number) => string
  codes: string[]
}

async function world(open: OpenTestDatabase): Promise<World> {
  const clock = fakeClock()
  const identity = await startIdentity(open, { clock })
  const alice = await personBrowser(identity, 'alice', [])
  const { api } = alice.browser
  await api.setPassword({ body: { password } })
  const { secret, uri } = await api.startAuthenticator()
  expect(uri).toMatch(/^otpauth:\/\/totp\/Cygnet.*alice/)
  const code = (steps = 0) =>
    new TOTP({ secret: Secret.fromBase32(secret) }).generate({ timestamp: clock.nowMs() + steps * 30_000 })
  await api.confirmAuthenticator({ body: { code: code() } })
  const { codes } = await api.createRecoveryCodes()
  clock.advance(30_000)
  return { clock, identity, alice, secret, code, codes }
}

const signIn = (identity: TestIdentity, given: { name?: string; password?: string; code: string }) =>
  identity.browser().api.signInWithPassword({ body: { name: 'alice', password, ...given } })

forEachDatabase('password and code', (open) => {
  test('sign in together, each code once, one step early or late; recovery codes once', async () => {
    const { identity, clock, code, codes } = await world(open)
    expect(await signIn(identity, { code: code() })).toMatchObject({ name: 'alice' })
    await expect(signIn(identity, { code: code() })).rejects.toMatchObject(refused)
    await expect(signIn(identity, { code: code(-1) })).rejects.toMatchObject(refused)
    await signIn(identity, { code: code(1) })
    clock.advance(90_000)
    await expect(signIn(identity, { code: code(-2) })).rejects.toMatchObject(refused)
    await expect(signIn(identity, { code: code(2) })).rejects.toMatchObject(refused)
    await signIn(identity, { code: code(-1) })
    expect(codes).toHaveLength(10)
    expect(await signIn(identity, { code: codes[0]!.toUpperCase().replaceAll('-', ' ') })).toMatchObject({
      recoveryCodesLeft: 9,
    })
    await expect(signIn(identity, { code: codes[0]! })).rejects.toMatchObject(refused)
  })

  test('the same code at the same moment from two places signs in once', async () => {
    const { identity, codes } = await world(open)
    const both = await Promise.allSettled([1, 2].map(() => signIn(identity, { code: codes[1]! })))
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
  })
})

test('wrong name, wrong password, wrong code, no account, no password at all: the same words', async () => {
  const { identity, code, codes } = await world(memoryDatabase)
  await personBrowser(identity, 'carol', [])
  const answers: unknown[] = []
  for (const given of [
    { name: 'nobody', code: code() },
    { name: 'carol', code: code() },
    { password: 'quite another sentence', code: code() },
    { code: '000000' },
    { code: 'abc' },
    { code: 'zzzzz-zzzzz-zzzzz-zzzzz' },
    { name: 'carol', code: codes[0]! },
    { name: 'al\u0456ce', code: code() },
    { password: '', code: code() },
  ]) {
    const response = await identity.browser().fetch('/api/identity/sign-in/password', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'alice', password, ...given }),
    })
    answers.push([response.status, { ...((await response.json()) as object), requestId: '' }])
  }
  expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1)
  expect(answers[0]).toMatchObject([401, { code: 'identity.wrong_factors' }])
  // The wrong ones used nothing up.
  await signIn(identity, { code: code() })
})

test('nobody’s password costs the same work as somebody’s', async () => {
  const hasher = createPasswordHasher()
  const hash = await hasher.hash(password)
  expect(hash).toMatch(/^\$argon2id\$v=19\$m=48128,t=2,p=1\$/)
  expect(await hasher.matches(password, hash)).toBe(true)
  expect(await hasher.matches(password.normalize('NFD'), hash)).toBe(true)
  expect(await hasher.matches(password, undefined)).toBe(false)
  expect(await hasher.matches(password, 'nonsense')).toBe(false)
})

test('passwords are checked two at a time with a short line behind; beyond it the answer is to come again', async () => {
  const hasher = createPasswordHasher({ atOnce: 1, waiting: 1 })
  const tries = await Promise.allSettled([1, 2, 3, 4].map(() => hasher.matches(password, undefined)))
  expect(tries.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'rejected'])
  expect(tries[3]).toMatchObject({ reason: { code: 'identity.sign_in_busy', retry: true } })
  expect(await hasher.matches(password, undefined)).toBe(false)
})

test('a password alone never signs in; its app is confirmed with a code of its own', async () => {
  const clock = fakeClock()
  const identity = await startIdentity(memoryDatabase, { clock })
  const { browser } = await personBrowser(identity, 'alice', [])
  await expect(browser.api.setPassword({ body: { password: 'alice1234567' } })).rejects.toMatchObject({
    code: 'identity.weak_password',
  })
  await browser.api.setPassword({ body: { password } })
  await expect(signIn(identity, { code: '' })).rejects.toMatchObject(refused)
  await expect(browser.api.createRecoveryCodes()).rejects.toMatchObject({ code: 'identity.factor_needed' })
  const { secret } = await browser.api.startAuthenticator()
  const code = () => new TOTP({ secret: Secret.fromBase32(secret) }).generate({ timestamp: clock.nowMs() })
  // Shown is not confirmed.
  await expect(signIn(identity, { code: code() })).rejects.toMatchObject(refused)
  await expect(browser.api.confirmAuthenticator({ body: { code: '123' } })).rejects.toMatchObject({
    code: 'identity.wrong_code',
  })
  clock.advance(16 * 60_000)
  await expect(browser.api.confirmAuthenticator({ body: { code: code() } })).rejects.toMatchObject({
    code: 'identity.wrong_code',
  })
})

test('whoever knows the password and tries codes is stopped, and its owner is told', async () => {
  const { identity, alice, clock } = await world(memoryDatabase)
  const answers: string[] = []
  for (let guess = 0; guess < 14; guess += 1) {
    // Slowly, so that the account's own wait plays no part.
    clock.advance(60_000)
    answers.push(
      (await signIn(identity, { code: String(guess).padStart(6, '0') }).catch(
        (error: { code: string }) => error.code,
      )) as string,
    )
  }
  expect(answers.slice(0, 10)).toEqual(Array(10).fill('identity.wrong_factors'))
  expect(answers.at(-1)).toBe('identity.too_many_attempts')
  // His open session goes on, and says so.
  const { password: shown } = await alice.browser.api.listFactors()
  expect(shown?.codesGuessedAtMs).not.toBeNull()
})

test('nothing of it lies readable in the database or the log', async () => {
  const { identity, secret, codes } = await world(memoryDatabase)
  const lines = identity.logLines.join('')
  const dump: string[] = []
  for (const table of ['identity_password', 'identity_totp', 'identity_recovery_code', 'identity_audit'])
    dump.push(JSON.stringify(await identity.database.kysely.selectFrom(table).selectAll().execute()))
  for (const word of [password, secret, codes[0]!, codes[0]!.replaceAll('-', '')]) {
    expect(lines).not.toContain(word)
    expect(dump.join('')).not.toContain(word)
  }
})
