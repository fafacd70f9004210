/** The answers of the results over HTTP. Reading and counting happen in other threads. */
import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import type { ServerEvent } from '../../foundation/contract.ts'
import type { Handlers } from '../../foundation/http.ts'
import { reconstructionFaults } from '../errors.ts'
import type { resultRoutes } from '../results-contract.ts'
import type { Comparison, ResultTrend, Selection, TrendQuery, View, ViewQuery } from '../results-contract.ts'
import { compareHistograms, flowOf, scannedOf, trendOfRuns } from './answers.ts'
import { functions, parseCuts, parseExpression } from './expression.ts'
import type { ExpressionProblem } from './expression.ts'
import type { AxisRequest } from './histogram.ts'
import { fitPeak } from './peak-fit.ts'
import { presets, sourceNames, sources } from './quantities.ts'
import { rowWriters } from './row-writers.ts'
import { groupsOf } from './run-groups.ts'
import { createScanPool } from './scan-pool.ts'
import type { ScanRequest, ScanState } from './scan.ts'
import { selectRuns } from './selection.ts'
import type { SelectedRuns, SelectionContext } from './selection.ts'

/** Handlers of `resultRoutes`; their threads end with the app. */
export function resultHandlers(app: FastifyInstance, context: SelectionContext): Handlers<typeof resultRoutes> {
  const pool = createScanPool()
  app.addHook('onClose', () => pool.close())

  /** Follows a scan; without files there is nothing to start a thread for. */
  async function* states(
    selected: SelectedRuns,
    selection: Selection,
    parts: Pick<ScanRequest, 'x' | 'plane' | 'perRun'>,
    signal: AbortSignal,
  ): AsyncGenerator<ScanState> {
    const { source, cuts } = selection
    yield* pool.scan({ source, cuts, files: selected.files, ...parts }, signal)
  }
  async function whole(
    experiment: string,
    selection: Selection,
    parts: Pick<ScanRequest, 'x' | 'plane' | 'perRun'>,
    signal: AbortSignal,
  ) {
    const selected = await selectRuns(experiment, selection, context)
    let last: ScanState | undefined
    for await (const state of states(selected, selection, parts, signal)) last = state
    return { selected, state: last!, scanned: scannedOf(selected, last!), flow: flowOf(selected, last!) }
  }

  async function* views(experiment: string, query: ViewQuery, signal: AbortSignal): AsyncGenerator<ServerEvent<View>> {
    checkCuts(query)
    const x = xAxisOf(query)
    const plane = planeOf(query)
    const other = otherOf(query)
    const wantsOther = query.compare === true
    if (wantsOther) checkCuts(other)
    const selected = await selectRuns(experiment, query, context)
    let last: ScanState | undefined
    const viewOf = (state: ScanState, comparison: Comparison | null): View => ({
      scanned: scannedOf(selected, state),
      flow: flowOf(selected, state),
      histogram: state.histogram!,
      fit: query.fit === 'none' ? null : fitPeak(state.histogram!, query.fit),
      plane: query.plane === 'scatter' ? null : (state.plane ?? null),
      sample: query.plane === 'density' ? null : (state.sample ?? null),
      comparison,
    })
    const parts = { x, ...(plane === undefined ? {} : { plane }) }
    for await (const state of states(selected, query, parts, signal)) {
      last = state
      yield { event: 'view', data: viewOf(state, null) }
    }
    if (!wantsOther) return
    for await (const comparison of comparisons(experiment, other, x, last!, signal))
      yield { event: 'view', data: viewOf(last!, comparison) }
  }

  /** The other selection in the bins of the first. */
  async function* comparisons(
    experiment: string,
    other: Selection,
    x: AxisRequest,
    first: ScanState,
    signal: AbortSignal,
  ): AsyncGenerator<Comparison> {
    const selected = await selectRuns(experiment, other, context)
    const { low, high, counts } = first.histogram!
    for await (const state of states(selected, other, { x: { ...x, low, high, bins: counts.length } }, signal)) {
      const scale = state.images > 0 && first.images > 0 ? first.images / state.images : 1
      yield {
        other: state.histogram!,
        otherScanned: scannedOf(selected, state),
        otherFlow: flowOf(selected, state),
        ...compareHistograms(first.histogram!, state.histogram!, scale),
      }
    }
  }

  async function* trends(
    experiment: string,
    query: TrendQuery,
    signal: AbortSignal,
  ): AsyncGenerator<ServerEvent<ResultTrend>> {
    checkCuts(query)
    const { quantity, unit, low, high, bins } = xAxisOf(query)
    const { aggregate } = query
    const selected = await selectRuns(experiment, query, context)
    const groupOf = await groupsOf(experiment, selected, query.by, context.logbook)
    const perRun = { aggregate, quantity, unit, low, high, bins }
    for await (const state of states(selected, query, { perRun }, signal))
      yield { event: 'trend', data: trendOfRuns(selected, state, { aggregate, quantity, unit }, groupOf) }
  }

  return {
    async listQuantities({ params }) {
      // Asked for the experiment's sake: a name that is not there is a 404 like everywhere else.
      await context.logbook.requireExperiment(params.experiment)
      return {
        sources: sourceNames.flatMap((source) =>
          sources[source] === undefined ? [] : [{ source, quantities: [...sources[source].quantities].map(copied) }],
        ),
        functions: Object.keys(functions),
        presets: [...presets],
        formats: Object.entries(rowWriters).map(([name, { contentType }]) => ({ name, contentType })),
      }
    },
    async showHistogram({ params, query }, { signal }) {
      checkCuts(query)
      const { state, scanned, flow } = await whole(params.experiment, query, { x: xAxisOf(query) }, signal)
      return { scanned, flow, histogram: state.histogram! }
    },
    async fitPeak({ params, query }, { signal }) {
      checkCuts(query)
      const { state, scanned, flow } = await whole(params.experiment, query, { x: xAxisOf(query) }, signal)
      return { scanned, flow, histogram: state.histogram!, fit: fitPeak(state.histogram!, query.fit) }
    },
    async showDensity({ params, query }, { signal }) {
      checkCuts(query)
      const { state, scanned, flow } = await whole(params.experiment, query, { plane: planeOf(query)! }, signal)
      return { scanned, flow, plane: state.plane! }
    },
    async showSample({ params, query }, { signal }) {
      checkCuts(query)
      const { state, scanned, flow } = await whole(params.experiment, query, { plane: planeOf(query)! }, signal)
      return { scanned, flow, sample: state.sample! }
    },
    async showCutFlow({ params, query }, { signal }) {
      checkCuts(query)
      const { scanned, flow } = await whole(params.experiment, query, {}, signal)
      return { scanned, flow }
    },
    async compareResults({ params, query }, { signal }) {
      checkCuts(query)
      const other = otherOf(query)
      checkCuts(other)
      const x = xAxisOf(query)
      const { state, scanned, flow } = await whole(params.experiment, query, { x }, signal)
      let comparison: Comparison | undefined
      for await (const one of comparisons(params.experiment, other, x, state, signal)) comparison = one
      return { scanned, flow, histogram: state.histogram!, comparison: comparison! }
    },
    followResults: ({ params, query }, { signal }) => views(params.experiment, query, signal),
    async showResultTrend({ params, query }, { signal }) {
      let last: ResultTrend | undefined
      for await (const { data } of trends(params.experiment, query, signal)) last = data
      return last!
    },
    followResultTrend: ({ params, query }, { signal }) => trends(params.experiment, query, signal),
    async exportRows({ params, query }, { signal }) {
      checkCuts(query)
      const writer = Object.hasOwn(rowWriters, query.format) ? rowWriters[query.format] : undefined
      if (writer === undefined)
        throw reconstructionFaults.noSuchFormat(`Rows cannot be written as '${query.format}'.`, {
          hint: `Formats: ${Object.keys(rowWriters).join(', ')}.`,
        })
      const columns = columnsOf(query)
      const selected = await selectRuns(params.experiment, query, context)
      if (selected.files.length === 0)
        throw reconstructionFaults.notReconstructed('No run of the selection has results.', {
          hint: selected.missing[0] === undefined ? 'It has no runs.' : `For example: ${selected.missing[0].reason}.`,
        })
      const { series, campaign, source, cuts, format } = query
      const runs = `${series}:${selected.files.at(-1)!.number}-${selected.files[0]!.number}`
      const about = { experiment: params.experiment, runs, campaign, source, cuts }
      // Oldest first: rows in the order in which they were taken.
      const files = selected.files.toReversed()
      const name = `${params.experiment}-${runs.replace(':', '-')}-${campaign}-${source}s.${writer.extension}`
      const { names, all } = columns
      const chunks = pool.rows({ source, cuts, files, columns: names, allColumns: all, format, about }, signal)
      return {
        contentType: writer.contentType,
        headers: { 'content-disposition': `attachment; filename="${name}"` },
        body: await streamOf(chunks),
      }
    },
  }
}

