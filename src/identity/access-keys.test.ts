import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { actions, type Action } from '../foundation/contract.ts'
import { forEachDatabase } from '../foundation/testing.ts'
import { fakeClock } from '../foundation/time.ts'
import { verifyAccessTokenWith } from './access-token.ts'
import { signContentCookie, verifyContentCookie } from './content-access.ts'
import { decide } from './decide.ts'
import { createSeal } from './seal.ts'
import { identitySnapshotSchema, subjectOf, subjectOfAccessKey } from './snapshot.ts'
import { adminBrowser, personBrowser, startIdentity } from './testing.ts'

forEachDatabase('access keys', (open) => {
  test('a DAQ machine gets a key that only creates below its raw bucket', async () => {
    const test = await startIdentity(open)
    const admin = await adminBrowser(test)
    const { client, accessKey } = await admin.api.registerClient({ body: { experiment: 'cygno', name: 'daq-lngs' } })
    expect(accessKey.accessKeyId).toMatch(/^CYG[A-Z2-7]{17}$/)
    expect(accessKey.secretAccessKey).toMatch(/^[\w-]{40}$/)
    const { secret, subject } = subjectOfAccessKey(test.identity.snapshotPart(), accessKey.accessKeyId)!
    expect(secret).toBe(accessKey.secretAccessKey)
    const may = (action: Action, bucket: string, key: string, experiment = 'cygno') =>
      decide(subject, action, { experiment, bucket, key }).allow
    expect(may('data.create', 'cygno-raw', 'lime/sim/run00001.mid')).toBe(true)
    expect(may('data.create', 'cygno-reco', 'lime/sim/run00001.mid')).toBe(false)
    expect(may('data.create', 'demo-raw', 'lime/sim/run00001.mid', 'demo')).toBe(false)
    for (const action of ['data.read', 'data.modify'] as const)
      expect(may(action, 'cygno-raw', 'lime/sim/run00001.mid')).toBe(false)
    expect(decide(subject, 'daq.write', { experiment: 'cygno' }).allow).toBe(true)
    expect(decide(subject, 'daq.write', { experiment: 'demo' }).allow).toBe(false)

    const { secretAccessKey, accessKeyId } = accessKey
    const { accessToken } = await test.withToken().token({ body: { accessKeyId, secretAccessKey } })
    const machine = test.withToken(accessToken)
    expect(await machine.me()).toMatchObject({
      kind: 'client',
      name: 'cygno/daq-lngs',
      rights: { cygno: ['data.create', 'daq.write'] },
    })
    await expect(machine.createAccessKey({ body: {} })).rejects.toMatchObject({ status: 403 })
    await expect(machine.registerClient({ body: { experiment: 'cygno', name: 'other' } })).rejects.toMatchObject({
      status: 403,
    })
    await expect(machine.listAudit({})).rejects.toMatchObject({ status: 403 })
    await expect(admin.api.registerClient({ body: { experiment: 'cygno', name: 'daq-lngs' } })).rejects.toMatchObject({
      status: 409,
    })
    expect((await admin.api.listClients({ query: { experiment: 'cygno' } })).items).toMatchObject([
      { name: 'daq-lngs', accessKeyIds: [accessKeyId] },
    ])

    await admin.api.revokeClient({ params: { client: client.id } })
    expect(subjectOfAccessKey(test.identity.snapshotPart(), accessKeyId)).toBeUndefined()
    await expect(machine.me()).rejects.toMatchObject({ status: 401 })
    await expect(test.withToken().token({ body: { accessKeyId, secretAccessKey } })).rejects.toMatchObject({
      code: 'identity.wrong_access_key',
    })
  })

  test('keys of mine: made, listed without secret, limited, revoked at once with their tokens', async () => {
    const test = await startIdentity(open)
    const anna = await personBrowser(test, 'anna', [{ experiment: 'cygno', role: 'member' }])
    const bruno = await personBrowser(test, 'bruno', [{ experiment: 'cygno', role: 'exp-admin' }])
    const key = await anna.browser.api.createAccessKey({
      body: { label: 'laptop', limits: { actions: ['data.read'], prefix: 'cygno-work/anna' }, lifetimeMs: 3_600_000 },
    })
    const listed = (await anna.browser.api.listAccessKeys()).items
    expect(listed).toMatchObject([
      { accessKeyId: key.accessKeyId, label: 'laptop', limits: { actions: ['data.read'] } },
    ])
    expect(JSON.stringify(listed)).not.toContain(key.secretAccessKey)
    await expect(bruno.browser.api.revokeAccessKey({ params: { accessKey: key.accessKeyId } })).rejects.toMatchObject({
      status: 404,
    })
    const body = { accessKeyId: key.accessKeyId, secretAccessKey: key.secretAccessKey }
    const { accessToken } = await test.withToken().token({ body })
    const before = test.changes()
    await anna.browser.api.revokeAccessKey({ params: { accessKey: key.accessKeyId } })
    expect(test.changes()).toBe(before + 1)
    await expect(test.withToken(accessToken).me()).rejects.toMatchObject({ status: 401 })
    await expect(anna.browser.api.revokeAccessKey({ params: { accessKey: key.accessKeyId } })).rejects.toMatchObject({
      status: 404,
    })
    expect((await anna.browser.api.listAccessKeys()).items).toEqual([])
    expect((await anna.browser.api.me()).name).toBe('anna')
  })

  test('limits that are not understood make no key', async () => {
    const test = await startIdentity(open)
    const { browser } = await personBrowser(test, 'anna', [])
    for (const limits of [
      { actions: ['everything'] },
      { actions: ['people.manage'] },
      { actions: ['credentials.create'] },
      { prefix: '../x' },
      { prefix: 'UPPER/' },
      { prefix: 'cygno-raw/../cygno-work' },
      { prefix: '' },
      { experiment: 'Not A Name' },
      { other: 'member' },
    ]) {
      await expect(browser.api.createAccessKey({ body: { limits } })).rejects.toMatchObject({ status: 422 })
    }
    await expect(browser.api.createAccessKey({ body: { client: 'nobody' } })).rejects.toMatchObject({ status: 404 })
  })

  test('only administrators of the experiment make keys for its machines', async () => {
    const test = await startIdentity(open)
    const { client } = await test.identity.registerClient({ experiment: 'cygno', name: 'daq' })
    const manager = await personBrowser(test, 'mara', [
      { experiment: 'cygno', role: 'manager' },
      { experiment: 'demo', role: 'exp-admin' },
    ])
    const head = await personBrowser(test, 'hugo', [{ experiment: 'cygno', role: 'exp-admin' }])
    await expect(manager.browser.api.createAccessKey({ body: { client: client.id } })).rejects.toMatchObject({
      status: 403,
    })
    const key = await head.browser.api.createAccessKey({ body: { client: client.id, label: 'second' } })
    for (const limits of [{ prefix: 'cygno-work/' }, { prefix: 'cygno-raw2/' }, { experiment: 'demo' }]) {
      await expect(head.browser.api.createAccessKey({ body: { client: client.id, limits } })).rejects.toMatchObject({
        status: 422,
      })
    }
    const narrow = await head.browser.api.createAccessKey({
      body: { client: client.id, limits: { prefix: 'cygno-raw/lime', actions: ['data.create', 'data.read'] } },
    })
    expect(narrow.limits).toEqual({ actions: ['data.create'], prefix: 'cygno-raw/lime', experiment: 'cygno' })
    const { subject } = subjectOfAccessKey(test.identity.snapshotPart(), key.accessKeyId)!
    expect(decide(subject, 'data.create', { experiment: 'cygno', bucket: 'cygno-raw', key: 'x' }).allow).toBe(true)
    expect(decide(subject, 'data.create', { experiment: 'cygno', bucket: 'cygno-work', key: 'x' }).allow).toBe(false)
    expect(decide(subject, 'data.read', { experiment: 'cygno', bucket: 'cygno-raw', key: 'x' }).allow).toBe(false)
    await head.browser.api.revokeAccessKey({ params: { accessKey: key.accessKeyId } })
  })

  test('a wrong secret, an unknown key and a revoked key look the same', async () => {
    const test = await startIdentity(open)
    const { browser } = await personBrowser(test, 'anna', [])
    const key = await browser.api.createAccessKey({ body: {} })
    const answers = await Promise.all(
      [
        { accessKeyId: key.accessKeyId, secretAccessKey: 'x' },
        { accessKeyId: 'CYGAAAAAAAAAAAAAAAAA', secretAccessKey: key.secretAccessKey },
        { accessKeyId: 'constructor', secretAccessKey: '' },
        { accessKeyId: key.accessKeyId, secretAccessKey: '' },
      ].map((body) =>
        test
          .withToken()
          .token({ body })
          .then(
            () => 'in',
            ({ code, detail }) => `${code} ${detail}`,
          ),
      ),
    )
    expect(new Set(answers).size).toBe(1)
    expect(answers[0]).toMatch(/^identity\.wrong_access_key /)
  })

  test('after a restart everything holds; the database without the secrets folder gives nothing away', async () => {
    const test = await startIdentity(open)
    const { accessKey } = await test.identity.registerClient({ experiment: 'cygno', name: 'daq' })
    const { id } = await test.identity.createPerson({ name: 'anna', displayName: 'A', siteAdmin: false, roles: [] })
    const { token } = test.identity.mintToken({
      subjectId: id,
      kind: 'job',
      actions: ['data.read'],
      lifetimeMs: 60_000,
    })
    const before = test.identity.snapshotPart()
    const again = await test.reopen()
    expect(again.snapshotPart()).toEqual(before)
    expect((await verifyAccessTokenWith(again.snapshotPart(), token)).subject.id).toBe(id)
    const row = await test.database.kysely.selectFrom('identity_access_key').selectAll().executeTakeFirstOrThrow()
    expect(JSON.stringify(row)).not.toContain(accessKey.secretAccessKey)
    expect(() => createSeal(Buffer.alloc(32)).open(row.sealed_secret, `access-key.${row.access_key_id}`)).toThrow()
  })
})

