import { expect, test } from 'vitest'
import { addressOf } from '../../foundation/client.ts'
import type { CallOf, Route } from '../../foundation/contract.ts'
import { fakeClock } from '../../foundation/time.ts'
import { identityContract } from '../contract.ts'
import { emptyAccount } from '../invitations/accounts.ts'
import { samples } from '../safety/route-samples.ts'
import { adminBrowser, personBrowser, startIdentity, type Browser } from '../testing.ts'
import { requireMayRecover } from './recover.ts'
import { makePasskey, memoryDatabase, type SoftPasskey, type Told } from './testing.ts'

const minuteMs = 60_000
const proofNeeded = { code: 'identity.fresh_proof_needed', status: 403, extra: { twoFactors: true } }

async function world() {
  const clock = fakeClock()
  const identity = await startIdentity(memoryDatabase, { https: true, clock })
  const told: Told = { origin: identity.publicUrl, rpId: 'cygnet.example' }
  const addPasskey = async ({ api }: Browser): Promise<SoftPasskey> => {
    const passkey = makePasskey((await api.startPasskey()).options, told)
    await api.addPasskey({ body: { label: 'key', response: passkey.made } })
    return passkey
  }
  const signIn = async (passkey: SoftPasskey): Promise<Browser> => {
    const browser = identity.browser()
    const { options } = await browser.api.startPasskeySignIn()
    await browser.api.signInWithPasskey({ body: { response: passkey.answer(options) } })
    return browser
  }
  const prove = async ({ api }: Browser, passkey: SoftPasskey, forCommandLine = false) => {
    const { options } = await api.startProof()
    await api.prove({ body: { response: passkey.answer(options), forCommandLine } })
  }
  return { clock, identity, addPasskey, signIn, prove }
}

const newcomer = (name: string) => ({ body: { name, displayName: name } })

test('a site admin changes people only within fifteen minutes of two factors, once he has them', async () => {
  const { identity, clock, addPasskey, prove } = await world()
  const admin = await adminBrowser(identity)
  // He has none yet: he goes on, and his page says so.
  clock.advance(45 * minuteMs)
  const { person } = await admin.api.createPerson(newcomer('alice'))
  expect(await admin.api.me()).toMatchObject({ siteAdmin: true, secondFactor: false })
  const passkey = await addPasskey(admin)
  await admin.api.createPerson(newcomer('bob'))
  clock.advance(16 * minuteMs)
  const params = { person: person.id }
  for (const change of [
    () => admin.api.createPerson(newcomer('carol')),
    () => admin.api.createSignInLink({ params }),
    () => admin.api.setRole({ params, body: { experiment: 'cygno', role: 'member' } }),
    () => admin.api.suspendPerson({ params }),
    () => admin.api.reinstatePerson({ params }),
    () => admin.api.recoverPerson({ params }),
    () => admin.api.addAlias({ params, body: { alias: 'Alice.Rossi' } }),
  ])
    await expect(change()).rejects.toMatchObject(proofNeeded)
  await admin.api.listPeople()
  await prove(admin, passkey)
  await admin.api.suspendPerson({ params })
})

test('no route that changes the site forgets to ask for the proof; reading never does', async () => {
  const { identity, clock, addPasskey } = await world()
  const admin = await adminBrowser(identity)
  await addPasskey(admin)
  clock.advance(16 * minuteMs)
  const forgotten: string[] = []
  for (const [name, sample] of Object.entries(samples)) {
    const route: Route = identityContract.routes[name as keyof typeof samples]
    if (typeof route.permission === 'string' || route.permission.action !== 'site.admin') continue
    const { may: _may, otherwise: _otherwise, body, ...call } = sample
    const path = addressOf(route, call as CallOf<Route>, '')
    const response = await admin.fetch(path, {
      method: route.method,
      ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    })
    const asked = (await response.text()).includes('identity.fresh_proof_needed')
    if (asked !== (route.method !== 'GET')) forgotten.push(`${name}: ${response.status}`)
  }
  expect(forgotten).toEqual([])
})

