import { createHmac, generateKeyPairSync, sign as signBytes } from 'node:crypto'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { actions } from '../foundation/contract.ts'
import { Fault } from '../foundation/errors.ts'
import { temporaryDirectory } from '../foundation/testing.ts'
import { fakeClock } from '../foundation/time.ts'
import { verifyAccessTokenWith } from './access-token.ts'
import { decide } from './decide.ts'
import { openSigner } from './signer.ts'
import { subjectOfAccessKey, type IdentitySnapshot } from './snapshot.ts'

const clock = fakeClock()
const nowSeconds = clock.nowMs() / 1000
const audience = 'http://127.0.0.1:8410'
const issuer = `${audience}/oidc`

async function fixture() {
  const { path } = await temporaryDirectory()
  const signer = await openSigner({ secretsDirectory: join(path, 'secrets'), issuer, clock })
  const person = {
    id: 'p1',
    kind: 'person',
    name: 'anna',
    displayName: 'Anna',
    state: 'active',
    epoch: 3,
    siteAdmin: true,
  } as const
  const snapshot: IdentitySnapshot = {
    issuer,
    audience,
    jwks: signer.jwks,
    contentCookieKey: Buffer.alloc(32, 7).toString('base64url'),
    subjects: {
      p1: { ...person, roles: [{ experiment: 'cygno', role: 'exp-admin' }] },
      p2: { ...person, id: 'p2', name: 'bruno', state: 'suspended', roles: [] },
      c1: { ...person, id: 'c1', kind: 'client', siteAdmin: false, roles: [{ experiment: 'cygno', role: 'client' }] },
    },
    accessKeys: {
      CYGC1: {
        secret: 's',
        subjectId: 'c1',
        actor: null,
        expiresAtMs: clock.nowMs() + 3_600_000,
        limits: { actions: ['data.create', 'daq.write'], prefix: 'cygno-raw/', experiment: 'cygno' },
      },
      CYGP1: { secret: 's', subjectId: 'p1', actor: null, expiresAtMs: null, limits: {} },
      CYGS1: {
        secret: 's',
        subjectId: 'p1',
        actor: { kind: 'session', id: 's1' },
        expiresAtMs: null,
        limits: { actions: ['data.read'] },
      },
    },
  }
  const good = {
    aud: audience,
    sub: 'p1',
    client_id: 'cli',
    jti: 'j1',
    scope: 'api',
    epoch: 3,
    'wlcg.ver': '1.0',
    cygnet: { kind: 'person' },
    lifetimeMs: 3_600_000,
  }
  return { signer, snapshot, good, verify: (token: string) => verifyAccessTokenWith(snapshot, token, clock.nowMs()) }
}

type Fixture = Awaited<ReturnType<typeof fixture>>

const encode = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
const decode = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>

/** A token whose signature is right whatever it says: what a bug above the signer, or a stolen key, could make. */
function forge({ snapshot }: Fixture, header: unknown, claims: unknown, key = stolenKey(snapshot)): string {
  const input = `${encode(header)}.${encode(claims)}`
  const signature = signBytes('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' })
  return `${input}.${signature.toString('base64url')}`
}

const stolen = generateKeyPairSync('ec', { namedCurve: 'P-256' })

/** Puts a key into the accepted set, so that the test can sign anything with it. */
function stolenKey({ jwks }: Fixture['snapshot']) {
  const { x, y } = stolen.publicKey.export({ format: 'jwk' })
  if (!jwks.keys.some(({ kid }) => kid === 'stolen')) {
    jwks.keys.push({ kty: 'EC', crv: 'P-256', x: x!, y: y!, kid: 'stolen', alg: 'ES256', use: 'sig' })
  }
  return stolen.privateKey
}

