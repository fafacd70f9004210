/** Who may change something by a cookie: only a page of our own origin, whatever else a browser says (T5, T16, B-49). */
import { describe, expect, test } from 'vitest'
import { forEachDatabase } from '../foundation/testing.ts'
import { sessionCookieName } from './cookie-names.ts'
import { startIdentity } from './testing.ts'

const sites = [
  'same-origin',
  'same-site',
  'cross-site',
  'none',
  'Same-Origin',
  'same-origin, cross-site',
  '',
  undefined,
]
const modes = ['navigate', 'cors', 'no-cors', undefined]
const types = ['application/json', 'text/plain', 'application/x-www-form-urlencoded']
const methods = ['POST', 'DELETE']

/** Spelt so that a comparison of beginnings, ends or parts would take them for ours. */
function otherOrigins(ours: string): string[] {
  const { host, hostname, port } = new URL(ours)
  return [
    `${ours}.evil.test`,
    `http://evil.test/${ours}`,
    `http://evil.test?${ours}`,
    `http://${host}@evil.test`,
    `http://${hostname}.evil.test:${port}`,
    `http://evil${host}`,
    `http://${hostname}`,
    `http://${hostname}:${port}0`,
    `http://${hostname}:${Number(port) - 1}`,
    `https://${host}`,
    `http://localhost:${port}`,
    `${ours}/`,
    ours.toUpperCase(),
    'null',
    '',
    'file://',
  ]
}

describe('cross-site', () => {
  forEachDatabase('a change by cookie', (open) => {
    test('the whole matrix: only same-origin passes', async () => {
      const test = await startIdentity(open)
      const browser = test.browser()
      await browser.signIn((await test.identity.createAdminLink()).code)
      const name = sessionCookieName(test.url)
      const cookie = `${name}=${browser.cookies.get(name)}`
      const change = async (method: string, headers: Record<string, string | undefined>) => {
        const sent = Object.fromEntries(
          Object.entries({ cookie, ...headers }).filter(([, value]) => value !== undefined),
        )
        const answer = await fetch(`${test.url}/api/identity/access-keys${method === 'POST' ? '' : '/none'}`, {
          method,
          headers: sent as Record<string, string>,
          body: '{"label":"x"}',
        })
        await answer.body?.cancel()
        return answer.status
      }
      let tried = 0
      for (const site of sites)
        for (const mode of modes)
          for (const type of types)
            for (const method of methods) {
              // A route that is not there is refused or not found, and changes nothing either way.
              const status = await change(method, {
                'sec-fetch-site': site,
                'sec-fetch-mode': mode,
                'content-type': type,
              })
              const isOurs = site === 'same-origin' && method === 'POST' && type === 'application/json'
              if (isOurs) expect(status, `${mode}`).toBe(200)
              // Some bodies are refused before anybody asks whose they are; what matters is that nothing is done.
              else if (site !== 'same-origin')
                expect([400, 403, 404, 415], `${site} ${mode} ${type} ${method}`).toContain(status)
              if (site !== 'same-origin' && type === 'application/json' && method === 'POST') expect(status).toBe(403)
              tried++
            }
      expect(tried).toBe(sites.length * modes.length * types.length * methods.length)
      const made = await browser.api.listAccessKeys({ query: { limit: 200 } } as never)
      expect((made as { items: unknown[] }).items).toHaveLength(modes.length)

      for (const origin of otherOrigins(test.url))
        expect(await change('POST', { origin, 'content-type': 'application/json' }), origin).toBe(403)
      expect(await change('POST', { origin: test.url, 'content-type': 'application/json' })).toBe(200)
      // Both must agree where both are there.
      const foreign = {
        'sec-fetch-site': 'same-origin',
        origin: 'http://evil.test',
        'content-type': 'application/json',
      }
      expect(await change('POST', foreign)).toBe(403)
    })

    /** B-46: what JSON parsers trip over. */
    test('bodies that are no JSON of ours are told so, never a fault of the platform', async () => {
      const test = await startIdentity(open)
      const bodies: [string, string | Uint8Array<ArrayBuffer>][] = [
        ['invalid UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d])],
        ['a depth of 10 000', `${'['.repeat(10_000)}${']'.repeat(10_000)}`],
        ['100 000 keys', `{${Array.from({ length: 100_000 }, (_, key) => `"k${key}":1`).join(',')}}`],
        ['1e400', '{"code":1e400}'],
        ['__proto__', '{"__proto__":{"siteAdmin":true},"code":"x"}'],
        ['constructor', '{"constructor":{"prototype":{"siteAdmin":true}},"code":"x"}'],
        ['a name twice', '{"code":"x","code":{"a":1}}'],
        ['a byte order mark', '\ufeff{"code":"x"}'],
        ['nothing', ''],
        ['half', '{"code":'],
        ['NaN', 'NaN'],
        ['a string of 1 MB', JSON.stringify({ code: 'x'.repeat(1_000_000) })],
        ['5 MB', JSON.stringify({ code: 'x'.repeat(5_000_000) })],
      ]
      for (const [what, body] of bodies) {
        const answer = await fetch(`${test.url}/api/identity/token`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body,
        })
        const problem = (await answer.json()) as { code: string }
        expect([400, 401, 410, 413, 422], `${what}: ${problem.code}`).toContain(answer.status)
      }
      expect(({} as { siteAdmin?: boolean }).siteAdmin).toBeUndefined()
    })
  })
})
