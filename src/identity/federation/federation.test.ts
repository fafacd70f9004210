import { expect, test } from 'vitest'
import { openDatabase } from '../../foundation/database.ts'
import { forEachDatabase } from '../../foundation/testing.ts'
import { personBrowser } from '../testing.ts'
import { addInstitute, refused, signInAt, startWithInstitute, visitInstitute } from './testing.ts'

const open = () => openDatabase({ url: 'sqlite::memory:' })

forEachDatabase('institute login', (open) => {
  test('an import rule lets a stranger in, who chooses a name once and has the role', async () => {
    const at = await startWithInstitute(open, { person: { name: 'Anna Bianchi', 'wlcg.groups': ['/cygno/members'] } })
    const { admin, institute, issuer } = at
    const rule = {
      issuer: institute,
      claim: 'wlcg.groups',
      value: 'cygno/members',
      group: '/demo',
      role: 'member',
    } as const
    await admin.api.addImportRule({ body: rule })
    const anna = at.test.browser()
    expect(await signInAt(anna, at)).toEqual({
      step: 'choose-name',
      institute: 'Institute of Tests',
      knownAs: 'Anna Bianchi',
      proposedName: 'annabianchi',
      displayName: 'Anna Bianchi',
      gives: [{ group: '/demo', role: 'member' }],
      invited: false,
    })
    expect(await anna.api.continueInstituteLogin({ body: { name: 'anna' } })).toEqual({ step: 'signed-in', next: '/' })
    const me = await anna.api.me()
    expect(me).toMatchObject({ name: 'anna', displayName: 'Anna Bianchi', siteAdmin: false })
    expect(me.roles).toMatchObject([{ experiment: 'demo', role: 'member' }])

    // The second time she is known, and asked nothing.
    const again = at.test.browser()
    expect(await signInAt(again, at)).toEqual({ step: 'signed-in', next: '/' })
    expect((await again.api.me()).id).toBe(me.id)

    // The claim goes: so does the role, at the next sign-in at the latest.
    issuer.person['wlcg.groups'] = []
    await signInAt(again, at)
    expect((await again.api.me()).roles).toEqual([])
  })

  test('a second identity is linked after a fresh sign-in and a yes, and unlinked while another way in stays', async () => {
    const at = await startWithInstitute(open, { person: { name: 'Bruno at work', 'wlcg.groups': ['/in'] } })
    const { admin, institute, issuer } = at
    await admin.api.addImportRule({
      body: { issuer: institute, claim: 'wlcg.groups', value: '/in', group: '/demo', role: 'member' },
    })
    const { browser: bruno, id } = await personBrowser(at.test, 'bruno', [])
    const location = (await bruno.api.startInstituteLogin({ body: { institute, purpose: 'link' } })).location
    expect(new URL(location).searchParams.get('prompt')).toBe('login')
    await visitInstitute(bruno, at, { purpose: 'link' })
    expect(await bruno.api.continueInstituteLogin({ body: {} })).toEqual({
      step: 'confirm-link',
      institute: 'Institute of Tests',
      knownAs: 'Bruno at work',
      account: { name: 'bruno', displayName: 'bruno' },
    })
    expect((await bruno.api.listIdentities()).items, 'nothing before the yes').toEqual([])
    expect((await bruno.api.continueInstituteLogin({ body: { confirm: true } })).step).toBe('linked')
    const [identity] = (await bruno.api.listIdentities()).items
    expect(identity).toMatchObject({ issuer: issuer.url, label: 'Bruno at work', usable: true })
    expect((await bruno.api.me()).roles, 'the rules apply to him now').toMatchObject([{ experiment: 'demo' }])
    const fresh = at.test.browser()
    expect((await signInAt(fresh, at)).step).toBe('signed-in')
    expect((await fresh.api.me()).id).toBe(id)

    // Somebody else cannot link it, and does not learn whose it is.
    const { browser: dora } = await personBrowser(at.test, 'dora', [])
    await visitInstitute(dora, at, { purpose: 'link' })
    expect(await refused(dora.api.continueInstituteLogin({ body: { confirm: true } }))).toBe('identity.identity_taken')

    // A link to sign in with is no way in that stays.
    const params = { identity: identity!.id }
    expect(await refused(bruno.api.unlinkIdentity({ params }))).toBe('identity.last_factor')
    expect(await refused(dora.api.unlinkIdentity({ params }))).toBe('identity.no_such_identity')
    const second = await addInstitute(at, { label: 'Other' })
    await visitInstitute(bruno, second, { purpose: 'link' })
    await bruno.api.continueInstituteLogin({ body: { confirm: true } })
    await bruno.api.unlinkIdentity({ params })
    expect((await bruno.api.me()).roles, 'what came from there has ended').toEqual([])
    expect(await refused(fresh.api.me()), 'sessions that began there too').toBe('foundation.sign_in_needed')
    expect((await signInAt(at.test.browser(), at)).step).toBe('choose-name')
  })

  test('a disabled issuer is disabled everywhere, and everything it gave comes back with it', async () => {
    const at = await startWithInstitute(open, { person: { 'wlcg.groups': ['/in'] } })
    const { admin, institute } = at
    await admin.api.addImportRule({
      body: { issuer: institute, claim: 'wlcg.groups', value: '/in', group: '/demo', role: 'member' },
    })
    const anna = at.test.browser()
    await signInAt(anna, at)
    await anna.api.continueInstituteLogin({ body: { name: 'anna' } })
    const { id } = await anna.api.me()
    const { browser: bruno } = await personBrowser(at.test, 'bruno', [])
    const [begun, arrived] = [at.test.browser(), at.test.browser()]
    const way = (await begun.api.startInstituteLogin({ body: { institute } })).location
    await visitInstitute(arrived, at)
    const params = { issuer: institute }
    expect((await admin.api.setIssuerState({ params, body: { state: 'disabled' } })).state).toBe('disabled')

    expect((await at.test.browser().api.listInstitutes()).items).toEqual([])
    expect(await refused(anna.api.me()), 'her session').toBe('foundation.sign_in_needed')
    expect(at.test.identity.snapshotPart().subjects[id]!.roles, 'what it gave').toEqual([])
    const start = (purpose: 'login' | 'link' | 'join') =>
      bruno.api.startInstituteLogin({ body: { institute, purpose } })
    for (const purpose of ['login', 'link', 'join'] as const)
      expect(await refused(start(purpose)), purpose).toBe('identity.institute_disabled')
    const callback = await at.issuer.visit(way)
    await begun.fetch(`${callback.pathname}${callback.search}`)
    for (const browser of [begun, arrived])
      expect(await refused(browser.api.continueInstituteLogin({ body: {} }))).toBe('identity.no_such_request')
    const asked = new Map(at.issuer.asked)
    await at.test.identity.askInstitutes()
    expect(at.issuer.asked, 'it is asked nothing').toEqual(asked)

    await admin.api.setIssuerState({ params, body: { state: 'enabled' } })
    expect(at.test.identity.snapshotPart().subjects[id]!.roles).toMatchObject([{ experiment: 'demo', role: 'member' }])
    expect((await signInAt(at.test.browser(), at)).step).toBe('signed-in')
  })
})

