/** The content origin of a gateway: people's notebooks, entered by a single-use ticket and a cookie of that origin. */
import { request as httpRequest } from 'node:http'
import { faultOfProblem } from '../../foundation/errors.ts'
import type { Logger } from '../../foundation/log.ts'
import { contentCookieName, signContentCookie, verifyContentCookie, whyNotOn } from '../../identity/gateway.ts'
import { createNotebookProxy } from '../../notebooks/gateway.ts'
import { shellFaults } from '../errors.ts'
import type { Addresses } from '../home.ts'
import type { PlatformSnapshot } from '../snapshot.ts'

export interface ContentFaceOptions {
  snapshot(): PlatformSnapshot | undefined
  addresses: Addresses
  controlSocket: string
  log: Logger
}

interface RedeemedTicket {
  personId: string
  sessionId: string
  epoch: number
  expiresAtMs: number
  windowId?: string
}

export function createContentFace({ snapshot, addresses, controlSocket, log }: ContentFaceOptions) {
  return createNotebookProxy({
    routes: () => snapshot()?.notebooks.routes ?? [],
    verify(cookieHeader, route) {
      const current = snapshot()
      const value = cookieValue(cookieHeader, contentCookieName(addresses.contentUrl, route.sessionId))
      if (!current || value === undefined) return undefined
      const access = verifyContentCookie(current.identity, value, { sessionId: route.sessionId })
      if (access === undefined || access.personId !== route.ownerId) return undefined
      // The cookie says who; what he may is asked anew each time, and of open websockets at every new snapshot.
      const { ownerId, experiment } = route
      if (experiment !== undefined && whyNotOn(current.identity, ownerId, 'sessions.start', experiment) !== undefined)
        return undefined
      return { id: route.ownerId, name: route.ownerName }
    },
    async redeem(ticket) {
      const current = snapshot()
      if (!current) throw shellFaults.controlUnavailable('The platform is starting.')
      const access = await redeemAtControl(controlSocket, ticket)
      return {
        cookieValue: signContentCookie(current.identity, access),
        sessionId: access.sessionId,
        lifetimeMs: access.expiresAtMs - Date.now(),
      }
    },
    cookieName: (sessionId) => contentCookieName(addresses.contentUrl, sessionId),
    platformUrl: () => addresses.publicUrl,
    secure: addresses.contentUrl.startsWith('https:'),
    log,
  })
}

/** The cookie of that name. Two of them (one planted by a neighbour) count as none. */
function cookieValue(header: string, name: string): string | undefined {
  const found = header.split(/; */).filter((part) => part.startsWith(`${name}=`))
  return found.length === 1 ? found[0]!.slice(name.length + 1) : undefined
}

function redeemAtControl(socketPath: string, ticket: string): Promise<RedeemedTicket> {
  return new Promise((done, failed) => {
    const headers = { 'content-type': 'application/json' }
    const options = {
      socketPath,
      method: 'POST',
      path: '/api/identity/content-tickets/redeem',
      headers,
      timeout: 10_000,
    }
    const request = httpRequest(options, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      response.on('end', () => {
        const body = JSON.parse(text) as unknown
        if (response.statusCode === 200) done(body as RedeemedTicket)
        else failed(faultOfProblem(body) ?? shellFaults.controlUnavailable('Control gave no answer that makes sense.'))
      })
    })
    request.on('timeout', () => request.destroy(new Error('no answer from control for 10 s')))
    request.on('error', (cause) => failed(shellFaults.controlUnavailable('The platform is starting again.', { cause })))
    request.end(JSON.stringify({ ticket }))
  })
}
