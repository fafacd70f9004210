/**
 * What the reconstruction room says over HTTP, and the words it says it in.
 *
 * Runs in browsers and in Node. Column names: the JSON of the API is camelCase (`integralCounts`), the Parquet
 * files carry the same words in snake case (`integral_counts`); `clusterColumns` lists both with unit and meaning.
 */
import { z } from 'zod'
import { defineContract, pageOf, pageQuery, queryFlag } from '../foundation/contract.ts'
import { runReferenceSchema } from '../logbook/contract.ts'
import { clusterSchema } from './cluster-columns.ts'

export { clusterColumns, clusterSchema } from './cluster-columns.ts'
export type { Cluster, ClusterColumn } from './cluster-columns.ts'

/** The campaign every closed run is reconstructed in without anybody asking. */
export const automaticCampaign = 'main'

export const campaignName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,62}$/, 'a campaign is 1 to 63 of a-z 0-9 . _ - and starts with a letter or digit')
  // Pedestal maps live under that prefix of the same bucket.
  .refine((name) => name !== 'calibration', 'this name is taken')

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
})
export type ReconstructedEvent = z.infer<typeof eventSchema>

/** waiting: something is missing (see reason). submitted: a job exists. done: products published. failed: dead letter. */
export const taskState = z.enum(['waiting', 'submitted', 'done', 'failed'])
export const taskSchema = z.object({
  id: z.string(),
  kind: z.enum(['pedestal', 'reconstruction']),
  series: z.string(),
  number: z.int(),
  campaign: z.string(),
  codeVersion: z.string(),
  calibrationId: z.string().nullable(),
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

export const runProductsSummary = z.object({
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
  histograms: z.array(histogramSchema),
  truth: truthSummary.nullable(),
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
      /** submitted: a job was made. waiting, refused: see reason. already: there is a result or a job of the same key. */
      outcome: z.enum(['submitted', 'waiting', 'already', 'refused']),
      reason: z.string().nullable(),
      task: taskSchema.nullable(),
    }),
  ),
})

export const reconstructionContract = defineContract('reconstruction', {
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
  readFrame: {
    method: 'GET',
    path: '/api/experiments/:experiment/runs/:run/events/:event/frame',
    summary:
      'Pixels of one image, row by row, little-endian: uint16 (view=raw) or int16 counts above pedestal (view=subtracted). Headers X-Frame-Width, X-Frame-Height, X-Frame-Type',
    permission: { action: 'data.read', of: 'params.experiment' },
    params: eventParams,
    query: z.object({
      camera: z.coerce.number<number | string | undefined>().int().min(0).default(0),
      view: z.enum(['raw', 'subtracted']).default('raw'),
    }),
    stream: 'bytes',
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
