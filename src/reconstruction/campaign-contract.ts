/**
 * Campaigns over HTTP: one way of processing runs, made once, used on any number of them. Runs in browsers and in Node.
 *
 * A campaign is versions of a recipe. `builtin`: our chain with other numbers. `script`: somebody's own program, in the
 * sandbox, as that person. What a version says never changes; a change makes the next version.
 */
import { z } from 'zod'
import { pageOf, pageQuery } from '../foundation/contract.ts'
import type { Routes } from '../foundation/contract.ts'
import { runReferenceSchema } from '../logbook/contract.ts'
import { campaignName } from './campaign-name.ts'

/** Most bytes of the files of a script, all together. */
export const mostScriptBytes = 5 * 1024 * 1024
export const mostScriptFiles = 200

export const parameterValue = z.union([z.number(), z.string()])
export type ParameterValue = z.infer<typeof parameterValue>

const scriptFile = z.object({
  /** Below the script's folder; `/` between folders. */
  path: z.string().min(1).max(200),
  sizeBytes: z.int(),
  sha256: z.string(),
  executable: z.boolean(),
})
export const scriptSchema = z.object({
  /**
   * Program and arguments; no shell is involved. {raw} {pedestal} {truth} are files to read, {out} the folder to write
   * to, {run} the run's name, {workers} how many cores it has. The working directory is the script's own folder.
   */
  command: z.array(z.string().min(1).max(4096)).min(1).max(100),
  /** notebook: the Python of notebooks. system: what the machine has. */
  environment: z.string().regex(/^[a-z][a-z0-9-]*$/),
  files: z.array(scriptFile),
  /** Where the files lie: bucket and first part of their keys. */
  bucket: z.string(),
  prefix: z.string(),
  /** Of the files, as the person's own repository calls it; null when it is not known or the checkout was changed. */
  gitCommit: z.string().nullable(),
  cores: z.int(),
  memoryMiB: z.int(),
  walltimeSeconds: z.int(),
})
export type CampaignScript = z.infer<typeof scriptSchema>

export const progressSchema = z.object({
  /** Runs, each counted once, by the state of the newest wish to process it. */
  waiting: z.int(),
  submitted: z.int(),
  done: z.int(),
  failed: z.int(),
  cancelled: z.int(),
  /** From the measured time per run and the jobs that fit on the machine; null when nothing is left or known. */
  remainingMs: z.number().nullable(),
  /** Median time of one run so far. */
  perRunMs: z.number().nullable(),
})
export type CampaignProgress = z.infer<typeof progressSchema>

export const campaignSchema = z.object({
  experiment: z.string(),
  name: campaignName,
  version: z.int(),
  kind: z.enum(['builtin', 'script']),
  description: z.string(),
  /** Only what differs from the catalogue's defaults. */
  parameters: z.record(z.string(), parameterValue),
  /** Named set the parameters began from; null when none. */
  preset: z.string().nullable(),
  script: scriptSchema.nullable(),
  /** Part of the key of every result: code, parameters or files. */
  codeVersion: z.string(),
  creatorId: z.string(),
  creatorName: z.string(),
  createdAtMs: z.int(),
})
export type Campaign = z.infer<typeof campaignSchema>

export const parameterSchema = z.object({
  name: z.string(),
  unit: z.string(),
  reference: z.string().nullable(),
  meaning: z.string(),
  default: parameterValue,
})
export type ParameterFact = z.infer<typeof parameterSchema>

const newScript = z.object({
  command: scriptSchema.shape.command,
  environment: scriptSchema.shape.environment.default('notebook'),
  files: z
    .array(
      z.object({
        path: scriptFile.shape.path,
        contentBase64: z.base64(),
        executable: z.boolean().default(false),
      }),
    )
    .max(mostScriptFiles)
    .default([]),
  gitCommit: z
    .string()
    .regex(/^[0-9a-f]{40}(?:[0-9a-f]{24})?$/, 'a commit is 40 or 64 hex digits')
    .nullable()
    .default(null),
  cores: z.int().min(1).max(256).default(1),
  memoryMiB: z.int().min(64).max(1_048_576).default(2048),
  walltimeSeconds: z
    .int()
    .min(1)
    .max(7 * 86_400)
    .default(3600),
})
export type NewScript = z.output<typeof newScript>

