/**
 * A DAQ machine and a site under trouble: the DAQ writes runs, the real agent brings them to the store, the real control
 * turns them into runs of the logbook. In the end every file that is on the DAQ disk is in the store with its bytes and
 * belongs to one ended run; and the agent never said `safe` of one that was not.
 */
import { open, mkdir } from 'node:fs/promises'
import { migrate, openDatabase, transact } from '../foundation/database.ts'
import { openFacts } from '../foundation/facts.ts'
import { silentLogger } from '../foundation/log.ts'
import {
  beginMs,
  contentOf,
  disturb,
  type Machine,
  type Outcome,
  type Scenario,
  type SimulatedProcess,
  type Simulation,
} from '../foundation/simulation.ts'
import { systemClock } from '../foundation/time.ts'
import { logbookMigrations, openLogbook } from '../logbook/index.ts'
import { storageMigrations } from '../storage/index.ts'
import { runAgent } from './agent/agent.ts'
import { ingestMigrations } from './index.ts'
import { simulatedRunFormat } from './simulation-run-format.ts'
import { control, databasePath } from './simulation-site.ts'
import { createSimulatedStore } from './simulation-store.ts'

const troubleMs = 60_000
const patienceMs = 2 * 3_600_000
const folder = '/daq'
const log = silentLogger()
let content: string

export const scenario: Scenario = {
  async prepare({ world, databases }) {
    let made = false
    const process = world.start(world.machine('site'), 'migrate', async () => {
      const clock = systemClock()
      const database = await openDatabase({ url: `sqlite:${databasePath}` })
      await migrate(database, [storageMigrations, logbookMigrations, ingestMigrations])
      const facts = openFacts({ database, clock, log })
      const logbook = openLogbook({ database, facts, clock })
      const demo = { name: 'demo', title: 'Demo', template: 'single-setup' as const, setup: 'lime', series: 'sim' }
      await logbook.transact((trx) => logbook.createExperiment(trx, demo))
      // Where the follower of the store begins: nothing was stored yet.
      await transact(database, (trx) =>
        trx.insertInto('storage_change_cursor').values({ id: 1, epoch: 'one', sequence: 0, listing: null }).execute(),
      )
      made = true
    })
    await world.run(patienceMs, () => !process.alive)
    if (!made) throw new Error(`the tables were not made: ${world.recent.at(-1)}`)
    content = contentOf(databases.file('site', databasePath))
  },
  run: play,
}

