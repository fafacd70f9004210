import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parquetWriteFile } from 'hyparquet-writer'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { writeSimulatedRun } from '../detector/index.ts'
import { createClient } from '../foundation/client.ts'
import { openDatabase } from '../foundation/database.ts'
import { Fault } from '../foundation/errors.ts'
import { createApp } from '../foundation/http.ts'
import type { Gate } from '../foundation/http.ts'
import { silentLogger } from '../foundation/log.ts'
import { temporaryDirectory } from '../foundation/testing.ts'
import type { TemporaryDirectory } from '../foundation/testing.ts'
import { reconstructionContract } from './contract.ts'
import { tasksOfRun } from './tasks.ts'
import { openTestRoom } from './testing.ts'

let runs: TemporaryDirectory

beforeAll(async () => {
  runs = await temporaryDirectory()
  const common = { seed: 5, frame: { width: 128, height: 128 }, startMs: 0, waveforms: false }
  await writeSimulatedRun(runs.path, { ...common, number: 1, kind: 'pedestal', images: 6 })
  await writeSimulatedRun(runs.path, { ...common, number: 2, kind: 'data', images: 2 })
})
afterAll(() => runs[Symbol.asyncDispose]())

const allow: Gate = {
  authenticate: async () => ({ id: 'person-a', kind: 'person', name: 'alice', subject: undefined }),
  require: () => undefined,
}

async function platform(gate = allow) {
  const folder = await temporaryDirectory()
  const database = await openDatabase({ url: `sqlite:${join(folder.path, 'test.sqlite')}` })
  const room = await openTestRoom(database, folder.path)
  const app = createApp({ log: silentLogger() })
  room.reconstruction.routes(app, gate)
  await app.listen({ port: 0, host: '127.0.0.1' })
  onTestFinished(async () => {
    await app.close()
    await room.close()
    await database.close()
  })
  const { port } = app.server.address() as { port: number }
  const client = createClient(reconstructionContract, { baseUrl: `http://127.0.0.1:${port}` })
  await room.compute.start()
  const pedestal = await room.closeRun(1, 'pedestal', join(runs.path, 'run00001.mid'))
  const run = await room.closeRun(2, 'data', join(runs.path, 'run00002.mid'))
  await settled(pedestal.id, 'submitted')

  /** Waits until no task of the run is in the state. */
  async function settled(runId: string, ...states: string[]) {
    for (;;) {
      await room.facts.settled()
      const tasks = await tasksOfRun(database.kysely, runId)
      const open = tasks.find(({ state }) => states.includes(state))
      if (open === undefined) return tasks
      if (open.jobId !== null) await room.compute.ended(open.jobId)
    }
  }
  const params = { experiment: 'demo' }
  const files = (given: Record<string, string | Buffer>) =>
    Object.entries(given).map(([path, content]) => ({
      path,
      contentBase64: Buffer.from(content).toString('base64'),
      executable: path.endsWith('.sh'),
    }))
  async function campaign(name: string, given: Record<string, string | Buffer>, more: Record<string, unknown> = {}) {
    const script = {
      command: ['sh', 'main.sh', '{raw}', '{pedestal}', '{out}', '{run}', '{workers}', 'truth={truth}'],
      environment: 'system',
      memoryMiB: 128,
      walltimeSeconds: 60,
      files: files(given),
      ...more,
    }
    return await client.createCampaign({ params, body: { name, script } })
  }
  /** Starts it over run 2 and waits for the end. */
  async function over(name: string, force = false) {
    await client.startReconstruction({
      params,
      body: { series: 'sim', range: { from: 1, to: 9 }, campaign: name, force },
    })
    const tasks = await settled(run.id, 'submitted')
    return tasks.find((task) => task.campaign === name)!
  }
  const product = (name: string, file: string) =>
    readFile(join(folder.path, 'data', 'demo-reco', name, 'sim/run00002', file), 'utf8')
  return { room, client, params, run, campaign, over, product, folder: folder.path, files }
}

/** As a script would write it: some of our columns, some of its own. */
async function ownClusters(columns: Record<string, { type: 'INT32' | 'DOUBLE'; data: number[] }>): Promise<Buffer> {
  const folder = await temporaryDirectory()
  const path = join(folder.path, 'clusters.parquet')
  parquetWriteFile({
    filename: path,
    columnData: Object.entries(columns).map(([name, { type, data }]) => ({ name, type, data })),
  })
  return await readFile(path)
}

