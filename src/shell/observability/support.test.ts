/** The support bundle holds what helps and none of the secrets, however they got into the logs. */
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryDirectory } from '../../foundation/testing.ts'
import { homeAt } from '../home.ts'
import { writeSupportBundle } from './support.ts'

test('everything is there, and no secret in any of its spellings', async () => {
  const { path } = await temporaryDirectory()
  const home = homeAt(join(path, 'home'))
  for (const folder of [home.secrets, home.run, home.logs, join(home.data, 'demo-raw')])
    await mkdir(folder, { recursive: true })
  const key = randomBytes(32)
  const accessSecret = randomBytes(30).toString('base64')
  const token = `eyJhbGciOiJFUzI1NiJ9.${Buffer.from('{"sub":"ada"}').toString('base64url')}.${randomBytes(64).toString('base64url')}`
  await writeFile(join(home.secrets, 'storage-mac-key'), key)
  await writeFile(join(home.data, 'demo-raw', 'run00001.mid'), 'private data')
  await writeFile(
    home.snapshot,
    JSON.stringify({
      identity: { accessKeys: { CYG1: { secret: accessSecret } }, contentCookieKey: key.toString('base64url') },
    }),
  )
  await writeFile(join(home.run, 'release.json'), '{"current":"0.2.0-x"}')
  const code = randomBytes(16).toString('base64url')
  await writeFile(
    join(home.logs, 'control.log'),
    [
      '{"level":"error","msg":"a request failed","requestId":"r-1"}',
      `spelled ${key.toString('hex')} ${key.toString('base64')} ${key.toString('base64url')} ${accessSecret}`,
      `authorization: Bearer ${token}`,
      `https://cygnet/#code=${code} postgres://cygnet:hunter2-long@db/cygnet`,
    ].join('\n'),
  )
  const out = join(path, 'support.tar.gz')
  const { files } = await writeSupportBundle({
    home,
    findings: [{ what: 'disk', verdict: 'good', detail: `with ${accessSecret}`, hint: '' }],
    status: { version: '1' },
    settings: 'http: {}\n',
    out,
  })
  expect(files.toSorted()).toEqual([
    'about.json',
    'findings.json',
    'home.txt',
    'logs/control.log',
    'run/release.json',
    'settings.yaml',
    'status.json',
  ])
  const text = execFileSync('tar', ['-xzOf', out], { encoding: 'utf8' })
  expect(text).toMatch(/"requestId":"r-1"/)
  expect(text).toMatch(/0\.2\.0-x/)
  for (const secret of [
    ...['hex', 'base64', 'base64url'].map((form) => key.toString(form as 'hex')),
    accessSecret,
    token,
    code,
    'hunter2',
    'private data',
  ])
    expect(text).not.toContain(secret)
  expect(await readdir(path)).toEqual(['home', 'support.tar.gz'])
  expect((await stat(out)).isFile()).toBe(true)
})
