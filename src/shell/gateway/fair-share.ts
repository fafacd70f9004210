/**
 * So many requests at once per principal (an access key, a person, else an address) and in all; what is more waits
 * shortly. Waiting principals take turns, so that one with a thousand requests delays another's single one by at most
 * one of its own.
 */
import type { ServerResponse } from 'node:http'

export interface FairShareLimits {
  requestsPerPrincipal: number
  waitingPerPrincipal: number
  waitSeconds: number
}

export interface FairShare {
  /**
   * Resolves with what to call at the end of the request, or with `undefined` when the principal has too much under
   * way already. `signal`: the caller has gone.
   */
  enter(principal: string, signal?: AbortSignal): Promise<(() => void) | undefined>
  /** The same without waiting. */
  tryEnter(principal: string): (() => void) | undefined
  counts(): { running: number; waiting: number; refused: number; principals: number }
}

interface Lane {
  running: number
  waiting: Set<(admitted: boolean) => void>
}

/** Beyond this a process only swaps; no single principal's share may be so large that it is reached by one. */
const sharesInAll = 8

export function createFairShare(limits: FairShareLimits): FairShare {
  const runningInAll = limits.requestsPerPrincipal * sharesInAll
  const lanes = new Map<string, Lane>()
  let running = 0
  let waiting = 0
  let refused = 0

  const mayRun = (lane: Lane) => lane.running < limits.requestsPerPrincipal && running < runningInAll

  function start(principal: string, lane: Lane): () => void {
    lane.running++
    running++
    let ended = false
    return () => {
      if (ended) return
      ended = true
      lane.running--
      running--
      tidy(principal, lane)
      next()
    }
  }

  function tidy(principal: string, lane: Lane): void {
    if (lane.running === 0 && lane.waiting.size === 0 && lanes.get(principal) === lane) lanes.delete(principal)
  }

  /** Lets in whoever may run now; a principal that was let in goes to the end of the line. */
  function next(): void {
    if (waiting === 0) return
    for (const [principal, lane] of lanes) {
      if (running >= runningInAll) return
      if (lane.waiting.size === 0 || !mayRun(lane)) continue
      const [first] = lane.waiting
      lanes.delete(principal)
      lanes.set(principal, lane)
      first!(true)
      return
    }
  }

  function laneOf(principal: string): Lane {
    const lane = lanes.get(principal) ?? { running: 0, waiting: new Set() }
    lanes.set(principal, lane)
    return lane
  }

  return {
    tryEnter(principal) {
      const lane = laneOf(principal)
      if (lane.waiting.size === 0 && mayRun(lane)) return start(principal, lane)
      refused++
      tidy(principal, lane)
      return undefined
    },
    async enter(principal, signal) {
      const lane = laneOf(principal)
      if (lane.waiting.size === 0 && mayRun(lane)) return start(principal, lane)
      if (lane.waiting.size >= limits.waitingPerPrincipal || signal?.aborted) {
        refused++
        tidy(principal, lane)
        return undefined
      }
      const release = await new Promise<(() => void) | undefined>((done) => {
        const settle = (admitted: boolean) => {
          clearTimeout(timer)
          signal?.removeEventListener('abort', leave)
          lane.waiting.delete(settle)
          waiting--
          done(admitted ? start(principal, lane) : undefined)
        }
        const leave = () => settle(false)
        const timer = setTimeout(leave, limits.waitSeconds * 1000)
        signal?.addEventListener('abort', leave, { once: true })
        lane.waiting.add(settle)
        waiting++
      })
      if (release === undefined) {
        refused++
        tidy(principal, lane)
      }
      return release
    },
    counts: () => ({ running, waiting, refused, principals: lanes.size }),
  }
}

/**
 * A place for one request until its answer is over or its caller gone. 'gone': the caller did not wait for it. Answers
 * the function that gives the place up early.
 */
export async function admit(
  share: FairShare,
  principal: string,
  response: ServerResponse,
): Promise<(() => void) | 'refused' | 'gone'> {
  const gone = new AbortController()
  const leave = () => gone.abort()
  response.once('close', leave)
  const release = await share.enter(principal, gone.signal)
  response.off('close', leave)
  if (gone.signal.aborted || response.destroyed) {
    release?.()
    return 'gone'
  }
  if (release === undefined) return 'refused'
  response.once('close', release)
  return release
}
