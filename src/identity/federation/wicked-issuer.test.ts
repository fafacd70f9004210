/** The issuer of these tests is written to be wicked (test-issuer.ts): what it says wrong must open nothing. */
import { expect, test } from 'vitest'
import { openDatabase } from '../../foundation/database.ts'
import { fakeClock } from '../../foundation/time.ts'
import { callbackPath } from './contract.ts'
import { encode, signedWithPublicKey, type Mischief } from './test-issuer.ts'
import { addInstitute, comeBack, leaveFor, refused, signInAt, startWithInstitute, visitInstitute } from './testing.ts'

const open = () => openDatabase({ url: 'sqlite::memory:' })

async function startWithRule(options: Parameters<typeof startWithInstitute>[1] = {}) {
  const at = await startWithInstitute(open, { person: { 'wlcg.groups': ['/in'] }, ...options })
  await at.admin.api.addImportRule({
    body: { issuer: at.institute, claim: 'wlcg.groups', value: '/in', group: '/demo', role: 'member' },
  })
  return at
}

const inSeconds = (ms: number) => Math.floor((Date.now() + ms) / 1000)
const refusedAnswer = 'identity.institute_refused'
const noAnswer = 'identity.institute_unreachable'

/** B-1 to B-11 as far as they concern ID tokens, and what else an answer can have wrong. */
const corpus: [name: string, mischief: Mischief, expected: string][] = [
  ['another iss', { claims: (all) => ({ ...all, iss: 'https://evil.example' }) }, refusedAnswer],
  ['iss with a slash more', { claims: (all) => ({ ...all, iss: `${String(all.iss)}/` }) }, refusedAnswer],
  ['iss in capitals', { claims: (all) => ({ ...all, iss: String(all.iss).toUpperCase() }) }, refusedAnswer],
  ['aud of somebody else', { claims: (all) => ({ ...all, aud: 'other' }) }, refusedAnswer],
  ['no aud', { claims: (all) => without(all, 'aud') }, refusedAnswer],
  ['several aud without azp', { claims: (all) => ({ ...all, aud: ['cygnet', 'other'] }) }, refusedAnswer],
  ['azp of somebody else', { claims: (all) => ({ ...all, aud: ['cygnet', 'other'], azp: 'other' }) }, refusedAnswer],
  ['azp of somebody else, one aud', { claims: (all) => ({ ...all, azp: 'other' }) }, refusedAnswer],
  ['another nonce', { claims: (all) => ({ ...all, nonce: 'guess' }) }, refusedAnswer],
  ['no nonce', { claims: (all) => without(all, 'nonce') }, refusedAnswer],
  ['expired beyond the skew', { claims: (all) => ({ ...all, exp: inSeconds(-120_000) }) }, refusedAnswer],
  ['exp as text', { claims: (all) => ({ ...all, exp: '9999999999' }) }, refusedAnswer],
  ['exp 1e308', { claims: (all) => ({ ...all, exp: 1e308 }) }, refusedAnswer],
  ['no exp', { claims: (all) => without(all, 'exp') }, refusedAnswer],
  ['iat in the future', { claims: (all) => ({ ...all, iat: inSeconds(3_600_000) }) }, refusedAnswer],
  ['no sub', { claims: (all) => without(all, 'sub') }, refusedAnswer],
  ['sub as a number', { claims: (all) => ({ ...all, sub: 17 }) }, refusedAnswer],
  ['sub empty', { claims: (all) => ({ ...all, sub: '' }) }, refusedAnswer],
  ['sub of 300 letters', { claims: (all) => ({ ...all, sub: 'a'.repeat(300) }) }, refusedAnswer],
  ['sub with a newline', { claims: (all) => ({ ...all, sub: 'a\nb' }) }, refusedAnswer],
  ['alg none', { header: (all) => ({ ...all, alg: 'none' }), signature: () => '' }, refusedAnswer],
  ['alg nOnE', { header: (all) => ({ ...all, alg: 'nOnE' }), signature: () => '' }, refusedAnswer],
  [
    'HS256 with the public key',
    { header: (all) => ({ ...all, alg: 'HS256' }), signature: signedWithPublicKey },
    refusedAnswer,
  ],
  ['another signature', { signature: () => Buffer.alloc(64, 1).toString('base64url') }, refusedAnswer],
  ['no signature', { signature: () => '' }, refusedAnswer],
  ['kid that leaves the house', { header: (all) => ({ ...all, kid: '../../x' }) }, refusedAnswer],
  ['kid of 10 kB', { header: (all) => ({ ...all, kid: 'k'.repeat(10_000) }) }, refusedAnswer],
  ['crit', { header: (all) => ({ ...all, crit: ['b64'], b64: false }) }, refusedAnswer],
  ['an access token', { header: (all) => ({ ...all, typ: 'at+jwt' }) }, refusedAnswer],
  ['a logout token', { header: (all) => ({ ...all, typ: 'logout+jwt' }) }, refusedAnswer],
  ['a blank at its end', { spelling: (token) => `${token} ` }, refusedAnswer],
  ['padding', { spelling: (token) => `${token}==` }, refusedAnswer],
  ['40 kB', { claims: (all) => ({ ...all, filler: 'x'.repeat(40_000) }) }, refusedAnswer],
  ['user info of somebody else', { userInfo: (all) => ({ ...all, sub: 'other' }) }, refusedAnswer],
  ['user info without sub', { userInfo: (all) => without(all, 'sub') }, refusedAnswer],
  [
    'iss of another issuer in the address',
    { callback: (url) => withParameter(url, 'iss', 'https://evil.example') },
    refusedAnswer,
  ],
  ['no iss in the address', { callback: (url) => withParameter(url, 'iss', undefined) }, refusedAnswer],
  ['two codes', { callback: (url) => new URL(`${url.href}&code=again`) }, refusedAnswer],
  ['no code', { callback: (url) => withParameter(url, 'code', undefined) }, refusedAnswer],
  [
    'a code of somebody else',
    { callback: (url) => withParameter(url, 'code', 'somebody-elses') },
    'identity.institute_said_no',
  ],
  [
    'an error',
    { callback: (url) => withParameter(withParameter(url, 'code', undefined), 'error', 'access_denied') },
    'identity.institute_said_no',
  ],
  [
    'an error with a long story in HTML',
    {
      callback: (url) => withParameter(withParameter(url, 'error', '<script>'), 'error_description', '<b>'.repeat(500)),
    },
    'identity.institute_said_no',
  ],
  ['a token address that sends elsewhere', { answer: redirecting('/token') }, noAnswer],
  ['a token answer of a megabyte', { answer: talking('/token') }, noAnswer],
  ['a user info of a megabyte', { answer: talking('/userinfo') }, noAnswer],
  [
    'a token address that breaks',
    { answer: (path, response) => path === '/token' && !!response.writeHead(500).end() },
    noAnswer,
  ],
]

