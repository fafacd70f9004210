/** The rotation drill, by a clock of ours: publish, wait, switch, retire; restarts and kills between the steps. */
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryDirectory } from '../../foundation/testing.ts'
import { fakeClock, type FakeClock } from '../../foundation/time.ts'
import { openSigner, type PublicKey, type Signer } from '../signer.ts'
import { keptAfterUseMs, publishedBeforeUseMs, signsForMs } from './signing-keys.ts'
import { readJwt } from './strict-jwt.ts'

const hour = 3_600_000
const issuer = 'https://cygnet.example/oidc'

async function drill(): Promise<{ clock: FakeClock; file: string; open: () => Promise<Signer> }> {
  const { path } = await temporaryDirectory()
  const clock = fakeClock()
  const secretsDirectory = join(path, 'secrets')
  return {
    clock,
    file: join(secretsDirectory, 'signing-keys.json'),
    open: () => openSigner({ secretsDirectory, issuer, clock }),
  }
}

const sign = (signer: Signer) => signer.token({ sub: 'x', lifetimeMs: hour }, 'at+jwt')

/** As a verifier elsewhere does it, which only has the keys that it fetched at some time. */
const accepts = async (keys: readonly PublicKey[], token: string): Promise<boolean> =>
  await readJwt(token, {
    types: ['at+jwt'],
    algorithms: ['ES256'],
    keyOf: (kid) => keys.find((key) => key.kid === kid),
  }).then(
    () => true,
    () => false,
  )

test('a key is published two days before it signs, and until two days and six hours after; verifiers with old keys keep working', async () => {
  const { clock, open } = await drill()
  let signer = await open()
  const first = signer.kid
  await signer.keys.rotate()
  await signer.keys.rotate()
  expect(signer.jwks.keys).toHaveLength(2)
  expect(signer.kid).toBe(first)
  const fetched = signer.jwks.keys
  signer = await open()
  clock.advance(publishedBeforeUseMs - 1)
  expect(signer.kid).toBe(first)
  const last = sign(signer)
  clock.advance(1)
  expect(signer.kid).not.toBe(first)
  const next = sign(signer)
  // Fetched two days ago: knows both.
  expect([await accepts(fetched, last), await accepts(fetched, next)]).toEqual([true, true])
  expect([await accepts(signer.jwks.keys, last), await accepts(signer.jwks.keys, next)]).toEqual([true, true])
  clock.advance(keptAfterUseMs - 1)
  await signer.keys.tend()
  expect(signer.jwks.keys).toHaveLength(2)
  clock.advance(1)
  expect(await signer.keys.tend()).toBe(true)
  expect(signer.jwks.keys.map(({ kid }) => kid)).toEqual([signer.kid])
  expect((await open()).kid).toBe(signer.kid)
})

test('keys change by themselves after half a year, however often the platform was off meanwhile', async () => {
  const { clock, open } = await drill()
  const first = (await open()).kid
  clock.advance(signsForMs - publishedBeforeUseMs - 1)
  expect((await open()).jwks.keys).toHaveLength(1)
  clock.advance(1)
  const signer = await open()
  expect(signer.jwks.keys).toHaveLength(2)
  expect(signer.kid).toBe(first)
  clock.advance(publishedBeforeUseMs)
  expect((await open()).kid).not.toBe(first)
  // A platform that slept through it all still publishes before it signs.
  clock.advance(5 * signsForMs)
  const late = await open()
  expect(late.jwks.keys).toHaveLength(2)
  expect(await accepts(late.jwks.keys.slice(0, 1), sign(late))).toBe(true)
})

test('an emergency takes a key away at once: what it signed is dead, and another signs', async () => {
  const { open, file } = await drill()
  const signer = await open()
  const stolen = sign(signer)
  const waiting = (await signer.keys.rotate(), signer.jwks.keys.at(-1)!.kid)
  const kid = signer.kid
  expect(await signer.keys.remove('nothing')).toBe(false)
  expect(await signer.keys.remove(kid)).toBe(true)
  expect(await accepts(signer.jwks.keys, stolen)).toBe(false)
  expect(await accepts(signer.jwks.keys, sign(signer))).toBe(true)
  expect([kid, waiting]).not.toContain(signer.kid)
  expect(signer.jwks.keys.at(-1)!.kid).toBe(waiting)
  expect(await readFile(file, 'utf8')).not.toContain(kid)
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  expect((await open()).kid).toBe(signer.kid)
})

test('a signer killed between two steps goes on where the file is; a file of before keys changed is taken over', async () => {
  const { clock, open, file } = await drill()
  const signer = await open()
  const before = await readFile(file, 'utf8')
  await signer.keys.rotate()
  const after = await readFile(file, 'utf8')
  // Killed before the step was durable: it is done again, with another key.
  await writeFile(file, before, { mode: 0o600 })
  const again = await open()
  expect(again.jwks.keys).toHaveLength(1)
  // Killed after it: nothing is done twice.
  await writeFile(file, after, { mode: 0o600 })
  clock.advance(publishedBeforeUseMs)
  const later = await open()
  expect(later.jwks.keys.map(({ kid }) => kid)).toEqual(signer.jwks.keys.map(({ kid }) => kid))
  const old = JSON.parse(before) as { keys: { signsFromMs?: number }[] }
  for (const key of old.keys) delete key.signsFromMs
  await writeFile(file, JSON.stringify(old), { mode: 0o600 })
  expect((await open()).kid).toBe(again.kid)
})

test('a token that was begun before the switch is still signed, a later one by the old key is not', async () => {
  const { clock, open } = await drill()
  const signer = await open()
  const { kid } = signer
  await signer.keys.rotate()
  clock.advance(publishedBeforeUseMs)
  const now = clock.nowMs() / 1000
  const input = [
    { alg: 'ES256', typ: 'JWT', kid },
    { iss: issuer, exp: now + 60 },
  ]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.')
  expect(signer.sign(Buffer.from(input))).toHaveLength(64)
  clock.advance(2 * 60_000)
  expect(() => signer.sign(Buffer.from(input))).toThrow('the signer refuses')
})
