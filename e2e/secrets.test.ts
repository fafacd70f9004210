/**
 * Every secret that one whole run of the chain gives out or makes is a canary: none may be found where other people or
 * machines could read it. Looked at: all logs, the logs of jobs, the support bundle, and, sampled all the time, the
 * arguments of every process and the environment of those with another owner's code in them.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { callJupyter, enterSession, runCell, startKernel } from './kernel.ts'
import { callApi, eventually, runCygnet, startPlatform, type RunningPlatform } from './platform.ts'
import { s3Client } from './s3-client.ts'
import { experiment, keepAgent, setUpExperiment, showReconstruction, type Scenario } from './scenario.ts'

let platform: RunningPlatform
let scenario: Scenario
/** What must not be found, by what it is. */
const canaries = new Map<string, string>()
/** `/proc/PID/cmdline` and `environ` of everything that ran under this home, as long as it ran. */
const seen = new Map<string, string>()

beforeAll(async () => {
  platform = await startPlatform()
  canaries.set('admin code', new URL(platform.adminLink).hash.replace('#code=', ''))
  scenario = await setUpExperiment(platform)
  canaries.set('access token', scenario.token)
  canaries.set('secret of the DAQ key', scenario.key.secretAccessKey)
})

afterAll(() => platform?.stop())

test('a run, an upload, a session and a job; then nothing secret stands where it could be read', async () => {
  const watching = new AbortController()
  const sampling = sampleProcesses(watching.signal)
  const agent = keepAgent(scenario)
  try {
    await runCygnet([
      'daq',
      'simulate',
      '--dir',
      scenario.daq,
      '--runs',
      '1',
      '--images',
      '2',
      '--pedestal-images',
      '5',
    ])
    await eventually('tracks', async () => {
      const { summaries } = await showReconstruction(scenario, 'sim:2')
      return summaries.length > 0 ? summaries : undefined
    })
    await useKeys()
    await useSession()
    await failOnPurpose()
  } finally {
    watching.abort()
    await sampling
    await agent.stop()
  }
  collectHomeSecrets()
  expect(canaries.size).toBeGreaterThanOrEqual(9)
  expect(seen.size).toBeGreaterThan(8)

  const places = new Map(seen)
  for (const file of filesBelow(join(platform.home, 'logs'))) places.set(file, readFileSync(file, 'latin1'))
  for (const file of filesBelow(join(platform.home, 'jobs')).filter((path) => path.endsWith('/log')))
    places.set(file, readFileSync(file, 'latin1'))
  const bundle = join(platform.home, 'support.tar.gz')
  expect((await runCygnet(['support', '--home', platform.home, '--out', bundle])).code).toBe(0)
  places.set('support bundle', execFileSync('tar', ['-xzOf', bundle], { encoding: 'latin1', maxBuffer: 1e9 }))
  const audit = await fetch(`${platform.platformUrl}/api/identity/audit/export`, {
    headers: { authorization: `Bearer ${scenario.token}` },
  })
  const rows = await audit.text()
  expect(rows.split('\n').length).toBeGreaterThan(10)
  places.set('the audit', rows)
  expect([...places.keys()].filter((place) => place.endsWith('.log')).length).toBeGreaterThanOrEqual(3)
  for (const [place, text] of places)
    for (const [what, secret] of canaries) expect(text.includes(secret), `${what} in ${place}`).toBe(false)
})

test('every line of the logs of our processes is one JSON object with a time, a level and its process', () => {
  for (const name of ['control.log', 'gateway-1.log', 'gateway-2.log', 'supervisor.log']) {
    for (const line of readFileSync(join(platform.home, 'logs', name), 'utf8')
      .trim()
      .split('\n')
      .filter(Boolean)) {
      const entry = JSON.parse(line) as Record<string, unknown>
      expect(entry).toMatchObject({ level: expect.any(String) as string, time: expect.any(String) as string })
      expect(entry.process, line).toBe(name.replace('.log', ''))
    }
  }
})

/** A key of a person, used well and with a wrong secret, and exchanged for a token. */
async function useKeys(): Promise<void> {
  const key = await scenario.call<{ accessKeyId: string; secretAccessKey: string }>(
    'POST',
    '/api/identity/access-keys',
    {
      label: 'canary',
    },
  )
  canaries.set("secret of a person's key", key.secretAccessKey)
  const path = `/${experiment}-work/canary.txt`
  const body = Buffer.from('hello')
  expect((await s3Client(() => platform.s3Url, key).send('PUT', path, { body })).status).toBe(200)
  const wrong = { ...key, secretAccessKey: 'canary-of-a-wrong-secret-000000000000000' }
  canaries.set('a wrong secret', wrong.secretAccessKey)
  expect((await s3Client(() => platform.s3Url, wrong).send('PUT', path, { body })).status).toBe(403)
  const { accessKeyId, secretAccessKey } = key
  const token = await callApi<{ accessToken: string }>(platform, undefined, 'POST', '/api/identity/token', {
    accessKeyId,
    secretAccessKey,
  })
  canaries.set("token of a person's key", token.accessToken)
}

