/**
 * Results over HTTP: what the reconstruction says, for these runs and cuts. Runs in browsers and in Node.
 *
 * A selection = runs of a series, a campaign, a table (cluster, event, waveform) and cuts written as text; quantities
 * may be expressions too (language: results/expression.ts).
 */
import { z } from 'zod'
import { queryFlag } from '../foundation/contract.ts'
import { aggregates, sourceNames, trendGroups } from './results/quantities.ts'

const integer = z.coerce.number<number | string>().int()
const real = z.coerce.number<number | string>()
const expressionText = z.string().max(4000)
const campaign = z.string().regex(/^[a-z0-9][a-z0-9._-]{0,62}$/, 'not the name of a campaign')
const bins = integer.min(1).max(1000)
const planeBins = integer.min(1).max(120)

export const selectionQuery = z.object({
  series: z.string().min(1).max(64),
  /** First and last run number, both included; without them all runs of the series. */
  from: integer.min(0).optional(),
  to: integer.min(0).optional(),
  campaign: campaign.default('main'),
  source: z.enum(sourceNames).default('cluster'),
  cuts: expressionText.default(''),
})
export type Selection = z.output<typeof selectionQuery>

/** Without limits the range holds 99 % of the first 20 000 selected values, newest runs first. */
const axis = z.object({
  quantity: expressionText.optional(),
  low: real.optional(),
  high: real.optional(),
  bins: bins.default(60),
})
const secondAxis = z.object({
  y: expressionText,
  yLow: real.optional(),
  yHigh: real.optional(),
  xBins: planeBins.default(60),
  yBins: planeBins.default(60),
})
/** What the second selection says otherwise than the first. */
const otherSelection = z.object({
  otherSeries: z.string().max(64).optional(),
  otherFrom: integer.min(0).optional(),
  otherTo: integer.min(0).optional(),
  otherCampaign: campaign.optional(),
  otherCuts: expressionText.optional(),
})
export const fitKind = z.enum(['none', 'iron', 'gaussian'])
export type FitKind = z.infer<typeof fitKind>

/** How much of the selection has been read. `missing` lists at most 200 runs; `missingRuns` counts all. */
export const scanned = z.object({
  runsDone: z.int(),
  runsOf: z.int(),
  images: z.int(),
  rows: z.int(),
  passed: z.int(),
  missing: z.array(z.object({ run: z.string(), reason: z.string() })),
  missingRuns: z.int(),
})
export type Scanned = z.infer<typeof scanned>

export const cutFlow = z.object({
  rows: z.int(),
  /** In the order of the text: how many are left after this cut and those before it, and how many pass it alone. */
  cuts: z.array(z.object({ cut: z.string(), left: z.int(), alone: z.int() })),
  /** One sentence for people: '0 of 12 408 clusters pass; the cut lengthPx > 500 removes the last.' */
  says: z.string(),
})
export type CutFlow = z.infer<typeof cutFlow>

export const filledHistogram = z.object({
  quantity: z.string(),
  unit: z.string(),
  low: z.number(),
  high: z.number(),
  counts: z.array(z.int()),
  underflow: z.int(),
  overflow: z.int(),
  /** Selected rows whose quantity is not a number. */
  invalid: z.int(),
  /** Of the values within the range. */
  mean: z.number().nullable(),
  rms: z.number().nullable(),
})
export type FilledHistogram = z.infer<typeof filledHistogram>

const withError = z.object({ value: z.number(), error: z.number() })
/** A peak: Gaussian, with an exponential below it where the data want one. */
export const peakFit = z.object({
  /** ok; poor: it converged but describes the data badly (see reason); failed: there are no numbers. */
  state: z.enum(['ok', 'poor', 'failed']),
  reason: z.string().nullable(),
  model: z.enum(['gaussian', 'gaussian+exponential']).nullable(),
  /** amplitude, mean, sigma, background (at the low end of the range), slope: in the order of `covariance`. */
  parameters: z.array(z.object({ name: z.string(), value: z.number(), error: z.number(), unit: z.string() })),
  covariance: z.array(z.array(z.number())),
  chi2: z.number().nullable(),
  ndf: z.int().nullable(),
  probability: z.number().nullable(),
  low: z.number(),
  high: z.number(),
  /** sigma / mean. */
  resolution: withError.nullable(),
  /** Per bin of the histogram within the range fitted: expected counts, of them background, (data - fit) / error. */
  firstBin: z.int(),
  fitted: z.array(z.number()),
  background: z.array(z.number()),
  residuals: z.array(z.number()),
})
export type PeakFit = z.infer<typeof peakFit>

