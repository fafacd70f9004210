/** For tests of this room: an opened identity, and the same one behind real HTTP. */
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { migrate, type OpenedDatabase } from '../foundation/database.ts'
import { createClient, type Client } from '../foundation/client.ts'
import { openFacts } from '../foundation/facts.ts'
import { createApp } from '../foundation/http.ts'
import { createLogger, type Logger } from '../foundation/log.ts'
import { freePort, temporaryDirectory, type OpenTestDatabase } from '../foundation/testing.ts'
import { systemClock, type Clock } from '../foundation/time.ts'
import { identityContract } from './contract.ts'
import { identityMigrations, openIdentity, type Identity } from './index.ts'
import type { PersonRole } from './subject.ts'
import type { IdentityPorts } from './room.ts'

export interface TestIdentity {
  identity: Identity
  database: OpenedDatabase
  url: string
  /** As its pages and tokens say it: another host when it plays https. */
  publicUrl: string
  secretsDirectory: string
  auditFolder: string
  /** Everything that was logged, at the most talkative level. */
  logLines: string[]
  /** How often the published part changed. */
  changes: () => number
  failPublishing(fails: boolean): void
  /** Calls as a browser page of the platform, with its own cookie jar. */
  browser(): Browser
  /** A second opening on the same database and secrets, as after a restart. */
  reopen(): Promise<Identity>
  /** The typed client with this access token. */
  withToken(token?: string): Client<typeof identityContract>
}

export interface Browser {
  fetch(path: string, init?: RequestInit): Promise<Response>
  api: Client<typeof identityContract>
  cookies: Map<string, string>
  /** Follows no redirect. */
  signIn(code: string): Promise<Response>
}

export async function startIdentity(
  open: OpenTestDatabase,
  options: { clock?: Clock; https?: boolean; ports?: Partial<IdentityPorts> } = {},
): Promise<TestIdentity> {
  const database = await open()
  await migrate(database, [identityMigrations])
  const { path } = await temporaryDirectory()
  const secretsDirectory = join(path, 'secrets')
  const logLines: string[] = []
  const log: Logger = createLogger({
    process: 'test',
    level: 'trace',
    destination: { write: (line: string) => void logLines.push(line) },
  })
  const clock = options.clock ?? systemClock()
  const facts = openFacts({ database, clock, log })
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const publicUrl = options.https === true ? `https://cygnet.example:${port}` : url
  let changes = 0
  const auditFolder = join(path, 'audit')
  const settings = { database, facts, clock, secretsDirectory, auditFolder, publicUrl, log }
  let publishingFails = false
  const onChange = () => {
    if (publishingFails) throw new Error('disk full')
    changes++
  }
  const identity = await openIdentity({ ...settings, ...(options.ports && { ports: options.ports }), onChange })
  const app = createApp({ log })
  identity.routes(app)
  await app.listen({ host: '127.0.0.1', port })
  onTestFinished(async () => {
    await app.close()
    await identity.close()
    await facts.close()
  })
  return {
    identity,
    database,
    url,
    publicUrl,
    secretsDirectory,
    auditFolder,
    logLines,
    changes: () => changes,
    failPublishing: (fails) => void (publishingFails = fails),
    async reopen() {
      const again = await openIdentity(settings)
      onTestFinished(() => again.close())
      return again
    },
    browser: () => createBrowser(url),
    withToken: (token) =>
      createClient(identityContract, {
        baseUrl: url,
        ...(token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } }),
      }),
  }
}

function createBrowser(url: string): Browser {
  const cookies = new Map<string, string>()
  const browserFetch = async (input: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
    const headers = new Headers(init.headers)
    if (!headers.has('sec-fetch-site')) headers.set('sec-fetch-site', 'same-origin')
    if (cookies.size > 0) headers.set('cookie', [...cookies].map(([name, value]) => `${name}=${value}`).join('; '))
    const response = await fetch(input, { redirect: 'manual', ...init, headers })
    for (const line of response.headers.getSetCookie()) {
      const [pair = ''] = line.split(';')
      const name = pair.slice(0, pair.indexOf('='))
      const value = pair.slice(pair.indexOf('=') + 1)
      if (value === '' || /max-age=0|expires=Thu, 01 Jan 1970/i.test(line)) cookies.delete(name)
      else cookies.set(name, value)
    }
    return response
  }
  return {
    cookies,
    fetch: (path, init) => browserFetch(new URL(path, url), init),
    api: createClient(identityContract, { baseUrl: url, fetch: browserFetch as typeof fetch }),
    signIn: (code) =>
      browserFetch(`${url}/api/identity/sessions/redeem`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ code }),
      }),
  }
}

/** A signed-in site admin in a browser. */
export async function adminBrowser(test: TestIdentity): Promise<Browser> {
  const browser = test.browser()
  const { code } = await test.identity.createAdminLink()
  const response = await browser.signIn(code)
  if (response.status !== 200)
    throw new Error(`the admin could not sign in: ${response.status} ${await response.text()}`)
  return browser
}

/** A person with these roles, and his signed-in browser. */
export async function personBrowser(
  test: TestIdentity,
  name: string,
  roles: { experiment: string; role: PersonRole }[],
): Promise<{ id: string; browser: Browser }> {
  const { id, signInLink } = await test.identity.createPerson({ name, displayName: name, siteAdmin: false, roles })
  const browser = test.browser()
  await browser.signIn(signInLink.code)
  return { id, browser }
}
