import { expect, test } from 'vitest'
import { openDatabase } from '../../foundation/database.ts'
import { shortId } from '../../foundation/ids.ts'
import { upstreamLogoutPath } from './contract.ts'
import { encode, signedWithPublicKey } from './test-issuer.ts'
import { addInstitute, refused, signInAt, startWithInstitute } from './testing.ts'

const open = () => openDatabase({ url: 'sqlite::memory:' })
const event = 'http://schemas.openid.net/event/backchannel-logout'

async function startSignedIn() {
  const at = await startWithInstitute(open, { person: { 'wlcg.groups': ['/in'] } })
  await at.admin.api.addImportRule({
    body: { issuer: at.institute, claim: 'wlcg.groups', value: '/in', group: '/demo', role: 'member' },
  })
  const anna = at.test.browser()
  await signInAt(anna, at)
  await anna.api.continueInstituteLogin({ body: { name: 'anna' } })
  const send = async (token: string, form: Record<string, string> = { logout_token: token }) => {
    const response = await fetch(`${at.test.url}${upstreamLogoutPath}`, {
      method: 'POST',
      body: new URLSearchParams(form),
    })
    await response.body?.cancel()
    return response.status
  }
  const now = () => Math.floor(Date.now() / 1000)
  const claims = () => ({
    iss: at.issuer.url,
    aud: at.issuer.clientId,
    iat: now(),
    exp: now() + 120,
    jti: shortId(20),
    sub: at.issuer.person.sub,
    sid: at.issuer.sid,
    events: { [event]: {} },
  })
  const token = (change: Record<string, unknown> = {}, header: Record<string, unknown> = { typ: 'logout+jwt' }) =>
    at.issuer.statement(JSON.parse(JSON.stringify({ ...claims(), ...change })), header)
  const isIn = async () => (await refused(anna.api.me())) === 'not refused'
  return { ...at, anna, send, token, claims, isIn }
}

test('whoever signs out at the institute is signed out here, with every live effect', async () => {
  const at = await startSignedIn()
  const { id } = await at.anna.api.me()
  const { epoch } = at.test.identity.snapshotPart().subjects[id]!
  // The same person from elsewhere, by another session there.
  at.issuer.sid = 'another'
  const other = at.test.browser()
  await signInAt(other, at)
  at.issuer.sid = 'third'
  expect(await at.send(at.token())).toBe(200)
  expect(await at.isIn(), 'another session of hers was meant').toBe(true)
  const first = at.token({ sid: 'another' })
  expect(await at.send(first)).toBe(200)
  expect([await at.isIn(), await refused(other.api.me())]).toEqual([true, 'foundation.sign_in_needed'])
  expect(at.test.identity.snapshotPart().subjects[id]!.epoch, 'content cookies and tokens').toBeGreaterThan(epoch)
  expect(await at.send(first), 'a logout token works once').toBe(400)
  // Without a session: all of them.
  expect(await at.send(at.token({ sid: undefined }))).toBe(200)
  expect(await at.isIn()).toBe(false)
  expect((await at.admin.api.listAudit({ query: { action: 'institute-sign-out' } })).items).toHaveLength(2)
})

test('a logout token with anything wrong ends nothing', async () => {
  const at = await startSignedIn()
  const other = await addInstitute(at, { label: 'Other', person: { sub: at.issuer.person.sub } })
  const seconds = Math.floor(Date.now() / 1000)
  const wrong: [string, string][] = [
    ['of an unknown issuer', at.token({ iss: 'https://evil.example' })],
    ['in the name of another issuer', other.issuer.statement({ ...at.claims() }, { typ: 'logout+jwt' })],
    ['for somebody else', at.token({ aud: 'other' })],
    ['without aud', at.token({ aud: undefined })],
    ['without events', at.token({ events: undefined })],
    ['with another event', at.token({ events: { other: {} } })],
    ['with an event that is no object', at.token({ events: { [event]: true } })],
    ['with a nonce, as ID tokens have', at.token({ nonce: 'a' })],
    ['without jti', at.token({ jti: undefined })],
    ['without sub and sid', at.token({ sub: undefined, sid: undefined })],
    ['without iat', at.token({ iat: undefined })],
    ['old', at.token({ iat: seconds - 3600, exp: seconds + 60 })],
    ['expired', at.token({ exp: seconds - 120 })],
    ['from the future', at.token({ iat: seconds + 3600, exp: seconds + 7200 })],
    ['an access token', at.token({}, { typ: 'at+jwt' })],
    ['an ID token of hers', at.token({ events: undefined, nonce: 'x' }, { typ: 'JWT' })],
    ['unsigned', `${encode({ alg: 'none', typ: 'logout+jwt' })}.${encode(at.claims())}.`],
    ['spelled otherwise', `${at.token()}=`],
    ['nothing', ''],
    ['no token', 'hello'],
    ['long', `a.${'b'.repeat(40_000)}.c`],
  ]
  at.issuer.mischief = { signature: signedWithPublicKey }
  wrong.push(['signed with the public key', at.token({}, { typ: 'logout+jwt', alg: 'HS256' })])
  at.issuer.mischief = {}
  for (const [name, token] of wrong) {
    expect(await at.send(token), name).toBe(400)
    expect(await at.isIn(), name).toBe(true)
  }
  expect(await at.send('', { other: 'form' })).toBe(400)
  const json = await fetch(`${at.test.url}${upstreamLogoutPath}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ logout_token: at.token() }),
  })
  expect([json.status, await at.isIn()]).toEqual([400, true])
  await at.admin.api.setIssuerState({ params: { issuer: other.institute }, body: { state: 'disabled' } })
  const disabled = { ...at.claims(), iss: other.issuer.url, aud: other.issuer.clientId }
  expect(await at.send(other.issuer.statement(disabled, { typ: 'logout+jwt' })), 'of a disabled issuer').toBe(400)
  expect(await at.send(at.token()), 'and the right one still works').toBe(200)
  expect(await at.isIn()).toBe(false)
})

test('whoever signs out here is offered to sign out at the institute, once', async () => {
  const at = await startSignedIn()
  const answer = await at.anna.api.signOut({})
  expect(answer).toEqual({ signedOut: true, next: '/institute' })
  expect(await at.isIn()).toBe(false)
  const landing = await at.anna.api.continueInstituteLogin({ body: {} })
  if (landing.step !== 'signed-out') throw new Error(landing.step)
  const there = new URL(landing.location ?? '')
  expect(`${there.origin}${there.pathname}`).toBe(`${at.issuer.url}/logout`)
  expect(there.searchParams.get('post_logout_redirect_uri')).toBe(`${at.test.publicUrl}/sign-in`)
  expect(there.searchParams.get('id_token_hint')).toMatch(/^eyJ/)
  expect(await refused(at.anna.api.continueInstituteLogin({ body: {} }))).toBe('identity.no_such_request')
  // A session that did not begin there has nothing to end there.
  expect(await at.admin.api.signOut({})).toEqual({ signedOut: true })
})
