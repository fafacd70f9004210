/** Finds the copy of the database that was made before certain migrations (foundation/database.ts makes it). */
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { databaseCopiesFolder } from './database-place.ts'
import type { Home } from './home.ts'

/** The newest copy made since then that has exactly these migrations; null if there is none (any more). */
export async function copyFromBefore(home: Home, sinceMs: number, applied: readonly string[]): Promise<string | null> {
  const folder = databaseCopiesFolder(home)
  const found: { path: string; atMs: number }[] = []
  for (const name of await readdir(folder).catch(() => [])) {
    const path = join(folder, name)
    const { mtimeMs } = await stat(path)
    // Clocks of file systems tick in steps.
    if (name.endsWith('.sqlite') && mtimeMs >= sinceMs - 50 && hasExactly(path, applied))
      found.push({ path, atMs: mtimeMs })
  }
  return found.toSorted((one, other) => other.atMs - one.atMs)[0]?.path ?? null
}

function hasExactly(path: string, applied: readonly string[]): boolean {
  const database = new DatabaseSync(path, { readOnly: true })
  try {
    const rows = database.prepare('select name from migration').all() as { name: string }[]
    return JSON.stringify(rows.map(({ name }) => name).toSorted()) === JSON.stringify(applied.toSorted())
  } catch {
    // Not a whole copy.
    return false
  } finally {
    database.close()
  }
}
