/**
 * Control's end, seen from the gateways: from the first moment nobody can open a new connection (they wait for the next
 * control), and what is under way gets its answer.
 */
import type { FastifyInstance, FastifyReply } from 'fastify'
import { rename, rm } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

/** Connections that were opened but not yet taken are taken within this time. */
const lateConnectionsMs = 100
/** A read that takes longer is asked again of the next control by the gateway. */
const answersWithinMs = 6_000
const lookEveryMs = 10

/** To be called before the app listens; what it answers ends the traffic on `socketPath`. */
export function gracefulEnd(app: FastifyInstance, socketPath: string): () => Promise<void> {
  const underWay = new Set<FastifyReply>()
  app.addHook('onRequest', async (_request, reply) => {
    underWay.add(reply)
    reply.raw.once('close', () => underWay.delete(reply))
  })
  return async () => {
    const aside = `${socketPath}.${process.pid}`
    await rename(socketPath, aside).catch(() => {})
    const deadlineMs = performance.now() + answersWithinMs
    await sleep(lateConnectionsMs)
    while ([...underWay].some((reply) => !isEndless(reply)) && performance.now() < deadlineMs) await sleep(lookEveryMs)
    await rm(aside, { force: true })
  }
}

/** Streams of events (foundation/http.ts takes their socket over) end only when somebody cuts them; readers open new ones. */
function isEndless(reply: FastifyReply): boolean {
  return reply.sent && !reply.raw.writableEnded
}
