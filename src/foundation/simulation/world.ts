/**
 * A simulated world: virtual time, machines with a wall clock and a disk each, processes on them that can be killed or
 * stopped at any of their awaits. One event happens at a time, and everything it wakes runs to its next await before the
 * next one: so a seed decides the whole history, and the same seed gives it again.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { createHash, type Hash } from 'node:crypto'
import { setImmediate as realTurn } from 'node:timers'
import type { DatabaseSync } from 'node:sqlite'
import { SimulatedDisk } from './disk.ts'
import { EventQueue } from './event-queue.ts'
import { chanceOf, type Chance } from './random.ts'

/** Everybody's wall clock stands here when a world begins. */
export const beginMs = Date.UTC(2026, 0, 1, 12)

export interface SimulatedProcess {
  pid: number
  name: string
  machine: Machine
  startTicks: number
  alive: boolean
  stoppedUntilMs: number
  /** Descriptors open for writing, as /proc shows them. */
  writing: Map<number, string>
  /** Called when the process is gone, however it went. */
  onGone: ((code: number) => void)[]
  onSignal: ((signal: string) => void)[]
  /** Handles of databases this process has in the middle of a transaction when it dies are rolled back. */
  databases: Set<DatabaseSync>
  /** What it does until its death: counts down at each of its I/Os; at zero it dies there. */
  diesAfter: number
}

interface Happening {
  atMs: number
  order: number
  label: string
  process: SimulatedProcess | undefined
  run(): void
  cancelled: boolean
}

export type Cancel = () => void

export class Machine {
  readonly name: string
  readonly world: World
  readonly disk: SimulatedDisk
  readonly processes = new Map<number, SimulatedProcess>()
  bootId: string
  #wallBaseMs = beginMs
  #wallSinceMs = 0
  #rate = 1

  constructor(name: string, world: World) {
    this.name = name
    this.world = world
    this.disk = new SimulatedDisk(this)
    this.bootId = `boot-1-of-${name}`
  }