const keyCorpus: typeof corpus = [
  ['a key address that sends elsewhere', { answer: redirecting('/jwks') }, noAnswer],
  ['keys that are none', { answer: (path, response) => path === '/jwks' && !!response.end('[]') }, noAnswer],
  ['keys that are secret', { answer: secretKeys }, refusedAnswer],
]

function without(all: Record<string, unknown>, name: string): Record<string, unknown> {
  return Object.fromEntries(Object.entries(all).filter(([key]) => key !== name))
}

function withParameter(url: URL, name: string, value: string | undefined): URL {
  const changed = new URL(url)
  if (value === undefined) changed.searchParams.delete(name)
  else changed.searchParams.set(name, value)
  return changed
}

function redirecting(at: string): NonNullable<Mischief['answer']> {
  return (path, response) => path === at && !!response.writeHead(302, { location: 'http://127.0.0.1:9/' }).end()
}

function talking(at: string): NonNullable<Mischief['answer']> {
  return (path, response) => {
    if (path !== at) return false
    response.writeHead(200, { 'content-type': 'application/json' }).end(`{"filler":"${'x'.repeat(1_000_000)}"}`)
    return true
  }
}

function secretKeys(path: string, response: { end: (text: string) => unknown }): boolean {
  return (
    path === '/jwks' &&
    !!response.end(JSON.stringify({ keys: [{ kty: 'oct', k: 'c2VjcmV0', alg: 'HS256', kid: 'a' }] }))
  )
}

