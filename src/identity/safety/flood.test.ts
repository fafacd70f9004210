/**
 * Wrong secrets at every door: whoever tries them is told to wait and for how long; whoever comes from elsewhere with a
 * right one is let in meanwhile, and those who are in go on (B-22, B-51, CVE-2026-33419: a login without limit).
 */
import { request as httpRequest } from 'node:http'
import { expect, test } from 'vitest'
import { addressOf } from '../../foundation/client.ts'
import type { CallOf, Route } from '../../foundation/contract.ts'
import { forEachDatabase } from '../../foundation/testing.ts'
import { fakeClock } from '../../foundation/time.ts'
import { identityContract } from '../contract.ts'
import { personBrowser, startIdentity, type TestIdentity } from '../testing.ts'
import { samples } from './route-samples.ts'

interface Door {
  method: string
  path: string
  type: string
  body: string
}

/** Public routes that only read, or only take back what this browser itself has begun. */
const withoutSecrets = [
  'listInstitutes',
  'showJoin',
  'showTerms',
  'declineJoin',
  'acceptJoinTerms',
  'instituteCallback',
]
/** Go on where a browser has begun, for who has its cookie of 256 random bits; it was given out behind a limit. */
const withTicket = ['continueInstituteLogin', 'joinByCode', 'joinByPasskey']
/** Asked by our gateways alone, from one address, for everybody: its own, wider limit. */
const ofGateways = ['redeemContentTicket']
const exceptions = [...withoutSecrets, ...withTicket, ...ofGateways]

function doors(): Record<string, Door> {
  const all: Record<string, Door> = {}
  for (const [name, route] of Object.entries(identityContract.routes) as [keyof typeof samples, Route][]) {
    if (route.permission !== 'public' || exceptions.includes(name)) continue
    const { body = {} } = samples[name]
    all[name] = {
      method: route.method,
      path: addressOf(route, {} as CallOf<Route>),
      type: 'application/json',
      body: JSON.stringify(body),
    }
  }
  const form = (fields: Record<string, string>) => new URLSearchParams(fields).toString()
  const oidc = { method: 'POST', type: 'application/x-www-form-urlencoded' }
  const token = { ...oidc, path: '/oidc/token' }
  return {
    ...all,
    'refresh at the OpenID provider': {
      ...token,
      body: form({ grant_type: 'refresh_token', client_id: 'cli', refresh_token: 'x' }),
    },
    'device code': {
      ...token,
      body: form({ grant_type: 'urn:ietf:params:oauth:grant-type:device_code', client_id: 'cli', device_code: 'x' }),
    },
  }
}

/** From this address of the loopback network. */
function knock(test: TestIdentity, from: string, { method, path, type, body }: Door) {
  return new Promise<{ status: number; retryAfter: string | undefined; body: string }>((done, failed) => {
    const headers = { 'content-type': type, 'content-length': Buffer.byteLength(body), 'sec-fetch-site': 'same-origin' }
    const request = httpRequest(`${test.url}${path}`, { method, localAddress: from, headers }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (part: string) => (text += part))
      response.on('end', () => {
        const { 'retry-after': retryAfter } = response.headers
        done({ status: response.statusCode!, retryAfter, body: text })
      })
    })
    request.on('error', failed)
    request.end(body)
  })
}

const mostTries = 400

forEachDatabase('a flood of wrong secrets', (open, kind) => {
  test.runIf(kind === 'sqlite' || process.env.CYGNET_LONG)(
    'ends with 429 and when to come back, at every door, and only for its own address',
    { timeout: 600_000 },
    async () => {
      const test = await startIdentity(open, { clock: fakeClock() })
      const { browser } = await personBrowser(test, 'anna', [{ experiment: 'cygno', role: 'member' }])
      const wrong: string[] = []
      for (const [name, door] of Object.entries(doors())) {
        let told: Awaited<ReturnType<typeof knock>> | undefined
        for (let tries = 0; tries < mostTries && told === undefined; tries += 20) {
          const answers = await Promise.all(Array.from({ length: 20 }, () => knock(test, '127.0.0.9', door)))
          told = answers.find(({ status }) => status === 429)
          const broken = answers.find(({ status }) => status >= 500 && status !== 503)
          if (broken !== undefined) wrong.push(`${name}: ${broken.status} ${broken.body}`)
        }
        if (told === undefined) wrong.push(`${name}: ${mostTries} tries and no end`)
        else if (!(Number(told.retryAfter) > 0)) wrong.push(`${name}: 429 without a time to come back: ${told.body}`)
        const elsewhere = await knock(test, '127.0.0.10', door)
        if (elsewhere.status === 429) wrong.push(`${name}: somebody else is told to wait, too`)
      }
      expect(wrong).toEqual([])
      // The owner, from elsewhere, with what is right.
      const { signInLink } = await test.identity.createPerson({
        name: 'bruno',
        displayName: 'B',
        siteAdmin: false,
        roles: [],
      })
      const redeem = { ...doors()['redeemCode']!, body: JSON.stringify({ code: signInLink.code }) }
      expect((await knock(test, '127.0.0.11', redeem)).status).toBe(200)
      // Who is in goes on, from the very address of the flood.
      expect((await browser.fetch('/api/identity/me')).status).toBe(200)
      const rows = await test.database.kysely.selectFrom('identity_audit').selectAll().execute()
      expect(rows.length).toBeLessThan(1500)
    },
  )
})
