/** Everything an admin can set, in one file `HOME/cygnet.yaml`; every line has a default, so the file may be absent. */
import { z } from 'zod'
import { computeConfig } from '../compute/contract.ts'
import { readConfig } from '../foundation/config.ts'
import { addressHoldsPassword } from '../foundation/database.ts'
import { mailSettings } from '../identity/contract.ts'
import { notebooksConfig } from '../notebooks/contract.ts'
import type { Home } from './home.ts'
import { httpSettings } from './http-settings.ts'

export const settingsSchema = z.strictObject({
  http: httpSettings.prefault({}),
  database: z
    .strictObject({
      url: z
        .string()
        .refine((url) => !addressHoldsPassword(url), {
          error: 'holds a password; write it into a file of mode 0600 and name that in database.passwordFile',
        })
        .optional()
        .describe('sqlite:/path or postgres://user@host/name; default: SQLite inside the home'),
      passwordFile: z.string().optional().describe('file (0600) with the password for PostgreSQL'),
      migrateWithoutCopy: z
        .boolean()
        .default(false)
        .describe('migrate even when there is no room for a copy of the database'),
    })
    .prefault({}),
  compute: computeConfig.prefault({}),
  notebooks: notebooksConfig.prefault({}),
  mail: mailSettings.prefault({}),
})

export type Settings = z.infer<typeof settingsSchema>

/** `port`, `listen`: as `cygnet up --port N --public` says them, whatever the file says. */
export async function readSettings(home: Home, port: number | undefined, listen?: string): Promise<Settings> {
  const overrides = { http: { port, listen } }
  return readConfig(settingsSchema, { home: home.folder, overrides })
}
