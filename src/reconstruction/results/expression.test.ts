import { execFileSync } from 'node:child_process'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { rounds } from '../../foundation/testing.ts'
import { clusterColumns } from '../contract.ts'
import { nearest, parseCuts, parseExpression, quantitiesOf } from './expression.ts'
import type { Node } from './expression.ts'
import { pythonOf } from './expression-python.ts'
import { compileExpression } from './expression-values.ts'
import { presets, sources } from './quantities.ts'

const { quantities } = sources.cluster!

const columns = new Map([
  ['rmsCounts', Float64Array.of(7, 5, 12, Number.NaN)],
  ['lengthPx', Float64Array.of(10, 200, 0, 3)],
  ['hitsPx', Float64Array.of(4, 50, 9, 9)],
  ['selected', Float64Array.of(1, 0, 1, 0)],
  ['run', Float64Array.of(3, 3, 3, 3)],
])
const batch = { rows: 4, columns }

function evaluated(text: string, want: 'number' | 'condition' = 'number'): number[] {
  const { node, problem } = parseExpression(text, quantities, want)
  if (problem !== undefined) throw new Error(problem.message)
  return [...compileExpression(node)(batch)]
}
function problemOf(text: string, want: 'number' | 'condition' = 'condition') {
  const { problem } = parseExpression(text, quantities, want)
  expect(problem, text).toBeDefined()
  return { ...problem!, marked: text.slice(problem!.at, problem!.at + problem!.length) }
}

test('arithmetic, functions and conditions mean what they say', () => {
  expect(evaluated('1 + 2 * 3 ^ 2 - -4')).toEqual([23, 23, 23, 23])
  expect(evaluated('2 ** 3 ** 0')[0]).toBe(2)
  expect(evaluated('-2 ^ 2')[0]).toBe(-4)
  expect(evaluated('7 % 3 + -7 % 3')[0]).toBe(3)
  expect(evaluated('hypot(3, 4) + min(5, 2, 9) + max(lengthPx, 100)')).toEqual([107, 207, 107, 107])
  expect(evaluated('hitsPx / lengthPx')).toEqual([0.4, 0.25, Infinity, 3])
  expect(evaluated('6 < rmsCounts <= 12', 'condition')).toEqual([1, 0, 1, 0])
  expect(evaluated('rmsCounts > 6 and not selected or lengthPx >= 200', 'condition')).toEqual([0, 1, 0, 0])
  expect(evaluated('!(rmsCounts != rmsCounts) && SC_RMS ≥ 7', 'condition')).toEqual([1, 0, 1, 0])
  expect(evaluated('selected == true and run = 3', 'condition')).toEqual([1, 0, 1, 0])
  expect(evaluated('round(2.5) + round(3.5) + round(-0.5)')[0]).toBe(6)
})

test('the branch names of the reference, column names and spoken names are the same quantities', () => {
  for (const { name, column, branch } of clusterColumns)
    for (const alias of [name, column, branch ?? name, name.toUpperCase()])
      expect(parseExpression(alias, quantities, 'number').node, alias).toMatchObject({ kind: 'quantity', name })
  const same = (text: string) => quantitiesOf(parseExpression(text, quantities, 'number').node!)
  expect(same('delta + tgausssigma/lgausssigma + sc_nhits/size + xmean')).toEqual([
    'densityCountsPerPx',
    'latGaussSigmaPx',
    'longGaussSigmaPx',
    'hitsPx',
    'sizePx',
    'xMeanPx',
  ])
})

