/** The database in a hand-over: what a version did to it, and its return to what it was. */
import { copyFromBefore } from './database-copy.ts'
import { shellFaults } from './errors.ts'
import type { Home } from './home.ts'
import type { Migrated, Switching } from './release.ts'
import { appliedMigrations, restoreCopy, returnDatabase } from './version-process.ts'

/** The database as it was before a copy took its place. */
export interface Replaced {
  database: string | undefined
}

/** `known`: the version that ran before; it reads what it wrote. */
export async function bringBackDatabase(
  home: Home,
  known: string,
  switching: Switching,
  replaced: Replaced = { database: undefined },
): Promise<void> {
  if (replaced.database !== undefined) return void (await restoreCopy(home, known, replaced.database))
  if (switching.appliedBefore === null) return
  if ((await returnDatabase(home, known, switching.startedMs, switching.appliedBefore)) === 'no copy') {
    throw shellFaults.switchFailed('The database was migrated, and the copy from before is not there.', {
      hint: `Only version ${switching.to} can read it: mend what keeps it from starting, then: cygnet up`,
    })
  }
}

/** What a version applied to the database since the switch began; null if nothing. */
export async function migrationsSince(
  home: Home,
  version: string,
  { startedMs, appliedBefore }: Switching,
): Promise<Migrated | null> {
  if (appliedBefore === null) return null
  const now = (await appliedMigrations(home, version)) ?? []
  const applied = now.filter((name) => !appliedBefore.includes(name))
  if (applied.length === 0) return null
  return { applied, copy: await copyFromBefore(home, startedMs, appliedBefore) }
}
