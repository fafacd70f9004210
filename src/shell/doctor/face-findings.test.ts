import { execFileSync } from 'node:child_process'
import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryDirectory } from '../../foundation/testing.ts'
import { addressesOf } from '../addresses.ts'
import { httpSettings } from '../http-settings.ts'
import { faceFindings } from './face-findings.ts'

const dayMs = 86_400_000

async function pair(days = 100, names = 'DNS:localhost,IP:127.0.0.1') {
  const { path } = await temporaryDirectory()
  const [key, certificate] = [join(path, 'key.pem'), join(path, 'cert.pem')]
  const subject = ['-subj', '/CN=localhost', '-addext', `subjectAltName=${names}`, '-days', String(days)]
  execFileSync(
    'openssl',
    ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', certificate, ...subject],
    {
      stdio: 'ignore',
    },
  )
  await chmod(key, 0o600)
  return { key, certificate }
}

async function lookAt(tls: { key: string; certificate: string }, nowMs = Date.now(), more: object = {}) {
  const http = httpSettings.parse({ tls, ...more })
  return await faceFindings(http, addressesOf(http), nowMs)
}

test('a certificate that fits is good; one that ends soon, has ended, or is not yet valid is said so', async () => {
  const tls = await pair()
  expect((await lookAt(tls)).map(({ verdict }) => verdict)).toEqual(['good'])
  expect(await lookAt(tls, Date.now() + 95 * dayMs)).toMatchObject([{ verdict: 'warning', hint: /renew/ }])
  expect(await lookAt(tls, Date.now() + 101 * dayMs)).toMatchObject([{ verdict: 'bad', hint: /without a restart/ }])
  expect(await lookAt(tls, Date.now() - 10 * dayMs)).toMatchObject([{ verdict: 'bad', hint: /clock/ }])
})

test('a key of another certificate, a key open to others, a file that is no certificate', async () => {
  const [one, other] = [await pair(), await pair()]
  await chmod(other.key, 0o644)
  const mixed = await lookAt({ certificate: one.certificate, key: other.key })
  expect(mixed.filter(({ verdict }) => verdict === 'bad').map(({ hint }) => hint)).toEqual([
    expect.stringMatching(/renewed together/),
    expect.stringMatching(/chmod 640/),
  ])
  await writeFile(one.certificate, 'no certificate')
  expect((await lookAt(one)).find(({ verdict }) => verdict === 'bad')!.hint).toMatch(/PEM/)
})

test('names that no certificate is for, and names that have no address', async () => {
  const findings = await lookAt(await pair(), Date.now(), {
    publicUrl: 'https://cygnet.invalid',
    contentUrl: 'https://*.user.invalid',
    s3Url: 'https://localhost:8411',
  })
  const bad = findings.filter(({ verdict }) => verdict === 'bad').map(({ detail }) => detail)
  expect(bad).toEqual(['none is for cygnet.invalid', 'none is for *.user.invalid'])
  expect(findings.filter(({ what }) => what === 'name').map(({ hint }) => hint)).toEqual([
    expect.stringMatching(/Ask for a record/),
    expect.stringMatching(/wildcard/),
  ])
})
