import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readResults, resultsNotebook, resultsPath } from './results-notebook.ts'

interface Notebook {
  cells: { id: string; cell_type: string; source: string }[]
}
const cellsOf = (address: string) => (resultsNotebook(readResults(address), 'demo') as Notebook).cells

test('the same runs, campaign, cuts and bins stand in the cells', () => {
  const address = new URLSearchParams({
    sel: 'sim:1-20',
    campaign: 'v2',
    cuts: 'rms > 6 and lengthPx < 300',
    x: 'sc_integral',
    range: '4000..18000',
    y: 'lengthPx',
  }).toString()
  const cells = cellsOf(address)
  expect(cells.map(({ id }) => id)).toEqual(['intro', 'read', 'cuts', 'select', 'draw', 'plane'])
  const all = cells.map(({ source }) => source).join('\n')
  expect(all).toContain('clusters("sim:1-20", campaign="v2", columns=["integralCounts", "lengthPx", "rmsCounts"])')
  expect(all).toContain('keep &= (c["rmsCounts"] > 6)  # rms > 6')
  expect(all).toContain('bins=60, range=(4000, 18000)')
  expect(resultsPath(readResults(address), Date.UTC(2026, 10, 23, 18, 54, 3))).toBe(
    'results/sim-1-20-20261123T185403.ipynb',
  )
})

test('what cannot be read is refused, and nothing of an address becomes code', () => {
  const refused = { code: 'notebooks.unreadable_results', status: 422 }
  for (const address of [
    '',
    'sel=sim:1"+x',
    'sel=sim:1&cuts=__import__("os")',
    'sel=sim:1&x=rms;print(1)',
    'sel=sim:1&cuts=rms > 6 # \nimport os',
  ])
    expect(() => readResults(address), address).toThrow(expect.objectContaining(refused))
  const words = fc.constantFrom(
    'rms',
    '>',
    '6',
    'and',
    '(',
    ')',
    '\n',
    '"',
    '#',
    "'",
    '\\',
    'import os',
    ' ',
    '\u2028',
    ';',
  )
  const hostile = fc.oneof(
    fc.string(),
    fc.array(words, { maxLength: 8 }).map((parts) => parts.join('')),
  )
  fc.assert(
    fc.property(hostile, hostile, hostile, (cuts, x, campaign) => {
      const address = new URLSearchParams({ sel: 'sim:1', cuts, x, campaign }).toString()
      let cells: ReturnType<typeof cellsOf>
      try {
        cells = cellsOf(address)
      } catch {
        return
      }
      for (const line of cells
        .filter((cell) => cell.cell_type === 'code')
        .flatMap(({ source }) => source.split(/[\n\r]/)))
        expect(line).toMatch(
          /^($|import |rows = cygnet\.open\("demo"\)\.clusters\("sim:1", |c = \{|keep = np\.ones|keep &= [^"'#\\;]*(c\["\w+"\][^"'#\\;]*)*  # [\w\s.+*/%^()<>=,!&|≤≥≠-]*$|print\(keep|x = [^#'\\;]*$|counts, edges|plt\.(?!xlabel)|plt\.xlabel\("[^"#\\]*"\); plt\.ylabel\("rows"\);$)/,
        )
    }),
  )
})
