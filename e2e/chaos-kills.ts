/** Carries out the plan of a kill campaign, one victim after the other. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Jobs } from './chaos-jobs.ts'
import { isLong, victimKinds, type Step, type VictimKind } from './chaos-plan.ts'
import type { Runs } from './chaos-runs.ts'
import type { Keeper } from './chaos-sessions.ts'
import { findVictim, isAlive, type Arming } from './chaos-victims.ts'
import type { World } from './chaos-world.ts'
import type { Writers } from './chaos-writers.ts'
import { campaignFailpoints } from './failpoints.ts'

export interface Load {
  writers: Writers
  jobs: Jobs
  runs: Runs
  keepers: Keeper[]
}

export interface Tally {
  kills: number
  perKind: Record<VictimKind, number>
  /** How often each failpoint fired. */
  failpoints: Map<string, number>
}

const victimPatienceMs = 120_000
const failpointPatienceMs = 60_000

export async function carryOut(world: World, load: Load, steps: Step[], arming: Arming): Promise<Tally> {
  const perKind = Object.fromEntries(victimKinds.map((kind) => [kind, 0])) as Tally['perKind']
  const tally: Tally = { kills: 0, perKind, failpoints: new Map() }
  const count = (kind: VictimKind) => {
    tally.kills++
    perKind[kind]++
  }
  const unfired: Step[] = []
  for (const step of steps) {
    await sleep(step.pauseMs)
    const fired = step.failpoint !== undefined && (await atFailpoint(world, load, step, arming))
    if (fired !== false) {
      tally.failpoints.set(step.failpoint!, (tally.failpoints.get(step.failpoint!) ?? 0) + 1)
      count(fired)
      continue
    }
    if (step.failpoint !== undefined) unfired.push(step)
    await fromOutside(world, load, step)
    count(step.kind)
    if (step.number % 50 === 0) progress(world, tally, load)
  }
  for (const { failpoint, number } of unfired) world.record('unfired', { failpoint, step: number })
  // A failpoint that nobody passed in time (a busy machine) gets its kill beyond the plan.
  for (let round = 0; round < 3 && isLong(world.kills); round++)
    for (const name of Object.keys(campaignFailpoints).filter((each) => !tally.failpoints.has(each))) {
      const step = { number: world.kills + 1, kind: campaignFailpoints[name]!.victim, pauseMs: 0, dice: 0 }
      const fired = await atFailpoint(world, load, { ...step, failpoint: name }, arming)
      if (fired === false) continue
      tally.failpoints.set(name, 1)
      count(fired)
    }
  await world.supervised
  return tally
}

async function fromOutside(world: World, load: Load, step: Step): Promise<void> {
  const deadlineMs = performance.now() + victimPatienceMs
  if (step.kind === 'supervisor') await world.supervised
  let asked = 0
  for (;;) {
    const victim = findVictim(world, load.keepers, step.kind, step.dice)
    if (victim !== undefined) {
      const before = step.kind === 'supervisor' ? processesOf(world) : undefined
      victim.announce?.()
      world.killed.add(victim.pid)
      world.record('kill', { step: step.number, kind: step.kind, pid: victim.pid, what: victim.what })
      killNow(victim.pid)
      if (before !== undefined) world.supervised = superviseAgain(world, before)
      return
    }
    if (performance.now() > deadlineMs) throw new Error(`step ${step.number}: there is no ${step.kind} to kill`)
    if ((step.kind === 'shim' || step.kind === 'payload') && performance.now() - asked > 4_000) {
      asked = performance.now()
      void load.jobs.submit(3).catch((error: unknown) => world.violation(`a job was refused: ${String(error)}`))
    }
    await sleep(100)
  }
}

/** The kind that died there; false when nobody passed in time (it is then disarmed). */
async function atFailpoint(world: World, load: Load, step: Step, arming: Arming): Promise<VictimKind | false> {
  const name = step.failpoint!
  const { victim, stimulus } = campaignFailpoints[name]!
  const control = world.platform.pidOf('control')
  if (victim === 'supervisor') await world.supervised
  const before = processesOf(world)
  world.record('arm', { step: step.number, failpoint: name })
  arming.arm(name)
  const deadlineMs = performance.now() + failpointPatienceMs
  let stimulated = 0
  while (performance.now() < deadlineMs) {
    const pid = arming.fired()
    if (pid !== undefined) return died(pid)
    // Big runs take their time; small things are asked for again, as whoever should pass may just be dead.
    if (performance.now() - stimulated > (stimulus.endsWith('run') ? 12_000 : 4_000)) {
      stimulated = performance.now()
      void stimulate(world, load, stimulus).catch((error: unknown) =>
        world.violation(`a request was refused: ${String(error)}`),
      )
    }
    await sleep(30)
  }
  if (arming.disarm()) return false
  for (;;) {
    const pid = arming.fired()
    if (pid !== undefined) return died(pid)
    await sleep(30)
  }

  async function died(pid: number): Promise<VictimKind> {
    while (isAlive(pid)) await sleep(5)
    world.killed.add(pid)
    const kind =
      victim === 'gateway' && (pid === control || pid === world.platform.pidOf('control')) ? 'control' : victim
    world.record('kill', { step: step.number, kind, pid, failpoint: name })
    if (kind === 'supervisor') world.supervised = superviseAgain(world, before)
    return kind
  }
}

async function stimulate(
  world: World,
  load: Load,
  stimulus: (typeof campaignFailpoints)[string]['stimulus'],
): Promise<void> {
  switch (stimulus) {
    case 'run':
    case 'big-run':
    case 'compressed-run':
      return load.runs.want(stimulus)
    case 'job':
      return await load.jobs.submit(0.2)
    case 'campaign':
      return void (await load.runs.campaign())
    case 'study':
      return await load.runs.study()
    case 'gateway-death': {
      const pid = world.platform.pidOf('gateway-2')
      world.killed.add(pid)
      return killNow(pid)
    }
    case 'put':
    case 'multipart':
      return await load.writers.write(stimulus)
  }
}

const supervised = ['control', 'gateway-1', 'gateway-2'] as const

function processesOf(world: World): Map<string, number> {
  return new Map(supervised.map((name) => [name, world.platform.pidOf(name)]))
}

/** As an init system would: a new supervisor, again if it fails. What the old one kept alive must go on. */
async function superviseAgain(world: World, before: Map<string, number>): Promise<void> {
  for (let tries = 1; ; tries++) {
    await sleep(200)
    try {
      await world.platform.restart()
      break
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error)
      world.record('supervisor-did-not-start', { tries, text })
      if (tries === 10) return world.violation(`no supervisor started in ten tries: ${text}`)
    }
  }
  for (const [name, pid] of before)
    if (!world.killed.has(pid) && !isAlive(pid)) world.violation(`${name} (${pid}) did not outlive its supervisor`)
}

function killNow(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It ended by itself in this very moment.
  }
}

function progress(world: World, tally: Tally, { writers, jobs, runs }: Load): void {
  const { kills } = tally
  const done = `${kills}/${world.kills} kills, ${writers.acknowledged()} acknowledged, ${jobs.accepted.size} jobs`
  console.info(`chaos seed ${world.seed}: ${done}, ${runs.written.length} runs, ${world.violations.length} violations`)
}