test('an answer with anything wrong opens nothing, and says so on our own page', async () => {
  const at = await startWithRule()
  // Described and known before the mischief begins, as an issuer that turns bad.
  expect((await signInAt(at.test.browser(), at)).step).toBe('choose-name')
  for (const [name, mischief, expected] of corpus) {
    at.issuer.mischief = mischief
    const browser = at.test.browser()
    const answer = await refused(signInAt(browser, at, { name: 'anna' }))
    expect(answer, name).toBe(expected)
    expect(await refused(browser.api.continueInstituteLogin({ body: { name: 'anna' } })), name).toBe(
      'identity.no_such_request',
    )
  }
  expect((await at.admin.api.listPeople({ query: {} })).items.map(({ name }) => name)).toEqual(['admin'])
  // The log names the reasons and none of the secrets.
  expect(at.test.logLines.join('')).toContain('it was made for another application (azp)')
  at.issuer.mischief = {}
})

test('keys that are not public keys at the right address verify nothing', async () => {
  const clock = fakeClock(Date.now())
  const at = await startWithRule({ clock })
  for (const [name, mischief, expected] of keyCorpus) {
    // They are asked for anew.
    clock.advance(11 * 60_000)
    at.issuer.mischief = mischief
    expect(await refused(signInAt(at.test.browser(), at, { name: 'anna' })), name).toBe(expected)
  }
})

test('an issuer that is slow is given up', async () => {
  const at = await startWithRule()
  at.issuer.mischief = { answer: (path) => path === '/token' }
  const browser = at.test.browser()
  const callback = await at.issuer.visit(await leaveFor(browser, at.institute))
  const impatient = new AbortController()
  const coming = browser.fetch(`${callback.pathname}${callback.search}`, { signal: impatient.signal }).then(
    () => 'answered',
    () => 'gave up',
  )
  await expect.poll(() => at.issuer.asked.get('/token')).toBe(1)
  // Everybody else is served meanwhile, and the same answer is not taken twice.
  expect((await at.test.browser().api.listInstitutes()).items).toHaveLength(1)
  await comeBack(browser, callback)
  expect(at.issuer.asked.get('/token')).toBe(1)
  impatient.abort()
  expect(await coming).toBe('gave up')
  await at.issuer.stop()
})

test('mix-up: the answer of one issuer is nothing to the visit at another', async () => {
  const at = await startWithRule()
  const evil = await addInstitute(at, { label: 'Evil' })
  const browser = at.test.browser()
  const honestWay = await leaveFor(browser, at.institute)
  const honest = await at.issuer.visit(honestWay)
  // The victim begins at the evil one, which sends him on to the honest one with its own state.
  const evilState = new URL(await leaveFor(browser, evil.institute)).searchParams.get('state')!
  await comeBack(browser, withParameter(honest, 'state', evilState))
  expect(await refused(browser.api.continueInstituteLogin({ body: {} }))).toBe(refusedAnswer)
  expect(evil.issuer.asked.get('/token'), 'the evil one never sees the code').toBe(undefined)
})

test('a state works once, in the browser that has it, and only one that we made', async () => {
  const at = await startWithRule()
  const [victim, attacker] = [at.test.browser(), at.test.browser()]
  const callback = await at.issuer.visit(await leaveFor(victim, at.institute))
  // Somebody else's answer in this browser: signing in as the attacker would be a trap.
  await comeBack(attacker, callback)
  expect(await refused(attacker.api.continueInstituteLogin({ body: {} }))).toBe('identity.no_such_request')
  await leaveFor(attacker, at.institute)
  await comeBack(attacker, callback)
  expect(await refused(attacker.api.continueInstituteLogin({ body: {} }))).toBe('identity.no_such_request')
  // The victim's visit is untouched by that.
  await comeBack(victim, callback)
  expect((await victim.api.continueInstituteLogin({ body: { name: 'anna' } })).step).toBe('signed-in')
  await comeBack(victim, callback)
  expect(await refused(victim.api.continueInstituteLogin({ body: {} })), 'replayed').toBe('identity.no_such_request')
  for (const state of ['', 'guess', '__proto__', "' or 1=1", 'x'.repeat(9000)]) {
    await leaveFor(attacker, at.institute)
    await comeBack(attacker, withParameter(callback, 'state', state))
    expect(await refused(attacker.api.continueInstituteLogin({ body: {} }))).toBe('identity.no_such_request')
  }
  const twice = new URL(`${callback.href}&state=again`)
  await leaveFor(attacker, at.institute)
  await comeBack(attacker, twice)
  expect(await refused(attacker.api.continueInstituteLogin({ body: {} }))).toBe('identity.no_such_request')
})

