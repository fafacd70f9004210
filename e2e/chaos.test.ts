/**
 * Kill -9 of every kind of process at random moments while runs stream in; afterwards a checker proves that nothing
 * acknowledged is missing and that every run was reconstructed exactly once. The seed is printed; set
 * CYGNET_CHAOS_SEED to replay its choices, CYGNET_CHAOS_KILLS for a longer campaign.
 */
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { cygnet, eventually, logTails, startPlatform } from './platform.ts'
import {
  keepAgent,
  setUpExperiment,
  sha256OfFile,
  sha256OfObject,
  showReconstruction,
  showRun,
  type Scenario,
} from './scenario.ts'

const victims = ['agent', 'gateway', 'control', 'shim'] as const
type Victim = (typeof victims)[number]

const seed = Number(process.env.CYGNET_CHAOS_SEED ?? Date.now() % 1_000_000)
const kills = Number(process.env.CYGNET_CHAOS_KILLS ?? 20)
const leastPerVictim = Math.floor(kills / 5)
/** 33 MB each, twice on the disk; a long campaign gets longer pauses instead of more of them. */
const runs = Math.min(100, Math.max(8, Math.ceil(kills / 2)))
const pauseSeconds = Math.max(0.5, kills / runs - 1.5)

test(
  `${kills} kill -9 during a stream of runs, seed ${seed}`,
  { timeout: 60_000 * Math.max(8, kills / 4) },
  async () => {
    const platform = await startPlatform()
    const random = generator(seed)
    const scenario = await setUpExperiment(platform)
    const agent = keepAgent(scenario)
    try {
      const detector = cygnet([
        ...[
          'daq',
          'simulate',
          '--dir',
          scenario.daq,
          '--runs',
          String(runs),
          '--images',
          '3',
          '--pedestal-images',
          '5',
          '--seed',
          String(seed),
        ],
        ...['--pace', '0.2', '--pause', String(pauseSeconds), '--json'],
      ])
      detector.stdout!.resume()
      detector.stderr!.resume()
      const written = new Promise<void>((done) => detector.once('exit', () => done()))

      const killed = await killAround(scenario, agent, random)
      await written
      expect(Math.min(...victims.map((victim) => killed[victim]))).toBeGreaterThanOrEqual(leastPerVictim)
      console.info(`chaos seed ${seed}: killed ${JSON.stringify(killed)}, ${runs + 1} runs`)

      for (let number = 1; number <= runs + 1; number++) await checkRun(scenario, number)
      const health = await fetch(`${platform.platformUrl}/api/health`)
      expect(health.status).toBe(200)
    } catch (error) {
      console.error(logTails(platform).slice(-20_000))
      throw error
    } finally {
      await agent.stop()
      await platform.stop()
    }
  },
)

async function killAround(scenario: Scenario, agent: { pid(): number | undefined }, random: () => number) {
  const killed: Record<Victim, number> = { agent: 0, gateway: 0, control: 0, shim: 0 }
  const total = () => Object.values(killed).reduce((sum, count) => sum + count, 0)
  while (total() < kills) {
    await sleep(200 + random() * 1_300)
    // Whoever lags behind comes first, so that each kind gets its share whatever the dice say.
    const choice = victims.filter((victim) => killed[victim] < leastPerVictim)
    const from = choice.length > 0 ? choice : victims
    const victim = from[Math.floor(random() * from.length)]!
    const pid = victim === 'shim' ? await runningShim(scenario) : pidOf(scenario, agent, victim, random)
    if (pid !== undefined && kill(pid)) killed[victim]++
  }
  return killed
}

function pidOf(
  { platform }: Scenario,
  agent: { pid(): number | undefined },
  victim: Victim,
  random: () => number,
): number | undefined {
  if (victim === 'agent') return agent.pid()
  return platform.pidOf(victim === 'control' ? 'control' : `gateway-${random() < 0.5 ? 1 : 2}`)
}

/** Waits for a job to be running and answers its shim; without runs left to reconstruct, asks for one again. */
async function runningShim(scenario: Scenario): Promise<number> {
  const folder = join(scenario.platform.home, 'jobs')
  let asked = 0
  return eventually('a running job', async () => {
    for (const attempt of readdirSync(folder)) {
      const claim = join(folder, attempt, 'claim', 'shim.json')
      if (!existsSync(claim) || existsSync(join(folder, attempt, 'done.json'))) continue
      const { pid } = JSON.parse(readFileSync(claim, 'utf8')) as { pid: number }
      if (isAlive(pid)) return pid
    }
    if (Date.now() - asked > 5_000) {
      asked = Date.now()
      await reconstructAgain(scenario)
    }
    return undefined
  })
}

async function reconstructAgain({ call }: Scenario): Promise<void> {
  const campaign = `again-${Date.now()}`
  const body = { series: 'sim', range: { from: 2, to: 3 }, campaign }
  await call('POST', '/api/experiments/demo/campaigns', { name: campaign }).catch(() => undefined)
  await call('POST', '/api/experiments/demo/reconstruction', body).catch(() => undefined)
}

/** Everything the platform promised about one run, looked at from outside. */
async function checkRun(scenario: Scenario, number: number): Promise<void> {
  const run = `sim:${number}`
  const detail = await eventually(
    `${run} closed and its files safe`,
    async () => {
      const answer = await showRun(scenario, run)
      const settled =
        answer.run.state === 'closed' &&
        answer.files.length === 2 &&
        answer.files.every((file) => file.state === 'safe')
      return settled ? answer : undefined
    },
    180_000,
  )
  expect(detail.run.images).toBe(detail.run.kind === 'pedestal' ? 5 : 3)
  for (const file of detail.files) {
    const original = await sha256OfFile(join(scenario.daq, file.key.slice(file.key.lastIndexOf('/') + 1)))
    expect(await sha256OfObject(scenario, file.bucket, file.key)).toBe(original)
    expect(file.sha256).toBe(original)
  }
  const { tasks, summaries } = await eventually(
    `${run} reconstructed`,
    async () => {
      const answer = await showReconstruction(scenario, run)
      return answer.tasks.length > 0 && answer.tasks.every((task) => task.state === 'done') ? answer : undefined
    },
    180_000,
  )
  const main = summaries.filter((summary) => summary.campaign === 'main')
  expect(main.length).toBe(detail.run.kind === 'pedestal' ? 0 : 1)
  expect(new Set(tasks.map((task) => task.id)).size).toBe(tasks.length)
  for (const { bucket, prefix, images } of main) {
    expect(images).toBe(3)
    const { items } = await scenario.call<{ items: { kind: string; name: string }[] }>(
      'GET',
      `/api/buckets/${bucket}/objects?prefix=${encodeURIComponent(`${prefix}/`)}`,
    )
    const names = items.filter(({ kind }) => kind === 'object').map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
    expect(names).toContain('clusters.parquet')
    expect(names).toContain('summary.json')
  }
}

function kill(pid: number): boolean {
  try {
    process.kill(pid, 'SIGKILL')
    return true
  } catch {
    return false
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** mulberry32: small, seeded, good enough to choose victims. */
function generator(state: number): () => number {
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
