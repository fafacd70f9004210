/** The main path as its people walk it: DAQ machine, site admin on the command line, stranger. One platform for all. */
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { callApi, eventually, runCygnet, startPlatform, type RunningPlatform } from './platform.ts'
import { experiment, setUpExperiment, showReconstruction, showRun, type Scenario } from './scenario.ts'

let platform: RunningPlatform
let scenario: Scenario
/** The home folder of the person at the command line: sign-ins are kept there. */
const person = mkdtempSync(join(tmpdir(), 'cygnet-person-'))
const environment = { HOME: person, CYGNET_TOKEN: '' }
const json = async <Answer>(...argv: string[]): Promise<Answer> => {
  const { code, stdout, stderr } = await runCygnet([...argv, '--json'], environment)
  if (code !== 0) throw new Error(`cygnet ${argv.join(' ')} ended with ${code}: ${stderr}`)
  return JSON.parse(stdout.trim().split('\n').at(-1)!) as Answer
}

beforeAll(async () => {
  platform = await startPlatform()
  scenario = await setUpExperiment(platform)
  const link = await runCygnet(['admin-link', '--home', platform.home, '--json'])
  const { url } = JSON.parse(link.stdout) as { url: string }
  await json('login', '--code', url)
})

afterAll(() => platform?.stop())

test('the admin link works once, and only by its code', async () => {
  const code = new URL(platform.adminLink).hash.replace('#code=', '')
  await expect(callApi(platform, undefined, 'POST', '/api/identity/token', { code })).rejects.toThrow(/answered 4\d\d/)
  await expect(callApi(platform, undefined, 'POST', '/api/identity/token', { code: 'x'.repeat(40) })).rejects.toThrow(
    /answered 4\d\d/,
  )
})

test('a stranger sees nothing', async () => {
  for (const path of [
    '/api/experiments',
    '/api/experiments/demo/runs',
    '/api/status',
    '/api/identity/people',
    '/metrics',
  ]) {
    const answer = await fetch(platform.platformUrl + path)
    expect([401, 403, 404], path).toContain(answer.status)
  }
  expect((await fetch(`${platform.s3Url}/demo-raw`)).status).toBe(403)
  expect((await fetch(`${platform.platformUrl}/internal/admin-link`, { method: 'POST' })).status).not.toBe(200)
})

test('runs from the DAQ folder become tracks', async () => {
  await json('daq', 'simulate', '--dir', scenario.daq, '--runs', '1', '--images', '3', '--pedestal-images', '5')
  const place = ['-e', experiment, '--setup', 'lime', '--series', 'sim', '--server', platform.platformUrl]
  await json('daq', 'watch', scenario.daq, ...place, '--key-file', scenario.keyFile, '--once')
  await eventually(
    'tracks',
    async () => {
      const { summaries } = await showReconstruction(scenario, 'sim:2')
      return summaries.length > 0 ? summaries : undefined
    },
    120_000,
  )
  const { run, files } = await showRun(scenario, 'sim:2')
  expect(run).toMatchObject({ state: 'closed', kind: 'data', images: 3 })
  expect(files.map(({ state }) => state)).toEqual(['safe', 'safe'])
})

test('runs list and runs show say it on the command line', async () => {
  const list = await json<{ items: { reference: string }[] }>('runs', 'list', '-e', experiment)
  expect(list.items.map(({ reference }) => reference)).toEqual(['sim:2', 'sim:1'])
  const shown = await runCygnet(['runs', 'show', 'sim:2', '-e', experiment], environment)
  expect(shown.stdout + shown.stderr).toMatch(/sim:2/)
  const missing = await runCygnet(['runs', 'show', 'sim:999', '-e', experiment], environment)
  expect(missing.code).toBe(3)
  expect(missing.stderr).toMatch(/sim:999/)
})

test('data ls, get, put and rm keep bytes and rights', async () => {
  const listing = await runCygnet(['data', 'ls', 'raw/lime/sim/', '-e', experiment], environment)
  expect(listing.stdout).toMatch(/run00002\.mid/)
  const copy = join(person, 'run00002.mid')
  await json('data', 'get', 'raw/lime/sim/run00002.mid', copy, '-e', experiment)
  const original = readFileSync(join(scenario.daq, 'run00002.mid'))
  expect(sha256(readFileSync(copy))).toBe(sha256(original))
  const note = join(person, 'note.txt')
  writeFileSync(note, 'hello')
  await json('data', 'put', note, 'work/notes/note.txt', '-e', experiment)
  expect(readFileSync(join(platform.home, 'data', 'demo-work', 'notes', 'note.txt'), 'utf8')).toBe('hello')
  await json('data', 'rm', 'work/notes/note.txt', '-e', experiment)
  expect((await runCygnet(['data', 'get', 'work/notes/note.txt', note, '-e', experiment], environment)).code).toBe(3)
})

test('credentials create gives a key that works, and a DAQ key that only creates', async () => {
  const key = await json<{ accessKeyId: string; secretAccessKey: string }>('credentials', 'create', '--label', 'laptop')
  expect(key.secretAccessKey).toMatch(/^\S{40}$/)
  const daq = await json<{ accessKeyId: string }>(
    'credentials',
    'create',
    '--client',
    'daq',
    '--experiment',
    experiment,
  )
  expect(daq.accessKeyId).toMatch(/^CYG/)
})

