/**
 * The notebook behind 'Open as notebook' of the results page. It is made from the page's address: what stands in it is
 * parsed by the reconstruction's own readers and every line of code is written from what was understood. Text that
 * cannot be read is refused; none of it becomes code.
 */
import { isReadable, parseRunRange, resultsOf, sources, stepsOfResults } from '../reconstruction/contract.ts'
import type { ResultsState } from '../reconstruction/contract.ts'
import { notebookErrors } from './errors.ts'
import { code, notebookOf, text } from './notebook-cells.ts'

/** The state of a results page from what stands behind `?` in its address. Throws `unreadableResults`. */
export function readResults(address: string): ResultsState {
  const query = new URLSearchParams(address)
  const state = resultsOf((name) => query.get(name) ?? '')
  if (parseRunRange(state.sel) === undefined || !isReadable(state))
    throw notebookErrors.unreadableResults(
      'These results name no runs, or have cuts or quantities that cannot be read.',
      {
        hint: 'Open them on the results page first: it shows what is wrong.',
      },
    )
  return state
}

/** Another one at each wish: people change their notebooks. */
export function resultsPath({ sel }: Pick<ResultsState, 'sel'>, atMs: number): string {
  const at = new Date(atMs).toISOString().replaceAll(/[-:]/g, '').slice(0, 15)
  return `results/${sel.replace(':', '-')}-${at}.ipynb`
}

export function resultsNotebook(state: ResultsState, experiment: string): unknown {
  const { low, high, bins } = state
  const histogram = low === undefined || high === undefined ? undefined : { low, high, bins }
  const { read, select, draw, drawPlane } = stepsOfResults(experiment, state.sel, state, histogram)
  // It has been read: names, numbers and signs, no quotes.
  const label = (state.x === '' ? sources[state.source].first : state.x).replaceAll(/\s+/g, ' ').trim()
  const campaign = state.campaign === 'main' ? '' : `, campaign ${state.campaign}`
  return notebookOf([
    text('intro', [
      `# Results of ${state.sel} in ${experiment}${campaign}`,
      '',
      'The same runs, cuts and bins as on the results page. This notebook is yours: change it.',
    ]),
    code('read', read),
    text('cuts', ['Each cut as a mask over the rows:']),
    code('select', [...select, 'print(keep.sum(), "of", len(rows), "pass")']),
    code('draw', [...draw, `plt.xlabel("${label}"); plt.ylabel("rows");`]),
    ...(drawPlane.length === 0 ? [] : [code('plane', [...drawPlane.slice(0, -1), `${drawPlane.at(-1)};`])]),
  ])
}
