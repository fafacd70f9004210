/**
 * An upgrade under load, one that fails, and the way back: busy kernels, open websockets, uploads and requests go on;
 * no request is answered with an error, nothing acknowledged is lost. `CYGNET_LONG=upgrade` does it with 20 sessions.
 */
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { enterSession, runCell, startKernel, type SessionDoor } from './kernel.ts'
import { eventually, logTails, startPlatform, type RunningPlatform } from './platform.ts'
import { setUpExperiment, type Scenario } from './scenario.ts'
import { getObject, sha256, slowPut, startTraffic, type Traffic } from './upgrade-traffic.ts'
import { brokenControl, otherVersion, withMigration, type OtherVersion } from './upgrade-versions.ts'

const sessions = process.env.CYGNET_LONG === 'upgrade' ? 20 : 3
/** Other tests may load the machine: how long a new version may take is not what is tested here. */
const patience = ['--patience', '120']

/** Of three hand-overs. More would mean that gateways close on what they could have taken. */
const mostResets = 4

const home = mkdtempSync(join(tmpdir(), 'cygnet-upgrade-'))
const versions: OtherVersion[] = []
let platform: RunningPlatform | undefined
afterAll(async () => {
  await platform?.stop()
  for (const folder of [home, ...versions.map((version) => version.folder)])
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })
})

interface Kernel {
  door: SessionDoor
  kernel: string
  marker: string
  counted: number
}

test(
  `${sessions} sessions, uploads and requests through an upgrade, a failed one, and a rollback`,
  { timeout: 1_200_000 },
  async () => {
    writeFileSync(
      join(home, 'cygnet.yaml'),
      'notebooks: { cpuMilli: 100, memoryMiB: 512 }\ncompute: { cpuMilli: 16000 }\n',
    )
    platform = await startPlatform({ home })
    const scenario = await asPerson(await setUpExperiment(platform))
    const supervisor = platform.pidOf('supervisor')
    const first = versionOf(home).current
    const kernels = await startKernels(scenario)
    const traffic = startTraffic(scenario, 'traffic')
    try {
      const second = otherVersion('0.98.0', withMigration('upgrade_test'))
      const third = otherVersion('0.99.0', withMigration('upgrade_test'), withMigration('never_stays'), brokenControl)
      versions.push(second, third)

      // What is under way when the upgrade comes: a cell that prints, over a websocket; an upload.
      const { door } = kernels[0]!
      const printing = runCell(door, await startKernel(door), printsUntilTold, { timeoutMs: 600_000 })
      printing.catch(() => {})
      const upload = slowPut(scenario, 'upgrade/slow', 4_000_000, 15)

      const upgraded = await measured(traffic, 'upgrade', () => second.run(['upgrade', '--home', home, ...patience]))
      expect(upgraded.code, upgraded.stderr).toBe(0)
      expect(versionOf(home).current).toMatch(/^0\.98\.0-/)
      expect(versionOf(home).previous).toBe(first)
      expect(await servedVersion(platform)).toBe('0.98.0')
      expect(readFileSync(`/proc/${supervisor}/cmdline`, 'utf8')).toContain('/0.98.0-')
      expect((await upload).answer.status).toBe(200)
      await expectAlive(kernels)

      const again = await second.run(['upgrade', '--home', home, '--json'])
      expect(JSON.parse(again.stdout.trim().split('\n').at(-1)!)).toMatchObject({ event: 'unchanged' })

      const failed = await measured(traffic, 'failed upgrade', () =>
        third.run(['upgrade', '--home', home, ...patience]),
      )
      expect(failed.code).not.toBe(0)
      expect(failed.stderr).toContain('broken on purpose')
      expect(versionOf(home).current).toMatch(/^0\.98\.0-/)
      expect(await servedVersion(platform)).toBe('0.98.0')
      await expectAlive(kernels)

      const refused = await second.run(['rollback', '--home', home])
      expect(refused.code).not.toBe(0)
      expect(refused.stderr).toContain('--restore-copy')
      expect(refused.stderr).toMatch(/identity_access_key \+\d+/)
      await checkAcknowledged(scenario, traffic)

      const back = await measured(traffic, 'rollback', () => second.run(['rollback', '--home', home, '--restore-copy']))
      expect(back.code, back.stderr).toBe(0)
      expect(versionOf(home).current).toBe(first)
      expect(readFileSync(`/proc/${supervisor}/cmdline`, 'utf8')).toContain(first)
      // What was written to the database until then is gone, as was said; objects are files and stay.
      traffic.labels.length = 0
      await expectAlive(kernels)

      // The websocket that was opened before all of this has carried every line.
      for (const person of readdirSync(join(home, 'homes'))) writeFileSync(join(home, 'homes', person, 'told'), '')
      const lines = (await printing).split('\n')
      expect(lines.pop()).toBe('over')
      expect(lines.map(Number)).toEqual(lines.map((_line, index) => index))
    } catch (error) {
      console.error(logTails(platform).slice(-20_000), traffic.failures.slice(0, 20))
      throw error
    } finally {
      await traffic.stop()
    }
    expect(traffic.failures).toEqual([])
    expect(traffic.resets).toBeLessThan(mostResets)
    await checkAcknowledged(scenario, traffic)
  },
)

