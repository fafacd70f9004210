/** Everything an admin can set, in one file `HOME/cygnet.yaml`; every line has a default, so the file may be absent. */
import { availableParallelism } from 'node:os'
import { z } from 'zod'
import { computeConfig } from '../compute/contract.ts'
import { notebooksConfig } from '../notebooks/contract.ts'

export const settingsSchema = z.strictObject({
  http: z
    .strictObject({
      port: z
        .int()
        .min(1)
        .max(65_535)
        .default(8410)
        .describe('platform port; S3 is on the next one unless s3Port is set'),
      s3Port: z.int().min(1).max(65_535).optional().describe('port of the S3 endpoint'),
      gateways: z.int().min(1).max(64).default(Math.min(2, availableParallelism())).describe('gateway processes'),
    })
    .prefault({}),
  database: z
    .strictObject({
      url: z.string().optional().describe('sqlite:/path or postgres://…; default: SQLite inside the home'),
    })
    .prefault({}),
  compute: computeConfig.prefault({}),
  notebooks: notebooksConfig.prefault({}),
})

export type Settings = z.infer<typeof settingsSchema>
