import { expect, test } from 'vitest'
import { openDatabase } from '../../foundation/database.ts'
import { personBrowser } from '../testing.ts'
import { addInstitute, refused, startWithInstitute, visitInstitute, type WithInstitute } from './testing.ts'

const open = () => openDatabase({ url: 'sqlite::memory:' })

/** A browser that has opened an invitation of `bob`, a manager of demo, and has agreed to the rules. */
async function invited(at: WithInstitute, change: { addressedTo?: string; issuers?: string[] } = {}) {
  const { browser: bob } = await personBrowser(at.test, `bob${Math.random().toString(36).slice(2, 8)}`, [
    { experiment: 'demo', role: 'manager' },
  ])
  const { url } = await bob.api.createInvitation({
    body: { experiment: 'demo', group: '/demo', role: 'member', ...change },
  })
  const guest = at.test.browser()
  const join = await guest.api.openJoin({ body: { code: url.split('#')[1]!.replace(/^code=/, '') } })
  await guest.api.acceptJoinTerms({ body: { version: join.terms.version } })
  return { guest, bob }
}

test('an invitation is accepted by institute login, with a name chosen once', async () => {
  const at = await startWithInstitute(open, {
    person: { name: 'Carla Neri', email: 'carla@inst.example', email_verified: true },
  })
  const { guest } = await invited(at)
  await visitInstitute(guest, at, { purpose: 'join' })
  expect(await guest.api.continueInstituteLogin({ body: {} })).toMatchObject({
    step: 'choose-name',
    invited: true,
    displayName: 'Carla Neri',
    gives: [{ group: '/demo', role: 'member' }],
  })
  // A name that somebody has: she chooses another one, without going to the institute again.
  expect(await refused(guest.api.continueInstituteLogin({ body: { name: 'admin' } }))).toMatch(/name_(taken|reserved)/)
  expect(await guest.api.continueInstituteLogin({ body: { name: 'carla' } })).toMatchObject({ step: 'signed-in' })
  const me = await guest.api.me()
  expect(me).toMatchObject({
    name: 'carla',
    displayName: 'Carla Neri',
    roles: [{ experiment: 'demo', role: 'member' }],
  })
  expect((await guest.api.listIdentities()).items).toMatchObject([{ issuer: at.issuer.url, usable: true }])
  expect((await guest.api.signOut({})).next, 'the session knows where it began').toBe('/institute')
  // From now on she is known.
  const later = at.test.browser()
  await visitInstitute(later, at)
  expect((await later.api.continueInstituteLogin({ body: {} })).step).toBe('signed-in')
  expect((await later.api.me()).id).toBe(me.id)
  // And a second invitation finds her account.
  const second = await invited(at)
  await visitInstitute(second.guest, at, { purpose: 'join' })
  expect((await second.guest.api.continueInstituteLogin({ body: {} })).step).toBe('signed-in')
  expect((await second.guest.api.me()).id).toBe(me.id)
})

test('whoever gets or loses a way to sign in is told by mail', async () => {
  const at = await startWithInstitute(open, { person: { email: 'carla@inst.example', email_verified: true } })
  const { guest } = await invited(at)
  await visitInstitute(guest, at, { purpose: 'join' })
  await guest.api.continueInstituteLogin({ body: { name: 'carla' } })
  const second = await addInstitute(at, { label: 'Other', person: { name: 'Carla elsewhere' } })
  await visitInstitute(guest, second, { purpose: 'link' })
  await guest.api.continueInstituteLogin({ body: { confirm: true } })
  const linked = (await guest.api.listIdentities()).items.find(({ issuer }) => issuer === second.issuer.url)!
  await guest.api.unlinkIdentity({ params: { identity: linked.id } })
  const mails = await at.test.database.kysely
    .selectFrom('identity_mail')
    .select(['template', 'recipient'])
    .where('template', 'like', 'identity-%')
    .orderBy('id')
    .execute()
  expect(mails).toEqual([
    { template: 'identity-linked', recipient: 'carla@inst.example' },
    { template: 'identity-unlinked', recipient: 'carla@inst.example' },
  ])
})

test('an invitation to another verified address waits for its sponsor; an unverified one is not even looked at', async () => {
  const at = await startWithInstitute(open, { person: { email: 'other@inst.example', email_verified: true } })
  const { guest } = await invited(at, { addressedTo: 'carla@inst.example' })
  await visitInstitute(guest, at, { purpose: 'join' })
  expect(await guest.api.continueInstituteLogin({ body: { name: 'carla' } })).toEqual({
    step: 'waiting',
    next: '/join',
  })
  expect(await refused(guest.api.me())).toBe('foundation.sign_in_needed')
})

test('without an opened invitation there is nothing to join by an institute', async () => {
  const at = await startWithInstitute(open)
  const browser = at.test.browser()
  await visitInstitute(browser, at, { purpose: 'join' })
  expect(await refused(browser.api.continueInstituteLogin({ body: { name: 'carla' } }))).toBe(
    'identity.invitation_over',
  )
  const { guest } = await invited(at, { issuers: ['https://other.example'] })
  await visitInstitute(guest, at, { purpose: 'join' })
  expect(await refused(guest.api.continueInstituteLogin({ body: { name: 'carla' } }))).toBe('identity.other_institute')
})
