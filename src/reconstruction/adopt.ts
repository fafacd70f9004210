/**
 * Makes products of ours from what a script left, in a process of its own: a file made to kill its reader kills that
 * process, not the platform.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { runCommand } from '../foundation/processes.ts'
import { histogramSchema, lineageSchema } from './contract.ts'

export const adoptSpec = z.object({
  /** What the script wrote; null where it did not. Hostile. */
  clustersPath: z.string().nullable(),
  summaryPath: z.string().nullable(),
  /** Ours: says how large the frames are. */
  pedestalPath: z.string(),
  /** clusters.parquet and events.parquet are written here. */
  outFolder: z.string(),
  lineage: lineageSchema,
  parameters: z.record(z.string(), z.unknown()),
  images: z.int().nullable(),
})
export type AdoptSpec = z.infer<typeof adoptSpec>

export const adoptAnswer = z.object({
  /** Why there are no products, in words. */
  refusal: z.string().nullable(),
  problems: z.array(z.string()),
  totals: z.object({
    images: z.int(),
    imagesReconstructed: z.int(),
    clusters: z.int(),
    selectedClusters: z.int(),
    selectedLightCounts: z.number(),
    histograms: z.array(histogramSchema),
    numbers: z.record(z.string(), z.number()),
  }),
  contentSha256: z.string(),
})
export type AdoptAnswer = z.infer<typeof adoptAnswer>

const timeoutMs = 180_000
const heapMiB = 1024
/** Of data, buffers outside the heap included; enough for the largest file that is taken. */
const dataBytes = 3 * 1024 ** 3
const prlimit = '/usr/bin/prlimit'

/** Never throws for what is in the files: that is a refusal. */
export async function adoptProducts(spec: AdoptSpec, { nodePath }: { nodePath: string }): Promise<AdoptAnswer> {
  const program = join(import.meta.dirname, 'adopt-program.ts')
  const limits = existsSync(prlimit) ? [prlimit, `--data=${dataBytes}`, '--'] : []
  const { code, stdout } = await runCommand([...limits, nodePath, `--max-old-space-size=${heapMiB}`, program], {
    input: JSON.stringify(adoptSpec.parse(spec)),
    timeoutMs,
    env: { PATH: '/usr/bin:/bin' },
  }).catch(() => ({ code: 1, stdout: '' }))
  if (code === 0) return adoptAnswer.parse(JSON.parse(stdout))
  return refusedAnswer('its clusters.parquet could not be read within the memory and time that a run may have')
}

export function refusedAnswer(refusal: string): AdoptAnswer {
  return {
    refusal,
    problems: [],
    totals: {
      images: 0,
      imagesReconstructed: 0,
      clusters: 0,
      selectedClusters: 0,
      selectedLightCounts: 0,
      histograms: [],
      numbers: {},
    },
    contentSha256: '',
  }
}
