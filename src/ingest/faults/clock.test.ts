/** The wall clock of a DAQ machine that jumps: a real agent under libfaketime. Everything goes on as if nothing had been. */
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { expectAllSafe, openSite, startAgent, takeRuns } from './agent-process.ts'

const library = ['x86_64', 'aarch64']
  .map((machine) => `/usr/lib/${machine}-linux-gnu/faketime/libfaketimeMT.so.1`)
  .find((path) => existsSync(path))
const because = library === undefined ? ' [skipped: no libfaketime; apt-get install faketime]' : ''
const longMs = 600_000
const jumps =
  process.env.CYGNET_LONG === 'faults'
    ? ['-1d', '-3600', '+3600', '+1d', '@2038-01-19 03:14:08', '+0']
    : ['-1d', '@2038-01-19 03:14:08', '+0']

test.skipIf(library === undefined)(
  `runs go on to be sent, in order and once, whatever the clock of the DAQ machine shows${because}`,
  async () => {
    const site = await openSite()
    const stampPath = join(site.path, 'faketime')
    await writeFile(stampPath, '+0\n')
    const { serverUrl, keyFile } = site.platform
    const agent = startAgent(
      { directory: site.directory, serverUrl, keyFile },
      {
        environment: {
          LD_PRELOAD: library!,
          FAKETIME_TIMESTAMP_FILE: stampPath,
          FAKETIME_NO_CACHE: '1',
          DONT_FAKE_MONOTONIC: '1',
          FAKETIME_DONT_FAKE_MONOTONIC: '1',
          NO_FAKE_STAT: '1',
        },
      },
    )
    await agent.saw('watching')
    const numbers: number[] = []
    let lastMs = 0
    let moved = 0
    for (const jump of jumps) {
      await writeFile(stampPath, `${jump}\n`)
      await takeRuns(site.directory, 1)
      numbers.push(numbers.length + 1)
      await expectAllSafe(site, agent, numbers)
      const atMs = Number(agent.lines.at(-1)?.atMs)
      if (Math.abs(atMs - lastMs) > 3_000_000) moved += 1
      lastMs = atMs
    }
    expect(moved, 'the clock of the agent was really moved').toBeGreaterThanOrEqual(jumps.length - 1)
    expect(agent.lines.filter(({ event }) => event === 'trouble')).toEqual([])
    console.log(
      `campaign faults of the DAQ clock: faults=${jumps.length} acknowledged=${numbers.length} lost=0 doubled=0`,
    )
  },
  longMs,
)
