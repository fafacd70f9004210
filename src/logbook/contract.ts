/**
 * The logbook's contract: what an experiment, a setup, a series, a run, its files, conditions, notes and faults look
 * like on the wire, and the routes that read and change them. Runs in Node and in browsers.
 *
 * All times are UTC milliseconds; sizes are bytes. A run is named `series:number` inside its experiment (`sim:2`).
 */
import { z } from 'zod'
import { defineContract, pageOf, pageQuery } from '../foundation/contract.ts'

/** Experiment, setup and series names: also folder, bucket and URL parts, hence lower case and short. */
export const nameSchema = z
  .string()
  .regex(/^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/, 'lower case letters, digits and single dashes, starting with a letter')
  .min(2)
  .max(30)

/** `series:number`, for example `sim:2` or `lngs:42901`. */
export const runReferenceSchema = z
  .string()
  .regex(/^[a-z][a-z0-9]*(?:-[a-z0-9]+)*:\d{1,9}$/, 'a run is named series:number, for example sim:2')

export const runKindSchema = z.enum(['pedestal', 'data', 'calibration', 'simulation'])
export const runStateSchema = z.enum(['recording', 'closing', 'closed', 'crashed'])
export const runQualitySchema = z.enum(['unjudged', 'good', 'bad', 'partial'])
export const fileStateSchema = z.enum(['arriving', 'safe', 'damaged', 'lost'])
export const severitySchema = z.enum(['warning', 'error'])

export const setupSchema = z.object({
  name: nameSchema,
  title: z.string(),
  /** The series whose runs this setup took, and the range of numbers it is valid for (`null`: open end). */
  series: nameSchema,
  firstNumber: z.int(),
  lastNumber: z.int().nullable(),
})

export const seriesSchema = z.object({ name: nameSchema, title: z.string(), lastNumber: z.int().nullable() })

export const experimentSchema = z.object({
  name: nameSchema,
  title: z.string(),
  template: z.string(),
  createdMs: z.int(),
})

/** Something is wrong with a run or with what arrived for the experiment, and what a person can do about it. */
export const faultSchema = z.object({
  id: z.string(),
  run: runReferenceSchema.nullable(),
  code: z.string(),
  severity: severitySchema,
  detail: z.string(),
  hint: z.string(),
  /** Where it was seen: 'bucket/key', a path on the DAQ machine, or the agent's name. */
  place: z.string(),
  firstMs: z.int(),
  lastMs: z.int(),
  resolvedMs: z.int().nullable(),
})

export const runSchema = z.object({
  id: z.string(),
  reference: runReferenceSchema,
  experiment: nameSchema,
  setup: nameSchema,
  series: nameSchema,
  number: z.int(),
  kind: runKindSchema,
  state: runStateSchema,
  quality: runQualitySchema,
  qualityReason: z.string(),
  description: z.string(),
  startedMs: z.int().nullable(),
  endedMs: z.int().nullable(),
  images: z.int().nullable(),
  triggers: z.int().nullable(),
  sizeBytes: z.int().nullable(),
  /** How many unresolved faults hang on the run. */
  faults: z.int(),
  /** When the agent or the receiver last said something about the run. */
  lastSeenMs: z.int(),
  updatedMs: z.int(),
})

export const runFileSchema = z.object({
  bucket: z.string(),
  key: z.string(),
  role: z.enum(['raw', 'sidecar']),
  state: fileStateSchema,
  sizeBytes: z.int().nullable(),
  /** Lower-case hex SHA-256 of the bytes the store holds, computed by reading them back; null until read. */
  sha256: z.string().nullable(),
  etag: z.string().nullable(),
  /** When the store's bytes were last read and compared. */
  verifiedMs: z.int().nullable(),
  reason: z.string(),
  updatedMs: z.int(),
})

export const noteSchema = z.object({
  id: z.string(),
  run: runReferenceSchema.nullable(),
  text: z.string(),
  author: z.string(),
  authorId: z.string(),
  atMs: z.int(),
})

/** One setting or reading of a run. A value that did not change during the run has `end` null and `changed` false. */
export const conditionSchema = z.object({
  /** Where it stands in the source, with `[index]` for an element of a list. */
  path: z.string(),
  /** For people: 'VGEM1 measured'. */
  name: z.string(),
  begin: z.union([z.number(), z.string()]).nullable(),
  end: z.union([z.number(), z.string()]).nullable(),
  changed: z.boolean(),
  unit: z.string(),
})