test('a script runs as its maker, sees the run and nothing else, and its clusters are shown like ours', async () => {
  const { client, params, campaign, over, product, room, folder, files } = await platform()
  const clusters = await ownClusters({
    event: { type: 'INT32', data: [1, 0, 1] },
    integral_counts: { type: 'DOUBLE', data: [900, 5000.5, 2000] },
    x_mean_px: { type: 'DOUBLE', data: [10, 20, Number.NaN] },
    y_mean_px: { type: 'DOUBLE', data: [11, 21, 31] },
    x_min_px: { type: 'INT32', data: [5, 15, 25] },
    x_max_px: { type: 'INT32', data: [15, 25, 35] },
    y_min_px: { type: 'INT32', data: [6, 16, 26] },
    y_max_px: { type: 'INT32', data: [16, 26, 36] },
    my_own: { type: 'DOUBLE', data: [1, 2, 3] },
  })
  const main = `set -e
    test -r "$1" && test -r "$2" && test -w "$3"
    echo "$@" > "$3/arguments.txt"
    id -u > "$3/uid.txt"
    pwd > "$3/folder.txt"
    ls / /data /home /in > "$3/seen.txt" 2>&1 || true
    cat /proc/net/dev | tail -n +3 | cut -d: -f1 | tr -d ' ' > "$3/network.txt"
    (echo no > "$1") 2> /dev/null && echo raw was written >&2 && exit 9
    (echo no > main.sh) 2> /dev/null && echo script was written >&2 && exit 9
    mkdir "$3/more" && cp /run/cygnet/lineage.json "$3/more/"
    ln -s /etc/passwd "$3/passwd" && ln -s / "$3/root" && mkfifo "$3/pipe"
    echo odd > "$3/a b;c.txt" && echo hidden > "$3/.hidden"
    cp lib/clusters.parquet "$3/"
    echo '{"images": 2, "efficiency": 0.75, "purity": 7, "threshold": 3.5, "words": "no"}' > "$3/summary.json"
  `
  const made = await campaign('mine', { 'main.sh': main, 'lib/clusters.parquet': clusters })
  expect(made).toMatchObject({
    kind: 'script',
    version: 1,
    creatorName: 'alice',
    codeVersion: expect.stringMatching(/^script-/),
  })
  const task = await over('mine')
  expect(task).toMatchObject({ state: 'done', reason: null, codeVersion: made.codeVersion })
  const job = await room.compute.show(task.jobId!)
  expect(job).toMatchObject({ kind: 'script', ownerId: 'person-a', ownerName: 'alice', state: 'done' })

  const { summaries } = await client.showRun({ params: { ...params, run: 'sim:2' } })
  const summary = summaries.find((one) => one.campaign === 'mine')!
  expect(summary).toMatchObject({ images: 2, clusters: 3, selectedClusters: 3, efficiency: 0.75, purity: null })
  expect(summary.details.numbers).toEqual({ images: 2, efficiency: 0.75, threshold: 3.5 })
  expect(summary.details.problems).toEqual(['2 files have names that cannot be published'])
  expect(summary.details.lineage).toMatchObject({
    run: 'demo/sim:2',
    campaign: 'mine',
    campaignVersion: 1,
    codeVersion: made.codeVersion,
    gitCommit: null,
    rawSha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    truthSha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    madeAtMs: expect.any(Number),
  })
  const query = { campaign: 'mine' }
  const ofEvent = await client.listEventClusters({ params: { ...params, run: 'sim:2', event: 1 }, query })
  expect(ofEvent.items).toMatchObject([
    { cluster: 0, integralCounts: 2000, xMeanPx: -1, selected: true },
    { cluster: 1, integralCounts: 900, xMeanPx: 10, truthTrack: -1 },
  ])
  const outlines = await client.listEventOutlines({ params: { ...params, run: 'sim:2', event: 0 }, query })
  expect(outlines.items).toMatchObject([{ rings: [[15, 16, 26, 16, 26, 27, 15, 27]] }])
  const events = await client.listRunEvents({ params: { ...params, run: 'sim:2' }, query })
  expect(events.items).toMatchObject([
    { event: 0, clusters: 1, widthPx: 128 },
    { event: 1, clusters: 2 },
  ])

  expect(await product('mine', 'files/arguments.txt')).toBe(
    '/in/run00002.mid /in/pedestal.cyped /out sim:2 1 truth=/in/truth.json\n',
  )
  if (process.getuid?.() === 0) expect(await product('mine', 'files/uid.txt')).toBe('300000\n')
  expect(await product('mine', 'files/folder.txt')).toBe('/run/cygnet/script\n')
  expect(await product('mine', 'files/network.txt')).toMatch(/^(lo\n)?$/)
  const seen = await product('mine', 'files/seen.txt')
  expect(seen).toMatch(/No such file.*\/data|\/data.*No such file/)
  expect(seen).toContain('pedestal.cyped')
  expect(JSON.parse(await product('mine', 'files/more/lineage.json'))).toMatchObject({ run: 'demo/sim:2' })
  expect(JSON.parse(await product('mine', 'summary.json'))).toMatchObject({ clusters: 3 })
  for (const name of ['passwd', 'root/etc/passwd', 'pipe', '.hidden', 'a b;c.txt']) {
    await expect(product('mine', `files/${name}`)).rejects.toThrow()
  }

  // The same wish again is one result; another script is another key.
  expect((await over('mine')).jobId).toBe(task.jobId)
  const changed = await client.changeCampaign({
    params: { ...params, campaign: 'mine' },
    body: { script: { command: ['sh', '-c', 'exit 0'], environment: 'system', files: files({ 'x.txt': 'x' }) } },
  })
  expect(changed).toMatchObject({ version: 2 })
  const again = await over('mine')
  expect(again).toMatchObject({ state: 'done', campaignVersion: 2 })
  expect(again.jobId).not.toBe(task.jobId)

  // Somebody who may write to the work bucket changes a file of the campaign: it does not run.
  const stored = join(folder, 'data', changed.script!.bucket, changed.script!.prefix, 'x.txt')
  await chmod(stored, 0o644)
  await writeFile(stored, 'y')
  const changedFile = await over('mine', true)
  expect(changedFile).toMatchObject({
    state: 'failed',
    reason: expect.stringContaining('is not the file that the campaign'),
  })
})

