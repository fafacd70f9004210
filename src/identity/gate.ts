/** Who asks, and may they: browser cookie, Bearer access token, or nobody. */
import type { FastifyRequest } from 'fastify'
import type { Action } from '../foundation/contract.ts'
import type { Caller, Gate } from '../foundation/http.ts'
import type { Origin } from './audit.ts'
import { sessionCookieName } from './cookie-names.ts'
import { decide, type Resource } from './decide.ts'
import { identityFaults } from './errors.ts'
import { adminProofMs } from './factors/contract.ts'
import { lentProof, proofOf, requireProof, type Proof } from './factors/proof.ts'
import type { Room } from './room.ts'
import { findBrowserSession, isBrowserSessionOpen } from './sign-in.ts'
import type { PublishedState } from './published-state.ts'
import { activeSubject, subjectOf, withOwnerGroups } from './snapshot.ts'
import { anonymousSubject, type Subject } from './subject.ts'
import { verifyBearer } from './tokens/bearer.ts'

/** How the caller proved who he is. */
export type Credential =
  | { by: 'nothing' }
  | { by: 'browser-session'; sessionId: string; expiresAtMs: number; proof: Proof }
  | { by: 'access-token'; tokenId: string; clientId: string; expiresAtMs: number; proof?: Proof }

export interface IdentityCaller extends Caller {
  subject: Subject
  credential: Credential
  /** The request may change something. */
  changing: boolean
}

const anonymousCaller: IdentityCaller = {
  id: anonymousSubject.id,
  kind: 'anonymous',
  name: anonymousSubject.name,
  subject: anonymousSubject,
  credential: { by: 'nothing' },
  changing: false,
}

const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS'])

export function createGate(
  room: Room,
  { snapshot, settled, onPublished }: Pick<PublishedState, 'snapshot' | 'settled' | 'onPublished'>,
): Gate {
  return {
    async authenticate(request): Promise<IdentityCaller> {
      await settled()
      const { authorization } = request.headers
      // A bad token is refused, never replaced by the cookie beside it.
      if (authorization !== undefined) return await callerOfToken(authorization, request.method)
      return await callerOfCookie(request)
    },
    require(caller, action, experiment, about) {
      const subject = subjectOfCaller(caller)
      if (subject.kind === 'anonymous')
        throw identityFaults.signInNeeded('This needs a signed-in person.', { hint: 'Sign in first.' })
      const resource = withOwnerGroups(snapshot(), { ...(about as Resource | undefined), experiment })
      const { allow, reason } = decide(subject, action as Action, resource, room.clock.nowMs())
      if (!allow) throw notAllowed(action, experiment, reason)
      // Here for every route of every room at once: none can forget it.
      if (action === 'site.admin' && (caller as Partial<IdentityCaller>).changing === true)
        requireProof(credentialOf(caller), { withinMs: adminProofMs, twoFactors: true })
    },
    still,
    onChange: onPublished,
  }

  async function still(request: FastifyRequest, caller: Caller): Promise<Caller> {
    const gone = identityFaults.signInNeeded('You are no longer signed in.', { hint: 'Sign in again.' })
    const credential = credentialOf(caller)
    const before = subjectOfCaller(caller)
    const found = activeSubject(snapshot(), caller.id)
    if (found === undefined) throw gone
    const { roles, standing, siteAdmin, epoch } = subjectOf(found)
    const now: Subject = { ...before, roles, siteAdmin: before.siteAdmin && siteAdmin, ...(standing && { standing }) }
    if (credential.by === 'browser-session') {
      if (!(await isBrowserSessionOpen(room, credential.sessionId))) throw gone
    } else if (credential.by === 'access-token') {
      // One that has only run out is the caller's to renew when he asks for something new.
      if (epoch !== before.epoch) throw gone
      if (credential.expiresAtMs > room.clock.nowMs())
        return callerOf(subjectOfCaller(await callerOfToken(request.headers.authorization ?? '', 'GET')), credential)
    }
    return callerOf(now, credential)
  }

  async function callerOfToken(authorization: string, method: string): Promise<IdentityCaller> {
    const token = /^Bearer ([A-Za-z0-9_.-]+)$/i.exec(authorization)?.[1]
    if (token === undefined) throw identityFaults.invalidToken('The Authorization header carries no access token.')
    const verified = await verifyBearer(room, snapshot(), token).catch((error: Error) => {
      room.log.info({ reason: (error.cause as Error | undefined)?.message }, 'an access token was refused')
      throw error
    })
    const { subject, tokenId, clientId, expiresAtMs } = verified
    const credential = { by: 'access-token', tokenId, clientId, expiresAtMs } as const
    // What a person has just proved in the browser, he may lend to his command line; never to anything narrower.
    if (safeMethods.has(method) || subject.kind !== 'person' || subject.limits !== undefined)
      return callerOf(subject, credential, !safeMethods.has(method))
    return callerOf(subject, { ...credential, proof: await lentProof(room, subject.id) }, true)
  }

  async function callerOfCookie(request: FastifyRequest): Promise<IdentityCaller> {
    const token = readCookie(request.headers.cookie, sessionCookieName(room.publicUrl))
    if (token === undefined) return anonymousCaller
    const session = await findBrowserSession(room, token)
    const person = session && activeSubject(snapshot(), session.person_id)
    if (!session || !person) return anonymousCaller
    if (!safeMethods.has(request.method)) requireSameOrigin(request, room.publicUrl)
    const credential = {
      by: 'browser-session',
      sessionId: session.id,
      expiresAtMs: session.expires_at_ms,
      proof: await proofOf(room, session),
    } as const
    const subject = subjectOf(person)
    const narrowed = session.method === 'recovery' ? { ...subject, limits: { actions: [] } } : subject
    return callerOf(narrowed, credential, !safeMethods.has(request.method))
  }
}

export function notAllowed(action: string, experiment: string | undefined, reason: string): Error {
  const where = experiment === undefined ? '' : ` in ${experiment}`
  return identityFaults.notAllowed(`You may not ${action}${where}.`, {
    hint: `${reason[0]!.toUpperCase()}${reason.slice(1)}. Ask a manager of the experiment.`,
  })
}

function callerOf(subject: Subject, credential: Credential, changing = false): IdentityCaller {
  return { id: subject.id, kind: subject.kind, name: subject.name, subject, credential, changing }
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

function credentialWords(caller: Caller): string {
  const credential = credentialOf(caller)
  if (credential.by === 'nothing') return ''
  return credential.by === 'browser-session'
    ? `browser session ${credential.sessionId}`
    : `token ${credential.tokenId} of ${credential.clientId}`
}

export function originOf(caller: Caller, request: FastifyRequest): Origin {
  const subject = subjectOfCaller(caller)
  const name = subject.actorId === undefined ? subject.name : `${subject.name} (${subject.kind} ${subject.actorId})`
  const actor = { id: subject.id, kind: subject.kind, name }
  return { actor, credential: credentialWords(caller), address: addressOf(request), requestId: request.id }
}
