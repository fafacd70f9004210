/** STS with access tokens of another issuer that the site admin trusts. */
import { generateKeyPairSync, sign as signBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { forEachDatabase } from '../../foundation/testing.ts'
import { tablesOf } from '../tables.ts'
import { personBrowser, startIdentity } from '../testing.ts'

const encode = (value: unknown) => Buffer.from(JSON.stringify(value, null, 1)).toString('base64url')

forEachDatabase('a trusted issuer', (open) => {
  test('speaks for people who are linked, within what is accepted from it, and for nobody else', async () => {
    const t = await startIdentity(open)
    const { id } = await personBrowser(t, 'anna', [{ experiment: 'cygno', role: 'member' }])
    const issuer = 'https://iam.example.org/'
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const row = { id: 'i1', person_id: id, issuer, subject: 'sub-1', label: 'Anna', assurance: '' }
    await tablesOf(t.database)
      .insertInto('identity_identity')
      .values({ ...row, created_at_ms: 1, last_used_at_ms: 1 })
      .execute()
    const now = Math.floor(Date.now() / 1000)
    const claims = {
      iss: issuer,
      sub: 'sub-1',
      aud: ['https://s3.example'],
      iat: now,
      exp: now + 3600,
      'wlcg.ver': '1.0',
    }
    const token = (more: object = {}, header: object = {}) => {
      const input = `${encode({ alg: 'RS256', kid: 'rsa1', typ: 'JWT', ...header })}.${encode({ ...claims, ...more })}`
      return `${input}.${signBytes('sha256', Buffer.from(input), privateKey).toString('base64url')}`
    }
    let calls = 0
    const assume = async (given: string) => {
      // What the followed table of issuers publishes; each answer may have read it anew.
      t.identity.snapshotPart().trustedIssuers = [
        {
          issuer,
          experiment: 'cygno',
          prefix: 'cygno-work/grid',
          scopes: ['storage.read', 'storage.create'],
          audiences: ['https://s3.example'],
          maxLifetimeMs: 6 * 3_600_000,
          tokenTypes: ['JWT'],
          keys: [{ ...publicKey.export({ format: 'jwk' }), kty: 'RSA', kid: 'rsa1' }],
        },
      ]
      const parameters = { Action: 'AssumeRoleWithWebIdentity', WebIdentityToken: given }
      const answer = await t.identity.assumeRole({ parameters, address: `192.0.2.${calls++}`, requestId: 'r' })
      const key = answer.accessKeyId
      return key === undefined
        ? /<Code>(\w+)</.exec(answer.body)?.[1]
        : t.identity.snapshotPart().accessKeys[key]?.limits.capabilities
    }
    expect(await assume(token({ scope: 'openid storage.read:/a storage.modify:/a' }))).toEqual([
      { action: 'data.read', place: 'cygno-work/grid/a/**' },
    ])
    // Groups only: who it is; then what is accepted from there at most.
    expect(await assume(token({ 'wlcg.groups': ['/cygno'] }))).toEqual([
      { action: 'data.read', place: 'cygno-work/grid/**' },
      { action: 'data.create', place: 'cygno-work/grid/**' },
    ])
    const refused: [string, string][] = [
      [token({ sub: 'stranger' }), 'AccessDenied'],
      [token({ aud: 'https://other.example' }), 'InvalidIdentityToken'],
      [token({ exp: now - 1 }), 'ExpiredToken'],
      [token({ exp: now + 86_400 }), 'InvalidIdentityToken'],
      [token({ nonce: 'n' }), 'IDPRejectedClaim'],
      [token({ scope: 'storage.read' }), 'InvalidIdentityToken'],
      [token({ 'wlcg.ver': '2.0' }), 'InvalidIdentityToken'],
      [token({}, { typ: 'at+jwt' }), 'InvalidIdentityToken'],
      [token({}, { kid: 'other' }), 'InvalidIdentityToken'],
      [token({}, { jku: 'https://evil.example' }), 'InvalidIdentityToken'],
      [token({ iss: 'https://iam.example.org' }), 'InvalidIdentityToken'],
    ]
    for (const [given, code] of refused)
      expect([given.slice(0, 20), await assume(given)]).toEqual([given.slice(0, 20), code])
  })
})
