/** Reads the database of a stopped platform: facts consumed once, nothing stuck, a ledger without gap or overlap. */
import { DatabaseSync } from 'node:sqlite'

type Row = Record<string, string | number | null>

export interface LedgerReport {
  facts: number
  attempts: number
  intervals: number
  doubled: string[]
  wrong: string[]
}

export function readLedger(databasePath: string): LedgerReport {
  const database = new DatabaseSync(databasePath, { readOnly: true })
  try {
    const rows = (sql: string) => database.prepare(sql).all() as Row[]
    const doubled: string[] = []
    const wrong: string[] = []
    const { facts } = checkFacts(rows, doubled, wrong)
    checkEffects(rows, doubled, wrong)
    const { attempts, intervals } = checkUsage(rows, doubled, wrong)
    checkNothingIsStuck(rows, wrong)
    return { facts, attempts, intervals, doubled, wrong }
  } finally {
    database.close()
  }
}

type Rows = (sql: string) => Row[]

/** The log has no gap; no cursor is beyond it; each end of a job, a run, a task was told once. */
function checkFacts(rows: Rows, doubled: string[], wrong: string[]): { facts: number } {
  const [log] = rows('select sequence from fact_log')
  const [count] = rows('select count(*) as n, min(sequence) as low, max(sequence) as high from fact')
  if (count!.n !== log!.sequence || (count!.n !== 0 && (count!.low !== 1 || count!.high !== log!.sequence)))
    wrong.push(
      `the fact log has ${count!.n} facts from ${count!.low} to ${count!.high}, its counter says ${log!.sequence}`,
    )
  for (const { name, sequence } of rows('select name, sequence from fact_cursor'))
    if (Number(sequence) > Number(log!.sequence)) wrong.push(`follower ${name} is at ${sequence}, beyond the log`)
  for (const kind of ['compute.job-submitted', 'compute.job-ended', 'logbook.run-opened']) {
    for (const { subject, n } of rows(
      `select subject, count(*) as n from fact where kind = '${kind}' group by subject having count(*) > 1`,
    ))
      doubled.push(`${n} facts ${kind} of ${subject}`)
  }
  return { facts: Number(count!.n) }
}

/** One effect for each job, task and wish. */
function checkEffects(rows: Rows, doubled: string[], wrong: string[]): void {
  for (const { id, state } of rows(
    `select id, state from compute_job where state not in ('succeeded', 'failed', 'cancelled')`,
  ))
    wrong.push(`job ${id} is ${state} at the end`)
  for (const { job_id: job, n } of rows(
    `select job_id, count(*) as n from compute_attempt where outcome = 'succeeded' group by job_id having count(*) > 1`,
  ))
    doubled.push(`job ${job} succeeded ${n} times`)
  for (const { id } of rows(
    `select id from compute_job where state = 'succeeded' and not exists
       (select 1 from compute_attempt where job_id = compute_job.id and outcome = 'succeeded')`,
  ))
    wrong.push(`job ${id} succeeded without an attempt that did`)
  const told = new Map<string, number>()
  for (const { subject, data } of rows(`select subject, data from fact where kind = 'reconstruction.run-done'`)) {
    const key = `${subject} ${(JSON.parse(String(data)) as { campaign: string }).campaign}`
    told.set(key, (told.get(key) ?? 0) + 1)
  }
  for (const [key, n] of told) if (n > 1) doubled.push(`${key} was told done ${n} times`)
  const done = rows(`select count(*) as n from reconstruction_task where kind = 'reconstruction' and state = 'done'`)
  if (done[0]!.n !== told.size) wrong.push(`${done[0]!.n} tasks are done, ${told.size} were told`)
  for (const { run_id: run, campaign, n } of rows(
    `select run_id, campaign, count(*) as n from reconstruction_task where state = 'done' group by run_id, campaign having count(*) > 1`,
  ))
    doubled.push(`run ${run} was reconstructed ${n} times in '${campaign}'`)
  for (const { made_from_run_id: run, n } of rows(
    'select made_from_run_id, count(*) as n from reconstruction_calibration group by made_from_run_id having count(*) > 1',
  ))
    doubled.push(`${n} calibrations were made from run ${run}`)
}

/** Every resource of an attempt is held from its claim to its end, in pieces that touch. */
function checkUsage(rows: Rows, doubled: string[], wrong: string[]): { attempts: number; intervals: number } {
  const attempts = rows('select * from compute_attempt order by job_id, number')
  const pieces = new Map<string, Row[]>()
  const intervals = rows('select * from usage_interval order by job_id, attempt, resource, start_ms')
  for (const interval of intervals) {
    const key = `${interval.job_id}.${interval.attempt} ${interval.resource}`
    pieces.set(key, [...(pieces.get(key) ?? []), interval])
  }
  let previous: Row | undefined
  for (const attempt of attempts) {
    const name = `${attempt.job_id}.${attempt.number}`
    if (attempt.state !== 'ended') wrong.push(`attempt ${name} is ${attempt.state} at the end`)
    if (previous?.job_id === attempt.job_id && Number(attempt.claimed_ms ?? Infinity) < Number(previous!.ended_ms))
      doubled.push(`attempt ${name} was claimed before the one before it had ended`)
    previous = attempt
    for (const resource of ['cpu', 'memory']) {
      const held = pieces.get(`${name} ${resource}`) ?? []
      pieces.delete(`${name} ${resource}`)
      checkPieces(`${name} ${resource}`, held, attempt, wrong)
    }
  }
  for (const key of pieces.keys()) wrong.push(`usage of ${key} belongs to no attempt`)
  return { attempts: attempts.length, intervals: intervals.length }
}

function checkPieces(what: string, held: Row[], attempt: Row, wrong: string[]): void {
  if (attempt.claimed_ms === null) {
    if (held.length > 0) wrong.push(`${what} was held without a claim`)
    return
  }
  let untilMs = Number(attempt.claimed_ms)
  const endMs = Number(attempt.ended_ms)
  for (const [index, piece] of held.entries()) {
    if (piece.start_ms !== untilMs)
      wrong.push(`${what}: a piece begins at ${piece.start_ms}, the last ended at ${untilMs}`)
    const isLast = index === held.length - 1
    if ((piece.outcome === 'open') === isLast)
      wrong.push(`${what}: piece ${index + 1} of ${held.length} is ${piece.outcome}`)
    untilMs = Number(piece.end_ms)
  }
  if (untilMs !== endMs) wrong.push(`${what} is recorded until ${untilMs}, the attempt ended at ${endMs}`)
}

function checkNothingIsStuck(rows: Rows, wrong: string[]): void {
  for (const { kind, state, reason } of rows(`select kind, state, reason from background_job where state <> 'done'`))
    wrong.push(`a background job ${kind} is ${state}: ${reason ?? ''}`)
  for (const { id } of rows(`select id from notebook_session where living is not null`))
    wrong.push(`session ${id} is still called living`)
  for (const { actor_id: actor } of rows(
    `select actor_id from identity_access_key where actor_kind = 'session' and revoked_at_ms is null`,
  ))
    wrong.push(`the key of session ${actor} outlives it`)
}
