/**
 * What stays of an attempt's folder. Right after its end go its secrets and sockets (private/, session/), and what the
 * payload left in out/ if the kind has published it or a later attempt took its place. The rest (spec.json, done.json,
 * log, and outputs that are nowhere else) stays until the job has been over for `keepFoldersMs`.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Kysely } from 'kysely'
import type { Logger } from '../foundation/log.ts'
import { runCommand } from '../foundation/processes.ts'
import { attemptFolders } from './job-folder.ts'
import type { JobKind } from './model.ts'
import { endedStates } from './states.ts'
import type { ComputeTables } from './tables.ts'

export const keepFoldersMs = 30 * 24 * 3_600_000

/** Only for an attempt that has ended. */
export async function emptyFolder(folder: string, parts: { out: boolean }): Promise<void> {
  for (const name of ['private', 'session', ...(parts.out ? ['out'] : [])]) await removeTree(join(folder, name))
}

/**
 * Also what a payload has made unwritable for itself, or deeper than a path can say: the programs of the system go down
 * by descriptor, Node's `rm` does not. Links are removed, never followed.
 */
async function removeTree(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true })
  } catch {
    await runCommand(['chmod', '-R', 'u+rwX', '--', path], { timeoutMs: 600_000 })
    const { code, stderr } = await runCommand(['rm', '-rf', '--', path], { timeoutMs: 600_000 })
    if (code !== 0) throw new Error(stderr.slice(0, 500))
  }
}

/** A kind that publishes has copied the outputs of a success; of a command the folder is the only place. */
export function outMayGo(kind: JobKind | undefined, succeeded: boolean, isLastAttempt: boolean): boolean {
  return !isLastAttempt || (succeeded && kind?.publish !== undefined)
}

/**
 * Removes the folders of jobs that ended more than `keepFoldersMs` before `nowMs`; with `empty` also does again, for all
 * others that have ended, what a control that died right after an end did not come to. Folders of jobs nobody knows
 * stay: they may belong to a database that was put back.
 */
export async function sweepFolders(options: {
  database: Kysely<ComputeTables>
  jobsFolder: string
  kinds: ReadonlyMap<string, JobKind>
  nowMs: number
  empty: boolean
  log: Logger
  signal: AbortSignal
}): Promise<{ removed: number }> {
  const { database, jobsFolder, kinds, nowMs, empty, log, signal } = options
  const names = await attemptFolders(jobsFolder)
  let removed = 0
  for (let first = 0; first < names.length && !signal.aborted; first += 200) {
    const some = names.slice(first, first + 200).map((name) => {
      const [jobId, attempt] = name.split('.') as [string, string]
      return { name, jobId, attempt: Number(attempt) }
    })
    const rows = await database
      .selectFrom('compute_job')
      .select(['id', 'kind', 'state', 'attempt', 'ended_ms'])
      .where(
        'id',
        'in',
        some.map(({ jobId }) => jobId),
      )
      .where('state', 'in', [...endedStates])
      .execute()
    const ended = new Map(rows.map((row) => [row.id, row]))
    for (const { name, jobId, attempt } of some) {
      const row = ended.get(jobId)
      if (row === undefined || signal.aborted) continue
      const folder = join(jobsFolder, name)
      try {
        if (nowMs - Number(row.ended_ms) > keepFoldersMs) {
          await removeTree(folder)
          removed += 1
        } else if (empty) {
          const out = outMayGo(kinds.get(row.kind), row.state === 'succeeded', attempt === row.attempt)
          await emptyFolder(folder, { out })
        }
      } catch (error) {
        log.warn({ error, folder }, 'the folder of a job that ended could not be removed')
      }
    }
  }
  return { removed }
}