const header = { alg: 'ES256', typ: 'at+jwt', kid: 'stolen' }
const claims = {
  aud: audience,
  iss: issuer,
  sub: 'p1',
  client_id: 'cli',
  jti: 'j1',
  scope: 'api',
  epoch: 3,
  'wlcg.ver': '1.0',
  cygnet: { kind: 'person' },
  iat: nowSeconds,
  nbf: nowSeconds,
  exp: nowSeconds + 3600,
}
const without = (name: keyof typeof claims) =>
  Object.fromEntries(Object.entries(claims).filter(([claim]) => claim !== name))

const badTokens: Record<string, (fixture: Fixture) => string> = {
  'algorithm none': (f) =>
    `${encode({ alg: 'none', typ: 'at+jwt' })}.${f.signer.token(f.good, 'at+jwt').split('.')[1]}.`,
  'algorithm nOnE': (f) =>
    `${encode({ ...header, alg: 'nOnE' })}.${encode(claims)}.${f.signer.token(f.good, 'at+jwt').split('.')[2]}`,
  'HS256 keyed with the public key': (f) => {
    const input = `${encode({ ...header, alg: 'HS256' })}.${encode(claims)}`
    const key = f.signer.publicKey(f.signer.kid).export({ format: 'pem', type: 'spki' })
    return `${input}.${createHmac('sha256', key).update(input).digest('base64url')}`
  },
  'RS256 in the header': (f) => forge(f, { ...header, alg: 'RS256' }, claims),
  'an ID token': (f) => f.signer.token(f.good, 'JWT'),
  'type missing': (f) => forge(f, { alg: 'ES256', kid: 'stolen' }, claims),
  'key id missing': (f) => forge(f, { alg: 'ES256', typ: 'at+jwt' }, claims),
  'key id unknown': (f) => forge(f, { ...header, kid: 'other' }, claims),
  'key id as a path': (f) => forge(f, { ...header, kid: '../../secrets/key' }, claims),
  'key id of 10 kB': (f) => forge(f, { ...header, kid: 'k'.repeat(10_000) }, claims),
  'jku in the header': (f) => forge(f, { ...header, jku: 'https://evil.example/jwks' }, claims),
  'embedded jwk': (f) => forge(f, { ...header, jwk: stolen.publicKey.export({ format: 'jwk' }) }, claims),
  'x5u in the header': (f) => forge(f, { ...header, x5u: 'https://evil.example/cert' }, claims),
  'unknown crit': (f) => forge(f, { ...header, crit: ['x'], x: 1 }, claims),
  'b64 false': (f) => forge(f, { ...header, crit: ['b64'], b64: false }, claims),
  zip: (f) => forge(f, { ...header, zip: 'DEF' }, claims),
  'a header of 1 MB': (f) => forge(f, { ...header, filler: 'x'.repeat(1_000_000) }, claims),
  'other issuer': (f) => forge(f, header, { ...claims, iss: 'https://evil.example' }),
  'issuer with a slash more': (f) => forge(f, header, { ...claims, iss: `${issuer}/` }),
  'issuer in capitals': (f) => forge(f, header, { ...claims, iss: issuer.toUpperCase() }),
  'other audience': (f) => forge(f, header, { ...claims, aud: 'https://s3.example' }),
  'any audience': (f) => forge(f, header, { ...claims, aud: 'https://wlcg.cern.ch/jwt/v1/any' }),
  'our audience among others': (f) => forge(f, header, { ...claims, aud: [audience, 'https://other.example'] }),
  expired: (f) => forge(f, header, { ...claims, exp: nowSeconds }),
  'no end': (f) => forge(f, header, without('exp')),
  'end in ten years': (f) => forge(f, header, { ...claims, exp: nowSeconds + 315_360_000 }),
  'end 1e308': (f) => forge(f, header, JSON.stringify(claims).replace(/"exp":\d+/, '"exp":1e308')),
  'fractional end': (f) => forge(f, header, { ...claims, exp: nowSeconds + 10.5 }),
  'end as text': (f) => forge(f, header, { ...claims, exp: String(nowSeconds + 3600) }),
  'negative end': (f) => forge(f, header, { ...claims, exp: -1 }),
  'not before in an hour': (f) => forge(f, header, { ...claims, nbf: nowSeconds + 3600 }),
  'issued in an hour': (f) => forge(f, header, { ...claims, iat: nowSeconds + 3600, exp: nowSeconds + 7200 }),
  'no time of issue': (f) => forge(f, header, without('iat')),
  'no token id': (f) => forge(f, header, without('jti')),
  'numeric subject': (f) => forge(f, header, { ...claims, sub: 1 }),
  'unknown subject': (f) => forge(f, header, { ...claims, sub: 'nobody' }),
  'subject __proto__': (f) => forge(f, header, { ...claims, sub: '__proto__' }),
  'subject constructor': (f) => forge(f, header, { ...claims, sub: 'constructor' }),
  'suspended person': (f) => forge(f, header, { ...claims, sub: 'p2' }),
  'older epoch': (f) => forge(f, header, { ...claims, epoch: 2 }),
  'no epoch': (f) => forge(f, header, without('epoch')),
  'no scope': (f) => forge(f, header, without('scope')),
  'unknown scope': (f) => forge(f, header, { ...claims, scope: 'api admin' }),
  'scope with two blanks': (f) => forge(f, header, { ...claims, scope: 'data.read  data.create' }),
  'scope as a list': (f) => forge(f, header, { ...claims, scope: ['api'] }),
  'profile version 2.0': (f) => forge(f, header, { ...claims, 'wlcg.ver': '2.0' }),
  'a machine as a person': (f) => forge(f, header, { ...claims, sub: 'c1' }),
  'a machine without its key': (f) => forge(f, header, { ...claims, sub: 'c1', cygnet: { kind: 'client' } }),
  'a person as a machine': (f) => forge(f, header, { ...claims, cygnet: { kind: 'client', accessKeyId: 'CYGP1' } }),
  "somebody else's key": (f) => forge(f, header, { ...claims, cygnet: { kind: 'person', accessKeyId: 'CYGC1' } }),
  'a revoked key': (f) => forge(f, header, { ...claims, cygnet: { kind: 'person', accessKeyId: 'CYGGONE' } }),
  "a session's key as the person's": (f) =>
    forge(f, header, { ...claims, cygnet: { kind: 'person', accessKeyId: 'CYGS1' } }),
  'a session with everything': (f) =>
    forge(f, header, { ...claims, cygnet: { kind: 'session' }, act: { sub: 'session:s1' } }),
  'a session without actor': (f) => forge(f, header, { ...claims, scope: 'data.read', cygnet: { kind: 'session' } }),
  'a session as a job': (f) =>
    forge(f, header, { ...claims, scope: 'data.read', cygnet: { kind: 'session' }, act: { sub: 'job:j1' } }),
  'a person with an actor': (f) => forge(f, header, { ...claims, act: { sub: 'session:s1' } }),
  'an actor of an actor': (f) =>
    forge(f, header, { ...claims, cygnet: { kind: 'session' }, act: { sub: 'session:s1', act: { sub: 'job:j' } } }),
  'unknown kind': (f) => forge(f, header, { ...claims, cygnet: { kind: 'admin' } }),
  'duplicate members': (f) => forge(f, header, JSON.stringify(claims).replace('"sub":"p1"', '"sub":"p2","sub":"p1"')),
  '__proto__ member': (f) => forge(f, header, JSON.stringify(claims).replace('{', '{"__proto__":{"x":1},')),
  'blanks in the JSON': (f) => forge(f, header, JSON.stringify(claims, null, 1)),
  'claims that are a list': (f) => forge(f, header, [claims]),
  'claims that are no JSON': (f) => forge(f, header, 'hello'),
  'trailing newline': (f) => `${f.signer.token(f.good, 'at+jwt')}\n`,
  'trailing blank': (f) => `${f.signer.token(f.good, 'at+jwt')} `,
  padding: (f) => `${f.signer.token(f.good, 'at+jwt')}==`,
  'another spelling of the last character': (f) => {
    const token = f.signer.token(f.good, 'at+jwt')
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    return token.slice(0, -1) + alphabet[alphabet.indexOf(token.at(-1)!) ^ 1]
  },
  'signature stripped': (f) => f.signer.token(f.good, 'at+jwt').split('.').slice(0, 2).join('.') + '.',
  'two parts': (f) => f.signer.token(f.good, 'at+jwt').split('.').slice(0, 2).join('.'),
  'four parts': (f) => `${f.signer.token(f.good, 'at+jwt')}.x`,
  empty: () => '',
  'claims changed after signing': (f) => {
    const [head, body, signature] = f.signer.token(f.good, 'at+jwt').split('.')
    return `${head}.${encode({ ...decode(body!), sub: 'p2' })}.${signature}`
  },
  'signed by a stranger': (f) => {
    const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
    return forge(f, { ...header, kid: f.signer.kid }, claims, stranger)
  },
}

