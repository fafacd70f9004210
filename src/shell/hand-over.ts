/**
 * From one version to another while people work. New gateways listen beside the old ones on the same ports; then
 * control, the one writer, is replaced while gateways hold requests; only when it serves do the old gateways stop
 * taking connections. Whatever fails before that leaves, or brings back, the version that ran, its database included.
 */
import { rm } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { writeFileDurable } from '../foundation/files.ts'
import type { Logger } from '../foundation/log.ts'
import { isSameProcess } from '../foundation/processes.ts'
import { copyFromBefore } from './database-copy.ts'
import { shellFaults } from './errors.ts'
import type { Home } from './home.ts'
import { lastWords, logEnd } from './last-words.ts'
import { movingConnections } from './moving-connections.ts'
import { gatewayHealthSocket, isHealthy } from './process-health.ts'
import {
  endProcess,
  forgetRecord,
  isAsPlanned,
  renameRecord,
  runningProcess,
  signalProcess,
  startProcess,
  type ProcessPlan,
  type ProcessRecord,
} from './process-records.ts'
import {
  arrivedAt,
  readRelease,
  returnedFrom,
  writeRelease,
  type How,
  type Migrated,
  type Switching,
} from './release.ts'
import { standbyVariable } from './standby.ts'
import type { Supervisor } from './supervisor.ts'
import { appliedMigrations, plansOf, restoreCopy } from './version-process.ts'

/** A new process must serve within this time. */
const servePatienceMs = 30_000
/** For requests that control has in hand. */
const controlGraceMs = 15_000
const lookEveryMs = 25

interface HandOverParts {
  home: Home
  log: Logger
  supervisor: Supervisor
  /** Of the version that runs. */
  plans: readonly ProcessPlan[]
  port: number | undefined
  listen: string | undefined
  environment: NodeJS.ProcessEnv
  tell(step: Step): void
}

export interface Step {
  step: 'checked' | 'gateways' | 'control' | 'served' | 'returning'
  detail: string
}

export interface Order {
  to: string
  how: How
  /** The database goes back to this copy on the way. */
  copy?: string
  servePatienceMs?: number | undefined
}

/**
 * Answers the plans of the version that runs now. Throws 'shell.switch_failed' with the reason when it is still (or
 * again) the one from before.
 */
export async function handOver(parts: HandOverParts, order: Order): Promise<ProcessPlan[]> {
  const { home, log, supervisor, tell } = parts
  const release = await readRelease(home)
  if (!release) throw shellFaults.switchFailed('It is not known which version runs here.')
  const plans = await plansOf(home, order.to, parts)
  tell({ step: 'checked', detail: `version ${order.to} can read the settings` })
  const resumed = release.switching?.to === order.to ? release.switching : null
  const switching = resumed ?? {
    to: order.to,
    how: order.how,
    startedMs: Date.now(),
    appliedBefore: await appliedMigrations(home, release.current),
  }
  await writeRelease(home, { ...release, switching })
  log.info({ from: release.current, to: order.to, resumed: resumed !== null }, 'hand-over begins')

  const [control, ...gateways] = plans as [ProcessPlan, ...ProcessPlan[]]
  const patienceMs = order.servePatienceMs ?? servePatienceMs
  const giveUp = async (reason: string) => {
    log.error({ reason, version: order.to }, 'hand-over failed; the version before it goes on')
    await writeRelease(home, returnedFrom({ ...release, switching: null }, order.to, Date.now(), reason))
    throw shellFaults.switchFailed(`Version ${order.to} did not serve: ${reason}`, {
      hint: `Version ${release.current} serves as before. Logs: ${home.logs}`,
    })
  }

  try {
    await Promise.all(gateways.map((plan) => startBeside(parts, plan, patienceMs)))
    await startStandby(parts, control, patienceMs)
  } catch (error) {
    await endNext(home, plans)
    return await giveUp((error as Error).message)
  }
  tell({ step: 'gateways', detail: `${gateways.length} new gateways serve beside the old` })

  const oldControl = parts.plans.find(({ name }) => name === 'control')!
  const replaced: Replaced = { database: undefined }
  await supervisor.letGo('control')
  try {
    await writeFileDurable(home.handOver, String(Date.now()))
    await replaceControl(parts, control, order, patienceMs, replaced)
  } catch (error) {
    const reason = (error as Error).message
    tell({ step: 'returning', detail: reason })
    const failed = await runningProcess(home, 'control')
    if (failed) await endProcess(failed)
    try {
      await bringBackDatabase(home, release.current, switching, replaced)
      supervisor.keep(oldControl)
      await untilControlServes(home)
    } finally {
      supervisor.keep(oldControl)
      await endNext(home, plans)
      await rm(home.handOver, { force: true })
    }
    return await giveUp(reason)
  }
  try {
    await rm(home.handOver, { force: true })
    const migrated = await migrationsSince(home, release.current, switching)
    tell({
      step: 'control',
      detail: `control serves${migrated ? `; ${migrated.applied.length} migrations applied` : ''}`,
    })
    await writeRelease(home, arrivedAt(release, order.to, { how: order.how, nowMs: Date.now(), migrated }))
  } catch (error) {
    // It serves; what could not be written down (a full disk) is taken up again by the next supervisor.
    supervisor.keep(control)
    throw error
  }
  await movingConnections(log, async () => {
    for (const { name } of parts.plans.filter((plan) => plan.name !== 'control')) {
      await supervisor.letGo(name)
      await supervisor.drain(name)
    }
    for (const { name } of gateways) await renameRecord(home, `${name}-next`, name).catch(() => {})
    await sleep(500)
  })
  tell({ step: 'served', detail: `version ${order.to} serves; the old gateways finish what they have` })
  return plans
}

