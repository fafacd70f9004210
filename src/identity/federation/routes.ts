import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Fault } from '../../foundation/errors.ts'
import type { BytesAnswer, Handlers } from '../../foundation/http.ts'
import { requireAdminProof, requireFresh, requirePersonInBrowser, requireWholePerson } from '../authority.ts'
import { attemptCookieName } from '../cookie-names.ts'
import { identityFaults } from '../errors.ts'
import { ownProofMs } from '../factors/contract.ts'
import { addressOf, originOf, readCookie, requireSameOrigin, sessionCookie } from '../gate.ts'
import { joinTicketOf } from '../invitations/join-ticket.ts'
import { createRateLimit } from '../rate-limit.ts'
import type { Room } from '../room.ts'
import type { RouteParts } from '../routes.ts'
import { attemptLifetimeMs, attemptOf, beginAttempt, endAttempt, settleAttempt, takeAnswer } from './attempts.ts'
import { callbackPath, landingPath, upstreamLogoutPath, type federationRoutes } from './contract.ts'
import {
  addIssuer,
  changeIssuer,
  checkIssuer,
  listIssuers,
  listLoginIssuers,
  noteProblem,
  requireIssuer,
  requireLoginIssuer,
  requireUsable,
  setIssuerState,
  showIssuer,
} from './issuers.ts'
import { land } from './landing.ts'
import { listIdentities, unlinkIdentity } from './linking.ts'
import { acceptUpstreamLogout, leave, logoutTokenOf } from './logout.ts'
import { addRule, listRules, previewRule, removeRule, showRule } from './rules.ts'
import type { LoginIssuer, Upstream } from './upstream.ts'

const longestCallback = 8192

