import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseCuts, sources } from '../contract.ts'
import { pythonOfResults } from './python-of-results.ts'
import {
  addressOfResults,
  cutOfRange,
  defaultResults,
  parseRunRange,
  queryOfResults,
  resultsOf,
  withCut,
} from './results-state.ts'
import type { ResultsState } from './results-state.ts'

const number = fc.option(
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0),
  { nil: undefined },
)
const text = fc.oneof(fc.string({ maxLength: 40 }), fc.constant('rmsCounts > 6 and 0.5 <= slimness & x%2 + 1 = 3'))
const sel = fc.constantFrom('', 'sim', 'sim:7', 'sim:1-20', 'lngs-2:42901-43000')
const states: fc.Arbitrary<ResultsState> = fc.record({
  sel,
  campaign: fc.constantFrom('main', 'low-gain', 'v7.3'),
  source: fc.constantFrom('cluster', 'event', 'waveform'),
  cuts: text,
  x: text,
  y: text,
  low: number,
  high: number,
  bins: fc.integer({ min: 1, max: 1000 }),
  yLow: number,
  yHigh: number,
  plane: fc.constantFrom('density', 'scatter'),
  fit: fc.constantFrom('none', 'iron', 'gaussian'),
  log: fc.boolean(),
  trend: fc.constantFrom('', 'summary', 'perImage', 'ironPeak'),
  over: fc.constantFrom('run', 'time'),
  by: fc.constantFrom('none', 'kind', 'source'),
  compare: fc.boolean(),
  otherSel: sel,
  otherCampaign: fc.constantFrom('', 'main', 'low-gain'),
  otherCuts: text,
})

/** As the address bar has it after the changes. */
function withQuery(search: string, changes: Record<string, string | undefined>): string {
  const query = new URLSearchParams(search)
  for (const [name, value] of Object.entries(changes))
    if (value === undefined) query.delete(name)
    else query.set(name, value)
  return query.toString()
}
const read = (search: string): ResultsState => resultsOf((name) => new URLSearchParams(search).get(name) ?? '')

test('every state survives the address bar and back', () => {
  fc.assert(
    fc.property(states, states, (state, before) => {
      const search = withQuery('', queryOfResults(state))
      expect(read(search)).toEqual(state)
      // Whatever stood there before.
      expect(read(withQuery(withQuery('', queryOfResults(before)), queryOfResults(state)))).toEqual(state)
      expect(read(addressOfResults('demo', state).split('?')[1] ?? '')).toEqual(state)
    }),
  )
  expect(withQuery('', queryOfResults(defaultResults))).toBe('')
  expect(addressOfResults('demo', {})).toBe('/e/demo/results')
})

test('an address that makes no sense shows the usual', () => {
  expect(
    read(
      'sel=../..&bins=-3&range=a..b&plane=cube&fit=&log=yes&trend=fate&table=x&sel2=!&campaign=%22)%0Aimport+os&campaign2=../x',
    ),
  ).toEqual(defaultResults)
  fc.assert(fc.property(fc.string(), (search) => void read(search)))
})

test('run ranges, ranges as cuts, and cuts joined to cuts', () => {
  expect(parseRunRange('sim:1-20')).toEqual({ series: 'sim', from: 1, to: 20 })
  expect(parseRunRange('sim:7')).toEqual({ series: 'sim', from: 7, to: 7 })
  expect(parseRunRange('sim:7-')).toBeUndefined()
  expect(cutOfRange('integralCounts', 4123.456, 9876.5)).toBe('4123 < integralCounts < 9877')
  expect(cutOfRange('a/b', 0.12345, 0.2)).toBe('0.1235 < (a/b) < 0.2')
  expect(withCut('', 'run > 1')).toBe('run > 1')
  expect(withCut('run > 3 or selected', 'run > 1')).toBe('(run > 3 or selected) and run > 1')
  const joined = withCut(withCut('rmsCounts > 6 or selected', '1 < run < 3'), '2 < lengthPx < 4')
  expect(parseCuts(joined, sources.cluster.quantities).cuts.map((cut) => cut.text)).toEqual([
    '(rmsCounts > 6 or selected)',
    '1 < run < 3',
    '2 < lengthPx < 4',
  ])
})

test('the Python lines read the needed columns and apply each cut', () => {
  const state = {
    ...defaultResults,
    cuts: 'rms > 6 and hypot(xmean-1152, ymean-1152) < 800',
    x: '0.152*length',
    campaign: 'v2',
  }
  expect(pythonOfResults('demo', 'sim:1-20', state, { low: 0, high: 50, bins: 25 })).toBe(
    [
      'import cygnet',
      'import numpy as np',
      'import matplotlib.pyplot as plt',
      '',
      'rows = cygnet.open("demo").clusters("sim:1-20", campaign="v2", columns=["lengthPx", "rmsCounts", "xMeanPx", "yMeanPx"])',
      'c = {name: rows.column(name) for name in rows.columns}',
      'keep = np.ones(len(rows), dtype=bool)',
      'keep &= (c["rmsCounts"] > 6)  # rms > 6',
      'keep &= (np.hypot((c["xMeanPx"] - 1152), (c["yMeanPx"] - 1152)) < 800)  # hypot(xmean-1152, ymean-1152) < 800',
      'x = ((0.152 * c["lengthPx"]))[keep]',
      'counts, edges = np.histogram(x, bins=25, range=(0, 50))',
      'plt.stairs(counts, edges)',
    ].join('\n'),
  )
})