const recipe = {
  description: z.string().max(2000).optional(),
  parameters: z.record(z.string(), parameterValue).optional(),
  preset: z.string().max(100).optional(),
  script: newScript.optional(),
}
export const newCampaignBody = z.object({ name: campaignName, ...recipe }).strict()
export const campaignChangeBody = z.object(recipe).strict()
export type CampaignChange = z.output<typeof campaignChangeBody>

/** Which runs are meant: some by number, or the runs of a range. Without either, all of the campaign. */
export const runSelection = {
  series: z.string().optional(),
  numbers: z.array(z.int().min(0)).max(10_000).optional(),
  range: z.object({ from: z.int().min(0), to: z.int().min(0) }).optional(),
}
const selectionBody = z
  .object(runSelection)
  .strict()
  .refine((body) => (body.numbers === undefined && body.range === undefined) || body.series !== undefined, {
    message: 'numbers and range need a series',
  })
export type RunSelection = z.output<typeof selectionBody>

const comparedResult = z.object({
  codeVersion: z.string(),
  images: z.int(),
  clusters: z.int(),
  selectedClusters: z.int(),
  selectedLightCounts: z.number(),
  efficiency: z.number().nullable(),
  purity: z.number().nullable(),
  wallMs: z.number(),
})
export const comparedRun = z.object({
  run: runReferenceSchema,
  series: z.string(),
  number: z.int(),
  first: comparedResult,
  second: comparedResult,
})
export type ComparedRun = z.infer<typeof comparedRun>

const shift = z.object({ count: z.int(), median: z.number(), p16: z.number(), p84: z.number(), largest: z.number() })
export type ShiftDistribution = z.infer<typeof shift>
export const clusterPair = z.object({
  event: z.int(),
  camera: z.int(),
  first: z.int(),
  second: z.int(),
  /** iou: their boxes share at least half of what they cover. near: the nearest barycentre. */
  by: z.enum(['iou', 'near']),
  iou: z.number(),
  firstIntegralCounts: z.number(),
  secondIntegralCounts: z.number(),
  shiftPx: z.number(),
})
export type ClusterPair = z.infer<typeof clusterPair>
export const clusterComparison = z.object({
  run: runReferenceSchema,
  firstClusters: z.int(),
  secondClusters: z.int(),
  matched: z.int(),
  onlyFirst: z.int(),
  onlySecond: z.int(),
  /** Of matched clusters: (second - first) / first. */
  integralShift: shift,
  /** Of matched clusters: distance of the barycentres, px. */
  positionShiftPx: shift,
  /** Those that differ most in light first; at most the asked number. */
  pairs: z.array(clusterPair),
  /** Unmatched ones, brightest first: event, camera, rank and light. */
  unmatched: z.array(
    z.object({
      in: z.enum(['first', 'second']),
      event: z.int(),
      camera: z.int(),
      cluster: z.int(),
      integralCounts: z.number(),
      xMeanPx: z.number(),
      yMeanPx: z.number(),
    }),
  ),
  /** True when a file had more clusters than were looked at. */
  cut: z.boolean(),
})
export type ClusterComparison = z.infer<typeof clusterComparison>

export const actionOutcome = z.object({
  run: runReferenceSchema,
  /** As for a start; cancelled: it will not begin; begun: it runs already and was left alone. */
  outcome: z.enum(['submitted', 'waiting', 'already', 'refused', 'cancelled', 'begun']),
  reason: z.string().nullable(),
})
export type ActionOutcome = z.infer<typeof actionOutcome>

