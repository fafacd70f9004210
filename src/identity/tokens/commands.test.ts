import { Command } from 'commander'
import { readFile, stat } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text as readAll } from 'node:stream/consumers'
import { expect, onTestFinished, test } from 'vitest'
import { createClient } from '../../foundation/client.ts'
import { createOutput, type CommandContext } from '../../foundation/command-line.ts'
import { forEachDatabase, temporaryDirectory } from '../../foundation/testing.ts'
import { registerIdentityCommands, signInFile } from '../commands.ts'
import { adminBrowser, personBrowser, startIdentity, type TestIdentity } from '../testing.ts'
import { registerEnrolment } from './commands.ts'

async function shell(t: TestIdentity, code: string) {
  const { path } = await temporaryDirectory()
  const configDirectory = join(path, 'config')
  const file = signInFile('default', configDirectory)
  // Where tools look for STS: what a gateway does with such a request.
  const sts = createServer(async (request, response) => {
    const parameters = Object.fromEntries(new URLSearchParams(await readAll(request)))
    const { status, body } = await t.identity.assumeRole({ parameters, address: '127.0.0.1', requestId: 'r' })
    response.writeHead(status, { 'content-type': 'text/xml' }).end(body)
  })
  await new Promise<void>((listening) => sts.listen(0, '127.0.0.1', listening))
  onTestFinished(() => void sts.close())
  const s3Url = `http://127.0.0.1:${(sts.address() as AddressInfo).port}`
  let talk = ''
  async function run(...words: string[]): Promise<string> {
    let out = ''
    const streams = {
      stdout: { write: (text: string) => (out += text) },
      stderr: { write: (text: string) => (talk += text) },
    }
    const context: CommandContext = {
      client: (contract) => createClient(contract, { baseUrl: t.url, headers: () => file.headers() }),
      output: createOutput({ json: words.includes('--json'), ...streams }),
      home: path,
      profile: { name: 'default', platformUrl: t.url, s3Url },
    }
    const program = new Command('cygnet').exitOverride()
    registerIdentityCommands(program, context, configDirectory)
    registerEnrolment(program, context)
    await program.parseAsync(words, { from: 'user' })
    return out
  }
  await run('login', '--code', code)
  return { run, path, said: () => talk }
}

forEachDatabase('commands of tokens', (open) => {
  test('a token for a scope, temporary keys for AWS tools, personal tokens', async () => {
    const t = await startIdentity(open)
    await personBrowser(t, 'bruno', [{ experiment: 'cygno', role: 'member' }])
    const { signInLink } = await t.identity.createPerson({
      name: 'anna',
      displayName: 'Anna',
      siteAdmin: false,
      roles: [{ experiment: 'cygno', role: 'member' }],
    })
    const { run } = await shell(t, signInLink.code)
    const token = (await run('token', '--experiment', 'cygno', '--scope', 'storage.read:/work')).trim()
    expect(token.split('.')).toHaveLength(3)
    await expect(run('token', '--experiment', 'cygno', '--scope', 'storage.create:/raw')).rejects.toMatchObject({
      code: 'identity.not_allowed',
    })
    const key = JSON.parse(
      await run('credentials', 'process', '--experiment', 'cygno', '--scope', 'storage.read:/work'),
    ) as Record<string, unknown>
    expect(key).toMatchObject({
      Version: 1,
      AccessKeyId: expect.stringMatching(/^ASIA/),
      Expiration: expect.stringMatching(/Z$/),
    })
    expect(t.identity.snapshotPart().accessKeys[String(key['AccessKeyId'])]).toMatchObject({
      limits: { experiment: 'cygno', capabilities: [{ action: 'data.read', place: 'cygno-work/**' }] },
    })
    const personal = (await run('tokens', 'create', 'plots', '--may', 'logbook.read', '--days', '2')).trim()
    expect(personal).toMatch(/^cyp_/)
    const [listed] = (JSON.parse(await run('tokens', 'list', '--json')) as { items: { id: string; label: string }[] })
      .items
    expect(listed!.label).toBe('plots')
    await run('tokens', 'revoke', listed!.id)
    await expect(t.withToken(personal).me()).rejects.toMatchObject({ code: 'identity.invalid_token' })
  })

  test('a machine enrols itself, with a private key that only its owner may read, and gets keys for S3', async () => {
    const t = await startIdentity(open)
    const anna = await personBrowser(t, 'anna', [{ experiment: 'cygno', role: 'exp-admin' }])
    const { run, path, said } = await shell(t, (await t.identity.createAdminLink()).code)
    const out = join(path, 'daq.json')
    const enrolling = run('daq', 'enrol', '--experiment', 'cygno', '--name', 'daq-lngs', '--out', out)
    const userCode = await expect
      .poll(() => /code ([A-Z]{4}-[A-Z]{4})/.exec(said())?.[1] ?? '', { timeout: 5000 })
      .not.toBe('')
      .then(() => /code ([A-Z]{4}-[A-Z]{4})/.exec(said())![1]!)
    await anna.browser.api.decideEnrolment({ params: { userCode }, body: { decision: 'approve' } })
    await enrolling
    expect((await stat(out)).mode & 0o777).toBe(0o400)
    expect(await readFile(out, 'utf8')).toContain('"d"')
    await expect(run('daq', 'enrol', '--experiment', 'cygno', '--name', 'other', '--out', out)).rejects.toMatchObject({
      code: 'identity.name_taken',
    })
    const token = (await run('token', '--machine', out)).trim()
    expect(await t.withToken(token).me()).toMatchObject({ kind: 'client', name: 'cygno/daq-lngs' })
    const file = JSON.parse(await readFile(out, 'utf8')) as Record<string, unknown>
    expect(file).toMatchObject({ scope: 'storage.create:/raw daq.write', s3Url: null })
    const key = JSON.parse(await run('credentials', 'process', '--machine', out)) as { AccessKeyId: string }
    expect(t.identity.snapshotPart().accessKeys[key.AccessKeyId]!.limits.capabilities).toContainEqual({
      action: 'data.create',
      place: 'cygno-raw/**',
    })
  })

  test('signing keys: listed, rotated, removed, by the site admin only', async () => {
    const t = await startIdentity(open)
    const { run } = await shell(t, (await t.identity.createAdminLink()).code)
    expect(JSON.parse(await run('keys', 'rotate', '--json'))).toMatchObject({
      items: [{ state: 'signing' }, { state: 'waiting' }],
    })
    const { items } = JSON.parse(await run('keys', 'list', '--json')) as { items: { kid: string }[] }
    const admin = await adminBrowser(t)
    await admin.api.removeSigningKey({ params: { kid: items[0]!.kid } })
    // Every token by that key is dead at once; this very one too.
    await expect(run('keys', 'list')).rejects.toMatchObject({ status: 401 })
    expect((await admin.api.listSigningKeys()).items.map(({ kid }) => kid)).not.toContain(items[0]!.kid)
    const keys = (await (await fetch(`${t.url}/oidc/jwks`)).json()) as { keys: unknown[] }
    expect(keys.keys).toHaveLength(2)
  })
})
