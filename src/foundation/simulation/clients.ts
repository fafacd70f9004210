/** fetch and node:http's `request` as the rooms use them, over the simulated network. */
import { EventEmitter } from 'node:events'
import { Readable } from 'node:stream'
import type { SimulatedAnswer, SimulatedNetwork } from './network.ts'

export function simulatedFetch(network: SimulatedNetwork): typeof fetch {
  const ask = async (address: string, init: RequestInit = {}): Promise<unknown> => {
    const { origin, pathname, search } = new URL(address)
    const { signal } = init
    signal?.throwIfAborted()
    const answer = await orAborted(
      network.ask(origin, {
        method: init.method ?? 'GET',
        path: `${pathname}${search}`,
        headers: { ...(init.headers as Record<string, string> | undefined) },
        body: Buffer.from(typeof init.body === 'string' ? init.body : ''),
      }),
      signal ?? undefined,
    )
    const text = answer.body.toString()
    return {
      ok: answer.status < 300,
      status: answer.status,
      headers: new Headers(answer.headers),
      text: () => Promise.resolve(text),
      json: () => Promise.resolve(JSON.parse(text) as unknown),
    }
  }
  return ask as typeof fetch
}

async function orAborted<Result>(work: Promise<Result>, signal: AbortSignal | undefined): Promise<Result> {
  if (signal === undefined) return await work
  let stop = (): void => {}
  const aborted = new Promise<never>((_resolve, reject) => {
    stop = () => reject(signal.reason as Error)
    signal.addEventListener('abort', stop, { once: true })
  })
  try {
    return await Promise.race([work, aborted])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

interface RequestOptions {
  method: string
  hostname: string
  port: string
  path: string
  headers: Record<string, string>
  signal?: AbortSignal
}

/** `request(options, heard)`: the answer's body is a stream; a time-out of silence is counted by the virtual clock. */
export function simulatedRequest(network: SimulatedNetwork) {
  return (options: RequestOptions, heard: (answer: Readable) => void) => {
    let patience: ReturnType<typeof setTimeout> | undefined
    let over = false
    const request = Object.assign(new EventEmitter(), {
      setTimeout(ms: number, onTimeout: () => void) {
        patience = setTimeout(onTimeout, ms)
      },
      destroy(error?: Error) {
        end(() => request.emit('error', error ?? new Error('socket hang up')))
      },
      end(body: Uint8Array) {
        const origin = `http://${options.hostname}${options.port === '' ? '' : `:${options.port}`}`
        const { method, path, headers } = options
        network.ask(origin, { method, path, headers, body: Buffer.from(body) }).then(
          (answer) => end(() => heard(incoming(answer))),
          (error: Error) => end(() => request.emit('error', error)),
        )
      },
    })
    const aborted = (): void => end(() => request.emit('error', options.signal!.reason as Error))
    function end(how: () => void): void {
      if (over) return
      over = true
      clearTimeout(patience)
      options.signal?.removeEventListener('abort', aborted)
      how()
    }
    options.signal?.addEventListener('abort', aborted, { once: true })
    return request
  }
}

function incoming({ status, headers, body }: SimulatedAnswer): Readable {
  return Object.assign(Readable.from(body.length === 0 ? [] : [body]), { statusCode: status, headers })
}