describe('a token that is not wholly right is refused', () => {
  test.each(Object.keys(badTokens))('%s', async (name) => {
    const all = await fixture()
    const token = badTokens[name]!(all)
    const error = await all.verify(token).then(
      () => undefined,
      (caught: unknown) => caught,
    )
    expect(error).toBeInstanceOf(Fault)
    expect((error as Fault).code).toBe('identity.invalid_token')
    expect(JSON.stringify((error as Fault).detail)).not.toContain('signature')
  })

  test('any single changed character', async () => {
    const { signer, good, verify } = await fixture()
    const token = signer.token(good, 'at+jwt')
    await fc.assert(
      fc.asyncProperty(fc.nat(token.length - 1), fc.constantFrom('A', 'b', '0', '_', '.', '=', ' '), async (at, by) => {
        fc.pre(token[at] !== by)
        const changed = token.slice(0, at) + by + token.slice(at + 1)
        await expect(verify(changed)).rejects.toBeInstanceOf(Fault)
      }),
      { numRuns: 200 },
    )
  })
})

describe('a good token', () => {
  test('of a person is the person, with rights of now', async () => {
    const { signer, snapshot, good, verify } = await fixture()
    const token = signer.token(good, 'at+jwt')
    expect((await verify(token)).subject).toMatchObject({ id: 'p1', kind: 'person', siteAdmin: true })
    snapshot.subjects.p1 = { ...snapshot.subjects.p1!, siteAdmin: false, roles: [] }
    expect((await verify(token)).subject).toMatchObject({ siteAdmin: false, roles: [] })
  })

  test('forged with the stolen key would be accepted otherwise: the bad ones fail for their own reason', async () => {
    const all = await fixture()
    expect((await all.verify(forge(all, header, claims))).subject.id).toBe('p1')
    const minor = forge(all, header, { ...claims, 'wlcg.ver': '1.7', future: 'unknown claims are ignored' })
    expect((await all.verify(minor)).subject.id).toBe('p1')
  })

  test('without api scope is limited to its actions, with an empty scope to none', async () => {
    const { signer, good, verify } = await fixture()
    const read = await verify(signer.token({ ...good, scope: 'data.read' }, 'at+jwt'))
    expect(read.subject.limits).toEqual({ actions: ['data.read'] })
    const none = await verify(signer.token({ ...good, scope: '' }, 'at+jwt'))
    expect(
      actions.some((action) => decide(none.subject, action, { experiment: 'cygno', bucket: 'cygno-work' }).allow),
    ).toBe(false)
  })

  test('of a session has no site rights and only its experiment', async () => {
    const { signer, good, verify } = await fixture()
    const cygnet = { kind: 'session', experiment: 'cygno' }
    const token = signer.token({ ...good, scope: 'data.read', cygnet, act: { sub: 'session:s1' } }, 'at+jwt')
    const { subject } = await verify(token)
    expect(subject).toMatchObject({ id: 'p1', kind: 'session', siteAdmin: false, actorId: 's1' })
    expect(decide(subject, 'data.read', { experiment: 'cygno', bucket: 'cygno-raw' }).allow).toBe(true)
    expect(decide(subject, 'data.read', { experiment: 'demo', bucket: 'demo-raw' }).allow).toBe(false)
    expect(decide(subject, 'logbook.read', { experiment: 'cygno' }).allow).toBe(false)
  })

  test('of a machine carries the limits of its key, and dies with it', async () => {
    const { signer, snapshot, good, verify } = await fixture()
    const cygnet = { kind: 'client', accessKeyId: 'CYGC1' }
    const token = signer.token({ ...good, sub: 'c1', scope: 'data.create daq.write', cygnet }, 'at+jwt')
    expect((await verify(token)).subject.limits).toEqual({
      actions: ['data.create', 'daq.write'],
      prefix: 'cygno-raw/',
      experiment: 'cygno',
    })
    delete snapshot.accessKeys.CYGC1
    await expect(verify(token)).rejects.toMatchObject({ code: 'identity.invalid_token' })
  })
})