test('what a script does wrong is a dead letter with its last words; tried again on demand, exactly once', async () => {
  const { client, params, campaign, over } = await platform()
  const failing = { command: ['sh', '-c', 'for i in 1 2 3 4 5 6 7 8 9 10 11; do echo line $i; done; exit 3'] }
  await campaign('fails', {}, failing)
  const failed = await over('fails')
  expect(failed).toMatchObject({
    state: 'failed',
    reason: expect.stringMatching(/^it exited with code 3; the last it said:\nline 4\n[\s\S]*line 11$/),
  })
  const letters = await client.listTasks({ params, query: { state: 'failed', campaign: 'fails' } })
  expect(letters.items).toMatchObject([{ number: 2, campaign: 'fails' }])
  const retried = await client.retryCampaign({ params: { ...params, campaign: 'fails' }, body: {} })
  expect(retried.items).toMatchObject([{ run: 'sim:2', outcome: 'submitted' }])
  expect((await client.retryCampaign({ params: { ...params, campaign: 'fails' }, body: {} })).items).toEqual([])

  await campaign('endless', {}, { command: ['sh', '-c', 'echo begun; sleep 600'], walltimeSeconds: 1 })
  expect(await over('endless')).toMatchObject({
    state: 'failed',
    reason: expect.stringMatching(/longer than the 1 s[\s\S]*begun/),
  })

  await campaign('missing', {}, { command: ['no-such-program'] })
  expect(await over('missing')).toMatchObject({
    state: 'failed',
    reason: expect.stringMatching(/code 127[\s\S]*no-such-program/),
  })

  const large = 'dd if=/dev/zero of=$0/large bs=1M count=1 seek=2000 2>&1 || exit 4'
  await campaign('large', {}, { command: ['sh', '-c', large, '{out}'] })
  expect(await over('large')).toMatchObject({ state: 'failed' })

  await campaign(
    'many',
    {},
    { command: ['sh', '-c', 'cd $0; i=0; while [ $i -lt 1001 ]; do : > f$i; i=$((i+1)); done', '{out}'] },
  )
  expect(await over('many')).toMatchObject({
    state: 'failed',
    reason: 'the script left 1001 files; a run may have 1000',
  })
})

