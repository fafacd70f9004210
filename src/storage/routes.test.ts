import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { expect, onTestFinished, test } from 'vitest'
import { createClient } from '../foundation/client.ts'
import { createOutput, type CommandContext } from '../foundation/command-line.ts'
import { createApp, type Gate } from '../foundation/http.ts'
import { silentLogger } from '../foundation/log.ts'
import { temporaryDirectory } from '../foundation/testing.ts'
import { registerDataCommands } from './commands.ts'
import { storageContract } from './contract.ts'
import { storageFaults } from './errors.ts'
import { registerStorageRoutes } from './routes.ts'
import { bodyOf, openTestStorage } from './testing.ts'

/** Whoever names himself in a header may do what he names there, in experiment demo. */
const gate: Gate = {
  async authenticate(request) {
    const actions = String(request.headers['x-may'] ?? '')
    return { id: 'me', kind: actions === '' ? 'anonymous' : 'person', name: 'me', subject: actions.split(' ') }
  },
  require(caller, action, experiment) {
    if (experiment !== 'demo' || !(caller.subject as string[]).includes(action))
      throw storageFaults.accessDenied(`may not ${action}`)
  },
}

async function opened() {
  const { storage, root } = await openTestStorage()
  for (const purpose of ['raw', 'work'] as const)
    await storage.createBucket({ name: `demo-${purpose}`, experiment: 'demo', purpose })
  await storage.createBucket({ name: 'other-work', experiment: 'other', purpose: 'work' })
  const app = createApp({ log: silentLogger() })
  registerStorageRoutes(app, { storage, gate })
  const baseUrl = await app.listen({ port: 0, host: '127.0.0.1' })
  onTestFinished(async () => await app.close())
  const as = (may: string) => createClient(storageContract, { baseUrl, headers: { 'x-may': may } })
  return { storage, root, baseUrl, as, all: as('data.read data.create data.modify') }
}

test('browse, upload, download and delete', async () => {
  const { all, baseUrl } = await opened()
  expect((await all.listBuckets({ params: { experiment: 'demo' } })).items.map((bucket) => bucket.posixPath)).toEqual([
    '/data/demo-raw',
    '/data/demo-work',
  ])
  const params = { bucket: 'demo-work' }
  const big = Buffer.alloc(6_000_000, 'cygnet')
  const stored = await all.writeObject({ params, query: { key: 'plots/ü b.bin' } }, { bytes: big })
  expect(stored).toMatchObject({
    sizeBytes: 6_000_000,
    posixPath: '/data/demo-work/plots/ü b.bin',
    sha256: expect.any(String),
  })
  await all.writeObject({ params, query: { key: 'plots/sub/x' } }, { bytes: 'x' })
  const { items, nextCursor } = await all.listObjects({ params, query: { prefix: 'plots/' } })
  expect(items.map(({ kind, name }) => [kind, name])).toEqual([
    ['folder', 'sub/'],
    ['object', 'ü b.bin'],
  ])
  expect(nextCursor).toBeNull()
  const got = await all.readObject({ params, query: { key: 'plots/ü b.bin' } })
  expect(Buffer.from(await got.arrayBuffer()).equals(big)).toBe(true)
  expect(got.headers.get('content-disposition')).toBe("attachment; filename*=UTF-8''%C3%BC%20b.bin")
  const part = await all.readObject({ params, query: { key: 'plots/ü b.bin' } }, { headers: { range: 'bytes=5-9' } })
  expect([part.status, await part.text()]).toEqual([206, big.toString('utf8', 5, 10)])
  await all.deleteObject({ params, query: { key: 'plots/sub/x' } })
  await expect(all.showObject({ params, query: { key: 'plots/sub/x' } })).rejects.toMatchObject({
    code: 'storage.no_such_key',
  })
  expect((await fetch(`${baseUrl}/api/buckets/demo-work/objects`)).status).toBe(401)
})

test('everybody only where and what he may', async () => {
  const { as, all, storage } = await opened()
  await storage.putObject({ bucket: 'demo-work', key: 'k', body: bodyOf('k') })
  const query = { key: 'k' }
  await expect(all.listObjects({ params: { bucket: 'other-work' } })).rejects.toMatchObject({ status: 403 })
  const reader = as('data.read')
  await expect(reader.writeObject({ params: { bucket: 'demo-work' }, query }, { bytes: 'x' })).rejects.toMatchObject({
    status: 403,
  })
  await expect(reader.deleteObject({ params: { bucket: 'demo-work' }, query })).rejects.toMatchObject({ status: 403 })
  const creator = as('data.create')
  await expect(creator.readObject({ params: { bucket: 'demo-work' }, query })).rejects.toMatchObject({ status: 403 })
  await expect(
    creator.writeObject({ params: { bucket: 'demo-work' }, query }, { bytes: 'other' }),
  ).rejects.toMatchObject({ code: 'storage.object_exists' })
  await expect(
    all.writeObject({ params: { bucket: 'demo-work' }, query: { key: '../x' } }, { bytes: 'x' }),
  ).rejects.toMatchObject({ status: 400 })
})

test('the commands: put, ls, get with a resumed download, rm', async () => {
  const { root, baseUrl, storage } = await opened()
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
  expect(JSON.parse((await run('ls', 'demo-raw', '--recursive', '--json')).stdout)).toMatchObject([
    { kind: 'object', key: 'lime/sim/run.mid', sizeBytes: 3_000_000 },
  ])
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
