import { spawnSync } from 'node:child_process'
import { readdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { temporaryDirectory } from '../../foundation/testing.ts'
import { sources } from './quantities.ts'
import { branchOf, rootWriter } from './root-rows.ts'
import { openTestResults } from './testing.ts'

const python = process.env.CYGNET_TEST_PYTHON
const hasUproot = python !== undefined && spawnSync(python, ['-c', 'import uproot']).status === 0
const params = { experiment: 'demo' }
/** Exports that have not ended have a folder for a moment only, so there is never one to be seen. */
const left = async () => (await readdir(tmpdir())).filter((name) => name.startsWith('cygnet-rows-'))

async function room() {
  const { path } = await temporaryDirectory()
  const results = await openTestResults(path)
  onTestFinished(() => results.close())
  for (const number of [1, 2])
    await results.addRun(
      number,
      Array.from({ length: 20 }, (_, event) =>
        Array.from({ length: 30 }, (_, cluster) => ({
          integralCounts: 1000 * number + 10 * event + cluster / 4,
          xMeanPx: 100 + cluster,
          thetaDeg: 30,
          selected: cluster % 2 === 0,
        })),
      ),
    )
  return { ...results, path }
}

test('branches have names of the reference, but for what depends on the axes; they are unique', () => {
  const named = (source: 'cluster' | 'event' | 'waveform') =>
    new Map(sources[source].quantities.map((quantity) => [quantity.name, branchOf(quantity)]))
  const cluster = named('cluster')
  expect(cluster.get('integralCounts')).toBe('sc_integral')
  expect(cluster.get('xMeanPx')).toBe('x_mean_px')
  expect(cluster.get('thetaDeg')).toBe('theta_deg')
  expect(cluster.get('run')).toBe('run')
  expect(named('waveform').get('totalCharge')).toMatch(/^pmt_/)
  for (const source of ['cluster', 'event', 'waveform'] as const) {
    const names = [...named(source).values()]
    expect(new Set(names).size).toBe(names.length)
  }
})

test('an export that is left, too large or empty leaves nothing on the disk', async () => {
  const { client, storage } = await room()
  const columns = sources.cluster.quantities.filter(({ name }) => name === 'run' || name === 'integralCounts')
  const batch = { rows: 3, values: [Float64Array.of(1, 1, 1), Float64Array.of(5, 6, 7)] }
  const sink = rootWriter(40).open(columns, { source: 'cluster' })
  for await (const _ of sink.rows(batch)) expect.unreachable()
  await expect(async () => {
    for await (const _ of sink.rows(batch)) expect.unreachable()
  }).rejects.toThrow('take fewer runs or columns')
  await sink.close!()
  const query = { series: 'sim', format: 'root' }
  const empty = await client.exportRows({ params, query: { ...query, cuts: 'integralCounts < 0' } })
  expect(
    Buffer.from(await empty.arrayBuffer())
      .subarray(0, 4)
      .toString(),
  ).toBe('root')
  const leaving = new AbortController()
  const begun = await client.exportRows({ params, query }, { signal: leaving.signal })
  leaving.abort()
  await expect(begun.arrayBuffer()).rejects.toThrow()
  await writeFile(storage.pathOf('demo-reco', 'main/sim/run00002/clusters.parquet'), 'PAR1 broken PAR1')
  await expect(client.exportRows({ params, query })).rejects.toMatchObject({ code: 'reconstruction.scan_failed' })
  await expect.poll(left).toEqual([])
})

const program = `
import json, sys, uproot
with uproot.open(sys.argv[1]) as file:
    tree = file['Clusters']
    rows = tree.arrays(library='np')
    print(json.dumps({'keys': sorted(k.split(';')[0] for k in file.keys()), 'title': tree.title, 'cuts': str(file['cygnet_cuts']),
      'types': [str(b.interpretation) for b in (tree['run'], tree['sc_integral'], tree['selected'])],
      'run': rows['run'].tolist(), 'integral': rows['sc_integral'].tolist(), 'selected': rows['selected'].tolist(), 'branches': len(tree.branches)}))`

test.skipIf(!hasUproot)(
  `uproot reads the selected rows${hasUproot ? '' : ' (SKIPPED: CYGNET_TEST_PYTHON names no Python with uproot)'}`,
  async () => {
    const { client, path } = await room()
    const query = { series: 'sim', format: 'root', cuts: 'selected and integralCounts > 1100' }
    const answer = await client.exportRows({ params, query })
    expect(answer.headers.get('content-disposition')).toContain('demo-sim-1-2-main-clusters.root')
    await writeFile(join(path, 'rows.root'), Buffer.from(await answer.arrayBuffer()))
    const read = spawnSync(python!, ['-c', program, join(path, 'rows.root')], { encoding: 'utf8' })
    expect(read.stderr).toBe('')
    const found = JSON.parse(read.stdout) as {
      keys: string[]
      title: string
      cuts: string
      types: string[]
      run: number[]
      integral: number[]
      selected: boolean[]
      branches: number
    }
    expect(found.keys).toEqual(
      expect.arrayContaining(['Clusters', 'cygnet_campaign', 'cygnet_cuts', 'cygnet_experiment', 'cygnet_runs']),
    )
    expect(found.title).toContain('x = column, y = row')
    expect(found.cuts).toBe(query.cuts)
    expect(found.types).toEqual(["AsDtype('>i4')", "AsDtype('>f4')", "AsDtype('bool')"])
    expect(found.branches).toBe(sources.cluster.quantities.length)
    const csv = await client.exportRows({
      params,
      query: { ...query, format: 'csv', columns: 'run,integralCounts,selected' },
    })
    const lines = (await csv.text()).trim().split('\n').slice(1)
    expect(found.run.map((run, row) => `${run},${found.integral[row]},${found.selected[row]}`)).toEqual(lines)
  },
)
