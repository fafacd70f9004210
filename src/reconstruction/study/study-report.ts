/**
 * The report of a study: sections of tables, plots, comparisons with published values and requirements, as data. The
 * page and the PDF draw the same report. Runs in browsers and in Node.
 */
import { z } from 'zod'

/** A measured number with its interval (68 % unless the column says otherwise); null where there was nothing to measure. */
export const estimateSchema = z.object({
  value: z.number().nullable(),
  low: z.number().nullable(),
  high: z.number().nullable(),
  /** How many entries it is made of. */
  entries: z.int().optional(),
})
export type Estimate = z.infer<typeof estimateSchema>

export const cellSchema = z.union([z.string(), z.number(), estimateSchema, z.null()])
export type Cell = z.infer<typeof cellSchema>

const tableSchema = z.object({
  title: z.string(),
  columns: z.array(z.object({ title: z.string(), unit: z.string(), digits: z.int().min(0).max(8).optional() })),
  rows: z.array(z.array(cellSchema)),
  note: z.string().optional(),
})
export type ReportTable = z.infer<typeof tableSchema>

const axisSchema = z.object({
  label: z.string(),
  unit: z.string(),
  scale: z.enum(['linear', 'log']).default('linear'),
  low: z.number().optional(),
  high: z.number().optional(),
})
export const seriesSchema = z.object({
  label: z.string(),
  style: z.enum(['points', 'line', 'both', 'steps']),
  /** Values of somebody else, drawn apart from ours. */
  published: z.boolean().default(false),
  points: z.array(z.object({ x: z.number(), y: z.number(), low: z.number().optional(), high: z.number().optional() })),
})
const plotSchema = z.object({
  title: z.string(),
  x: axisSchema,
  y: axisSchema,
  series: z.array(seriesSchema),
})
export type ReportPlot = z.infer<typeof plotSchema>
export type PlotSeries = z.infer<typeof seriesSchema>

/** agrees: within 3 sigma. differs: further, by `sigma`. not-comparable: see the sentence. */
export const verdictSchema = z.enum(['agrees', 'differs', 'not-comparable'])
export type Verdict = z.infer<typeof verdictSchema>

const comparisonSchema = z.object({
  quantity: z.string(),
  unit: z.string(),
  ours: estimateSchema,
  published: z.object({ value: z.number().nullable(), error: z.number().nullable(), text: z.string() }),
  /** Where it was published; `tag`: how we know it ([A] abstract, [D] data file, [P] paper, ... see the notes). */
  source: z.string(),
  tag: z.string(),
  verdict: verdictSchema,
  sigma: z.number().nullable(),
  /** What is different between the two, where they are not like for like. */
  difference: z.string(),
})
export type Comparison = z.infer<typeof comparisonSchema>

const requirementSchema = z.object({ statement: z.string(), holds: z.boolean(), found: z.string() })
export type Requirement = z.infer<typeof requirementSchema>

export const sectionSchema = z.object({
  /** Number in the plan of the validation; sections are shown in this order. */
  number: z.int(),
  id: z.string(),
  title: z.string(),
  paragraphs: z.array(z.string()),
  /** Which samples it stands on, each with its frame size and number of images. */
  samples: z.array(z.string()),
  tables: z.array(tableSchema),
  plots: z.array(plotSchema),
  comparisons: z.array(comparisonSchema),
  requirements: z.array(requirementSchema),
  /** Why the section could not be made; it counts as failing then. */
  problem: z.string().nullable(),
})
export type ReportSection = z.infer<typeof sectionSchema>

const sampleSchema = z.object({
  name: z.string(),
  purpose: z.enum(['tuning', 'test']),
  seed: z.int(),
  images: z.int(),
  frame: z.string(),
  content: z.string(),
  wallMs: z.number(),
})
export type ReportSample = z.infer<typeof sampleSchema>

export const reportSchema = z.object({
  format: z.literal('cygnet-study'),
  version: z.literal(1),
  kind: z.string(),
  title: z.string(),
  madeAtMs: z.int(),
  codeVersion: z.string(),
  programVersion: z.string(),
  options: z.record(z.string(), z.unknown()),
  machine: z.record(z.string(), z.string()),
  images: z.int(),
  wallMs: z.number(),
  samples: z.array(sampleSchema),
  notes: z.array(z.string()),
  sections: z.array(sectionSchema),
})
export type StudyReport = z.infer<typeof reportSchema>

/** How the report ends, for lists. */
export const headlineSchema = z.object({
  images: z.int(),
  requirements: z.int(),
  failing: z.int(),
  agrees: z.int(),
  differs: z.int(),
  notComparable: z.int(),
})
export type Headline = z.infer<typeof headlineSchema>

export function headlineOf(report: Pick<StudyReport, 'images' | 'sections'>): Headline {
  const requirements = report.sections.flatMap((section) => section.requirements)
  const verdicts = report.sections.flatMap((section) => section.comparisons.map(({ verdict }) => verdict))
  const count = (verdict: Verdict) => verdicts.filter((one) => one === verdict).length
  const broken = report.sections.filter(({ problem }) => problem !== null).length
  return {
    images: report.images,
    requirements: requirements.length + broken,
    failing: requirements.filter(({ holds }) => !holds).length + broken,
    agrees: count('agrees'),
    differs: count('differs'),
    notComparable: count('not-comparable'),
  }
}
