/**
 * A gateway's end. A stop finishes the requests in hand for a few seconds. A hand-over (a new gateway already listens
 * on the same ports) stops accepting at once, lets idle clients leave by themselves and open websockets go on.
 */
import type { Server, ServerResponse } from 'node:http'
import { Server as NetServer } from 'node:net'
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'

/** What is under way on all listeners of this process. */
export interface Traffic {
  begin(response: ServerResponse): void
  /** This answer goes on for as long as its reader likes. */
  markStream(response: ServerResponse): void
  requests(): number
  endStreams(): void
}

export function createTraffic(): Traffic {
  const requests = new Set<ServerResponse>()
  const streams = new Set<ServerResponse>()
  return {
    begin(response) {
      requests.add(response)
      response.once('close', () => (requests.delete(response), streams.delete(response)))
    },
    markStream(response) {
      if (requests.delete(response)) streams.add(response)
    },
    requests: () => requests.size,
    endStreams() {
      for (const stream of streams) stream.destroy()
    },
  }
}

export interface Draining {
  isDraining(): boolean
  /** Stops accepting and resolves when the last request has its answer, or after `patienceMs`. Closes everything. */
  stop(patienceMs: number): Promise<void>
  /** Stops accepting; resolves when requests and websockets have ended, or after `patienceMs`. Closes everything. */
  handOver(patienceMs: number): Promise<void>
}

export interface DrainingParts {
  servers: readonly Server[]
  traffic: Traffic
  websockets(): number
}

const lookEveryMs = 25
/** A round of the event loop that is shorter than this has taken every waiting connection a moment ago. */
const shortRoundMs = 0.5
const mostRounds = 500
/** How long clients with an idle connection have to learn, from one more answer, that they should open another. */
const idleGraceMs = 5_000

export function createDraining({ servers, traffic, websockets }: DrainingParts): Draining {
  let draining = false

  /** Without http's own close, which would cut idle connections into which a request may be on its way. */
  async function stopAccepting(): Promise<void> {
    draining = true
    await untilAllAreTaken()
    for (const server of servers) NetServer.prototype.close.call(server)
  }

  async function until(done: () => boolean, deadlineMs: number): Promise<void> {
    while (!done() && performance.now() < deadlineMs) await sleep(lookEveryMs)
  }

  function closeAll(): void {
    for (const server of servers) server.closeAllConnections()
  }

  return {
    isDraining: () => draining,
    async stop(patienceMs) {
      const deadlineMs = performance.now() + patienceMs
      await stopAccepting()
      for (const server of servers) server.closeIdleConnections()
      // Their readers open new ones by themselves.
      traffic.endStreams()
      await until(() => traffic.requests() === 0, deadlineMs)
      closeAll()
    },
    async handOver(patienceMs) {
      const deadlineMs = performance.now() + patienceMs
      await stopAccepting()
      await until(() => false, Math.min(deadlineMs, performance.now() + idleGraceMs))
      // Their readers open new ones by themselves.
      traffic.endStreams()
      for (const server of servers) server.closeIdleConnections()
      await until(() => traffic.requests() === 0 && websockets() === 0, deadlineMs)
      closeAll()
    },
  }
}

/**
 * What waits in a listener when it is closed is reset by the kernel. Each round of the event loop takes all of it, and
 * this resolves right behind such a step, in a round in which little else was done.
 */
async function untilAllAreTaken(): Promise<void> {
  await setImmediate()
  for (let round = 0; round < mostRounds; round++) {
    const begunMs = performance.now()
    await setImmediate()
    if (performance.now() - begunMs < shortRoundMs) return
  }
}

/** Resolves at SIGTERM or SIGINT ('stop') or SIGUSR2 ('hand over'). A stop during a hand-over ends it at once. */
export function endSignal(): Promise<'stop' | 'hand over'> {
  return new Promise((done) => {
    process.once('SIGTERM', () => done('stop'))
    process.once('SIGINT', () => done('stop'))
    process.once('SIGUSR2', () => {
      done('hand over')
      process.once('SIGTERM', () => process.exit(0))
    })
  })
}
