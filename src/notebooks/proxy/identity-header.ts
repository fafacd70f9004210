/** The one header a session's server believes; the other half is jupyter/cygnet_jupyter.py. */
import { createHmac } from 'node:crypto'

export const identityHeader = 'x-cygnet-identity'
const lifetimeSeconds = 60

export function signIdentity(
  person: { id: string; name: string },
  route: { sessionId: string; key: string },
  nowMs: number,
): string {
  const claims = {
    sub: person.id,
    name: person.name,
    server: route.sessionId,
    exp: Math.floor(nowMs / 1000) + lifetimeSeconds,
  }
  const body = Buffer.from(JSON.stringify(claims)).toString('base64url')
  const signature = createHmac('sha256', Buffer.from(route.key, 'base64url')).update(body).digest('hex')
  return `${body}.${signature}`
}
