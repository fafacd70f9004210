/** Things that go wrong in a hall at night: each says so where a person looks, loses nothing, and the next run goes on. */
import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { eventually, runCygnet, startPlatform, type RunningPlatform } from './platform.ts'
import {
  experiment,
  keepAgent,
  setUpExperiment,
  sha256OfFile,
  sha256OfObject,
  showRun,
  type Scenario,
} from './scenario.ts'

const platforms: RunningPlatform[] = []
const mounts: string[] = []
afterAll(async () => {
  for (const platform of platforms) await platform.stop()
  for (const mount of mounts) execFileSync('umount', ['-l', mount])
})

async function start(home?: string): Promise<Scenario> {
  const platform = await startPlatform(home === undefined ? {} : { home })
  platforms.push(platform)
  return setUpExperiment(platform)
}

const simulate = (scenario: Scenario, ...options: string[]) =>
  runCygnet(['daq', 'simulate', '--dir', scenario.daq, '--images', '2', '--json', ...options])

test('empty, corrupt and cut run files are named; the good run after them is safe', async () => {
  const scenario = await start()
  writeFileSync(join(scenario.daq, 'run00001.mid'), '')
  writeFileSync(join(scenario.daq, 'run00002.mid'), Buffer.alloc(50_000, 0xa5))
  await simulate(scenario, '--runs', '1', '--first', '3', '--pedestal-images', '0')
  const whole = join(scenario.daq, 'run00003.mid')
  const cut = join(scenario.daq, 'run00004.mid')
  copyFileSync(whole, cut)
  truncateSync(cut, Math.floor(statSync(whole).size * 0.7))
  await simulate(scenario, '--runs', '1', '--first', '5', '--pedestal-images', '0')
  const agent = keepAgent(scenario)
  try {
    const good = await eventually('run 5', async () => {
      const answer = await showRun(scenario, 'sim:5')
      return answer.run.state === 'closed' && answer.files.every((file) => file.state === 'safe') ? answer : undefined
    })
    expect(good.run.images).toBe(2)
    const { faults } = await eventually('faults of the bad files', async () => {
      const answer = await scenario.call<{ faults: { detail: string; hint: string; place: string }[] }>(
        'GET',
        `/api/experiments/${experiment}`,
      )
      const places = answer.faults.map(({ place, detail }) => `${place} ${detail}`).join('\n')
      return places.includes('run00001.mid') && places.includes('run00002.mid') ? answer : undefined
    })
    for (const fault of faults) expect(fault.hint.length, fault.detail).toBeGreaterThan(10)
    const crashed = await eventually('run 4 closed from its file', async () => {
      const answer = await showRun(scenario, 'sim:4')
      return answer.run.state === 'crashed' ? answer : undefined
    })
    expect(crashed.run.images).toBeGreaterThanOrEqual(1)
    for (const { bucket, key, role } of crashed.files.filter((file) => file.role === 'raw')) {
      expect(role).toBe('raw')
      expect(await sha256OfObject(scenario, bucket, key)).toBe(await sha256OfFile(cut))
    }
  } finally {
    await agent.stop()
  }
})

test('a wrong key is said in words and costs nothing', async () => {
  const scenario = await start()
  await simulate(scenario, '--runs', '1', '--pedestal-images', '0')
  const wrong = join(scenario.platform.home, 'wrong.key')
  writeFileSync(wrong, JSON.stringify({ ...scenario.key, secretAccessKey: 'x'.repeat(40) }), { mode: 0o600 })
  const place = [
    '-e',
    experiment,
    '--setup',
    'lime',
    '--series',
    'sim',
    '--server',
    scenario.platform.platformUrl,
    '--once',
  ]
  const refused = await runCygnet(['daq', 'watch', scenario.daq, ...place, '--key-file', wrong])
  expect(refused.code).not.toBe(0)
  expect(refused.stderr).toMatch(/key/i)
  expect(refused.stderr).not.toContain('x'.repeat(40))
  const accepted = await runCygnet(['daq', 'watch', scenario.daq, ...place, '--key-file', scenario.keyFile])
  expect(accepted.code, accepted.stderr).toBe(0)
})

const mayMount = process.getuid?.() === 0 && canMount()

test.skipIf(!mayMount)(
  `a full store is said, and the run arrives when there is room${mayMount ? '' : ' (skipped: needs root and mount)'}`,
  async () => {
    const home = mkdtempSync(join(tmpdir(), 'cygnet-full-'))
    const data = join(home, 'data')
    mkdirSync(data, { recursive: true })
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=270m', 'tmpfs', data])
    mounts.push(data)
    const scenario = await start(home)
    await simulate(scenario, '--runs', '1', '--pedestal-images', '0')
    const agent = keepAgent(scenario)
    try {
      await eventually('the trouble to be told', async () => {
        const line = agent.lines.find((each) => each.event === 'trouble')
        return line && /full|space|room/i.test(`${String(line.detail)} ${String(line.hint)}`) ? line : undefined
      })
      const { faults } = await eventually('the fault on the page', async () => {
        const answer = await scenario.call<{ faults: { detail: string }[] }>('GET', `/api/experiments/${experiment}`)
        return answer.faults.length > 0 ? answer : undefined
      })
      expect(faults.map(({ detail }) => detail).join(' ')).toMatch(/full|space|room/i)
      execFileSync('mount', ['-o', 'remount,size=2g', data])
      const arrived = await eventually(
        'the run to be safe',
        async () => {
          const answer = await showRun(scenario, 'sim:1')
          return answer.files.length > 0 && answer.files.every((file) => file.state === 'safe') ? answer : undefined
        },
        180_000,
      )
      const raw = arrived.files.find((file) => file.role === 'raw')!
      expect(await sha256OfObject(scenario, raw.bucket, raw.key)).toBe(
        await sha256OfFile(join(scenario.daq, 'run00001.mid')),
      )
    } finally {
      await agent.stop()
    }
  },
)

function canMount(): boolean {
  const probe = mkdtempSync(join(tmpdir(), 'cygnet-mount-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', probe], { stdio: 'ignore' })
    execFileSync('umount', [probe])
    return true
  } catch {
    return false
  }
}
