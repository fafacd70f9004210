/** What the page shows as lines of Python that run as they are: the same rows, the same cuts in numpy, the same bins. */
import { parseCuts, parseExpression, quantitiesOf } from './expression.ts'
import { pythonOf } from './expression-python.ts'
import { sources } from './quantities.ts'
import type { ResultsState } from './results-state.ts'

/** The histogram as it is shown. */
interface Shown {
  low: number
  high: number
  bins: number
}

export function pythonOfResults(
  experiment: string,
  sel: string,
  state: ResultsState,
  histogram: Shown | undefined,
): string {
  const { read, select, draw, drawPlane } = stepsOfResults(experiment, sel, state, histogram)
  return [...read, ...select, ...draw, ...drawPlane].join('\n')
}

/**
 * The same in the steps of a notebook. Every line is written here from what was parsed: of the state's text only cuts
 * that could be read stand in it, as comments of one line. `drawPlane` is empty without a second quantity.
 */
export function stepsOfResults(
  experiment: string,
  sel: string,
  state: ResultsState,
  histogram: Shown | undefined,
): Record<'read' | 'select' | 'draw' | 'drawPlane', string[]> {
  const source = sources[state.source]
  const quantities = source?.quantities ?? []
  const x = parseExpression(state.x === '' ? (source?.first ?? '') : state.x, quantities, 'number').node
  const y = state.y === '' ? undefined : parseExpression(state.y, quantities, 'number').node
  const { cuts } = parseCuts(state.cuts, quantities)
  const nodes = [x, y, ...cuts.map(({ node }) => node)].filter((node) => node !== undefined)
  const columns = [...new Set(nodes.flatMap(quantitiesOf))]
  const column = (name: string): string => `c["${name}"]`
  const options = [
    ...(state.campaign === 'main' ? [] : [`campaign="${state.campaign}"`]),
    ...(state.source === 'cluster' ? [] : [`source="${state.source}"`]),
    `columns=[${columns.map((name) => `"${name}"`).join(', ')}]`,
  ]
  const bins = histogram?.bins ?? state.bins
  const limits = histogram === undefined ? '' : `, range=(${histogram.low}, ${histogram.high})`
  return {
    read: [
      'import cygnet',
      'import numpy as np',
      'import matplotlib.pyplot as plt',
      '',
      `rows = cygnet.open("${experiment}").clusters("${sel}", ${options.join(', ')})`,
      'c = {name: rows.column(name) for name in rows.columns}',
    ],
    select: [
      'keep = np.ones(len(rows), dtype=bool)',
      ...cuts.map(({ node, text }) => `keep &= ${pythonOf(node, column)}  # ${text.replaceAll(/\s+/g, ' ').trim()}`),
    ],
    draw: [
      ...(x === undefined ? [] : [`x = (${pythonOf(x, column)})[keep]`]),
      `counts, edges = np.histogram(x, bins=${bins}${limits})`,
      'plt.stairs(counts, edges)',
    ],
    drawPlane:
      y === undefined ? [] : ['plt.figure()', `plt.plot(x, (${pythonOf(y, column)})[keep], ".", markersize=2)`],
  }
}