async function play(simulation: Simulation): Promise<Outcome> {
  const { world, databases } = simulation
  const { chance } = world
  const site = world.machine('site')
  const daq = world.machine('daq')
  const file = databases.file('site', databasePath, content)
  const store = createSimulatedStore(simulation, chance.of(0.3) ? 0.2 : 0)
  const alive: SimulatedProcess[] = []
  daq.disk.makeFolders(folder)
  daq.disk.makeFolders('/etc')
  const key = daq.disk.create('/etc/daq.key', 0o600)
  key.bytes = Buffer.from(JSON.stringify({ accessKeyId: 'CYG', secretAccessKey: 'secret' }))
  for (const path of ['/', '/daq', '/etc', '/etc/daq.key']) daq.disk.sync(daq.disk.get(path, 'sync'), path)

  const keepRunning = (machine: Machine, name: string, main: () => Promise<number | void>): void => {
    const process = world.start(machine, name, main)
    alive.push(process)
    process.onGone.push(() =>
      world.after(chance.next() * 5000, `${name} again`, () => keepRunning(machine, name, main), 'nobody'),
    )
  }

  let runNumber = 0
  let wrote = 0
  /** A DAQ: one run after the other, synced when it is closed. */
  async function takeRuns(): Promise<void> {
    await mkdir(folder, { recursive: true })
    while (world.nowMs < troubleMs) {
      const number = (runNumber += 1)
      const name = `${folder}/run${String(number).padStart(5, '0')}`
      const handle = await open(`${name}.mid`, 'wx')
      await handle.writeFile(`begin ${number}\n`)
      for (let left = chance.between(0, 6); left > 0; left--) {
        await new Promise((resolve) => setTimeout(resolve, chance.next() * 3000))
        const sizeBytes = chance.of(0.03) ? 700_000 : chance.between(0, 200)
        await handle.writeFile(`event ${chance.next()} ${'x'.repeat(sizeBytes)}\n`)
      }
      if (chance.of(0.3)) {
        const sidecar = await open(`${name}.truth.json`, 'wx')
        await sidecar.writeFile(JSON.stringify({ number }))
        await sidecar.sync()
        await sidecar.close()
      }
      await handle.writeFile('end\n')
      await handle.sync()
      await handle.close()
      const directory = await open(folder)
      await directory.sync()
      await directory.close()
      wrote += 1
      await new Promise((resolve) => setTimeout(resolve, chance.next() * 10_000))
    }
    await new Promise(() => {})
  }

  async function agent(): Promise<void> {
    await runAgent({
      directory: folder,
      experiment: 'demo',
      setup: 'lime',
      series: 'sim',
      serverUrl: 'http://control',
      keyFile: '/etc/daq.key',
      version: 'simulated',
      idleMs: 10_000,
      partSizeBytes: 256 * 1024,
      signal: new AbortController().signal,
      log,
      format: simulatedRunFormat(),
      onEvent({ event, file: name }) {
        world.note(`agent says ${event} ${name ?? ''}`)
        if (event === 'safe' && !isStored(name!)) world.violation(`the agent said safe of ${name}, which is not`)
      },
    })
  }

  const onDisk = (): string[] => daq.disk.readFolder(folder).filter((name) => name.startsWith('run'))
  const isStored = (name: string): boolean =>
    store.objects.get(`lime/sim/${name}`)?.bytes.equals(daq.disk.get(`${folder}/${name}`, 'read').bytes) ?? false
  /** A manager looks now and then and removes what the store got wrong, once the page says so. */
  const manage = (): void =>
    void world.after(
      20_000,
      'the manager looks',
      () => {
        for (const name of onDisk()) {
          const place = `lime/sim/${name}`
          const row = file.prepare('select state from logbook_run_file where key = ?').get(place)
          if (store.objects.has(place) && !isStored(name) && row?.state === 'damaged') store.remove(place)
        }
        manage()
      },
      'nobody',
    )

  keepRunning(site, 'control', () => control(simulation, store))
  keepRunning(site, 'store', () => store.main())
  keepRunning(daq, 'daq', takeRuns)
  keepRunning(daq, 'agent', agent)
  manage()
  disturb(simulation, {
    untilMs: troubleMs,
    victims: () => alive.filter(({ alive: lives }) => lives),
    machines: [site, daq],
    clocks: true,
    power: true,
    disks: true,
    network: true,
    stops: true,
    everyMs: 3000,
  })
  // Somebody sets the clocks right.
  world.after(
    troubleMs + 5000,
    'clocks are right',
    () => {
      for (const machine of [site, daq]) machine.setClock(Math.floor(beginMs + world.nowMs))
    },
    'nobody',
  )

  const runs = () =>
    file
      .prepare("select number, state from logbook_run where state in ('closed', 'crashed')")
      .all()
      .map(({ number }) => Number(number))
  const filesSafe = (names: string[]): number => {
    const rows = file.prepare("select key from logbook_run_file where state = 'safe'").all()
    const safe = new Set(rows.map((row) => String(row.key)))
    return names.filter((name) => safe.has(`lime/sim/${name}`)).length
  }
  const safeOfAgent = (names: string[]): number => {
    const records = new Set(daq.disk.readFolder(`${folder}/.cygnet`))
    return names.filter((name) => records.has(`${name.replace(/\.mid$/, '')}.safe.json`)).length
  }
  const waiting = (): number =>
    Number(file.prepare("select count(*) as n from background_job where state in ('waiting', 'running')").get()?.n)
  const isDone = (): boolean => {
    if (world.nowMs < troubleMs + 20_000) return false
    const names = onDisk()
    const ended = new Set(runs())
    // Of a file that a power cut took from the DAQ disk there may be more in the store and in the logbook.
    const numbers = names.filter((name) => name.endsWith('.mid')).map((name) => Number(name.slice(3, 8)))
    return (
      names.every(isStored) &&
      filesSafe(names) === names.length &&
      numbers.every((number) => ended.has(number)) &&
      safeOfAgent(names) === names.length &&
      waiting() === 0
    )
  }
  let lookedMs = 0
  const ended = await world.run(patienceMs, () => world.nowMs - lookedMs > 1000 && ((lookedMs = world.nowMs), isDone()))
  const names = onDisk()
  const missing = names.filter((name) => !isStored(name))
  if (!ended) {
    const states = file.prepare('select key, state, reason from logbook_run_file').all()
    world.violation(
      `it does not come to rest: not stored ${missing.join(' ')}; ${runs().length} runs ended, files ${JSON.stringify(states.filter(({ state }) => state !== 'safe'))}, ${safeOfAgent(names)} of ${names.length} safe for the agent, ${waiting()} jobs`,
    )
  }
  const created = Map.groupBy(
    store.changes.filter(({ type }) => type === 'created'),
    ({ key: name }) => name,
  )
  const told = file
    .prepare("select subject from fact where kind = 'storage.object-created'")
    .all()
    .map(({ subject }) => String(subject))
  let doubled = 0
  for (const [name, made] of created) {
    const removed = store.changes.filter((change) => change.type === 'deleted' && change.key === name).length
    if (made.length > removed + 1) doubled += 1
    const facts = told.filter((subject) => subject === `${store.bucket}/${name}`).length
    if (ended && facts !== made.length) world.violation(`${made.length} objects ${name} made ${facts} facts`)
  }
  const rows = file
    .prepare('select number, count(*) as n from logbook_run group by series, number having count(*) > 1')
    .all()
  doubled += rows.length
  const closings = file
    .prepare("select subject, count(*) as n from fact where kind = 'logbook.run-closed' group by subject")
    .all()
  const mostClosings = Math.max(0, ...closings.map(({ n }) => Number(n)))
  if (mostClosings > 1 + store.changes.filter(({ type }) => type === 'deleted').length)
    world.violation(`a run was closed ${mostClosings} times`)
  if (doubled > 0) world.violation(`${doubled} files or runs are there twice`)
  if (missing.length > 0 && ended) world.violation(`lost: ${missing.join(' ')}`)
  return { acknowledged: wrote, lost: missing.length, doubled }
}
