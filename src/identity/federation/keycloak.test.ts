/**
 * Keycloak, the identity provider of many institutes: groups as full paths, refresh, and what few others have, back-channel
 * logout. A Java service of 150 MB that needs a minute to start: ./cygnet test --long identity.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { openDatabase } from '../../foundation/database.ts'
import { freePort } from '../../foundation/testing.ts'
import { adminBrowser, startIdentity, type Browser } from '../testing.ts'
import { callbackPath, upstreamLogoutPath } from './contract.ts'
import { openFormBrowser, type FormBrowser } from './form-browser.ts'
import { comeBack, leaveFor, refused } from './testing.ts'

const home = process.env.CYGNET_TEST_KEYCLOAK
const patienceMs = 10 * 60_000
const minute = 60_000

async function startKeycloak() {
  const [port, management] = [await freePort(), await freePort()]
  const options = [
    '--http-host=127.0.0.1',
    `--http-port=${port}`,
    `--http-management-port=${management}`,
    '--db=dev-mem',
  ]
  const admin = { KC_BOOTSTRAP_ADMIN_USERNAME: 'admin', KC_BOOTSTRAP_ADMIN_PASSWORD: 'only for this test' }
  const env = { ...process.env, ...admin, JAVA_OPTS_APPEND: '-Xmx700m' }
  const child = spawn(join(home!, 'bin', 'kc.sh'), ['start-dev', ...options], { env, stdio: 'ignore', detached: true })
  const gone = once(child, 'exit')
  onTestFinished(async () => {
    process.kill(-child.pid!, 'SIGKILL')
    await gone
  })
  const url = `http://127.0.0.1:${port}`
  const isUp = async () => (await fetch(`${url}/realms/master`).catch(() => undefined))?.ok === true
  while (!(await isUp())) {
    if (child.exitCode !== null) throw new Error(`Keycloak ended with code ${child.exitCode}`)
    await sleep(1000)
  }
  async function rest(method: string, path: string, body?: unknown): Promise<unknown> {
    const form = { grant_type: 'password', client_id: 'admin-cli', username: 'admin', password: 'only for this test' }
    const login = await fetch(`${url}/realms/master/protocol/openid-connect/token`, {
      method: 'POST',
      body: new URLSearchParams(form),
    })
    const { access_token: token } = (await login.json()) as { access_token: string }
    const response = await fetch(`${url}/admin/realms${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
    return text === '' ? undefined : JSON.parse(text)
  }
  return { url, rest }
}

function realmFor(publicUrl: string): Record<string, unknown> {
  const password = { type: 'password', value: 'correct horse battery' }
  return {
    realm: 'institute',
    enabled: true,
    sslRequired: 'none',
    // The time that this test lets pass is ours alone.
    accessTokenLifespan: 36_000,
    groups: [{ name: 'cygno', subGroups: [{ name: 'daq' }] }],
    users: [
      {
        username: 'anna',
        enabled: true,
        email: 'anna@institute.example',
        emailVerified: true,
        firstName: 'Anna',
        lastName: 'Bianchi',
        credentials: [password],
        groups: ['/cygno/daq'],
        // Of whoever has it not, no refresh token is given.
        realmRoles: ['default-roles-institute'],
      },
    ],
    clients: [
      {
        clientId: 'cygnet',
        secret: 'a secret of the institute',
        redirectUris: [`${publicUrl}${callbackPath}`],
        standardFlowEnabled: true,
        attributes: {
          'post.logout.redirect.uris': `${publicUrl}/sign-in`,
          'backchannel.logout.url': `${publicUrl}${upstreamLogoutPath}`,
          'backchannel.logout.session.required': 'true',
          'pkce.code.challenge.method': 'S256',
        },
        protocolMappers: [
          {
            name: 'groups',
            protocol: 'openid-connect',
            protocolMapper: 'oidc-group-membership-mapper',
            config: {
              // A dot would make an object within an object there.
              'claim.name': 'wlcg\\.groups',
              'full.path': 'true',
              'id.token.claim': 'true',
              'userinfo.token.claim': 'true',
            },
          },
        ],
      },
    ],
  }
}

test.runIf(home !== undefined)(
  'Keycloak: sign-in, groups, linking, back-channel logout, closing of the account',
  { timeout: patienceMs },
  async () => {
    const keycloak = await startKeycloak()
    let passedMs = 0
    const clock = { nowMs: () => Date.now() + passedMs }
    const at = await startIdentity(() => openDatabase({ url: 'sqlite::memory:' }), { clock })
    const admin = await adminBrowser(at)
    await at.identity.experimentGroupOf('demo')
    await keycloak.rest('POST', '', realmFor(at.publicUrl))
    const { id: institute } = await admin.api.addIssuer({
      body: {
        issuer: `${keycloak.url}/realms/institute`,
        label: 'Keycloak',
        clientId: 'cygnet',
        clientSecret: 'a secret of the institute',
        scopes: 'openid profile email offline_access',
      },
    })
    await admin.api.addImportRule({
      body: { issuer: institute, claim: 'wlcg.groups', value: '/cygno/daq', group: '/demo', role: 'operator' },
    })
    const visit = async (browser: Browser, there: FormBrowser) => {
      const answers = { username: 'anna', password: 'correct horse battery' }
      const callback = await there.walk(await leaveFor(browser, institute), answers, `${at.publicUrl}${callbackPath}`)
      await comeBack(browser, callback)
    }
    const anna = at.browser()
    await visit(anna, openFormBrowser())
    expect(await anna.api.continueInstituteLogin({ body: { name: 'anna' } })).toMatchObject({ step: 'signed-in' })
    const me = await anna.api.me()
    const roles = () => at.identity.snapshotPart().subjects[me.id]!.roles.map(({ role }) => role)
    expect([me.displayName, roles()]).toEqual(['Anna Bianchi', ['operator']])

    // The institute ends a session there: it tells us, and the session here is over.
    const [user] = (await keycloak.rest('GET', '/institute/users?username=anna')) as { id: string }[]
    const other = at.browser()
    await visit(other, openFormBrowser())
    await other.api.continueInstituteLogin({ body: {} })
    await keycloak.rest('POST', `/institute/users/${user!.id}/logout`)
    await expect.poll(() => refused(other.api.me()), { timeout: 20_000 }).toBe('foundation.sign_in_needed')

    // Groups, and the end of the account, by the refresh token.
    const again = at.browser()
    await visit(again, openFormBrowser())
    expect((await again.api.continueInstituteLogin({ body: {} })).step).toBe('signed-in')
    const groups = (await keycloak.rest('GET', `/institute/users/${user!.id}/groups`)) as { id: string }[]
    for (const group of groups) await keycloak.rest('DELETE', `/institute/users/${user!.id}/groups/${group.id}`)
    passedMs += 54 * minute
    await at.identity.askInstitutes()
    expect(roles()).toEqual([])
    await keycloak.rest('PUT', `/institute/users/${user!.id}`, { enabled: false })
    passedMs += 54 * minute
    await at.identity.askInstitutes()
    expect(await refused(again.api.me())).toBe('foundation.sign_in_needed')
  },
)

test.skipIf(home !== undefined || process.env.CYGNET_LONG === undefined)(
  'Keycloak [skipped: it is not there; ./cygnet test --long identity installs it with Maven and Java 17]',
  ({ skip }) => skip(),
)