export const planeSchema = z.object({
  x: z.object({ quantity: z.string(), unit: z.string(), low: z.number(), high: z.number(), bins: z.int() }),
  y: z.object({ quantity: z.string(), unit: z.string(), low: z.number(), high: z.number(), bins: z.int() }),
  /** Row by row from the lowest y. */
  counts: z.array(z.int()),
  outside: z.int(),
})
export type Plane = z.infer<typeof planeSchema>

export const sampleSchema = z.object({
  /** Points of the plane: a random sample when there are more than it holds. */
  points: z.array(z.object({ x: z.number(), y: z.number(), run: z.int(), event: z.int().nullable() })),
  of: z.int(),
  isSample: z.boolean(),
})
export type Sample = z.infer<typeof sampleSchema>

export const comparisonSchema = z.object({
  other: filledHistogram,
  otherScanned: scanned,
  otherFlow: cutFlow,
  /** The other histogram is multiplied by this: images of the first / images of the other. */
  scale: z.number(),
  /** Per bin: first - scaled other, with its error. */
  difference: z.array(withError),
  chi2: z.number(),
  ndf: z.int(),
  probability: z.number().nullable(),
})
export type Comparison = z.infer<typeof comparisonSchema>

export const view = z.object({
  scanned,
  flow: cutFlow,
  histogram: filledHistogram,
  fit: peakFit.nullable(),
  plane: planeSchema.nullable(),
  sample: sampleSchema.nullable(),
  comparison: comparisonSchema.nullable(),
})
export type View = z.infer<typeof view>

export const trendPointSchema = z.object({
  run: z.string(),
  number: z.int(),
  /** Start of the run. */
  atMs: z.int().nullable(),
  images: z.int(),
  /** Selected rows. */
  entries: z.int(),
  /** By what was asked: 'data', '17.5 cm', 'no source', 'unknown'; '' when nothing was. */
  group: z.string(),
  value: z.number().nullable(),
  error: z.number().nullable(),
  /** Why there is no value. */
  reason: z.string().nullable(),
})
export type ResultTrendPoint = z.infer<typeof trendPointSchema>
const expectation = z.object({ value: z.number(), low: z.number(), high: z.number() })
export const trendSchema = z.object({
  aggregate: z.enum(aggregates),
  quantity: z.string(),
  unit: z.string(),
  scanned,
  /** In run order. */
  points: z.array(trendPointSchema),
  /** What is to be expected: the median of the points ± 3 robust standard deviations; null for fewer than 5. */
  expected: expectation.nullable(),
  /** The same for each group. */
  groups: z.array(z.object({ group: z.string(), runs: z.int(), expected: expectation.nullable() })),
})
export type ResultTrend = z.infer<typeof trendSchema>

const quantitySchema = z.object({
  name: z.string(),
  column: z.string().nullable(),
  unit: z.string(),
  meaning: z.string(),
  kind: z.enum(['number', 'flag']),
  aliases: z.array(z.string()),
})

const params = z.object({ experiment: z.string() })
const permission = { action: 'data.read', of: 'params.experiment' } as const
const histogramQuery = selectionQuery.extend(axis.shape)
const fitQuery = { fit: fitKind.default('none') }
const viewQuery = histogramQuery
  .extend(secondAxis.partial().shape)
  .extend(otherSelection.shape)
  .extend({
    ...fitQuery,
    plane: z.enum(['density', 'scatter', 'both']).default('density'),
    compare: queryFlag.optional(),
  })
