/**
 * What a reconstruction job is told (spec.json) and what it leaves behind. The control process writes the first and
 * reads the second; the payload runs in a sandbox that sees nothing else.
 */
import { z } from 'zod'
import { lineageSchema, runProductsSummary } from './contract.ts'
import { defaultParameters, parameterProblems } from './parameters.ts'
import type { ReconstructionParameters } from './parameters.ts'

/** A name or value that does not exist is refused: a campaign with a slip must not silently be another one. */
const parameters = z
  .record(z.string(), z.union([z.number(), z.string()]))
  .superRefine((given, context) => {
    for (const message of parameterProblems(given)) context.addIssue({ code: 'custom', message })
  })
  .transform((given): ReconstructionParameters => ({ ...defaultParameters, ...given }))

export const payloadSpec = z.discriminatedUnion('task', [
  z.object({
    task: z.literal('pedestal'),
    /** `experiment/series:number`, goes into the files as lineage. */
    run: z.string(),
    rawPath: z.string(),
    /** How many images the logbook says the run has: for the progress lines only. */
    images: z.int().min(0).optional(),
    outFolder: z.string(),
    codeVersion: z.string(),
  }),
  z.object({
    task: z.literal('reconstruction'),
    run: z.string(),
    campaign: z.string(),
    rawPath: z.string(),
    /** How many images the logbook says the run has: for the progress lines only. */
    images: z.int().min(0).optional(),
    pedestalPath: z.string(),
    truthPath: z.string().nullable(),
    /** Tables of the DRS4 chips (.npy); without them fast waveforms are analysed as recorded. */
    drs4Tables: z.object({ cellPath: z.string(), samplePath: z.string() }).optional(),
    /** Looks at the clusters; without it they get no score, learned energy and depth. */
    model: z.object({ path: z.string(), name: z.string() }).optional(),
    outFolder: z.string(),
    codeVersion: z.string(),
    calibrationId: z.string(),
    /** Goes into the summary and, but for host and time, into the files. */
    lineage: lineageSchema.optional(),
    workers: z.int().min(1).max(256),
    parameters,
  }),
])
export type PayloadSpec = z.input<typeof payloadSpec>
export type PedestalSpec = Extract<z.output<typeof payloadSpec>, { task: 'pedestal' }>
export type ReconstructionSpec = Extract<z.output<typeof payloadSpec>, { task: 'reconstruction' }>

/** Names of the files a job leaves in its out folder. */
export const productNames = {
  clusters: 'clusters.parquet',
  events: 'events.parquet',
  /** Pixels of bright clusters. */
  pixels: 'pixels.parquet',
  /** Only of runs with digitizer banks. */
  waveforms: 'waveforms.parquet',
  summary: 'summary.json',
  pedestal: 'pedestal.cyped',
  /** Written instead of products when the run itself makes them impossible; the job ends well, the task does not. */
  refusal: 'refusal.json',
} as const

export const pedestalSummary = z.object({
  codeVersion: z.string(),
  images: z.int(),
  problems: z.array(z.string()),
  complete: z.boolean(),
  wallMs: z.number(),
  quality: z.record(z.string(), z.unknown()),
})
export type PedestalSummary = z.infer<typeof pedestalSummary>

export const refusalSchema = z.object({ code: z.string(), detail: z.string(), hint: z.string().nullable() })
export type Refusal = z.infer<typeof refusalSchema>
export { runProductsSummary as reconstructionSummarySchema }

/**
 * Reports how far the work is: images done, of how many (undefined when nobody knows), and how much of the file was read.
 * The payload prints it as lines of its log.
 */
export type ReportProgress = (progress: {
  images: number
  of: number | undefined
  readBytes: number
  fileBytes: number | null
}) => void