export const runDetailSchema = z.object({
  run: runSchema,
  files: z.array(runFileSchema),
  notes: z.array(noteSchema),
  faults: z.array(faultSchema),
  conditions: z.int(),
  previous: runReferenceSchema.nullable(),
  next: runReferenceSchema.nullable(),
})

/** Is data taking recorded? One row for each setup; `sentence` says all of it, `advice` only what to do ('' = nothing). */
export const recordingSchema = z.object({
  setup: nameSchema,
  status: z.enum(['recording', 'not-recording']),
  run: runReferenceSchema.nullable(),
  sinceMs: z.int().nullable(),
  lastSeenMs: z.int().nullable(),
  sentence: z.string(),
  advice: z.string(),
})

/** `100-200`, `42901`, or several separated by commas: `100-200,250`. */
export const numberRangeSchema = z
  .string()
  .regex(/^\d{1,9}(?:-\d{1,9})?(?:,\d{1,9}(?:-\d{1,9})?)*$/, 'numbers and ranges, for example 100-200,250')
  .max(500)

export const runFilterSchema = z.object({
  series: nameSchema.optional(),
  setup: nameSchema.optional(),
  kind: runKindSchema.optional(),
  state: runStateSchema.optional(),
  quality: runQualitySchema.optional(),
  /** Every word must occur in the description. */
  text: z.string().max(200).optional(),
  numbers: numberRangeSchema.optional(),
  startedFromMs: z.coerce.number().int().optional(),
  startedToMs: z.coerce.number().int().optional(),
  hasFault: z.enum(['yes', 'no']).optional(),
})

const experimentParams = z.object({ experiment: nameSchema })
const runParams = z.object({ experiment: nameSchema, run: runReferenceSchema })
const base = '/api/experiments/:experiment'
const readable = { action: 'logbook.read', of: 'params.experiment' } as const
const writable = { action: 'logbook.write', of: 'params.experiment' } as const

export const logbookContract = defineContract('logbook', {
  listExperiments: {
    method: 'GET',
    path: '/api/experiments',
    summary: 'The experiments you may see',
    permission: 'signed-in',
    answer: z.object({ items: z.array(experimentSchema) }),
  },
  createExperiment: {
    method: 'POST',
    path: '/api/experiments',
    summary: 'Create an experiment with its first setup and number series; its buckets follow by themselves',
    permission: { action: 'site.admin', of: 'site' },
    body: z.object({
      name: nameSchema,
      title: z.string().trim().min(1).max(200),
      /** 'single-setup' also creates the setup and series named below; 'empty' creates neither. */
      template: z.enum(['single-setup', 'empty']).default('single-setup'),
      setup: nameSchema.default('main'),
      setupTitle: z.string().max(200).optional(),
      series: nameSchema.default('main'),
      seriesTitle: z.string().max(200).optional(),
    }),
    answer: experimentSchema,
  },
  addSetup: {
    method: 'POST',
    path: `${base}/setups`,
    summary: 'Add a setup and the number series its runs belong to',
    permission: { action: 'experiment.admin', of: 'params.experiment' },
    params: experimentParams,
    body: z
      .object({
        name: nameSchema,
        title: z.string().max(200).optional(),
        series: nameSchema,
        firstNumber: z.int().min(0).default(0),
        lastNumber: z.int().min(0).nullable().default(null),
      })
      .strict(),
    answer: setupSchema,
  },
  showExperiment: {
    method: 'GET',
    path: base,
    summary: 'An experiment with its setups, series, recording status and open faults',
    permission: readable,
    params: experimentParams,
    answer: z.object({
      experiment: experimentSchema,
      setups: z.array(setupSchema),
      series: z.array(seriesSchema),
      recording: z.array(recordingSchema),
      faults: z.array(faultSchema),
      runs: z.int(),
    }),
  },
  recordingStatus: {
    method: 'GET',
    path: `${base}/recording`,
    summary: 'Recording or NOT RECORDING, for each setup',
    permission: readable,
    params: experimentParams,
    answer: z.object({ items: z.array(recordingSchema) }),
  },
  listRuns: {
    method: 'GET',
    path: `${base}/runs`,
    summary: 'Runs, newest number first, filtered and paged on the server',
    permission: readable,
    params: experimentParams,
    query: pageQuery.extend(runFilterSchema.shape).extend({
      /** 'yes' also counts all matching runs (answer.total). */
      total: z.enum(['yes', 'no']).optional(),
    }),
    answer: pageOf(runSchema),
  },
  showRun: {
    method: 'GET',
    path: `${base}/runs/:run`,
    summary: 'One run with its files, notes and faults',
    permission: readable,
    params: runParams,
    answer: runDetailSchema,
  },
  updateRun: {
    method: 'PATCH',
    path: `${base}/runs/:run`,
    summary: "Change a run's description or quality flag",
    permission: writable,
    params: runParams,
    body: z
      .object({
        description: z.string().max(2000).optional(),
        quality: runQualitySchema.optional(),
        qualityReason: z.string().max(500).optional(),
      })
      .strict(),
    answer: runSchema,
  },
  listConditions: {
    method: 'GET',
    path: `${base}/runs/:run/conditions`,
    summary: 'Settings and readings of a run at begin and end; secrets are masked',
    permission: readable,
    params: runParams,
    query: z.object({ text: z.string().max(200).optional() }),
    answer: z.object({ items: z.array(conditionSchema) }),
  },
  listNotes: {
    method: 'GET',
    path: `${base}/notes`,
    summary: 'Notes of the experiment or of one run, newest first',
    permission: readable,
    params: experimentParams,
    query: pageQuery.extend({ run: runReferenceSchema.optional() }),
    answer: pageOf(noteSchema),
  },
  addNote: {
    method: 'POST',
    path: `${base}/notes`,
    summary: 'Write a note about the experiment or a run',
    permission: writable,
    params: experimentParams,
    body: z.object({ run: runReferenceSchema.optional(), text: z.string().trim().min(1).max(10_000) }).strict(),
    answer: noteSchema,
  },
  events: {
    method: 'GET',
    path: `${base}/events`,
    summary: 'Live facts of this experiment as server-sent events; resumes from Last-Event-ID',
    permission: readable,
    params: experimentParams,
    stream: 'events',
  },
})

