/**
 * The living state in memory: what the gate of this process decides from and what gateways get. It follows every committed
 * change of rights, also those in transactions of other rooms (`grantRole`), and a request that comes after such a commit
 * never sees the state from before it.
 */
import type { OpenedDatabase } from '../foundation/database.ts'
import type { Facts } from '../foundation/facts.ts'
import type { Logger } from '../foundation/log.ts'
import { subjectChanged } from './room.ts'
import type { IdentitySnapshot } from './snapshot.ts'

export interface PublishedState {
  snapshot(): IdentitySnapshot
  /** Reads the database; when it resolves, the state is published. Rejects if publishing fails; it is then tried again. */
  refresh(): Promise<void>
  /** Resolves when every change committed so far is in the state. */
  settled(): Promise<void>
  /** Calls whenever the state is another one; answers what ends it. */
  onPublished(listener: () => void): () => void
  /** A change was appended to the facts, in a transaction that may still be rolled back. */
  appended(sequence: number): void
  close(): Promise<void>
}

export interface PublishedStateOptions {
  database: OpenedDatabase
  facts: Facts
  log: Logger
  read(): Promise<IdentitySnapshot>
  onChange: () => void | Promise<void>
}

/** No transaction lasts longer: an appended change that has not appeared by then was rolled back. */
const longestTransactionMs = 30_000
const retryMs = 1000

export async function openPublishedState({
  database,
  facts,
  log,
  read,
  onChange,
}: PublishedStateOptions): Promise<PublishedState> {
  let current = await read()
  let unpublished = false
  let seen = 0
  let newest = { sequence: 0, atMs: 0 }
  let settling: Promise<void> = Promise.resolve()
  const closing = new AbortController()
  const listeners = new Set<() => void>()

  const refresh = oneAtATime(async () => {
    const next = await read()
    if (JSON.stringify(next) !== JSON.stringify(current)) {
      current = next
      unpublished = true
      for (const listener of listeners) listener()
    }
    if (!unpublished) return
    await onChange()
    unpublished = false
  })

  const stopListening = database.onCommit(() => {
    if (newest.sequence <= seen || performance.now() - newest.atMs > longestTransactionMs) return
    settling = refresh().catch((error: unknown) => log.error({ error }, 'a change of rights could not be published'))
  })

  async function follow(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        for await (const { sequence } of facts.tail({ kinds: [subjectChanged], signal })) {
          await refresh()
          seen = sequence
        }
        return
      } catch (error) {
        if (signal.aborted) return
        log.error({ error }, 'changes of rights could not be followed; trying again')
        await new Promise((resolve) => setTimeout(resolve, retryMs))
        await refresh().catch(() => undefined)
      }
    }
  }
  const following = follow(closing.signal)

  return {
    snapshot: () => current,
    refresh,
    settled: () => settling,
    onPublished(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    appended(sequence) {
      newest = { sequence: Math.max(sequence, newest.sequence), atMs: performance.now() }
    },
    async close() {
      closing.abort()
      stopListening()
      await following
    },
  }
}

/** Calls never overlap, and a call that comes during a run is answered by one more run after it. */
function oneAtATime(work: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined
  let waiting: Promise<void> | undefined
  const run = (): Promise<void> => {
    if (running === undefined) {
      running = work().finally(() => (running = undefined))
      return running
    }
    waiting ??= running
      .catch(() => undefined)
      .then(() => {
        waiting = undefined
        return run()
      })
    return waiting
  }
  return run
}