test('a clusters.parquet made to hurt its reader is a dead letter', async () => {
  const { campaign, over } = await platform()
  const sound = await ownClusters({ event: { type: 'INT32', data: [0] } })
  const cut = Buffer.concat([sound.subarray(0, 20), sound.subarray(-12)])
  const many = await ownClusters({ event: { type: 'INT32', data: new Array<number>(300_001).fill(0) } })
  const noEvent = await ownClusters({ integral_counts: { type: 'DOUBLE', data: [1] } })
  const far = await ownClusters({ event: { type: 'INT32', data: [2 ** 31 - 1] } })
  const copy = { command: ['cp', 'clusters.parquet', '{out}'] }
  for (const [name, content, reason] of [
    ['cut', cut, /cannot be read/],
    ['many', many, /300001 rows/],
    ['no-event', noEvent, /no column event/],
    ['far', far, /event 2147483647/],
  ] as const) {
    await campaign(name, { 'clusters.parquet': content }, copy)
    expect(await over(name)).toMatchObject({ state: 'failed', reason: expect.stringMatching(reason) })
  }
})

test('a script in an environment gets its programs and no access to the platform', async () => {
  const { room, campaign, over, product, folder } = await platform()
  const bin = join(folder, 'environment', 'bin')
  await mkdir(bin, { recursive: true })
  await writeFile(
    join(bin, 'special'),
    '#!/bin/sh\necho "$SPECIAL" > "$1/special.txt"; ls /run/cygnet > "$1/given.txt"\n',
  )
  await chmod(join(bin, 'special'), 0o755)
  const asked: boolean[] = []
  room.compute.provideEnvironment('special', async (_job, { access }) => {
    asked.push(access)
    const mounts = [{ source: join(folder, 'environment'), target: '/opt/special', mode: 'ro' as const }]
    return { mounts, pathFolders: ['/opt/special/bin'], environment: { SPECIAL: 'yes' } }
  })
  await campaign('special', {}, { command: ['special', '{out}'], environment: 'special' })
  expect(await over('special')).toMatchObject({ state: 'done' })
  expect(asked).toEqual([false])
  expect(await product('special', 'files/special.txt')).toBe('yes\n')
  expect(await product('special', 'files/given.txt')).toBe('lineage.json\n')
  await campaign('none', {}, { command: ['true'], environment: 'no-such' })
  expect(await over('none')).toMatchObject({
    state: 'failed',
    reason: expect.stringContaining('no environment called no-such'),
  })
})

test('a recipe that cannot be is refused before anything is stored', async () => {
  const { client, params, campaign, files, room } = await platform()
  const refused = (code: string) => expect.objectContaining({ code })
  for (const path of ['../x', '/etc/passwd', 'a/../b', '.hidden', 'a//b', 'a/', 'a\0b', '-rf', 'é', 'x'.repeat(201)]) {
    await expect(campaign('bad', { [path]: 'x' })).rejects.toSatisfy(
      (error) => error instanceof Fault && error.status === 422,
    )
  }
  await expect(campaign('bad', { a: 'x', 'a/b': 'x' })).rejects.toThrow(refused('reconstruction.bad_script_file'))
  await expect(campaign('bad', {}, { command: ['sh', '{home}'] })).rejects.toThrow(refused('reconstruction.bad_recipe'))
  const half = Buffer.alloc(3 * 1024 * 1024)
  await expect(campaign('bad', { a: half, b: half })).rejects.toThrow(refused('reconstruction.script_too_large'))
  const script = { command: ['true'], environment: 'system', files: files({}) }
  const body = { name: 'bad', script, parameters: { zeroSuppressionSigma: 1 } }
  await expect(client.createCampaign({ params, body })).rejects.toThrow(refused('reconstruction.bad_recipe'))
  for (const name of ['calibration', 'studies', '..', 'A', '']) {
    await expect(client.createCampaign({ params, body: { name } })).rejects.toMatchObject({ status: 422 })
  }
  await client.createCampaign({ params, body: { name: 'chain' } })
  await expect(client.changeCampaign({ params: { ...params, campaign: 'chain' }, body: { script } })).rejects.toThrow(
    refused('reconstruction.bad_recipe'),
  )
  expect(room.storage.puts.filter((key) => key.startsWith('demo-work/'))).toEqual([])
})
