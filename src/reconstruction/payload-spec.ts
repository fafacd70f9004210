/**
 * What a reconstruction job is told (spec.json) and what it leaves behind. The control process writes the first and
 * reads the second; the payload runs in a sandbox that sees nothing else.
 */
import { z } from 'zod'
import { runProductsSummary } from './contract.ts'
import { defaultParameters } from './parameters.ts'
import type { ReconstructionParameters } from './parameters.ts'

const parameters = z
  .record(z.string(), z.number())
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
    outFolder: z.string(),
    codeVersion: z.string(),
    calibrationId: z.string(),
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