test('nobody is let in without an invitation or a rule, and is told how he is known', async () => {
  const at = await startWithInstitute(open, { person: { sub: 'x-17', preferred_username: 'mario' } })
  const mario = at.test.browser()
  expect(await signInAt(mario, at)).toEqual({
    step: 'not-invited',
    institute: 'Institute of Tests',
    knownAs: 'mario',
    subject: 'x-17',
    platform: at.test.publicUrl,
  })
  expect(await refused(mario.api.me())).toBe('foundation.sign_in_needed')
  // Not even by asking for a name.
  expect((await mario.api.continueInstituteLogin({ body: { name: 'mario' } })).step).toBe('not-invited')
})

test('B-53, B-54: no address or name ever finds, links or lets in anybody', async () => {
  const at = await startWithInstitute(open)
  const { admin, institute, issuer } = at
  const { id } = await personBrowser(at.test, 'carla', [{ experiment: 'demo', role: 'manager' }])
  const rule = { issuer: institute, claim: 'wlcg.groups', value: '/in', group: '/demo', role: 'guest' } as const
  await admin.api.addImportRule({ body: rule })
  const anna = at.test.browser()
  issuer.person = { sub: 'anna-1', email: 'anna@inst.example', email_verified: true, 'wlcg.groups': ['/in'] }
  await signInAt(anna, at)
  await anna.api.continueInstituteLogin({ body: { name: 'anna' } })
  const annaId = (await anna.api.me()).id

  const faces = [
    { email: 'anna@inst.example', email_verified: true },
    { email: 'a@inst.example@evil.example', email_verified: true },
    { email: '"a b"@inst.example' },
    { email: 'anna@ínst.example', email_verified: true },
    { email: 'anna@inst.example', email_verified: false, preferred_username: 'anna', name: 'anna' },
    { preferred_username: 'carla', name: 'carla', nickname: 'carla', upn: 'carla' },
    { preferred_username: id, sub_id: annaId },
    { sub_legacy: 'anna-1', preferred_username: 'anna-1' },
  ]
  for (const [number, face] of faces.entries()) {
    issuer.person = { sub: `other-${number}`, ...face }
    const other = at.test.browser()
    expect((await signInAt(other, at)).step, JSON.stringify(face)).toBe('not-invited')
    expect(other.cookies.size, 'only the cookie of the visit').toBe(1)
  }
  // The same subject at another issuer, in other capitals, with a blank: other people.
  const second = await addInstitute(at, { person: { sub: 'anna-1', email: 'anna@inst.example' }, label: 'Other' })
  expect((await signInAt(at.test.browser(), second)).step).toBe('not-invited')
  for (const sub of ['ANNA-1', 'Anna-1', 'anna-1%20']) {
    issuer.person = { sub }
    expect((await signInAt(at.test.browser(), at)).step, sub).toBe('not-invited')
  }
  // No rule can be made about an address or a name.
  for (const claim of ['email', 'preferred_username', 'name', 'sub', 'emails', 'mail_email'])
    expect(await refused(admin.api.addImportRule({ body: { ...rule, claim } })), claim).toBe('identity.invalid_rule')
})

