/**
 * Keeps the processes of one installation alive: control (the only writer of the database) and the gateways. A process
 * that ends is started again, at once the first time and then ever more slowly; one that runs but does not answer any
 * more is replaced. The supervisor itself may be killed: its processes go on, and the next supervisor adopts them by
 * pid, start time and boot id.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { writeFileDurable } from '../foundation/files.ts'
import type { Logger } from '../foundation/log.ts'
import { isSameProcess } from '../foundation/processes.ts'
import type { Home } from './home.ts'
import { healthSocket, isHealthy, removeDeadHealthSockets } from './process-health.ts'
import {
  endProcess,
  forgetRecord,
  isAsPlanned,
  recordNames,
  renameRecord,
  runningProcesses,
  signalProcess,
  startProcess,
  unrecordedProcess,
  writeRecord,
  type ProcessPlan,
  type ProcessRecord,
} from './process-records.ts'

const firstDelayMs = 50
const longestDelayMs = 5_000
/** A process that lived this long has recovered: its next end is again answered at once. */
const recoveredAfterMs = 10_000
/** Started again as often as this within `troubleWindowMs`, it is in trouble and named. */
const troubleStarts = 5
const troubleWindowMs = 5 * 60_000
/** Longer than any request of a drained gateway may take and any websocket may stay (gateway.ts). */
const drainPatienceMs = 11 * 60_000

/** How often and how patiently processes are asked whether they still answer. */
interface HealthRules {
  everyMs: number
  timeoutMs: number
  /** Unanswered in a row before the process is replaced. */
  gatewayFailures: number
  /** Control is the one writer and has no second: it is given long. */
  controlFailures: number
}

const healthRules: HealthRules = { everyMs: 2_000, timeoutMs: 5_000, gatewayFailures: 4, controlFailures: 24 }
const watchIntervalMs = 100

export interface ProcessState {
  name: string
  pid: number | null
  /** It has answered since it was started, and was not found silent since. */
  answers: boolean
  /** Times it was started again in the last five minutes. */
  restarts: number
  /** Why the last one had to be started again. */
  lastEnd: { atMs: number; reason: string } | null
  inTrouble: boolean
}

export interface Supervisor {
  states(): ProcessState[]
  running(name: string): ProcessRecord | undefined
  /** Stops watching this process, which goes on. */
  letGo(name: string): Promise<void>
  /**
   * Watches it (again), from now on by this plan: what runs as planned is adopted, anything else is replaced. Nothing
   * changes for a process that is watched already.
   */
  keep(plan: ProcessPlan): void
  /** Asks a gateway to take no new connection, finish what it has, and end. Whoever supervises then sees to its end. */
  drain(name: string): Promise<void>
  /** Ends the processes (control last) and forgets them. Running jobs and notebooks are not touched. */
  stop(): Promise<void>
  /** Stops watching; the processes go on. */
  abandon(): Promise<void>
}

interface SupervisorOptions {
  environment?: NodeJS.ProcessEnv
  health?: HealthRules
  /** Processes that somebody else takes care of at first: neither kept nor ended. */
  leave?: readonly string[]
  /** Called after every change of a state. */
  onChange?: (states: ProcessState[]) => void
}

interface Keeper {
  plan: ProcessPlan
  stopping: AbortController
  loop: Promise<void>
  running: ProcessRecord | undefined
  answers: boolean
  ends: number[]
  lastEnd: ProcessState['lastEnd']
}

interface Context {
  home: Home
  log: Logger
  environment: NodeJS.ProcessEnv
  health: HealthRules
  changed(): void
}

