import { Command } from 'commander'
import { expect, test } from 'vitest'
import { createClient } from '../foundation/client.ts'
import { createOutput, type CommandContext } from '../foundation/command-line.ts'
import { exitCodeOf } from '../foundation/errors.ts'
import { registerExperimentCommands, registerRunsCommands } from './commands.ts'
import { demo, serve } from './testing.ts'

/** `cygnet …` as the admin, against the platform at `baseUrl`. */
function commandLine(baseUrl: string) {
  return async (...argv: string[]) => {
    const written = { stdout: '', stderr: '' }
    const output = createOutput({
      json: argv.includes('--json'),
      stdout: { write: (text) => (written.stdout += text) },
      stderr: { write: (text) => (written.stderr += text) },
    })
    const context: CommandContext = {
      client: (contract) => createClient(contract, { baseUrl, headers: { authorization: 'Bearer admin' } }),
      output,
      home: '/nowhere',
      profile: { name: 'test', platformUrl: baseUrl },
    }
    const program = new Command('cygnet').exitOverride()
    registerRunsCommands(program, context)
    registerExperimentCommands(program, context)
    await program.parseAsync(argv, { from: 'user' })
    return written
  }
}

test('experiments are made, listed and shown from the command line; setups are added', async () => {
  const { baseUrl, open } = await serve()
  const cygnet = commandLine(baseUrl)
  expect((await cygnet('experiments', 'list')).stderr).toMatch(/no experiment/)
  const made = await cygnet('experiments', 'create', 'demo', '--setup', 'lime', '--series', 'sim', '--json')
  expect(JSON.parse(made.stdout)).toMatchObject({ name: 'demo', title: 'demo' })
  await cygnet('experiments', 'create', 'other', '--title', 'Another one')
  const listed = await cygnet('experiments', 'list', '--json')
  expect(JSON.parse(listed.stdout)).toMatchObject({
    items: [{ name: 'demo' }, { title: 'Another one' }],
    nextCursor: null,
  })
  await open(7)
  await cygnet('experiments', 'add-setup', 'demo', 'mango', '--series', 'lab', '--from', '100')
  const shown = await cygnet('experiments', 'show', 'demo')
  expect(shown.stdout).toMatch(/lime +lime +sim +0- +7 +Recording run sim:7/)
  expect(shown.stdout).toMatch(/mango +mango +lab +100- +- +NOT RECORDING/)
  const twice = await cygnet('experiments', 'create', 'demo').catch((error: unknown) => error)
  expect(exitCodeOf(twice)).toBe(8)
  const wrong = await cygnet('experiments', 'add-setup', 'demo', 'two', '--series', 'lab', '--to', 'many').catch(
    (error: unknown) => error,
  )
  expect(exitCodeOf(wrong)).toBe(2)
})

test('the command line lists, shows and notes; a run that does not exist ends with 3 and names the last one', async () => {
  const { as, open, baseUrl } = await serve()
  await as('admin').createExperiment({ body: demo })
  await open(1)
  await open(2)
  const cygnet = commandLine(baseUrl)
  const run = (...argv: string[]) => cygnet('runs', ...argv)
  const listed = await run('list', '1-5', '--limit', '1')
  expect(listed.stdout).toMatch(/^RUN\s+START \(UTC\).*\nsim:2\s+1970-01-01 00:16:40Z\s+-\s+-\s+data\s+recording/)
  expect(listed.stderr).toMatch(/^More: add --cursor /)
  expect(JSON.parse((await run('list', '--json')).stdout)).toMatchObject({
    items: [{ number: 2 }, { number: 1 }],
    nextCursor: null,
  })
  expect(JSON.parse((await run('list', '--fault', 'yes', '--json')).stdout)).toEqual({ items: [], nextCursor: null })
  await run('note', 'sim:1', 'two', 'words')
  const shown = await run('show', 'sim:1')
  expect(shown.stdout).toMatch(/setup\s+lime/)
  expect(shown.stderr).toMatch(/admin: two words/)
  const missing = await run('show', 'sim:999').catch((error: unknown) => error)
  expect(exitCodeOf(missing)).toBe(3)
  expect(missing).toMatchObject({ hint: "The last run of series 'sim' is 2." })
  const wrong = await run('list', '--kind', 'nonsense').catch((error: unknown) => error)
  expect(exitCodeOf(wrong)).toBe(2)
})
