import { access, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Command } from 'commander'
import { expect, onTestFinished, test } from 'vitest'
import { createClient } from '../../foundation/client.ts'
import { createOutput } from '../../foundation/command-line.ts'
import { temporaryDirectory } from '../../foundation/testing.ts'
import { histogramRows, parseSelection, registerResultCommands } from './result-commands.ts'
import { openTestResults } from './testing.ts'

test('reco results prints a histogram, the cut flow, missing runs and the fit; reco export writes the rows', async () => {
  const { path } = await temporaryDirectory()
  const room = await openTestResults(path)
  onTestFinished(() => room.close())
  const spot = (event: number, cluster: number) => ({
    integralCounts: 9000 + 40 * ((event * 7 + cluster * 13) % 23),
    lengthPx: 40 + cluster,
  })
  await room.addRun(
    1,
    Array.from({ length: 20 }, (_, event) => [0, 1, 2, 3].map((cluster) => spot(event, cluster))),
  )
  await room.addRun(2)

  async function cygnet(...argv: string[]) {
    const said = { stdout: '', stderr: '' }
    const streams = {
      stdout: { write: (text: string) => (said.stdout += text) },
      stderr: { write: (text: string) => (said.stderr += text) },
    }
    const program = new Command().exitOverride()
    registerResultCommands(program.command('reco'), {
      client: (contract) => createClient(contract, { baseUrl: room.baseUrl }),
      output: createOutput({ json: argv.includes('--json'), ...streams }),
      home: path,
      profile: { name: 'test', platformUrl: room.baseUrl },
    })
    await program.parseAsync([...argv, '-e', 'demo'], { from: 'user' })
    return said
  }
  const exitCode = process.exitCode
  const shown = await cygnet(
    'reco',
    'results',
    'sim:1-2',
    '--quantity',
    'lengthPx',
    '--cut',
    'rms > 6',
    '--cut',
    'length < 43',
  )
  expect(shown.stdout).toMatch(/FROM +COUNT +LENGTHPX \[PX\]\n/)
  expect(shown.stdout).toMatch(/20 {2}█{50}\n/)
  expect(shown.stderr).toMatch(
    /60 of 80 clusters pass\.\n {2}80 left after \(rms > 6\) \(80 pass it alone\)\n {2}60 left after/,
  )
  expect(shown.stderr).toMatch(/1 runs, 20 images\nwithout results: 1\n {2}sim:2: not reconstructed in campaign 'main'/)

  const failed = await cygnet(
    'reco',
    'results',
    'sim',
    '--fit',
    'iron',
    '--low',
    '4000',
    '--high',
    '18000',
    '--cut',
    'run > 1',
    '--json',
  )
  expect(JSON.parse(failed.stdout)).toMatchObject({
    fit: { state: 'failed', reason: expect.stringMatching(/^only 0 entries/) },
  })
  expect(process.exitCode).toBe(1)
  process.exitCode = exitCode

  const out = join(path, 'spots.csv')
  expect(
    (await cygnet('reco', 'export', 'sim:1', '--columns', 'run,sc_length', '--cut', 'event == 3', '--out', out)).stderr,
  ).toContain('written to')
  expect(await readFile(out, 'utf8')).toBe('run,lengthPx\n1,40\n1,41\n1,42\n1,43\n')
  await expect(access(`${out}.part`)).rejects.toThrow()
  await expect(cygnet('reco', 'export', 'sim:2', '--out', out)).rejects.toMatchObject({ status: 404 })
  await expect(cygnet('reco', 'results', 'sim', '--cut', 'rmsCount > 1')).rejects.toMatchObject({
    code: 'reconstruction.unreadable_expression',
    hint: expect.stringContaining('rmsCounts'),
  })
})

test('runs are a number, a range or a whole series', () => {
  expect(parseSelection('sim')).toEqual({ series: 'sim' })
  expect(parseSelection('sim:7')).toEqual({ series: 'sim', from: 7, to: 7 })
  expect(parseSelection('sim:7-9')).toEqual({ series: 'sim', from: 7, to: 9 })
  expect(parseSelection('sim:9-7')).toEqual({ series: 'sim', from: 7, to: 9 })
  expect(() => parseSelection('7-9')).toThrow(/names no runs/)
  const histogram = {
    quantity: 'x',
    unit: '',
    low: 0,
    high: 2,
    counts: [1, 16],
    underflow: 0,
    overflow: 0,
    invalid: 0,
    mean: 1,
    rms: 1,
  }
  expect(histogramRows(histogram)).toEqual([
    { from: '0', count: 1, bar: '███▏' },
    { from: '1', count: 16, bar: '█'.repeat(50) },
  ])
})