describe('access keys in the snapshot', () => {
  test('end with their time, their owner and themselves; names of object members are no keys', async () => {
    const { snapshot } = await fixture()
    expect(subjectOfAccessKey(snapshot, 'CYGC1', clock.nowMs())?.subject.id).toBe('c1')
    expect(subjectOfAccessKey(snapshot, 'CYGC1', clock.nowMs() + 3_600_000)).toBeUndefined()
    expect(subjectOfAccessKey(snapshot, 'constructor', clock.nowMs())).toBeUndefined()
    snapshot.subjects.p1 = { ...snapshot.subjects.p1!, state: 'suspended' }
    expect(subjectOfAccessKey(snapshot, 'CYGP1', clock.nowMs())).toBeUndefined()
    expect(subjectOfAccessKey(snapshot, 'CYGS1', clock.nowMs())).toBeUndefined()
  })

  test('never manage anything, not even those of a site admin', async () => {
    const { snapshot } = await fixture()
    const { subject } = subjectOfAccessKey(snapshot, 'CYGP1', clock.nowMs())!
    for (const action of ['site.admin', 'people.manage', 'credentials.create', 'experiment.admin'] as const) {
      expect(decide(subject, action, { experiment: 'cygno' }).allow).toBe(false)
    }
    expect(decide(subject, 'data.read', { experiment: 'cygno', bucket: 'cygno-raw' }).allow).toBe(true)
  })
})

