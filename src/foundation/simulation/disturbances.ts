/** Trouble for a while: what chance does to a simulated world until its scenario lets it rest. */
import type { Simulation } from './simulation.ts'
import type { Machine, SimulatedProcess } from './world.ts'

export interface Disturbances {
  /** Trouble ends here, in virtual milliseconds. */
  untilMs: number
  /** Processes that may be killed or stopped now. */
  victims(): SimulatedProcess[]
  machines: Machine[]
  clocks: boolean
  power: boolean
  disks: boolean
  network: boolean
  /** Processes may stand still (SIGSTOP, a page that has to be read) and go on as if nothing had been. */
  stops: boolean
  /** Mean time between two troubles. */
  everyMs: number
}

const hourMs = 3_600_000
const clockJumps = [-24 * hourMs, -hourMs, -300_000, 300_000, hourMs, 24 * hourMs]
/** The last second of a signed 32-bit clock. */
const end2038Ms = Date.UTC(2038, 0, 19, 3, 14, 7)

/** Makes trouble until `untilMs`, then puts everything right: lines, disks, clocks. Nobody is started again by it. */
export function disturb({ world, network }: Simulation, given: Disturbances): void {
  const { chance } = world
  const kinds: (() => void)[] = [killOne, killOne, killOne]
  if (given.clocks) kinds.push(moveClock)
  if (given.power) kinds.push(cutPower)
  if (given.disks) kinds.push(fillDisk, breakDisk)
  if (given.network) kinds.push(cutLine, loseMessages)
  if (given.stops) kinds.push(stopOne)
  const plan = (): void => {
    const inMs = -Math.log(1 - chance.next()) * given.everyMs
    if (world.nowMs + inMs >= given.untilMs) return
    world.after(
      inMs,
      'trouble',
      () => {
        chance.pick(kinds)()
        plan()
      },
      'nobody',
    )
  }
  plan()
  world.after(given.untilMs - world.nowMs, 'trouble is over', rest, 'nobody')

  function victim(): SimulatedProcess | undefined {
    const alive = given.victims().filter(({ alive: lives }) => lives)
    return alive.length === 0 ? undefined : chance.pick(alive)
  }
  /** At one of its next inputs or outputs, wherever that is. */
  function killOne(): void {
    const one = victim()
    if (one !== undefined) one.diesAfter = Math.min(one.diesAfter, chance.between(1, 40))
  }
  function stopOne(): void {
    const one = victim()
    if (one === undefined) return
    one.stoppedUntilMs = Math.max(one.stoppedUntilMs, world.nowMs + chance.between(1000, 90_000))
    world.fault(`${one.name} stands still for ${Math.round(one.stoppedUntilMs - world.nowMs)} ms`)
  }
  function moveClock(): void {
    const machine = chance.pick(given.machines)
    const way = chance.between(0, 8)
    if (way === 8) machine.setClock(end2038Ms)
    else if (way === 7) {
      machine.jumpClock(0, 100)
      world.after(chance.between(1000, 20_000), 'clock at its speed again', () => machine.jumpClock(0), 'nobody')
    } else machine.jumpClock(clockJumps[way % clockJumps.length]!)
  }
  function cutPower(): void {
    chance.pick(given.machines).cutPower()
  }
  function fillDisk(): void {
    const { disk, name } = chance.pick(given.machines)
    world.fault(`disk of ${name} full`)
    disk.full = true
    world.after(chance.between(1000, 30_000), 'room on the disk', () => (disk.full = false), 'nobody')
  }
  function breakDisk(): void {
    const { disk } = chance.pick(given.machines)
    disk.failing = 0.2
    world.after(chance.between(500, 5000), 'disk well again', () => (disk.failing = 0), 'nobody')
  }
  function cutLine(): void {
    network.line = chance.pick(['refused', 'silent'])
    world.fault(`line ${network.line}`)
    world.after(chance.between(100, 90_000), 'line up', () => (network.line = 'up'), 'nobody')
  }
  function loseMessages(): void {
    network.loss = 0.3
    network.duplicates = 0.2
    network.delayMs = chance.pick([5, 200, 3000])
    world.fault('bad line')
    world.after(chance.between(1000, 60_000), 'good line', calm, 'nobody')
  }
  function calm(): void {
    network.loss = 0
    network.duplicates = 0
    network.delayMs = 5
  }
  function rest(): void {
    calm()
    network.line = 'up'
    for (const { disk } of given.machines) {
      disk.full = false
      disk.failing = 0
    }
    // Who stands still wakes when it was to.
    for (const one of given.victims()) one.diesAfter = Infinity
  }
}
