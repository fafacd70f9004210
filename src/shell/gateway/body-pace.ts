/**
 * Cuts connections off whose request body comes at a crawl. An upload may take for ever as long as it moves; time in
 * which we are not reading, because disk or control are slower than the client, is not counted.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'

export interface BodyPace {
  watch(request: IncomingMessage, response: ServerResponse): void
  /** How many were cut off. */
  stalled(): number
  close(): void
}

interface Watched {
  request: IncomingMessage
  sinceMs: number
  bytesRead: number
}

const leastBytes = 1024

export function createBodyPace(stallMs: number): BodyPace {
  const watched = new Set<Watched>()
  let stalled = 0

  const timer = setInterval(
    () => {
      const nowMs = performance.now()
      for (const each of watched) {
        const { request } = each
        if (request.complete || request.destroyed) {
          watched.delete(each)
          continue
        }
        const { bytesRead } = request.socket
        const weAreFull = request.readableLength >= request.readableHighWaterMark
        if (weAreFull || bytesRead - each.bytesRead >= leastBytes) Object.assign(each, { sinceMs: nowMs, bytesRead })
        else if (nowMs - each.sinceMs >= stallMs) {
          watched.delete(each)
          stalled++
          request.socket.destroy()
        }
      }
    },
    Math.min(1_000, stallMs / 4),
  )
  timer.unref()

  return {
    watch(request, response) {
      if (request.headers['content-length'] === undefined && request.headers['transfer-encoding'] === undefined) return
      const begin = () => {
        if (!request.complete) watched.add({ request, sinceMs: performance.now(), bytesRead: request.socket.bytesRead })
      }
      if (request.headers.expect?.toLowerCase() !== '100-continue') return begin()
      // The client waits for our word before it sends anything.
      const writeContinue = response.writeContinue.bind(response)
      response.writeContinue = (...given: Parameters<typeof writeContinue>) => {
        begin()
        writeContinue(...given)
      }
    },
    stalled: () => stalled,
    close: () => clearInterval(timer),
  }
}