describe('the signer', () => {
  test('refuses another issuer, an overlong life and no end', async () => {
    const { signer, good } = await fixture()
    expect(() => signer.token({ ...good, lifetimeMs: 13 * 3_600_000 }, 'at+jwt')).toThrow('the signer refuses')
    const head = encode({ alg: 'ES256', typ: 'at+jwt', kid: signer.kid })
    for (const body of [{ ...claims, iss: 'https://evil.example' }, without('exp'), { ...claims, exp: 1e12 }]) {
      expect(() => signer.sign(Buffer.from(`${head}.${encode(body)}`))).toThrow('the signer refuses')
    }
    expect(() => signer.sign(Buffer.from('hello'))).toThrow('the signer refuses')
  })

  test('has one key for good, in a file nobody else may read', async () => {
    const { path } = await temporaryDirectory()
    const { chmod, stat } = await import('node:fs/promises')
    const options = { secretsDirectory: join(path, 'secrets'), issuer, clock }
    const first = await openSigner(options)
    expect((await openSigner(options)).kid).toBe(first.kid)
    const file = join(path, 'secrets', 'signing-keys.json')
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    expect((await stat(join(path, 'secrets'))).mode & 0o777).toBe(0o700)
    expect(JSON.stringify(first.jwks)).not.toContain('"d"')
    await chmod(file, 0o644)
    await expect(openSigner(options)).rejects.toMatchObject({ code: 'identity.insecure_secrets' })
  })
})
