/**
 * From changes of objects to facts: control follows the log of the index with a cursor in SQL and appends
 * 'storage.object-created' and 'storage.object-deleted' in the transaction that moves the cursor, so that each change
 * becomes a fact exactly once, whatever dies when. After a rebuilt index every object is told once more.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { transact, type AnyTransaction, type OpenedDatabase } from '../foundation/database.ts'
import { appendFact } from '../foundation/facts.ts'
import type { Logger } from '../foundation/log.ts'
import type { Clock } from '../foundation/time.ts'
import type { ChangePosition } from './model.ts'
import type { Storage } from './storage.ts'
import { tablesOf } from './tables.ts'

export interface StorageFollower {
  /** Resolves when all changes made before this call are facts. */
  settled(): Promise<void>
  /** Changes that are not facts yet. */
  lag(): Promise<number>
  close(): Promise<void>
}

/** Data of both kinds of fact. */
interface ObjectFact {
  bucket: string
  key: string
  sizeBytes: number
  etag: string
  experiment: string
  purpose: string
}

const batch = 200
/** Changes are noticed by a watch on the index; this is for a watch that missed one. */
const pollMs = 1000

export function followStorageChanges(options: {
  storage: Storage
  database: OpenedDatabase
  clock: Clock
  log: Logger
}): StorageFollower {
  const { storage, database, clock, log } = options
  const stopping = new AbortController()
  let wake = () => {}
  const unwatch = storage.onChange(() => wake())

  async function run(): Promise<void> {
    for (let failures = 0; !stopping.signal.aborted;) {
      const heard = new Promise<void>((resolve) => {
        wake = resolve
      })
      try {
        if (await step()) continue
        failures = 0
        await Promise.race([heard, sleep(pollMs, undefined, { ref: false })])
      } catch (error) {
        failures += 1
        log.error({ error, failures }, 'changes of objects cannot be told; trying again')
        await sleep(Math.min(30_000, 200 * 2 ** failures), undefined, { ref: false, signal: stopping.signal }).catch(
          () => {},
        )
      }
    }
  }

  /** Tells one batch; false when there is nothing left. */
  async function step(): Promise<boolean> {
    const cursor = await tablesOf(database)
      .selectFrom('storage_change_cursor')
      .selectAll()
      .where('id', '=', 1)
      .executeTakeFirst()
    const since = cursor === undefined ? undefined : { epoch: cursor.epoch, sequence: Number(cursor.sequence) }
    if (cursor?.listing !== undefined && cursor.listing !== null)
      return await tellListing(since!, JSON.parse(cursor.listing) as ListingPosition)
    const changes = storage.changes({ since, limit: batch })
    // The oldest changes may already be dropped: then only a listing tells everything there is.
    if (changes.reset || since === undefined) return await beginAgain(changes.items[0]?.sequence ?? 1)
    if (changes.items.length === 0) return false
    await transact(database, async (trx) => {
      for (const { type, sequence: _sequence, atMs: _atMs, ...data } of changes.items)
        await tell(trx, `storage.object-${type}`, data)
      await moveTo(trx, changes.next, null)
    })
    return true
  }

  async function beginAgain(firstSequence: number): Promise<boolean> {
    const { epoch, sequence } = storage.lastChange()
    const isWhole = firstSequence === 1
    await transact(database, async (trx) => {
      await moveTo(
        trx,
        isWhole ? { epoch, sequence: 0 } : { epoch, sequence },
        isWhole ? null : { bucket: '', after: '' },
      )
    })
    return true
  }

  async function tellListing(position: ChangePosition, { bucket: name, after }: ListingPosition): Promise<boolean> {
    const bucket = storage.listBuckets().find((one) => one.name > name || (one.name === name && after !== ''))
    if (bucket === undefined) {
      await transact(database, async (trx) => await moveTo(trx, position, null))
      return true
    }
    const { objects, next } = await storage.listObjects({
      bucket: bucket.name,
      after: bucket.name === name ? after : '',
      limit: batch,
    })
    await transact(database, async (trx) => {
      for (const { key, sizeBytes, etag } of objects) {
        await tell(trx, 'storage.object-created', {
          bucket: bucket.name,
          key,
          sizeBytes,
          etag,
          experiment: bucket.experiment,
          purpose: bucket.purpose,
        })
      }
      await moveTo(trx, position, { bucket: bucket.name, after: next ?? '' })
    })
    return true
  }

  async function tell(trx: AnyTransaction, kind: string, data: ObjectFact): Promise<void> {
    await appendFact(trx, { kind, subject: `${data.bucket}/${data.key}`, data: { ...data } }, clock)
  }

  async function moveTo(
    trx: AnyTransaction,
    { epoch, sequence }: ChangePosition,
    listing: ListingPosition | null,
  ): Promise<void> {
    const row = { id: 1, epoch, sequence, listing: listing === null ? null : JSON.stringify(listing) }
    await tablesOf(trx)
      .insertInto('storage_change_cursor')
      .values(row)
      .onConflict((conflict) => conflict.column('id').doUpdateSet(row))
      .execute()
  }

  const running = run()
  return {
    async settled() {
      const { epoch, sequence } = storage.lastChange()
      for (;;) {
        const cursor = await tablesOf(database)
          .selectFrom('storage_change_cursor')
          .selectAll()
          .where('id', '=', 1)
          .executeTakeFirst()
        if (cursor?.epoch === epoch && cursor.listing === null && Number(cursor.sequence) >= sequence) return
        wake()
        await sleep(5)
      }
    },
    async lag() {
      const { epoch, sequence } = storage.lastChange()
      const cursor = await tablesOf(database)
        .selectFrom('storage_change_cursor')
        .selectAll()
        .where('id', '=', 1)
        .executeTakeFirst()
      return cursor?.epoch === epoch ? Math.max(0, sequence - Number(cursor.sequence)) : sequence
    },
    async close() {
      stopping.abort()
      unwatch()
      wake()
      await running
    },
  }
}

interface ListingPosition {
  /** Told up to here; '' before the first bucket. */
  bucket: string
  /** Key within it; '' when the bucket is done. */
  after: string
}