forEachDatabase('sessions and jobs', (open) => {
  test('a token of work that has a key ends with the key, and work that goes on keeps its own', async () => {
    const test = await startIdentity(open)
    const { id } = await test.identity.createPerson({ name: 'anna', displayName: 'A', siteAdmin: false, roles: [] })
    const tokenOf = async (actorId: string) => {
      const limits = { actions: ['data.read' as const], experiment: 'cygno' }
      await test.identity.createAccessKey({
        subjectId: id,
        label: actorId,
        limits,
        lifetimeMs: 60_000,
        actor: { kind: 'job', id: actorId },
      })
      const wanted = { actorId, actions: ['data.read' as const], experiment: 'cygno', lifetimeMs: 60_000 }
      return test.identity.mintToken({ subjectId: id, kind: 'job', ...wanted }).token
    }
    const [ended, living] = [await tokenOf('job-1'), await tokenOf('job-2')]
    const subject = { id, kind: 'job', actorId: 'job-1', limits: { actions: ['data.read'], experiment: 'cygno' } }
    expect((await verifyAccessTokenWith(test.identity.snapshotPart(), ended)).subject).toMatchObject(subject)
    await test.identity.revokeAccessKeysOf('job-1')
    await expect(verifyAccessTokenWith(test.identity.snapshotPart(), ended)).rejects.toThrow()
    expect((await verifyAccessTokenWith(test.identity.snapshotPart(), living)).subject.actorId).toBe('job-2')
  })

  test('their tokens and keys are narrower than their person, and managing is out of reach', async () => {
    const test = await startIdentity(open)
    const { id } = await test.identity.createPerson({
      name: 'anna',
      displayName: 'Anna',
      siteAdmin: true,
      roles: [
        { experiment: 'cygno', role: 'exp-admin' },
        { experiment: 'demo', role: 'member' },
      ],
    })
    const data = actions.filter((action) => action.startsWith('data.') || action.startsWith('jobs.'))
    const person = () => subjectOf(test.identity.snapshotPart().subjects[id]!)
    await fc.assert(
      fc.asyncProperty(
        fc.subarray(data),
        fc.constantFrom('session', 'job'),
        fc.option(fc.constantFrom('cygno', 'demo'), { nil: undefined }),
        async (some, kind, experiment) => {
          const { token } = test.identity.mintToken({
            subjectId: id,
            kind: kind as 'session' | 'job',
            actorId: 's1',
            actions: some,
            lifetimeMs: 60_000,
            ...(experiment === undefined ? {} : { experiment }),
          })
          const { subject } = await verifyAccessTokenWith(test.identity.snapshotPart(), token)
          for (const action of actions) {
            for (const where of [
              { experiment: 'cygno', bucket: 'cygno-work' },
              { experiment: 'demo', bucket: 'demo-raw' },
            ]) {
              const allow = decide(subject, action, where).allow
              expect(allow && !decide(person(), action, where).allow).toBe(false)
              expect(allow && !some.includes(action)).toBe(false)
              expect(allow && experiment !== undefined && where.experiment !== experiment).toBe(false)
            }
          }
        },
      ),
      { numRuns: 60 },
    )
    for (const action of ['people.manage', 'credentials.create', 'site.admin', 'experiment.admin'] as const) {
      expect(() =>
        test.identity.mintToken({ subjectId: id, kind: 'job', actions: [action], lifetimeMs: 60_000 }),
      ).toThrow('can never')
    }
    for (const lifetimeMs of [0, -1, NaN, 13 * 3_600_000, Infinity]) {
      expect(() => test.identity.mintToken({ subjectId: id, kind: 'job', actions: [], lifetimeMs })).toThrow()
    }
    const { token } = test.identity.mintToken({ subjectId: id, kind: 'session', actions: data, lifetimeMs: 60_000 })
    const session = test.withToken(token)
    expect(await session.me()).toMatchObject({ kind: 'session', id, siteAdmin: false })
    for (const call of [
      () => session.createAccessKey({ body: {} }),
      () => session.createPerson({ body: { name: 'eve', displayName: 'Eve' } }),
      () => session.setRole({ params: { person: id }, body: { experiment: 'demo', role: 'manager' } }),
      () => session.listSessions(),
      () => session.signOut(),
      () => session.signOutEverywhere(),
      () => session.listAudit({}),
      () => session.registerClient({ body: { experiment: 'cygno', name: 'daq' } }),
    ]) {
      await expect(call()).rejects.toMatchObject({ status: 403 })
    }
  })

  test('keys of a session name their actions, are not listed, and end with it', async () => {
    const test = await startIdentity(open)
    const anna = await personBrowser(test, 'anna', [{ experiment: 'cygno', role: 'member' }])
    const request = { subjectId: anna.id, actor: { kind: 'session', id: 's1' } } as const
    await expect(test.identity.createAccessKey(request)).rejects.toMatchObject({ code: 'identity.invalid_limits' })
    const key = await test.identity.createAccessKey({
      ...request,
      limits: { actions: ['data.read'], experiment: 'cygno' },
      lifetimeMs: 60_000,
    })
    const { subject } = subjectOfAccessKey(test.identity.snapshotPart(), key.accessKeyId)!
    expect(subject).toMatchObject({ id: anna.id, kind: 'session', actorId: 's1', name: 'anna' })
    expect(decide(subject, 'data.read', { experiment: 'cygno', bucket: 'cygno-raw' }).allow).toBe(true)
    expect(decide(subject, 'data.modify', { experiment: 'cygno', bucket: 'cygno-work' }).allow).toBe(false)
    expect((await anna.browser.api.listAccessKeys()).items).toEqual([])
    const { accessToken } = await test
      .withToken()
      .token({ body: { accessKeyId: key.accessKeyId, secretAccessKey: key.secretAccessKey } })
    expect((await test.withToken(accessToken).me()).kind).toBe('session')
    await test.identity.revokeAccessKeysOf('s1')
    expect(subjectOfAccessKey(test.identity.snapshotPart(), key.accessKeyId)).toBeUndefined()
    await expect(test.withToken(accessToken).me()).rejects.toMatchObject({ status: 401 })
  })
})

