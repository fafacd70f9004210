/** Binds the contract to the functions of this room, and the OpenID provider to `/oidc`. */
import type { FastifyInstance } from 'fastify'
import { bindRoutes, type Gate, type Handlers } from '../foundation/http.ts'
import {
  listAccessKeys,
  listClients,
  registerClient,
  revokeAccessKey,
  revokeClient,
  createAccessKey,
} from './access-keys.ts'
import {
  keyOwnerOf,
  mayManageKey,
  requireAdminProof,
  requireBrowser,
  requireGrantable,
  requirePersonInBrowser,
  requireWholePerson,
} from './authority.ts'
import { redeemContentTicket } from './content-ticket.ts'
import { identityContract } from './contract.ts'
import { rightsOf } from './decide.ts'
import { addressOf, credentialOf, originOf, refuseOtherOrigin, sessionCookie, subjectOfCaller } from './gate.ts'
import type { Oidc } from './oidc.ts'
import { createPerson, endEverySignIn, listPeople, requireSubject, setRole, showPerson } from './people.ts'
import { createRateLimit, createSecretLimit } from './rate-limit.ts'
import type { Room } from './room.ts'
import { createSignInLink, endBrowserSession, listBrowserSessions } from './sign-in.ts'
import type { Signer } from './signer.ts'
import type { IdentitySnapshot } from './snapshot.ts'
import { createTokenDesk } from './token-desk.ts'
import { groupHandlers } from './groups/routes.ts'
import { attemptCookie, federationHandlers, mountUpstreamLogout } from './federation/routes.ts'
import type { Federation } from './federation/federation.ts'
import { offerUpstreamLogout } from './federation/logout.ts'
import { landingPath } from './federation/contract.ts'
import { factorHandlers } from './factors/routes.ts'
import { invitationHandlers } from './invitations/routes.ts'
import { reinstatePerson, suspendPerson } from './invitations/suspension.ts'
import { mountExperimentIssuers } from './tokens/experiment-issuer.ts'
import { tokenHandlers } from './tokens/routes.ts'
import { auditingHandlers } from './auditing/routes.ts'
import { decisionHandlers } from './decisions/routes.ts'
import type { Auditing } from './auditing/open-auditing.ts'

export interface RouteParts {
  room: Room
  gate: Gate
  oidc: Oidc
  signer: Signer
  snapshot: () => IdentitySnapshot
  auditing: Auditing
  federation: Federation
}

export function registerRoutes(app: FastifyInstance, parts: RouteParts): void {
  bindRoutes(app, identityContract, handlersOf(parts), parts.gate)
  mountOidc(app, parts)
  mountExperimentIssuers(app, parts)
  mountUpstreamLogout(app, parts)
}

