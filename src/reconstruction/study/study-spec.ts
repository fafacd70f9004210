/** What a study job is told, in CYGNET_SPEC or a file; and the names of what it leaves. */
import { z } from 'zod'
import { studyKindSchema } from '../study-contract.ts'

export const studySpec = z.object({
  study: z.string(),
  kind: studyKindSchema,
  options: z.record(z.string(), z.unknown()),
  outFolder: z.string(),
  codeVersion: z.string(),
  workers: z.int().min(1).max(256),
  python: z.string().optional(),
})
export type StudySpec = z.infer<typeof studySpec>

export const studyFiles = { report: 'report.json', pdf: 'report.pdf' } as const
