import { Command } from 'commander'
import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createClient } from '../../foundation/client.ts'
import { createOutput, type CommandContext } from '../../foundation/command-line.ts'
import { forEachDatabase, temporaryDirectory } from '../../foundation/testing.ts'
import { personBrowser } from '../testing.ts'
import { endOf, registerGroupCommands } from './commands.ts'
import { startGroups, type TestGroups } from './testing.ts'

async function shell({ url, head }: TestGroups, folder: string) {
  const [cookie] = [...head.browser.cookies].map(([name, value]) => `${name}=${value}`)
  const editor = join(folder, 'editor')
  await writeFile(editor, '#!/bin/sh\nsed -i "s/guestAllowed: true/guestAllowed: false/" "$1"\n')
  await chmod(editor, 0o755)
  return async (...words: string[]): Promise<{ out: string; talk: string }> => {
    const said = { out: '', talk: '' }
    const headers = { cookie: cookie!, 'sec-fetch-site': 'same-origin' }
    const context: CommandContext = {
      client: (contract) => createClient(contract, { baseUrl: url, headers }),
      output: createOutput({
        json: words.includes('--json'),
        stdout: { write: (text) => (said.out += text) },
        stderr: { write: (text) => (said.talk += text) },
      }),
      home: folder,
      profile: { name: 'default', platformUrl: url, s3Url: url },
    }
    const program = new Command('cygnet').exitOverride()
    registerGroupCommands(program, context, editor)
    await program.parseAsync(words, { from: 'user' })
    return said
  }
}

forEachDatabase('commands of groups', (open) => {
  test('a group, its people, and its policy through a file', async () => {
    const started = await startGroups(open)
    const { path } = await temporaryDirectory()
    const run = await shell(started, path)
    await personBrowser(started, 'anna', [])
    const group = '/cygno/analysis/tracks'
    await run('groups', 'create', group, '--title', 'Tracks')
    const added = JSON.parse((await run('groups', 'add', group, 'anna', '--until', '30d', '--json')).out)
    expect(added.items).toMatchObject([{ name: 'anna', role: 'member' }])
    expect((await run('groups', 'show', group)).out).toContain('anna')
    expect(JSON.parse((await run('groups', 'list', 'cygno', '--json')).out).items).toHaveLength(4)

    const document = JSON.parse((await run('policy', 'show', group, '--json')).out)
    document.policy.grants.member = ['logbook.read']
    const file = join(path, 'policy.json')
    await writeFile(file, JSON.stringify(document))
    const preview = JSON.parse((await run('policy', 'preview', file, '--json')).out)
    expect(preview.changes.map(({ name }: { name: string }) => name)).toEqual(['anna'])
    expect((await run('policy', 'preview', file)).talk).toContain('  - sessions.start')
    const applied = JSON.parse((await run('policy', 'apply', file, '--note', 'less', '--json')).out)
    expect(applied.applied).toEqual({ version: 2 })
    await expect(run('policy', 'apply', file)).rejects.toMatchObject({ code: 'identity.policy_changed' })
    await run('policy', 'undo', group)
    await run('policy', 'edit', group, '--yes', '--note', 'no guests')
    const history = JSON.parse((await run('policy', 'history', group, '--json')).out)
    expect(history.items.map(({ note }: { note: string }) => note)).toEqual([
      'no guests',
      'as in version 1',
      'less',
      'as it began',
    ])
    expect(history.items[0].differences).toEqual(['Guests are not let in'])
    const older = JSON.parse((await run('policy', 'show', group, '--at', '2', '--json')).out)
    expect(older.policy).toEqual(document.policy)
    await writeFile(file, 'group: [')
    await expect(run('policy', 'apply', file)).rejects.toMatchObject({ code: 'identity.invalid_policy' })
    await writeFile(file, 'policy: {}')
    await expect(run('policy', 'preview', file)).rejects.toMatchObject({ code: 'identity.invalid_policy' })
    await run('groups', 'remove', group, 'anna')
    await run('groups', 'archive', group)
    expect((await run('groups', 'list', 'cygno', '--archived')).out).toContain('archived')
    await run('groups', 'archive', group, '--undo')
  })
})

test('an end is a day, to its end, or a count of days', () => {
  expect(endOf('2027-06-30', 0)).toBe(Date.UTC(2027, 5, 30, 23, 59, 59))
  expect(endOf('90d', 5)).toBe(90 * 86_400_000 + 5)
  for (const wrong of ['tomorrow', '2027-13-01', '', '30.6.2027']) expect(() => endOf(wrong, 0)).toThrow('is no day')
})