export async function superviseProcesses(
  home: Home,
  plans: ProcessPlan[],
  log: Logger,
  options: SupervisorOptions = {},
): Promise<Supervisor> {
  const keepers = new Map<string, Keeper>()
  const states = () => [...keepers.values()].map(stateOf)
  const context: Context = {
    home,
    log,
    environment: options.environment ?? process.env,
    health: options.health ?? healthRules,
    changed: () => options.onChange?.(states()),
  }
  const letGo = async (name: string) => {
    const keeper = keepers.get(name)
    keepers.delete(name)
    keeper?.stopping.abort()
    await keeper?.loop
  }
  const keep = (plan: ProcessPlan) => {
    if (keepers.has(plan.name)) return
    const keeper: Keeper = {
      plan,
      stopping: new AbortController(),
      loop: Promise.resolve(),
      running: undefined,
      answers: false,
      ends: [],
      lastEnd: null,
    }
    keepers.set(plan.name, keeper)
    keeper.loop = keepAlive(context, keeper)
  }
  await settleOld(context, plans, options.leave ?? [])
  for (const plan of plans) keep(plan)
  return {
    states,
    running: (name) => keepers.get(name)?.running,
    letGo,
    keep,
    async drain(name) {
      const record = (await runningProcesses(home)).get(name)
      if (record) await drainGateway(context, name, record)
    },
    async stop() {
      for (const keeper of keepers.values()) keeper.stopping.abort()
      for (const keeper of keepers.values()) await keeper.loop
      const known = [...keepers].flatMap(([name, { running }]) => (running ? [[name, running] as const] : []))
      keepers.clear()
      await stopProcesses(home, new Map(known))
    },
    async abandon() {
      for (const name of [...keepers.keys()]) await letGo(name)
    },
  }
}

/** Ends every process of the home, control last; `known` are those whose record may be missing. */
export async function stopProcesses(home: Home, known: ReadonlyMap<string, ProcessRecord> = new Map()): Promise<void> {
  const running = new Map([...known, ...(await runningProcesses(home))])
  const names = [...running.keys()].filter((name) => name !== 'control')
  for (const name of [...names, ...(running.has('control') ? ['control'] : [])]) {
    await endProcess(running.get(name)!)
    await forgetRecord(home, name)
  }
}

/**
 * What an earlier supervisor left: processes of these plans are adopted, whatever name they are recorded under (it may
 * have died in the middle of a hand-over); gateways that are being drained are left to end; anything else is ended.
 */
async function settleOld(context: Context, plans: ProcessPlan[], leave: readonly string[]): Promise<void> {
  const { home, log } = context
  const running = await runningProcesses(home)
  await forgetDrained(home, running)
  await removeDeadHealthSockets(home)
  for (const plan of plans) {
    // One that is being drained may be of this very version (after a rollback), and takes no connections any more.
    const found = [...running].find(([name, record]) => isAsPlanned(record, plan) && !name.includes('-draining-'))
    if (!found || found[0] === plan.name) continue
    const present = running.get(plan.name)
    if (present) {
      await drainGateway(context, plan.name, present)
      running.delete(plan.name)
    }
    await renameRecord(home, found[0], plan.name)
    running.delete(found[0])
    running.set(plan.name, found[1])
  }
  for (const [name, record] of running) {
    if (plans.some((plan) => plan.name === name) || leave.includes(name)) continue
    // Of a hand-over that is taken up again.
    if (leave.length > 0 && name.endsWith('-next')) continue
    if (name.includes('-draining-')) {
      watchDrained(context, name, record)
      continue
    }
    log.info({ name: name, pid: record.pid }, `${name} is of no use any more; ending it`)
    await endProcess(record)
    await forgetRecord(home, name)
  }
}

/** Gateways that were drained and ended while nobody looked. */
async function forgetDrained(home: Home, running: ReadonlyMap<string, ProcessRecord>): Promise<void> {
  for (const name of await recordNames(home))
    if (name.includes('-draining-') && !running.has(name)) await forgetRecord(home, name)
}

async function drainGateway(context: Context, name: string, record: ProcessRecord): Promise<void> {
  const { home, log } = context
  const drainingName = `${name.replace(/-next$/, '')}-draining-${record.pid}`
  await renameRecord(home, name, drainingName)
  log.info({ name: name, pid: record.pid }, `${name} takes no new connections and ends when it has finished`)
  signalProcess(record, 'SIGUSR2')
  watchDrained(context, drainingName, record)
}

/** Nothing waits for it: it ends by itself, or at the end of our patience. */
function watchDrained({ home, log }: Context, name: string, record: ProcessRecord): void {
  const deadlineMs = Date.now() + drainPatienceMs
  const timer = setInterval(() => {
    if (isSameProcess(record)) {
      if (Date.now() > deadlineMs) signalProcess(record, 'SIGKILL')
      return
    }
    clearInterval(timer)
    log.info({ name: name, pid: record.pid }, `${name} has ended`)
    rm(healthSocket(home, record.pid), { force: true }).catch(() => {})
    forgetRecord(home, name).catch(() => {})
  }, 500).unref()
}

