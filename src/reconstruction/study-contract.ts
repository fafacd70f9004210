/**
 * Studies over HTTP: a study is a job without a run that makes a report, a validation of the reconstruction against
 * simulated truth or a training of models. Its files are objects under `<experiment>-reco/studies/<id>/`.
 */
import { z } from 'zod'
import { pageOf, pageQuery } from '../foundation/contract.ts'
import { headlineSchema, reportSchema } from './study/study-report.ts'

export { drawPlot, plotColours } from './study/plot-shapes.ts'
export { cellText, columnTitle, oursText, verdictText } from './study/report-text.ts'
export type {
  Cell,
  Comparison,
  Estimate,
  Headline,
  PlotSeries,
  ReportPlot,
  ReportSection,
  ReportTable,
  Requirement,
  StudyReport,
  Verdict,
} from './study/study-report.ts'

export const studyKinds = ['validation', 'training'] as const
export const studyKindSchema = z.enum(studyKinds)
export type StudyKindName = z.infer<typeof studyKindSchema>

/** What `cygnet reco validate` may be told. */
export const validationOptions = z.object({
  /** Simulated images in all; the tables are held to their requirements from 2,000 on. */
  images: z.int().min(32).max(200_000).default(2000),
  /** A tenth of the images on frames of 1152 x 1152 pixels: to see the whole path work, not to publish. */
  quick: z.boolean().default(false),
  /** Side of the frames, pixels, a multiple of 64; 2304 is the camera. */
  framePx: z.int().min(256).max(2304).multipleOf(64).optional(),
  /** Seeds of tuning, training and test samples stay apart up to here. */
  seed: z.int().min(0).max(400).default(1),
})
export type ValidationOptions = z.output<typeof validationOptions>

/** What `cygnet reco train` may be told. */
export const trainingOptions = z.object({
  /** Simulated images in all, each with sixteen tracks. */
  images: z.int().min(40).max(100_000).default(1200),
  /** A tenth of the images on frames of 1152 x 1152 pixels: to see the whole path work. */
  quick: z.boolean().default(false),
  epochs: z.int().min(1).max(1000).default(60),
  trees: z.int().min(1).max(2000).default(500),
  rate: z.number().min(1e-6).max(0.1).default(1e-3),
  seed: z.int().min(0).max(90).default(1),
})
export type TrainingOptions = z.output<typeof trainingOptions>

export const studyStateSchema = z.enum(['submitted', 'done', 'failed'])

export const studyFileSchema = z.object({ name: z.string(), sizeBytes: z.int() })
export const studySchema = z.object({
  id: z.string(),
  experiment: z.string(),
  kind: studyKindSchema,
  options: z.record(z.string(), z.unknown()),
  state: studyStateSchema,
  /** Why it failed. */
  reason: z.string().nullable(),
  jobId: z.string().nullable(),
  codeVersion: z.string(),
  bucket: z.string(),
  prefix: z.string(),
  files: z.array(studyFileSchema),
  headline: headlineSchema.nullable(),
  requestedBy: z.string(),
  createdAtMs: z.int(),
  updatedAtMs: z.int(),
})
export type Study = z.infer<typeof studySchema>

const studyParams = z.object({ experiment: z.string(), study: z.string() })

export const studyRoutes = {
  startStudy: {
    method: 'POST',
    path: '/api/experiments/:experiment/studies',
    summary: 'Start a validation of the reconstruction or a training of its models',
    permission: { action: 'reconstruction.run', of: 'params.experiment' },
    params: z.object({ experiment: z.string() }),
    body: z.object({
      kind: studyKindSchema,
      /** Of the kind; what is left out has a default. */
      options: z.record(z.string(), z.unknown()).default({}),
    }),
    answer: studySchema,
  },
  listStudies: {
    method: 'GET',
    path: '/api/experiments/:experiment/studies',
    summary: 'Studies of an experiment, newest first',
    permission: { action: 'logbook.read', of: 'params.experiment' },
    params: z.object({ experiment: z.string() }),
    query: pageQuery.extend({ kind: studyKindSchema.optional() }),
    answer: pageOf(studySchema),
  },
  showStudy: {
    method: 'GET',
    path: '/api/experiments/:experiment/studies/:study',
    summary: 'One study with its report, once there is one',
    permission: { action: 'logbook.read', of: 'params.experiment' },
    params: studyParams,
    answer: z.object({ study: studySchema, report: reportSchema.nullable() }),
  },
  readStudyFile: {
    method: 'GET',
    path: '/api/experiments/:experiment/studies/:study/files/:name',
    summary: 'A file a study left: report.json, report.pdf, models',
    permission: { action: 'data.read', of: 'params.experiment' },
    params: studyParams.extend({ name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,120}$/, 'a plain file name') }),
    stream: 'bytes',
  },
} as const