function handlersOf(parts: RouteParts): Handlers<(typeof identityContract)['routes']> {
  const { room, oidc, signer, snapshot } = parts
  const { clock, publicUrl, kysely } = room
  const secrets = createSecretLimit(clock)
  const userCodes = createRateLimit({ clock, burst: 5, perMinute: 1 })
  // All tickets come through the gateways, from one address.
  const tickets = createRateLimit({ clock, burst: 1000, perMinute: 6000 })
  const desk = createTokenDesk({ room, oidc, signer, snapshot })

  /** User codes are short: only so many tries a browser session, right ones free. */
  async function withUserCode<Result>(sessionId: string, work: () => Promise<Result>): Promise<Result> {
    userCodes.take(sessionId)
    const result = await work()
    userCodes.giveBack(sessionId)
    return result
  }

  return {
    ...groupHandlers(parts),
    ...federationHandlers(parts),
    ...factorHandlers(parts),
    ...invitationHandlers(parts),
    ...tokenHandlers(parts),
    ...auditingHandlers(parts),
    ...decisionHandlers(parts),
    async me(_request, { caller }) {
      const subject = subjectOfCaller(caller)
      const credential = credentialOf(caller)
      const places = [...new Set(subject.roles.map((grant) => grant.experiment))]
      return {
        id: subject.id,
        kind: subject.kind === 'anonymous' ? 'person' : subject.kind,
        name: subject.name,
        displayName: snapshot().subjects[subject.id]?.displayName ?? subject.name,
        siteAdmin: subject.siteAdmin,
        roles: subject.roles,
        ...(subject.limits === undefined ? {} : { limits: subject.limits }),
        rights: Object.fromEntries([
          ['site', rightsOf(subject, undefined, clock.nowMs())],
          ...places.map((experiment) => [experiment, rightsOf(subject, experiment, clock.nowMs())] as const),
        ]),
        signedInBy: credential.by === 'access-token' ? 'access-token' : 'browser-session',
        expiresAtMs: credential.by === 'nothing' ? null : credential.expiresAtMs,
        ...(credential.by === 'browser-session' && {
          secondFactor: credential.proof.secondFactor,
          recovering: credential.proof.recovering,
        }),
      }
    },

    async redeemCode({ body }, { request, reply, requestId }) {
      refuseOtherOrigin(request, publicUrl)
      const from = { address: addressOf(request), requestId }
      const { person, session } = await secrets.attempt(
        from.address,
        () => desk.redeem(body.code, { ...from, userAgent: request.headers['user-agent'] ?? '' }),
        () => desk.recordRefusal('one-time code', from),
      )
      reply.header('set-cookie', sessionCookie(publicUrl, session.token, session.expiresAtMs - clock.nowMs()))
      return { name: person.name, expiresAtMs: session.expiresAtMs }
    },

    async signOut(_request, { caller, request, reply }) {
      const credential = requireBrowser(caller)
      const elsewhere = await offerUpstreamLogout(room, credential.sessionId)
      await room.change(async (trx) => {
        await endBrowserSession(trx, credential.sessionId)
        await room.audit(trx, originOf(caller, request), { action: 'sign-out', target: caller.id })
      })
      const cookies = [sessionCookie(publicUrl, '', 0)]
      if (elsewhere === undefined) {
        reply.header('set-cookie', cookies)
        return { signedOut: true }
      }
      reply.header('set-cookie', [...cookies, attemptCookie(publicUrl, elsewhere)])
      return { signedOut: true, next: landingPath }
    },

    async listSessions(_request, { caller }) {
      requireWholePerson(caller)
      const credential = credentialOf(caller)
      const rows = await listBrowserSessions(room, caller.id)
      return {
        items: rows.map((row) => ({
          id: row.id,
          current: credential.by === 'browser-session' && credential.sessionId === row.id,
          createdAtMs: row.created_at_ms,
          lastSeenAtMs: row.last_seen_at_ms,
          expiresAtMs: row.expires_at_ms,
          address: row.address,
          userAgent: row.user_agent,
        })),
      }
    },

    async signOutEverywhere(_request, { caller, request, reply }) {
      requireWholePerson(caller)
      await room.change(async (trx) => {
        await endEverySignIn(room, trx, caller.id, 'signed-out-everywhere')
        await room.audit(trx, originOf(caller, request), { action: 'sign-out-everywhere', target: caller.id })
      })
      reply.header('set-cookie', sessionCookie(publicUrl, '', 0))
      return { signedOut: true }
    },

    async token({ body }, { request, requestId }) {
      const from = { address: addressOf(request), requestId }
      return 'code' in body
        ? await secrets.attempt(
            from.address,
            () => desk.tokenForCode(body.code, from),
            () => desk.recordRefusal('one-time code', from),
          )
        : await secrets.attempt(
            from.address,
            () => desk.tokenForAccessKey(body, from),
            () => desk.recordRefusal('access key', from, body.accessKeyId),
          )
    },

    async listAccessKeys({ query }, { caller }) {
      const owner = await keyOwnerOf(room, caller, query.client)
      return await listAccessKeys(room, { subjectId: owner, limit: query.limit, cursor: query.cursor })
    },

    async createAccessKey({ body }, { caller, request }) {
      const subjectId = await keyOwnerOf(room, caller, body.client)
      const { label, limits, lifetimeMs } = body
      const wanted = { subjectId, label, lifetimeMs, ...(limits === undefined ? {} : { limits }) }
      return await room.change((trx) => createAccessKey(room, trx, wanted, originOf(caller, request)))
    },

    async revokeAccessKey({ params }, { caller, request }) {
      await mayManageKey(room, caller, params.accessKey)
      await room.change((trx) => revokeAccessKey(room, trx, params.accessKey, originOf(caller, request)))
      return { revoked: true }
    },

    listClients: async ({ query }) => await listClients(room, query),

    registerClient: async ({ body }, { caller, request }) =>
      await room.change((trx) => registerClient(room, trx, body, originOf(caller, request))),

    async revokeClient({ params }, { caller, request, require }) {
      const client = await requireSubject(kysely, params.client, 'client')
      require('experiment.admin', client.experiment ?? undefined)
      await room.change((trx) => revokeClient(room, trx, params.client, originOf(caller, request)))
      return { revoked: true }
    },

    async listPeople({ query }, { require }) {
      if (query.experiment === undefined) require('site.admin')
      else require('people.manage', query.experiment)
      return await listPeople(kysely, query)
    },

    async createPerson({ body }, { caller, request }) {
      const origin = originOf(caller, request)
      const { id, link } = await room.change(async (trx) => {
        const created = await createPerson(room, trx, body, origin)
        return { id: created, link: await createSignInLink(room, trx, created, origin) }
      })
      return { person: await showPerson(kysely, id), signInLink: link }
    },

    async createSignInLink({ params }, { caller, request }) {
      await requireSubject(kysely, params.person, 'person')
      return await room.change((trx) => createSignInLink(room, trx, params.person, originOf(caller, request)))
    },

    async setRole({ params, body }, { caller, request }) {
      requireAdminProof(caller)
      await room.change(async (trx) => {
        await requireGrantable(trx, subjectOfCaller(caller), params.person, body)
        await setRole(room, trx, params.person, body.experiment, body.role, originOf(caller, request))
      })
      return await showPerson(kysely, params.person)
    },

    async suspendPerson({ params }, { caller, request }) {
      await room.change((trx) => suspendPerson(room, trx, params.person, originOf(caller, request)))
      return await showPerson(kysely, params.person)
    },

    async reinstatePerson({ params }, { caller, request }) {
      await room.change((trx) => reinstatePerson(room, trx, params.person, originOf(caller, request)))
      return await showPerson(kysely, params.person)
    },

    async showDevice({ params }, { caller }) {
      const { sessionId } = requirePersonInBrowser(caller)
      return await withUserCode(sessionId, () => oidc.showDevice(params.userCode))
    },

    async decideDevice({ params, body }, { caller, request }) {
      const { sessionId } = requirePersonInBrowser(caller)
      const approve = body.decision === 'approve'
      await withUserCode(sessionId, () => oidc.decideDevice(params.userCode, caller.id, approve))
      const action = approve ? 'device-approved' : 'device-denied'
      await room.audit(kysely, originOf(caller, request), { action, target: caller.id })
      return { decision: body.decision }
    },

    async showInteraction({ params }, { caller, request, reply }) {
      requirePersonInBrowser(caller)
      return await oidc.showInteraction(params.interaction, request.raw, reply.raw)
    },

    async decideInteraction({ params, body }, { caller, request, reply }) {
      requirePersonInBrowser(caller)
      const approve = body.decision === 'approve'
      const location = await oidc.decideInteraction(params.interaction, caller.id, approve, request.raw, reply.raw)
      const action = approve ? 'application-approved' : 'application-denied'
      await room.audit(kysely, originOf(caller, request), { action, target: caller.id })
      return { location }
    },

    async redeemContentTicket({ body }, { request }) {
      tickets.take(addressOf(request))
      return await redeemContentTicket(room, body.ticket)
    },
  }
}

/** The provider reads bodies itself and writes to the raw response, so it lives in its own corner of the app. */
function mountOidc(app: FastifyInstance, { room: { clock }, oidc }: RouteParts): void {
  // Machines of one site come from one address, and each device that waits asks twelve times a minute.
  const limit = createRateLimit({ clock, burst: 300, perMinute: 300 })
  void app.register(async (corner) => {
    corner.removeAllContentTypeParsers()
    corner.addContentTypeParser('*', (_request, _payload, done) => done(null))
    corner.all('/oidc/*', async (request, reply) => {
      const address = addressOf(request)
      if (request.method === 'POST') limit.take(address)
      reply.hijack()
      reply.raw.setHeader('x-request-id', request.id)
      await oidc.handle(request.raw, reply.raw, address)
      if (request.method === 'POST' && reply.raw.statusCode < 400) limit.giveBack(address)
    })
  })
}