test('several issuers at once; a rule of one gives nothing by the other', async () => {
  const at = await startWithInstitute(open, { person: { 'wlcg.groups': ['/shared'] } })
  const other = await addInstitute(at, { person: { 'wlcg.groups': ['/shared'] }, label: 'Other' })
  await at.admin.api.addImportRule({
    body: { issuer: at.institute, claim: 'wlcg.groups', value: '/shared', group: '/demo', role: 'member' },
  })
  expect((await signInAt(at.test.browser(), at)).step).toBe('choose-name')
  expect((await signInAt(at.test.browser(), other)).step).toBe('not-invited')
  const { items } = await at.test.browser().api.listInstitutes()
  expect(items.map(({ label }) => label)).toEqual(['Institute of Tests', 'Other'])
  expect(JSON.stringify(items)).not.toMatch(/cygnet"|secret|client/i)
})

test('linking is bound to the session that asked for it', async () => {
  const at = await startWithInstitute(open)
  const { browser: bruno } = await personBrowser(at.test, 'bruno', [])
  const { browser: dora } = await personBrowser(at.test, 'dora', [])
  await visitInstitute(bruno, at, { purpose: 'link' })
  // Her session, his visit: a browser that was taken over between.
  for (const [name, value] of dora.cookies) bruno.cookies.set(name, value)
  expect(await refused(bruno.api.continueInstituteLogin({ body: { confirm: true } }))).toBe('identity.no_such_request')
  expect(
    await refused(at.test.browser().api.startInstituteLogin({ body: { institute: at.institute, purpose: 'link' } })),
  ).toBe('identity.browser_only')
})

test('a suspended account is not opened by its institute', async () => {
  const at = await startWithInstitute(open, { person: { 'wlcg.groups': ['/in'] } })
  await at.admin.api.addImportRule({
    body: { issuer: at.institute, claim: 'wlcg.groups', value: '/in', group: '/demo', role: 'member' },
  })
  const anna = at.test.browser()
  await signInAt(anna, at)
  await anna.api.continueInstituteLogin({ body: { name: 'anna' } })
  const { id } = await anna.api.me()
  await at.admin.api.suspendPerson({ params: { person: id } })
  await visitInstitute(at.test.browser(), at)
  const again = at.test.browser()
  await visitInstitute(again, at)
  expect(await refused(again.api.continueInstituteLogin({ body: {} }))).toBe('identity.not_allowed')
})

test('no secret of an institute lies open in the database, the log or an answer', async () => {
  const at = await startWithInstitute(open, { person: { 'wlcg.groups': ['/in'] } })
  const { admin, institute, issuer } = at
  await admin.api.addImportRule({
    body: { issuer: institute, claim: 'wlcg.groups', value: '/in', group: '/demo', role: 'member' },
  })
  const anna = at.test.browser()
  const way = await anna.api.startInstituteLogin({ body: { institute } })
  const callback = await issuer.visit(way.location)
  await anna.fetch(`${callback.pathname}${callback.search}`)
  await anna.api.continueInstituteLogin({ body: { name: 'anna' } })
  const dump: string[] = []
  for (const table of [
    'identity_issuer',
    'identity_login_attempt',
    'identity_upstream_grant',
    'identity_upstream_session',
    'identity_audit',
  ])
    dump.push(JSON.stringify(await at.test.database.kysely.selectFrom(table).selectAll().execute()))
  const asked = new URL(way.location).searchParams
  const secrets = [
    issuer.clientSecret,
    callback.searchParams.get('code')!,
    asked.get('state')!,
    asked.get('nonce')!,
    'eyJ',
  ]
  const answers = JSON.stringify([await admin.api.listIssuers(), await anna.api.listIdentities()])
  for (const secret of secrets)
    for (const [place, content] of [
      ['database', dump.join('')],
      ['log', at.test.logLines.join('')],
      ['answers', answers],
    ])
      expect(content!.includes(secret), `${secret} in the ${place}`).toBe(false)
})