interface Session {
  id: string
  state: string
  url: string
}

async function useSession(): Promise<void> {
  const started = await eventually(
    'the notebook environment',
    () => scenario.call<Session>('POST', '/api/notebooks/sessions', { experiment }),
    240_000,
  )
  const running = await eventually(
    'a session',
    async () => {
      const session = await scenario.call<Session>('GET', `/api/notebooks/sessions/${started.id}`)
      return session.state === 'running' ? session : undefined
    },
    120_000,
  )
  const ticket = await scenario.call<{ url: string }>('POST', `/api/notebooks/sessions/${started.id}/ticket`, {})
  canaries.set('session ticket', new URLSearchParams(new URL(ticket.url).hash.slice(1)).get('ticket')!)
  const door = await enterSession(ticket.url, running.url)
  canaries.set('session cookie', door.cookie.slice(door.cookie.indexOf('=') + 1))
  const kernel = await startKernel(door)
  // What the session itself was given: it may read these, and nobody else may find them anywhere.
  const given = await runCell(door, kernel, printGiven)
  const files = JSON.parse(given) as Record<string, string>
  canaries.set('token of the session', files.token!.trim())
  for (const [name, text] of Object.entries(files))
    for (const secret of text.match(/[A-Za-z0-9+/=_.-]{32,}/g) ?? [])
      canaries.set(`${name} of the session: ${secret.slice(0, 4)}…`, secret)
  await callJupyter(door, 'GET', 'api/status')
  await scenario.call('POST', `/api/notebooks/sessions/${started.id}/stop`)
}

const printGiven = `
import json, pathlib
print(json.dumps({p.name: p.read_bytes().decode('latin1') for p in pathlib.Path('/run/cygnet').iterdir() if p.is_file()}))
`

/** Wrong requests are logged more than right ones. */
async function failOnPurpose(): Promise<void> {
  canaries.set('a wrong token', 'canary-of-a-wrong-token-0000000000000000')
  canaries.set('a wrong code', 'canary-of-a-wrong-code-00000000000000000')
  canaries.set('a cookie', 'canary-of-a-cookie-0000000000000000000000')
  const headers = {
    authorization: `Bearer ${canaries.get('a wrong token')}`,
    cookie: `cygnet=${canaries.get('a cookie')}`,
  }
  for (const path of [
    '/api/status',
    '/api/experiments',
    `/api/nothing?token=${canaries.get('a wrong token')}`,
    '/oidc/auth?bad=1',
  ])
    await fetch(platform.platformUrl + path, { headers })
  await fetch(`${platform.platformUrl}/api/identity/token`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify({ code: canaries.get('a wrong code') }),
  })
  await fetch(`${platform.s3Url}/demo-raw/x?X-Amz-Security-Token=${canaries.get('a wrong token')}`, { headers })
}

function collectHomeSecrets(): void {
  for (const file of filesBelow(join(platform.home, 'secrets'))) {
    const bytes = readFileSync(file)
    for (const spelling of ['hex', 'base64', 'base64url', 'latin1'] as const)
      canaries.set(`${file} as ${spelling}`, bytes.toString(spelling))
  }
}

/** All processes that are ours: those that name the home, and the children of those, jobs and notebooks too. */
async function sampleProcesses(signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      try {
        const argv = readFileSync(`/proc/${pid}/cmdline`, 'latin1')
        const environ = readFileSync(`/proc/${pid}/environ`, 'latin1')
        if (!argv.includes(platform.home) && !environ.includes(platform.home) && !environ.includes('CYGNET_')) continue
        seen.set(`arguments of ${pid} ${argv.slice(0, 80)}`, argv)
        seen.set(`environment of ${pid} ${argv.slice(0, 80)}`, environ)
      } catch {
        // It has ended, or is not ours to look at.
      }
    }
    await sleep(40)
  }
}

function filesBelow(folder: string): string[] {
  if (!existsSync(folder)) return []
  return (readdirSync(folder, { recursive: true }) as string[])
    .map((name) => join(folder, name))
    .filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile())
}
