/** Server-sent events: the wire form of a route with `stream: 'events'`. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { once } from 'node:events'
import type { ServerEvent } from '../contract.ts'
import { problemOf, type Fault } from '../errors.ts'

export interface SendEventsOptions {
  request: FastifyRequest
  reply: FastifyReply
  signal: AbortSignal
  check(data: unknown): unknown
  /** Whether permission was asked; nothing, not even a header, is sent before. */
  mayStart(): boolean
  refuse(): Fault
}

/** Proxies and browsers give up on silent connections; a comment line keeps them. */
const keepAliveMs = 15_000
/** How long a handler may take to refuse with a proper status before the stream is opened. */
const settleMs = 50

/**
 * Sends events until the source ends or the caller leaves. An error of the source before the stream is open is thrown
 * (and becomes a status); afterwards it is sent as an event named 'fault', which the client throws.
 */
export async function sendEvents(source: AsyncIterable<ServerEvent>, options: SendEventsOptions): Promise<void> {
  const { request, reply, signal } = options
  const iterator = source[Symbol.asyncIterator]()
  try {
    let next = iterator.next()
    await opened(next, options)
    const { raw } = reply
    reply.hijack()
    const headers = { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' }
    raw.writeHead(200, { ...(reply.getHeaders() as Record<string, string>), ...headers })
    raw.write(': open\n\n')
    const keepAlive = setInterval(() => raw.write(': still here\n\n'), keepAliveMs)
    const gone = new Promise<'gone'>((resolve) => {
      if (signal.aborted) resolve('gone')
      signal.addEventListener('abort', () => resolve('gone'), { once: true })
    })
    try {
      for (;;) {
        const step = await Promise.race([next, gone])
        if (step === 'gone' || step.done) break
        const { event, data, id } = step.value
        const text = eventText(event, options.check(data), id)
        if (!raw.write(text)) await Promise.race([once(raw, 'drain'), gone])
        next = iterator.next()
      }
    } catch (error) {
      request.log.error({ error }, 'a stream of events broke')
      raw.write(eventText('fault', problemOf(error, request.id)))
    } finally {
      clearInterval(keepAlive)
      next.catch(() => {})
      raw.end()
    }
  } finally {
    // Not awaited: a source that waits for something would hold us until then.
    iterator.return?.().catch(() => {})
  }
}

async function opened(first: Promise<unknown>, { mayStart, refuse }: SendEventsOptions): Promise<void> {
  await Promise.race([first, new Promise((resolve) => setTimeout(resolve, settleMs))])
  if (!mayStart()) await first
  if (!mayStart()) throw refuse()
}

function eventText(event: string, data: unknown, id?: string): string {
  const lines = [`event: ${event}`, ...(id === undefined ? [] : [`id: ${id}`]), `data: ${JSON.stringify(data)}`]
  return `${lines.join('\n')}\n\n`
}
