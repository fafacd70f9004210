import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { silentLogger } from '../foundation/log.ts'
import { isSameProcess, spawnDetached, type ProcessIdentity } from '../foundation/processes.ts'
import { temporaryDirectory } from '../foundation/testing.ts'
import { homeAt, type Home } from './home.ts'
import { superviseProcesses, type ProcessState } from './supervisor.ts'

const sleeper = { name: 'sleeper', argv: ['/bin/sleep', '300'] }

async function preparedHome(): Promise<Home> {
  const home = homeAt((await temporaryDirectory()).path)
  mkdirSync(home.health, { recursive: true })
  mkdirSync(home.logs, { recursive: true })
  return home
}

function recordOf(home: Home, name = 'sleeper'): ProcessIdentity {
  return JSON.parse(readFileSync(join(home.run, `${name}.process.json`), 'utf8')) as ProcessIdentity
}

async function startedAfter(home: Home, previousPid: number, name = 'sleeper'): Promise<ProcessIdentity> {
  for (;;) {
    try {
      const record = recordOf(home, name)
      if (record.pid !== previousPid && isSameProcess(record)) return record
    } catch {
      // Not written yet.
    }
    await sleep(20)
  }
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(20)
}

test('a killed process is started again, and stop ends it', async () => {
  const home = await preparedHome()
  const supervisor = await superviseProcesses(home, [sleeper], silentLogger())
  const first = await startedAfter(home, 0)
  process.kill(first.pid, 'SIGKILL')
  const second = await startedAfter(home, first.pid)
  await supervisor.stop()
  expect(isSameProcess(second)).toBe(false)
})

/** What a supervisor that was killed leaves: a process that goes on, and its record. */
async function leftBehind(home: Home, argv: string[], name = 'sleeper'): Promise<ProcessIdentity> {
  const running = await spawnDetached(argv)
  writeFileSync(join(home.run, `${name}.process.json`), JSON.stringify({ ...running, argv }))
  return running
}

test('a supervisor adopts what an earlier one left running', async () => {
  const home = await preparedHome()
  const running = await leftBehind(home, sleeper.argv)
  const supervisor = await superviseProcesses(home, [sleeper], silentLogger())
  await until(() => supervisor.running('sleeper') !== undefined)
  expect(supervisor.running('sleeper')).toEqual({ ...running, argv: sleeper.argv })
  await supervisor.stop()
  expect(isSameProcess(running)).toBe(false)
})

test('a process of another version is replaced', async () => {
  const home = await preparedHome()
  const old = await leftBehind(home, ['/bin/sleep', '301'])
  const supervisor = await superviseProcesses(home, [sleeper], silentLogger())
  const replaced = await startedAfter(home, old.pid)
  expect(isSameProcess(old)).toBe(false)
  await supervisor.stop()
  expect(isSameProcess(replaced)).toBe(false)
})

test('after a death in the middle of a hand-over what is planned is adopted and nothing else is left', async () => {
  const home = await preparedHome()
  const old = await leftBehind(home, ['/bin/sleep', '301'])
  const next = await leftBehind(home, sleeper.argv, 'sleeper-next')
  const useless = await leftBehind(home, ['/bin/sleep', '302'], 'other')
  const supervisor = await superviseProcesses(home, [sleeper], silentLogger())
  await until(() => supervisor.running('sleeper') !== undefined)
  expect(supervisor.running('sleeper')?.pid).toBe(next.pid)
  // The old one was asked to drain (sleep knows no draining and ends), the third was ended.
  await until(() => !isSameProcess(old))
  expect(isSameProcess(useless)).toBe(false)
  await supervisor.stop()
})

test('a drained process of the very same version is left to end, not adopted', async () => {
  const home = await preparedHome()
  const drained = await leftBehind(home, sleeper.argv, 'sleeper-draining-1')
  const present = await leftBehind(home, sleeper.argv)
  const supervisor = await superviseProcesses(home, [sleeper], silentLogger())
  await until(() => supervisor.running('sleeper') !== undefined)
  expect(supervisor.running('sleeper')?.pid).toBe(present.pid)
  expect(isSameProcess(drained)).toBe(true)
  await supervisor.stop()
})

test('a torn record is no process, and a supervisor that gives up its processes leaves them running', async () => {
  const home = await preparedHome()
  writeFileSync(join(home.run, 'sleeper.process.json'), '{"pid":')
  const supervisor = await superviseProcesses(home, [sleeper], silentLogger())
  const running = await startedAfter(home, 0)
  await supervisor.abandon()
  expect(isSameProcess(running)).toBe(true)
  const next = await superviseProcesses(home, [sleeper], silentLogger())
  await until(() => next.running('sleeper')?.pid === running.pid)
  await next.stop()
})

/** Answers on the health socket of its own pid, as a gateway does. */
const answering = (home: Home) => ({
  name: 'gateway-1',
  argv: [
    process.execPath,
    '-e',
    `require('node:http').createServer((q, a) => a.end('serves')).listen('${home.health}/' + process.pid)`,
  ],
})

test('a process that runs but does not answer any more is replaced, and the reason is told', async () => {
  const home = await preparedHome()
  const told: ProcessState[][] = []
  const supervisor = await superviseProcesses(home, [answering(home)], silentLogger(), {
    health: { everyMs: 50, timeoutMs: 250, gatewayFailures: 3, controlFailures: 3 },
    onChange: (states) => told.push(states),
  })
  const first = await startedAfter(home, 0, 'gateway-1')
  // Before its first answer it is only starting.
  await until(() => supervisor.states()[0]!.answers)
  process.kill(first.pid, 'SIGSTOP')
  const second = await startedAfter(home, first.pid, 'gateway-1')
  expect(isSameProcess(first)).toBe(false)
  expect(told.flat().some(({ lastEnd }) => lastEnd?.reason === 'it did not answer any more')).toBe(true)
  await supervisor.stop()
  expect(isSameProcess(second)).toBe(false)
})

test('a process that ends again and again is named, and one that cannot be started kills no supervisor', async () => {
  const home = await preparedHome()
  const supervisor = await superviseProcesses(
    home,
    [{ name: 'ends', argv: ['/bin/true'] }, { name: 'absent', argv: ['/no/such/program'] }, sleeper],
    silentLogger(),
  )
  const stateOf = (name: string) => supervisor.states().find((state) => state.name === name)!
  await until(() => stateOf('ends').inTrouble && stateOf('absent').inTrouble)
  expect(stateOf('sleeper')).toMatchObject({ restarts: 0, inTrouble: false, lastEnd: null })
  await supervisor.stop()
})
