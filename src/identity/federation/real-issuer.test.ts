/**
 * Against an identity provider that others have written (Canaille, from PyPI), in a process of its own. Keycloak, with
 * back-channel logout, is in keycloak.test.ts: ./cygnet test --long identity.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, onTestFinished, test } from 'vitest'
import { openDatabase } from '../../foundation/database.ts'
import { freePort } from '../../foundation/testing.ts'
import { fakeClock } from '../../foundation/time.ts'
import { adminBrowser, personBrowser, startIdentity, type Browser } from '../testing.ts'
import { callbackPath } from './contract.ts'
import { openFormBrowser, type FormBrowser } from './form-browser.ts'
import { comeBack, leaveFor, refused } from './testing.ts'

const open = () => openDatabase({ url: 'sqlite::memory:' })
const python = process.env.CYGNET_TEST_ISSUER_PYTHON
const anna = { login: 'anna.bianchi', password: 'correct horse battery', answer: 'accept' }

const realTest =
  python === undefined
    ? (name: string, _work: () => Promise<void>) =>
        test.skip(`${name} [skipped: Canaille is not there; ./cygnet test installs it from PyPI]`, () => {})
    : (name: string, work: () => Promise<void>) => test(name, { timeout: 60_000 }, work)

async function startCanaille(publicUrl: string) {
  const port = await freePort()
  const settings = { port, redirectUri: `${publicUrl}${callbackPath}`, afterLogoutUri: `${publicUrl}/sign-in` }
  const program = join(import.meta.dirname, 'real-issuer-canaille.py')
  const child = spawn(python!, ['-I', program, JSON.stringify(settings)], { stdio: ['pipe', 'pipe', 'pipe'] })
  const trouble: string[] = []
  child.stderr.setEncoding('utf8').on('data', (text: string) => trouble.push(text))
  const gone = once(child, 'exit')
  onTestFinished(async () => {
    child.stdin.end()
    child.kill('SIGKILL')
    await gone
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const said = async (word: string): Promise<void> => {
    const line = await lines.next()
    if (line.value !== word) throw new Error(`Canaille: ${trouble.join('').slice(-2000)}`)
  }
  await said('ready')
  return {
    url: `http://127.0.0.1:${port}`,
    async command(line: string) {
      child.stdin.write(`${line}\n`)
      await said('done')
    },
  }
}

async function startWithCanaille() {
  const clock = fakeClock(Date.now())
  const at = await startIdentity(open, { clock })
  const admin = await adminBrowser(at)
  await at.identity.experimentGroupOf('demo')
  const canaille = await startCanaille(at.publicUrl)
  const { id: institute } = await admin.api.addIssuer({
    body: {
      issuer: canaille.url,
      label: 'Canaille',
      clientId: 'cygnet',
      clientSecret: 'a secret of the institute',
      scopes: 'openid profile email groups offline_access',
      groupsClaim: 'groups',
    },
  })
  await admin.api.addImportRule({
    body: { issuer: institute, claim: 'groups', value: 'cygno', group: '/demo', role: 'member' },
  })
  const visit = async (browser: Browser, there: FormBrowser, purpose: 'login' | 'link' = 'login') => {
    const location = await leaveFor(browser, institute, { purpose })
    await comeBack(browser, await there.walk(location, anna, `${at.publicUrl}${callbackPath}`))
  }
  return { at, clock, canaille, institute, visit }
}

realTest(
  'a real provider: sign-in, groups, key rotation, linking, checks, closing of the account, signing out',
  async () => {
    const { at, clock, canaille, institute, visit } = await startWithCanaille()
    const there = openFormBrowser()
    const browser = at.browser()
    await visit(browser, there)
    expect(await browser.api.continueInstituteLogin({ body: {} }), 'no group, no invitation').toMatchObject({
      step: 'not-invited',
      knownAs: 'anna@institute.example',
    })

    await canaille.command('groups cygno other')
    await visit(browser, there)
    expect(await browser.api.continueInstituteLogin({ body: {} })).toMatchObject({
      step: 'choose-name',
      proposedName: 'bianchi',
      displayName: 'Anna Bianchi',
      gives: [{ group: '/demo', role: 'member' }],
    })
    await browser.api.continueInstituteLogin({ body: { name: 'anna' } })
    const me = await browser.api.me()
    expect(me).toMatchObject({ name: 'anna', displayName: 'Anna Bianchi' })
    const roles = () => at.identity.snapshotPart().subjects[me.id]!.roles.map(({ role }) => role)
    expect(roles()).toEqual(['member'])

    // The provider changes its key; nobody here has to do anything.
    await canaille.command('rotate')
    const again = at.browser()
    await visit(again, there)
    expect(await again.api.continueInstituteLogin({ body: {} })).toMatchObject({ step: 'signed-in' })
    expect((await again.api.me()).id).toBe(me.id)

    // Somebody else cannot link her; he has to sign in there anew, although his browser still is.
    const { browser: bruno } = await personBrowser(at, 'bruno', [])
    const way = await leaveFor(bruno, institute, { purpose: 'link' })
    expect(new URL(way).searchParams.get('prompt')).toBe('login')
    await comeBack(bruno, await there.walk(way, anna, `${at.publicUrl}${callbackPath}`))
    expect(await refused(bruno.api.continueInstituteLogin({ body: { confirm: true } }))).toBe('identity.identity_taken')

    // Signing out here leads to signing out there.
    const last = at.browser()
    await visit(last, there)
    await last.api.continueInstituteLogin({ body: {} })
    expect((await last.api.signOut({})).next).toBe('/institute')
    const landing = await last.api.continueInstituteLogin({ body: {} })
    if (landing.step !== 'signed-out' || landing.location === null) throw new Error('nothing to sign out of')
    const home = await there.walk(landing.location, { answer: 'logout' }, at.publicUrl)
    expect(home.pathname).toBe('/sign-in')
    const fresh = await there.walk(await leaveFor(at.browser(), institute), { answer: 'accept' }, at.publicUrl).then(
      () => 'still signed in there',
      () => 'asked for the password',
    )
    expect(fresh).toBe('asked for the password')

    // Groups are asked for again with the refresh token, without her.
    await canaille.command('groups other')
    clock.advance(59 * 60_000)
    await at.identity.askInstitutes()
    expect(roles()).toEqual([])
    await canaille.command('groups cygno')
    clock.advance(59 * 60_000)
    await at.identity.askInstitutes()
    expect(roles()).toEqual(['member'])
    expect((await (await adminBrowser(at)).api.listIssuers()).items[0]).toMatchObject({ problem: null, identities: 1 })
  },
)

realTest('a real provider closes an account: everything that came from there ends', async () => {
  const { at, clock, canaille, visit } = await startWithCanaille()
  await canaille.command('groups cygno')
  const browser = at.browser()
  await visit(browser, openFormBrowser())
  await browser.api.continueInstituteLogin({ body: { name: 'anna' } })
  const { id } = await browser.api.me()
  await canaille.command('lock')
  clock.advance(30 * 60_000)
  expect((await browser.api.me()).name).toBe('anna')
  clock.advance(29 * 60_000)
  await at.identity.askInstitutes()
  expect(at.identity.snapshotPart().subjects[id]!.roles).toEqual([])
  expect(await refused(browser.api.me())).toBe('foundation.sign_in_needed')
})
