/**
 * The head of the audit's chain, kept in the secrets folder: who can cut the end off in the database, or write the whole
 * chain anew, still has this against him. Written a moment after each commit, never before, so it is never ahead of what
 * a power cut leaves.
 */
import { join } from 'node:path'
import { z } from 'zod'
import { readJsonFile, writeFileDurable } from '../../foundation/files.ts'

const anchorSchema = z.object({
  sequence: z.int().nonnegative(),
  hash: z.string().regex(/^[0-9a-f]{64}$/),
  atMs: z.int(),
  /** Hashes of the keys of the faults that a site admin has accepted (verification.ts). */
  accepted: z.array(z.string()).max(1000).optional(),
})
export type Anchor = z.infer<typeof anchorSchema>

export function anchorPath(secretsDirectory: string): string {
  return join(secretsDirectory, 'audit-head.json')
}

/** `undefined` if there is none yet; throws if it cannot be read. */
export async function readAnchor(secretsDirectory: string): Promise<Anchor | undefined> {
  return await readJsonFile(anchorPath(secretsDirectory), anchorSchema)
}

export async function writeAnchor(secretsDirectory: string, anchor: Anchor): Promise<void> {
  await writeFileDurable(anchorPath(secretsDirectory), JSON.stringify(anchor), { mode: 0o600 })
}