test('the command line of an admin acts only while his browser lends it a proof', async () => {
  const { identity, clock, addPasskey, prove } = await world()
  const admin = await adminBrowser(identity)
  const passkey = await addPasskey(admin)
  const { code } = await identity.identity.createAdminLink()
  const { accessToken } = await identity.withToken().token({ body: { code } })
  const shell = identity.withToken(accessToken)
  await expect(shell.createPerson(newcomer('alice'))).rejects.toMatchObject({
    ...proofNeeded,
    hint: expect.stringContaining('command line') as string,
  })
  await prove(admin, passkey)
  await expect(shell.createPerson(newcomer('alice'))).rejects.toMatchObject(proofNeeded)
  await prove(admin, passkey, true)
  await shell.createPerson(newcomer('alice'))
  clock.advance(16 * minuteMs)
  await expect(shell.createPerson(newcomer('bob'))).rejects.toMatchObject(proofNeeded)
})

test('one’s own factors change only within five minutes of two factors; a link that somebody mailed is not enough', async () => {
  const { identity, clock, addPasskey, signIn } = await world()
  const alice = await personBrowser(identity, 'alice', [])
  const passkey = await addPasskey(alice.browser)
  clock.advance(6 * minuteMs)
  await expect(addPasskey(alice.browser)).rejects.toMatchObject(proofNeeded)
  await expect(alice.browser.api.createRecoveryCodes()).rejects.toMatchObject(proofNeeded)
  const admin = await adminBrowser(identity)
  const { url } = await admin.api.createSignInLink({ params: { person: alice.id } })
  const mailed = identity.browser()
  await mailed.signIn(url.split('#code=')[1]!)
  for (const change of [
    () => addPasskey(mailed),
    () => mailed.api.setPassword({ body: { password: 'bruno ama il mare calmo' } }),
    () => mailed.api.createRecoveryCodes(),
  ])
    await expect(change()).rejects.toMatchObject(proofNeeded)
  await (await signIn(passkey)).api.createRecoveryCodes()
})

test('a recovery link ends everything, opens nothing but a new factor, and after that everything', async () => {
  const { identity, addPasskey, signIn } = await world()
  const alice = await personBrowser(identity, 'alice', [{ experiment: 'cygno', role: 'member' }])
  const old = await addPasskey(alice.browser)
  const { codes } = await alice.browser.api.createRecoveryCodes()
  await identity.database.kysely
    .insertInto('identity_account')
    .values({ ...emptyAccount(alice.id, 0), email: 'alice@inst.example', language: 'it' })
    .execute()
  const admin = await adminBrowser(identity)
  const { url } = await admin.api.recoverPerson({ params: { person: alice.id } })
  await expect(alice.browser.api.me()).rejects.toMatchObject({ status: 401 })
  await expect(signIn(old)).rejects.toMatchObject({ code: 'identity.passkey_refused' })
  await expect(
    identity.browser().api.signInWithPassword({ body: { name: 'alice', password: '', code: codes[0]! } }),
  ).rejects.toMatchObject({ code: 'identity.wrong_factors' })
  const code = url.split('#code=')[1]!
  await expect(identity.withToken().token({ body: { code } })).rejects.toMatchObject({ code: 'identity.browser_only' })
  const browser = identity.browser()
  await browser.signIn(code)
  expect(await browser.api.me()).toMatchObject({ recovering: true, rights: { cygno: [] } })
  for (const refused of [
    () => browser.api.createAccessKey({ body: {} }),
    () => browser.api.showDevice({ params: { userCode: 'BCDF-GHJK' } }),
    () => browser.api.decideDevice({ params: { userCode: 'BCDF-GHJK' }, body: { decision: 'approve' } }),
    () => browser.api.listSessions(),
    () => browser.api.signOutEverywhere(),
  ])
    await expect(refused()).rejects.toMatchObject({ status: 403 })
  await addPasskey(browser)
  expect(await browser.api.me()).toMatchObject({ recovering: false, secondFactor: true })
  // He is told of both, and the link is in no mail.
  const mails = await identity.database.kysely.selectFrom('identity_mail').selectAll().orderBy('id').execute()
  expect(mails.map(({ template }) => template as string)).toEqual(['factors-removed', 'factors-changed'])
  expect(JSON.stringify(mails)).not.toContain(code)
  await browser.api.createAccessKey({ body: {} })
})

