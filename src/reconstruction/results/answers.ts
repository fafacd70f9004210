/** From what a scan counted to what is said over HTTP. */
import type {
  Comparison,
  CutFlow,
  FilledHistogram,
  ResultTrend,
  ResultTrendPoint,
  Scanned,
} from '../results-contract.ts'
import { chi2Probability } from './matrix.ts'
import type { Aggregate } from './quantities.ts'
import type { RunValue } from './run-value.ts'
import type { ScanState } from './scan.ts'
import type { SelectedRuns } from './selection.ts'

const mostMissing = 200

export function scannedOf(selected: SelectedRuns, state: ScanState): Scanned {
  const missing = [...selected.missing, ...state.missing].sort((a, b) => b.number - a.number)
  return {
    runsDone: state.filesDone - state.missing.length,
    runsOf: selected.files.length - state.missing.length,
    images: state.images,
    rows: state.rows,
    passed: state.passed,
    missing: missing
      .slice(0, mostMissing)
      .map(({ number, reason }) => ({ run: `${selected.series}:${number}`, reason })),
    missingRuns: missing.length,
  }
}

export function flowOf(selected: SelectedRuns, state: ScanState): CutFlow {
  return { rows: state.rows, cuts: state.cuts, says: sayFlow(selected, state) }
}

function sayFlow({ source, files }: SelectedRuns, { rows, passed, cuts }: ScanState): string {
  if (files.length === 0) return 'No run of the selection has results.'
  if (rows === 0) return `There are no ${source.rows} in these runs.`
  if (cuts.length === 0) return `${grouped(rows)} ${source.rows}, no cut.`
  const share = `${grouped(passed)} of ${grouped(rows)} ${source.rows} pass`
  if (passed > 0) return `${share}.`
  const last = cuts.findIndex(({ left }) => left === 0)
  const removed = last === 0 ? rows : cuts[last - 1]!.left
  const what = last === 0 ? 'all of them' : removed === 1 ? 'the last one' : `the last ${grouped(removed)}`
  return `${share}; the cut ${cuts[last]!.cut} removes ${what}.`
}

/** 12408 -> '12 408'. */
export function grouped(value: number): string {
  return String(value).replaceAll(/\B(?=(\d{3})+$)/g, ' ')
}

export function compareHistograms(
  first: FilledHistogram,
  other: FilledHistogram,
  scale: number,
): Pick<Comparison, 'scale' | 'difference' | 'chi2' | 'ndf' | 'probability'> {
  const difference = first.counts.map((count, bin) => ({
    value: count - scale * other.counts[bin]!,
    error: Math.sqrt(count + scale ** 2 * other.counts[bin]!),
  }))
  const filled = difference.filter(({ error }) => error > 0)
  const chi2 = filled.reduce((sum, { value, error }) => sum + (value / error) ** 2, 0)
  const ndf = filled.length
  return { scale, difference, chi2, ndf, probability: ndf === 0 ? null : chi2Probability(chi2, ndf) }
}

/** Adds to the values of the runs what only the logbook knows: images, times, and with them the rates. */
export function trendOfRuns(
  selected: SelectedRuns,
  state: ScanState,
  about: { aggregate: Aggregate; quantity: string; unit: string },
  /** Of a run number. */
  groupOf: (number: number) => string,
): ResultTrend {
  const images = new Map(selected.files.map((file) => [file.number, file.images]))
  const points = (state.runs ?? [])
    .map((value): ResultTrendPoint => {
      const run = selected.runs.get(value.number)
      const rate = rateOf(about.aggregate, value, images.get(value.number) ?? 0, run)
      return {
        run: `${selected.series}:${value.number}`,
        number: value.number,
        atMs: run?.startedMs ?? null,
        images: images.get(value.number) ?? 0,
        entries: value.entries,
        group: groupOf(value.number),
        ...(rate ?? { value: value.value, error: value.error, reason: value.reason }),
      }
    })
    .sort((a, b) => a.number - b.number)
  const unit = units[about.aggregate] ?? about.unit
  const groups = [...new Set(points.map(({ group }) => group))].sort(byWords).map((group) => {
    const own = points.filter((point) => point.group === group)
    return { group, runs: own.length, expected: expectedOf(own) }
  })
  return { ...about, unit, scanned: scannedOf(selected, state), points, expected: expectedOf(points), groups }
}

const byWords = new Intl.Collator('en', { numeric: true }).compare

const units: Partial<Record<Aggregate, string>> = {
  count: '',
  perImage: '1/image',
  perSecond: 'Hz',
  ironResolution: '',
}

function rateOf(
  aggregate: Aggregate,
  { entries }: RunValue,
  images: number,
  run: { startedMs: number | null; endedMs: number | null } | undefined,
): Pick<ResultTrendPoint, 'value' | 'error' | 'reason'> | undefined {
  const per = (unit: number): Pick<ResultTrendPoint, 'value' | 'error' | 'reason'> => ({
    value: entries / unit,
    // None seen: the error is that of one.
    error: Math.sqrt(Math.max(entries, 1)) / unit,
    reason: null,
  })
  const without = (reason: string) => ({ value: null, error: null, reason })
  if (aggregate === 'count') return per(1)
  if (aggregate === 'perImage') return images > 0 ? per(images) : without('no image')
  if (aggregate !== 'perSecond') return undefined
  const seconds = ((run?.endedMs ?? 0) - (run?.startedMs ?? 0)) / 1000
  return seconds > 0 ? per(seconds) : without('its duration is not known')
}

/** Median ± 3 robust standard deviations (1.4826 × median absolute deviation). */
function expectedOf(points: readonly ResultTrendPoint[]): ResultTrend['expected'] {
  const values = points.map(({ value }) => value).filter((value) => value !== null)
  if (values.length < 5) return null
  const value = medianOf(values)
  const spread = 1.4826 * medianOf(values.map((one) => Math.abs(one - value)))
  return { value, low: value - 3 * spread, high: value + 3 * spread }
}

function medianOf(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}
