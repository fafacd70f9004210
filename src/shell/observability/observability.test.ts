/** What the status page says of a platform's state, and what it finds in the logs. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createLogger } from '../../foundation/log.ts'
import { temporaryDirectory } from '../../foundation/testing.ts'
import { concernsOf, type StatusFigures } from './concerns.ts'
import { recentTrouble } from './log-tail.ts'

const well: StatusFigures = {
  version: '1',
  nowMs: 0,
  startedMs: 0,
  processes: [{ name: 'control', pid: 1, startedMs: 0, memoryBytes: 1 }],
  processesWanted: 1,
  disk: { path: '/data', freeBytes: 50, totalBytes: 100 },
  storageLagChanges: 0,
  followers: [{ name: 'ingest', behind: 12, failing: null }],
  database: { kind: 'sqlite', sizeBytes: 1 },
  machine: {
    cpuMilli: { used: 0, total: 2000 },
    memoryMiB: { used: 0, total: 1000 },
    jobs: { waiting: 0, running: 0 },
  },
  agents: [],
  backgroundJobs: { waiting: 3, running: 1, dead: 0 },
  sandbox: { available: true, detail: '' },
  givenUp: [],
  recentTrouble: [],
}
const agent = {
  experiment: 'demo',
  name: 'daq1',
  state: 'working' as const,
  lastSeenMs: 0,
  waitingRuns: 0,
  trouble: '',
}

describe('what needs a look', () => {
  test('nothing on a platform that is well and busy', () => {
    expect(concernsOf({ ...well, agents: [agent] })).toEqual([])
  })

  test.each<[string, Partial<StatusFigures>, boolean, RegExp]>([
    ['a full disk', { disk: { path: '/data', freeBytes: 1, totalBytes: 100 } }, true, /full: \/data/],
    ['a nearly full disk', { disk: { path: '/data', freeBytes: 9, totalBytes: 100 } }, false, /nearly full/],
    ['a silent agent', { agents: [{ ...agent, state: 'silent' }] }, true, /silent: demo, daq1/],
    ['an agent in trouble', { agents: [{ ...agent, trouble: 'the key' }] }, false, /the key/],
    [
      'a failing follower',
      { followers: [{ name: 'reco', behind: 1, failing: 'no such table' }] },
      true,
      /no such table/,
    ],
    ['a slow follower', { followers: [{ name: 'reco', behind: 5000, failing: null }] }, false, /5000 behind/],
    ['a lagging logbook', { storageLagChanges: 5000 }, false, /5000 stored objects/],
    ['dead letters', { backgroundJobs: { waiting: 0, running: 0, dead: 2 } }, false, /2 background jobs/],
    ['no sandbox', { sandbox: { available: false, detail: 'install bubblewrap' } }, true, /no sandbox/],
    ['a missing process', { processesWanted: 3 }, true, /2 processes/],
    [
      'a gateway as root',
      { processes: [{ name: 'gateway-1', pid: 2, startedMs: 0, memoryBytes: 1, uid: 0 }] },
      false,
      /as root: gateway-1/,
    ],
  ])('%s', (_name, figures, grave, what) => {
    expect(concernsOf({ ...well, ...figures })).toEqual([
      { grave, what: expect.stringMatching(what) as string, hint: expect.stringMatching(/./) as string },
    ])
  })

  test('the gravest comes first', () => {
    const both = concernsOf({ ...well, backgroundJobs: { waiting: 0, running: 0, dead: 1 }, processesWanted: 2 })
    expect(both.map(({ grave }) => grave)).toEqual([true, false])
  })
})

test('the last troubles of all logs, newest first, with what they are found by; cut and foreign lines are passed over', async () => {
  const { path } = await temporaryDirectory()
  const log = createLogger({ process: 'control', destination: join(path, 'control.log') })
  log.info('nothing')
  log.child({ requestId: 'r-1' }).error({ err: new Error('disk gone') }, 'a request failed')
  log.child({ jobId: 'j-1' }).warn('slow')
  const old = '{"level":"error","time":"2020-01-01T00:00:00.000Z","msg":"long ago"}\n'
  await writeFile(join(path, 'gateway-1.log'), `{"level":"error","time":"20${'\n'}panic at line 3\n${old}`)
  const found = await recentTrouble(path, 10)
  expect(found.map(({ process, message }) => [process, message])).toEqual([
    ['control', 'slow'],
    ['control', 'a request failed: disk gone'],
    ['gateway-1', 'long ago'],
  ])
  expect(found[0]).toMatchObject({ jobId: 'j-1', level: 'warn' })
  expect(found[1]).toMatchObject({ requestId: 'r-1', level: 'error' })
  expect(await recentTrouble(path, 1)).toHaveLength(1)
})
