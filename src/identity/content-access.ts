/**
 * Entry to the content origin, where people's own code answers. The browser brings a single-use ticket there, the gateway
 * redeems it through the control and sets a cookie that opens one session for one person. Pure; keys come from the snapshot.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { activeSubject, type IdentitySnapshot } from './snapshot.ts'

export const contentCookieLifetimeMs = 12 * 3_600_000

export interface ContentAccess {
  personId: string
  /** Epoch of the person when the ticket was redeemed. */
  epoch: number
  /** The notebook session, not the browser's. */
  sessionId: string
  expiresAtMs: number
  /** The browser session that it was opened from: it ends with a sign-out there. */
  windowId?: string | undefined
}

/** Value of the cookie: safe in a Set-Cookie header, worthless for any other session, person or installation. */
export function signContentCookie(snapshot: IdentitySnapshot, access: ContentAccess): string {
  const { personId, epoch, sessionId, expiresAtMs, windowId } = access
  const said = [personId, epoch, sessionId, expiresAtMs, ...(windowId === undefined ? [] : [windowId])]
  const body = Buffer.from(JSON.stringify(said)).toString('base64url')
  return `${body}.${macOf(snapshot, body).toString('base64url')}`
}

/** What a cookie opens, if it is genuine, not over, and its person is still active in the same epoch. */
export function verifyContentCookie(
  snapshot: IdentitySnapshot,
  cookie: string,
  { sessionId, nowMs = Date.now() }: { sessionId: string; nowMs?: number },
): ContentAccess | undefined {
  const [body, mac, ...rest] = cookie.length > 1000 ? [] : cookie.split('.')
  if (body === undefined || mac === undefined || rest.length > 0) return undefined
  const expected = macOf(snapshot, body)
  const given = Buffer.from(mac, 'base64url')
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined
  const [personId, epoch, forSession, expiresAtMs, windowId] = JSON.parse(
    Buffer.from(body, 'base64url').toString(),
  ) as [string, number, string, number, string?]
  const person = activeSubject(snapshot, personId)
  if (person === undefined || person.epoch !== epoch) return undefined
  if (forSession !== sessionId || expiresAtMs <= nowMs) return undefined
  if (windowId !== undefined && snapshot.endedWindows?.includes(windowId)) return undefined
  return { personId, epoch, sessionId, expiresAtMs, ...(windowId !== undefined && { windowId }) }
}

function macOf(snapshot: IdentitySnapshot, body: string): Buffer {
  const key = Buffer.from(snapshot.contentCookieKey, 'base64url')
  return createHmac('sha256', key).update(`content-cookie.${snapshot.issuer}.${body}`).digest()
}