test('reco run makes a second campaign; jobs list, show and logs follow it', async () => {
  await json('reco', 'campaign', 'create', 'second', '-e', experiment)
  await json('reco', 'run', 'sim:2', '--campaign', 'second', '--wait', '-e', experiment)
  const { summaries } = await showReconstruction(scenario, 'sim:2')
  expect(summaries.map(({ campaign }) => campaign).sort()).toEqual(['main', 'second'])
  const [first, second] = ['main', 'second'].map((name) => summaries.find(({ campaign }) => campaign === name)!)
  expect(second!.clusters).toBe(first!.clusters)
  expect(await clustersOf('second')).toEqual(await clustersOf('main'))
  const { items: jobs } = await json<{ items: { id: string; state: string }[] }>('jobs', 'list', '-e', experiment)
  expect(jobs.length).toBeGreaterThanOrEqual(3)
  const { id } = jobs.find(({ state }) => state === 'done')!
  expect((await json<{ id: string }>('jobs', 'show', id)).id).toBe(id)
  expect((await runCygnet(['jobs', 'logs', id], environment)).code).toBe(0)
})

test('the commands that pages print work as they are printed', async () => {
  await json('experiments', 'create', 'second', '--title', 'Demonstration', '--setup', 'lime', '--series', 'sim')
  const { items } = await json<{ items: { name: string }[] }>('experiments', 'list')
  expect(items.map(({ name }) => name).sort()).toEqual([experiment, 'second'].sort())
  const shown = await runCygnet(['experiments', 'show', 'second'], environment)
  expect(shown.stdout).toMatch(/lime +lime +sim/)
  const daq = mkdtempSync(join(tmpdir(), 'cygnet-daq-'))
  const keyFile = join(person, 'daq.key')
  const key = await json<object>('credentials', 'create', '--client', 'daq-lime', '--experiment', 'second')
  writeFileSync(keyFile, JSON.stringify(key), { mode: 0o600 })
  const place = ['--experiment', 'second', '--setup', 'lime', '--series', 'sim', '--server', platform.platformUrl]
  await json('daq', 'watch', daq, ...place, '--key-file', keyFile, '--once')
  const hello = ['jobs', 'submit', '--experiment', experiment, '--', 'python3', '-c', 'print("hello")']
  const submitted = await runCygnet(hello, environment)
  expect(submitted.code, submitted.stderr).toBe(0)
  const log = await runCygnet(['jobs', 'logs', submitted.stdout.trim(), '--follow'], environment)
  expect(log.stdout, log.stderr).toContain('hello')
})

test('jobs cancel proves a job dead', async () => {
  const body = { argv: ['/usr/bin/sleep', '600'], environment: 'system' }
  const job = await scenario.call<{ id: string }>('POST', `/api/experiments/${experiment}/jobs`, body)
  await eventually('the job to run', async () => {
    const { state } = await scenario.call<{ state: string }>('GET', `/api/jobs/${job.id}`)
    return state === 'running' ? state : undefined
  })
  await runCygnet(['jobs', 'cancel', job.id], environment)
  const ended = await eventually('the job to be cancelled', async () => {
    const { state } = await scenario.call<{ state: string }>('GET', `/api/jobs/${job.id}`)
    return state === 'cancelled' ? state : undefined
  })
  expect(ended).toBe('cancelled')
})

test('doctor and config print run without a sign-in', async () => {
  const findings = await runCygnet(['doctor', '--home', platform.home, '--json'])
  expect(JSON.parse(findings.stdout)).toContainEqual(expect.objectContaining({ what: 'platform', verdict: 'good' }))
  const config = await runCygnet(['config', 'print', '--home', platform.home])
  expect(config.code).toBe(0)
  expect(config.stdout).toMatch(/port:/)
})

test('wrong words end with code 2, no sign-in with code 4', async () => {
  expect((await runCygnet(['runs', 'lisst'], environment)).code).toBe(2)
  const stranger = { HOME: mkdtempSync(join(tmpdir(), 'cygnet-stranger-')) }
  const { code, stderr } = await runCygnet(['whoami', '--home', platform.home], stranger)
  expect(code).toBe(4)
  expect(stderr).toMatch(/cygnet login/)
})

test('other accounts of the machine reach neither data nor secrets', () => {
  for (const folder of ['data', 'secrets', 'database', 'logs']) {
    expect(statSync(join(platform.home, folder)).mode & 0o007, folder).toBe(0)
  }
})

test('no secret stands in a log', () => {
  const logs = ['control.log', 'gateway-1.log', 'gateway-2.log'].map((name) =>
    readFileSync(join(platform.home, 'logs', name), 'utf8'),
  )
  const secrets = [
    scenario.key.secretAccessKey,
    scenario.token,
    new URL(platform.adminLink).hash.slice('#code='.length),
  ]
  for (const log of logs) for (const secret of secrets) expect(log.includes(secret)).toBe(false)
})

async function clustersOf(campaign: string): Promise<unknown[]> {
  const path = `/api/experiments/${experiment}/runs/sim:2/clusters?campaign=${campaign}&limit=1000`
  return (await scenario.call<{ items: unknown[] }>('GET', path)).items
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}