const base = '/api/experiments/:experiment/campaigns'
const experimentParams = z.object({ experiment: z.string() })
const campaignParams = experimentParams.extend({ campaign: campaignName })
const pairParams = campaignParams.extend({ other: campaignName })
const readable = { action: 'logbook.read', of: 'params.experiment' } as const
const usable = { action: 'reconstruction.run', of: 'params.experiment' } as const

export const campaignRoutes = {
  listParameters: {
    method: 'GET',
    path: '/api/experiments/:experiment/reconstruction-parameters',
    summary:
      'The numbers the chain depends on, with units, defaults and the names of the reference; and named sets of them',
    permission: readable,
    params: experimentParams,
    answer: z.object({
      items: z.array(parameterSchema),
      presets: z.array(
        z.object({ name: z.string(), description: z.string(), parameters: z.record(z.string(), parameterValue) }),
      ),
    }),
  },
  listCampaigns: {
    method: 'GET',
    path: base,
    summary: 'Campaigns with the newest version of each and how far they are, newest first; main always exists',
    permission: readable,
    params: experimentParams,
    query: pageQuery,
    answer: pageOf(campaignSchema.extend({ progress: progressSchema })),
  },
  createCampaign: {
    method: 'POST',
    path: base,
    summary: 'Make a campaign: parameters of the chain, or a script; a script also needs jobs.submit',
    permission: usable,
    params: experimentParams,
    body: newCampaignBody,
    bodyLimitBytes: 10 * 1024 * 1024,
    answer: campaignSchema,
  },
  showCampaign: {
    method: 'GET',
    path: `${base}/:campaign`,
    summary: 'One campaign: its newest version, earlier ones, and how far it is',
    permission: readable,
    params: campaignParams,
    answer: z.object({ campaign: campaignSchema, versions: z.array(campaignSchema), progress: progressSchema }),
  },
  changeCampaign: {
    method: 'PATCH',
    path: `${base}/:campaign`,
    summary:
      'Make the next version of a campaign; what is left out stays. Results of earlier versions keep their lineage',
    permission: usable,
    params: campaignParams,
    body: campaignChangeBody,
    bodyLimitBytes: 10 * 1024 * 1024,
    answer: campaignSchema,
  },
  retryCampaign: {
    method: 'POST',
    path: `${base}/:campaign/retry`,
    summary: 'Try failed and cancelled runs of a campaign again: all, or those named',
    permission: usable,
    params: campaignParams,
    body: selectionBody,
    answer: z.object({ items: z.array(actionOutcome) }),
  },
  cancelCampaign: {
    method: 'POST',
    path: `${base}/:campaign/cancel`,
    summary: 'Cancel runs of a campaign that have not begun: all, or those named',
    permission: usable,
    params: campaignParams,
    body: selectionBody,
    answer: z.object({ items: z.array(actionOutcome) }),
  },
  compareCampaigns: {
    method: 'GET',
    path: `${base}/:campaign/compare/:other`,
    summary: 'Two campaigns over the runs that both have, in run order',
    permission: readable,
    params: pairParams,
    query: pageQuery.extend({ series: z.string().optional() }),
    answer: pageOf(comparedRun).extend({
      /** Runs that only one of them has. */
      onlyFirst: z.int(),
      onlySecond: z.int(),
    }),
  },
  compareRun: {
    method: 'GET',
    path: `${base}/:campaign/compare/:other/runs/:run`,
    summary: 'Which clusters of one run two campaigns agree on, and by how much their light and position differ',
    permission: { action: 'data.read', of: 'params.experiment' },
    params: pairParams.extend({ run: runReferenceSchema }),
    query: z.object({
      limit: z.coerce.number<number | string | undefined>().int().min(1).max(5000).default(200),
      /** all: also clusters that do not pass the quality cut. */
      clusters: z.enum(['selected', 'all']).default('selected'),
    }),
    answer: clusterComparison,
  },
} as const satisfies Routes
