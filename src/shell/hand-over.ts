/**
 * From one version to another while people work. New gateways listen beside the old ones on the same ports; then
 * control, the one writer, is replaced while gateways hold requests; only when it serves do the old gateways stop
 * taking connections. Whatever fails before that leaves, or brings back, the version that ran, its database included.
 */
import { rm } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { failpoint } from '../foundation/failpoints.ts'
import { writeFileDurable } from '../foundation/files.ts'
import type { Logger } from '../foundation/log.ts'
import { isSameProcess } from '../foundation/processes.ts'
import { shellFaults } from './errors.ts'
import type { Home } from './home.ts'
import { bringBackDatabase, migrationsSince, type Replaced } from './hand-over-database.ts'
import { lastWords, logEnd } from './last-words.ts'
import { healthSocket, isHealthy } from './process-health.ts'
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
import { arrivedAt, readRelease, returnedFrom, writeRelease, type How } from './release.ts'
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
    ...(order.copy !== undefined && { copy: order.copy }),
  }
  await writeRelease(home, { ...release, switching })
  await failpoint('hand-over.begun')
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
    await endNext(parts, plans)
    return await giveUp((error as Error).message)
  }
  tell({ step: 'gateways', detail: `${gateways.length} new gateways serve beside the old` })
  await failpoint('hand-over.beside')

  const oldControl = parts.plans.find(({ name }) => name === 'control')!
  const replaced: Replaced = { database: undefined }
  /** Called first when the new control ends: should it do so again, the old one is loaded already. */
  const wayBack = prepared(parts, oldControl)
  await supervisor.letGo('control')
  try {
    await writeFileDurable(home.handOver, String(Date.now()))
    await replaceControl(parts, control, order, { patienceMs, replaced, onFirstEnd: () => void wayBack.start() })
    await wayBack.close()
  } catch (error) {
    const reason = (error as Error).message
    tell({ step: 'returning', detail: reason })
    const failed = await runningProcess(home, 'control')
    if (failed) await endProcess(failed)
    void wayBack.start()
    try {
      await bringBackDatabase(home, release.current, switching, replaced)
      await wayBack.call()
      supervisor.keep(oldControl)
      await untilControlServes(home)
    } finally {
      await wayBack.close()
      supervisor.keep(oldControl)
      await endNext(parts, plans)
      await rm(home.handOver, { force: true })
    }
    return await giveUp(reason)
  }
  try {
    await failpoint('hand-over.control-serves')
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
  await failpoint('hand-over.arrived')
  for (const { name } of parts.plans.filter((plan) => plan.name !== 'control')) {
    await supervisor.letGo(name)
    await supervisor.drain(name)
    await failpoint('hand-over.drained')
  }
  for (const { name } of gateways) await renameRecord(home, `${name}-next`, name).catch(() => {})
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
  const socket = healthSocket(home, running.pid)
  if (await serves(running, socket, '/', patienceMs)) return
  throw new Error(`${plan.name} ${await whyNot(home, plan.name, running, since, patienceMs)}`)
}

/** A control that has loaded everything and waits for its turn; undefined when it runs already (a resumed hand-over). */
async function startStandby(parts: HandOverParts, plan: ProcessPlan, patienceMs: number): Promise<void> {
  const { home } = parts
  const present = await runningProcess(home, 'control')
  if (present && isAsPlanned(present, plan)) return
  await startBeside(parts, { ...plan, environment: { ...plan.environment, [standbyVariable]: '1' } }, patienceMs)
}

/** A control in standby for the case that it is needed. */
function prepared({ home, environment }: HandOverParts, plan: ProcessPlan) {
  const recordName = 'control-back'
  let started: Promise<ProcessRecord | undefined> | undefined
  const start = () => {
    const waiting = { ...plan, environment: { ...plan.environment, [standbyVariable]: '1' } }
    return (started ??= startProcess(home, waiting, { environment, recordName }).catch(() => undefined))
  }
  return {
    start,
    /** It becomes control; when it cannot, the supervisor starts another. */
    async call() {
      const record = await start()
      if (!record || !(await serves(record, healthSocket(home, record.pid), '/', servePatienceMs))) return
      await renameRecord(home, recordName, 'control')
      signalProcess(record, 'SIGUSR2')
    },
    /** Ends it, unless it was called. */
    async close() {
      const waiting = (await started) && (await runningProcess(home, recordName))
      if (waiting) await endProcess(waiting)
      await forgetRecord(home, recordName)
    },
  }
}

interface Replacing {
  patienceMs: number
  replaced: Replaced
  onFirstEnd(): void
}

/** The old one finishes what it has in hand, the new one is called; the second time it ends is the last. */
async function replaceControl(
  { home, environment }: HandOverParts,
  plan: ProcessPlan,
  order: Order,
  { patienceMs, replaced, onFirstEnd }: Replacing,
): Promise<void> {
  const since = await logEnd(home, 'control')
  let running = await runningProcess(home, 'control')
  const standby = await runningProcess(home, 'control-next')
  if (running && !isAsPlanned(running, plan)) {
    await endProcess(running, controlGraceMs)
    running = undefined
    await failpoint('hand-over.control-gone')
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
    onFirstEnd()
  }
}

/** Those that took requests finish them, as any gateway that is replaced. */
async function endNext({ home, supervisor }: HandOverParts, plans: readonly ProcessPlan[]): Promise<void> {
  for (const { name } of plans) {
    const next = await runningProcess(home, `${name}-next`)
    const serving = next && name !== 'control' && (await isHealthy(healthSocket(home, next.pid), '/', 2_000))
    if (serving) await supervisor.drain(`${name}-next`)
    else if (next) await endProcess(next)
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