  /** What its wall clock shows: may jump, and run at another speed. */
  wallMs(): number {
    return Math.floor(this.#wallBaseMs + (this.world.nowMs - this.#wallSinceMs) * this.#rate)
  }

  jumpClock(byMs: number, rate = 1): void {
    this.#wallBaseMs = this.wallMs() + byMs
    this.#wallSinceMs = this.world.nowMs
    this.#rate = rate
    this.world.fault(`clock of ${this.name} ${byMs >= 0 ? '+' : ''}${byMs} ms at speed ${rate}`)
  }

  setClock(toMs: number): void {
    this.jumpClock(toMs - this.wallMs())
  }

  /** The power goes: every process dies, and what was not synced is lost as far as chance wants. */
  cutPower(): void {
    this.world.fault(`power cut of ${this.name}`)
    for (const process of [...this.processes.values()]) this.world.kill(process)
    this.disk.losePower()
    this.bootId = `boot-${this.world.chance.between(2, 1_000_000)}-of-${this.name}`
  }
}

/** Thrown by a synchronous call of a process that is dead already: it can do nothing any more. */
export class DeadProcess extends Error {}

const anyId = /[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/g

const current = new AsyncLocalStorage<SimulatedProcess>()

export class World {
  readonly seed: number
  readonly chance: Chance
  readonly machines = new Map<string, Machine>()
  nowMs = 0
  faults = 0
  /** So many happenings are kept at least, for a report of what went wrong. */
  kept = 200
  readonly recent: string[] = []
  readonly violations: string[] = []
  #queue = new EventQueue<Happening>()
  #order = 0
  #pid = 100
  #steps = 0
  readonly #names = new Map<string, string>()
  readonly #trace: Hash = createHash('sha256')

  constructor(seed: number) {
    this.seed = seed
    this.chance = chanceOf(seed)
  }

  machine(name: string): Machine {
    let machine = this.machines.get(name)
    if (machine === undefined) this.machines.set(name, (machine = new Machine(name, this)))
    return machine
  }

  /** The process that is running now; undefined in the scenario itself. */
  process(): SimulatedProcess | undefined {
    return current.getStore()
  }

  requireProcess(): SimulatedProcess {
    const process = current.getStore()
    if (process === undefined) throw new Error('this is asked for outside of every simulated process')
    this.requireAlive(process)
    return process
  }

  requireAlive(process: SimulatedProcess | undefined): void {
    if (process !== undefined && !process.alive) throw new DeadProcess(`${process.name} is dead`)
  }

  start(machine: Machine, name: string, main: (process: SimulatedProcess) => Promise<number | void>): SimulatedProcess {
    const process: SimulatedProcess = {
      pid: (this.#pid += 1),
      name,
      machine,
      startTicks: Math.floor(this.nowMs / 10) + 1000,
      alive: true,
      stoppedUntilMs: 0,
      writing: new Map(),
      onGone: [],
      onSignal: [],
      databases: new Set(),
      diesAfter: Infinity,
    }
    machine.processes.set(process.pid, process)
    this.note(`start ${name}`)
    current.run(process, () => {
      void main(process).then(
        (code) => this.#gone(process, typeof code === 'number' ? code : 0),
        (error: unknown) => {
          if (!process.alive) return
          this.note(`${name} ended with ${error instanceof Error ? error.message : String(error)}`)
          this.#gone(process, 1)
        },
      )
    })
    return process
  }

  /** SIGKILL. */
  kill(process: SimulatedProcess): void {
    if (!process.alive) return
    this.note(`kill ${process.name}`)
    this.#gone(process, 137)
  }

  #gone(process: SimulatedProcess, code: number): void {
    if (!process.alive) return
    process.alive = false
    process.machine.processes.delete(process.pid)
    for (const database of process.databases) if (database.isTransaction) database.exec('rollback')
    for (const gone of process.onGone) current.exit(() => gone(code))
  }

  /** Plans something; the process it belongs to must live then. */
  after(
    delayMs: number,
    label: string,
    run: () => void,
    of: SimulatedProcess | 'nobody' | undefined = current.getStore(),
  ): Cancel {
    const process = of === 'nobody' ? undefined : of
    const happening: Happening = {
      atMs: this.nowMs + Math.max(0, delayMs),
      order: (this.#order += 1),
      label,
      process,
      run,
      cancelled: false,
    }
    this.#queue.push(happening)
    return () => {
      happening.cancelled = true
    }
  }

  /**
   * One input or output of the current process: takes a while, then `work` has its effect. The process may be killed
   * before it, or after it and before it hears of it.
   */
  io<Result>(label: string, work: () => Result, latencyMs = this.chance.next() * 2): Promise<Result> {
    const process = current.getStore()
    if (process !== undefined && !process.alive) return never()
    return new Promise<Result>((resolve, reject) => {
      this.after(latencyMs, label, () => {
        const dies = process !== undefined && (process.diesAfter -= 1) <= 0
        if (dies && this.chance.of(0.5)) return this.#dies(process, label)
        try {
          const result = work()
          if (dies) return this.#dies(process, label)
          resolve(result)
        } catch (error) {
          if (dies) return this.#dies(process, label)
          reject(error as Error)
        }
      })
    })
  }

  #dies(process: SimulatedProcess, label: string): void {
    this.fault(`${process.name} dies at ${label}`)
    this.kill(process)
  }

  /** Before a synchronous step of the current process, such as one statement: it may be killed here. */
  step(label: string): void {
    const process = current.getStore()
    this.requireAlive(process)
    if (process === undefined || (process.diesAfter -= 1) > 0) return
    this.#dies(process, label)
    throw new DeadProcess(`${process.name} died at ${label}`)
  }

  fault(what: string): void {
    this.faults += 1
    this.note(`fault: ${what}`)
  }

  violation(what: string): void {
    this.violations.push(what)
    this.note(`VIOLATION: ${what}`)
  }

  /** Into the history; part of what two runs of one seed must have in common. */
  note(what: string): void {
    const line = `${this.nowMs.toFixed(3)} ${what.replace(anyId, (id) => this.#nameOf(id))}`
    this.#trace.update(`${line}\n`)
    this.recent.push(line)
    if (this.recent.length > 2 * this.kept) this.recent.splice(0, this.kept)
  }

  /** Ids are made of more than the seed (one process of a machine never gives one twice): they get numbers. */
  #nameOf(id: string): string {
    let name = this.#names.get(id)
    if (name === undefined) this.#names.set(id, (name = `id${this.#names.size + 1}`))
    return name
  }

  /** Runs the world until `done` says so (asked between events), something went wrong, nothing is left to happen, or the time is over. */
  async run(untilMs: number, done: () => boolean): Promise<boolean> {
    await turn()
    while (!done() && this.violations.length === 0) {
      const happening = this.#queue.pop()
      if (happening === undefined) return false
      if (happening.atMs > untilMs) {
        this.#queue.push(happening)
        return false
      }
      const { process } = happening
      if (happening.cancelled || process?.alive === false) continue
      if (process !== undefined && process.stoppedUntilMs > happening.atMs) {
        this.#queue.push({ ...happening, atMs: process.stoppedUntilMs, order: (this.#order += 1) })
        continue
      }
      this.nowMs = Math.max(this.nowMs, happening.atMs)
      this.#steps += 1
      this.note(`${process === undefined ? '' : `${process.name}/${process.pid} `}${happening.label}`)
      if (process === undefined) current.exit(happening.run)
      else current.run(process, happening.run)
      await turn()
    }
    return true
  }

  get steps(): number {
    return this.#steps
  }

  traceHash(): string {
    return this.#trace.copy().digest('hex')
  }
}

/** Everything that a happening has woken runs to its next await. */
function turn(): Promise<void> {
  return new Promise((resolve) => realTurn(resolve))
}

export function never<Result>(): Promise<Result> {
  return new Promise<Result>(() => {})
}