/** What goes wrong before the first bytes is thrown here, and becomes a status instead of a broken file. */
async function streamOf(chunks: AsyncGenerator<Uint8Array>): Promise<Readable> {
  const first = await chunks.next()
  async function* all(): AsyncGenerator<Uint8Array> {
    try {
      if (first.done !== true) yield first.value
      yield* chunks
    } finally {
      await chunks.return(undefined)
    }
  }
  return Readable.from(all(), { objectMode: false, highWaterMark: 1024 * 1024 })
}

const copied = ({
  name,
  column,
  unit,
  meaning,
  kind,
  aliases,
}: (typeof sources.cluster & object)['quantities'][number]) => ({
  name,
  column,
  unit,
  meaning,
  kind,
  aliases: [...aliases],
})

function quantitiesOf(selection: Pick<Selection, 'source'>) {
  const source = sources[selection.source]
  if (source === undefined) throw reconstructionFaults.noSuchTable(`There is no table of ${selection.source}s here.`)
  return source.quantities
}

function checkCuts(selection: Pick<Selection, 'source' | 'cuts'>): void {
  const { problem } = parseCuts(selection.cuts, quantitiesOf(selection))
  if (problem !== undefined) throw unreadable('cuts', selection.cuts, problem)
}

/** The expression checked; with a unit when it is a plain column. */
function axisOf(
  field: string,
  selection: Pick<Selection, 'source'>,
  quantity: string,
  axis: { low?: number | undefined; high?: number | undefined; bins: number },
): AxisRequest {
  const quantities = quantitiesOf(selection)
  const { node, problem } = parseExpression(quantity, quantities, 'number')
  if (problem !== undefined) throw unreadable(field, quantity, problem)
  if (axis.low !== undefined && axis.high !== undefined && !(axis.low < axis.high))
    throw reconstructionFaults.emptyRange(`The range of ${field} ends before it begins: ${axis.low} to ${axis.high}.`)
  const plain = node.kind === 'quantity' ? quantities.find(({ name }) => name === node.name) : undefined
  return { quantity, unit: plain?.unit ?? '', ...axis }
}

