/**
 * Keeps the processes of one installation alive: control (the only writer of the database) and the gateways. A process
 * that ends is started again, at once the first time and then ever more slowly. The supervisor itself may be killed:
 * its processes go on, and the next supervisor adopts them by pid, start time and boot id.
 */
import { spawn } from 'node:child_process'
import { openSync, closeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { readJsonFile, writeFileDurable } from '../foundation/files.ts'
import { isSameProcess, processIdentity, type ProcessIdentity } from '../foundation/processes.ts'
import type { Logger } from '../foundation/log.ts'
import type { Home } from './home.ts'

const firstDelayMs = 50
const longestDelayMs = 5_000
/** A process that lived this long has recovered: its next end is again answered at once. */
const recoveredAfterMs = 10_000
const watchIntervalMs = 100

export interface ProcessPlan {
  name: string
  argv: string[]
}

interface Running extends ProcessIdentity {
  argv: string[]
}

export interface Supervisor {
  /** Ends the processes (control last) and forgets them. Running jobs and notebooks are not touched. */
  stop(): Promise<void>
}

export async function superviseProcesses(
  home: Home,
  plans: ProcessPlan[],
  log: Logger,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<Supervisor> {
  const stopping = new AbortController()
  const loops = plans.map((plan) => keepAlive(home, plan, log, environment, stopping.signal))
  return {
    async stop() {
      stopping.abort()
      for (const plan of plans.toReversed()) await stopProcess(home, plan.name)
      await Promise.all(loops)
    },
  }
}

async function keepAlive(
  home: Home,
  plan: ProcessPlan,
  log: Logger,
  environment: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<void> {
  let delayMs = firstDelayMs
  let running = await adopt(home, plan, log)
  while (!signal.aborted) {
    const startedMs = Date.now()
    running ??= await start(home, plan, environment)
    await ended(running, signal)
    if (signal.aborted) return
    delayMs = Date.now() - startedMs > recoveredAfterMs ? firstDelayMs : Math.min(delayMs * 2, longestDelayMs)
    log.warn({ process: plan.name, pid: running.pid, delayMs }, `${plan.name} ended; starting it again`)
    running = undefined
    await pause(delayMs, signal)
  }
}

/** A process left by an earlier supervisor is kept when it runs the same command, and replaced when it does not. */
async function adopt(home: Home, plan: ProcessPlan, log: Logger): Promise<Running | undefined> {
  const record = await readJsonFile<Running>(recordPath(home, plan.name))
  if (!record || !isSameProcess(record)) return undefined
  if (JSON.stringify(record.argv) === JSON.stringify(plan.argv)) {
    log.info({ process: plan.name, pid: record.pid }, `${plan.name} still runs; adopted`)
    return record
  }
  await stopProcess(home, plan.name)
  return undefined
}

async function start(home: Home, plan: ProcessPlan, environment: NodeJS.ProcessEnv): Promise<Running> {
  const output = openSync(join(home.logs, `${plan.name}.log`), 'a', 0o600)
  const [program, ...rest] = plan.argv
  const child = spawn(program!, rest, { detached: true, stdio: ['ignore', output, output], cwd: '/', env: environment })
  closeSync(output)
  child.on('error', () => {})
  child.unref()
  const identity = child.pid === undefined ? undefined : processIdentity(child.pid)
  const running = { ...(identity ?? { pid: -1, startTicks: '0', bootId: '' }), argv: plan.argv } as Running
  await writeFileDurable(recordPath(home, plan.name), JSON.stringify(running), { mode: 0o600 })
  return running
}

async function ended(running: Running, signal: AbortSignal): Promise<void> {
  while (!signal.aborted && isSameProcess(running)) await pause(watchIntervalMs, signal)
}

/** SIGTERM, ten seconds to finish what is in hand, then SIGKILL. */
async function stopProcess(home: Home, name: string): Promise<void> {
  const record = await readJsonFile<Running>(recordPath(home, name))
  if (!record || !isSameProcess(record)) return
  process.kill(record.pid, 'SIGTERM')
  const deadlineMs = Date.now() + 10_000
  while (isSameProcess(record)) {
    if (Date.now() > deadlineMs) process.kill(record.pid, 'SIGKILL')
    await sleep(20)
  }
}

function recordPath(home: Home, name: string): string {
  return join(home.run, `${name}.process.json`)
}

/** Waits, or less when the signal comes; never rejects. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {})
}
