import { expect, test } from 'vitest'
import { openDatabase } from '../../foundation/database.ts'
import { fakeClock } from '../../foundation/time.ts'
import { identitySnapshotSchema } from '../snapshot.ts'
import { adminBrowser } from '../testing.ts'
import { refused, startWithInstitute } from './testing.ts'

const open = () => openDatabase({ url: 'sqlite::memory:' })
const hour = 3_600_000

test('T47, mode C: keys of a trusted issuer are published while it is enabled and answers', async () => {
  const clock = fakeClock(Date.now())
  const at = await startWithInstitute(open, { clock })
  const params = { issuer: at.institute }
  const published = () => identitySnapshotSchema.parse(at.test.identity.snapshotPart()).trustedIssuers ?? []
  expect(published()).toEqual([])
  const trust = {
    experiment: 'demo',
    prefix: 'demo-work/fts',
    scopes: ['storage.read' as const],
    audiences: ['https://s3.example'],
    maxLifetimeMs: 6 * hour,
    tokenTypes: ['at+jwt' as const],
  }
  await at.admin.api.changeIssuer({ params, body: { trust } })
  expect(published()).toMatchObject([{ issuer: at.issuer.url, ...trust, keys: [{ kty: 'EC', crv: 'P-256' }] }])
  const [first] = published()[0]!.keys
  expect(Object.keys(first!), 'nothing secret').toEqual(['kty', 'kid', 'alg', 'crv', 'x', 'y'])

  // A key that is changed there is known here within six hours, and not asked for all the time.
  at.issuer.rotateKey()
  const asked = at.issuer.asked.get('/jwks')
  clock.advance(5 * hour)
  await at.test.identity.askInstitutes()
  expect(at.issuer.asked.get('/jwks')).toBe(asked)
  clock.advance(2 * hour)
  await at.test.identity.askInstitutes()
  expect(published()[0]!.keys[0]!.kid).not.toBe(first!.kid)

  // Not heard of for two days: nothing is accepted any more.
  at.issuer.mischief = { answer: (_path, response) => !!response.writeHead(503).end() }
  clock.advance(47 * hour)
  await at.test.identity.askInstitutes()
  expect(published()).toHaveLength(1)
  clock.advance(hour)
  await at.test.identity.sweep()
  expect(published()).toEqual([])
  at.issuer.mischief = {}
  clock.advance(hour)
  await at.test.identity.askInstitutes()
  expect(published()).toHaveLength(1)

  const admin = await adminBrowser(at.test)
  await admin.api.setIssuerState({ params, body: { state: 'disabled' } })
  expect(published()).toEqual([])
  await admin.api.setIssuerState({ params, body: { state: 'enabled' } })
  expect(published()).toHaveLength(1)
  await admin.api.changeIssuer({ params, body: { trust: null } })
  expect(published()).toEqual([])
  for (const wrong of [{ prefix: '../x' }, { prefix: '' }, { audiences: [] }, { scopes: [] }, { maxLifetimeMs: 1e12 }])
    expect(await refused(admin.api.changeIssuer({ params, body: { trust: { ...trust, ...wrong } } }))).toBe(
      'foundation.invalid_input',
    )
})