test('what cannot be read points at the place and suggests', () => {
  expect(problemOf('rmsCount > 6')).toMatchObject({ marked: 'rmsCount', suggestions: ['rmsCounts'] })
  expect(problemOf('rmsCounts > 6 and tgausigma > 1').suggestions[0]).toBe('latGaussSigmaPx')
  expect(problemOf('rmsCounts')).toMatchObject({
    marked: 'rmsCounts',
    message: expect.stringMatching(/not a condition/),
  })
  expect(problemOf('rmsCounts > 6 lengthPx < 5')).toMatchObject({
    marked: 'lengthPx',
    message: expect.stringMatching(/'and'/),
  })
  expect(problemOf('(rmsCounts > 6')).toMatchObject({ marked: '(', message: expect.stringMatching(/never closed/) })
  expect(problemOf('rmsCounts > ')).toMatchObject({ message: expect.stringMatching(/missing at the end/) })
  expect(problemOf('hypot(1) > 2')).toMatchObject({
    marked: 'hypot(1)',
    message: expect.stringMatching(/2 to 3 values/),
  })
  expect(problemOf('eval(1) > 2').message).toMatch(/no function 'eval'/)
  expect(problemOf('constructor(1) > 2').message).toMatch(/no function/)
  expect(problemOf('rmsCounts > 6; 1')).toMatchObject({ marked: ';' })
  expect(problemOf('(rmsCounts > 6) + 1', 'number').message).toMatch(/true or false/)
  expect(problemOf('1 < (2 < 3)').message).toMatch(/a number is needed/)
  expect(nearest('integal', quantities)[0]).toBe('integralCounts')
})

test('cuts joined by and are listed one by one, in parentheses they stay together', () => {
  const { cuts } = parseCuts('rmsCounts > 6 and 11 < delta < 40 and (selected or run > 2)', quantities)
  expect(cuts.map(({ text }) => text)).toEqual(['rmsCounts > 6', '11 < delta < 40', '(selected or run > 2)'])
  expect(parseCuts('(rmsCounts > 6 and run > 2)', quantities).cuts).toHaveLength(1)
  expect(parseCuts('  ', quantities)).toEqual({ cuts: [] })
  expect(parseCuts('run >', quantities).problem).toBeDefined()
})

test('every cut in use can be read', () => {
  for (const preset of presets) {
    expect(parseCuts(preset.cuts, quantities).problem, preset.id).toBeUndefined()
    if (preset.quantity !== undefined)
      expect(parseExpression(preset.quantity, quantities, 'number').problem, preset.id).toBeUndefined()
  }
})

test('hostile text is refused quickly and never run', () => {
  const bombs = [
    '('.repeat(3000),
    `${'-'.repeat(3500)}1 > 0`,
    `${'not '.repeat(900)}selected`,
    `1${'^1'.repeat(1500)} > 0`,
    `${'run > 0 and '.repeat(300)}run > 0`,
    `x${'x'.repeat(3990)} > 1`,
    'a'.repeat(5000),
    '__proto__ > 1',
    'toString() > 1',
    'run.constructor("return 1")() > 0',
    'run > 0 and `1`',
    '\u0000 > 1',
    '😀 > 1',
    '1e999 > 0',
    '[1,2] > 0',
  ]
  for (const bomb of bombs)
    expect(parseExpression(bomb, quantities, 'condition').problem, bomb.slice(0, 40)).toBeDefined()
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[-+*/%^()<>=!a-z0-9., ]{0,80}$/)), (text) => {
      const { node, problem } = parseExpression(text, quantities, 'condition')
      expect((node === undefined) !== (problem === undefined)).toBe(true)
      if (problem !== undefined) expect(problem.at).toBeLessThanOrEqual(Math.max(text.length, 1))
    }),
    { numRuns: rounds(300) },
  )
})

