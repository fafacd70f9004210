import * as oidc from 'openid-client'
import { expect, test } from 'vitest'
import { forEachDatabase } from '../foundation/testing.ts'
import { sessionCookieName } from './cookie-names.ts'
import { adminBrowser, personBrowser, startIdentity, type Browser, type TestIdentity } from './testing.ts'

const redirectUri = 'http://127.0.0.1:39999/callback'
const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code'

async function discover(test: TestIdentity): Promise<oidc.Configuration> {
  return await oidc.discovery(new URL(`${test.url}/oidc`), 'cli', undefined, oidc.None(), {
    execute: [oidc.allowInsecureRequests],
  })
}

/** Real time that can be pushed ahead: the provider library knows no other clock. */
function aheadClock() {
  let aheadMs = 0
  return {
    nowMs: () => Date.now() + aheadMs,
    monotonicMs: () => performance.now() + aheadMs,
    advance: (byMs: number) => void (aheadMs += byMs),
  }
}

/** A form to the token endpoint, raw. */
async function tokenRequest(
  test: TestIdentity,
  fields: Record<string, string>,
): Promise<{ status: number; body: Record<string, string> }> {
  const response = await fetch(`${test.url}/oidc/token`, {
    method: 'POST',
    body: new URLSearchParams({ client_id: 'cli', ...fields }),
  })
  return { status: response.status, body: (await response.json()) as Record<string, string> }
}

/** Walks the authorization up to the question and answers it; returns where the browser ends. */
async function authorize(
  browser: Browser,
  address: string | URL,
  decision: 'approve' | 'deny' = 'approve',
): Promise<URL> {
  const asked = await browser.fetch(String(address))
  const interaction = new URL(asked.headers.get('location')!, 'http://x').searchParams.get('interaction')!
  expect(await browser.api.showInteraction({ params: { interaction } })).toMatchObject({
    clientName: 'Cygnet command line',
  })
  const { location } = await browser.api.decideInteraction({ params: { interaction }, body: { decision } })
  const done = await browser.fetch(location)
  return new URL(done.headers.get('location')!)
}

async function pkceAddress(config: oidc.Configuration, more: Record<string, string> = {}) {
  const verifier = oidc.randomPKCECodeVerifier()
  const state = oidc.randomState()
  const address = oidc.buildAuthorizationUrl(config, {
    redirect_uri: redirectUri,
    scope: 'openid offline_access api',
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state,
    ...more,
  })
  return { verifier, state, address }
}

