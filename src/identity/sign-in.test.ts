import { expect, test, describe } from 'vitest'
import { forEachDatabase } from '../foundation/testing.ts'
import { fakeClock } from '../foundation/time.ts'
import { sessionCookieName } from './cookie-names.ts'
import { codeLifetimeMs, sessionIdleMs, sessionLifetimeMs } from './sign-in.ts'
import { adminBrowser, personBrowser, startIdentity, type TestIdentity } from './testing.ts'

forEachDatabase('signing in', (open) => {
  test('the admin link works once, in the fragment, and sets a strict cookie', async () => {
    const test = await startIdentity(open)
    const { url, code } = await test.identity.createAdminLink()
    expect(url).toBe(`${test.url}/sign-in#code=${code}`)
    const browser = test.browser()
    const response = await browser.signIn(code)
    expect(response.status).toBe(200)
    expect(await response.json()).toMatchObject({ name: 'admin' })
    expect(response.headers.get('set-cookie')).toMatch(
      /^cygnet_session_\d+=[\w-]{43}; Path=\/; Max-Age=43\d\d\d; HttpOnly; SameSite=Strict$/,
    )
    expect(await browser.api.me()).toMatchObject({
      name: 'admin',
      kind: 'person',
      siteAdmin: true,
      signedInBy: 'browser-session',
    })
    const again = await test.browser().signIn(code)
    expect(again.status).toBe(410)
    expect(await again.json()).toMatchObject({ code: 'identity.invalid_code' })
  })

  test('two people at once: a code opens exactly one session', async () => {
    const test = await startIdentity(open)
    const { code } = await test.identity.createAdminLink()
    const answers = await Promise.all(Array.from({ length: 8 }, () => test.browser().signIn(code)))
    expect(answers.filter((answer) => answer.status === 200)).toHaveLength(1)
  })

  test('a code dies after 30 minutes, and when a newer link is made for its person', async () => {
    const clock = fakeClock()
    const test = await startIdentity(open, { clock })
    const admin = await adminBrowser(test)
    const anna = await test.identity.createPerson({ name: 'anna', displayName: 'Anna', siteAdmin: false, roles: [] })
    const newer = await admin.api.createSignInLink({ params: { person: anna.id } })
    expect((await test.browser().signIn(anna.signInLink.code)).status).toBe(410)
    clock.advance(30 * 60_000)
    expect((await test.browser().signIn(newer.url.split('#code=')[1]!)).status).toBe(410)
  })

  test('what is over is swept away, and nothing else', async () => {
    const clock = fakeClock(Date.now())
    const test = await startIdentity(open, { clock })
    const browser = await adminBrowser(test)
    const { code } = await test.identity.createAdminLink()
    await test.withToken().token({ body: { code } })
    await test.identity.createAdminLink()
    await test.identity.createContentTicket((await browser.api.me()).id, 's1')
    const tables = ['browser_session', 'one_time_code', 'content_ticket', 'oidc']
    const counts = async () =>
      await Promise.all(
        tables.map(
          async (table) => (await test.database.kysely.selectFrom(`identity_${table}`).selectAll().execute()).length,
        ),
      )
    const before = await counts()
    await test.identity.sweep()
    expect(await counts()).toEqual(before)
    clock.advance(60 * 60_000)
    await test.identity.sweep()
    expect(await counts()).toEqual([0, 0, 0, 2])
    clock.advance(401 * 86_400_000)
    await test.identity.sweep()
    expect(await counts()).toEqual([0, 0, 0, 0])
  })

  test('a clock that leaps to 2038 and is set back keeps nobody out, and brings nothing back', async () => {
    const clock = fakeClock()
    const test = await startIdentity(open, { clock })
    const ended = await adminBrowser(test)
    const { code: oldCode } = await test.identity.createAdminLink()
    clock.advance(codeLifetimeMs + 60_000)
    const living = await adminBrowser(test)
    clock.advance(sessionIdleMs - 60_000)
    // Small steps back do not revive what has ended.
    clock.set(clock.nowMs() - 5 * 60_000)
    await expect(ended.api.me()).rejects.toMatchObject({ status: 401 })
    expect((await test.browser().signIn(oldCode)).ok).toBe(false)
    expect(await living.api.me()).toMatchObject({ name: 'admin' })
    clock.set(clock.nowMs() + 5 * 60_000)

    const rightMs = clock.nowMs()
    clock.set(Date.UTC(2038, 0, 19, 3, 14, 7))
    await expect(living.api.me()).rejects.toMatchObject({ status: 401 })
    const ofTheFuture = await adminBrowser(test)
    const { code: futureCode } = await test.identity.createAdminLink()
    const { token } = mintFor(test, await ofTheFuture.api.me())
    clock.advance(20 * 60_000)
    clock.set(rightMs + 20 * 60_000)

    await expect(ended.api.me()).rejects.toMatchObject({ status: 401 })
    await expect(ofTheFuture.api.me()).rejects.toMatchObject({ status: 401 })
    await expect(test.withToken(token).me()).rejects.toMatchObject({ status: 401 })
    expect((await test.browser().signIn(oldCode)).ok).toBe(false)
    expect((await test.browser().signIn(futureCode)).ok).toBe(false)
    const browser = await adminBrowser(test)
    expect(await browser.api.me()).toMatchObject({ name: 'admin' })
    expect(await test.withToken(mintFor(test, await browser.api.me()).token).me()).toMatchObject({ kind: 'session' })
    expect(test.identity.clockTrouble()).toBeUndefined()
  })

  test('a session ends after an hour of rest, after twelve hours of work, and by signing out', async () => {
    const clock = fakeClock()
    const test = await startIdentity(open, { clock })
    const browser = await adminBrowser(test)
    for (let passedMs = 0; passedMs + sessionIdleMs / 2 < sessionLifetimeMs; passedMs += sessionIdleMs / 2) {
      await browser.api.me()
      clock.advance(sessionIdleMs / 2)
    }
    clock.advance(sessionIdleMs / 2)
    await expect(browser.api.me()).rejects.toMatchObject({ status: 401 })

    const resting = await adminBrowser(test)
    clock.advance(sessionIdleMs)
    await expect(resting.api.me()).rejects.toMatchObject({ status: 401 })

    const leaving = await adminBrowser(test)
    const cookie = leaving.cookies.get(sessionCookieName(test.url))!
    await leaving.api.signOut()
    expect(leaving.cookies.has(sessionCookieName(test.url))).toBe(false)
    leaving.cookies.set(sessionCookieName(test.url), cookie)
    await expect(leaving.api.me()).rejects.toMatchObject({ status: 401 })
  })

  test('neither codes nor cookies nor keys nor tokens lie in the database, the audit or the log', async () => {
    const test = await startIdentity(open)
    const { code } = await test.identity.createAdminLink()
    const browser = test.browser()
    await browser.signIn(code)
    const key = await browser.api.createAccessKey({ body: { label: 'laptop' } })
    const token = await test
      .withToken()
      .token({ body: { accessKeyId: key.accessKeyId, secretAccessKey: key.secretAccessKey } })
    const { code: second } = await test.identity.createAdminLink()
    const cli = await test.withToken().token({ body: { code: second } })
    await test.browser().signIn('wrong-canary-code')
    await test
      .withToken('wrong.canary.token')
      .me()
      .catch(() => undefined)
    const secrets = [
      code,
      second,
      browser.cookies.get(sessionCookieName(test.url))!,
      key.secretAccessKey,
      token.accessToken,
      cli.refreshToken!,
      'canary',
    ]
    const tables = ['subject', 'browser_session', 'one_time_code', 'access_key', 'oidc', 'audit']
    const rows = await Promise.all(
      tables.map((table) => test.database.kysely.selectFrom(`identity_${table}`).selectAll().execute()),
    )
    const everything = JSON.stringify(rows) + test.logLines.join('')
    expect(rows.flat().length).toBeGreaterThan(8)
    for (const secret of secrets) expect(everything).not.toContain(secret)
  })
})