export function federationHandlers({ room, federation }: RouteParts): Handlers<typeof federationRoutes> {
  const { upstream } = federation
  const { clock, kysely, publicUrl } = room
  // A lecture hall signs in from one address; a visit costs us a row, and an answer with nothing behind it a look.
  const starts = createRateLimit({ clock, burst: 300, perMinute: 300 })
  const answers = createRateLimit({ clock, burst: 1000, perMinute: 1000 })
  const cookieName = attemptCookieName(publicUrl)

  return {
    async listInstitutes() {
      const issuers = await listLoginIssuers(kysely)
      return { items: issuers.map(({ id, issuer, label, vouches }) => ({ id, issuer, label, vouches })) }
    },

    async startInstituteLogin({ body }, { caller, request, reply }) {
      requireSameOrigin(request, publicUrl)
      starts.take(addressOf(request))
      const { purpose } = body
      const session = purpose === 'link' ? requirePersonInBrowser(caller) : undefined
      if (purpose === 'link') requireFresh(caller, { withinMs: ownProofMs })
      const issuer = await requireLoginIssuer(kysely, body.institute)
      const again = body.again || purpose === 'link'
      const { visit, location } = await noting(room, issuer, () => upstream.beginVisit(issuer, { again }))
      const cookie = await beginAttempt(room, {
        issuerId: issuer.id,
        purpose,
        next: body.next,
        visit,
        personId: session && caller.id,
        sessionId: session?.sessionId,
      })
      reply.header('set-cookie', attemptCookie(publicUrl, cookie))
      return { location }
    },

    async instituteCallback(_request, { request }) {
      answers.take(addressOf(request))
      await takeCallback(room, upstream, request, cookieName)
      return onward()
    },

    async continueInstituteLogin({ body }, { caller, request, reply, requestId }) {
      requireSameOrigin(request, publicUrl)
      answers.take(addressOf(request))
      const attempt = await attemptOf(room, readCookie(request.headers.cookie, cookieName))
      const { failure } = attempt.content
      if (attempt.stage === 'failed') {
        await endAttempt(room, attempt)
        throw failureOf(failure)
      }
      if (attempt.purpose === 'leave') {
        reply.header('set-cookie', attemptCookie(publicUrl, ''))
        return await leave(room, upstream, attempt)
      }
      const { landing, session, over } = await land(room, attempt, body, {
        caller,
        address: addressOf(request),
        requestId,
        userAgent: request.headers['user-agent'] ?? '',
        joinTicket: joinTicketOf(request, publicUrl),
      })
      const cookies = [
        ...(over ? [attemptCookie(publicUrl, '')] : []),
        ...(session === undefined
          ? []
          : [sessionCookie(publicUrl, session.token, session.expiresAtMs - clock.nowMs())]),
      ]
      if (cookies.length > 0) reply.header('set-cookie', cookies)
      return landing
    },

    async listIdentities(_request, { caller }) {
      requireWholePerson(caller)
      return { items: await listIdentities(kysely, caller.id) }
    },

    async unlinkIdentity({ params }, { caller, request }) {
      const { sessionId } = requirePersonInBrowser(caller)
      requireFresh(caller, { withinMs: ownProofMs })
      const what = { personId: caller.id, identityId: params.identity, sessionId }
      await room.change((trx) => unlinkIdentity(room, trx, what, originOf(caller, request)))
      return { unlinked: true }
    },

    async listIssuers() {
      const items = await listIssuers(kysely)
      return { items, redirectUri: `${publicUrl}${callbackPath}`, logoutUri: `${publicUrl}${upstreamLogoutPath}` }
    },

    checkIssuer: async ({ body }) => await checkIssuer(publicUrl, body),

    async addIssuer({ body }, { caller, request }) {
      requireAdminProof(caller)
      await requireUsable(body.issuer, body.scopes, body.clientId !== null)
      const id = await room.change((trx) => addIssuer(room, trx, body, originOf(caller, request)))
      if (body.trust !== null) await federation.refreshTrust()
      return await showIssuer(kysely, await requireIssuer(kysely, id))
    },

    async changeIssuer({ params, body }, { caller, request }) {
      requireAdminProof(caller)
      await room.change((trx) => changeIssuer(room, trx, params.issuer, body, originOf(caller, request)))
      const row = await requireIssuer(kysely, params.issuer)
      upstream.forget(row.issuer)
      if (body.trust !== undefined) await federation.refreshTrust()
      return await showIssuer(kysely, row)
    },

    async setIssuerState({ params, body }, { caller, request }) {
      requireAdminProof(caller)
      await room.change((trx) => setIssuerState(room, trx, params.issuer, body.state, originOf(caller, request)))
      const row = await requireIssuer(kysely, params.issuer)
      upstream.forget(row.issuer)
      if (row.trust !== null && row.state === 'enabled') await federation.refreshTrust()
      return await showIssuer(kysely, row)
    },

    listImportRules: async () => ({ items: await listRules(kysely) }),

    async addImportRule({ body }, { caller, request }) {
      requireAdminProof(caller)
      const row = await room.change((trx) => addRule(room, trx, body, originOf(caller, request)))
      return await showRule(kysely, row)
    },

    previewImportRule: async ({ body }) => await previewRule(room, body),

    async removeImportRule({ params }, { caller, request }) {
      requireAdminProof(caller)
      const ended = await room.change((trx) => removeRule(room, trx, params.rule, originOf(caller, request)))
      return { removed: true, ended }
    },
  }
}

/**
 * The answer of an institute. Whatever it is, the browser goes on to our own page; there it is told, by the cookie that only
 * it has, what became of it. Somebody else's answer changes nothing.
 */
async function takeCallback(
  room: Room,
  upstream: Upstream,
  request: FastifyRequest,
  cookieName: string,
): Promise<void> {
  const query = request.url.split('?').slice(1).join('?')
  const cookie = readCookie(request.headers.cookie, cookieName)
  const states = new URLSearchParams(query).getAll('state')
  if (query.length > longestCallback || cookie === undefined || states.length !== 1) return
  const attempt = await takeAnswer(room, states[0]!, cookie)
  if (attempt?.content.visit === undefined) return
  try {
    const issuer = await requireLoginIssuer(room.kysely, attempt.issuer_id)
    const callback = new URL(`${room.publicUrl}${callbackPath}?${query}`)
    const beganAtMs = attempt.purpose === 'link' ? attempt.created_at_ms : undefined
    const { visit } = attempt.content
    const arrival = await noting(room, issuer, () => upstream.endVisit(issuer, visit, callback, beganAtMs))
    await settleAttempt(room, attempt, { arrival })
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    const reason = error.cause instanceof Error ? error.cause.message.slice(0, 300) : error.message
    room.log.warn({ issuer: attempt.issuer_id, reason }, 'a sign-in at an institute was refused')
    const { code, message, hint } = error
    await settleAttempt(room, attempt, { failure: { code, message, hint } })
    await room.audit(room.kysely, anonymousOrigin(request), {
      action: 'sign-in-refused',
      target: attempt.issuer_id,
      decision: 'deny',
      detail: { method: 'institute', code },
    })
  }
}

