/** The agent with compression: one run, one object, proved to be the run file, whatever is killed on the way. */
import { execFile } from 'node:child_process'
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gunzipSync, gzipSync } from 'node:zlib'
import { expect, onTestFinished, test } from 'vitest'
import { openMidasIndex } from '../detector/index.ts'
import { silentLogger } from '../foundation/log.ts'
import { temporaryDirectory } from '../foundation/testing.ts'
import { hashFile } from './hash-file.ts'
import { runAgent, simulateDaq } from './index.ts'
import { agentDefaults, listenToAgent, spawnAgent, startPlatform, storedBytes } from './testing.ts'

const key = 'lime/sim/run00001.mid.gz'

async function open() {
  const { path } = await temporaryDirectory()
  const platform = await startPlatform({ folder: join(path, 'home'), port: 0, s3Port: 0 })
  onTestFinished(() => platform.close())
  const directory = join(path, 'daq')
  await mkdir(directory)
  await simulateDaq({
    directory,
    runs: 1,
    pedestalImages: 0,
    images: 3,
    seed: 1,
    paceMs: 0,
    frame: { width: 512, height: 512 },
    signal: new AbortController().signal,
    onEvent: () => {},
  })
  const options = { directory, serverUrl: platform.serverUrl, keyFile: platform.keyFile, once: true, compress: true }
  const watch = async () => {
    const { events, onEvent } = listenToAgent()
    const signal = new AbortController().signal
    const done = await runAgent({ ...agentDefaults, ...options, idleMs: 1500, signal, log: silentLogger(), onEvent })
    return { events, done }
  }
  const settled = async () => {
    await expect
      .poll(async () => (await platform.logbook.findRun('demo', 'sim', 1))?.state, { timeout: 30_000 })
      .toMatch(/^(closed|crashed)$/)
    return await platform.logbook.showRun('demo', 'sim:1')
  }
  return { platform, directory, options, watch, settled }
}

test('a run is compressed, compared and stored as one file of one run; the original stays', async () => {
  const { platform, directory, watch, settled } = await open()
  const original = await readFile(join(directory, 'run00001.mid'))
  const { events, done } = await watch()
  expect(done.unsafe).toEqual([])
  expect(events.map((one) => one.event)).toContain('compressed')
  const stored = await storedBytes(platform, key)
  expect(Buffer.compare(gunzipSync(stored), original)).toBe(0)
  expect(stored.length).toBeLessThan(original.length / 2)
  const shown = await settled()
  expect(shown.run).toMatchObject({ state: 'closed', images: 3, faults: 0, sizeBytes: stored.length })
  expect(shown.files.map((file) => [file.key, file.role, file.state])).toEqual([
    [key, 'raw', 'safe'],
    ['lime/sim/run00001.truth.json', 'sidecar', 'safe'],
  ])
  const record = JSON.parse(await readFile(join(directory, '.cygnet', 'run00001.safe.json'), 'utf8')) as object
  expect(record).toMatchObject({
    key,
    sizeBytes: stored.length,
    originalSha256: await hashFile(join(directory, 'run00001.mid')),
    verifiedBy: 'receiver',
  })
  expect(Buffer.compare(await readFile(join(directory, 'run00001.mid')), original)).toBe(0)
  expect((await readdir(join(directory, '.cygnet'))).filter((name) => /\.gz|copy/.test(name))).toEqual([])
  const index = await openMidasIndex(platform.storage.pathOf('demo-raw', key))
  expect(index.seek?.kind).toBe('members')
  expect(index.pictures).toHaveLength(3)
  // The DAQ's own gzip makes a file of the same name later: it is the same run.
  await writeFile(join(directory, 'run00001.mid.gz'), gzipSync(original))
  const again = await watch()
  expect(again.done.unsafe).toEqual([])
  expect(again.events.map((one) => one.event)).toEqual(['watching', 'finished'])
}, 60_000)

test('the agent is killed while it compresses and after, and while it uploads; the run is there once, whole', async () => {
  const { platform, directory, options, settled } = await open()
  const path = join(directory, 'run00001.mid')
  for (const step of [
    'agent.while-compressing=kill@2',
    'agent.after-compress=kill',
    'agent.before-put=kill',
    'agent.before-safe=kill',
  ]) {
    const agent = spawnAgent(options, step)
    onTestFinished(() => agent.kill())
    await new Promise((resolve) => agent.child.once('exit', resolve))
    expect(agent.child.signalCode).toBe('SIGKILL')
  }
  const last = spawnAgent(options)
  expect(await last.until((line) => line.event === 'finished')).toMatchObject({ unsafe: [] })
  const shown = await settled()
  expect(shown.run).toMatchObject({ state: 'closed', images: 3, faults: 0 })
  expect(shown.files.map((file) => file.state)).toEqual(['safe', 'safe'])
  const { stdout } = await promisify(execFile)('zcat', [platform.storage.pathOf('demo-raw', key)], {
    encoding: 'buffer',
    maxBuffer: 1 << 30,
  })
  expect(Buffer.compare(stdout, await readFile(path))).toBe(0)
  expect((await readdir(join(directory, '.cygnet'))).filter((name) => /\.gz|copy|upload/.test(name))).toEqual([])
  expect((await stat(path)).size).toBeGreaterThan(0)
}, 120_000)
