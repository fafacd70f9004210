/** The filters of the run list: what stands in the address, what is asked of the server, and as a command. */
import type { RunFilter } from '../contract.ts'

export const filterNames = [
  'text',
  'numbers',
  'kind',
  'state',
  'quality',
  'series',
  'setup',
  'from',
  'to',
  'fault',
] as const
export type FilterName = (typeof filterNames)[number]

const kinds = ['pedestal', 'data', 'calibration', 'simulation'] as const
const states = ['recording', 'closing', 'closed', 'crashed'] as const
const qualities = ['unjudged', 'good', 'bad', 'partial'] as const
const namePattern = /^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/
const numbersPattern = /^\d{1,9}(?:-\d{1,9})?(?:,\d{1,9}(?:-\d{1,9})?)*$/

function oneOf<Word extends string>(words: readonly Word[], given: string): Word | undefined {
  return words.find((word) => word === given)
}

/** A day as people write it (`2026-11-23`, UTC), or with a time; undefined when it is not one. */
export function dayMs(text: string): number | undefined {
  if (!/^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2})?)?$/.test(text)) return undefined
  const atMs = Date.parse(text.includes('T') ? `${text}Z` : `${text}T00:00:00Z`)
  return Number.isNaN(atMs) ? undefined : atMs
}

/** The question for the server. What is not well formed is left out; `unusedFilters` names it. */
export function filterOf(get: (name: FilterName) => string): RunFilter {
  const numbers = get('numbers').replaceAll(/\s+/g, '')
  const to = get('to')
  const toMs = dayMs(to)
  const entries: RunFilter = {
    text: get('text') || undefined,
    numbers: numbersPattern.test(numbers) ? numbers : undefined,
    kind: oneOf(kinds, get('kind')),
    state: oneOf(states, get('state')),
    quality: oneOf(qualities, get('quality')),
    series: namePattern.test(get('series')) ? get('series') : undefined,
    setup: namePattern.test(get('setup')) ? get('setup') : undefined,
    startedFromMs: dayMs(get('from')),
    // A day given as the end means all of that day.
    startedToMs: toMs === undefined ? undefined : to.includes('T') ? toMs : toMs + 86_400_000 - 1,
    hasFault: oneOf(['yes', 'no'] as const, get('fault')),
  }
  return Object.fromEntries(Object.entries(entries).filter(([, value]) => value !== undefined)) as RunFilter
}

/** Filters of the address that could not be understood, so that the page says so instead of ignoring them. */
export function unusedFilters(get: (name: FilterName) => string): FilterName[] {
  const filter = filterOf(get)
  const key: Record<FilterName, keyof RunFilter> = {
    text: 'text',
    numbers: 'numbers',
    kind: 'kind',
    state: 'state',
    quality: 'quality',
    series: 'series',
    setup: 'setup',
    from: 'startedFromMs',
    to: 'startedToMs',
    fault: 'hasFault',
  }
  return filterNames.filter((name) => get(name) !== '' && filter[key[name]] === undefined)
}

/** The same list on the command line; what people typed is quoted for a shell. */
export function commandOf(experiment: string, filter: RunFilter): string {
  const { numbers, startedFromMs, startedToMs, hasFault, ...plain } = filter
  const time = (atMs: number | undefined): string | undefined =>
    atMs === undefined ? undefined : new Date(atMs).toISOString()
  const options = { ...plain, from: time(startedFromMs), to: time(startedToMs), fault: hasFault }
  const quoted = (value: string): string => (/^[\w:.,-]+$/.test(value) ? value : `'${value.replaceAll("'", "'\\''")}'`)
  const words = Object.entries(options).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name} ${quoted(String(value))}`],
  )
  return ['cygnet runs list', ...(numbers === undefined ? [] : [numbers]), `--experiment ${experiment}`, ...words].join(
    ' ',
  )
}
