import { Command } from 'commander'
import { stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createClient } from '../foundation/client.ts'
import { createOutput, type CommandContext } from '../foundation/command-line.ts'
import { forEachDatabase, temporaryDirectory } from '../foundation/testing.ts'
import { registerIdentityCommands, signInFile } from './commands.ts'
import { adminBrowser, startIdentity, type TestIdentity } from './testing.ts'

async function shell(test: TestIdentity) {
  const { path } = await temporaryDirectory()
  const configDirectory = join(path, 'config')
  const file = signInFile('default', configDirectory)
  let everything = ''
  async function run(...words: string[]): Promise<{ out: string; talk: string }> {
    let out = ''
    let talk = ''
    const stdout = { write: (text: string) => (out += text) }
    const stderr = {
      write(text: string) {
        talk += text
        everything += text
      },
    }
    const context: CommandContext = {
      client: (contract) => createClient(contract, { baseUrl: test.url, headers: () => file.headers() }),
      output: createOutput({ json: words.includes('--json'), stdout, stderr }),
      home: path,
      profile: { name: 'default', platformUrl: test.url, s3Url: 'http://127.0.0.1:8411' },
    }
    const program = new Command('cygnet').exitOverride()
    registerIdentityCommands(program, context, configDirectory)
    await program.parseAsync(words, { from: 'user' })
    return { out, talk }
  }
  return { run, file, said: () => everything }
}

forEachDatabase('commands', (open) => {
  test('login with the link, whoami, logout', async () => {
    const test = await startIdentity(open)
    const { run, file } = await shell(test)
    const { url, code } = await test.identity.createAdminLink()
    const login = await run('login', '--code', url, '--json')
    expect(JSON.parse(login.out)).toMatchObject({ name: 'admin', platformUrl: test.url })
    expect(login.out + login.talk).not.toContain(code)
    expect((await stat(file.path)).mode & 0o777).toBe(0o600)
    expect((await stat(join(file.path, '..'))).mode & 0o777).toBe(0o700)
    expect(JSON.parse((await run('whoami', '--json')).out)).toMatchObject({ name: 'admin', signedInBy: 'access-token' })
    expect((await run('whoami')).talk).toContain('site admin')
    const { refreshToken } = (await file.read())!
    expect(JSON.parse((await run('logout', '--json')).out)).toEqual({ signedOut: true, revoked: true })
    expect(await file.read()).toBeUndefined()
    const body = new URLSearchParams({ grant_type: 'refresh_token', client_id: 'cli', refresh_token: refreshToken! })
    expect((await fetch(`${test.url}/oidc/token`, { method: 'POST', body })).status).toBe(400)
    await expect(run('whoami')).rejects.toMatchObject({ status: 401 })
    expect((await run('logout')).talk).toContain('not signed in')
  })

  test('login through the browser', async () => {
    const test = await startIdentity(open)
    const { run, file, said } = await shell(test)
    const admin = await adminBrowser(test)
    const login = run('login', '--server', test.url)
    await expect.poll(() => said(), { timeout: 10_000 }).toMatch(/confirm the code/)
    const userCode = /confirm the code ([A-Z]{4}-[A-Z]{4})/.exec(said())![1]!
    expect(test.logLines.join('')).not.toContain(userCode)
    await admin.api.decideDevice({ params: { userCode }, body: { decision: 'approve' } })
    const { talk } = await login
    expect(talk).toContain(`${test.url}/device?user_code=`)
    expect(talk).toContain(userCode)
    expect((await file.read())!.personName).toBe('admin')
  })

  test('a token about to end is renewed, once, however many commands ask', async () => {
    const test = await startIdentity(open)
    const { run, file } = await shell(test)
    await run('login', '--code', (await test.identity.createAdminLink()).code)
    const old = (await file.read())!
    await file.write({ ...old, expiresAtMs: Date.now() })
    const answers = await Promise.all([1, 2, 3, 4].map(() => run('whoami', '--json')))
    expect(answers.map(({ out }) => (JSON.parse(out) as { name: string }).name)).toEqual([
      'admin',
      'admin',
      'admin',
      'admin',
    ])
    const renewed = (await file.read())!
    expect(renewed.refreshToken).not.toBe(old.refreshToken)
    expect(renewed.expiresAtMs).toBeGreaterThan(Date.now() + 3_000_000)
    await file.write({ ...renewed, expiresAtMs: Date.now(), refreshToken: 'gone' })
    await expect(run('whoami')).rejects.toMatchObject({ code: 'identity.sign_in_needed', status: 401 })
  })

  test('credentials of mine and of machines', async () => {
    const test = await startIdentity(open)
    const { run } = await shell(test)
    await run('login', '--code', (await test.identity.createAdminLink()).code)
    const mine = await run('credentials', 'create', '--mine', '--label', 'laptop')
    expect(mine.out).toMatch(/^ACCESSKEYID +SECRETACCESSKEY\nCYG[A-Z2-7]{17} +[\w-]{40}\n$/)
    expect(mine.talk).toContain('aws configure set endpoint_url http://127.0.0.1:8411 --profile cygnet')
    expect(mine.talk).toContain('rclone config create cygnet s3')
    const daq = JSON.parse(
      (await run('credentials', 'create', '--client', 'daq', '--experiment', 'demo', '--json')).out,
    ) as { accessKeyId: string; limits: object }
    expect(daq.limits).toEqual({ actions: ['data.create', 'daq.write'], prefix: 'demo-raw/', experiment: 'demo' })
    const second = JSON.parse(
      (await run('credentials', 'create', '--client', 'daq', '--experiment', 'demo', '--json')).out,
    ) as { limits: object }
    expect(second.limits).toEqual(daq.limits)
    const listed = JSON.parse(
      (await run('credentials', 'list', '--client', 'daq', '--experiment', 'demo', '--json')).out,
    ) as { items: unknown[] }
    expect(listed).toMatchObject({ items: [{}, {}], nextCursor: null })
    await run('credentials', 'revoke', daq.accessKeyId)
    expect(test.identity.snapshotPart().accessKeys[daq.accessKeyId]).toBeUndefined()
    expect((await run('credentials', 'list')).out).toContain('laptop')
    await expect(run('credentials', 'create', '--client', 'daq')).rejects.toMatchObject({
      hint: 'Say which one: --experiment NAME.',
    })
    await expect(run('credentials', 'list', '--client', 'none', '--experiment', 'demo')).rejects.toMatchObject({
      status: 404,
    })
  })

  test('secrets go nowhere in clear: plain http to another machine is refused', async () => {
    const test = await startIdentity(open)
    const { run } = await shell(test)
    for (const server of ['http://cygnet.example', 'ftp://127.0.0.1', 'nonsense', 'http://127.0.0.1.evil.example']) {
      await expect(run('login', '--server', server, '--code', 'x')).rejects.toMatchObject({
        code: 'identity.insecure_server',
      })
    }
    await expect(run('login', '--server', 'http://127.0.0.1:9')).rejects.toMatchObject({ code: 'identity.unreachable' })
  })

  test('a broken sign-in file says so', async () => {
    const test = await startIdentity(open)
    const { run, file } = await shell(test)
    await run('login', '--code', (await test.identity.createAdminLink()).code)
    await writeFile(file.path, '{"half":')
    await expect(run('whoami')).rejects.toMatchObject({ code: 'foundation.invalid_file' })
  })
})
