import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { silentLogger } from '../foundation/log.ts'
import { isSameProcess, spawnDetached, type ProcessIdentity } from '../foundation/processes.ts'
import { temporaryDirectory } from '../foundation/testing.ts'
import { homeAt, type Home } from './home.ts'
import { superviseProcesses } from './supervisor.ts'

const sleeper = { name: 'sleeper', argv: ['/bin/sleep', '300'] }

async function preparedHome(): Promise<Home> {
  const home = homeAt((await temporaryDirectory()).path)
  mkdirSync(home.run, { recursive: true })
  mkdirSync(home.logs, { recursive: true })
  return home
}

function recordOf(home: Home): ProcessIdentity {
  return JSON.parse(readFileSync(join(home.run, 'sleeper.process.json'), 'utf8')) as ProcessIdentity
}

async function startedAfter(home: Home, previousPid: number): Promise<ProcessIdentity> {
  for (;;) {
    try {
      const record = recordOf(home)
      if (record.pid !== previousPid && isSameProcess(record)) return record
    } catch {
      // Not written yet.
    }
    await sleep(20)
  }
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
async function leftBehind(home: Home, argv: string[]): Promise<ProcessIdentity> {
  const running = await spawnDetached(argv)
  writeFileSync(join(home.run, 'sleeper.process.json'), JSON.stringify({ ...running, argv }))
  return running
}

test('a supervisor adopts what an earlier one left running', async () => {
  const home = await preparedHome()
  const running = await leftBehind(home, sleeper.argv)
  const supervisor = await superviseProcesses(home, [sleeper], silentLogger())
  await sleep(300)
  expect(recordOf(home)).toEqual({ ...running, argv: sleeper.argv })
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
