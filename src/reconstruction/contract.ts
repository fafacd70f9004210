/**
 * What the reconstruction room says over HTTP, and the words it says it in.
 *
 * Runs in browsers and in Node. Column names: the JSON of the API is camelCase (`integralCounts`), the Parquet
 * files carry the same words in snake case (`integral_counts`); `clusterColumns` lists both with unit and meaning.
 */
import { z } from 'zod'
import { defineContract, pageOf, pageQuery, queryFlag } from '../foundation/contract.ts'
import { runReferenceSchema } from '../logbook/contract.ts'
import { campaignRoutes } from './campaign-contract.ts'
import { automaticCampaign, campaignName } from './campaign-name.ts'
import { clusterSchema } from './cluster-columns.ts'
import { frameRoutes } from './frame-contract.ts'
import { resultRoutes } from './results-contract.ts'
import { savedSelectionRoutes } from './saved-contract.ts'
import { studyRoutes } from './study-contract.ts'

export {
  cellText,
  columnTitle,
  drawPlot,
  oursText,
  plotColours,
  validationOptions,
  verdictText,
} from './study-contract.ts'
export type {
  Comparison as PublishedComparison,
  Headline,
  ReportPlot,
  ReportSection,
  ReportTable,
  Requirement,
  Study,
  StudyKindName,
  StudyReport,
} from './study-contract.ts'
import { waveformRoutes, waveformSummarySchema } from './waveform-contract.ts'

export { clusterColumns, clusterSchema } from './cluster-columns.ts'
export type { Cluster, ClusterColumn } from './cluster-columns.ts'
export type { EventTrigger, TraceBoard, Traces, Waveform, WaveformSummary } from './waveform-contract.ts'

export { functions, nearest, parseCuts, parseExpression, quantitiesOf } from './results/expression.ts'
export type { ExpressionProblem, Quantity } from './results/expression.ts'
export { pythonOf } from './results/expression-python.ts'
export { aggregates, presets, sourceNames, sources, trendGroups } from './results/quantities.ts'
export type { Aggregate, Preset, SourceName, TrendGroup } from './results/quantities.ts'
export { pythonOfResults, stepsOfResults } from './results/python-of-results.ts'
export {
  addressOfResults,
  cutOfRange,
  isReadable,
  parseRunRange,
  queryOfResults,
  resultsOf,
  withCut,
} from './results/results-state.ts'
export type { SavedSelection } from './saved-contract.ts'
export type { ResultsState, RunRange } from './results/results-state.ts'
export type { Comparison, FilledHistogram, PeakFit, Plane, ResultTrend, Sample, View } from './results-contract.ts'

export { frameViews, pedestalScale } from './frame-contract.ts'
export type { FrameViewName } from './frame-contract.ts'
export { matchClusters } from './cluster-matching.ts'

export { automaticCampaign, campaignName } from './campaign-name.ts'
export type {
  Campaign,
  CampaignProgress,
  CampaignScript,
  ClusterComparison,
  ClusterPair,
  ComparedRun,
  ParameterFact,
} from './campaign-contract.ts'

/** One closed border; `points` = x0, y0, x1, y1, ... in pixel edges of the stored frame (0 = left edge of column 0). */
export const outlineSchema = z.object({
  cluster: z.int(),
  camera: z.int(),
  selected: z.boolean(),
  rings: z.array(z.array(z.int())),
})
export type Outline = z.infer<typeof outlineSchema>

export const eventSchema = z.object({
  event: z.int(),
  camera: z.int(),
  atMs: z.int().nullable(),
  widthPx: z.int(),
  heightPx: z.int(),
  macroHits: z.int(),
  clusters: z.int(),
  selectedClusters: z.int(),
  zeroSuppressedSumCounts: z.number(),
  note: z.string(),
  /** The latest slow-control values before the picture was written; null where there was none or the sensor is not there. */
  detectorPressureBar: z.number().nullable(),
  atmosphericPressureBar: z.number().nullable(),
  gasTemperatureCelsius: z.number().nullable(),
  roomTemperatureCelsius: z.number().nullable(),
  humidityPercent: z.number().nullable(),
  mixtureDensityGPerL: z.number().nullable(),
})
export type ReconstructedEvent = z.infer<typeof eventSchema>

/**
 * waiting: something is missing (see reason). submitted: a job exists. done: products published. failed: dead letter.
 * cancelled: somebody did not want it any more, or a newer wish for the same run and campaign took its place.
 */
export const taskState = z.enum(['waiting', 'submitted', 'done', 'failed', 'cancelled'])
export const taskSchema = z.object({
  id: z.string(),
  kind: z.enum(['pedestal', 'reconstruction']),
  series: z.string(),
  number: z.int(),
  campaign: z.string(),
  codeVersion: z.string(),
  calibrationId: z.string().nullable(),
  /** Of the campaign whose recipe it follows. */
  campaignVersion: z.int(),
  jobId: z.string().nullable(),
  state: taskState,
  reason: z.string().nullable(),
  createdAtMs: z.int(),
  updatedAtMs: z.int(),
})
export type ReconstructionTask = z.infer<typeof taskSchema>

