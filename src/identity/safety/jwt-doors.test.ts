/**
 * Every door that takes a signed token, with the same wrong ones: algorithm `none` in its spellings (B-1; CVE-2024-48916),
 * the public key as a shared secret (B-2; CVE-2026-33322), other spellings of a right one (B-3), keys named by whoever
 * attacks (B-4, B-5). T49: none of the doors that give something for a token checks less than the others.
 */
import { createHmac, createPublicKey, randomInt, type JsonWebKey } from 'node:crypto'
import { expect, test } from 'vitest'
import { forEachDatabase } from '../../foundation/testing.ts'
import { personBrowser, startIdentity, type TestIdentity } from '../testing.ts'

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

/** By what is wrong with them; the claims are those of the right one. */
function wrongOnes(test: TestIdentity, right: string): Record<string, string> {
  const [head = '', claims = '', signature = ''] = right.split('.')
  const header = JSON.parse(Buffer.from(head, 'base64url').toString()) as Record<string, unknown>
  const withHeader = (changes: Record<string, unknown>, end = signature) =>
    `${encode({ ...header, ...changes })}.${claims}.${end}`
  const byPublicKey = (format: 'pem' | 'der') => {
    const jwk = test.identity.snapshotPart().jwks.keys[0] as JsonWebKey
    const key = createPublicKey({ key: jwk, format: 'jwk' }).export({ format, type: 'spki' } as {
      format: 'pem'
      type: 'spki'
    })
    const input = `${encode({ ...header, alg: 'HS256' })}.${claims}`
    return `${input}.${createHmac('sha256', key).update(input).digest('base64url')}`
  }
  const others = [...'AEIMQUYcgkosw048'].filter((letter) => letter !== signature.at(-1))
  return {
    'none, no signature': withHeader({ alg: 'none' }, ''),
    'nOnE, no signature': withHeader({ alg: 'nOnE' }, ''),
    'none with a signature': withHeader({ alg: 'none' }),
    'no signature': `${head}.${claims}.`,
    'no third part': `${head}.${claims}`,
    'HS256 with the public key as PEM': byPublicKey('pem'),
    'HS256 with the public key as DER': byPublicKey('der'),
    'RS256 in the header': withHeader({ alg: 'RS256' }),
    'another last letter': `${right.slice(0, -1)}${others[0]}`,
    'a letter more': `${right}A`,
    padding: `${right}==`,
    'a blank at the end': `${right} `,
    'a line more': `${right}\n`,
    'no key id': withHeader({ kid: undefined }),
    'a key id that is a path': withHeader({ kid: '../../secrets/signing-keys.json' }),
    'keys from elsewhere': withHeader({ jku: 'http://127.0.0.1:1/keys' }),
    'a key of its own': withHeader({ jwk: test.identity.snapshotPart().jwks.keys[0] }),
    'an ID token': withHeader({ typ: 'JWT' }),
    'a header of 1 MB': withHeader({ filler: 'x'.repeat(1_000_000) }),
    empty: '',
    'three dots': '...',
  }
}

interface Opened {
  isOpen: boolean
  status: number
  body: string
}

const doors: Record<string, (test: TestIdentity, token: string) => Promise<Opened>> = {
  'the API': async ({ url }, token) => {
    // HTTP takes blanks around a header's value away: what arrives would be the right one.
    if (token !== token.trim()) return { isOpen: false, status: 400, body: '' }
    const answer = await fetch(`${url}/api/identity/me`, { headers: { authorization: `Bearer ${token}` } })
    return { isOpen: answer.ok, status: answer.status, body: await answer.text() }
  },
  'token exchange': async ({ url }, token) =>
    await form(`${url}/e/cygno/oidc/token`, {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: token,
      subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      scope: 'storage.read:/work',
    }),
  'client assertion': async ({ url }, token) =>
    await form(`${url}/e/cygno/oidc/token`, {
      grant_type: 'client_credentials',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: token,
      scope: 'storage.read:/work',
    }),
  'logout by an institute': async ({ url }, token) =>
    await form(`${url}/api/identity/federation/logout`, { logout_token: token }),
  STS: async ({ identity }, token) => {
    const parameters = { Action: 'AssumeRoleWithWebIdentity', Version: '2011-06-15', WebIdentityToken: token }
    // Each from an address of its own: the limits are not what is asked about.
    const answer = await identity.assumeRole({ parameters, address: `192.0.2.${randomInt(250)}`, requestId: 'r' })
    return { isOpen: answer.accessKeyId !== undefined, status: answer.status, body: answer.body }
  },
}
async function form(url: string, fields: Record<string, string>): Promise<Opened> {
  const answer = await fetch(url, { method: 'POST', body: new URLSearchParams(fields) })
  return { isOpen: answer.ok, status: answer.status, body: await answer.text() }
}

forEachDatabase('doors that take a token', (open, kind) => {
  test.runIf(kind === 'sqlite' || process.env.CYGNET_LONG)(
    'all refuse the same wrong ones, and tell nobody',
    async () => {
      const test = await startIdentity(open)
      const { browser } = await personBrowser(test, 'anna', [{ experiment: 'cygno', role: 'member' }])
      const { accessKeyId, secretAccessKey } = await browser.api.createAccessKey({ body: {} })
      const { accessToken: right } = await test.withToken().token({ body: { accessKeyId, secretAccessKey } })
      const signature = right.split('.')[2]!
      for (const door of ['the API', 'token exchange', 'STS'])
        expect(await doors[door]!(test, right), door).toMatchObject({ isOpen: true })
      test.logLines.length = 0
      const wrong: string[] = []
      for (const [door, knock] of Object.entries(doors)) {
        for (const [what, token] of Object.entries(wrongOnes(test, right))) {
          const { isOpen, status, body } = await knock(test, token)
          if (isOpen || status < 400 || status >= 500) wrong.push(`${door}, ${what}: ${status} ${body.slice(0, 200)}`)
          if (body.includes(signature)) wrong.push(`${door}, ${what}: it is said again`)
        }
        // What is right for another door is nothing for these.
        if (door === 'client assertion' || door === 'logout by an institute')
          expect((await knock(test, right)).isOpen, door).toBe(false)
      }
      expect(wrong).toEqual([])
      const log = test.logLines.join('')
      expect(log).not.toContain(signature)
      const rows = JSON.stringify(await test.database.kysely.selectFrom('identity_audit').selectAll().execute())
      expect(rows).not.toContain(signature)
    },
  )
})
