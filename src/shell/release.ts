/**
 * Which version of the program an installation runs: `HOME/run/release.json`, and the link `HOME/program/current` for
 * whoever starts it at boot. Written only by who holds the supervisor's lock.
 */
import { rename, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { fsyncDirectory, readJsonFile, writeFileDurable } from '../foundation/files.ts'
import type { Home } from './home.ts'

const how = z.enum(['up', 'upgrade', 'rollback', 'returned'])
/** What brought a version: a start from its checkout, `cygnet upgrade`, `cygnet rollback`, or the failure of the next one. */
export type How = z.infer<typeof how>

const migrated = z.object({ applied: z.array(z.string()), copy: z.string().nullable() })
/** Migrations that a version applied when it came, and the copy of the database from before them. */
export type Migrated = z.infer<typeof migrated>

const switching = z.object({
  to: z.string(),
  how,
  startedMs: z.int(),
  /** Migrations of the database when the switch began; null = there was no database yet. */
  appliedBefore: z.array(z.string()).nullable(),
  /** The database goes back to this copy on the way. */
  copy: z.string().exactOptional(),
})
export type Switching = z.infer<typeof switching>

const releaseSchema = z.object({
  current: z.string(),
  previous: z.string().nullable(),
  sinceMs: z.int(),
  /** To be started next instead of `current`: chosen while the platform did not run. */
  next: z.object({ version: z.string(), how }).nullable(),
  /** Left on purpose or because they failed: `up` from their checkout does not go back to them by itself. */
  left: z.array(z.string()),
  migrated: migrated.nullable(),
  /** A switch that has begun; after a crash it is taken up again. */
  switching: switching.nullable(),
  history: z.array(z.object({ version: z.string(), atMs: z.int(), how, reason: z.string().exactOptional() })),
})
export type Release = z.infer<typeof releaseSchema>

const historyKept = 50

export async function readRelease(home: Home): Promise<Release | undefined> {
  return readJsonFile(releasePath(home), releaseSchema)
}

/** Durable when it resolves; the link follows, and is set again at the next write should the machine die in between. */
export async function writeRelease(home: Home, release: Release): Promise<void> {
  await writeFileDurable(releasePath(home), JSON.stringify(release, undefined, 2), { mode: 0o600 })
  const link = join(home.program, 'current')
  const temporary = join(home.program, '.current')
  await rm(temporary, { force: true })
  await symlink(release.current, temporary)
  await rename(temporary, link)
  await fsyncDirectory(home.program)
}

function releasePath(home: Home): string {
  return join(home.run, 'release.json')
}

/** The version that `up` starts, given the one of the checkout it was called from (none: from a copy of this home). */
export function versionToStart(release: Release | undefined, here: string | undefined): string | undefined {
  if (release === undefined) return here
  if (release.next !== null) return release.next.version
  if (release.switching !== null) return release.current
  if (here === undefined || release.left.includes(here)) return release.current
  return here
}

/** The first version of a home. */
export function firstRelease(version: string, nowMs: number): Release {
  return {
    current: version,
    previous: null,
    sinceMs: nowMs,
    next: null,
    left: [],
    migrated: null,
    switching: null,
    history: [{ version, atMs: nowMs, how: 'up' }],
  }
}

/** After `version` has come and serves. */
export function arrivedAt(
  release: Release,
  version: string,
  arrival: { how: How; nowMs: number; migrated: Migrated | null },
): Release {
  const onPurpose = arrival.how === 'upgrade' || arrival.how === 'rollback'
  const left = release.left.filter((each) => each !== version)
  return {
    ...release,
    current: version,
    previous: release.current,
    sinceMs: arrival.nowMs,
    next: null,
    left: onPurpose ? [...left, release.current] : left,
    migrated: arrival.migrated,
    switching: null,
    history: [...release.history, { version, atMs: arrival.nowMs, how: arrival.how }].slice(-historyKept),
  }
}

/** After `version` was tried and did not serve. */
export function returnedFrom(release: Release, version: string, nowMs: number, reason: string): Release {
  return {
    ...release,
    next: null,
    left: [...release.left.filter((each) => each !== version), version],
    switching: null,
    history: [
      ...release.history,
      { version: release.current, atMs: nowMs, how: 'returned' as const, reason: `${version}: ${reason}` },
    ].slice(-historyKept),
  }
}