export type ViewQuery = z.output<typeof viewQuery>
const trendQuery = histogramQuery.extend({
  aggregate: z.enum(aggregates).default('perImage'),
  /** Runs in groups: by their kind, or by where the source was as far as the logbook knows. */
  by: z.enum(trendGroups).default('none'),
})
export type TrendQuery = z.output<typeof trendQuery>
const path = (last: string) => `/api/experiments/:experiment/results/${last}` as const

export const resultRoutes = {
  listQuantities: {
    method: 'GET',
    path: path('quantities'),
    summary: 'What cuts and quantities can be made of: columns of each table, functions, cuts in use',
    permission,
    params,
    answer: z.object({
      sources: z.array(z.object({ source: z.enum(sourceNames), quantities: z.array(quantitySchema) })),
      functions: z.array(z.string()),
      presets: z.array(
        z.object({
          id: z.string(),
          title: z.string(),
          meaning: z.string(),
          cuts: z.string(),
          quantity: z.string().optional(),
          aggregate: z.enum(aggregates).optional(),
        }),
      ),
      formats: z.array(z.object({ name: z.string(), contentType: z.string() })),
    }),
  },
  showHistogram: {
    method: 'GET',
    path: path('histogram'),
    summary: 'Histogram of a quantity over the selected rows',
    permission,
    params,
    query: histogramQuery,
    answer: z.object({ scanned, flow: cutFlow, histogram: filledHistogram }),
  },
  fitPeak: {
    method: 'GET',
    path: path('fit'),
    summary: 'Histogram and the fit of its peak: Gaussian and exponential, chi2, errors, residuals',
    permission,
    params,
    query: histogramQuery.extend({ fit: fitKind.exclude(['none']).default('iron') }),
    answer: z.object({ scanned, flow: cutFlow, histogram: filledHistogram, fit: peakFit }),
  },
  showDensity: {
    method: 'GET',
    path: path('density'),
    summary: 'Two quantities against each other, counted in cells',
    permission,
    params,
    query: histogramQuery.extend(secondAxis.shape),
    answer: z.object({ scanned, flow: cutFlow, plane: planeSchema }),
  },
  showSample: {
    method: 'GET',
    path: path('sample'),
    summary: 'Two quantities of up to 4000 selected rows; says when that is a random sample',
    permission,
    params,
    query: histogramQuery.extend(secondAxis.shape),
    answer: z.object({ scanned, flow: cutFlow, sample: sampleSchema }),
  },
  showCutFlow: {
    method: 'GET',
    path: path('cut-flow'),
    summary: 'How many rows are left after each cut',
    permission,
    params,
    query: selectionQuery,
    answer: z.object({ scanned, flow: cutFlow }),
  },
  compareResults: {
    method: 'GET',
    path: path('comparison'),
    summary: 'The same histogram of two selections (or campaigns) and their difference',
    permission,
    params,
    query: histogramQuery.extend(otherSelection.shape),
    answer: z.object({ scanned, flow: cutFlow, histogram: filledHistogram, comparison: comparisonSchema }),
  },
  followResults: {
    method: 'GET',
    path: path('view'),
    summary: 'Histogram, plane, cut flow, fit and comparison in one: first of the newest runs, then refined run by run',
    permission,
    params,
    query: viewQuery,
    answer: view,
    stream: 'events',
  },
  showResultTrend: {
    method: 'GET',
    path: path('trend'),
    summary: 'One value per run: counts, rates, mean, median, rms, or the fitted 55Fe peak and its resolution',
    permission,
    params,
    query: trendQuery,
    answer: trendSchema,
  },
  followResultTrend: {
    method: 'GET',
    path: path('trend-events'),
    summary: 'The same, newest runs first, as they are read',
    permission,
    params,
    query: trendQuery,
    answer: trendSchema,
    stream: 'events',
  },
  exportRows: {
    method: 'GET',
    path: path('rows'),
    summary: 'The selected rows as a file, streamed: all columns, or those named (comma between)',
    permission,
    params,
    query: selectionQuery.extend({
      format: z.string().max(16).default('csv'),
      columns: z.string().max(4000).optional(),
    }),
    stream: 'bytes',
  },
} as const
