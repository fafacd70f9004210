/**
 * Commits of this process, one after the other, several in one transaction when they come together: the index is
 * synced once for all of them. LMDB's lock keeps other processes out meanwhile.
 */
import { Fault } from '../foundation/errors.ts'
import type { IndexStore } from './index-store.ts'

export interface Commit<Result> {
  result: Result
  /** Called if the transaction could not be committed although the files were moved: moves them back. */
  undo?: () => void
  /** Called when it is committed. */
  after?: () => void
}

export interface CommitQueue {
  /**
   * Runs `work` inside the next transaction. It moves files and then writes rows, and waits for nothing. If it throws
   * a Fault or an error of the file system it must not have written rows.
   */
  submit<Result>(work: () => Commit<Result>): Promise<Result>
}

const maxBatch = 64

interface Entry {
  work: () => Commit<unknown>
  resolve(result: unknown): void
  reject(error: unknown): void
}

export function createCommitQueue(index: IndexStore): CommitQueue {
  let queue: Entry[] = []
  let isScheduled = false

  function run(): void {
    const batch = queue.slice(0, maxBatch)
    queue = queue.slice(maxBatch)
    isScheduled = queue.length > 0
    if (isScheduled) setImmediate(run)
    const done: { entry: Entry; commit: Commit<unknown> }[] = []
    const refused: { entry: Entry; error: unknown }[] = []
    try {
      index.write(() => {
        for (const entry of batch) {
          try {
            done.push({ entry, commit: entry.work() })
          } catch (error) {
            if (!(error instanceof Fault) && (error as NodeJS.ErrnoException).syscall === undefined) throw error
            refused.push({ entry, error })
          }
        }
      })
    } catch (error) {
      for (const { commit } of done.reverse()) commit.undo?.()
      for (const entry of batch) entry.reject(error)
      return
    }
    for (const { entry, commit } of done) {
      commit.after?.()
      entry.resolve(commit.result)
    }
    for (const { entry, error } of refused) entry.reject(error)
  }

  return {
    submit: <Result>(work: () => Commit<Result>) =>
      new Promise<Result>((resolve, reject) => {
        queue.push({ work, resolve: resolve as (result: unknown) => void, reject })
        if (!isScheduled) setImmediate(run)
        isScheduled = true
      }),
  }
}