test('a recovery code of somebody without password opens nothing but a new factor either, once', async () => {
  const { identity, addPasskey } = await world()
  const alice = await personBrowser(identity, 'alice', [])
  await addPasskey(alice.browser)
  const { codes } = await alice.browser.api.createRecoveryCodes()
  const browser = identity.browser()
  const body = { name: 'Alice', password: '', code: codes[4]! }
  expect(await browser.api.signInWithPassword({ body })).toMatchObject({ recoveryCodesLeft: 9 })
  expect(await browser.api.me()).toMatchObject({ recovering: true })
  await expect(browser.api.createAccessKey({ body: {} })).rejects.toMatchObject({ status: 403 })
  await expect(identity.browser().api.signInWithPassword({ body })).rejects.toMatchObject({
    code: 'identity.wrong_factors',
  })
})

test('a manager recovers whom he could have invited, nobody above or beside him, and never himself (T2)', async () => {
  const { identity } = await world()
  const manager = await personBrowser(identity, 'mia', [{ experiment: 'cygno', role: 'manager' }])
  const at = (experiment: string, role: 'exp-admin' | 'manager' | 'member' | 'guest') => ({ experiment, role })
  const people = {
    member: await personBrowser(identity, 'ada', [at('cygno', 'member')]),
    guest: await personBrowser(identity, 'gus', [at('cygno', 'guest')]),
    equal: await personBrowser(identity, 'ben', [at('cygno', 'manager')]),
    above: await personBrowser(identity, 'eva', [at('cygno', 'exp-admin')]),
    also: await personBrowser(identity, 'leo', [at('cygno', 'member'), at('other', 'exp-admin')]),
    elsewhere: await personBrowser(identity, 'zoe', [at('other', 'member')]),
    nowhere: await personBrowser(identity, 'ned', []),
  }
  const answers: Record<string, number | string> = {}
  for (const [who, { id }] of Object.entries(people))
    answers[who] = await manager.browser.api.recoverPerson({ params: { person: id } }).then(
      () => 'link',
      ({ status }: { status: number }) => status,
    )
  expect(answers).toEqual({
    member: 'link',
    guest: 'link',
    equal: 403,
    above: 403,
    also: 403,
    elsewhere: 403,
    nowhere: 403,
  })
  await expect(manager.browser.api.recoverPerson({ params: { person: manager.id } })).rejects.toMatchObject({
    status: 403,
  })
})

test('a guest’s sponsor recovers him, as long as he is a guest everywhere', () => {
  const subject = { id: 's', kind: 'person' as const, name: 'sponsor', epoch: 1, siteAdmin: false, roles: [] }
  const caller = { id: 's', kind: 'person' as const, name: 'sponsor', subject }
  const guest = {
    id: 'g',
    name: 'gus',
    siteAdmin: false,
    sponsorId: 's',
    roles: [{ experiment: 'cygno', role: 'guest' as const }],
  }
  requireMayRecover(caller, guest)
  for (const other of [
    { ...guest, sponsorId: 'else' },
    { ...guest, sponsorId: null },
    { ...guest, siteAdmin: true },
    { ...guest, id: 's' },
    { ...guest, roles: [...guest.roles, { experiment: 'other', role: 'member' as const }] },
  ])
    expect(() => requireMayRecover(caller, other)).toThrow()
})