const distribution = z.object({ count: z.int(), medianMs: z.number(), p95Ms: z.number(), totalMs: z.number() })
export const histogramSchema = z.object({
  quantity: z.string(),
  unit: z.string(),
  low: z.number(),
  high: z.number(),
  underflow: z.int(),
  overflow: z.int(),
  counts: z.array(z.int()),
})
/** How the clusters compare with what the simulator put in. Definitions: src/reconstruction/README.md. */
export const truthSummary = z.object({
  tracks: z.int(),
  outsideAcceptance: z.int(),
  belowThreshold: z.int(),
  findable: z.int(),
  found: z.int(),
  /** Found as the main track of a cluster, not below a brighter one it is merged with. */
  resolved: z.int(),
  split: z.int(),
  merged: z.int(),
  efficiency: z.number().nullable(),
  purity: z.number().nullable(),
  matchedClusters: z.int(),
  selectedClusters: z.int(),
  fakeClusters: z.int(),
  selectedFakeClusters: z.int(),
  perKind: z.record(z.string(), z.object({ findable: z.int(), found: z.int(), efficiency: z.number().nullable() })),
})
export type TruthSummary = z.infer<typeof truthSummary>

/** Where a result comes from, whole: with it the same bytes can be made again. */
export const lineageSchema = z.object({
  run: z.string(),
  campaign: z.string(),
  campaignVersion: z.int(),
  codeVersion: z.string(),
  /** Of the program (builtin) or of the script's folder; null where it is not known. */
  gitCommit: z.string().nullable(),
  calibrationId: z.string(),
  rawSha256: z.string(),
  /** '' when there was no truth beside the run. */
  truthSha256: z.string(),
  /** Of the model of a campaign that names its own; '' without one, and for the shipped one, which is part of the code. */
  modelSha256: z.string().default(''),
  /** Where it was made, and when (UTC ms); null until it has been. */
  host: z.string(),
  madeAtMs: z.int().nullable(),
})
export type ResultLineage = z.infer<typeof lineageSchema>

export const runProductsSummary = z.object({
  lineage: lineageSchema.optional(),
  /** What a script says about the run in its own summary.json. */
  numbers: z.record(z.string(), z.number()).optional(),
  codeVersion: z.string(),
  calibrationId: z.string().nullable(),
  images: z.int(),
  imagesReconstructed: z.int(),
  imagesVetoed: z.int(),
  clusters: z.int(),
  selectedClusters: z.int(),
  macroHits: z.int(),
  selectedLightCounts: z.number(),
  problems: z.array(z.string()),
  complete: z.boolean(),
  timings: z.record(z.string(), distribution),
  wallMs: z.number(),
  workers: z.int(),
  /** What did the first stages of the images, and why when it was not SIMD; the products are the same. */
  implementation: z.object({ kernels: z.enum(['wasm-simd', 'typescript']), reason: z.string().nullable() }).optional(),
  histograms: z.array(histogramSchema),
  truth: truthSummary.nullable(),
  /** Null without digitizer banks, and in results of earlier code. */
  waveforms: waveformSummarySchema.nullable().default(null),
  parameters: z.record(z.string(), z.unknown()),
  contentSha256: z.string(),
})
export type RunProductsSummary = z.infer<typeof runProductsSummary>

export const summarySchema = z.object({
  experiment: z.string(),
  series: z.string(),
  number: z.int(),
  campaign: z.string(),
  codeVersion: z.string(),
  calibrationId: z.string().nullable(),
  bucket: z.string(),
  prefix: z.string(),
  madeAtMs: z.int(),
  images: z.int(),
  clusters: z.int(),
  selectedClusters: z.int(),
  efficiency: z.number().nullable(),
  purity: z.number().nullable(),
  complete: z.boolean(),
  details: runProductsSummary,
})
export type ReconstructionSummary = z.infer<typeof summarySchema>

export const trendPoint = summarySchema.omit({ details: true, bucket: true, prefix: true }).extend({
  selectedLightCounts: z.number(),
  wallMs: z.number(),
})
export type TrendPoint = z.infer<typeof trendPoint>

export const calibrationSchema = z.object({
  id: z.string(),
  experiment: z.string(),
  series: z.string(),
  kind: z.literal('pedestal'),
  version: z.int(),
  fromRun: z.int(),
  madeFromRun: z.int(),
  bucket: z.string(),
  key: z.string(),
  sha256: z.string(),
  sizeBytes: z.int(),
  codeVersion: z.string(),
  madeAtMs: z.int(),
  quality: z.record(z.string(), z.unknown()),
})
export type Calibration = z.infer<typeof calibrationSchema>

/** A run is named as in the logbook: `sim:2`. */
const runParams = z.object({ experiment: z.string(), run: runReferenceSchema })
const eventParams = runParams.extend({ event: z.coerce.number<number | string>().int().min(0) })
const campaignQuery = z.object({ campaign: campaignName.default(automaticCampaign) })

