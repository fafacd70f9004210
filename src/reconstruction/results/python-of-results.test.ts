/** The lines that the page hands out, run as they are against real routes: they count what the page counts. */
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { temporaryDirectory } from '../../foundation/testing.ts'
import { openTestResults } from './testing.ts'
import { pythonOfResults } from './python-of-results.ts'
import { defaultResults } from './results-state.ts'

const python = process.env.CYGNET_TEST_PYTHON

test.skipIf(python === undefined)(
  'copied Python counts what the page counts [needs CYGNET_TEST_PYTHON with numpy]',
  async () => {
    const { path } = await temporaryDirectory()
    const room = await openTestResults(path)
    onTestFinished(() => room.close())
    for (const number of [1, 2, 3])
      await room.addRun(
        number,
        Array.from({ length: 9 }, (_, event) =>
          Array.from({ length: 7 }, (_, cluster) => ({
            rmsCounts: (event * 5 + cluster * 3 + number) % 13,
            lengthPx: 10 + ((event * 31 + cluster * 17 + number * 7) % 90),
            widthPx: 10,
            selected: (event + cluster) % 3 > 0,
          })),
        ),
      )
    const state = {
      ...defaultResults,
      cuts: 'rms > 3 and (selected or 20 < length < 50) and not run == 2',
      x: '0.152*length + atan2(1, sc_width)',
      y: 'min(rms, length, 8)',
    }
    const { series, from, to } = { series: 'sim', from: 1, to: 3 }
    const query = { series, from, to, cuts: state.cuts, quantity: state.x, bins: 12 }
    const { histogram, scanned } = await room.client.showHistogram({ params: { experiment: 'demo' }, query })
    const lines = pythonOfResults('demo', 'sim:1-3', state, { low: histogram.low, high: histogram.high, bins: 12 })
    await writeFile(join(path, 'token'), 'any')
    const profile = { url: room.baseUrl, s3Url: room.baseUrl, experiment: 'demo', token: join(path, 'token') }
    await writeFile(join(path, 'client.json'), JSON.stringify(profile))
    // Drawing is left out: the test's Python need not have matplotlib.
    const counting = lines.split('\n').filter((line) => !line.includes('plt'))
    const script = [...counting, 'import json', 'print(json.dumps([counts.tolist(), int(keep.sum())]))'].join('\n')
    const { stdout } = await promisify(execFile)(python!, ['-c', script], {
      env: {
        ...process.env,
        PYTHONPATH: join(import.meta.dirname, '../../../python/src'),
        CYGNET_CLIENT: join(path, 'client.json'),
      },
    })
    const [counts, kept] = JSON.parse(stdout) as [number[], number]
    expect(kept).toBe(scanned.passed)
    expect(kept).toBeGreaterThan(30)
    // numpy's last bin holds its upper edge.
    expect(counts).toEqual(histogram.counts)
  },
)