/** Trees as text with all parentheses, and what they are worth by plain arithmetic on one row. */
interface Written {
  text: string
  worth(row: number): number
}
const numbers: fc.Arbitrary<Written> = fc.letrec<{ tree: Written }>((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small' },
    fc.integer({ min: 0, max: 999 }).map((value) => ({ text: String(value / 8), worth: () => value / 8 })),
    fc.constantFrom('rmsCounts', 'lengthPx', 'hitsPx', 'run').map((name) => ({
      text: name,
      worth: (row: number) => columns.get(name)![row]!,
    })),
    fc.tuple(fc.constantFrom('+', '-', '*', '/'), tie('tree'), tie('tree')).map(([sign, a, b]) => ({
      text: `(${a.text} ${sign} ${b.text})`,
      worth: (row: number) => {
        const [left, right] = [a.worth(row), b.worth(row)]
        return sign === '+' ? left + right : sign === '-' ? left - right : sign === '*' ? left * right : left / right
      },
    })),
    fc.tuple(fc.constantFrom('hypot', 'max', 'atan2'), tie('tree'), tie('tree')).map(([name, a, b]) => ({
      text: `${name}(${a.text}, ${b.text})`,
      worth: (row: number) => Math[name as 'hypot'](a.worth(row), b.worth(row)),
    })),
    tie('tree').map((a) => ({ text: `-${a.text}`, worth: (row: number) => -a.worth(row) })),
  ),
})).tree

test('a tree written as text and read again is worth the same on every row', () => {
  fc.assert(
    fc.property(numbers, fc.constantFrom('<', '<=', '>', '>='), numbers, (a, sign, b) => {
      const compare = { '<': (x: number, y: number) => x < y, '<=': (x: number, y: number) => x <= y }
      const holds = (x: number, y: number) =>
        sign === '<' || sign === '<=' ? compare[sign](x, y) : compare[sign === '>' ? '<' : '<='](y, x)
      const rows = [0, 1, 2, 3]
      expect(evaluated(a.text)).toEqual(rows.map((row) => a.worth(row)))
      expect(evaluated(`${a.text} ${sign} ${b.text}`, 'condition')).toEqual(
        rows.map((row) => Number(holds(a.worth(row), b.worth(row)))),
      )
    }),
    { numRuns: rounds(200) },
  )
})

const python = process.env.CYGNET_TEST_PYTHON
test.skipIf(python === undefined)('numpy gives the same values [needs CYGNET_TEST_PYTHON with numpy]', () => {
  const texts = [
    ...presets.flatMap(({ cuts, quantity }) => [
      [cuts, 'condition'],
      ...(quantity === undefined ? [] : [[quantity, 'number']]),
    ]),
    ['-2^2 + 7 % 3 - -7 % 3 + hypot(rmsCounts, 2, 3) + min(run, 2, hitsPx)', 'number'],
    ['not (selected or rmsCounts > 6 and hitsPx != 9)', 'condition'],
    ['round(2.5) + floor(-1.5) + atan2(1, lengthPx) + log10(hitsPx)', 'number'],
  ] as [string, 'number' | 'condition'][]
  const used = new Set<string>()
  const nodes = texts.map(([text, want]): Node => {
    const { node } = parseExpression(text, quantities, want)
    for (const name of quantitiesOf(node!)) used.add(name)
    return node!
  })
  const rows = 40
  const values = new Map(
    [...used].map((name, index) => [
      name,
      Float64Array.from({ length: rows }, (_, row) => ((row * 37 + index * 11) % 101) / 4 + 1),
    ]),
  )
  const code = [
    'import json, sys, numpy as np',
    `c = {name: np.array(values) for name, values in json.load(sys.stdin).items()}`,
    `print(json.dumps([np.broadcast_to(np.asarray(v, dtype=float), (${rows},)).tolist() for v in [${nodes.map((node) => pythonOf(node, (name) => `c["${name}"]`)).join(', ')}]]))`,
  ].join('\n')
  const input = JSON.stringify(Object.fromEntries([...values].map(([name, array]) => [name, [...array]])))
  const theirs = JSON.parse(execFileSync(python!, ['-c', code], { input, encoding: 'utf8' })) as number[][]
  const ours = nodes.map((node) => [...compileExpression(node)({ rows, columns: values })])
  theirs.forEach((row, index) =>
    row.forEach((value, at) => expect(ours[index]![at], texts[index]![0]).toBeCloseTo(value, 9)),
  )
})