describe('requests of other sites', () => {
  forEachDatabase('cross-site', (open) => {
    test('a change by cookie is refused unless the browser says same-origin', async () => {
      const test = await startIdentity(open)
      const browser = await adminBrowser(test)
      const cookie = `${sessionCookieName(test.url)}=${browser.cookies.get(sessionCookieName(test.url))}`
      const post = async (headers: Record<string, string>) =>
        await fetch(`${test.url}/api/identity/access-keys`, {
          method: 'POST',
          headers: { cookie, 'content-type': 'application/json', ...headers },
          body: '{}',
        })
      const refused: Record<string, string>[] = [
        {},
        { 'sec-fetch-site': 'cross-site' },
        { 'sec-fetch-site': 'same-site' },
        { 'sec-fetch-site': 'none' },
        { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' },
        { 'sec-fetch-site': 'cross-site', origin: test.url },
        { 'sec-fetch-site': 'same-origin', origin: 'https://evil.example' },
        { origin: 'null' },
        { origin: test.url.replace('127.0.0.1', 'localhost') },
        { origin: `${test.url}.evil.example` },
        { origin: test.url.replace(/\d$/, (digit) => String((Number(digit) + 1) % 10)) },
        { origin: test.url.toUpperCase().replace('HTTP', 'https') },
        { referer: `${test.url}/` },
      ]
      for (const headers of refused) {
        const response = await post(headers)
        expect([response.status, headers]).toEqual([403, headers])
        expect(await response.json()).toMatchObject({ code: 'identity.cross_origin' })
      }
      expect((await post({ origin: test.url })).status).toBe(200)
      expect((await post({ 'sec-fetch-site': 'same-origin' })).status).toBe(200)
      expect((await fetch(`${test.url}/api/identity/me`, { headers: { cookie } })).status).toBe(200)
    })

    test('another site cannot sign a visitor in as somebody else', async () => {
      const test = await startIdentity(open)
      const { code } = await test.identity.createAdminLink()
      const response = await fetch(`${test.url}/api/identity/sessions/redeem`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' },
        body: JSON.stringify({ code }),
      })
      expect(response.status).toBe(403)
      expect((await test.browser().signIn(code)).status).toBe(200)
    })

    test('behind https the cookie is bound to the host; a planted second cookie counts as none', async () => {
      const test = await startIdentity(open, { https: true })
      const { code } = await test.identity.createAdminLink()
      const response = await test.browser().signIn(code)
      expect(response.headers.get('set-cookie')).toMatch(
        /^__Host-cygnet_session_\d+=.*; Path=\/; .*HttpOnly; SameSite=Strict; Secure$/,
      )
      const pair = response.headers.get('set-cookie')!.split(';')[0]!
      const me = async (cookie: string) => (await fetch(`${test.url}/api/identity/me`, { headers: { cookie } })).status
      expect(await me(pair)).toBe(200)
      expect(await me(`${pair}; ${pair.split('=')[0]}=planted`)).toBe(401)
      expect(await me(pair.replace('__Host-', ''))).toBe(401)
    })

    test('a bad token is refused even beside a good cookie', async () => {
      const test = await startIdentity(open)
      const browser = await adminBrowser(test)
      for (const authorization of ['Bearer x.y.z', 'Basic YWRtaW46', 'Bearer', 'Bearer a.b.c d']) {
        const response = await browser.fetch('/api/identity/me', { headers: { authorization } })
        expect(response.status).toBe(401)
      }
    })
  })
})

