/** What control publishes and gateways decide from: people, keys and notebook routes. Holds secrets; 0600. */
import { z } from 'zod'
import { identitySnapshotSchema } from '../identity/gateway.ts'
import { notebookRoute } from '../notebooks/gateway.ts'

export const snapshotSchema = z.object({
  writtenAtMs: z.int(),
  identity: identitySnapshotSchema,
  notebooks: z.object({ routes: z.array(notebookRoute) }),
})

export type PlatformSnapshot = z.infer<typeof snapshotSchema>
/** As it lies in the file. */
export type PublishedSnapshot = z.input<typeof snapshotSchema>

/** With control away for this long people's writes are refused; a DAQ client's new files are taken for a day. */
export const staleForPeopleMs = shortened('CYGNET_STALE_FOR_PEOPLE_MS') ?? 15 * 60_000
export const staleForClientsMs = 24 * 3_600_000

/** Tests of the whole platform (CYGNET_TEST=1) do not wait a quarter of an hour. */
function shortened(variable: string): number | undefined {
  const value = process.env[variable]
  return process.env.CYGNET_TEST === '1' && value !== undefined ? Number(value) : undefined
}
