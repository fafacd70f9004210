/**
 * The whole state of the results page as an address, so that a link shows the same thing to somebody else. Browser-safe;
 * rooms above read it too: a notebook of the same runs and cuts is made from the address, never from code.
 */
import { parseCuts, parseExpression } from './expression.ts'
import { aggregates, sourceNames, sources, trendGroups } from './quantities.ts'
import type { Aggregate, SourceName, TrendGroup } from './quantities.ts'

export interface RunRange {
  series: string
  from: number | undefined
  to: number | undefined
}

export interface ResultsState {
  /** `sim:1-20`, `sim:7`, `sim`, or '' for the first series. */
  sel: string
  campaign: string
  source: SourceName
  cuts: string
  /** '' = what the table is usually asked for. */
  x: string
  y: string
  low: number | undefined
  high: number | undefined
  bins: number
  yLow: number | undefined
  yHigh: number | undefined
  plane: 'density' | 'scatter'
  fit: 'none' | 'iron' | 'gaussian'
  log: boolean
  /** '' = no trend is shown. */
  trend: Aggregate | '' | 'summary'
  over: 'run' | 'time'
  /** Colours of the trend. */
  by: TrendGroup
  compare: boolean
  /** '' = as in the first. */
  otherSel: string
  otherCampaign: string
  otherCuts: string
}

export const defaultResults: ResultsState = {
  sel: '',
  campaign: 'main',
  source: 'cluster',
  cuts: '',
  x: '',
  y: '',
  low: undefined,
  high: undefined,
  bins: 60,
  yLow: undefined,
  yHigh: undefined,
  plane: 'density',
  fit: 'none',
  log: false,
  trend: '',
  over: 'run',
  by: 'none',
  compare: false,
  otherSel: '',
  otherCampaign: '',
  otherCuts: '',
}

const trends = ['', 'summary', ...aggregates] as const

/** Reads an address; what it does not know or cannot read is as if it were not there. */
export function resultsOf(get: (name: string) => string): ResultsState {
  const oneOf = <Word extends string>(name: string, words: readonly Word[], otherwise: Word): Word =>
    words.find((word) => word === get(name)) ?? otherwise
  const x = rangeOf(get('range'))
  const y = rangeOf(get('yrange'))
  const bins = Number(get('bins'))
  return {
    sel: parseRunRange(get('sel')) === undefined ? '' : get('sel'),
    campaign: campaignIn(get('campaign')) || defaultResults.campaign,
    source: oneOf('table', sourceNames, 'cluster'),
    cuts: get('cuts'),
    x: get('x'),
    y: get('y'),
    low: x.low,
    high: x.high,
    bins: Number.isInteger(bins) && bins >= 1 && bins <= 1000 ? bins : defaultResults.bins,
    yLow: y.low,
    yHigh: y.high,
    plane: oneOf('plane', ['density', 'scatter'], 'density'),
    fit: oneOf('fit', ['none', 'iron', 'gaussian'], 'none'),
    log: get('log') === '1',
    trend: oneOf('trend', trends, ''),
    over: oneOf('over', ['run', 'time'], 'run'),
    by: oneOf('by', trendGroups, 'none'),
    compare: get('compare') === '1',
    otherSel: parseRunRange(get('sel2')) === undefined ? '' : get('sel2'),
    otherCampaign: campaignIn(get('campaign2')),
    otherCuts: get('cuts2'),
  }
}

/** Addresses come from anywhere and what stands in them goes into lines of Python. */
function campaignIn(text: string): string {
  return /^[a-z0-9][a-z0-9._-]{0,62}$/.test(text) ? text : ''
}

