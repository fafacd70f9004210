import { Command } from 'commander'
import { expect, test } from 'vitest'
import { createClient } from '../../foundation/client.ts'
import { createOutput, type CommandContext } from '../../foundation/command-line.ts'
import { personBrowser, startIdentity } from '../testing.ts'
import { registerFactorCommands } from './commands.ts'
import { makePasskey, memoryDatabase } from './testing.ts'

test('an admin finds people by alias, sees their factors, and gives a recovery link; everybody sees his own', async () => {
  const identity = await startIdentity(memoryDatabase, { https: true })
  const { code } = await identity.identity.createAdminLink()
  const { accessToken } = await identity.withToken().token({ body: { code } })
  const run = async (...words: string[]): Promise<string> => {
    let said = ''
    const write = (text: string) => (said += text)
    const context: CommandContext = {
      client: (contract) =>
        createClient(contract, { baseUrl: identity.url, headers: { authorization: `Bearer ${accessToken}` } }),
      output: createOutput({ json: words.includes('--json'), stdout: { write }, stderr: { write } }),
      home: '/nowhere',
      profile: { name: 'default', platformUrl: identity.url, s3Url: '' },
    }
    const program = new Command('cygnet').exitOverride()
    registerFactorCommands(program, context)
    await program.parseAsync(words, { from: 'user' })
    return said
  }
  const { browser } = await personBrowser(identity, 'grossi', [])
  const told = { origin: identity.publicUrl, rpId: 'cygnet.example' }
  const passkey = makePasskey((await browser.api.startPasskey()).options, told)
  await browser.api.addPasskey({ body: { label: 'my laptop', response: passkey.made } })

  expect(await run('people', 'alias', 'grossi', 'Giovanni.Rossi')).toContain('also called Giovanni.Rossi')
  expect(await run('people', 'find', 'GIOVANNI.ROSSI')).toContain('grossi (grossi), Giovanni.Rossi')
  expect(await run('people', 'factors', 'giovanni.rossi')).toContain('my laptop')
  expect(JSON.parse(await run('identity', 'factors', '--json'))).toMatchObject({ passkeys: [], secondFactor: false })
  const { url } = JSON.parse(await run('people', 'reset-factors', 'giovanni.rossi', '--json')) as { url: string }
  expect(await run('people', 'factors', 'grossi')).toContain('None')
  expect(await run('people', 'alias', 'grossi', 'giovanni.rossi', '--remove')).toContain('no alias')
  const recovered = identity.browser()
  expect((await recovered.signIn(url.split('#code=')[1]!)).status).toBe(200)
  expect(await recovered.api.me()).toMatchObject({ name: 'grossi', recovering: true })
})
