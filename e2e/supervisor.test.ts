/** The supervisor itself under fire: killed, started twice, with a control that hangs. People notice nothing. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventually, runCygnet, startPlatform, type RunningPlatform } from './platform.ts'
import { setUpExperiment, type Scenario } from './scenario.ts'
import { s3Client } from './s3-client.ts'
import { startTraffic } from './upgrade-traffic.ts'

const processes = ['control', 'gateway-1', 'gateway-2']

let platform: RunningPlatform
let scenario: Scenario
let person: Scenario['key']
beforeAll(async () => {
  platform = await startPlatform({ environment: { CYGNET_TEST: '1', CYGNET_STALE_FOR_PEOPLE_MS: '6000' } })
  scenario = await setUpExperiment(platform)
  person = await scenario.call('POST', '/api/identity/access-keys', { label: 'person' })
})
afterAll(() => platform.stop())

test('a killed supervisor takes nobody along; the next one adopts what runs, and no request was refused', async () => {
  const before = processes.map((name) => platform.pidOf(name))
  const traffic = startTraffic({ ...scenario, key: person }, 'adopted')
  process.kill(platform.pidOf('supervisor'), 'SIGKILL')
  await sleep(500)
  await platform.restart()
  // A restarted process would have another pid within the next looks of the supervisor.
  await sleep(1_000)
  await traffic.stop()
  expect(processes.map((name) => platform.pidOf(name))).toEqual(before)
  expect(traffic.failures).toEqual([])
  expect(traffic.answered['s3 put']).toBeGreaterThan(0)
})

test('a second supervisor is refused with the reason', async () => {
  const second = await runCygnet(['up', '--home', platform.home, '--json'])
  expect(second.code).toBe(8)
  expect(second.stderr).toContain('already runs')
  const background = await runCygnet(['up', '--home', platform.home, '--background'])
  expect(background.code).toBe(8)
})

test('with a control that hangs people may not write for long, machines that take data may', async () => {
  const put = async (key: Scenario['key'], bucket: string, name: string) =>
    (await s3Client(() => platform.s3Url, key).send('PUT', `/${bucket}/${name}`, { body: Buffer.from('x') })).status
  expect(await put(person, 'demo-work', 'before')).toBe(200)
  const control = platform.pidOf('control')
  process.kill(control, 'SIGSTOP')
  try {
    await eventually("a person's write to be refused", async () =>
      (await put(person, 'demo-work', `during-${Date.now()}`)) === 503 ? true : undefined,
    )
    expect(await put(scenario.key, 'demo-raw', 'taken.bin')).toBe(200)
    const read = await s3Client(() => platform.s3Url, person).send('GET', '/demo-work/before')
    expect(read.status).toBe(200)
  } finally {
    process.kill(control, 'SIGCONT')
  }
  await eventually("a person's write", async () =>
    (await put(person, 'demo-work', `after-${Date.now()}`)) === 200 ? true : undefined,
  )
  expect(platform.pidOf('control')).toBe(control)
})

test('in the background without a terminal, and down again; with jobs, when asked', async () => {
  const port = Number(new URL(platform.platformUrl).port)
  expect((await runCygnet(['down', '--home', platform.home])).code).toBe(0)
  await expect(fetch(`${platform.platformUrl}/healthz`)).rejects.toThrow()
  const up = await runCygnet(['up', '--home', platform.home, '--port', String(port), '--background', '--json'])
  expect(JSON.parse(up.stdout.trim().split('\n').at(-1)!)).toMatchObject({
    event: 'ready',
    platform: platform.platformUrl,
  })
  const job = await scenario.call<{ id: string }>('POST', '/api/experiments/demo/jobs', {
    argv: ['/bin/sleep', '1000'],
    environment: 'system',
    title: 'long',
    request: { cpuMilli: 100, memoryMiB: 64 },
  })
  const state = async () => (await scenario.call<{ state: string }>('GET', `/api/jobs/${job.id}`)).state
  await eventually('the job to run', async () => ((await state()) === 'running' ? true : undefined))
  const down = await runCygnet(['down', '--home', platform.home, '--with-jobs', '--json'])
  expect(JSON.parse(down.stdout.trim().split('\n').at(-1)!)).toMatchObject({ event: 'stopped', endedJobs: 1 })
  expect(existsSync(join(platform.home, 'run', 'addresses.json'))).toBe(false)
  await platform.restart()
  expect(await eventually('its end', async () => ((await state()) === 'running' ? undefined : await state()))).toBe(
    'cancelled',
  )
})