/** The query parameters of a state; what is as usual is left out. */
export function queryOfResults(state: ResultsState): Record<string, string | undefined> {
  const unless = <Value extends string>(value: Value, usual: Value): string | undefined =>
    value === usual ? undefined : value
  return {
    sel: unless(state.sel, ''),
    campaign: unless(state.campaign, defaultResults.campaign),
    table: unless(state.source, 'cluster'),
    cuts: unless(state.cuts, ''),
    x: unless(state.x, ''),
    y: unless(state.y, ''),
    range: textOfRange(state.low, state.high),
    yrange: textOfRange(state.yLow, state.yHigh),
    bins: unless(String(state.bins), String(defaultResults.bins)),
    plane: unless(state.plane, 'density'),
    fit: unless(state.fit, 'none'),
    log: state.log ? '1' : undefined,
    trend: unless(state.trend, ''),
    over: unless(state.over, 'run'),
    by: unless(state.by, 'none'),
    compare: state.compare ? '1' : undefined,
    sel2: unless(state.otherSel, ''),
    campaign2: unless(state.otherCampaign, ''),
    cuts2: unless(state.otherCuts, ''),
  }
}

/** The address of the results of something, for links from other pages. */
export function addressOfResults(experiment: string, state: Partial<ResultsState>): string {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(queryOfResults({ ...defaultResults, ...state })))
    if (value !== undefined) query.set(name, value)
  const text = query.toString().replaceAll('%3A', ':').replaceAll('%2C', ',')
  return `/e/${experiment}/results${text === '' ? '' : `?${text}`}`
}

/** False while an expression cannot be read: the page says what is wrong and asks nothing. */
export function isReadable(state: ResultsState): boolean {
  const { quantities } = sources[state.source]
  const reads = (text: string): boolean =>
    text === '' || parseExpression(text, quantities, 'number').problem === undefined
  const cuts = state.compare ? [state.cuts, state.otherCuts] : [state.cuts]
  return reads(state.x) && reads(state.y) && cuts.every((text) => parseCuts(text, quantities).problem === undefined)
}

export function parseRunRange(text: string): RunRange | undefined {
  const match = /^([a-z][a-z0-9-]*)(?::(\d{1,9})(?:-(\d{1,9}))?)?$/.exec(text)
  if (match === null) return undefined
  const [, series, from, to] = match
  if (from === undefined) return { series: series!, from: undefined, to: undefined }
  return { series: series!, from: Number(from), to: Number(to ?? from) }
}

/** `4000..18000`; an end that is left open is not written: `..18000`. */
function textOfRange(low: number | undefined, high: number | undefined): string | undefined {
  return low === undefined && high === undefined ? undefined : `${low ?? ''}..${high ?? ''}`
}

function rangeOf(text: string): { low: number | undefined; high: number | undefined } {
  const [low = '', high = ''] = text.includes('..') ? text.split('..', 2) : []
  const number = (part: string): number | undefined =>
    part.trim() === '' || !Number.isFinite(Number(part)) ? undefined : Number(part)
  return { low: number(low), high: number(high) }
}

/** Adds a condition to cuts: in parentheses what would otherwise be torn apart. */
export function withCut(cuts: string, cut: string): string {
  const before = cuts.trim()
  if (before === '') return cut
  return hasLooseOr(before) ? `(${before}) and ${cut}` : `${before} and ${cut}`
}

/** An `or` that stands in no parentheses. */
function hasLooseOr(text: string): boolean {
  let depth = 0
  for (const [word] of text.matchAll(/[()]|\w+|\|/g)) {
    if (word === '(') depth++
    else if (word === ')') depth--
    else if (depth === 0 && (word === '|' || word.toLowerCase() === 'or')) return true
  }
  return false
}

/** `4000 < integralCounts < 5000`, with ends as short as the width of the range allows. */
export function cutOfRange(quantity: string, low: number, high: number): string {
  const digits = Math.max(0, Math.min(12, 2 - Math.floor(Math.log10(Math.abs(high - low) || 1))))
  const short = (value: number): string => String(Number(value.toFixed(digits)))
  const plain = /^\w+$/.test(quantity) ? quantity : `(${quantity})`
  return `${short(low)} < ${plain} < ${short(high)}`
}