forEachDatabase('guessing', (open) => {
  test('the 21st wrong code from one address in a minute is told to wait; the right one still passes', async () => {
    const clock = fakeClock()
    const test = await startIdentity(open, { clock })
    const { code } = await test.identity.createAdminLink()
    const answers: number[] = []
    for (let tries = 0; tries < 22; tries++) answers.push((await test.browser().signIn(`guess-${tries}`)).status)
    expect(answers.slice(0, 20)).toEqual(Array(20).fill(410))
    expect(answers.slice(20)).toEqual([429, 429])
    expect((await test.browser().signIn(code)).status).toBe(200)
    const rows = await test.database.kysely
      .selectFrom('identity_audit')
      .select('action')
      .where('action', '=', 'sign-in-refused')
      .execute()
    expect(rows).toHaveLength(20)
    clock.advance(60_000)
    expect((await test.browser().signIn('guess')).status).toBe(410)
  })

  test('a flood from one address is refused before it reaches the database, for a minute', async () => {
    const clock = fakeClock()
    const test = await startIdentity(open, { clock })
    const { code } = await test.identity.createAdminLink()
    for (let tries = 0; tries < 100; tries++) await test.browser().signIn(`guess-${tries}`)
    expect((await test.browser().signIn(code)).status).toBe(429)
    clock.advance(60_000)
    expect((await test.browser().signIn(code)).status).toBe(200)
  })

  test('right answers are free: many sign-ins from one address are no attack', async () => {
    const clock = fakeClock()
    const test = await startIdentity(open, { clock })
    for (let times = 0; times < 25; times++) await adminBrowser(test)
  })

  test('a code of 10 MB is refused without reaching the audit', async () => {
    const test = await startIdentity(open)
    const response = await test.browser().signIn('x'.repeat(10_000_000))
    expect([413, 422]).toContain(response.status)
    expect(test.logLines.join('').length).toBeLessThan(5000)
  })
})

