import { Command } from 'commander'
import { expect, test } from 'vitest'
import { createClient } from '../../foundation/client.ts'
import { createOutput, type CommandContext } from '../../foundation/command-line.ts'
import { forEachDatabase } from '../../foundation/testing.ts'
import { adminBrowser, personBrowser, startIdentity, type Browser, type TestIdentity } from '../testing.ts'
import { registerDecisionCommands } from './commands.ts'

function shell(test: TestIdentity, browser: Browser) {
  return async (...words: string[]): Promise<string> => {
    let said = ''
    const say = { write: (text: string) => (said += text) }
    const context: CommandContext = {
      client: (contract) =>
        createClient(contract, {
          baseUrl: test.url,
          fetch: ((url, init) => browser.fetch(String(url), init)) as typeof fetch,
        }),
      output: createOutput({ json: words.includes('--json'), stdout: say, stderr: say }),
      home: '/nowhere',
      profile: { name: 'default', platformUrl: test.url, s3Url: test.url },
    }
    const program = new Command('cygnet').exitOverride()
    registerDecisionCommands(program, context)
    await program.parseAsync(['identity', ...words], { from: 'user' })
    return said
  }
}

forEachDatabase('cygnet identity', (open, kind) => {
  // What is said does not depend on the database.
  test.runIf(kind === 'sqlite')('why, who-can and break-glass', async () => {
    const test = await startIdentity(open)
    const admin = shell(test, await adminBrowser(test))
    const hugo = await personBrowser(test, 'hugo', [{ experiment: 'cygno', role: 'exp-admin' }])
    const anna = await personBrowser(test, 'anna', [{ experiment: 'cygno', role: 'member' }])
    const [head, member] = [shell(test, hugo.browser), shell(test, anna.browser)]
    const place = ['-e', 'cygno', '--place', 'cygno-raw/x']
    expect(await member('why', 'data.modify', ...place)).toMatch(
      /^anna may not data.modify in cygno: member of cygno does not give data.modify on raw data.\n[^]*member +\/cygno/,
    )
    expect(await head('why', 'data.modify', ...place, '--person', 'hugo')).toContain('hugo may data.modify in cygno')
    expect(JSON.parse(await head('why', 'data.read', ...place, '--person', 'anna', '--json'))).toMatchObject({
      allow: true,
    })
    await expect(member('why', 'data.read', '-e', 'cygno', '--person', 'hugo')).rejects.toMatchObject({ status: 403 })
    await expect(member('why', 'data.fly')).rejects.toThrow("There is no action 'data.fly'.")
    expect(await head('who-can', 'data.modify', ...place)).toMatch(/hugo[^]*exp-admin of cygno/)
    expect(await head('who-can', 'data.modify', ...place)).not.toContain('anna')

    const reason = ['--reason', 'run 12 cannot be opened']
    await expect(admin('break-glass', 'take', '-e', 'cygno', ...reason, '--minutes', '90')).rejects.toThrow('an hour')
    const taken = await admin('break-glass', 'take', '-e', 'cygno', ...reason, '--minutes', '5')
    expect(taken).toContain('You may read in cygno until')
    const id = /break-glass end (\S+)/.exec(taken)![1]!
    expect(await head('break-glass', 'list', '-e', 'cygno')).toMatch(/run 12 cannot be opened[^]*yes/)
    await expect(member('break-glass', 'end', id)).rejects.toMatchObject({ status: 403 })
    expect(await head('break-glass', 'end', id)).toBe('admin no longer reads in cygno.\n')
    expect(JSON.parse(await admin('break-glass', 'list', '--json'))).toMatchObject({ items: [{ id, isOpen: false }] })
  })
})
