import { describe, expect, test } from 'vitest'
import { forEachDatabase, type OpenTestDatabase } from '../../foundation/testing.ts'
import { fakeClock } from '../../foundation/time.ts'
import { adminBrowser, personBrowser, startIdentity, type Browser } from '../testing.ts'
import { relyingPartyOf } from './relying-party.ts'
import { makePasskey, memoryDatabase, type SoftPasskey, type Told } from './testing.ts'

/** An identity at https://cygnet.example, a person with one passkey, and what his authenticator says by default. */
async function world(open: OpenTestDatabase) {
  const test = await startIdentity(open, { https: true })
  const origin = test.publicUrl
  const told: Told = { origin, rpId: 'cygnet.example' }
  const alice = await personBrowser(test, 'alice', [])
  const passkey = await addPasskey(alice.browser, told)
  return { test, origin, told, alice, passkey }
}

async function addPasskey(browser: Browser, told: Told, label = 'laptop'): Promise<SoftPasskey> {
  const { options } = await browser.api.startPasskey()
  const passkey = makePasskey(options, told)
  await browser.api.addPasskey({ body: { label, response: passkey.made } })
  return passkey
}

async function signIn(browser: Browser, passkey: SoftPasskey, told: Partial<Told> = {}) {
  const { options } = await browser.api.startPasskeySignIn()
  return await browser.api.signInWithPasskey({ body: { response: passkey.answer(options, told) } })
}

const refused = { code: 'identity.passkey_refused', status: 401, detail: 'This passkey was not accepted.' }

forEachDatabase('passkeys', (open) => {
  test('a passkey signs in without a name, counts as two factors, and is listed with its last use', async () => {
    const { test, passkey } = await world(open)
    const browser = test.browser()
    expect(await signIn(browser, passkey)).toMatchObject({ name: 'alice' })
    expect(await browser.api.me()).toMatchObject({ name: 'alice', secondFactor: true, recovering: false })
    const { passkeys, passkeysPossible } = await browser.api.listFactors()
    expect(passkeysPossible).toBe(true)
    expect(passkeys).toMatchObject([{ label: 'laptop', suspectAtMs: null, lastUsedAtMs: expect.any(Number) as number }])
    // Fresh by two factors: he may change his factors at once.
    await browser.api.renamePasskey({ params: { passkey: passkeys[0]!.id }, body: { label: 'old laptop' } })
  })

  test('a passkey whose counter goes back was copied: refused from then on, told to its owner; a forger cannot cause it', async () => {
    const { test, told, alice, passkey } = await world(open)
    await addPasskey(alice.browser, told, 'phone')
    await signIn(test.browser(), passkey, { counter: 7 })
    // Somebody without the key says a lower number: nothing comes of it.
    const thief = makePasskey({ challenge: 'x', user: { id: 'x' } }, told)
    const stranger = test.browser()
    const { options } = await stranger.api.startPasskeySignIn()
    const forged = { ...passkey.answer(options, { counter: 3 }) }
    forged.response = { ...forged.response, signature: thief.answer(options, { counter: 3 }).response.signature }
    await expect(stranger.api.signInWithPasskey({ body: { response: forged } })).rejects.toMatchObject(refused)
    await signIn(test.browser(), passkey, { counter: 8 })
    await expect(signIn(test.browser(), passkey, { counter: 8 })).rejects.toMatchObject(refused)
    await expect(signIn(test.browser(), passkey, { counter: 9 })).rejects.toMatchObject(refused)
    const { passkeys } = await alice.browser.api.listFactors()
    expect(passkeys.map(({ suspectAtMs }) => suspectAtMs !== null)).toEqual([true, false])
    const { items } = await alice.browser.api.listAudit({ query: { mine: 'true' } })
    expect(items.map(({ action }) => action)).toContain('passkey-suspect')
  })
})

