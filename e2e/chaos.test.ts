/**
 * Kill -9 of every kind of process, at random moments and at named failpoints, while runs, uploads, jobs, campaigns and
 * notebooks go on. Afterwards a checker proves from outside that nothing acknowledged is missing and nothing happened
 * twice. The seed decides all choices: CYGNET_CHAOS_SEED replays them, CYGNET_CHAOS_KILLS makes it longer. Every kill and
 * every acknowledgement stands in out/chaos-<seed>.jsonl.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { checkEverything, type Verdict } from './chaos-check.ts'
import { startJobs } from './chaos-jobs.ts'
import { carryOut, type Load, type Tally } from './chaos-kills.ts'
import { endProcessesOf } from './chaos-leftovers.ts'
import { isLong, leastPerKind, planOf, victimKinds } from './chaos-plan.ts'
import { startRuns } from './chaos-runs.ts'
import { keepSession } from './chaos-sessions.ts'
import { openArming } from './chaos-victims.ts'
import { openWorld, type World } from './chaos-world.ts'
import { startWriters } from './chaos-writers.ts'
import { campaignFailpoints } from './failpoints.ts'
import { eventually, logTails, startPlatform } from './platform.ts'
import { experiment, keepAgent, setUpExperiment } from './scenario.ts'

const seed = Number(process.env.CYGNET_CHAOS_SEED ?? process.env.CYGNET_SEED ?? 4)
const kills = Number(process.env.CYGNET_CHAOS_KILLS ?? 35)
/** Sessions that are killed, and one that must outlive everything around it. */
const hunted = ['hunted-1', 'hunted-2']
const sheltered = 'sheltered'

test(`${kills} kill -9 of everything, seed ${seed}`, { timeout: 600_000 + kills * 6_000 }, async () => {
  const home = mkdtempSync(join(tmpdir(), 'cygnet-chaos-'))
  writeFileSync(
    join(home, 'cygnet.yaml'),
    'compute:\n  cpuMilli: 6000\n  memoryMiB: 12000\nnotebooks:\n  memoryMiB: 512\n',
  )
  const arming = openArming()
  const environment = { CYGNET_TEST: '1', CYGNET_FAILPOINTS_FILE: arming.path }
  const platform = await startPlatform({ home, environment })
  let world: World | undefined
  let isGreen = false
  try {
    world = await openWorld({ seed, kills, platform, scenario: await setUpExperiment(platform) })
    const load = await startLoad(world, environment)
    const steps = planOf(seed, kills)
    const startedMs = performance.now()
    const tally = await carryOut(world, load, steps, arming)
    const tookSeconds = (performance.now() - startedMs) / 1000
    const verdict = await checkEverything(world, load)
    judge(world, tally, verdict)
    console.info(lineOf(tally, verdict, tookSeconds))
    isGreen = true
  } catch (error) {
    console.error(logTails(platform).slice(-20_000))
    console.error(`chaos seed ${seed}: see ${world?.logPath} and, for the state it left, ${home}`)
    throw error
  } finally {
    if (world !== undefined) world.isOver = true
    for (const daq of world?.daqs ?? []) await daq.agent.stop()
    await world?.supervised
    await platform.stop()
    arming.close()
    endProcessesOf(home)
    if (isGreen) rmSync(home, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })
  }
})

async function startLoad(world: World, environment: NodeJS.ProcessEnv): Promise<Load> {
  const { scenario } = world
  const setup = { name: 'lime-gz', title: 'The compressing DAQ', series: 'gz' }
  await scenario.call('POST', `/api/experiments/${experiment}/setups`, setup)
  for (const name of [...hunted, sheltered])
    await scenario.call('POST', '/api/experiments', { name, title: name, setup: 'none', series: name })
  const folder = join(world.platform.home, 'daq-gz')
  mkdirSync(folder)
  const second = { folder, setup: 'lime-gz', series: 'gz', flags: ['--compress'], environment }
  world.daqs.push(
    { folder: scenario.daq, series: 'sim', agent: keepAgent(scenario, { environment }) },
    { folder, series: 'gz', agent: keepAgent(scenario, second) },
  )
  const keepers = [keepSession(world, sheltered, true), ...hunted.map((name) => keepSession(world, name, false))]
  await eventually('the notebooks', async () => (keepers.every((keeper) => keeper.isBusy) ? true : undefined), 120_000)
  return {
    keepers,
    writers: startWriters(world, 3),
    jobs: startJobs(world),
    runs: startRuns(world, isLong(world.kills) ? 10 : 5),
  }
}

function judge(world: World, tally: Tally, verdict: Verdict): void {
  const problems = [...verdict.lost, ...verdict.doubled, ...verdict.wrong, ...world.violations]
  for (const problem of problems) world.record('PROBLEM', { problem })
  expect(problems, `seed ${seed}, ${world.logPath}`).toEqual([])
  // A campaign that did less than was planned has proved less than it says.
  expect(tally.kills).toBeGreaterThanOrEqual(kills)
  for (const kind of victimKinds)
    expect(tally.perKind[kind], `kills of ${kind}`).toBeGreaterThanOrEqual(leastPerKind(kills))
  expect(verdict.acknowledged).toBeGreaterThan(kills)
  if (!isLong(kills)) return expect(tally.failpoints.size).toBeGreaterThanOrEqual(4)
  expect(Object.keys(campaignFailpoints).filter((name) => !tally.failpoints.has(name))).toEqual([])
}

function lineOf({ kills: done, perKind, failpoints }: Tally, verdict: Verdict, tookSeconds: number): string {
  const kinds = victimKinds.map((kind) => `${kind}:${perKind[kind]}`).join(',')
  const fired = [...failpoints.values()].reduce((sum, count) => sum + count, 0)
  const { acknowledged, runs, results, jobs, kernels, lost, doubled, ledger } = verdict
  return [
    `campaign chaos seed=${seed} kills=${done} per-kind=${kinds} failpoints=${failpoints.size} at-failpoints=${fired}`,
    `acknowledged=${acknowledged} runs=${runs} results=${results} jobs=${jobs} kernels=${kernels} facts=${ledger.facts}`,
    `attempts=${ledger.attempts} intervals=${ledger.intervals} seconds=${Math.round(tookSeconds)}`,
    `lost=${lost.length} doubled=${doubled.length}`,
  ].join(' ')
}
