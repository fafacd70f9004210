/**
 * The thread in which simulated worlds run. Its timers, clocks, chance, network, disk and databases are the world's
 * before the first module of a room is loaded: the rooms run as they are, nothing in them knows of this.
 */
import * as crypto from 'node:crypto'
import * as childProcess from 'node:child_process'
import * as fs from 'node:fs'
import * as fsPromises from 'node:fs/promises'
import * as http from 'node:http'
import * as https from 'node:https'
import { registerHooks, stripTypeScriptTypes } from 'node:module'
import * as os from 'node:os'
import * as sqlite from 'node:sqlite'
import * as timersPromises from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parentPort, workerData } from 'node:worker_threads'
import { spawnSimulated } from './children.ts'
import { simulatedFetch, simulatedRequest } from './clients.ts'
import { simulatedFileSystem } from './file-system.ts'
import { beginSimulation, type Mutant, type Scenario, type SeedResult, type Simulation } from './simulation.ts'
import { simulatedGlobals } from './timers.ts'
import { DeadProcess } from './world.ts'

const { scenarioUrl, seeds, mutant } = workerData as { scenarioUrl: string; seeds: number[]; mutant?: Mutant }
const sourceUrl = new URL('../../', import.meta.url).href
const ownUrl = new URL('./', import.meta.url).href

let simulation: Simulation = beginSimulation(0)
const isInside = (): boolean => simulation.world.process() !== undefined

type Exports = Record<string, unknown>
type AnyFunction = (...given: unknown[]) => unknown

/** A module's exports with some of them played by the world whenever one of its processes asks. */
function played(real: Exports, make: (of: Simulation) => Exports): Exports {
  let of: Simulation | undefined
  let made: Exports = {}
  const current = (): Exports => {
    if (of !== simulation) made = make((of = simulation))
    return made
  }
  const names = Object.keys(current())
  const wrapped = names.map((name) => {
    const call: AnyFunction = (...given) => ((isInside() ? current() : real)[name] as AnyFunction)(...given)
    return [name, call] as const
  })
  return { ...real, ...Object.fromEntries(wrapped) }
}

const globals = simulatedGlobals(() => simulation.world)
class NoAgent {
  destroy(): void {}
}
function DatabaseOfWorld(path: string, options: object): object {
  return isInside() ? simulation.databases.open(path) : new sqlite.DatabaseSync(path, options)
}

const modules: Record<string, Exports> = {
  'node:fs': played(fs, ({ world }) => simulatedFileSystem(world).plain),
  'node:fs/promises': played(fsPromises, ({ world }) => simulatedFileSystem(world).promises),
  'node:timers/promises': { ...timersPromises, setTimeout: globals.sleep, setImmediate: () => globals.sleep(0) },
  'node:http': { ...played(http, ({ network }) => ({ request: simulatedRequest(network) })), Agent: NoAgent },
  'node:https': { ...played(https, ({ network }) => ({ request: simulatedRequest(network) })), Agent: NoAgent },
  'node:child_process': played(childProcess, ({ world, programs }) => ({ spawn: spawnSimulated(world, programs) })),
  'node:crypto': played(crypto, ({ world }) => ({ randomBytes: (sizeBytes: number) => world.chance.bytes(sizeBytes) })),
  'node:os': played(os, ({ world }) => ({ hostname: () => world.requireProcess().machine.name })),
  'node:sqlite': { ...sqlite, DatabaseSync: DatabaseOfWorld },
}
Object.assign(globalThis, { cygnetSimulation: modules })

registerHooks({
  resolve(specifier, context, next) {
    const from = context.parentURL ?? ''
    const isRoom = from.startsWith(sourceUrl) && !from.startsWith(ownUrl)
    if (!isRoom || modules[specifier] === undefined) return next(specifier, context)
    return { url: `cygnet-simulated:${specifier}`, format: 'module', shortCircuit: true }
  },
  load(url, context, next) {
    if (url.startsWith('cygnet-simulated:')) {
      const name = url.slice('cygnet-simulated:'.length)
      const names = Object.keys(modules[name]!).filter((one) => one !== 'default' && one !== 'module.exports')
      const source = `export const { ${names.join(', ')} } = globalThis.cygnetSimulation[${JSON.stringify(name)}]`
      return { format: 'module', source, shortCircuit: true }
    }
    if (mutant === undefined || url !== new URL(mutant.file, sourceUrl).href) return next(url, context)
    return { format: 'module', source: stripTypeScriptTypes(mutated(fileURLToPath(url), mutant)), shortCircuit: true }
  },
})

function mutated(path: string, { edits }: Mutant): string {
  return edits.reduce(
    (text, { from, to }) => {
      if (text.split(from).length !== 2) throw new Error(`the mutant no longer fits ${path}: ${from}`)
      return text.replace(from, () => to)
    },
    fs.readFileSync(path, 'utf8'),
  )
}

const { timeout, digest, random, monotonicMs, sleep: _sleep, ...plain } = globals
const real = { setTimeout, clearTimeout }
Object.assign(globalThis, plain)
Math.random = random
AbortSignal.timeout = timeout
const define = (target: object, name: string, value: unknown): void =>
  void Object.defineProperty(target, name, { value, configurable: true, writable: true })
define(performance, 'now', monotonicMs)
define(globalThis.crypto.subtle, 'digest', digest)
const realFetch = fetch
define(globalThis, 'fetch', (...given: Parameters<typeof fetch>) =>
  isInside() ? simulatedFetch(simulation.network)(...given) : realFetch(...given),
)
const realPid = process.pid
Object.defineProperty(process, 'pid', { get: () => simulation.world.process()?.pid ?? realPid, configurable: true })
define(process, 'kill', (pid: number, signal: string | number = 'SIGTERM') => {
  const { world } = simulation
  const found = world.requireProcess().machine.processes.get(Math.abs(pid))
  if (found === undefined) throw Object.assign(new Error('kill ESRCH'), { code: 'ESRCH' })
  if (signal === 'SIGKILL') world.kill(found)
  else
    for (const heard of found.onSignal)
      world.after(world.chance.next(), `signal ${signal}`, () => heard(String(signal)), found)
  return true
})
process.on('unhandledRejection', (error) => {
  if (!(error instanceof DeadProcess)) throw error
})

const { scenario } = (await import(scenarioUrl)) as { scenario: Scenario }
const slow = real.setTimeout(() => {}, 2 ** 30)
await scenario.prepare?.(simulation)
for (const seed of seeds) {
  simulation = beginSimulation(seed)
  const { world } = simulation
  if (seeds.length === 1) world.kept = 1_000_000
  const outcome = await scenario.run(simulation).catch((error: unknown) => {
    world.violation(
      `the scenario itself failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    )
    return { acknowledged: 0, lost: 0, doubled: 0 }
  })
  const { violations, faults, steps, nowMs } = world
  const result: SeedResult = {
    seed,
    ...outcome,
    traceHash: world.traceHash(),
    steps,
    virtualMs: nowMs,
    faults,
    violations,
    recent: violations.length === 0 && seeds.length > 1 ? [] : world.recent,
  }
  // Whatever is left of this world never happens.
  for (const machine of world.machines.values()) for (const one of [...machine.processes.values()]) world.kill(one)
  simulation.databases.close()
  parentPort!.postMessage(result)
}
real.clearTimeout(slow)
parentPort!.close()
