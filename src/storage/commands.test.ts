import { Command } from 'commander'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createClient } from '../foundation/client.ts'
import { createOutput, type CommandContext } from '../foundation/command-line.ts'
import { temporaryDirectory } from '../foundation/testing.ts'
import { registerDataCommands } from './commands.ts'
import { openTestApi } from './testing.ts'

test('put, ls, get with a resumed download, rm', async () => {
  const { root, baseUrl, storage } = await openTestApi()
  const folder = (await temporaryDirectory()).path
  const run = async (...words: string[]) => {
    let stdout = ''
    let stderr = ''
    const output = createOutput({
      json: words.includes('--json'),
      stdout: { write: (text) => (stdout += text) },
      stderr: { write: (text) => (stderr += text) },
    })
    const context: CommandContext = {
      client: (contract) =>
        createClient(contract, { baseUrl, headers: { 'x-may': 'data.read data.create data.modify' } }),
      output,
      home: folder,
      profile: { name: 'test', platformUrl: baseUrl },
    }
    const program = new Command().exitOverride()
    registerDataCommands(program, context)
    await program.parseAsync(['data', ...words], { from: 'user' })
    return { stdout, stderr }
  }
  const content = Buffer.alloc(3_000_000, 'run')
  writeFileSync(join(folder, 'run.mid'), content)
  expect((await run('put', join(folder, 'run.mid'), 'raw/lime/sim/', '-e', 'demo')).stderr).toContain(
    'stored demo-raw/lime/sim/run.mid, 3.00 MB, checksum verified',
  )
  expect(readFileSync(join(root, 'demo-raw/lime/sim/run.mid')).equals(content)).toBe(true)
  expect((await run('ls', 'raw/lime/', '-e', 'demo')).stdout).toMatch(/NAME +SIZE +MODIFIED\nsim\/\n/)
  expect(JSON.parse((await run('ls', 'demo-raw', '--recursive', '--json')).stdout)).toMatchObject({
    items: [{ kind: 'object', key: 'lime/sim/run.mid', sizeBytes: 3_000_000 }],
    nextCursor: null,
  })
  writeFileSync(join(folder, 'back.mid.part'), content.subarray(0, 1_000_000))
  expect((await run('get', 'demo-raw/lime/sim/run.mid', join(folder, 'back.mid'))).stderr).toContain(
    '(1.00 MB were there already), checksum verified',
  )
  expect(readFileSync(join(folder, 'back.mid')).equals(content)).toBe(true)
  writeFileSync(join(folder, 'bad.mid.part'), 'not the beginning of it')
  await expect(run('get', 'demo-raw/lime/sim/run.mid', join(folder, 'bad.mid'))).rejects.toMatchObject({
    code: 'storage.bad_digest',
  })
  await run('rm', 'raw/lime/sim/run.mid', '-e', 'demo')
  await expect(run('rm', 'raw/lime/sim/run.mid', '-e', 'demo')).rejects.toMatchObject({ status: 404 })
  expect((await storage.listObjects({ bucket: 'demo-raw' })).objects).toEqual([])
})