/** Data of the facts 'logbook.run-opened', 'logbook.run-updated' and 'logbook.run-closed' (subject `experiment/series:number`). */
export const runFactSchema = z.object({
  experiment: nameSchema,
  runId: z.string(),
  run: runReferenceSchema,
  setup: nameSchema,
  series: nameSchema,
  number: z.int(),
  kind: runKindSchema,
  state: runStateSchema,
  /** Which part changed: 'progress', 'files', 'notes', 'faults', 'quality', 'description', 'state'. */
  changed: z.string().optional(),
  images: z.int().nullable(),
  sizeBytes: z.int().nullable(),
})

/** Data of the fact 'logbook.experiment-created' (subject: the name). Whoever provides buckets follows it. */
export const experimentFactSchema = z.object({ experiment: nameSchema, title: z.string() })

/** Data of the fact 'logbook.setup-added' (subject `experiment/setup`). */
export const setupFactSchema = z.object({ experiment: nameSchema, setup: nameSchema, series: nameSchema })

/** A live event that is not a durable fact: how far a run being recorded has come (event name 'progress', no id). */
export const progressSchema = z.object({
  run: runReferenceSchema,
  runId: z.string(),
  setup: nameSchema,
  sizeBytes: z.int(),
  events: z.int(),
  atMs: z.int(),
})

export type Experiment = z.infer<typeof experimentSchema>
export type Setup = z.infer<typeof setupSchema>
export type Series = z.infer<typeof seriesSchema>
export type Run = z.infer<typeof runSchema>
export type RunKind = z.infer<typeof runKindSchema>
export type RunState = z.infer<typeof runStateSchema>
export type RunQuality = z.infer<typeof runQualitySchema>
export type RunFile = z.infer<typeof runFileSchema>
export type RunDetail = z.infer<typeof runDetailSchema>
export type RunFilter = z.infer<typeof runFilterSchema>
export type RunFact = z.infer<typeof runFactSchema>
export type Progress = z.infer<typeof progressSchema>
export type Condition = z.infer<typeof conditionSchema>
export type Note = z.infer<typeof noteSchema>
export type LogbookFault = z.infer<typeof faultSchema>
export type Recording = z.infer<typeof recordingSchema>
