/** Published snapshots: one process writes the whole state atomically, others read it and hear of each new one. */
import { watch, type FSWatcher } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import type { z } from 'zod'
import { writeFileDurable } from './files.ts'

/** Replaces the snapshot: a reader sees the old or the new one, whole. Readable by its owner only. */
export async function publishSnapshot(path: string, snapshot: object): Promise<void> {
  await writeFileDurable(path, JSON.stringify(snapshot), { mode: 0o600 })
}

export interface FollowedSnapshot<Content> {
  /** The last good snapshot; `undefined` before the first one. */
  current(): Content | undefined
  /** Since the snapshot was last written, also if nothing changed in it; `Infinity` before the first one. */
  ageMs(): number
  close(): void
}

export interface FollowSnapshotOptions<Content> {
  onChange?: (snapshot: Content) => void
  /** A snapshot that cannot be read or does not match the schema; the last good one stays. */
  onError?: (error: unknown) => void
}

/** The folder is watched; where watching does not work, this is how late a new snapshot is seen. */
const pollMs = 1000

/** Reads a snapshot now and at each change. Resolves after the first look, whether or not there was one. */
export async function followSnapshot<Schema extends z.ZodType>(
  path: string,
  schema: Schema,
  onChange: ((snapshot: z.output<Schema>) => void) | FollowSnapshotOptions<z.output<Schema>> = {},
): Promise<FollowedSnapshot<z.output<Schema>>> {
  const options = typeof onChange === 'function' ? { onChange } : onChange
  let current: z.output<Schema> | undefined
  let version = ''
  let writtenMs = -Infinity
  let text = ''
  let looking: Promise<void> | undefined
  let lookAgain = false
  let closed = false

  async function look(): Promise<void> {
    try {
      const { ino, mtimeMs } = await stat(path)
      const found = `${ino}:${mtimeMs}`
      if (found === version) return
      const content = await readFile(path, 'utf8')
      const snapshot = schema.parse(JSON.parse(content))
      version = found
      writtenMs = mtimeMs
      if (content === text || closed) return
      text = content
      current = snapshot
      options.onChange?.(snapshot)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') options.onError?.(error)
    }
  }

  /** One look at a time; a change during a look leads to another one. */
  async function lookOnce(): Promise<void> {
    if (looking !== undefined) {
      lookAgain = true
      return await looking
    }
    looking = look()
    await looking
    looking = undefined
    if (lookAgain && !closed) {
      lookAgain = false
      await lookOnce()
    }
  }

  let watcher: FSWatcher | undefined
  try {
    watcher = watch(dirname(path), (_event, name) => {
      if (name === basename(path)) void lookOnce()
    })
    watcher.on('error', () => watcher?.close())
  } catch {
    // No watches left, or the folder is not there yet: the poll sees it.
  }
  const timer = setInterval(() => void lookOnce(), pollMs)
  await lookOnce()
  return {
    current: () => current,
    ageMs: () => Date.now() - writtenMs,
    close() {
      closed = true
      clearInterval(timer)
      watcher?.close()
    },
  }
}