function anonymousOrigin(request: FastifyRequest) {
  const actor = { id: 'anonymous', kind: 'anonymous', name: 'anonymous' }
  return { actor, address: addressOf(request), requestId: request.id }
}

/** A redirect to one fixed page of ours. */
function onward(): BytesAnswer {
  const headers = { location: landingPath, 'cache-control': 'no-store', 'referrer-policy': 'no-referrer' }
  return { status: 303, contentType: 'text/plain; charset=utf-8', headers, body: Buffer.from(`See ${landingPath}\n`) }
}

/** Lax, because the browser brings it back from another site; it opens nothing by itself. */
export function attemptCookie(publicUrl: string, value: string): string {
  const secure = publicUrl.startsWith('https:') ? '; Secure' : ''
  const maxAge = value === '' ? 0 : Math.floor(attemptLifetimeMs / 1000)
  return `${attemptCookieName(publicUrl)}=${value}; Path=/; Max-Age=${maxAge}; HttpOnly; SameSite=Lax${secure}`
}

function failureOf(failure: { code: string; message: string; hint: string | undefined } | undefined): Error {
  const hint = failure?.hint ?? 'Start again on the sign-in page.'
  const make =
    failure?.code === 'identity.institute_unreachable'
      ? identityFaults.instituteUnreachable
      : failure?.code === 'identity.institute_said_no'
        ? identityFaults.instituteSaidNo
        : failure?.code === 'identity.institute_disabled'
          ? identityFaults.instituteDisabled
          : identityFaults.instituteRefused
  return make(failure?.message ?? 'The sign-in at the institute did not work.', { hint })
}

/** The site admin sees on his page whether the institute could be reached. */
async function noting<Result>(room: Room, issuer: LoginIssuer, work: () => Promise<Result>): Promise<Result> {
  try {
    const result = await work()
    await noteProblem(room.kysely, issuer, null)
    return result
  } catch (error) {
    if (error instanceof Fault && error.code === 'identity.institute_unreachable')
      await noteProblem(room.kysely, issuer, error.message)
    throw error
  }
}

/** Institutes send a form; it lives in a corner of its own, because nothing else here takes one. */
export function mountUpstreamLogout(app: FastifyInstance, { room, federation }: RouteParts): void {
  const limit = createRateLimit({ clock: room.clock, burst: 60, perMinute: 60 })
  void app.register(async (corner) => {
    corner.removeAllContentTypeParsers()
    corner.addContentTypeParser(
      'application/x-www-form-urlencoded',
      { parseAs: 'string', bodyLimit: 64 * 1024 },
      (_request, body, done) => done(null, body),
    )
    corner.post(upstreamLogoutPath, async (request, reply) => {
      reply.header('cache-control', 'no-store')
      limit.take(addressOf(request))
      try {
        const from = { address: addressOf(request), requestId: request.id }
        await acceptUpstreamLogout(room, federation.upstream, logoutTokenOf(String(request.body ?? '')), from)
        return await reply.code(200).send()
      } catch (error) {
        if (!(error instanceof Fault)) throw error
        const reason = error.cause instanceof Error ? error.cause.message : error.message
        room.log.warn({ reason }, 'a logout token was refused')
        const unreachable = error.code === 'identity.institute_unreachable'
        return await reply
          .code(unreachable ? 502 : 400)
          .send({ error: unreachable ? 'temporarily_unavailable' : 'invalid_request' })
      }
    })
  })
}