forEachDatabase('the content origin', (open) => {
  test('a ticket opens one session, once, within 30 seconds', async () => {
    const clock = fakeClock()
    const test = await startIdentity(open, { clock })
    const { id } = await test.identity.createPerson({ name: 'anna', displayName: 'A', siteAdmin: false, roles: [] })
    const ticket = await test.identity.createContentTicket(id, 's1')
    const redeem = (value: string) => test.withToken().redeemContentTicket({ body: { ticket: value } })
    const access = await redeem(ticket)
    expect(access).toMatchObject({ personId: id, sessionId: 's1', expiresAtMs: clock.nowMs() + 12 * 3_600_000 })
    await expect(redeem(ticket)).rejects.toMatchObject({ code: 'identity.invalid_code' })
    const late = await test.identity.createContentTicket(id, 's1')
    clock.advance(30_000)
    await expect(redeem(late)).rejects.toMatchObject({ code: 'identity.invalid_code' })
    expect(
      JSON.stringify(await test.database.kysely.selectFrom('identity_content_ticket').selectAll().execute()),
    ).not.toContain(ticket)

    const cookie = signContentCookie(test.identity.snapshotPart(), access)
    const opens = (value: string, sessionId = 's1', nowMs = clock.nowMs()) =>
      verifyContentCookie(test.identity.snapshotPart(), value, { sessionId, nowMs })
    expect(opens(cookie)).toEqual(access)
    expect(opens(cookie, 's2')).toBeUndefined()
    expect(opens(cookie, 's1', access.expiresAtMs)).toBeUndefined()
    const [body, mac] = cookie.split('.') as [string, string]
    const other = Buffer.from(JSON.stringify([id, access.epoch, 's2', access.expiresAtMs])).toString('base64url')
    for (const forged of [
      `${other}.${mac}`,
      `${body}.`,
      body,
      '',
      'x.y',
      `${cookie}.z`,
      `${body}.${'A'.repeat(43)}`,
      'é.é',
      'x'.repeat(10_000),
    ]) {
      expect(opens(forged, 's2')).toBeUndefined()
      expect(opens(forged, 's1')).toBeUndefined()
    }
  })

  test('the cookie dies with the epoch of its person and is worthless elsewhere', async () => {
    const test = await startIdentity(open)
    const admin = await adminBrowser(test)
    const anna = await personBrowser(test, 'anna', [{ experiment: 'cygno', role: 'guest' }])
    const access = await test
      .withToken()
      .redeemContentTicket({ body: { ticket: await test.identity.createContentTicket(anna.id, 's1') } })
    const cookie = signContentCookie(test.identity.snapshotPart(), access)
    const opens = () => verifyContentCookie(test.identity.snapshotPart(), cookie, { sessionId: 's1' })
    expect(opens()).toBeDefined()
    const elsewhere = { ...test.identity.snapshotPart(), contentCookieKey: Buffer.alloc(32).toString('base64url') }
    expect(verifyContentCookie(elsewhere, cookie, { sessionId: 's1' })).toBeUndefined()
    await admin.api.setRole({ params: { person: anna.id }, body: { experiment: 'cygno', role: null } })
    expect(opens()).toBeUndefined()
  })
})

forEachDatabase('the published part', (open) => {
  test('matches its schema and carries no private key', async () => {
    const test = await startIdentity(open)
    await adminBrowser(test)
    await test.identity.registerClient({ experiment: 'cygno', name: 'daq' })
    const part: unknown = JSON.parse(JSON.stringify(test.identity.snapshotPart()))
    expect(identitySnapshotSchema.parse(part)).toEqual(test.identity.snapshotPart())
    expect(JSON.stringify(part)).not.toMatch(/"d":/)
  })
})
