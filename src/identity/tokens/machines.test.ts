/** Machines with keys of their own, exchange, personal tokens and devices: over the wire, on both databases. */
import { generateKeyPairSync, randomUUID, sign as signBytes, type KeyObject } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { forEachDatabase } from '../../foundation/testing.ts'
import { fakeClock, type FakeClock } from '../../foundation/time.ts'
import { adminBrowser, personBrowser, startIdentity, type TestIdentity } from '../testing.ts'
import { assertionType } from './client-assertion.ts'
import type { MachinePublicKey } from './machines.ts'

const exchangeType = 'urn:ietf:params:oauth:grant-type:token-exchange'
const accessTokenType = 'urn:ietf:params:oauth:token-type:access_token'
const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

interface Machine {
  clientId: string
  keyId: string
  issuer: string
  privateKey: KeyObject
  /** Claims and header as they should be, with what is to be wrong. */
  assertion(claims?: Record<string, unknown>, header?: Record<string, unknown>): string
  token(fields?: Record<string, string>): Promise<Answer>
}
interface Answer {
  status: number
  access_token: string
  error: string
  scope: string
  expires_in: number
}

const post = async (url: string, fields: Record<string, string>): Promise<Answer> => {
  const answer = await fetch(url, { method: 'POST', body: new URLSearchParams(fields) })
  return { status: answer.status, ...((await answer.json()) as Omit<Answer, 'status'>) }
}

function keyPair(kind: 'ES256' | 'EdDSA' = 'ES256') {
  const { publicKey, privateKey } =
    kind === 'ES256' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('ed25519')
  const { kty, crv, x, y } = publicKey.export({ format: 'jwk' })
  return { privateKey, publicKey: { kty, crv, x, ...(y !== undefined && { y }) } as MachinePublicKey }
}

const claimsOf = (token: string) =>
  JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()) as Record<string, unknown> & {
    exp: number
    iat: number
  }

