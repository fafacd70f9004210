/**
 * Facts: what has happened, durably and in order. A room appends a fact in the transaction in which it happens; an
 * upper room follows with a cursor that is committed in the same transaction as its effect, so that the effect happens
 * exactly once, whatever dies when.
 */
import type { Insertable, Kysely, Transaction } from 'kysely'
import { backoffMs, WakeUp } from './adapters/wake-up.ts'
import { transact, type AnyTransaction, type OpenedDatabase } from './database.ts'
import type { Logger } from './log.ts'
import type { FactTable, FoundationTables } from './tables.ts'
import type { Clock } from './time.ts'

export interface NewFact {
  /** 'room.what-happened', e.g. 'storage.object-created'. */
  kind: string
  /** What it happened to, e.g. 'bucket/key'. */
  subject: string
  data: Record<string, unknown>
}

export interface Fact extends NewFact {
  /** Changes when the history itself was replaced; sequences of different epochs cannot be compared. */
  epoch: string
  /** Rises by one with each fact, in the order of the commits. */
  sequence: number
  atMs: number
}

export interface FollowerStatus {
  name: string
  /** The last fact whose effect is committed, or that was none of its kinds. */
  sequence: number
  behind: number
  /** Set while the handler fails at the next fact; it is tried again, nothing is skipped. */
  failing?: { sequence: number; attempts: number; reason: string }
}

export interface Facts {
  /**
   * Calls `handler` once for each fact of these kinds ('*' = all), in order. The handler may await nothing but calls
   * on `trx`; heavier work is a job enqueued there. If it throws, its transaction is rolled back and it is called
   * again after a pause: a follower never skips.
   */
  follow(
    name: string,
    kinds: readonly string[],
    handler: (fact: Fact, trx: AnyTransaction) => Promise<void>,
  ): { stop(): Promise<void> }
  /** Facts after `since` (default: from now on) as they are committed, until `signal` aborts. For live streams. */
  tail(options?: { since?: number; kinds?: readonly string[]; signal?: AbortSignal }): AsyncIterable<Fact>
  status(): Promise<FollowerStatus[]>
  /** Resolves when every follower has done all facts there are, failing ones aside. */
  settled(): Promise<void>
  poke(): void
  close(): Promise<void>
}

/** Facts committed by other processes (PostgreSQL) are seen after this time at the latest. */
const pollMs = 1000
const batch = 200

/** Appends a fact in the caller's transaction. Appending transactions come one after the other. */
export async function appendFact(trx: AnyTransaction, fact: NewFact, clock: Clock): Promise<{ sequence: number }> {
  // The counter's row stays locked until the commit: sequences have no gaps and appear in order, so that a reader's
  // cursor can never have passed a fact that is committed later. (A PostgreSQL sequence would not promise that.)
  const { sequence } = await own(trx)
    .updateTable('fact_log')
    .set((row) => ({ sequence: row('sequence', '+', 1) }))
    .where('id', '=', 1)
    .returning('sequence')
    .executeTakeFirstOrThrow()
  const row: Insertable<FactTable> = {
    sequence,
    kind: fact.kind,
    subject: fact.subject,
    data: JSON.stringify(fact.data),
    at_ms: clock.nowMs(),
  }
  await own(trx).insertInto('fact').values(row).execute()
  return { sequence }
}

/**
 * Waits until the caller's is the only transaction that appends, until it ends: for whatever else must be written in
 * the order of the commits. One that takes its turn first never waits for a lock while another waits for the turn.
 */
export async function takeTurn(trx: AnyTransaction): Promise<void> {
  await own(trx)
    .updateTable('fact_log')
    .set((row) => ({ sequence: row('sequence', '+', 0) }))
    .where('id', '=', 1)
    .execute()
}

