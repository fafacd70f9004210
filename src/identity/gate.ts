/** Who asks, and may they: browser cookie, Bearer access token, or nobody. */
import type { FastifyRequest } from 'fastify'
import type { Action } from '../foundation/contract.ts'
import type { Caller, Gate } from '../foundation/http.ts'
import { verifyAccessTokenWith } from './access-token.ts'
import type { Origin } from './audit.ts'
import { sessionCookieName } from './cookie-names.ts'
import { decide, type Resource } from './decide.ts'
import { identityFaults } from './errors.ts'
import type { Room } from './room.ts'
import { findBrowserSession } from './sign-in.ts'
import type { PublishedState } from './published-state.ts'
import { activeSubject, subjectOf } from './snapshot.ts'
import { anonymousSubject, type Subject } from './subject.ts'

/** How the caller proved who he is. */
export type Credential =
  | { by: 'nothing' }
  | { by: 'browser-session'; sessionId: string; expiresAtMs: number }
  | { by: 'access-token'; tokenId: string; clientId: string; expiresAtMs: number }

export interface IdentityCaller extends Caller {
  subject: Subject
  credential: Credential
}

const anonymousCaller: IdentityCaller = {
  id: anonymousSubject.id,
  kind: 'anonymous',
  name: anonymousSubject.name,
  subject: anonymousSubject,
  credential: { by: 'nothing' },
}

const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS'])

export function createGate(room: Room, { snapshot, settled }: Pick<PublishedState, 'snapshot' | 'settled'>): Gate {
  return {
    async authenticate(request): Promise<IdentityCaller> {
      await settled()
      const { authorization } = request.headers
      // A bad token is refused, never replaced by the cookie beside it.
      if (authorization !== undefined) return await callerOfToken(authorization)
      return await callerOfCookie(request)
    },
    require(caller, action, experiment, about) {
      const subject = subjectOfCaller(caller)
      if (subject.kind === 'anonymous')
        throw identityFaults.signInNeeded('This needs a signed-in person.', { hint: 'Sign in first.' })
      const { allow, reason } = decide(subject, action as Action, { ...(about as Resource | undefined), experiment })
      if (!allow) throw notAllowed(action, experiment, reason)
    },
  }

  async function callerOfToken(authorization: string): Promise<IdentityCaller> {
    const token = /^Bearer ([A-Za-z0-9_.-]+)$/i.exec(authorization)?.[1]
    if (token === undefined) throw identityFaults.invalidToken('The Authorization header carries no access token.')
    const verified = await verifyAccessTokenWith(snapshot(), token, room.clock.nowMs()).catch((error: Error) => {
      room.log.info({ reason: (error.cause as Error | undefined)?.message }, 'an access token was refused')
      throw error
    })
    const { subject, tokenId, clientId, expiresAtMs } = verified
    return callerOf(subject, { by: 'access-token', tokenId, clientId, expiresAtMs })
  }

  async function callerOfCookie(request: FastifyRequest): Promise<IdentityCaller> {
    const token = readCookie(request.headers.cookie, sessionCookieName(room.publicUrl))
    if (token === undefined) return anonymousCaller
    const session = await findBrowserSession(room, token)
    const person = session && activeSubject(snapshot(), session.person_id)
    if (!session || !person) return anonymousCaller
    if (!safeMethods.has(request.method)) requireSameOrigin(request, room.publicUrl)
    const credential = { by: 'browser-session', sessionId: session.id, expiresAtMs: session.expires_at_ms } as const
    return callerOf(subjectOf(person), credential)
  }
}

export function notAllowed(action: string, experiment: string | undefined, reason: string): Error {
  const where = experiment === undefined ? '' : ` in ${experiment}`
  return identityFaults.notAllowed(`You may not ${action}${where}.`, {
    hint: `${reason[0]!.toUpperCase()}${reason.slice(1)}. Ask a manager of the experiment.`,
  })
}

function callerOf(subject: Subject, credential: Credential): IdentityCaller {
  return { id: subject.id, kind: subject.kind, name: subject.name, subject, credential }
}

/** The subject of a caller of this gate; foundation's anonymous caller has none. */
export function subjectOfCaller(caller: Caller): Subject {
  return (caller.subject as Subject | undefined) ?? anonymousSubject
}

export function credentialOf(caller: Caller): Credential {
  return (caller as Partial<IdentityCaller>).credential ?? { by: 'nothing' }
}

export function sessionCookie(publicUrl: string, token: string, lifetimeMs: number): string {
  const secure = publicUrl.startsWith('https:') ? '; Secure' : ''
  const maxAge = Math.max(0, Math.floor(lifetimeMs / 1000))
  return `${sessionCookieName(publicUrl)}=${token}; Path=/; Max-Age=${maxAge}; HttpOnly; SameSite=Strict${secure}`
}

/** The cookie of that name. Two of them (one planted by a neighbour) count as none. */
export function readCookie(header: string | undefined, name: string): string | undefined {
  const found = (header ?? '')
    .split(';')
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(`${name}=`))
    .map((pair) => pair.slice(name.length + 1))
  return found.length === 1 && /^[A-Za-z0-9_-]{1,200}$/.test(found[0]!) ? found[0] : undefined
}

/**
 * A change by cookie must come from our own pages. The browser says so in `Sec-Fetch-Site`, which no page can forge; older
 * ones in `Origin`. Neither header: refused.
 */
export function requireSameOrigin(request: FastifyRequest, publicUrl: string): void {
  if (saysSameOrigin(request, publicUrl) === true) return
  throw identityFaults.crossOrigin('This request did not come from a page of this platform.', {
    hint: 'Open the platform itself; programs use an access token instead of a cookie.',
  })
}

/** For requests without credentials that set a cookie: another site must not sign somebody in as somebody else. */
export function refuseOtherOrigin(request: FastifyRequest, publicUrl: string): void {
  if (saysSameOrigin(request, publicUrl) === false) requireSameOrigin(request, publicUrl)
}

/** `undefined` if the request says nothing about where it comes from. */
function saysSameOrigin(request: FastifyRequest, publicUrl: string): boolean | undefined {
  const { origin, 'sec-fetch-site': site } = request.headers
  if (site !== undefined)
    return site === 'same-origin' && (origin === undefined || origin === new URL(publicUrl).origin)
  return origin === undefined ? undefined : origin === new URL(publicUrl).origin
}

/**
 * Where a request comes from. Behind the UNIX socket only our gateways can connect, and they say it; on a TCP socket
 * nobody's header is believed.
 */
export function addressOf(request: FastifyRequest): string {
  const direct = request.raw.socket.remoteAddress
  if (direct !== undefined && direct !== '') return direct
  const forwarded = request.headers['x-forwarded-for']
  const last = (Array.isArray(forwarded) ? forwarded.at(-1) : forwarded)?.split(',').at(-1)?.trim()
  return last === undefined || last === '' ? 'local' : last
}

export function originOf(caller: Caller, request: FastifyRequest): Origin {
  const subject = subjectOfCaller(caller)
  const name = subject.actorId === undefined ? subject.name : `${subject.name} (${subject.kind} ${subject.actorId})`
  return { actor: { id: subject.id, kind: subject.kind, name }, address: addressOf(request), requestId: request.id }
}
