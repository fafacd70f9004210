/**
 * Commits of this process, one after the other, several in one transaction when they come together: the index is
 * synced once for all of them. LMDB's lock keeps other processes out meanwhile.
 */
import { Fault } from '../foundation/errors.ts'
import type { Logger } from '../foundation/log.ts'
import { isDiskBroken, type DiskTrust } from './disk-trust.ts'
import type { IndexStore } from './index-store.ts'

export interface Commit<Result> {
  result: Result
  /** Called if the transaction could not be committed although the files were moved: moves them back. */
  undo?: () => void
  /** Called when it is committed: tidies up. What it cannot do the next start does. */
  after?: () => void
}

export interface CommitQueue {
  /**
   * Runs `work` inside the next transaction. It moves files and then writes rows, and waits for nothing. If it throws
   * a Fault or an error of the file system, nothing has changed but rows that say that their folder must be looked at.
   * A suspect disk takes no more transactions; one that cannot be committed makes the disk suspect, unless it is full.
   */
  submit<Result>(work: () => Commit<Result>): Promise<Result>
}

const maxBatch = 64

interface Entry {
  work: () => Commit<unknown>
  resolve(result: unknown): void
  reject(error: unknown): void
}

export function createCommitQueue(index: IndexStore, trust: DiskTrust, log: Logger): CommitQueue {
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
      trust.requireTrust()
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
      if (isDiskBroken(error)) trust.suspect('the index could not be written')
      for (const { commit } of done.reverse()) undo(commit)
      for (const entry of batch) entry.reject(error)
      return
    }
    for (const { entry, commit } of done) {
      try {
        commit.after?.()
      } catch (error) {
        log.warn({ error }, 'something was left behind after a commit')
      }
      entry.resolve(commit.result)
    }
    for (const { entry, error } of refused) entry.reject(error)
  }

  /** What cannot be taken back stays, although it was never acknowledged: the tree is the truth, but nobody goes on. */
  function undo(commit: Commit<unknown>): void {
    try {
      commit.undo?.()
    } catch (error) {
      trust.suspect('a change that failed could not be taken back')
      log.error({ error }, 'a change that failed could not be taken back')
    }
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
