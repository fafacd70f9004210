/**
 * The supervisor dies in the middle of a hand-over. The next `cygnet up` takes it up and ends in one version, and who
 * asked something meanwhile has an answer. `CYGNET_LONG=upgrade` kills it at every step.
 */
import { existsSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openArming } from './chaos-victims.ts'
import { eventually, startPlatform, type RunningPlatform } from './platform.ts'
import { setUpExperiment, type Scenario } from './scenario.ts'
import { startTraffic } from './upgrade-traffic.ts'
import { otherVersion, type OtherVersion } from './upgrade-versions.ts'

const steps = [
  'hand-over.control-gone',
  'hand-over.arrived',
  ...(process.env.CYGNET_LONG === 'upgrade'
    ? ['hand-over.begun', 'hand-over.beside', 'hand-over.control-serves', 'hand-over.drained']
    : []),
]

const arming = openArming()
let platform: RunningPlatform
let scenario: Scenario
let other: OtherVersion
let first: string
beforeAll(async () => {
  platform = await startPlatform({ environment: { CYGNET_TEST: '1', CYGNET_FAILPOINTS_FILE: arming.path } })
  scenario = await setUpExperiment(platform)
  scenario.key = await scenario.call('POST', '/api/identity/access-keys', { label: 'person' })
  other = otherVersion('0.98.0')
  first = release().current
})
afterAll(async () => {
  await platform?.stop()
  arming.close()
  if (other) rmSync(other.folder, { recursive: true, force: true })
})

test.for(steps)('a supervisor that dies at %s', { timeout: 300_000 }, async (step) => {
  const before = release().current
  const traffic = startTraffic(scenario, step)
  arming.arm(step)
  // Once there and once back: no copy has to be made.
  const there = await other.run(
    before === first
      ? ['upgrade', '--home', platform.home, '--patience', '120']
      : ['upgrade', '--to', first, '--home', platform.home, '--patience', '120'],
  )
  expect(there.code, there.stderr).not.toBe(0)
  expect(arming.fired()).toBeDefined()
  await platform.restart()
  const after = release()
  expect(after.current).not.toBe(before)
  expect(after.switching).toBeNull()
  await eventually('only this version', async () => (strangers(after.current).length === 0 ? true : undefined))
  await eventually('three records', async () =>
    namesOf('.process.json').toSorted().join() === 'control,gateway-1,gateway-2' ? true : undefined,
  )
  expect(existsSync(join(platform.home, 'run', 'hand-over'))).toBe(false)
  await traffic.stop()
  console.info(
    `${step}: ${traffic.failures.length} refused, ${traffic.resets} reset, ${JSON.stringify(traffic.longestGapMs)}`,
  )
  expect(traffic.failures).toEqual([])
})

function release(): { current: string; switching: unknown } {
  return JSON.parse(readFileSync(join(platform.home, 'run', 'release.json'), 'utf8')) as {
    current: string
    switching: unknown
  }
}

function namesOf(suffix: string): string[] {
  return readdirSync(join(platform.home, 'run'))
    .filter((name) => name.endsWith(suffix))
    .map((name) => name.slice(0, -suffix.length))
}

/** Processes that run from a copy of another version. */
function strangers(version: string): string[] {
  const program = join(platform.home, 'program/')
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
      } catch {
        return ''
      }
    })
    .filter((line) => line.startsWith(program) && !line.startsWith(`${program}${version}/`))
}
