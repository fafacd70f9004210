/** Folders made durable: creation of missing ones, and one fsync for everybody who waits for the same folder. */
import { chmodSync, mkdirSync } from 'node:fs'
import { fsyncDirectory } from '../foundation/files.ts'
import { storageFaults } from './errors.ts'
import { directoriesTo } from './key-place.ts'
import { openDirectory } from './safe-directory.ts'

export interface DirectorySync {
  /** Resolves when every change of the folder made before this call survives a power cut. */
  sync(path: string): Promise<void>
  /**
   * Makes `root/relative` exist ('a/b/'), durably. Returns the folders it created, or 'blocked' if something that is
   * no folder is in the way.
   */
  ensure(root: string, relative: string, mode: number): Promise<string[] | 'blocked'>
}

interface Turn {
  running: Promise<void>
  /** Begins when the running one has ended; covers everybody who came meanwhile. */
  next: Promise<void> | undefined
}

export function createDirectorySync(): DirectorySync {
  const turns = new Map<string, Turn>()

  function sync(path: string): Promise<void> {
    const turn = turns.get(path)
    if (turn === undefined) return begin(path)
    // The running fsync may have begun before our change: only the next one is sure to cover it.
    turn.next ??= turn.running.catch(() => {}).then(() => begin(path))
    return turn.next
  }

  function begin(path: string): Promise<void> {
    const running = fsyncDirectory(path).finally(() => {
      if (turns.get(path)?.running === running) turns.delete(path)
    })
    turns.set(path, { running, next: undefined })
    return running
  }

  return {
    sync,
    async ensure(root, relative, mode) {
      const there = openDirectory(root, relative)
      if (typeof there !== 'string') {
        there.close()
        return []
      }
      const created: string[] = []
      const changed: string[] = []
      const levels = directoriesTo(relative)
      for (const [index, level] of levels.slice(1).entries()) {
        const parent = openDirectory(root, levels[index]!)
        if (parent === 'blocked') return 'blocked'
        if (parent === 'missing') throw storageFaults.operationAborted('A folder on the way was removed meanwhile.')
        try {
          const name = level.slice(levels[index]!.length, -1)
          mkdirSync(parent.at(name))
          chmodSync(parent.at(name), mode)
          created.push(level)
          changed.push(levels[index] === '' ? root : `${root}/${levels[index]!.slice(0, -1)}`)
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
        } finally {
          parent.close()
        }
      }
      await Promise.all(changed.map(sync))
      return created
    },
  }
}