const printsUntilTold = `
import os, time
i = 0
while not os.path.exists(os.path.expanduser('~/told')):
    print(i, flush=True)
    i += 1
    time.sleep(0.2)
print('over', end='')
`

/** The figures are for people; the promise is that nothing was refused. */
async function measured<Result>(traffic: Traffic, what: string, work: () => Promise<Result>): Promise<Result> {
  traffic.measure()
  const begun = performance.now()
  const result = await work()
  const seconds = ((performance.now() - begun) / 1000).toFixed(1)
  const gaps = Object.entries(traffic.longestGapMs).map(([kind, ms]) => `${kind} ${(ms / 1000).toFixed(2)}`)
  console.info(
    `${what}: ${seconds} s, ${traffic.failures.length} refused, ${traffic.resets} reset, longest gaps (s): ${gaps.join(', ')}`,
  )
  return result
}

/** The scenario with a key of the person, who may read as well as write. */
async function asPerson(scenario: Scenario): Promise<Scenario> {
  const key = await scenario.call<Scenario['key']>('POST', '/api/identity/access-keys', { label: 'traffic' })
  return { ...scenario, key }
}

async function startKernels({ call, platform }: Scenario): Promise<Kernel[]> {
  const experiments = Array.from({ length: sessions }, (_, index) => (index === 0 ? 'demo' : `demo${index}`))
  const kernels: Kernel[] = []
  for (const experiment of experiments) {
    if (experiment !== 'demo')
      await call('POST', '/api/experiments', { name: experiment, title: experiment, setup: 'lime', series: 'sim' })
    const { id } = await call<{ id: string }>('POST', '/api/notebooks/sessions', { experiment })
    const session = await eventually(
      `the session of ${experiment}`,
      async () => {
        const answer = await call<{ state: string; reason: string | null; url: string }>(
          'GET',
          `/api/notebooks/sessions/${id}`,
        )
        if (answer.state === 'failed') throw new Error(answer.reason ?? 'failed')
        return answer.state === 'running' ? answer : undefined
      },
      180_000,
    )
    const ticket = await call<{ url: string }>('POST', `/api/notebooks/sessions/${id}/ticket`, {})
    const door = await enterSession(ticket.url, session.url.replace(/lab$/, ''))
    const kernel = await startKernel(door)
    const marker = `${experiment} ${platform.platformUrl} ${Math.random()}`
    await runCell(door, kernel, busy(marker))
    kernels.push({ door, kernel, marker, counted: -1 })
  }
  await expectAlive(kernels)
  return kernels
}

const busy = (marker: string) => `
import threading, time
marker = ${JSON.stringify(marker)}
n = 0
def count():
    global n
    while True:
        n += 1
        time.sleep(0.02)
threading.Thread(target=count, daemon=True).start()
`

/** Each still has its variables, and has gone on counting. */
async function expectAlive(kernels: Kernel[]): Promise<void> {
  for (const each of kernels) {
    const [marker, counted] = (
      await runCell(each.door, each.kernel, 'print(marker, n, sep="|")', { timeoutMs: 120_000 })
    ).split('|')
    expect(marker).toBe(each.marker)
    expect(Number(counted)).toBeGreaterThan(each.counted)
    each.counted = Number(counted)
  }
}

async function checkAcknowledged(scenario: Scenario, traffic: Traffic): Promise<void> {
  // Requests go on meanwhile.
  const [objects, labels] = [[...traffic.objects], [...traffic.labels]]
  for (const [name, hash] of objects) {
    const { status, body } = await getObject(scenario, name)
    expect(status, name).toBe(200)
    expect(sha256(body), name).toBe(hash)
  }
  const present = new Set<string>()
  let cursor: string | null = ''
  while (cursor !== null) {
    const page: { items: { label: string }[]; nextCursor: string | null } = await scenario.call(
      'GET',
      `/api/identity/access-keys?limit=100${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`,
    )
    for (const { label } of page.items) present.add(label)
    cursor = page.nextCursor
  }
  expect(labels.filter((label) => !present.has(label))).toEqual([])
}

function versionOf(folder: string): { current: string; previous: string | null } {
  return JSON.parse(readFileSync(join(folder, 'run', 'release.json'), 'utf8')) as {
    current: string
    previous: string | null
  }
}

async function servedVersion({ platformUrl }: RunningPlatform): Promise<string> {
  const answer = (await (await fetch(`${platformUrl}/api/health`)).json()) as { version: string }
  return answer.version
}