describe('passkeys that lie', () => {
  const open = memoryDatabase
  const lies: Record<string, (origin: string) => Partial<Told>> = {
    'from another origin': () => ({ origin: 'https://evil.example' }),
    'from the content origin below the platform': (origin) => ({
      origin: origin.replace('cygnet.example', 'content.cygnet.example'),
    }),
    'from an origin that begins like ours': (origin) => ({ origin: `${origin}.evil.example` }),
    'from our host on another port': () => ({ origin: 'https://cygnet.example:9' }),
    'for another host': () => ({ rpId: 'evil.example' }),
    'for the domain above ours': () => ({ rpId: 'example' }),
    'without user verification': () => ({ userVerified: false }),
    'in a frame of another site': () => ({ crossOrigin: true }),
    'in a frame, and says in whose': () => ({ crossOrigin: true, topOrigin: 'https://evil.example' }),
    'with the handle of somebody else': () => ({ userHandle: 'c29tZWJvZHk' }),
    'without a handle': () => ({ userHandle: '' }),
    'as if it were made just now': () => ({ type: 'webauthn.create' }),
  }
  test('are refused at signing in and at making', async () => {
    const { test, told, origin, alice, passkey } = await world(open)
    for (const [name, lieOf] of Object.entries(lies)) {
      const lie = lieOf(origin)
      await expect(signIn(test.browser(), passkey, lie), name).rejects.toMatchObject(refused)
      if (lie.userHandle !== undefined || lie.type !== undefined) continue
      await expect(addPasskey(alice.browser, { ...told, ...lie }), name).rejects.toMatchObject(refused)
    }
    expect((await alice.browser.api.listFactors()).passkeys).toHaveLength(1)
    await signIn(test.browser(), passkey)
  })

  test('an answer works once and in the browser that asked (replay)', async () => {
    const { test, passkey } = await world(open)
    const browser = test.browser()
    const { options } = await browser.api.startPasskeySignIn()
    const response = passkey.answer(options)
    await expect(test.browser().api.signInWithPasskey({ body: { response } })).rejects.toMatchObject(refused)
    // Whoever tried it elsewhere has used it up.
    await expect(browser.api.signInWithPasskey({ body: { response } })).rejects.toMatchObject(refused)
    const again = (await browser.api.startPasskeySignIn()).options
    await browser.api.signInWithPasskey({ body: { response: passkey.answer(again) } })
    await expect(browser.api.signInWithPasskey({ body: { response: passkey.answer(again) } })).rejects.toMatchObject(
      refused,
    )
  })

  test('the last way to sign in stays; another passkey may go, and then opens nothing', async () => {
    const { test, told, alice, passkey } = await world(open)
    const [first] = (await alice.browser.api.listFactors()).passkeys
    await expect(alice.browser.api.removePasskey({ params: { passkey: first!.id } })).rejects.toMatchObject({
      code: 'identity.last_factor',
    })
    await addPasskey(alice.browser, told, 'phone')
    await alice.browser.api.removePasskey({ params: { passkey: first!.id } })
    await expect(signIn(test.browser(), passkey)).rejects.toMatchObject(refused)
  })

  test('a suspended person has no passkey any more', async () => {
    const { test, alice, passkey } = await world(open)
    const admin = await adminBrowser(test)
    await admin.api.suspendPerson({ params: { person: alice.id } })
    await expect(signIn(test.browser(), passkey)).rejects.toMatchObject({ code: 'identity.passkey_refused' })
  })

  test('a challenge of one purpose is worth nothing for another, nor in another session, nor after five minutes', async () => {
    const clock = fakeClock()
    const test = await startIdentity(open, { https: true, clock })
    const told: Told = { origin: test.publicUrl, rpId: 'cygnet.example' }
    const alice = await personBrowser(test, 'alice', [])
    const passkey = await addPasskey(alice.browser, told)
    const proof = await alice.browser.api.startProof()
    const stranger = test.browser()
    await stranger.api.startPasskeySignIn()
    await expect(
      stranger.api.signInWithPasskey({ body: { response: passkey.answer(proof.options) } }),
    ).rejects.toMatchObject(refused)
    const bob = await personBrowser(test, 'bob', [])
    const mine = await alice.browser.api.startPasskey()
    await expect(
      bob.browser.api.addPasskey({ body: { label: 'x', response: makePasskey(mine.options, told).made } }),
    ).rejects.toMatchObject(refused)
    const late = await stranger.api.startPasskeySignIn()
    clock.advance(5 * 60_000)
    await expect(
      stranger.api.signInWithPasskey({ body: { response: passkey.answer(late.options) } }),
    ).rejects.toMatchObject(refused)
  })

  test('a credential that is known already is nobody else’s, and nobody proves himself with the passkey of another', async () => {
    const { test, told, passkey } = await world(open)
    const mallory = await personBrowser(test, 'mallory', [])
    const { options } = await mallory.browser.api.startPasskey()
    const copied = makePasskey(options, told)
    await mallory.browser.api.addPasskey({ body: { label: 'own', response: copied.made } })
    const again = await mallory.browser.api.startPasskey()
    const same = { ...makePasskey(again.options, told).made }
    await mallory.browser.api.addPasskey({ body: { label: 'second', response: same } })
    await expect(mallory.browser.api.addPasskey({ body: { label: 'third', response: same } })).rejects.toMatchObject(
      refused,
    )
    const proof = await mallory.browser.api.startProof()
    await expect(
      mallory.browser.api.prove({ body: { response: passkey.answer(proof.options) } }),
    ).rejects.toMatchObject({ code: 'identity.passkey_refused' })
  })

  test('rubbish is refused in words, whatever it is, and hardly logged (T7)', async () => {
    const { test, passkey } = await world(open)
    const browser = test.browser()
    const { options } = await browser.api.startPasskeySignIn()
    const good = passkey.answer(options)
    const before = test.logLines.join('').length
    const long = 'A'.repeat(19_000)
    for (const response of [
      { ...good.response, clientDataJSON: '' },
      { ...good.response, clientDataJSON: Buffer.from('[1]').toString('base64url') },
      { ...good.response, clientDataJSON: Buffer.from('{"challenge":{}}').toString('base64url') },
      { ...good.response, authenticatorData: long },
      { ...good.response, signature: 'AA' },
    ]) {
      await browser.api.startPasskeySignIn()
      const failure = await browser.api.signInWithPasskey({ body: { response: { ...good, response } } }).catch((e) => e)
      expect([401, 422]).toContain((failure as { status: number }).status)
    }
    const told = test.logLines.slice(-5).join('')
    expect(test.logLines.join('').length - before).toBeLessThan(20_000)
    expect(told).not.toContain(long.slice(0, 300))
  })

  test('another site cannot start a sign-in, and its form signs nobody in as somebody else', async () => {
    const { test } = await world(open)
    for (const path of ['sign-in/passkey/options', 'sign-in/passkey', 'sign-in/password']) {
      const response = await test.browser().fetch(`/api/identity/${path}`, {
        method: 'POST',
        headers: { 'sec-fetch-site': 'cross-site', 'content-type': 'application/json' },
        body: path.endsWith('password') ? '{"name":"a","password":"b","code":"c"}' : '{}',
      })
      expect([403, 422]).toContain(response.status)
    }
  })
})

describe('for whom passkeys are', () => {
  test('the host itself, never the domain above it; nobody at a bare address', () => {
    expect(relyingPartyOf('https://cygnet.inst.example.org:8443')).toMatchObject({
      id: 'cygnet.inst.example.org',
      origin: 'https://cygnet.inst.example.org:8443',
    })
    expect(relyingPartyOf('http://localhost:8410')).toMatchObject({ id: 'localhost' })
    expect(relyingPartyOf('http://cygnet.localhost:8410')).toMatchObject({ id: 'cygnet.localhost' })
    for (const url of ['http://127.0.0.1:8410', 'https://10.1.2.3', 'https://[::1]:8410', 'http://cygnet.example.org'])
      expect(relyingPartyOf(url)).toBeUndefined()
  })

  test('at a bare address the answer says what to do', async () => {
    const test = await startIdentity(memoryDatabase)
    await expect(test.browser().api.startPasskeySignIn()).rejects.toMatchObject({
      code: 'identity.passkeys_unavailable',
      hint: expect.stringContaining('http.publicUrl') as string,
    })
    const { browser } = await personBrowser(test, 'alice', [])
    expect(await browser.api.listFactors()).toMatchObject({ passkeysPossible: false })
  })
})