/** Starts a gateway under a name of its own and waits until it serves. */
async function startBeside(parts: HandOverParts, plan: ProcessPlan, patienceMs: number): Promise<void> {
  const { home } = parts
  const recordName = `${plan.name}-next`
  const since = await logEnd(home, plan.name)
  const present = await runningProcess(home, recordName)
  if (present && !isAsPlanned(present, plan)) await endProcess(present)
  const running =
    present && isAsPlanned(present, plan)
      ? present
      : await startProcess(home, plan, { environment: parts.environment, recordName })
  const socket = gatewayHealthSocket(home, running.pid)
  if (await serves(running, socket, '/', patienceMs)) return
  throw new Error(`${plan.name} ${await whyNot(home, plan.name, running, since, patienceMs)}`)
}

/** The database as it was before a copy took its place. */
interface Replaced {
  database: string | undefined
}

/** A control that has loaded everything and waits for its turn; undefined when it runs already (a resumed hand-over). */
async function startStandby(parts: HandOverParts, plan: ProcessPlan, patienceMs: number): Promise<void> {
  const { home } = parts
  const present = await runningProcess(home, 'control')
  if (present && isAsPlanned(present, plan)) return
  await startBeside(parts, { ...plan, environment: { ...plan.environment, [standbyVariable]: '1' } }, patienceMs)
}

/** The old one finishes what it has in hand, the new one is called; the second time it ends is the last. */
async function replaceControl(
  { home, environment }: HandOverParts,
  plan: ProcessPlan,
  order: Order,
  patienceMs: number,
  replaced: Replaced,
): Promise<void> {
  const since = await logEnd(home, 'control')
  let running = await runningProcess(home, 'control')
  const standby = await runningProcess(home, 'control-next')
  if (running && !isAsPlanned(running, plan)) {
    await endProcess(running, controlGraceMs)
    running = undefined
  }
  if (order.copy !== undefined && !running) replaced.database = await restoreCopy(home, order.to, order.copy)
  if (!running && standby) {
    await renameRecord(home, 'control-next', 'control')
    signalProcess(standby, 'SIGUSR2')
    running = standby
  }
  for (let attempt = 1; ; attempt++) {
    running ??= await startProcess(home, plan, { environment })
    if (await serves(running, home.controlSocket, '/api/health', patienceMs)) return
    if (isSameProcess(running) || attempt === 2)
      throw new Error(`control ${await whyNot(home, 'control', running, since, patienceMs)}`)
    running = undefined
  }
}

/** `known`: the version that ran before; it reads what it wrote. */
export async function bringBackDatabase(
  home: Home,
  known: string,
  switching: Switching,
  replaced: Replaced = { database: undefined },
): Promise<void> {
  if (replaced.database !== undefined) return void (await restoreCopy(home, known, replaced.database))
  const migrated = await migrationsSince(home, known, switching)
  if (migrated === null) return
  if (migrated.copy === null) {
    throw shellFaults.switchFailed('The database was migrated, and the copy from before is not there.', {
      hint: `Only version ${switching.to} can read it: mend what keeps it from starting, then: cygnet up`,
    })
  }
  await restoreCopy(home, known, migrated.copy)
}

/** What a version applied to the database since the switch began; null if nothing. */
export async function migrationsSince(
  home: Home,
  version: string,
  { startedMs, appliedBefore }: Switching,
): Promise<Migrated | null> {
  if (appliedBefore === null) return null
  const now = (await appliedMigrations(home, version)) ?? []
  const applied = now.filter((name) => !appliedBefore.includes(name))
  if (applied.length === 0) return null
  return { applied, copy: await copyFromBefore(home, startedMs, appliedBefore) }
}

async function endNext(home: Home, gateways: readonly ProcessPlan[]): Promise<void> {
  for (const { name } of gateways) {
    const next = await runningProcess(home, `${name}-next`)
    if (next) await endProcess(next)
    await forgetRecord(home, `${name}-next`)
  }
}

/** False when it has ended or the time is over. */
async function serves(running: ProcessRecord, socket: string, path: string, patienceMs: number): Promise<boolean> {
  const deadlineMs = performance.now() + patienceMs
  while (isSameProcess(running)) {
    if (await isHealthy(socket, path, 2_000)) return true
    if (performance.now() > deadlineMs) return false
    await sleep(lookEveryMs)
  }
  return false
}

async function whyNot(home: Home, name: string, running: ProcessRecord, since: number, patienceMs: number) {
  const what = isSameProcess(running) ? `did not serve within ${patienceMs / 1000} s` : 'ended'
  return `${what}: ${await lastWords(home, name, since)}`
}

async function untilControlServes(home: Home): Promise<void> {
  const deadlineMs = performance.now() + servePatienceMs
  while (!(await isHealthy(home.controlSocket, '/api/health', 2_000)) && performance.now() < deadlineMs)
    await sleep(lookEveryMs)
}
