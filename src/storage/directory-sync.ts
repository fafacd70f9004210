/** Folders made durable: creation of missing ones, and one fsync for everybody who waits for the same folder. */
import { fstatSync, lstatSync } from 'node:fs'
import { dirname } from 'node:path'
import type { DiskTrust } from './disk-trust.ts'
import { storageFaults } from './errors.ts'
import { directoriesTo } from './key-place.ts'
import type { MakeFolder } from './ownership.ts'
import { openDirectory } from './safe-directory.ts'

export interface DirectorySync {
  /** Resolves when every change of the folder made before this call survives a power cut. */
  sync(path: string): Promise<void>
  /** The same for a folder that somebody may have removed since: then the nearest one above that is still there. */
  syncNearest(path: string): Promise<void>
  /**
   * Makes `root/relative` exist ('a/b/'), durably. Returns the folders it created, or 'blocked' if something that is
   * no folder is in the way.
   */
  ensure(root: string, relative: string, make: MakeFolder): Promise<string[] | 'blocked'>
}

interface Turn {
  running: Promise<void>
  /** Begins when the running one has ended; covers everybody who came meanwhile. */
  next: Promise<void> | undefined
}

/** Folders remembered as durable; a forgotten one costs a few fsyncs more. */
const maxRemembered = 10_000

export function createDirectorySync({ syncDirectory }: Pick<DiskTrust, 'syncDirectory'>): DirectorySync {
  const turns = new Map<string, Turn>()
  /** Folders whose names were synced since we look, by path: which folder it was. */
  const durable = new Map<string, string>()

  function sync(path: string): Promise<void> {
    const turn = turns.get(path)
    if (turn === undefined) return begin(path)
    // The running fsync may have begun before our change: only the next one is sure to cover it.
    turn.next ??= turn.running.catch(() => {}).then(() => begin(path))
    return turn.next
  }

  function begin(path: string): Promise<void> {
    const running = syncDirectory(path).finally(() => {
      if (turns.get(path)?.running === running) turns.delete(path)
    })
    turns.set(path, { running, next: undefined })
    return running
  }

  async function syncNearest(path: string): Promise<void> {
    for (let nearest = path; ; nearest = dirname(nearest)) {
      try {
        return await sync(nearest)
      } catch (error) {
        if (!['ENOENT', 'ENOTDIR', 'ELOOP'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
      }
    }
  }

  /**
   * A folder that is there may have been made a moment ago by somebody who has not synced it yet, or who died before
   * he could: whoever puts the first thing into it sees to its name.
   */
  async function makeDurable(root: string, levels: readonly string[]): Promise<void> {
    const unknown = levels.slice(1).flatMap((level, index) => {
      const path = pathOf(root, level)
      const stat = lstatSync(path, { bigint: true, throwIfNoEntry: false })
      const identity = stat === undefined ? '' : identityOf(stat)
      return durable.get(path) === identity ? [] : [{ path, identity, parent: pathOf(root, levels[index]!) }]
    })
    await Promise.all(unknown.map(({ parent }) => syncNearest(parent)))
    if (durable.size > maxRemembered) durable.clear()
    for (const { path, identity } of unknown) durable.set(path, identity)
  }

  return {
    sync,
    syncNearest,
    async ensure(root, relative, make) {
      if (relative === '') return []
      const levels = directoriesTo(relative)
      const there = openDirectory(root, relative)
      if (typeof there !== 'string') {
        const isDurable = durable.get(pathOf(root, relative)) === identityOf(fstatSync(there.fd, { bigint: true }))
        there.close()
        if (!isDurable) await makeDurable(root, levels)
        return []
      }
      const created: string[] = []
      for (const [index, level] of levels.slice(1).entries()) {
        const parent = openDirectory(root, levels[index]!)
        if (parent === 'blocked') return 'blocked'
        if (parent === 'missing') throw storageFaults.operationAborted('A folder on the way was removed meanwhile.')
        try {
          const name = level.slice(levels[index]!.length, -1)
          make(parent, name)
          created.push(level)
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
        } finally {
          parent.close()
        }
      }
      await makeDurable(root, levels)
      return created
    },
  }
}

function pathOf(root: string, level: string): string {
  return level === '' ? root : `${root}/${level.slice(0, -1)}`
}

/** A folder that was removed and made again may get the old inode, but not its time of birth. */
function identityOf(stat: { ino: bigint; birthtimeNs: bigint }): string {
  return `${stat.ino}.${stat.birthtimeNs}`
}