test('a visit ends after a quarter of an hour, whatever is done to the clock', async () => {
  const clock = fakeClock(Date.now())
  const at = await startWithRule({ clock })
  const browser = at.test.browser()
  const callback = await at.issuer.visit(await leaveFor(browser, at.institute))
  clock.advance(15 * 60_000)
  await comeBack(browser, callback)
  expect(await refused(browser.api.continueInstituteLogin({ body: {} }))).toBe('identity.no_such_request')
  clock.advance(-15 * 60_000)
  await comeBack(browser, callback)
  expect(await refused(browser.api.continueInstituteLogin({ body: {} }))).toBe('identity.no_such_request')
})

test('other sites neither begin nor finish a sign-in in a browser', async () => {
  const at = await startWithRule()
  const browser = at.test.browser()
  const call = async (path: string, body: unknown, headers: Record<string, string>) =>
    (
      await browser.fetch(`/api/identity/federation/${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify(body),
      })
    ).status
  for (const site of ['cross-site', 'same-site', 'none']) {
    expect(await call('start', { institute: at.institute }, { 'sec-fetch-site': site }), site).toBe(403)
    expect(await call('continue', {}, { 'sec-fetch-site': site }), site).toBe(403)
  }
  expect(await call('start', { institute: at.institute }, { origin: 'https://evil.example' })).toBe(403)
  expect(browser.cookies.size).toBe(0)
})

test('B-48, T6: after the sign-in the browser goes to a page of ours', async () => {
  const at = await startWithRule()
  const first = at.test.browser()
  await signInAt(first, at)
  await first.api.continueInstituteLogin({ body: { name: 'anna' } })
  for (const next of [
    '//evil',
    '/\\evil',
    'https:evil',
    '\t//evil',
    '/@evil',
    `/${'a'.repeat(5000 - 1)}`,
    '/e/../../x',
  ]) {
    const browser = at.test.browser()
    await visitInstitute(browser, at, { next })
    expect(await browser.api.continueInstituteLogin({ body: {} }), next).toEqual({ step: 'signed-in', next: '/' })
  }
  const browser = at.test.browser()
  await visitInstitute(browser, at, { next: '/e/demo/runs?page=2' })
  expect(await browser.api.continueInstituteLogin({ body: {} })).toEqual({
    step: 'signed-in',
    next: '/e/demo/runs?page=2',
  })
})

test('keys may change at any moment, and nobody makes us ask for them again and again', async () => {
  const at = await startWithRule()
  await signInAt(at.test.browser(), at)
  expect(at.issuer.asked.get('/jwks'), 'once at the check, once at the sign-in').toBe(3)
  // In the middle of a visit.
  const browser = at.test.browser()
  const callback = await at.issuer.visit(await leaveFor(browser, at.institute))
  at.issuer.rotateKey()
  await comeBack(browser, callback)
  expect((await browser.api.continueInstituteLogin({ body: {} })).step).toBe('choose-name')
  const asked = at.issuer.asked.get('/jwks')!
  at.issuer.mischief = { header: (all) => ({ ...all, kid: `made-up-${Math.random()}` }) }
  for (let count = 0; count < 5; count++) expect(await refused(signInAt(at.test.browser(), at))).toBe(refusedAnswer)
  expect(at.issuer.asked.get('/jwks')! - asked, 'not for made-up keys').toBe(0)
})

test('a clock that is a minute wrong does no harm, here or there', async () => {
  const at = await startWithRule()
  for (const ms of [-50_000, 50_000]) {
    at.issuer.mischief = { claims: (all) => ({ ...all, iat: inSeconds(ms), exp: inSeconds(Math.min(ms, 0) + 10_000) }) }
    expect((await signInAt(at.test.browser(), at)).step, `${ms} ms`).toBe('choose-name')
  }
})

test('linking asks for a new sign-in there, and believes the institute that there was none', async () => {
  const at = await startWithRule()
  at.issuer.mischief = { claims: (all) => ({ ...all, auth_time: inSeconds(-3_600_000) }) }
  await visitInstitute(at.admin, at, { purpose: 'link' })
  expect(await refused(at.admin.api.continueInstituteLogin({ body: { confirm: true } }))).toBe(refusedAnswer)
  expect((await at.admin.api.listIdentities()).items).toEqual([])
  at.issuer.mischief = { claims: (all) => ({ ...all, auth_time: inSeconds(0) }) }
  await visitInstitute(at.admin, at, { purpose: 'link' })
  expect((await at.admin.api.continueInstituteLogin({ body: { confirm: true } })).step).toBe('linked')
})

test('an issuer that is not what it says is not added, and is told what is wrong', async () => {
  const at = await startWithRule()
  const { issuer } = await addInstitute(at, { label: 'Second' })
  const check = async (mischief: Mischief, address = issuer.url) => {
    issuer.mischief = mischief
    const { ok, findings } = await at.admin.api.checkIssuer({ body: { issuer: address } })
    return [
      ok,
      findings
        .filter(({ level }) => level === 'bad')
        .map(({ text }) => text)
        .join(' '),
    ] as const
  }
  expect(await check({})).toEqual([true, ''])
  expect(await check({}, `${issuer.url}/`)).toEqual([false, `It calls itself '${issuer.url}', not '${issuer.url}/'.`])
  expect((await check({}, 'http://issuer.example'))[1]).toBe('The address is not https.')
  expect((await check({ metadata: (all) => ({ ...all, issuer: 'https://evil.example' }) }))[0]).toBe(false)
  expect((await check({ metadata: (all) => ({ ...all, token_endpoint: 'http://evil.example/token' }) }))[1]).toBe(
    'Its token_endpoint is not an https address.',
  )
  expect((await check({ metadata: (all) => ({ ...all, jwks_uri: 'file:///etc/passwd' }) }))[0]).toBe(false)
  expect(
    (await check({ metadata: (all) => ({ ...all, id_token_signing_alg_values_supported: ['HS256'] }) }))[1],
  ).toMatch(/HS256/)
  expect((await check({ answer: talking('/.well-known/openid-configuration') }))[1]).toMatch(/larger than 256 KiB/)
  expect((await check({ answer: redirecting('/.well-known/openid-configuration') }))[1]).toMatch(/status 302/)
  await issuer.stop()
  expect((await check({}))[1]).toMatch(/could not be asked/)
  const body = { issuer: `${at.issuer.url}/`, label: 'Copy', clientId: 'cygnet' }
  expect(await refused(at.admin.api.addIssuer({ body }))).toBe('identity.invalid_issuer')
  expect(await refused(at.admin.api.addIssuer({ body: { ...body, issuer: at.issuer.url } }))).toBe(
    'identity.name_taken',
  )
  expect(await refused(at.admin.api.addIssuer({ body: { ...body, clientId: null } }))).toBe('identity.invalid_issuer')
})

test('a forged answer in the address changes nothing on the way', async () => {
  const at = await startWithRule()
  const browser = at.test.browser()
  await leaveFor(browser, at.institute)
  for (const query of ['', '?', '?state', `?state=${encode({})}`, '?code=a&state=b&iss=c', `?${'a=b&'.repeat(4000)}`]) {
    const response = await browser.fetch(`${callbackPath}${query}`)
    expect([response.status, response.headers.get('location')], query.slice(0, 20)).toEqual([303, '/institute'])
  }
})
