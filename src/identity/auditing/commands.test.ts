import { Command } from 'commander'
import { chmod, readFile, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createClient } from '../../foundation/client.ts'
import { createOutput, type CommandContext } from '../../foundation/command-line.ts'
import { forEachDatabase, temporaryDirectory } from '../../foundation/testing.ts'
import { fakeClock } from '../../foundation/time.ts'
import { tablesOf } from '../tables.ts'
import { adminBrowser, startIdentity } from '../testing.ts'
import { registerAuditCommands } from './commands.ts'

forEachDatabase('cygnet audit', (open) => {
  test('list, export and verify: by the platform, and of a file on its own', async () => {
    const clock = fakeClock()
    const test = await startIdentity(open, { clock })
    const { path } = await temporaryDirectory()
    const admin = await adminBrowser(test)
    const run = async (...words: string[]): Promise<{ out: string; talk: string }> => {
      let [out, talk] = ['', '']
      const context: CommandContext = {
        client: (contract) =>
          createClient(contract, {
            baseUrl: test.url,
            fetch: ((url: URL, init: RequestInit) => admin.fetch(String(url), init)) as typeof fetch,
          }),
        output: createOutput({
          json: words.includes('--json'),
          stdout: { write: (text: string) => (out += text) },
          stderr: { write: (text: string) => (talk += text) },
        }),
        home: path,
        profile: { name: 'default', platformUrl: test.url },
      }
      const program = new Command('cygnet').exitOverride().option('--json')
      registerAuditCommands(program, context)
      await program.parseAsync(words, { from: 'user' })
      return { out, talk }
    }

    expect((await run('audit', 'list', '--action', 'sign-in')).out).toMatch(
      /TIME\s+WHO\s+WHAT\s+ON.*\n.*admin\s+sign-in/,
    )
    const listed = JSON.parse((await run('audit', 'list', '--limit', '1', '--json')).out) as { nextCursor: string }
    expect(Number(listed.nextCursor)).toBeGreaterThan(1)
    await expect(run('audit', 'list', '--from', 'yesterday')).rejects.toMatchObject({ status: 422 })
    expect((await run('audit', 'verify')).talk).toMatch(/whole: \d+ rows/)

    const file = join(path, 'audit.jsonl')
    await run('audit', 'export', '--out', file, '--until', '2030-01-01')
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    await expect(run('audit', 'export', '--out', file)).rejects.toMatchObject({ code: 'EEXIST' })
    expect((await run('audit', 'verify', '--file', file)).talk).toContain('none is missing in between')
    const some = join(path, 'some.jsonl')
    await run('audit', 'export', '--out', some, '--action', 'sign-in')
    await writeFile(some, `${await readFile(some, 'utf8')}${(await readFile(file, 'utf8')).split('\n').at(-2)!}\n`)
    await writeFile(file, (await readFile(file, 'utf8')).replace('"admin"', '"nobody"'))
    await expect(run('audit', 'verify', '--file', file)).rejects.toMatchObject({ code: 'identity.audit_broken' })
    await writeFile(file, 'no row\n')
    await expect(run('audit', 'verify', '--file', file, '--json')).rejects.toMatchObject({ status: 409 })

    clock.advance(86_400_000)
    await test.identity.sweep()
    const [daily] = await readdir(test.auditFolder)
    const copy = join(path, 'daily.jsonl')
    await writeFile(copy, await readFile(join(test.auditFolder, daily!)))
    await chmod(copy, 0o600)
    expect((await run('audit', 'verify', '--file', copy)).talk).toContain('each as it was written')

    const fresh = await adminBrowser(test)
    admin.cookies.clear()
    for (const [name, value] of fresh.cookies) admin.cookies.set(name, value)
    await tablesOf(test.database).deleteFrom('identity_audit').where('sequence', '=', 2).execute()
    await expect(run('audit', 'verify')).rejects.toMatchObject({ code: 'identity.audit_broken' })
    const accepted = await run('audit', 'verify', '--accept', 'the disk had to be restored')
    expect(accepted.talk).toContain('whole')
    expect(accepted.out).toContain('row 2 is missing')
  })
})
