/** The API and OIDC as a gateway gives them out: passed on to control, a fair share of it for each principal. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Logger } from '../../foundation/log.ts'
import type { ConnectionGuard } from './connection-guard.ts'
import { createControlProxy } from './control-proxy.ts'
import type { Traffic } from './draining.ts'
import { tooMany } from './faces.ts'
import { admit, type FairShare } from './fair-share.ts'
import { refuse } from './front-server.ts'
import type { Principals } from './principals.ts'

export interface ControlFaceOptions {
  controlSocket: string
  principals: Principals
  guard: ConnectionGuard
  traffic: Traffic
  share: FairShare
  /** Streams of events last: they have places of their own. */
  streams: FairShare
  log: Logger
}

export function createControlFace(options: ControlFaceOptions) {
  const { principals, guard, traffic, share, streams } = options
  const places = new WeakMap<ServerResponse, () => void>()

  const proxy = createControlProxy(options.controlSocket, options.log, (request, response, answer) => {
    if (principals.learn(request, answer.headers) && (answer.statusCode ?? 500) < 400) guard.prove(request.socket)
    if (!(answer.headers['content-type'] ?? '').startsWith('text/event-stream')) return undefined
    const place = streams.tryEnter(principals.of(request))
    if (place === undefined) return tooMany()
    response.once('close', place)
    traffic.markStream(response)
    places.get(response)?.()
    return undefined
  })

  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const place = await admit(share, principals.of(request), response)
    if (place === 'refused') return refuse(response, tooMany(), { 'retry-after': '2' })
    if (place === 'gone') return
    places.set(response, place)
    await proxy(request, response)
  }
}
