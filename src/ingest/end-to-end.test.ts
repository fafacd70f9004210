import { copyFile, mkdir, readFile, rename, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { writeSimulatedRun } from '../detector/index.ts'
import { silentLogger } from '../foundation/log.ts'
import { freePort, temporaryDirectory } from '../foundation/testing.ts'
import { createS3Client, runAgent, simulateDaq } from './index.ts'
import { hashFile } from './hash-file.ts'
import {
  agentDefaults,
  listenToAgent,
  spawnAgent,
  spawnPlatform,
  startPlatform,
  storedBytes,
  type TestPlatform,
} from './testing.ts'

const mebibyte = 1024 * 1024

async function open(more: { freeFloorBytes?: number } = {}) {
  const { path } = await temporaryDirectory()
  const platform = await startPlatform({ folder: join(path, 'home'), port: 0, s3Port: 0, ...more })
  onTestFinished(() => platform.close())
  const directory = join(path, 'daq')
  await mkdir(directory)
  return { platform, directory }
}

function watching(platform: Pick<TestPlatform, 'serverUrl' | 'keyFile'>, directory: string, more: object = {}) {
  const { events, onEvent } = listenToAgent()
  const stop = new AbortController()
  const done = runAgent({
    ...agentDefaults,
    directory,
    serverUrl: platform.serverUrl,
    keyFile: platform.keyFile,
    idleMs: 1500,
    signal: stop.signal,
    log: silentLogger(),
    onEvent,
    ...more,
  })
  const end = async () => {
    stop.abort()
    return await done
  }
  onTestFinished(async () => void (await end().catch(() => undefined)))
  const saw = async (event: string, file: string, timeout = 20_000) =>
    await expect.poll(() => events.some((one) => one.event === event && one.file === file), { timeout }).toBe(true)
  return { events, done, end, saw }
}

/** A genuine run of about 11 MB: three parts of 5 MiB. */
async function bigRun(directory: string, number: number): Promise<string> {
  const simulation = { seed: 2, number, kind: 'data' as const, images: 1, startMs: Date.UTC(2026, 0, 3) }
  return (await writeSimulatedRun(directory, simulation)).path
}

async function settledRun(platform: TestPlatform, number: number) {
  await expect
    .poll(async () => (await platform.logbook.findRun('demo', 'sim', number))?.state, { timeout: 30_000 })
    .toMatch(/^(closed|crashed)$/)
  return await platform.logbook.showRun('demo', `sim:${number}`)
}

const small = { runs: 2, images: 3, seed: 1, paceMs: 0, frame: { width: 128, height: 128 } }

test('runs appear while they are recorded and are safe, compared and closed in the logbook; the truth goes before', async () => {
  const { platform, directory } = await open()
  const agent = watching(platform, directory)
  const quiet = new AbortController().signal
  const writing = simulateDaq({ ...small, images: 4, paceMs: 150, directory, signal: quiet, onEvent: () => {} })
  await expect
    .poll(async () => (await platform.logbook.findRun('demo', 'sim', 1))?.state, { timeout: 10_000 })
    .toBe('recording')
  expect(await platform.logbook.recordingStatus('demo')).toMatchObject([{ status: 'recording', run: 'sim:1' }])
  expect(await writing).toEqual([1, 2, 3])
  for (const number of [1, 2, 3]) {
    const name = `run0000${number}`
    await agent.saw('safe', `${name}.mid`)
    const shown = await settledRun(platform, number)
    expect(shown.run).toMatchObject({ state: 'closed', images: 4, faults: 0, kind: number === 1 ? 'pedestal' : 'data' })
    expect(shown.files.map((file) => [file.role, file.state])).toEqual([
      ['raw', 'safe'],
      ['sidecar', 'safe'],
    ])
    expect(shown.files[0]!.sha256).toBe(await hashFile(join(directory, `${name}.mid`)))
    const record = JSON.parse(await readFile(join(directory, '.cygnet', `${name}.safe.json`), 'utf8')) as object
    expect(record).toMatchObject({
      verifiedBy: 'receiver',
      sha256: shown.files[0]!.sha256,
      key: `lime/sim/${name}.mid`,
    })
    expect(await storedBytes(platform, `lime/sim/${name}.mid`)).toEqual(await readFile(join(directory, `${name}.mid`)))
  }
  const safe = agent.events.filter((one) => one.event === 'safe').map((one) => one.file)
  expect(safe.indexOf('run00002.truth.json')).toBeLessThan(safe.indexOf('run00002.mid'))
  expect((await agent.end()).unsafe).toEqual([])
  // A second agent finds everything safe and sends nothing.
  const again = watching(platform, directory, { once: true })
  await again.done
  expect(again.events.map((one) => one.event)).toEqual(['watching', 'finished'])
})

test('the first sidecar of a new series, whose run nobody knows yet, is sent without a word of trouble', async () => {
  const { platform, directory } = await open()
  const signal = new AbortController().signal
  await simulateDaq({ ...small, runs: 1, pedestalImages: 0, directory, signal, onEvent: () => {} })
  const run = join(directory, 'run00001.mid')
  await rename(run, `${run}.later`)
  const agent = watching(platform, directory)
  await agent.saw('safe', 'run00001.truth.json')
  await rename(`${run}.later`, run)
  await agent.saw('safe', 'run00001.mid')
  const shown = await settledRun(platform, 1)
  expect(shown.files.map((file) => file.state)).toEqual(['safe', 'safe'])
  expect(shown.faults).toEqual([])
  expect((await agent.end()).unsafe).toEqual([])
  expect(agent.events.filter((one) => one.event === 'trouble' || one.event === 'disconnected')).toEqual([])
})

test('a plain S3 PUT with the create-only key gives the same run, and can neither overwrite nor read', async () => {
  const { platform, directory } = await open()
  const path = await bigRun(directory, 5)
  const key = JSON.parse(await readFile(platform.keyFile, 'utf8')) as { accessKeyId: string; secretAccessKey: string }
  const s3 = createS3Client({ url: platform.s3Url, region: 'local', ...key })
  onTestFinished(() => s3.close())
  const bytes = await readFile(path)
  await s3.putObject('demo-raw', 'lime/sim/run00005.mid', bytes)
  const shown = await settledRun(platform, 5)
  expect(shown.run).toMatchObject({ state: 'closed', images: 1, sizeBytes: bytes.length })
  await expect(s3.putObject('demo-raw', 'lime/sim/run00005.mid', Buffer.from('other'))).rejects.toMatchObject({
    code: expect.stringMatching(/already_different|store_refused/),
  })
  await expect(s3.getObject('demo-raw', 'lime/sim/run00005.mid')).rejects.toMatchObject({
    code: 'ingest.store_refused',
  })
  await expect(s3.putObject('demo-raw', 'elsewhere.mid', Buffer.from('x'))).resolves.toBeDefined()
  await expect(s3.putObject('other-raw', 'lime/sim/run1.mid', bytes.subarray(0, 9))).rejects.toBeDefined()
})

test('the agent is killed at every step of an upload and goes on where it was; the run is there once, whole', async () => {
  const { platform, directory } = await open()
  const path = await bigRun(directory, 1)
  const options = {
    directory,
    serverUrl: platform.serverUrl,
    keyFile: platform.keyFile,
    once: true,
    partSizeBytes: 5 * mebibyte,
  }
  const steps = [
    'agent.before-upload-record',
    'agent.after-create',
    'agent.after-part',
    'agent.before-complete',
    'agent.after-complete',
    'agent.before-safe',
  ]
  for (const step of steps) {
    const agent = spawnAgent(options, `${step}=kill@${step === 'agent.after-part' ? 2 : 1}`)
    onTestFinished(() => agent.kill())
    await new Promise((resolve) => agent.child.once('exit', resolve))
    expect(agent.child.signalCode).toBe('SIGKILL')
  }
  const last = spawnAgent(options)
  expect(await last.until((line) => line.event === 'finished')).toMatchObject({ unsafe: [] })
  const shown = await settledRun(platform, 1)
  expect(shown.run).toMatchObject({ state: 'closed', faults: 0 })
  expect(shown.files.map((file) => file.state)).toEqual(['safe', 'safe'])
  expect(shown.files.find((file) => file.role === 'raw')!.sha256).toBe(await hashFile(path))
  expect(await platform.storage.listUploads('demo-raw')).toEqual([])
}, 120_000)

test('trouble that was told before the agent was killed is taken back by its next life', async () => {
  const { platform, directory } = await open()
  await bigRun(directory, 1)
  const { serverUrl, keyFile } = platform
  const openFaults = async () =>
    (await platform.logbook.showRun('demo', 'sim:1')).faults.filter(({ resolvedMs }) => resolvedMs === null)
  const cutOff = spawnAgent({ directory, serverUrl, keyFile, s3Url: `http://127.0.0.1:${await freePort()}` })
  onTestFinished(() => cutOff.kill())
  await expect
    .poll(() => openFaults().catch(() => []), { timeout: 90_000 })
    .toMatchObject([{ code: 'ingest.store_unreachable' }])
  await cutOff.kill()
  const next = spawnAgent({ directory, serverUrl, keyFile, once: true })
  expect(await next.until((line) => line.event === 'finished')).toMatchObject({ unsafe: [] })
  expect((await settledRun(platform, 1)).run).toMatchObject({ state: 'closed', faults: 0 })
}, 180_000)

test('the server is killed in the middle of an upload and comes back; the agent finishes by itself', async () => {
  const { path } = await temporaryDirectory()
  const place = { folder: join(path, 'home'), port: await freePort(), s3Port: await freePort() }
  const directory = join(path, 'daq')
  await mkdir(directory)
  const run = await bigRun(directory, 3)
  let server = spawnPlatform(place)
  onTestFinished(() => server.kill())
  const { serverUrl, keyFile } = (await server.until((line) => line.event === 'listening')) as {
    serverUrl: string
    keyFile: string
  }
  const agent = watching({ serverUrl, keyFile }, directory, { partSizeBytes: 5 * mebibyte })
  await agent.saw('uploading', 'run00003.mid')
  await server.kill()
  await expect
    .poll(() => agent.events.some((one) => one.event === 'trouble' || one.event === 'disconnected'), {
      timeout: 20_000,
    })
    .toBe(true)
  server = spawnPlatform(place, 'ingest.before-record=kill@1')
  await server.until((line) => line.event === 'listening')
  await new Promise((resolve) => server.child.once('exit', resolve))
  server = spawnPlatform(place)
  await server.until((line) => line.event === 'listening')
  await agent.saw('safe', 'run00003.mid', 60_000)
  await agent.end()
  await server.kill()
  const platform = await startPlatform({ ...place, port: 0, s3Port: 0 })
  onTestFinished(() => platform.close())
  const shown = await settledRun(platform, 3)
  expect(shown.run).toMatchObject({ state: 'closed', images: 1, faults: 0 })
  expect(await storedBytes(platform, 'lime/sim/run00003.mid')).toEqual(await readFile(run))
}, 120_000)

test('empty, foreign, cut and corrupt files become crashed runs with words, and the next run is safe', async () => {
  const { platform, directory } = await open()
  const whole = await readFile(await bigRun(directory, 9))
  await writeFile(join(directory, 'run00001.mid'), '')
  await writeFile(join(directory, 'run00002.mid'), 'no run at all')
  await writeFile(join(directory, 'run00003.mid'), whole.subarray(0, 8_000_000))
  await writeFile(join(directory, 'run00004.mid.gz'), whole.subarray(0, 1000))
  const agent = watching(platform, directory, { once: true })
  const { unsafe } = await agent.done
  expect(unsafe).toEqual([])
  for (const number of [1, 2, 3, 4]) {
    const { run, faults } = await settledRun(platform, number)
    expect(run.state).toBe('crashed')
    expect(faults.filter((fault) => fault.resolvedMs === null).length).toBeGreaterThan(0)
  }
  expect((await settledRun(platform, 9)).run).toMatchObject({ state: 'closed', images: 1, faults: 0 })
})

test(
  'a file that shrinks while it is read is dropped, told on the run, and sent when it is stable again',
  { timeout: 60_000 },
  async () => {
    const { platform, directory } = await open()
    const path = await bigRun(directory, 6)
    const spare = `${path}.whole`
    await copyFile(path, spare)
    const options = {
      directory,
      serverUrl: platform.serverUrl,
      keyFile: platform.keyFile,
      // Long, or else the short file counts as a crashed run before the whole one is back.
      idleMs: 60_000,
      partSizeBytes: 5 * mebibyte,
    }
    const agent = spawnAgent(options, 'agent.before-recheck=delay:2500')
    onTestFinished(() => agent.kill())
    await agent.until((line) => line.event === 'uploading' && line.file === 'run00006.mid')
    // Between the first part and the look back.
    await expect.poll(async () => (await stat(path)).size).toBeGreaterThan(10_000_000)
    await truncate(path, 6_000_000)
    const trouble = await agent.until((line) => line.event === 'trouble')
    expect(trouble).toMatchObject({ code: expect.stringMatching(/^ingest\.file_(shrank|changed)$/), run: 'sim:6' })
    await expect
      .poll(async () => (await platform.logbook.showRun('demo', 'sim:6')).faults.map((fault) => fault.code), {
        timeout: 15_000,
      })
      .toContain(trouble.code)
    await rename(spare, path)
    await agent.until((line) => line.event === 'safe' && line.file === 'run00006.mid')
    const shown = await settledRun(platform, 6)
    expect(shown.files.find((file) => file.role === 'raw')!.sha256).toBe(await hashFile(path))
    await expect
      .poll(async () => (await platform.logbook.showRun('demo', 'sim:6')).run.faults, { timeout: 10_000 })
      .toBe(0)
  },
)

test('a file that is cut between its end and the opening for the upload is never stored short', async () => {
  const { platform, directory } = await open()
  const path = await bigRun(directory, 7)
  const spare = `${path}.whole`
  await copyFile(path, spare)
  const options = { directory, serverUrl: platform.serverUrl, keyFile: platform.keyFile, idleMs: 60_000 }
  const agent = spawnAgent(options, 'agent.before-open=delay:1500')
  onTestFinished(() => agent.kill())
  await agent.until((line) => line.event === 'uploading' && line.file === 'run00007.mid')
  await truncate(path, 6_000_000)
  const trouble = await agent.until((line) => line.event === 'trouble')
  expect(trouble).toMatchObject({ code: 'ingest.file_shrank', run: 'sim:7' })
  await rename(spare, path)
  await agent.until((line) => line.event === 'safe' && line.file === 'run00007.mid')
  const shown = await settledRun(platform, 7)
  expect(shown.files.find((file) => file.role === 'raw')!.sha256).toBe(await hashFile(path))
}, 60_000)

test('a wrong key and a full store are said in words; the agent goes on when they are mended', async () => {
  const { platform, directory } = await open()
  await simulateDaq({
    ...small,
    runs: 1,
    pedestalImages: 0,
    directory,
    signal: new AbortController().signal,
    onEvent: () => {},
  })
  const right = await readFile(platform.keyFile, 'utf8')
  const key = JSON.parse(right) as { accessKeyId: string; secretAccessKey: string }
  await writeFile(platform.keyFile, JSON.stringify({ ...key, secretAccessKey: 'x'.repeat(40) }))
  const agent = watching(platform, directory)
  await expect
    .poll(() => agent.events.find((one) => one.event === 'trouble')?.code, { timeout: 15_000 })
    .toBe('ingest.key_refused')
  expect(agent.events.find((one) => one.event === 'trouble')!.hint).toContain('key file')
  await writeFile(platform.keyFile, right)
  await agent.saw('safe', 'run00001.mid', 40_000)
}, 60_000)

test('a store without room: told to the agent, on the run and on the page; nothing is lost', async () => {
  const { platform, directory } = await open({ freeFloorBytes: Number.MAX_SAFE_INTEGER })
  await simulateDaq({
    ...small,
    runs: 1,
    pedestalImages: 0,
    directory,
    signal: new AbortController().signal,
    onEvent: () => {},
  })
  const agent = watching(platform, directory, { once: true })
  const { unsafe } = await agent.done
  expect(unsafe).toContain('run00001.mid')
  expect(agent.events.find((one) => one.event === 'trouble')).toMatchObject({ code: 'ingest.store_full' })
  const { faults } = await platform.logbook.showRun('demo', 'sim:1')
  expect(faults.map((fault) => fault.code)).toContain('ingest.store_full')
}, 60_000)

test('the same run number used twice: the second file is not called safe and the first is untouched', async () => {
  const { platform, directory } = await open()
  await simulateDaq({
    ...small,
    runs: 1,
    pedestalImages: 0,
    directory,
    signal: new AbortController().signal,
    onEvent: () => {},
  })
  const first = watching(platform, directory, { once: true })
  expect((await first.done).unsafe).toEqual([])
  const stored = await storedBytes(platform, 'lime/sim/run00001.mid')
  const other = `${directory}-other`
  await mkdir(other)
  await simulateDaq({
    ...small,
    seed: 99,
    runs: 1,
    pedestalImages: 0,
    directory: other,
    signal: new AbortController().signal,
    onEvent: () => {},
  })
  const second = watching(platform, other, { once: true })
  expect((await second.done).unsafe.toSorted()).toEqual(['run00001.mid', 'run00001.truth.json'])
  expect(second.events.find((one) => one.event === 'trouble')).toMatchObject({ code: 'ingest.checksum_mismatch' })
  expect(await storedBytes(platform, 'lime/sim/run00001.mid')).toEqual(stored)
}, 60_000)
