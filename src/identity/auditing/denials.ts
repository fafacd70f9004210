/**
 * What was denied, written down without a way to flood the audit: of each actor the first ten a minute as rows of their
 * own, all further ones counted, and the count written within a minute. Memory and rows are bounded; of very many actors
 * at once the last ones are counted together. Only a process that dies loses the counts of its last minute.
 */
import type { Logger } from '../../foundation/log.ts'
import { monotonicMsOf, type Clock } from '../../foundation/time.ts'
import type { AuditEvent, Origin } from '../audit.ts'

export interface Denial {
  origin: Origin
  /** What was asked: 'DELETE /api/identity/clients/:client'. */
  target: string
  experiment?: string | undefined
  /** Code of the refusal and what it was about; no secrets. */
  detail: Record<string, unknown>
  /** How often it happened, where somebody has counted already. */
  times?: number
}

export interface Denials {
  record(denial: Denial): void
  /** Writes what is counted and waits for what is being written. */
  flush(): Promise<void>
  close(): Promise<void>
}

export interface DenialOptions {
  clock: Clock
  log: Logger
  write: (origin: Origin, event: AuditEvent) => Promise<void>
}

const windowMs = 60_000
const rowsPerActor = 10
const rowsOfAll = 300
const mostActors = 5_000
const countsAtOnce = 100
const mostKinds = 20

interface Actor {
  origin: Origin
  sinceMs: number
  atMs: number
  rows: number
  counted: number
  kinds: Map<string, number>
}

export function createDenials({ clock, log, write }: DenialOptions): Denials {
  const actors = new Map<string, Actor>()
  let [windowStartMs, rowsInWindow] = [monotonicMsOf(clock), 0]
  let writing: Promise<void> = Promise.resolve()
  /** Of actors there was no room for. */
  let others = countOf(manyOrigin)
  const timer = setInterval(() => void flush(), windowMs).unref()

  /** What cannot be written is counted again, and written with the next count. */
  function enqueue(origin: Origin, event: AuditEvent, kinds: ReadonlyMap<string, number>): void {
    writing = writing
      .then(() => write(origin, event))
      .catch((error: unknown) => {
        log.error({ error, target: event.target }, 'a refusal could not be audited yet')
        const actor = actorOf(origin)
        for (const [kind, times] of kinds) count(actor, kind, times)
      })
  }

  function actorOf(origin: Origin): Actor {
    // Strangers are known by where they come from.
    const key = origin.actor.kind === 'anonymous' ? `from ${origin.address}` : origin.actor.id
    const actor = actors.get(key) ?? countOf(origin)
    actors.delete(key)
    actors.set(key, actor)
    if (actors.size > mostActors) {
      const [oldest, forgotten] = actors.entries().next().value!
      actors.delete(oldest)
      addTo(others, forgotten)
    }
    return actor
  }

  function countOf(origin: Origin): Actor {
    return { origin, sinceMs: clock.nowMs(), atMs: monotonicMsOf(clock), rows: 0, counted: 0, kinds: new Map() }
  }

  function writeCount({ origin, counted, kinds, sinceMs }: Actor): void {
    if (counted === 0) return
    const event: AuditEvent = {
      action: 'requests-denied',
      target: `${counted} more`,
      decision: 'deny',
      detail: { count: counted, sinceMs, untilMs: clock.nowMs(), kinds: Object.fromEntries(kinds) },
    }
    enqueue(origin, event, new Map(kinds))
  }

  async function flush(): Promise<void> {
    const nowMs = monotonicMsOf(clock)
    let written = 0
    for (const [key, actor] of actors) {
      if (actor.counted > 0 && written++ >= countsAtOnce) addTo(others, actor)
      else writeCount(actor)
      actor.counted = 0
      actor.kinds.clear()
      actor.sinceMs = clock.nowMs()
      if (nowMs - actor.atMs >= windowMs) actors.delete(key)
    }
    writeCount(others)
    others = countOf(manyOrigin)
    await writing
  }

  return {
    record({ origin, target, experiment, detail, times = 1 }) {
      const nowMs = monotonicMsOf(clock)
      const actor = actorOf(origin)
      if (nowMs - actor.atMs >= windowMs) Object.assign(actor, { atMs: nowMs, rows: 0 })
      if (nowMs - windowStartMs >= windowMs) [windowStartMs, rowsInWindow] = [nowMs, 0]
      if (actor.rows < rowsPerActor && rowsInWindow < rowsOfAll) {
        actor.rows += 1
        rowsInWindow += 1
        const counted = times > 1 ? { ...detail, times } : detail
        const event: AuditEvent = { action: 'request-denied', target, experiment, decision: 'deny', detail: counted }
        return enqueue(origin, event, new Map([[target, times]]))
      }
      count(actor, target, times)
    },
    flush,
    async close() {
      clearInterval(timer)
      await flush()
    },
  }
}

const manyOrigin: Origin = {
  actor: { id: 'many', kind: 'anonymous', name: 'many' },
  address: 'several',
  requestId: '-',
}

function count(actor: Actor, target: string, times: number): void {
  actor.counted += times
  const kind = actor.kinds.has(target) || actor.kinds.size < mostKinds ? target : 'others'
  actor.kinds.set(kind, (actor.kinds.get(kind) ?? 0) + times)
}

function addTo(sum: Actor, actor: Actor): void {
  sum.sinceMs = Math.min(sum.sinceMs, actor.sinceMs)
  for (const [kind, times] of actor.kinds) count(sum, kind, times)
}