forEachDatabase('people', (open) => {
  test('a site admin creates people; roles decide; names are kept', async () => {
    const test = await startIdentity(open)
    const admin = await adminBrowser(test)
    const { person, signInLink } = await admin.api.createPerson({
      body: { name: 'anna', displayName: 'Anna', roles: [{ experiment: 'cygno', role: 'manager' }] },
    })
    const anna = test.browser()
    await anna.signIn(signInLink.url.split('#code=')[1]!)
    expect((await anna.api.me()).rights.cygno).toContain('people.manage')
    await expect(anna.api.createPerson({ body: { name: 'bob', displayName: 'Bob' } })).rejects.toMatchObject({
      status: 403,
    })
    await expect(admin.api.createPerson({ body: { name: 'anna', displayName: 'x' } })).rejects.toMatchObject({
      code: 'identity.name_taken',
    })
    await expect(admin.api.createPerson({ body: { name: 'root', displayName: 'x' } })).rejects.toMatchObject({
      code: 'identity.name_reserved',
    })
    for (const name of ['a-b', 'Alice', 'аlice', 'a'.repeat(33), '', '..', '1a', 'a_b']) {
      await expect(admin.api.createPerson({ body: { name, displayName: 'x' } })).rejects.toMatchObject({ status: 422 })
    }
    expect((await anna.api.listPeople({ query: { experiment: 'cygno' } })).items.map(({ name }) => name)).toEqual([
      'anna',
    ])
    await expect(anna.api.listPeople({ query: { experiment: 'demo' } })).rejects.toMatchObject({ status: 403 })
    await expect(anna.api.listPeople({})).rejects.toMatchObject({ status: 403 })
    expect((await admin.api.listPeople({ query: { limit: 1 } })).nextCursor).toBe('admin')
    expect(person.roles).toEqual([{ experiment: 'cygno', role: 'manager' }])
  })

  test('managers and experiment admins act only below themselves', async () => {
    const test = await startIdentity(open)
    const manager = await personBrowser(test, 'mara', [{ experiment: 'cygno', role: 'manager' }])
    const head = await personBrowser(test, 'hugo', [{ experiment: 'cygno', role: 'exp-admin' }])
    const member = await personBrowser(test, 'mike', [{ experiment: 'cygno', role: 'guest' }])
    const set = (
      who: typeof manager,
      person: string,
      role: 'exp-admin' | 'manager' | 'operator' | 'member' | 'guest' | null,
      experiment = 'cygno',
    ) => who.browser.api.setRole({ params: { person }, body: { experiment, role } })
    expect((await set(manager, member.id, 'member')).roles).toEqual([{ experiment: 'cygno', role: 'member' }])
    for (const role of ['exp-admin', 'manager', 'operator'] as const) {
      await expect(set(manager, member.id, role)).rejects.toMatchObject({ code: 'identity.beyond_ceiling' })
      await expect(set(manager, manager.id, role)).rejects.toMatchObject({ code: 'identity.beyond_ceiling' })
    }
    await expect(set(manager, head.id, 'guest')).rejects.toMatchObject({ code: 'identity.beyond_ceiling' })
    await expect(set(manager, head.id, null)).rejects.toMatchObject({ code: 'identity.beyond_ceiling' })
    await expect(set(manager, member.id, 'guest', 'demo')).rejects.toMatchObject({ status: 403 })
    await expect(set(member, member.id, 'manager')).rejects.toMatchObject({ status: 403 })
    expect((await set(head, member.id, 'manager')).roles).toEqual([{ experiment: 'cygno', role: 'manager' }])
    await expect(set(head, member.id, 'exp-admin')).rejects.toMatchObject({ code: 'identity.beyond_ceiling' })
    expect((await set(head, member.id, null)).roles).toEqual([])
    await expect(set(head, 'nobody', 'guest')).rejects.toMatchObject({ code: 'identity.no_such_person' })
  })

  test('suspension ends sessions, tokens, keys and codes at once; the last admin stays', async () => {
    const test = await startIdentity(open)
    const admin = await adminBrowser(test)
    const adminId = (await admin.api.me()).id
    const anna = await personBrowser(test, 'anna', [{ experiment: 'cygno', role: 'member' }])
    const key = await anna.browser.api.createAccessKey({ body: {} })
    const { accessToken } = await test.withToken().token({ body: pairOf(key) })
    const minted = test.identity.mintToken({
      subjectId: anna.id,
      kind: 'session',
      actions: ['data.read'],
      lifetimeMs: 60_000,
    })
    const link = await admin.api.createSignInLink({ params: { person: anna.id } })
    for (const token of [accessToken, minted.token]) expect((await test.withToken(token).me()).name).toBe('anna')
    const before = test.changes()

    expect(await admin.api.suspendPerson({ params: { person: anna.id } })).toMatchObject({ state: 'suspended' })

    expect(test.changes()).toBe(before + 1)
    const { subjectOfAccessKey } = await import('./snapshot.ts')
    expect(subjectOfAccessKey(test.identity.snapshotPart(), key.accessKeyId)).toBeUndefined()
    for (const token of [accessToken, minted.token])
      await expect(test.withToken(token).me()).rejects.toMatchObject({ status: 401 })
    await expect(anna.browser.api.me()).rejects.toMatchObject({ status: 401 })
    await expect(test.withToken().token({ body: pairOf(key) })).rejects.toMatchObject({ status: 401 })
    expect((await test.browser().signIn(link.url.split('#code=')[1]!)).status).toBe(410)
    expect(() => test.identity.mintToken({ subjectId: anna.id, kind: 'job', actions: [], lifetimeMs: 1000 })).toThrow()

    await admin.api.reinstatePerson({ params: { person: anna.id } })
    for (const token of [accessToken, minted.token])
      await expect(test.withToken(token).me()).rejects.toMatchObject({ status: 401 })
    await expect(admin.api.suspendPerson({ params: { person: adminId } })).rejects.toMatchObject({
      code: 'identity.last_admin',
    })
  })

  test('taking a role away kills tokens and content cookies; giving one does not', async () => {
    const test = await startIdentity(open)
    const admin = await adminBrowser(test)
    const anna = await personBrowser(test, 'anna', [{ experiment: 'cygno', role: 'member' }])
    const epoch = () => test.identity.snapshotPart().subjects[anna.id]!.epoch
    const first = epoch()
    await test.database.kysely.transaction().execute(async (trx) => {
      await test.identity.grantRole(trx, anna.id, 'demo', 'guest')
    })
    await test.identity.refresh()
    expect(test.identity.snapshotPart().subjects[anna.id]!.roles).toContainEqual({ experiment: 'demo', role: 'guest' })
    expect(epoch()).toBe(first)
    await admin.api.setRole({ params: { person: anna.id }, body: { experiment: 'cygno', role: null } })
    expect(epoch()).toBe(first + 1)
    expect((await anna.browser.api.me()).roles).toEqual([{ experiment: 'demo', role: 'guest' }])
  })

  test('a role given in a transaction of another room holds for the very next request', async () => {
    const test = await startIdentity(open)
    const anna = await personBrowser(test, 'anna', [])
    for (const experiment of ['one', 'two', 'three', 'four', 'five']) {
      await test.database.kysely.transaction().execute(async (trx) => {
        await test.identity.grantRole(trx, anna.id, experiment, 'operator')
      })
      expect(Object.keys((await anna.browser.api.me()).rights)).toContain(experiment)
    }
  })

  test('a change that was rolled back gives nothing', async () => {
    const test = await startIdentity(open)
    const anna = await personBrowser(test, 'anna', [])
    const failing = test.database.kysely.transaction().execute(async (trx) => {
      await test.identity.grantRole(trx, anna.id, 'demo', 'exp-admin')
      throw new Error('the other room failed')
    })
    await expect(failing).rejects.toThrow('the other room failed')
    expect((await anna.browser.api.me()).roles).toEqual([])
    expect((await anna.browser.api.listAudit({})).items.map(({ action }) => action)).not.toContain('role-granted')
  })

  test('a change that could not be published is published with the next attempt', async () => {
    const test = await startIdentity(open)
    test.failPublishing(true)
    await expect(test.identity.registerClient({ experiment: 'demo', name: 'daq' })).rejects.toThrow('disk full')
    test.failPublishing(false)
    const before = test.changes()
    await test.identity.refresh()
    expect(test.changes()).toBe(before + 1)
  })

  test('a role given in a transaction of another room is published by itself', async () => {
    const test = await startIdentity(open)
    const { id } = await test.identity.createPerson({ name: 'anna', displayName: 'Anna', siteAdmin: false, roles: [] })
    await test.database.kysely.transaction().execute(async (trx) => {
      await test.identity.grantRole(trx, id, 'demo', 'operator')
    })
    await expect.poll(() => test.identity.snapshotPart().subjects[id]!.roles, { timeout: 10_000 }).toHaveLength(1)
  })

  test('every person has his uid for ever, from 300000 on', async () => {
    const test = await startIdentity(open)
    const people = await Promise.all(
      Array.from({ length: 6 }, (_, index) =>
        test.identity.createPerson({ name: `p${index}x`, displayName: 'P', siteAdmin: false, roles: [] }),
      ),
    )
    const uids = await Promise.all(people.map(({ id }) => test.identity.platformUidOf(id)))
    expect(uids.toSorted()).toEqual([300000, 300001, 300002, 300003, 300004, 300005])
    expect(await Promise.all(people.map(({ id }) => test.identity.platformUidOf(id)))).toEqual(uids)
    await expect(test.identity.platformUidOf('nobody')).rejects.toMatchObject({ code: 'identity.no_such_person' })
  })

  test('the audit tells who did what to whom, to those who may know', async () => {
    const test = await startIdentity(open)
    const admin = await adminBrowser(test)
    const anna = await personBrowser(test, 'anna', [{ experiment: 'cygno', role: 'member' }])
    await admin.api.setRole({ params: { person: anna.id }, body: { experiment: 'cygno', role: 'guest' } })
    const all = (await admin.api.listAudit({})).items
    expect(all.map(({ action }) => action)).toEqual(
      expect.arrayContaining(['person-created', 'sign-in-link-created', 'sign-in', 'role-granted', 'role-removed']),
    )
    expect(all.find(({ action }) => action === 'role-removed')).toMatchObject({
      actorName: 'admin',
      target: anna.id,
      experiment: 'cygno',
      detail: { role: 'member' },
      address: '127.0.0.1',
    })
    const hers = (await anna.browser.api.listAudit({})).items
    expect(hers.length).toBeGreaterThan(0)
    expect(hers.every(({ actorId, target }) => actorId === anna.id || target === anna.id)).toBe(true)
    const asked = (await anna.browser.api.listAudit({ query: { experiment: 'cygno' } })).items
    expect(asked.every(({ actorId, target }) => actorId === anna.id || target === anna.id)).toBe(true)
    const paged = await admin.api.listAudit({ query: { limit: 2 } })
    const next = await admin.api.listAudit({ query: { limit: 2, cursor: paged.nextCursor! } })
    expect([...paged.items, ...next.items].map(({ id }) => id)).toEqual(all.slice(0, 4).map(({ id }) => id))
  })
})

function mintFor(test: TestIdentity, { id }: { id: string }) {
  const asked = { actions: ['data.read' as const], experiment: 'cygno', lifetimeMs: 3_600_000 }
  return test.identity.mintToken({ subjectId: id, kind: 'session', actorId: 's-1', ...asked })
}

function pairOf({ accessKeyId, secretAccessKey }: { accessKeyId: string; secretAccessKey: string }) {
  return { accessKeyId, secretAccessKey }
}
