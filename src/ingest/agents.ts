/** What the agents on the DAQ machines said of themselves, and how a page puts it. */
import type { Kysely } from 'kysely'
import type { AnyTransaction } from '../foundation/database.ts'
import type { Clock } from '../foundation/time.ts'
import type { Transaction } from 'kysely'
import type { Agent } from './contract.ts'
import type { IngestTables } from './tables.ts'

/** An agent beats every few seconds; after this long it counts as silent. */
export const silentAfterMs = 60_000

export interface Heartbeat {
  agent: string
  setup: string
  series: string
  host: string
  directory: string
  version: string
  waitingRuns: number
  waitingBytes: number
  freeBytes: number | null
  trouble: string
}

export async function recordHeartbeat(
  trx: AnyTransaction,
  experiment: string,
  beat: Heartbeat,
  clock: Clock,
): Promise<void> {
  const db: Transaction<IngestTables> = trx
  const nowMs = clock.nowMs()
  const values = {
    setup: beat.setup,
    series: beat.series,
    host: beat.host,
    directory: beat.directory,
    version: beat.version,
    last_seen_ms: nowMs,
    waiting_runs: beat.waitingRuns,
    waiting_bytes: beat.waitingBytes,
    free_bytes: beat.freeBytes,
    trouble: beat.trouble,
  }
  await db
    .insertInto('ingest_agent')
    .values({ experiment, name: beat.agent, first_seen_ms: nowMs, ...values })
    .onConflict((conflict) => conflict.columns(['experiment', 'name']).doUpdateSet(values))
    .execute()
}

/** Those of one experiment, or of all. */
export async function listAgents(
  database: Kysely<any>,
  experiment: string | undefined,
  clock: Clock,
): Promise<(Agent & { experiment: string })[]> {
  const db: Kysely<IngestTables> = database
  const rows = await db
    .selectFrom('ingest_agent')
    .selectAll()
    .$if(experiment !== undefined, (query) => query.where('experiment', '=', experiment!))
    .orderBy('experiment')
    .orderBy('name')
    .execute()
  return rows.map((row) => ({
    experiment: row.experiment,
    name: row.name,
    setup: row.setup,
    series: row.series,
    host: row.host,
    directory: row.directory,
    version: row.version,
    state: clock.nowMs() - row.last_seen_ms > silentAfterMs ? 'silent' : 'working',
    firstSeenMs: row.first_seen_ms,
    lastSeenMs: row.last_seen_ms,
    waitingRuns: row.waiting_runs,
    waitingBytes: row.waiting_bytes,
    freeBytes: row.free_bytes,
    trouble: row.trouble,
  }))
}
