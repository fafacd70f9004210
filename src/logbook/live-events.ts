/**
 * What a live page hears: the durable facts of one experiment, each with an id to resume from, mixed with the passing
 * progress of runs being recorded (no id: it is out of date when it is missed).
 */
import type { ServerEvent } from '../foundation/contract.ts'
import type { Facts } from '../foundation/facts.ts'
import type { Progress } from './contract.ts'

/** Progress that a slow reader has not fetched yet: one entry for each run, the newest. */
type Pending = Map<string, Progress>

/** Hands progress from whoever reports it to whoever watches; nothing is stored. */
export class ProgressBoard {
  readonly #listeners = new Map<(progress: Progress) => void, string>()

  announce(experiment: string, progress: Progress): void {
    for (const [listener, wanted] of this.#listeners) if (wanted === experiment) listener(progress)
  }

  listen(experiment: string, listener: (progress: Progress) => void): () => void {
    this.#listeners.set(listener, experiment)
    return () => this.#listeners.delete(listener)
  }
}

/** Parses a Last-Event-ID header; anything that is not one of our ids means: from now on. */
export function resumePoint(header: string | string[] | undefined): number | undefined {
  const text = Array.isArray(header) ? header[0] : header
  const match = /^(\d{1,15})$/.exec(text ?? '')
  return match === null ? undefined : Number(match[1])
}

/**
 * Events of one experiment until `signal` aborts. Only facts whose kind starts with one of `kinds` and whose data name
 * this experiment are let through: a fact that does not say whose it is reaches nobody.
 */
export async function* liveEvents(given: {
  facts: Facts
  board: ProgressBoard
  experiment: string
  kinds: readonly string[]
  since: number | undefined
  signal: AbortSignal
}): AsyncGenerator<ServerEvent> {
  const { facts, board, experiment, kinds, since, signal } = given
  const pending: Pending = new Map()
  let ring: () => void = () => {}
  const forget = board.listen(experiment, (progress) => {
    pending.set(progress.runId, progress)
    ring()
  })
  const ended = new AbortController()
  const stop = AbortSignal.any([signal, ended.signal])
  const tail = facts.tail({ signal: stop, ...(since === undefined ? {} : { since }) })[Symbol.asyncIterator]()
  const aborted = new Promise<void>((resolve) => stop.addEventListener('abort', () => resolve(), { once: true }))
  try {
    let nextFact = tail.next()
    while (!signal.aborted) {
      const rung = new Promise<void>((resolve) => (ring = resolve))
      if (pending.size > 0) ring()
      const first = await Promise.race([nextFact, rung, aborted])
      for (const progress of pending.values()) yield { event: 'progress', data: progress }
      pending.clear()
      if (first === undefined) continue
      if (first.done === true) return
      nextFact = tail.next()
      const fact = first.value
      if (fact.data.experiment !== experiment || !kinds.some((kind) => fact.kind.startsWith(kind))) continue
      yield {
        event: fact.kind,
        data: { ...fact.data, subject: fact.subject, atMs: fact.atMs },
        id: String(fact.sequence),
      }
    }
  } finally {
    forget()
    ended.abort()
    await tail.return?.()
  }
}
