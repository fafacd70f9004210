/** What a scenario gets: a world and everything in it. One at a time in a thread. */
import type { Program } from './children.ts'
import { SimulatedDatabases } from './databases.ts'
import { SimulatedNetwork } from './network.ts'
import { World } from './world.ts'

export interface Simulation {
  world: World
  network: SimulatedNetwork
  databases: SimulatedDatabases
  /** What happens when a process spawns a command of this name. */
  programs: Map<string, Program>
}

/** What became of what the scenario promised to somebody. */
export interface Outcome {
  acknowledged: number
  lost: number
  doubled: number
}

export interface Scenario {
  /** Once in a thread, in a world of its own: what all seeds start from. */
  prepare?(simulation: Simulation): Promise<void>
  /** Plays one history to its end; what went wrong is told to `world.violation`. */
  run(simulation: Simulation): Promise<Outcome>
}

/** What one seed came to. */
export interface SeedResult extends Outcome {
  seed: number
  traceHash: string
  steps: number
  virtualMs: number
  faults: number
  violations: string[]
  /** The end of the history of a seed with violations; all of it when it is the only one. */
  recent: string[]
}

/** A change of the product that the simulation has to find: `from` must stand exactly once in the file. */
export interface Mutant {
  /** From `src/`. */
  file: string
  edits: { from: string; to: string }[]
  /** The search begins here; a seed that finds it soon keeps the short form short. */
  firstSeed?: number
  /** Only the long form looks for it. */
  onlyLong?: boolean
}

export function beginSimulation(seed: number): Simulation {
  const world = new World(seed)
  return { world, network: new SimulatedNetwork(world), databases: new SimulatedDatabases(world), programs: new Map() }
}