function machineOf(
  test: TestIdentity,
  clock: FakeClock,
  pair: ReturnType<typeof keyPair>,
  client: { clientId: string; keyId: string; issuer: string },
): Machine {
  const { privateKey } = pair
  const alg = pair.publicKey.kty === 'EC' ? 'ES256' : 'EdDSA'
  const assertion = (claims = {}, header = {}) => {
    const now = Math.floor(clock.nowMs() / 1000)
    const { clientId, keyId, issuer } = client
    const usual = { iss: clientId, sub: clientId, aud: issuer, jti: randomUUID(), iat: now, exp: now + 60 }
    const input = `${encode({ alg, typ: 'JWT', kid: keyId, ...header })}.${encode({ ...usual, ...claims })}`
    const signature =
      alg === 'ES256'
        ? signBytes('sha256', Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' })
        : signBytes(null, Buffer.from(input), privateKey)
    return `${input}.${signature.toString('base64url')}`
  }
  return {
    ...client,
    privateKey,
    assertion,
    token: (fields = {}) =>
      post(`${client.issuer}/oidc/token`, {
        grant_type: 'client_credentials',
        client_assertion_type: assertionType,
        client_assertion: assertion(),
        ...fields,
      }),
  }
}

/** An experiment with its admin and an operator, and a machine enrolled by the code on its screen. */
async function site(open: Parameters<typeof startIdentity>[0], kind: 'ES256' | 'EdDSA' = 'ES256', clock = fakeClock()) {
  const test = await startIdentity(open, { clock })
  const admin = await personBrowser(test, 'anna', [{ experiment: 'cygno', role: 'exp-admin' }])
  const second = await personBrowser(test, 'bruno', [{ experiment: 'cygno', role: 'operator' }])
  const enrol = async (name: string, more: Record<string, unknown> = {}) => {
    const pair = keyPair(kind)
    const asked = await test
      .browser()
      .api.requestEnrolment({ body: { experiment: 'cygno', name, publicKey: pair.publicKey } })
    const params = { userCode: asked.userCode }
    await admin.browser.api.decideEnrolment({
      params,
      body: { decision: 'approve', owners: [admin.id, second.id], ...more },
    })
    const { client } = await test.browser().api.pollEnrolment({ body: { deviceCode: asked.deviceCode } })
    return machineOf(test, clock, pair, client!)
  }
  return { clock, test, admin, second, enrol }
}

async function tokenOf(test: TestIdentity, userId: string): Promise<string> {
  const admin = await adminBrowser(test)
  const { url } = await admin.api.createSignInLink({ params: { person: userId } })
  const { accessToken } = await test.withToken().token({ body: { code: url.split('#code=')[1]! } })
  return accessToken
}

forEachDatabase('machines', (open) => {
  test('a machine is enrolled by the code on its screen, gets tokens by its key, and acts within what was declared', async () => {
    const { test: t, enrol, admin, second } = await site(open)
    const machine = await enrol('daq-lngs')
    const made = await machine.token()
    expect(made.status).toBe(200)
    expect(made.scope).toBe('storage.create:/raw daq.write')
    expect(claimsOf(made.access_token)).toMatchObject({
      iss: `${t.url}/e/cygno`,
      aud: t.url,
      sub: machine.clientId,
      'wlcg.ver': '1.0',
      cygnet: { kind: 'client' },
    })
    expect(await t.withToken(made.access_token).me()).toMatchObject({ kind: 'client', name: 'cygno/daq-lngs' })
    expect((await machine.token({ scope: 'storage.create:/raw/lngs' })).scope).toBe('storage.create:/raw/lngs')
    for (const scope of ['storage.read:/raw', 'storage.modify:/raw', 'logbook.read', 'storage.create:/work'])
      expect([scope, (await machine.token({ scope })).error]).toEqual([scope, 'invalid_scope'])
    expect((await machine.token({ scope: 'storage.create:/raw storage.read:/raw' })).scope).toBe('storage.create:/raw')
    const { items } = await admin.browser.api.listMachines({ query: { experiment: 'cygno' } })
    expect(items).toMatchObject([
      { name: 'daq-lngs', keys: [{ keyId: machine.keyId }], owners: [{ id: admin.id }, { id: second.id }] },
    ])
  })

  test('its keys change without a pause, and a removed key ends what it got, at once', async () => {
    const { test: t, enrol, clock } = await site(open, 'EdDSA')
    const machine = await enrol('daq')
    const before = (await machine.token()).access_token
    const pair = keyPair('EdDSA')
    const params = { machine: machine.clientId }
    const key = await t.withToken(before).addMachineKey({ params, body: { publicKey: pair.publicKey } })
    const renewed = machineOf(t, clock, pair, { ...machine, keyId: key.keyId })
    const after = (await renewed.token()).access_token
    await t.withToken(after).removeMachineKey({ params: { ...params, key: machine.keyId } })
    expect((await machine.token()).error).toBe('invalid_client')
    await expect(t.withToken(before).me()).rejects.toMatchObject({ code: 'identity.invalid_token' })
    expect((await t.withToken(after).me()).kind).toBe('client')
    // Another machine's keys are none of its business.
    const other = await enrol('other')
    await expect(
      t.withToken(after).removeMachineKey({ params: { machine: other.clientId, key: other.keyId } }),
    ).rejects.toMatchObject({ status: 403 })
  })

  test('B-23 an assertion is for this issuer, a minute, once', async () => {
    const { enrol, clock } = await site(open)
    const machine = await enrol('daq')
    const other = await enrol('other')
    const now = Math.floor(clock.nowMs() / 1000)
    const url = `${machine.issuer}/oidc/token`
    const tried = async (client_assertion: string, more: Record<string, string> = {}) =>
      await post(url, {
        grant_type: 'client_credentials',
        client_assertion_type: assertionType,
        client_assertion,
        ...more,
      })
    const good = machine.assertion()
    expect((await tried(good)).status).toBe(200)
    const bad = {
      'used before': good,
      'of another service': machine.assertion({ aud: `${machine.issuer}/oidc/token` }),
      'for two services': machine.assertion({ aud: [machine.issuer, 'https://other.example'] }),
      'of the site': machine.assertion({ aud: machine.issuer.replace('/e/cygno', '') }),
      'of an hour': machine.assertion({ exp: now + 3600 }),
      'of an hour, in an hour': machine.assertion({ iat: now + 3600, exp: now + 3660 }),
      over: machine.assertion({ iat: now - 70, exp: now - 10 }),
      'without end': machine.assertion({ exp: undefined }),
      'without jti': machine.assertion({ jti: undefined }),
      'by another': machine.assertion({ iss: other.clientId, sub: other.clientId }),
      'for another': machine.assertion({ sub: other.clientId }),
      "with another's key": machine.assertion({}, { kid: other.keyId }),
      'without kid': machine.assertion({}, { kid: undefined }),
      'with jku': machine.assertion({}, { jku: 'https://evil.example' }),
      'with alg none': machine.assertion({}, { alg: 'none' }),
      'as an access token': machine.assertion({}, { typ: 'at+jwt' }),
      'with a blank': `${machine.assertion()} `,
      'its own access token': (await machine.token()).access_token,
    }
    for (const [name, assertion] of Object.entries(bad)) {
      const answer = await tried(assertion)
      expect([name, answer.status, answer.error]).toEqual([name, 401, 'invalid_client'])
    }
    expect((await tried(machine.assertion(), { client_id: other.clientId })).error).toBe('invalid_client')
    expect((await post(url, { grant_type: 'client_credentials' })).error).toBe('invalid_client')
    expect((await post(url, { grant_type: 'client_credentials', client_secret: 'x' })).error).toBe('invalid_client')
    expect((await post(url, { grant_type: 'password' })).error).toBe('unsupported_grant_type')
  })

  test('two people answer for it; when both are gone it goes on to its end and is not renewed', async () => {
    const { test: t, enrol, admin, second, clock } = await site(open)
    await expect(enrol('alone', { owners: [admin.id] })).rejects.toMatchObject({ code: 'identity.too_few_owners' })
    const machine = await enrol('daq')
    const site2 = await adminBrowser(t)
    await site2.api.suspendPerson({ params: { person: second.id } })
    const owners = async () =>
      (await admin.browser.api.listMachines({ query: { experiment: 'cygno' } })).items.find(
        ({ id }) => id === machine.clientId,
      )!.owners
    expect((await owners()).map(({ name }) => name)).toEqual(['anna'])
    const third = await personBrowser(t, 'carla', [{ experiment: 'cygno', role: 'exp-admin' }])
    await site2.api.suspendPerson({ params: { person: admin.id } })
    const params = { machine: machine.clientId }
    await expect(third.browser.api.renewMachine({ params, body: {} })).rejects.toMatchObject({
      code: 'identity.too_few_owners',
    })
    expect((await machine.token()).status).toBe(200)
    await third.browser.api.setMachineOwners({ params, body: { owners: [third.id] } })
    await third.browser.api.renewMachine({ params, body: { lifetimeMs: 30 * 86_400_000 } })
    clock.advance(31 * 86_400_000)
    await t.identity.sweep()
    expect((await machine.token()).error).toBe('invalid_client')
  })

  test('a request of a machine is denied, forgotten, and open to guesses only a few times', async () => {
    const { test: t, admin, second, clock } = await site(open)
    const ask = () =>
      t.browser().api.requestEnrolment({ body: { experiment: 'cygno', name: 'x1', publicKey: keyPair().publicKey } })
    const asked = await ask()
    const params = { userCode: asked.userCode }
    await expect(second.browser.api.decideEnrolment({ params, body: { decision: 'approve' } })).rejects.toMatchObject({
      status: 403,
    })
    expect(await admin.browser.api.showEnrolment({ params })).toMatchObject({ name: 'x1', isKnown: false })
    await admin.browser.api.decideEnrolment({ params, body: { decision: 'deny' } })
    const poll = (deviceCode: string) => t.browser().api.pollEnrolment({ body: { deviceCode } })
    expect(await poll(asked.deviceCode)).toEqual({ state: 'denied', client: null })
    await expect(admin.browser.api.decideEnrolment({ params, body: { decision: 'approve' } })).rejects.toMatchObject({
      code: 'identity.no_such_request',
    })
    const late = await ask()
    clock.advance(11 * 60_000)
    await expect(poll(late.deviceCode)).rejects.toMatchObject({ code: 'identity.no_such_request' })
    const guess = () =>
      second.browser.api
        .showEnrolment({ params: { userCode: 'BBBB-BBBB' } })
        .catch((error: { status: number }) => error.status)
    const statuses = [
      await guess(),
      await guess(),
      await guess(),
      await guess(),
      await guess(),
      await guess(),
      await guess(),
    ]
    expect(statuses.slice(0, 4)).toEqual([404, 404, 404, 404])
    expect(statuses.at(-1)).toBe(429)
  })
})

forEachDatabase('exchange', (open) => {
  test('gives less, to the same person, for no longer; asked for nothing that is held, it is an error', async () => {
    const { test: t, admin } = await site(open)
    const whole = await tokenOf(t, admin.id)
    const url = `${t.url}/e/cygno/oidc/token`
    const exchange = (fields: Record<string, string>) =>
      post(url, { grant_type: exchangeType, subject_token: whole, subject_token_type: accessTokenType, ...fields })
    const read = await exchange({ scope: 'storage.read:/work/a wlcg.groups', audience: 'https://storage.example' })
    expect(claimsOf(read.access_token)).toMatchObject({
      aud: 'https://storage.example',
      scope: 'storage.read:/work/a',
      'wlcg.groups': ['/cygno'],
      sub: admin.id,
    })
    const claims = claimsOf(read.access_token)
    expect(claims.exp).toBeLessThanOrEqual(claimsOf(whole).exp)
    // B-9: a token for another service opens nothing here.
    await expect(t.withToken(read.access_token).me()).rejects.toMatchObject({ code: 'identity.invalid_token' })
    const here = await exchange({ scope: 'storage.read:/work/a' })
    const me = await t.withToken(here.access_token).me()
    expect(me).toMatchObject({ siteAdmin: false, limits: { experiment: 'cygno' } })
    // T30: down only. From the narrow one nothing wider comes out, and no key, no token, no device.
    const again = (scope: string) => exchange({ scope, subject_token: here.access_token })
    expect((await again('storage.read:/work/a/b')).scope).toBe('storage.read:/work/a/b')
    expect((await again('storage.read:/')).scope).toBe('storage.read:/work/a')
    for (const scope of [
      'storage.create:/work/a',
      'logbook.read',
      'wlcg.groups',
      'storage.read:/work/ab',
      'wlcg.groups x',
      '',
    ])
      expect([scope, (await again(scope)).error]).toEqual([scope, 'invalid_scope'])
    const narrow = t.withToken(here.access_token)
    await expect(narrow.createAccessKey({ body: {} })).rejects.toMatchObject({ status: 403 })
    await expect(
      narrow.createPersonalToken({ body: { label: 'x', capabilities: ['data.read'], lifetimeMs: 3_600_000 } }),
    ).rejects.toMatchObject({ status: 403 })
    await expect(narrow.listDevices()).rejects.toMatchObject({ status: 403 })
    for (const audience of [
      'https://wlcg.cern.ch/jwt/v1/any',
      'https://a.example/',
      'https://a.example:443',
      'http://a.example',
      'a',
    ])
      expect([audience, (await exchange({ scope: 'storage.read:/work', audience })).error]).toEqual([
        audience,
        'invalid_target',
      ])
    expect((await exchange({ scope: 'storage.read:/../x' })).error).toBe('invalid_scope')
    expect((await exchange({ scope: 'compute.read', subject_token: 'hello' })).error).toBe('invalid_grant')
    expect((await exchange({ scope: 'compute.read', subject_token: `${whole} ` })).error).toBe('invalid_grant')
    expect(
      (await exchange({ scope: 'compute.read', subject_token_type: 'urn:ietf:params:oauth:token-type:id_token' }))
        .error,
    ).toBe('invalid_request')
    expect((await exchange({ scope: 'compute.read', actor_token: whole })).error).toBe('invalid_request')
    // B-16
    await (await adminBrowser(t)).api.suspendPerson({ params: { person: admin.id } })
    expect((await exchange({ scope: 'compute.read' })).error).toBe('invalid_grant')
    await expect(narrow.me()).rejects.toMatchObject({ code: 'identity.invalid_token' })
  })

  test('B-15, B-24 a token of one experiment is nothing in another; actors are named, three of them at most', async () => {
    const { test: t, admin, enrol } = await site(open)
    await t.identity.experimentGroupOf('demo')
    const service = await enrol('mover', { capabilities: ['data.read', 'logbook.read'] })
    const services = [
      service,
      await enrol('mover2', { capabilities: ['data.read'] }),
      await enrol('mover3', { capabilities: ['data.read'] }),
      await enrol('mover4', { capabilities: ['data.read'] }),
    ]
    const whole = await tokenOf(t, admin.id)
    const exchange = (machine: Machine, subject_token: string, scope = 'storage.read:/work') =>
      machine.token({ grant_type: exchangeType, subject_token, subject_token_type: accessTokenType, scope })
    const first = await exchange(service, whole)
    expect(claimsOf(first.access_token)).toMatchObject({
      sub: admin.id,
      client_id: service.clientId,
      act: { sub: `client:${service.clientId}` },
    })
    expect((await t.withToken(first.access_token).me()).id).toBe(admin.id)
    // Not more than the service itself may.
    expect((await exchange(service, whole, 'storage.create:/work')).error).toBe('invalid_scope')
    const second = await exchange(services[1]!, first.access_token)
    const third = await exchange(services[2]!, second.access_token)
    expect(third.status).toBe(200)
    expect((await exchange(services[3]!, third.access_token)).error).toBe('invalid_request')
    const foreign = await post(`${t.url}/e/demo/oidc/token`, {
      grant_type: exchangeType,
      subject_token: first.access_token,
      subject_token_type: accessTokenType,
      scope: 'storage.read:/work',
    })
    expect(foreign.error).toBe('invalid_grant')
    expect((await fetch(`${t.url}/e/nothing/.well-known/openid-configuration`)).status).toBe(404)
    const known = (await (await fetch(`${t.url}/e/cygno/.well-known/openid-configuration`)).json()) as Record<
      string,
      string
    >
    expect(known).toMatchObject({ issuer: `${t.url}/e/cygno`, jwks_uri: `${t.url}/e/cygno/oidc/jwks` })
    expect(await (await fetch(known['jwks_uri']!)).text()).not.toContain('"d"')
  })

  test('a token of a session stays one of that session, and dies with it', async () => {
    const { test: t, admin } = await site(open)
    const actions = ['data.read', 'logbook.read'] as const
    const { token } = t.identity.mintToken({
      subjectId: admin.id,
      kind: 'session',
      actorId: 's1',
      actions,
      experiment: 'cygno',
      lifetimeMs: 1_800_000,
    })
    const made = await post(`${t.url}/e/cygno/oidc/token`, {
      grant_type: exchangeType,
      subject_token: token,
      subject_token_type: accessTokenType,
      scope: 'storage.read:/work storage.create:/work logbook.read',
    })
    expect(made.scope).toBe('storage.read:/work logbook.read')
    expect(claimsOf(made.access_token)).toMatchObject({ act: { sub: 'session:s1' }, cygnet: { kind: 'session' } })
    expect(await t.withToken(made.access_token).me()).toMatchObject({ kind: 'session', id: admin.id })
    expect(claimsOf(made.access_token).exp).toBeLessThanOrEqual(claimsOf(token).exp)
  })
})

forEachDatabase('tokens of people', (open) => {
  test('a personal token may what it names, until its end or its revocation, and is nowhere in clear', async () => {
    const { test: t, admin, clock } = await site(open)
    const { api } = admin.browser
    const body = {
      label: 'plots',
      capabilities: ['logbook.read', 'data.read:/cygno-work/anna/**'],
      experiment: 'cygno',
      lifetimeMs: 3 * 86_400_000,
    }
    const { token, id } = await api.createPersonalToken({ body })
    expect(token).toMatch(/^cyp_[\w-]{43}$/)
    const me = await t.withToken(token).me()
    expect(me.rights['cygno']).toEqual(expect.arrayContaining(['logbook.read', 'data.read']))
    expect(me.rights['cygno']).not.toContain('experiment.admin')
    expect((await api.listPersonalTokens()).items).toMatchObject([{ id, label: 'plots', lastUsedAtMs: clock.nowMs() }])
    await expect(t.withToken(token).listPersonalTokens()).rejects.toMatchObject({ status: 403 })
    for (const capability of [
      'site.admin',
      'people.manage',
      'credentials.create',
      'nothing',
      'data.read:/a/../b',
      'data.read:/${user}',
    ])
      await expect(api.createPersonalToken({ body: { ...body, capabilities: [capability] } })).rejects.toMatchObject({
        code: 'identity.invalid_limits',
      })
    expect(t.logLines.join('')).not.toContain(token.slice(4))
    const made = await post(`${t.url}/e/cygno/oidc/token`, {
      grant_type: exchangeType,
      subject_token: token,
      subject_token_type: accessTokenType,
      scope: 'storage.read:/work storage.read:/work/anna/x',
    })
    expect(made.scope).toBe('storage.read:/work/anna storage.read:/work/anna/x')
    await api.revokePersonalToken({ params: { token: id } })
    await expect(t.withToken(token).me()).rejects.toMatchObject({ code: 'identity.invalid_token' })
    await expect(t.withToken(made.access_token).me()).rejects.toMatchObject({ code: 'identity.invalid_token' })
    const other = await api.createPersonalToken({ body })
    clock.advance(4 * 86_400_000)
    await expect(t.withToken(other.token).me()).rejects.toMatchObject({ code: 'identity.invalid_token' })
  })

  test('signing out everywhere ends personal tokens; a device is sent away alone', async () => {
    const { test: t, admin } = await site(open)
    const laptop = await tokenOf(t, admin.id)
    const desktop = await tokenOf(t, admin.id)
    const { items } = await t.withToken(laptop).listDevices()
    expect(items.map(({ application }) => application)).toEqual(['Cygnet command line', 'Cygnet command line'])
    const { token } = await admin.browser.api.createPersonalToken({
      body: { label: 'x', capabilities: ['logbook.read'], lifetimeMs: 3_600_000 },
    })
    await admin.browser.api.signOutEverywhere()
    for (const dead of [laptop, desktop, token])
      await expect(t.withToken(dead).me()).rejects.toMatchObject({ code: 'identity.invalid_token' })
  })
})

describe('a device', () => {
  forEachDatabase('that is revoked', (open) => {
    test('loses its refresh token and its access token at once, and no other does', async () => {
      // The provider looks at the clock of the wall.
      const { test: t, admin } = await site(open, 'ES256', fakeClock(Date.now()))
      const start = async () => {
        const { url } = await (await adminBrowser(t)).api.createSignInLink({ params: { person: admin.id } })
        const code = await t.withToken().token({ body: { code: url.split('#code=')[1]! } })
        const refresh = (refresh_token: string) =>
          post(`${t.url}/oidc/token`, { grant_type: 'refresh_token', client_id: 'cli', refresh_token })
        return (await refresh(code.refreshToken!)) as Answer & { refresh_token: string }
      }
      const [one, two] = [await start(), await start()]
      const { items } = await t.withToken(one.access_token).listDevices()
      await t.withToken(one.access_token).revokeDevice({ params: { device: items[0]!.id } })
      await expect(t.withToken(two.access_token).me()).rejects.toMatchObject({ code: 'identity.invalid_token' })
      expect(
        (
          await post(`${t.url}/oidc/token`, {
            grant_type: 'refresh_token',
            client_id: 'cli',
            refresh_token: two.refresh_token,
          })
        ).error,
      ).toBe('invalid_grant')
      expect((await t.withToken(one.access_token).me()).id).toBe(admin.id)
      expect(
        (
          await post(`${t.url}/oidc/token`, {
            grant_type: 'refresh_token',
            client_id: 'cli',
            refresh_token: one.refresh_token,
            scope: 'api people',
          })
        ).error,
      ).toBe('invalid_scope')
      expect(
        (
          await post(`${t.url}/oidc/token`, {
            grant_type: 'refresh_token',
            client_id: 'cli',
            refresh_token: one.refresh_token,
          })
        ).status,
      ).toBe(200)
    })
  })
})
