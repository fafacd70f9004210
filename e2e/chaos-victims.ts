/** Finds who is to be killed, from outside: process records, claims of attempts, /proc. */
import {
  existsSync,
  mkdtempSync,
  chmodSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { VictimKind } from './chaos-plan.ts'
import type { Keeper } from './chaos-sessions.ts'
import type { World } from './chaos-world.ts'

export interface Victim {
  pid: number
  what: string
  /** Called right before the kill. */
  announce?: () => void
}

/** Somebody of that kind who lives now; undefined when there is nobody yet. */
export function findVictim(world: World, keepers: Keeper[], kind: VictimKind, dice: number): Victim | undefined {
  switch (kind) {
    case 'supervisor':
    case 'control':
      return living(world.platform.pidOf(kind), kind)
    case 'gateway': {
      const name = `gateway-${dice < 0.5 ? 1 : 2}`
      return living(world.platform.pidOf(name), name)
    }
    case 'agent': {
      const daq = world.daqs[dice < 0.6 ? 0 : 1]!
      const pid = daq.agent.pid()
      return pid === undefined ? undefined : living(pid, `agent ${daq.series}`)
    }
    case 'shim':
      return shimVictim(world, keepers, dice)
    case 'payload': {
      const own = attemptsOf(world).filter(({ jobId }) => !keepers.some((keeper) => keeper.jobId === jobId))
      const children = childrenOfAll()
      const inside = own.flatMap((attempt) => insideOf(attempt, children).map((pid) => ({ pid, what: attempt.name })))
      return pick(inside, dice)
    }
    case 'jupyter':
      return jupyterVictim(world, keepers, dice)
  }
}

function shimVictim(world: World, keepers: Keeper[], dice: number): Victim | undefined {
  const victims: Victim[] = []
  for (const { name, jobId, shimPid } of attemptsOf(world)) {
    const keeper = keepers.find((candidate) => candidate.jobId === jobId)
    if (keeper === undefined) victims.push({ pid: shimPid, what: name })
    // Rarely a session's: each costs a new JupyterLab.
    else if (!keeper.isSheltered && keeper.isBusy && dice > 0.85)
      return { pid: shimPid, what: `session ${name}`, announce: () => keeper.aim('session') }
  }
  return pick(victims, dice)
}

function jupyterVictim(world: World, keepers: Keeper[], dice: number): Victim | undefined {
  const ready = keepers.filter((keeper) => !keeper.isSheltered && keeper.isBusy && keeper.jobId !== undefined)
  const keeper = pick(ready, dice)
  const attempt = attemptsOf(world).find(({ jobId }) => jobId === keeper?.jobId)
  if (keeper === undefined || attempt === undefined) return undefined
  // Of the dice's finer digits, so that it does not follow the choice of the session.
  const what = (dice * 1000) % 1 < 0.4 ? 'kernel' : 'session'
  const mark = what === 'kernel' ? 'ipykernel_launcher' : 'jupyterlab'
  const pid = insideOf(attempt, childrenOfAll()).find(
    (candidate) => argumentsOf(candidate).includes(mark) && !isRelay(candidate),
  )
  if (pid === undefined) return undefined
  return {
    pid,
    what: `${what === 'kernel' ? 'kernel' : 'Jupyter server'} of ${attempt.name}`,
    announce: () => keeper.aim(what),
  }
}

const isRelay = (pid: number) => argumentsOf(pid).includes('relay.py')

interface Attempt {
  name: string
  jobId: string
  shimPid: number
  payloadPid: number | undefined
}

/** Attempts whose shim lives. */
export function attemptsOf({ platform }: World): Attempt[] {
  const folder = join(platform.home, 'jobs')
  const attempts: Attempt[] = []
  for (const name of readdirSync(folder).toSorted()) {
    const claim = join(folder, name, 'claim')
    if (existsSync(join(folder, name, 'done.json'))) continue
    const shimPid = pidIn(join(claim, 'shim.json'))
    if (shimPid === undefined) continue
    attempts.push({ name, jobId: name.split('.')[0]!, shimPid, payloadPid: pidIn(join(claim, 'payload.json')) })
  }
  return attempts
}

/** Of a process that lives and is the one that was written down: the number of a dead one is soon another's, or a thread's. */
function pidIn(path: string): number | undefined {
  try {
    const { pid, startTicks } = JSON.parse(readFileSync(path, 'utf8')) as { pid: number; startTicks: number }
    const behindName = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!
    return isAlive(pid) && Number(behindName.split(' ')[19]) === startTicks ? pid : undefined
  } catch {
    return undefined
  }
}

function childrenOfAll(): Map<number, number[]> {
  const children = new Map<number, number[]>()
  for (const name of readdirSync('/proc')) {
    const pid = Number(name)
    const parent = Number(statusLine(pid, 'PPid'))
    if (Number.isInteger(pid) && Number.isInteger(parent)) children.set(parent, [...(children.get(parent) ?? []), pid])
  }
  return children
}

/** The user's processes of an attempt: those in the sandbox's own pid namespace, its init aside. */
function insideOf({ payloadPid }: Attempt, children: Map<number, number[]>): number[] {
  if (payloadPid === undefined) return []
  const found: number[] = []
  const todo = [payloadPid]
  for (let pid = todo.pop(); pid !== undefined; pid = todo.pop()) {
    const spaces = statusLine(pid, 'NSpid').split(/\s+/)
    if (spaces.length > 1 && spaces.at(-1) !== '1') found.push(pid)
    todo.push(...(children.get(pid) ?? []))
  }
  return found
}

function statusLine(pid: number, name: string): string {
  if (!Number.isInteger(pid)) return 'NaN'
  try {
    const text = readFileSync(`/proc/${pid}/status`, 'utf8')
    return new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(text)?.[1] ?? 'NaN'
  } catch {
    return 'NaN'
  }
}

function argumentsOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
  } catch {
    return ''
  }
}

/** A zombie is nobody. */
export function isAlive(pid: number): boolean {
  return /^[^ZXN]/.test(statusLine(pid, 'State'))
}

const living = (pid: number, what: string): Victim | undefined => (isAlive(pid) ? { pid, what } : undefined)
const pick = <Item>(items: Item[], dice: number): Item | undefined => items[Math.floor(dice * items.length)]

/** The file by which a failpoint is armed while everything runs; whoever fires takes it away. */
export interface Arming {
  path: string
  arm(name: string): void
  /** Pid of the process that fired, once. */
  fired(): number | undefined
  /** False when it fired after all. */
  disarm(): boolean
  close(): void
}

export function openArming(): Arming {
  const folder = mkdtempSync(join(tmpdir(), 'cygnet-armed-'))
  // Gateways run as an account of their own.
  chmodSync(folder, 0o777)
  const path = join(folder, 'armed')
  return {
    path,
    arm(name) {
      writeFileSync(`${path}.new`, `${name}=kill`, { mode: 0o644 })
      renameSync(`${path}.new`, path)
    },
    fired() {
      const file = readdirSync(folder).find((name) => name.startsWith('armed.fired.'))
      if (file === undefined) return undefined
      rmSync(join(folder, file))
      return Number(file.split('.').at(-1))
    },
    disarm() {
      try {
        renameSync(path, `${path}.unfired`)
        return true
      } catch {
        return false
      }
    },
    close: () => rmSync(folder, { recursive: true, force: true }),
  }
}
