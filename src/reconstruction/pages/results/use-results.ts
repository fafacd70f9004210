/** Questions of the results page: answers arrive coarse and are refined while they are shown. */
import { useQueryClient } from '@tanstack/react-query'
import type { QueryClient } from '@tanstack/react-query'
import { apiOf, useAnswer } from '../../../foundation/browser.tsx'
import { isReadable, parseRunRange, reconstructionContract } from '../../contract.ts'
import type { ResultsState, RunRange } from '../../contract.ts'

/** The selection part of every question. */
export function selectionOf(state: ResultsState, range: RunRange) {
  const { from, to, series } = range
  return {
    series,
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    campaign: state.campaign,
    source: state.source,
    cuts: state.cuts,
  }
}

function axisOf({ x, low, high, bins }: ResultsState) {
  return {
    ...(x === '' ? {} : { quantity: x }),
    ...(low === undefined ? {} : { low }),
    ...(high === undefined ? {} : { high }),
    bins,
  }
}

export function useView(experiment: string, state: ResultsState, range: RunRange) {
  const queries = useQueryClient()
  const other = parseRunRange(state.otherSel)
  const query = {
    ...selectionOf(state, range),
    ...axisOf(state),
    fit: state.fit,
    plane: state.plane,
    ...(state.y === '' ? {} : { y: state.y }),
    ...(state.yLow === undefined ? {} : { yLow: state.yLow }),
    ...(state.yHigh === undefined ? {} : { yHigh: state.yHigh }),
    ...(state.compare
      ? {
          compare: true,
          ...(other === undefined ? {} : { otherSeries: other.series }),
          ...(other?.from === undefined ? {} : { otherFrom: other.from }),
          ...(other?.to === undefined ? {} : { otherTo: other.to }),
          ...(state.otherCampaign === '' ? {} : { otherCampaign: state.otherCampaign }),
          ...(state.otherCuts === '' ? {} : { otherCuts: state.otherCuts }),
        }
      : {}),
  }
  const key = ['reconstruction', 'results', experiment, query]
  return useAnswer(
    key,
    (signal) =>
      refined(
        queries,
        key,
        signal,
        apiOf(reconstructionContract).followResults({ params: { experiment }, query }, { signal }),
      ),
    { enabled: isReadable(state), keepPrevious: true, everyMs: 600_000 },
  )
}

export function useResultTrend(experiment: string, state: ResultsState, range: RunRange) {
  const queries = useQueryClient()
  const aggregate = state.trend === '' || state.trend === 'summary' ? 'perImage' : state.trend
  const query = { ...selectionOf(state, range), ...axisOf(state), aggregate, by: state.by }
  const key = ['reconstruction', 'results-trend', experiment, query]
  return useAnswer(
    key,
    (signal) =>
      refined(
        queries,
        key,
        signal,
        apiOf(reconstructionContract).followResultTrend({ params: { experiment }, query }, { signal }),
      ),
    { enabled: isReadable(state), keepPrevious: true, everyMs: 600_000 },
  )
}

/**
 * The last of the answers; those before it are shown while it is awaited, unless there is a whole one already: new runs
 * then join it at once instead of counting up from nothing.
 */
async function refined<Data>(
  queries: QueryClient,
  key: readonly unknown[],
  signal: AbortSignal,
  events: AsyncIterable<{ data: Data }>,
): Promise<Data> {
  const isFirst = queries.getQueryData(key) === undefined
  let last: Data | undefined
  try {
    for await (const { data } of events) {
      last = data
      if (isFirst) queries.setQueryData(key, data)
    }
  } finally {
    // Left half-way: what is remembered is not the whole.
    if (signal.aborted) void queries.invalidateQueries({ queryKey: key, exact: true, refetchType: 'none' })
  }
  return last!
}
