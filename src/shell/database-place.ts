/** Where the database of an installation is, and the mark that a move leaves beside the one it came from. */
import { join } from 'node:path'
import { z } from 'zod'
import type { DatabaseAddress } from '../foundation/database.ts'
import { readJsonFile, writeFileDurable } from '../foundation/files.ts'
import { shellFaults } from './errors.ts'
import type { Home } from './home.ts'
import type { Settings } from './settings.ts'

const addressSchema = z.object({ url: z.string(), passwordFile: z.string().optional() })

const markSchema = z.object({
  from: addressSchema,
  to: addressSchema,
  atMs: z.int(),
  /** 'switching' until the setting is known to name the new place. */
  state: z.enum(['switching', 'moved']),
})

/** HOME/database/moved.json: the last move. */
export type MoveMark = z.infer<typeof markSchema>

export function databaseAddressOf(home: Home, settings: Settings): DatabaseAddress {
  const { url, passwordFile } = settings.database
  return { url: url ?? defaultDatabaseUrl(home), ...(passwordFile !== undefined && { passwordFile }) }
}

export function defaultDatabaseUrl(home: Home): string {
  return `sqlite:${home.database}`
}

/** Copies made before migrations, and of databases that a move replaced. */
export function databaseCopiesFolder(home: Home): string {
  return join(home.folder, 'database', 'copies')
}

export async function readMoveMark(home: Home): Promise<MoveMark | undefined> {
  return await readJsonFile(markPath(home), markSchema)
}

export async function writeMoveMark(home: Home, mark: MoveMark): Promise<void> {
  await writeFileDurable(markPath(home), `${JSON.stringify(mark, undefined, 2)}\n`, { mode: 0o600 })
}

/**
 * Throws 'shell.database_moved' if the settings name the database that a move has left: what was written since is in
 * the other one. Completes the mark of a move that died right after it had switched the setting.
 */
export async function requireCurrentDatabase(home: Home, { url }: DatabaseAddress): Promise<void> {
  const mark = await readMoveMark(home)
  if (mark === undefined) return
  if (mark.state === 'switching' && mark.to.url === url) await writeMoveMark(home, { ...mark, state: 'moved' })
  if (mark.state !== 'moved' || mark.from.url !== url) return
  const when = new Date(mark.atMs).toISOString()
  throw shellFaults.databaseMoved(`This database was left when everything moved to ${mark.to.url} (${when}).`, {
    hint: `Set 'database.url: ${mark.to.url}' in ${home.config} again, or return with: cygnet move --back`,
  })
}

function markPath(home: Home): string {
  return join(home.folder, 'database', 'moved.json')
}
