/** The same bad tokens at every door that takes one: the API, exchange, STS. What is right but for one thing is refused. */
import { createHmac, generateKeyPairSync, sign as signBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { forEachDatabase } from '../../foundation/testing.ts'
import { personBrowser, startIdentity } from '../testing.ts'

const encode = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

forEachDatabase('a token that is not wholly right', (open) => {
  test('B-1 to B-16 opens no door', async () => {
    const t = await startIdentity(open)
    const { id } = await personBrowser(t, 'anna', [{ experiment: 'cygno', role: 'member' }])
    const snapshot = t.identity.snapshotPart()
    // With a key that is accepted, everything else can be wrong one by one.
    const stolen = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const { x, y } = stolen.publicKey.export({ format: 'jwk' })
    // The published state may be read anew between two requests.
    const plant = () => {
      const { keys } = t.identity.snapshotPart().jwks
      if (!keys.some(({ kid }) => kid === 'stolen'))
        keys.push({ kty: 'EC', crv: 'P-256', x: x!, y: y!, kid: 'stolen', alg: 'ES256', use: 'sig' })
    }
    const now = Math.floor(Date.now() / 1000)
    const header = { alg: 'ES256', typ: 'at+jwt', kid: 'stolen' }
    const claims = {
      iss: `${t.url}/e/cygno`,
      aud: t.url,
      sub: id,
      client_id: 'cli',
      jti: 'j',
      iat: now,
      nbf: now - 60,
      exp: now + 3600,
      scope: 'storage.read:/work',
      epoch: snapshot.subjects[id]!.epoch,
      'wlcg.ver': '1.0',
      cygnet: { kind: 'person' },
    }
    const made = (head: unknown, body: unknown, key = stolen.privateKey) => {
      const input = `${encode(head)}.${encode(body)}`
      return `${input}.${signBytes('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`
    }
    const good = made(header, claims)
    const hmac = `${encode({ ...header, alg: 'HS256' })}.${encode(claims)}`
    const secret = stolen.publicKey.export({ format: 'pem', type: 'spki' })
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    const act = { sub: 'client:a', act: { sub: 'client:b', act: { sub: 'client:c', act: { sub: 'client:d' } } } }
    const bad: Record<string, string> = {
      'B-1 none': `${encode({ ...header, alg: 'none' })}.${encode(claims)}.`,
      'B-1 nOnE': made({ ...header, alg: 'nOnE' }, claims),
      'B-2 HS256': `${hmac}.${createHmac('sha256', secret).update(hmac).digest('base64url')}`,
      'B-3 padding': `${good}==`,
      'B-3 last character': good.slice(0, -1) + alphabet[alphabet.indexOf(good.at(-1)!) ^ 1],
      'B-4 no kid': made({ alg: 'ES256', typ: 'at+jwt' }, claims),
      'B-4 kid is a path': made({ ...header, kid: '../../x' }, claims),
      'B-4 kid of 10 kB': made({ ...header, kid: 'k'.repeat(10_000) }, claims),
      'B-5 jku': made({ ...header, jku: 'https://evil.example' }, claims),
      'B-5 jwk': made({ ...header, jwk: { kty: 'EC', crv: 'P-256', x, y } }, claims),
      'B-6 ten years': made(header, { ...claims, exp: now + 315_360_000 }),
      'B-6 1e308': made(header, JSON.stringify(claims).replace(/"exp":\d+/, '"exp":1e308')),
      'B-6 text': made(header, { ...claims, exp: String(now + 60) }),
      'B-6 fraction': made(header, { ...claims, exp: now + 60.5 }),
      'B-6 none': made(header, { ...claims, exp: undefined }),
      'B-6 over': made(header, { ...claims, exp: now - 1 }),
      'B-7 nbf': made(header, { ...claims, nbf: now + 3600 }),
      'B-7 iat': made(header, { ...claims, iat: now + 3600, exp: now + 7200 }),
      'B-8 ID token': made({ ...header, typ: 'JWT' }, claims),
      'B-9 other service': made(header, { ...claims, aud: 'https://other.example' }),
      'B-9 any service': made(header, { ...claims, aud: 'https://wlcg.cern.ch/jwt/v1/any' }),
      'B-9 several services': made(header, { ...claims, aud: [t.url, 'https://other.example'] }),
      'B-10 slash': made(header, { ...claims, iss: `${t.url}/e/cygno/` }),
      'B-10 case': made(header, { ...claims, iss: `${t.url}/e/CYGNO` }),
      'B-10 port': made(header, { ...claims, iss: 'http://127.0.0.1:1/e/cygno' }),
      'B-10 below': made(header, { ...claims, iss: `${t.url}/e/cygno/x` }),
      'B-11 twice': made(header, JSON.stringify(claims).replace('"jti":"j"', '"jti":"i","jti":"j"')),
      'B-11 __proto__': made(header, JSON.stringify(claims).replace('{', '{"__proto__":{},')),
      'B-11 numeric sub': made(header, { ...claims, sub: 1 }),
      'B-11 1 MB': made({ ...header, filler: 'x'.repeat(1_000_000) }, claims),
      'B-12 no path': made(header, { ...claims, scope: 'storage.read' }),
      'B-12 relative': made(header, { ...claims, scope: 'storage.read:work' }),
      'B-12 dots': made(header, { ...claims, scope: 'storage.read:/a/../b' }),
      'B-12 escaped dots': made(header, { ...claims, scope: 'storage.read:/%2e%2e/b' }),
      'B-12 double slash': made(header, { ...claims, scope: 'storage.read://b' }),
      'B-14 version 2': made(header, { ...claims, 'wlcg.ver': '2.0' }),
      'B-16 older epoch': made(header, { ...claims, epoch: claims.epoch - 1 }),
      'B-24 four actors': made(header, { ...claims, act }),
      'unknown actor': made(header, { ...claims, act: { sub: 'admin:x' } }),
      'a session as its person': made(header, { ...claims, act: { sub: 'session:s' } }),
      'as another kind': made(header, { ...claims, cygnet: { kind: 'client' } }),
      'no scope': made(header, { ...claims, scope: undefined }),
      'of another key': made(header, claims, generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey),
      'no token': 'hello',
    }
    const doors = async (token: string, address: string) => {
      plant()
      const api = await fetch(`${t.url}/api/identity/me`, {
        headers: { authorization: `Bearer ${token.slice(0, 12_000)}` },
      })
      plant()
      const exchange = await fetch(`${t.url}/e/cygno/oidc/token`, {
        method: 'POST',
        body: new URLSearchParams({
          grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
          subject_token: token.slice(0, 12_000),
          subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
          scope: 'storage.read:/work',
        }),
      })
      plant()
      const parameters = { Action: 'AssumeRoleWithWebIdentity', WebIdentityToken: token }
      const sts = await t.identity.assumeRole({ parameters, address, requestId: 'r' })
      return { api: api.status, exchange: exchange.status, sts: /<Code>(\w+)</.exec(sts.body)?.[1] ?? sts.status }
    }
    for (const [index, [name, token]] of Object.entries(bad).entries()) {
      const answer = await doors(token, `10.0.0.${index}`)
      expect([name, answer.api, answer.exchange]).toEqual([name, 401, 400])
      expect([name, answer.sts]).toEqual([
        name,
        name === 'B-6 over'
          ? 'ExpiredToken'
          : name === 'B-8 ID token'
            ? 'IDPRejectedClaim'
            : name.startsWith('B-16')
              ? 'AccessDenied'
              : 'InvalidIdentityToken',
      ])
    }
    // The one without a fault is taken everywhere; minor versions of the profile too.
    const minor = made(header, { ...claims, 'wlcg.ver': '1.7' })
    expect(await doors(minor, '10.0.1.1')).toEqual({ api: 200, exchange: 200, sts: 200 })
  })
})
