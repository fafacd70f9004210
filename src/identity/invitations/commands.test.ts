import { Command } from 'commander'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createClient } from '../../foundation/client.ts'
import { createOutput, type CommandContext } from '../../foundation/command-line.ts'
import { forEachDatabase, temporaryDirectory } from '../../foundation/testing.ts'
import { registerInvitationCommands } from './commands.ts'
import { startInvitations } from './testing.ts'

forEachDatabase('commands of invitations', (open) => {
  test('invite, list, renew, revoke; a class; requests; the end of an account; rules; mail', async () => {
    const ports = { createExperiment: async () => {} }
    const started = await startInvitations(open, { ports, startMs: Date.now() })
    const { path } = await temporaryDirectory()
    const { code } = await started.identity.createAdminLink()
    const { accessToken } = await started.withToken().token({ body: { code } })
    const headers = { authorization: `Bearer ${accessToken}` }
    const run = async (...words: string[]): Promise<{ out: string; talk: string }> => {
      let out = ''
      let talk = ''
      const stdout = { write: (text: string) => (out += text) }
      const stderr = { write: (text: string) => (talk += text) }
      const context: CommandContext = {
        client: (contract) => createClient(contract, { baseUrl: started.url, headers }),
        output: createOutput({ json: words.includes('--json'), stdout, stderr }),
        home: path,
        profile: { name: 'default', platformUrl: started.url, s3Url: 'http://127.0.0.1:8411' },
      }
      const program = new Command('cygnet').exitOverride()
      registerInvitationCommands(program, context)
      await program.parseAsync(words, { from: 'user' })
      return { out, talk }
    }
    const json = async <Answer>(...words: string[]): Promise<Answer> =>
      JSON.parse((await run(...words, '--json')).out) as Answer
    const made = await run('invite', 'anna@uni.example', '-e', 'cygno', '--group', '/cygno/students', '--until', '90d')
    expect(made.out).toContain('/join#code=')
    expect(made.talk).toContain('It works once')
    await expect(run('invite', '-e', 'cygno', '--until', 'soon')).rejects.toThrow('is no end')
    await expect(run('invite', '-e', 'cygno', '--role', 'king')).rejects.toThrow('no role')
    const { items } = await json<{ items: { id: string; mail: string }[] }>('invitations', 'list', 'cygno')
    expect(items).toMatchObject([{ mail: 'waiting', addressedTo: 'anna@uni.example' }])
    const renewed = await json<{ url: string }>('invitations', 'renew', items[0]!.id)
    const anna = await started.accept(renewed.url, 'Anna Rossi')
    const other = await json<{ id: string }>('invite', '-e', 'cygno')
    expect((await run('invitations', 'revoke', other.id)).talk).toContain('no more')

    const course = ['-e', 'cygno', '--group', '/cygno/students', '--seats', '3', '--until', '60d']
    const link = await json<{ id: string; url: string }>('class', 'create', ...course)
    await started.accept(link.url, 'Bea Bianchi')
    expect((await run('class', 'show', link.id)).out).toContain('bbianchi')
    expect(await json('class', 'end', link.id)).toEqual({ ended: 1 })

    expect((await run('people', 'guests')).out).toContain('arossi')
    expect((await run('people', 'end', 'arossi')).talk).toContain('14 more days')
    expect((await run('people', 'renew', 'arossi', '--until', '30d')).talk).toContain('arossi is active')
    await started.admin.api.suspendPerson({ params: { person: anna.id } })
    expect((await run('people', 'archive', 'arossi')).talk).toContain('archived')
    await expect(run('people', 'erase', anna.id)).rejects.toThrow('cannot be undone')
    expect((await run('people', 'erase', anna.id, '--yes')).talk).toContain('Former member')

    const body = {
      title: 'Muons',
      people: 3,
      storageBytes: 1e12,
      endsAtMs: started.clock.nowMs() + 1e10,
      applicant: 'Ida Noether',
      email: 'ida@uni.example',
    }
    for (const name of ['muon', 'tau']) await started.browser().api.requestExperiment({ body: { ...body, name } })
    const asked = await json<{ items: { id: string; name: string }[] }>('requests', 'list')
    expect(asked.items.map(({ name }) => name)).toEqual(['tau', 'muon'])
    const approved = await json<{ url: string }>('requests', 'approve', asked.items[1]!.id, '--storage-tb', '2')
    expect(approved.url).toContain('/join#code=')
    expect((await run('requests', 'reject', asked.items[0]!.id, 'It fits into muon.')).talk).toContain(
      'tau is rejected',
    )

    expect((await run('terms', 'show')).out).toContain('Your account is yours alone')
    await writeFile(join(path, 'rules.txt'), 'Be kind.\n')
    expect(await json('terms', 'publish', join(path, 'rules.txt'))).toEqual({ version: 1 })
    const mails = await run('mail', 'list', '--state', 'waiting')
    expect(mails.out).toContain('request-rejected')
    expect(mails.out + mails.talk).not.toContain('#code=')
    expect(mails.talk).toContain('No mail server is set')
    await expect(run('mail', 'retry', 'none')).rejects.toMatchObject({ status: 404 })
  })
})
