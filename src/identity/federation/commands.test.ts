import { Command } from 'commander'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { expect, test } from 'vitest'
import { createOutput, type CommandContext } from '../../foundation/command-line.ts'
import { openDatabase } from '../../foundation/database.ts'
import { temporaryDirectory } from '../../foundation/testing.ts'
import { registerFederationCommands } from './commands.ts'
import { callbackPath } from './contract.ts'
import { startTestIssuer } from './test-issuer.ts'
import { refused, signInAt, startWithInstitute } from './testing.ts'

const open = () => openDatabase({ url: 'sqlite::memory:' })

test('issuers and import rules from the command line', async () => {
  const at = await startWithInstitute(open, { person: { 'wlcg.groups': ['/in'] } })
  const { path } = await temporaryDirectory()
  const run = async (words: string[], input = '') => {
    let out = ''
    const stdout = { write: (text: string) => (out += text) }
    const stderr = { write: (text: string) => (words.includes('--json') ? '' : (out += text)) }
    const context = {
      client: () => at.admin.api,
      output: createOutput({ json: words.includes('--json'), stdout, stderr }),
    } as unknown as CommandContext
    const program = new Command('cygnet').exitOverride()
    registerFederationCommands(program, context, Readable.from([input]))
    await program.parseAsync(words, { from: 'user' })
    return out
  }
  const second = await startTestIssuer({ redirectUri: `${at.test.publicUrl}${callbackPath}` })
  const secretFile = join(path, 'secret')
  await writeFile(secretFile, 'out of a file\n')
  const add = ['issuers', 'add', second.url, '--label', 'Second', '--client-id', 'cygnet', '--recheck', '30']
  const added = await run([...add, '--secret-file', secretFile])
  expect(added).toContain('ok    Its name is exactly this address.')
  expect(added).toContain('Second is on the sign-in page now')
  expect(added).not.toContain('out of a file')
  expect(await run(['issuers', 'disable', 'Second'])).toContain('Second is disabled.')
  const list = JSON.parse(await run(['issuers', 'list', '--json'])) as { items: Record<string, unknown>[] }
  expect(list.items).toMatchObject([
    { label: 'Institute of Tests', state: 'enabled', hasSecret: true },
    { label: 'Second', state: 'disabled', hasSecret: true, recheckMinutes: 30 },
  ])
  expect(await run(['issuers', 'list'])).toContain(callbackPath)
  expect(await run(['issuers', 'enable', second.url])).toContain('Second is enabled.')
  expect(await refused(run(['issuers', 'enable', 'Fourth']))).toBe('identity.no_such_issuer')

  await run(['issuers', 'change', 'Second', '--vouches', 'students', '--secret-file', '-'], 'another secret')
  const where = ['--experiment', 'demo', '--prefix', 'demo-work/fts', '--audience', 'https://s3.example']
  expect(await run(['issuers', 'trust', 'Second', ...where])).toContain('accepted below demo-work/fts')
  expect(at.test.identity.snapshotPart().trustedIssuers).toMatchObject([
    { issuer: second.url, scopes: ['storage.read'], tokenTypes: ['at+jwt'], maxLifetimeMs: 6 * 3_600_000 },
  ])
  const third = await startTestIssuer({ redirectUri: '' })
  await run(['issuers', 'trust', third.url, '--label', 'Third', ...where, '--scope', 'storage.create', '--old-types'])
  expect((await at.admin.api.listIssuers()).items).toMatchObject([
    { label: 'Institute of Tests' },
    { label: 'Second', vouches: 'students', trust: { experiment: 'demo' } },
    { label: 'Third', clientId: null, trust: { scopes: ['storage.create'], tokenTypes: ['at+jwt', 'JWT'] } },
  ])
  expect((await at.test.browser().api.listInstitutes()).items.map(({ label }) => label)).not.toContain('Third')

  const rule = ['Institute of Tests', '--value', 'in', '--group', '/demo', '--role', 'member', '--days', '30']
  await run(['import-rules', 'add', ...rule])
  const anna = at.test.browser()
  await signInAt(anna, at)
  await anna.api.continueInstituteLogin({ body: { name: 'anna', displayName: 'Anna Bianchi' } })
  const preview = await run(['import-rules', 'preview', ...rule.with(6, 'operator')])
  expect(preview).toContain('Would get it: 1')
  expect(preview).toContain('anna (Anna Bianchi, there')
  expect(preview).toContain('Values seen: /in (1)')
  const rules = JSON.parse(await run(['import-rules', 'list', '--json'])) as { items: { id: string }[] }
  expect(rules.items).toMatchObject([{ claim: 'wlcg.groups', value: 'in', group: '/demo', role: 'member', holders: 1 }])
  expect(await run(['import-rules', 'list'])).toContain('30 days after the last sign-in')
  expect(await run(['import-rules', 'remove', rules.items[0]!.id])).toContain('1 people lost')
  expect(await refused(run(['import-rules', 'add', ...rule.with(6, 'king')]))).toBe('identity.invalid_rule')
})