async function keepAlive(context: Context, keeper: Keeper): Promise<void> {
  const { log } = context
  const { plan } = keeper
  const { signal } = keeper.stopping
  let delayMs = firstDelayMs
  keeper.running = await adopt(context, plan).catch(() => undefined)
  while (!signal.aborted) {
    const startedMs = Date.now()
    let reason: string
    try {
      keeper.running ??= await startProcess(context.home, plan, {
        environment: context.environment,
        onRecordFailed: (error) => log.error({ err: error, name: plan.name }, 'its record could not be written'),
      })
      context.changed()
      reason = await endOf(context, keeper, keeper.running, signal)
    } catch (error) {
      // The supervisor outlives whatever the machine refuses (no memory, no file handles, a full disk).
      log.error({ err: error, name: plan.name }, `${plan.name} could not be started`)
      reason = `could not be started: ${(error as Error).message}`
    }
    if (signal.aborted) return
    const lived = Date.now() - startedMs
    delayMs = lived > recoveredAfterMs ? firstDelayMs : Math.min(delayMs * 2, longestDelayMs)
    const pid = keeper.running?.pid ?? null
    if (pid !== null) await rm(healthSocket(context.home, pid), { force: true }).catch(() => {})
    keeper.running = undefined
    keeper.answers = false
    keeper.lastEnd = { atMs: Date.now(), reason }
    keeper.ends = [...keeper.ends, Date.now()].filter((atMs) => atMs > Date.now() - troubleWindowMs)
    context.changed()
    log.warn({ name: plan.name, pid, delayMs, lived, reason }, `${plan.name} ended; starting it again`)
    await pause(delayMs, signal)
  }
}

/** A process left by an earlier supervisor is kept when it runs the same command, and replaced when it does not. */
async function adopt({ home, log }: Context, plan: ProcessPlan): Promise<ProcessRecord | undefined> {
  let record = (await runningProcesses(home)).get(plan.name)
  if (!record) {
    record = await unrecordedProcess(home, plan)
    if (record) await writeRecord(home, plan.name, record).catch(() => {})
  }
  if (!record) return undefined
  if (isAsPlanned(record, plan)) {
    log.info({ name: plan.name, pid: record.pid }, `${plan.name} still runs; adopted`)
    return record
  }
  await endProcess(record)
  return undefined
}

/** Resolves when the process has ended, by itself or because it did not answer any more, with the reason. */
async function endOf(context: Context, keeper: Keeper, running: ProcessRecord, signal: AbortSignal): Promise<string> {
  const { home, log, health } = context
  const { plan } = keeper
  const isControl = plan.name === 'control'
  const socket = isControl ? home.controlSocket : healthSocket(home, running.pid)
  const limit = isControl ? health.controlFailures : health.gatewayFailures
  const done = new AbortController()
  let hasAnswered = false
  let unanswered = 0
  let hung = false
  const asking = (async () => {
    while (!done.signal.aborted) {
      await pause(health.everyMs, done.signal)
      if (done.signal.aborted) return
      if (await isHealthy(socket, isControl ? '/api/health' : '/', health.timeoutMs)) {
        hasAnswered = true
        keeper.answers = true
        unanswered = 0
        continue
      }
      keeper.answers = false
      // Until its first answer it is starting, which may take as long as a migration takes.
      if (hasAnswered && ++unanswered >= limit && !done.signal.aborted) {
        log.error({ name: plan.name, pid: running.pid, unanswered }, `${plan.name} does not answer; replacing it`)
        hung = true
        signalProcess(running, 'SIGKILL')
      }
    }
  })()
  while (!signal.aborted && isSameProcess(running)) await pause(watchIntervalMs, signal)
  done.abort()
  await asking
  return hung ? 'it did not answer any more' : 'it ended'
}

function stateOf({ plan, running, answers, ends, lastEnd }: Keeper): ProcessState {
  const restarts = ends.filter((atMs) => atMs > Date.now() - troubleWindowMs).length
  return {
    name: plan.name,
    pid: running?.pid ?? null,
    answers,
    restarts,
    lastEnd,
    inTrouble: restarts >= troubleStarts,
  }
}

/** For who has no way to ask the supervisor: control's status page. Lost with a full disk, written at the next change. */
export async function writeStates(home: Home, states: ProcessState[]): Promise<void> {
  await writeFileDurable(supervisionPath(home), JSON.stringify(states), { mode: 0o600 })
}

export function supervisionPath(home: Home): string {
  return join(home.run, 'supervision.json')
}

/** Waits, or less when the signal comes; never rejects. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {})
}