forEachDatabase('the OpenID provider', (open) => {
  test('advertises only what it does', async () => {
    const test = await startIdentity(open)
    const metadata = (await discover(test)).serverMetadata()
    expect(metadata.issuer).toBe(`${test.url}/oidc`)
    expect(metadata.code_challenge_methods_supported).toEqual(['S256'])
    expect(metadata.response_types_supported).toEqual(['code'])
    expect(metadata.grant_types_supported?.toSorted()).toEqual(['authorization_code', 'refresh_token', deviceGrant])
    expect(metadata.id_token_signing_alg_values_supported).toEqual(['ES256'])
    for (const path of [
      '/oidc/device',
      '/oidc/session/end',
      '/oidc/me',
      '/oidc/reg',
      '/oidc/../api',
      '/oidc/auth/../reg',
      '/oidc/interaction/x',
    ]) {
      expect((await fetch(`${test.url}${path}`)).status).toBe(404)
    }
  })

  test('device flow from the code on the screen to a token that works, renews, and dies with its person', async () => {
    const clock = aheadClock()
    const test = await startIdentity(open, { clock })
    const config = await discover(test)
    const anna = await personBrowser(test, 'anna', [{ experiment: 'cygno', role: 'member' }])
    const started = await oidc.initiateDeviceAuthorization(config, { scope: 'openid offline_access api' })
    expect(started).toMatchObject({
      verification_uri: `${test.url}/device`,
      verification_uri_complete: `${test.url}/device?user_code=${started.user_code}`,
      expires_in: 600,
      interval: 5,
    })
    expect(started.user_code).toMatch(/^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$/)
    const hastyPoll = () => tokenRequest(test, { grant_type: deviceGrant, device_code: started.device_code })
    const poll = async () => {
      clock.advance(5000)
      return await hastyPoll()
    }
    expect((await poll()).body.error).toBe('authorization_pending')
    expect((await hastyPoll()).body.error).toBe('slow_down')
    expect((await poll()).body.error).toBe('authorization_pending')

    const typed = started.user_code.toLowerCase().replace('-', ' ')
    expect(await anna.browser.api.showDevice({ params: { userCode: typed } })).toMatchObject({
      userCode: started.user_code,
      clientName: 'Cygnet command line',
      address: '127.0.0.1',
    })
    await anna.browser.api.decideDevice({ params: { userCode: typed }, body: { decision: 'approve' } })
    await expect(
      anna.browser.api.decideDevice({ params: { userCode: typed }, body: { decision: 'approve' } }),
    ).rejects.toMatchObject({ code: 'identity.no_such_request' })

    const tokens = await poll()
    expect(tokens.status).toBe(200)
    expect(await test.withToken(tokens.body.access_token).me()).toMatchObject({
      name: 'anna',
      signedInBy: 'access-token',
    })
    expect((await poll()).body.error).toBe('invalid_grant')
    const idToken = tokens.body.id_token!
    await expect(test.withToken(idToken).me()).rejects.toMatchObject({ status: 401 })
    await expect(test.withToken(tokens.body.refresh_token).me()).rejects.toMatchObject({ status: 401 })
  })

  test('a device that was denied hears it; the second use of a device code takes everything back', async () => {
    const clock = aheadClock()
    const test = await startIdentity(open, { clock })
    const config = await discover(test)
    const admin = await adminBrowser(test)
    const denied = await oidc.initiateDeviceAuthorization(config, {})
    await admin.api.decideDevice({ params: { userCode: denied.user_code }, body: { decision: 'deny' } })
    const answer = await tokenRequest(test, { grant_type: deviceGrant, device_code: denied.device_code })
    expect(answer.body.error).toBe('access_denied')

    const started = await oidc.initiateDeviceAuthorization(config, {})
    await admin.api.decideDevice({ params: { userCode: started.user_code }, body: { decision: 'approve' } })
    const fields = { grant_type: deviceGrant, device_code: started.device_code }
    const answers = await Promise.all([
      tokenRequest(test, fields),
      tokenRequest(test, fields),
      tokenRequest(test, fields),
    ])
    const [first, ...others] = answers.filter(({ status }) => status === 200)
    expect(others).toEqual([])
    clock.advance(5000)
    expect((await tokenRequest(test, fields)).body.error).toBe('invalid_grant')
    const refresh = { grant_type: 'refresh_token', refresh_token: first!.body.refresh_token! }
    expect((await tokenRequest(test, refresh)).body.error).toBe('invalid_grant')
    const unknown = await tokenRequest(test, { grant_type: deviceGrant, device_code: 'x'.repeat(43) })
    expect(unknown.body.error).toBe('invalid_grant')
  })

  test('only a person in the browser lets a device in, and wrong codes are counted', async () => {
    const test = await startIdentity(open)
    const config = await discover(test)
    const admin = await adminBrowser(test)
    const { code } = await test.identity.createAdminLink()
    const { accessToken } = await test.withToken().token({ body: { code } })
    const started = await oidc.initiateDeviceAuthorization(config, {})
    const params = { userCode: started.user_code }
    await expect(test.withToken(accessToken).showDevice({ params })).rejects.toMatchObject({
      code: 'identity.browser_only',
    })
    await expect(
      test.withToken(accessToken).decideDevice({ params, body: { decision: 'approve' } }),
    ).rejects.toMatchObject({ code: 'identity.browser_only' })
    const statuses: number[] = []
    for (let tries = 0; tries < 6; tries++) {
      statuses.push(
        await admin.api.showDevice({ params: { userCode: `BBBB-BBB${'BCDFGH'[tries]}` } }).then(
          () => 200,
          ({ status }) => status,
        ),
      )
    }
    expect(statuses).toEqual([404, 404, 404, 404, 404, 429])
  })

  test('authorization code with PKCE, from the browser to a token', async () => {
    const test = await startIdentity(open)
    const config = await discover(test)
    const { browser } = await personBrowser(test, 'anna', [])
    const { verifier, state, address } = await pkceAddress(config)
    const end = await authorize(browser, address)
    expect(end.origin + end.pathname).toBe(redirectUri)
    expect(end.searchParams.get('iss')).toBe(`${test.url}/oidc`)
    const tokens = await oidc.authorizationCodeGrant(config, end, { pkceCodeVerifier: verifier, expectedState: state })
    expect((await test.withToken(tokens.access_token).me()).name).toBe('anna')
    expect(tokens.claims()?.sub).toBe((await browser.api.me()).id)

    const replay = await tokenRequest(test, {
      grant_type: 'authorization_code',
      code: end.searchParams.get('code')!,
      redirect_uri: redirectUri,
      code_verifier: verifier,
    })
    expect(replay.body.error).toBe('invalid_grant')
    const refresh = await tokenRequest(test, { grant_type: 'refresh_token', refresh_token: tokens.refresh_token! })
    expect(refresh.body.error).toBe('invalid_grant')
  })

  test('each authorization asks again, whoever sits there now', async () => {
    const test = await startIdentity(open)
    const config = await discover(test)
    const { browser } = await personBrowser(test, 'anna', [])
    const first = await pkceAddress(config)
    await authorize(browser, first.address)
    browser.cookies.delete(sessionCookieName(test.url))
    const other = await test.identity.createPerson({ name: 'bruno', displayName: 'B', siteAdmin: false, roles: [] })
    await browser.signIn(other.signInLink.code)
    const second = await pkceAddress(config)
    const end = await authorize(browser, second.address)
    const tokens = await oidc.authorizationCodeGrant(config, end, {
      pkceCodeVerifier: second.verifier,
      expectedState: second.state,
    })
    expect((await test.withToken(tokens.access_token).me()).name).toBe('bruno')
    const denied = await authorize(browser, (await pkceAddress(config)).address, 'deny')
    expect(denied.searchParams.get('error')).toBe('access_denied')
  })

  test('nobody approves a request that another browser has started', async () => {
    const test = await startIdentity(open)
    const config = await discover(test)
    const victim = await adminBrowser(test)
    const attacker = test.browser()
    const asked = await attacker.fetch(String((await pkceAddress(config)).address))
    const interaction = new URL(asked.headers.get('location')!, test.url).searchParams.get('interaction')!
    await expect(victim.api.showInteraction({ params: { interaction } })).rejects.toMatchObject({
      code: 'identity.no_such_request',
    })
    await expect(
      victim.api.decideInteraction({ params: { interaction }, body: { decision: 'approve' } }),
    ).rejects.toMatchObject({ code: 'identity.no_such_request' })
    await expect(attacker.api.showInteraction({ params: { interaction } })).rejects.toMatchObject({ status: 401 })
  })

  test('foreign redirect addresses get no redirect; PKCE is not optional; old flows do not exist', async () => {
    const test = await startIdentity(open)
    const config = await discover(test)
    const browser = await adminBrowser(test)
    for (const redirect of [
      'https://evil.example/callback',
      'http://127.0.0.1:1/callback/more',
      'http://127.0.0.1:1/callback#x',
      'http://localhost:1/callback',
      'http://127.0.0.1@evil.example/callback',
      'http://127.0.0.1.evil.example/callback',
      'http://127.0.0.1:1/%2e%2e/callback',
      'http://127.0.0.1/callback?x=1',
    ]) {
      const response = await browser.fetch(String((await pkceAddress(config, { redirect_uri: redirect })).address))
      expect([response.status, response.headers.get('location'), redirect]).toEqual([400, null, redirect])
    }
    const { address } = await pkceAddress(config)
    const changed = async (change: (query: URLSearchParams) => void) => {
      const other = new URL(address)
      change(other.searchParams)
      const response = await browser.fetch(String(other))
      const end = new URL(response.headers.get('location')!, test.url)
      // What would have answered in the fragment is refused in the fragment.
      return end.searchParams.get('error') ?? new URLSearchParams(end.hash.slice(1)).get('error')
    }
    expect(await changed((query) => query.delete('code_challenge'))).toBe('invalid_request')
    expect(await changed((query) => query.set('code_challenge_method', 'plain'))).toBe('invalid_request')
    expect(await changed((query) => query.set('response_type', 'token'))).toBe('unsupported_response_type')
    expect(await changed((query) => query.set('resource', 'https://other.example'))).toBe('invalid_target')
    for (const grant of [
      'password',
      'client_credentials',
      'urn:ietf:params:oauth:grant-type:token-exchange',
      'implicit',
    ]) {
      const { status, body } = await tokenRequest(test, { grant_type: grant, username: 'a', password: 'b' })
      expect([status, body.error]).toEqual([400, 'unsupported_grant_type'])
    }
  })

  test('a wrong verifier spoils the code; another redirect address too', async () => {
    const test = await startIdentity(open)
    const config = await discover(test)
    const browser = await adminBrowser(test)
    for (const wrong of [
      { code_verifier: 'x'.repeat(43) },
      { code_verifier: '' },
      { redirect_uri: 'http://127.0.0.1:1/callback' },
    ]) {
      const { verifier, address } = await pkceAddress(config)
      const code = (await authorize(browser, address)).searchParams.get('code')!
      const right = { grant_type: 'authorization_code', code, redirect_uri: redirectUri, code_verifier: verifier }
      expect((await tokenRequest(test, { ...right, ...wrong })).status).toBe(400)
    }
  })

  test('refresh rotates, a replayed one revokes the family, suspension ends it', async () => {
    const test = await startIdentity(open)
    const config = await discover(test)
    const admin = await adminBrowser(test)
    const anna = await personBrowser(test, 'anna', [])
    const { signInLink } = await test.identity.createPerson({
      name: 'bruno',
      displayName: 'B',
      siteAdmin: false,
      roles: [],
    })
    const first = (await test.withToken().token({ body: { code: signInLink.code } })).refreshToken!
    const renew = (token: string) => tokenRequest(test, { grant_type: 'refresh_token', refresh_token: token })
    const second = await renew(first)
    expect(second.status).toBe(200)
    expect((await test.withToken(second.body.access_token).me()).name).toBe('bruno')
    expect((await renew(first)).body.error).toBe('invalid_grant')
    expect((await renew(second.body.refresh_token!)).body.error).toBe('invalid_grant')
    const wider = await tokenRequest(test, { grant_type: 'refresh_token', refresh_token: 'x', scope: 'openid admin' })
    expect(wider.status).toBe(400)

    const started = await oidc.initiateDeviceAuthorization(config, {})
    await anna.browser.api.decideDevice({ params: { userCode: started.user_code }, body: { decision: 'approve' } })
    const tokens = await tokenRequest(test, { grant_type: deviceGrant, device_code: started.device_code })
    await admin.api.suspendPerson({ params: { person: anna.id } })
    expect((await renew(tokens.body.refresh_token!)).body.error).toBe('invalid_grant')
    await expect(test.withToken(tokens.body.access_token).me()).rejects.toMatchObject({ status: 401 })
    await admin.api.reinstatePerson({ params: { person: anna.id } })
    expect((await renew(tokens.body.refresh_token!)).body.error).toBe('invalid_grant')
  })

  test('signing out at the command line takes the refresh token back', async () => {
    const test = await startIdentity(open)
    const { code } = await test.identity.createAdminLink()
    const { refreshToken } = await test.withToken().token({ body: { code } })
    const revoke = await fetch(`${test.url}/oidc/token/revocation`, {
      method: 'POST',
      body: new URLSearchParams({ client_id: 'cli', token: refreshToken! }),
    })
    expect(revoke.status).toBe(200)
    expect((await tokenRequest(test, { grant_type: 'refresh_token', refresh_token: refreshToken! })).status).toBe(400)
  })

  test('signing out everywhere ends the other browser and the command line', async () => {
    const test = await startIdentity(open)
    const admin = await adminBrowser(test)
    const other = await adminBrowser(test)
    const { code } = await test.identity.createAdminLink()
    const { accessToken, refreshToken } = await test.withToken().token({ body: { code } })
    expect((await admin.api.listSessions()).items.map(({ current }) => current)).toEqual([false, true])
    await admin.api.signOutEverywhere()
    for (const browser of [admin, other]) await expect(browser.api.me()).rejects.toMatchObject({ status: 401 })
    await expect(test.withToken(accessToken).me()).rejects.toMatchObject({ status: 401 })
    expect((await tokenRequest(test, { grant_type: 'refresh_token', refresh_token: refreshToken! })).status).toBe(400)
  })
})