type XQuery = Selection & {
  quantity?: string | undefined
  low?: number | undefined
  high?: number | undefined
  bins: number
}

function xAxisOf(query: XQuery): AxisRequest {
  const { low, high, bins } = query
  const quantity = query.quantity ?? sources[query.source]?.first ?? ''
  return axisOf('quantity', query, quantity, { low, high, bins })
}

function planeOf(
  query: XQuery & {
    y?: string | undefined
    yLow?: number | undefined
    yHigh?: number | undefined
    xBins?: number | undefined
    yBins?: number | undefined
  },
): ScanRequest['plane'] {
  if (query.y === undefined || query.y === '') return undefined
  return {
    x: { ...xAxisOf(query), bins: query.xBins ?? 60 },
    y: axisOf('y', query, query.y, { low: query.yLow, high: query.yHigh, bins: query.yBins ?? 60 }),
  }
}

interface OtherQuery {
  otherSeries?: string | undefined
  otherFrom?: number | undefined
  otherTo?: number | undefined
  otherCampaign?: string | undefined
  otherCuts?: string | undefined
}

/** What the other selection does not say is as in the first. */
function otherOf(query: Selection & OtherQuery): Selection {
  const sameRuns = query.otherFrom === undefined && query.otherTo === undefined && query.otherSeries === undefined
  return {
    source: query.source,
    series: query.otherSeries ?? query.series,
    campaign: query.otherCampaign ?? query.campaign,
    cuts: query.otherCuts ?? query.cuts,
    from: sameRuns ? query.from : query.otherFrom,
    to: sameRuns ? query.to : query.otherTo,
  }
}

function columnsOf(query: Selection & { columns?: string | undefined }): { names: string[]; all: boolean } {
  const quantities = quantitiesOf(query)
  if (query.columns === undefined || query.columns.trim() === '')
    return { names: quantities.map(({ name }) => name), all: true }
  const names = new Set<string>()
  let at = 0
  for (const part of query.columns.split(',')) {
    const { node, problem } = parseExpression(part, quantities, 'number')
    if (problem !== undefined) throw unreadable('columns', query.columns, { ...problem, at: problem.at + at })
    if (node.kind !== 'quantity')
      throw unreadable('columns', query.columns, {
        message: `'${part.trim()}' is not a column`,
        at,
        length: part.length,
        suggestions: [],
      })
    names.add(node.name)
    at += part.length + 1
  }
  return { names: [...names], all: false }
}

/** 422 that points at the place, in words and for the page in numbers. */
function unreadable(field: string, text: string, problem: ExpressionProblem) {
  const near = text.slice(Math.max(0, problem.at - 20), problem.at + problem.length + 20)
  return reconstructionFaults.unreadableExpression(`${field}, at character ${problem.at + 1}: ${problem.message}.`, {
    hint: problem.suggestions.length > 0 ? `Nearest: ${problem.suggestions.join(', ')}.` : `Look near: ${near}`,
    extra: { field, ...problem },
  })
}
