/** Recording or NOT RECORDING: the one question of a shifter at 3 a.m., answered for each setup. */
import type { Kysely } from 'kysely'
import { printDuration, printTime, type Clock } from '../foundation/time.ts'
import type { Recording } from './contract.ts'
import { listSetups } from './experiments.ts'
import type { RunRow } from './run-rows.ts'
import type { LogbookTables } from './tables.ts'

/** A run that is being recorded is heard of every few seconds; after this long nobody can say that it still is. */
export const silentAfterMs = 60_000
const silentAdvice = 'Check the DAQ machine and its agent.'

export async function recordingStatus(database: Kysely<any>, experiment: string, clock: Clock): Promise<Recording[]> {
  const names = new Set((await listSetups(database, experiment)).map((setup) => setup.name))
  const answers: Recording[] = []
  for (const setup of names) {
    const open = await latest(database, experiment, setup, true)
    answers.push(recordingOf(setup, open, open ?? (await latest(database, experiment, setup, false)), clock.nowMs()))
  }
  return answers
}

async function latest(
  database: Kysely<any>,
  experiment: string,
  setup: string,
  recordingOnly: boolean,
): Promise<RunRow | undefined> {
  const db: Kysely<LogbookTables> = database
  let query = db.selectFrom('logbook_run').selectAll().where('experiment', '=', experiment).where('setup', '=', setup)
  if (recordingOnly) query = query.where('state', '=', 'recording').orderBy('last_seen_ms', 'desc')
  return await query.orderBy('series', 'desc').orderBy('number', 'desc').limit(1).executeTakeFirst()
}

/** Pure: what to say of a setup, given its open run and its last run. Times UTC ms. */
export function recordingOf(
  setup: string,
  open: RunRow | undefined,
  last: RunRow | undefined,
  nowMs: number,
): Recording {
  const run = last === undefined ? null : `${last.series}:${last.number}`
  if (open !== undefined && nowMs - open.last_seen_ms <= silentAfterMs) {
    const sinceMs = open.started_ms ?? open.created_ms
    return {
      setup,
      status: 'recording',
      run,
      sinceMs,
      lastSeenMs: open.last_seen_ms,
      sentence: `Recording run ${run} since ${printTime(sinceMs)}.`,
      advice: '',
    }
  }
  if (open !== undefined) {
    return {
      setup,
      status: 'not-recording',
      run,
      sinceMs: open.last_seen_ms,
      lastSeenMs: open.last_seen_ms,
      sentence: `NOT RECORDING: nothing was heard of run ${run} for ${printDuration(nowMs - open.last_seen_ms)}. ${silentAdvice}`,
      advice: `Run ${run} has not ended, but nothing is heard of it. ${silentAdvice}`,
    }
  }
  if (last === undefined) {
    return {
      setup,
      status: 'not-recording',
      run: null,
      sinceMs: null,
      lastSeenMs: null,
      sentence: 'NOT RECORDING: no run has been taken yet.',
      advice: '',
    }
  }
  const sinceMs = last.ended_ms ?? last.last_seen_ms
  return {
    setup,
    status: 'not-recording',
    run,
    sinceMs,
    lastSeenMs: last.last_seen_ms,
    sentence: `NOT RECORDING since ${printTime(sinceMs)}; the last run was ${run}.`,
    advice: '',
  }
}