export function openFacts({ database, log }: { database: OpenedDatabase; clock: Clock; log: Logger }): Facts {
  const kysely = database.kysely as Kysely<FoundationTables>
  const followers = new Map<string, Follower>()
  const wakeUp = new WakeUp(pollMs)
  const stopListening = database.onCommit(() => wakeUp.all())
  const closing = new AbortController()

  async function head(): Promise<{ epoch: string; sequence: number }> {
    return await kysely
      .selectFrom('fact_log')
      .select(['epoch', 'sequence'])
      .where('id', '=', 1)
      .executeTakeFirstOrThrow()
  }

  async function read(after: number, kinds: readonly string[], limit: number): Promise<FactTable[]> {
    let query = kysely.selectFrom('fact').selectAll().where('sequence', '>', after).orderBy('sequence').limit(limit)
    if (!kinds.includes('*')) query = query.where('kind', 'in', kinds)
    return await query.execute()
  }

  class Follower {
    readonly name: string
    readonly #kinds: readonly string[]
    readonly #handler: (fact: Fact, trx: AnyTransaction) => Promise<void>
    readonly #stopping = new AbortController()
    readonly #running: Promise<void>
    sequence = 0
    #next = 0
    failing: FollowerStatus['failing']

    constructor(name: string, kinds: readonly string[], handler: (fact: Fact, trx: AnyTransaction) => Promise<void>) {
      this.name = name
      this.#kinds = kinds
      this.#handler = handler
      this.#running = this.#run(AbortSignal.any([this.#stopping.signal, closing.signal]))
    }

    async stop(): Promise<void> {
      this.#stopping.abort()
      followers.delete(this.name)
      await this.#running
    }

    async #run(signal: AbortSignal): Promise<void> {
      let started = false
      while (!signal.aborted) {
        const heard = wakeUp.ticket()
        try {
          if (!started) {
            this.sequence = await this.#readCursor()
            started = true
          }
          const newest = await head()
          const rows = this.sequence < newest.sequence ? await read(this.sequence, this.#kinds, batch) : []
          for (const row of rows) {
            if (signal.aborted) return
            this.#next = row.sequence
            await this.#handle(toFact(row, newest.epoch))
          }
          // What lies between is of other kinds; the cursor in the database stays at the last effect.
          if (rows.length < batch) this.sequence = Math.max(this.sequence, newest.sequence)
          this.failing = undefined
          wakeUp.all('settled')
          if (rows.length < batch) await heard.wait(signal)
        } catch (error) {
          if (signal.aborted) return
          const attempts = (this.failing?.attempts ?? 0) + 1
          this.failing = {
            sequence: this.#next,
            attempts,
            reason: error instanceof Error ? error.message : String(error),
          }
          log.error(
            { error, follower: this.name, sequence: this.#next, attempts },
            'a follower of facts fails; trying again',
          )
          wakeUp.all('settled')
          await heard.pause(backoffMs(attempts, 200, 60_000), signal)
        }
      }
    }

    async #handle(fact: Fact): Promise<void> {
      await transact(database, async (trx) => {
        await this.#handler(fact, trx)
        // The last committed effect is still where we know it: otherwise somebody else follows under this name.
        const moved = await own(trx)
          .updateTable('fact_cursor')
          .set({ sequence: fact.sequence })
          .where('name', '=', this.name)
          .where('sequence', '<', fact.sequence)
          .executeTakeFirst()
        if (moved.numUpdatedRows !== 1n) throw new Error(`fact ${fact.sequence} was already done by '${this.name}'`)
      }).catch(async (error: unknown) => {
        const cursor = await this.#readCursor()
        if (cursor < fact.sequence) throw error
        this.sequence = cursor
      })
      this.sequence = Math.max(this.sequence, fact.sequence)
      this.failing = undefined
    }

    async #readCursor(): Promise<number> {
      await kysely
        .insertInto('fact_cursor')
        .values({ name: this.name, sequence: 0 })
        .onConflict((conflict) => conflict.column('name').doNothing())
        .execute()
      const row = await kysely
        .selectFrom('fact_cursor')
        .select('sequence')
        .where('name', '=', this.name)
        .executeTakeFirstOrThrow()
      return row.sequence
    }
  }

  async function* tail({ since, kinds = ['*'], signal }: Parameters<Facts['tail']>[0] & object): AsyncGenerator<Fact> {
    const ended = signal === undefined ? closing.signal : AbortSignal.any([signal, closing.signal])
    let position = since ?? (await head()).sequence
    while (!ended.aborted) {
      const heard = wakeUp.ticket()
      const newest = await head()
      const rows = position < newest.sequence ? await read(position, kinds, batch) : []
      for (const row of rows) {
        if (ended.aborted) return
        yield toFact(row, newest.epoch)
        position = row.sequence
      }
      if (rows.length === batch) continue
      position = Math.max(position, newest.sequence)
      await heard.wait(ended)
    }
  }

  return {
    follow(name, kinds, handler) {
      if (followers.has(name)) throw new Error(`there is already a follower of facts named '${name}'`)
      const follower = new Follower(name, kinds, handler)
      followers.set(name, follower)
      return { stop: () => follower.stop() }
    },
    tail: (options = {}) => tail(options),
    async status() {
      const { sequence } = await head()
      return [...followers.values()].map((follower) => ({
        name: follower.name,
        sequence: follower.sequence,
        behind: Math.max(0, sequence - follower.sequence),
        ...(follower.failing === undefined ? {} : { failing: follower.failing }),
      }))
    },
    async settled() {
      for (;;) {
        const heard = wakeUp.ticket('settled')
        const { sequence } = await head()
        if ([...followers.values()].every((follower) => follower.sequence >= sequence || follower.failing)) return
        await heard.wait(closing.signal)
        if (closing.signal.aborted) return
      }
    },
    poke: () => wakeUp.all(),
    async close() {
      closing.abort()
      stopListening()
      await Promise.all([...followers.values()].map((follower) => follower.stop()))
    },
  }
}

function toFact(row: FactTable, epoch: string): Fact {
  return {
    epoch,
    sequence: row.sequence,
    kind: row.kind,
    subject: row.subject,
    data: JSON.parse(row.data) as Record<string, unknown>,
    atMs: row.at_ms,
  }
}

function own(trx: AnyTransaction): Transaction<FoundationTables> {
  return trx as Transaction<FoundationTables>
}