export const startBody = z
  .object({
    series: z.string(),
    numbers: z.array(z.int().min(0)).max(10_000).optional(),
    range: z.object({ from: z.int().min(0), to: z.int().min(0) }).optional(),
    campaign: campaignName.default(automaticCampaign),
    /** Reconstruct again even where this campaign already has a result of the same code and calibration. */
    force: z.boolean().default(false),
  })
  .refine((body) => (body.numbers === undefined) !== (body.range === undefined), {
    message: 'give either numbers or range',
  })
export const startAnswer = z.object({
  tasks: z.array(
    z.object({
      run: runReferenceSchema,
      /**
       * submitted: a job was made. waiting, refused: see reason. already: there is a result or a job of the same key.
       * skipped: a pedestal run of a range, whose map is made by itself.
       */
      outcome: z.enum(['submitted', 'waiting', 'already', 'refused', 'skipped']),
      reason: z.string().nullable(),
      task: taskSchema.nullable(),
    }),
  ),
})

export const reconstructionContract = defineContract('reconstruction', {
  ...campaignRoutes,
  ...studyRoutes,
  ...waveformRoutes,
  ...frameRoutes,
  ...resultRoutes,
  ...savedSelectionRoutes,
  showRun: {
    method: 'GET',
    path: '/api/experiments/:experiment/runs/:run/reconstruction',
    summary: 'State and results of the reconstruction of one run, all campaigns',
    permission: { action: 'logbook.read', of: 'params.experiment' },
    params: runParams,
    answer: z.object({ tasks: z.array(taskSchema), summaries: z.array(summarySchema) }),
  },
  listRunClusters: {
    method: 'GET',
    path: '/api/experiments/:experiment/runs/:run/clusters',
    summary: 'Clusters of a run, in event order, brightest first',
    permission: { action: 'data.read', of: 'params.experiment' },
    params: runParams,
    query: pageQuery.extend(campaignQuery.shape).extend({ selected: queryFlag.optional() }),
    answer: pageOf(clusterSchema),
  },
  listRunEvents: {
    method: 'GET',
    path: '/api/experiments/:experiment/runs/:run/reconstructed-events',
    summary: 'Events of a run with their numbers of clusters',
    permission: { action: 'data.read', of: 'params.experiment' },
    params: runParams,
    query: pageQuery.extend(campaignQuery.shape),
    answer: pageOf(eventSchema),
  },
  listEventClusters: {
    method: 'GET',
    path: '/api/experiments/:experiment/runs/:run/events/:event/clusters',
    summary: 'All clusters of one event',
    permission: { action: 'data.read', of: 'params.experiment' },
    params: eventParams,
    query: campaignQuery,
    answer: z.object({ items: z.array(clusterSchema) }),
  },
  listEventOutlines: {
    method: 'GET',
    path: '/api/experiments/:experiment/runs/:run/events/:event/outlines',
    summary: 'Borders of the clusters of one event, for drawing over its image',
    permission: { action: 'data.read', of: 'params.experiment' },
    params: eventParams,
    query: campaignQuery,
    answer: z.object({
      items: z.array(outlineSchema),
      /** Rows of the frame that were searched: tracks outside them have no outline. `endRow` is the row after the last. */
      acceptance: z.object({ firstRow: z.int(), endRow: z.int() }),
    }),
  },
  showTrend: {
    method: 'GET',
    path: '/api/experiments/:experiment/series/:series/reconstruction-trend',
    summary: 'One point per reconstructed run of a series, oldest first',
    permission: { action: 'logbook.read', of: 'params.experiment' },
    params: z.object({ experiment: z.string(), series: z.string() }),
    query: pageQuery.extend(campaignQuery.shape),
    answer: pageOf(trendPoint),
  },
  startReconstruction: {
    method: 'POST',
    path: '/api/experiments/:experiment/reconstruction',
    summary: 'Reconstruct runs of a series in a campaign',
    permission: { action: 'reconstruction.run', of: 'params.experiment' },
    params: z.object({ experiment: z.string() }),
    body: startBody,
    answer: startAnswer,
  },
  listTasks: {
    method: 'GET',
    path: '/api/experiments/:experiment/reconstruction',
    summary: 'Reconstruction tasks, newest first; state=failed is the dead-letter list, state=waiting says for what',
    permission: { action: 'logbook.read', of: 'params.experiment' },
    params: z.object({ experiment: z.string() }),
    query: pageQuery.extend({
      campaign: campaignName.optional(),
      series: z.string().optional(),
      state: taskState.optional(),
    }),
    answer: pageOf(taskSchema),
  },
  listCalibrations: {
    method: 'GET',
    path: '/api/experiments/:experiment/calibrations',
    summary: 'Calibration versions of an experiment, newest first',
    permission: { action: 'logbook.read', of: 'params.experiment' },
    params: z.object({ experiment: z.string() }),
    query: pageQuery.extend({ series: z.string().optional() }),
    answer: pageOf(calibrationSchema),
  },
})
