/** Binds the contract of this area to its functions: who may, what the browser keeps, what is limited in rate. */
import type { Handlers } from '../../foundation/http.ts'
import { requireFresh, requirePersonInBrowser, requireWholePerson } from '../authority.ts'
import { decide } from '../decide.ts'
import { identityFaults } from '../errors.ts'
import { adminProofMs } from '../factors/contract.ts'
import { isOfExperiment } from '../groups/authority.ts'
import { addressOf, notAllowed, originOf, refuseOtherOrigin, subjectOfCaller } from '../gate.ts'
import { requireSubject } from '../subject-rows.ts'
import { createRateLimit, createSecretLimit } from '../rate-limit.ts'
import type { RouteParts } from '../routes.ts'
import { listGuests, renewGuest, requireGuest, setContact, showContact, showGuest } from './accounts.ts'
import type { invitationRoutes } from './contract.ts'
import {
  approveRequest,
  confirmRequest,
  listRequests,
  rejectRequest,
  requestExperiment,
  showRequest,
} from './experiment-requests.ts'
import {
  createInvitation,
  listInvitations,
  renewInvitation,
  requireClass,
  requireInvitation,
  revokeInvitation,
  showInvitation,
  showNewInvitation,
} from './invite.ts'
import { decideJoin, requireConfirmation } from './join.ts'
import { joinHandlers } from './join-routes.ts'
import { beginGrace } from './lifecycle.ts'
import { archivePerson, erasePerson } from './off-boarding.ts'
import { listMail, mailOf, retryMail } from './outbox.ts'
import { acceptedVersion, acceptTerms, currentTerms, publishTerms } from './terms.ts'

export function invitationHandlers(parts: RouteParts): Handlers<typeof invitationRoutes> {
  const { room } = parts
  const { clock, kysely, publicUrl } = room
  const requests = createRateLimit({ clock, burst: 5, perMinute: 0.1 })
  const requestsByAll = createRateLimit({ clock, burst: 50, perMinute: 2 })
  const confirmations = createSecretLimit(clock)

  return {
    ...joinHandlers(parts),

    async createInvitation({ body }, { caller, request }) {
      requireWholePerson(caller)
      const origin = originOf(caller, request)
      const made = await room.change((trx) => createInvitation(room, trx, body, subjectOfCaller(caller), origin))
      return await showNewInvitation(room, made)
    },

    async createClassLink({ body }, { caller, request, require }) {
      requireWholePerson(caller)
      require('people.manage', body.experiment, { group: body.group })
      const origin = originOf(caller, request)
      const made = await room.change((trx) => createInvitation(room, trx, body, subjectOfCaller(caller), origin))
      return await showNewInvitation(room, made)
    },

    async listInvitations({ query }, { caller }) {
      requireWholePerson(caller)
      const subject = subjectOfCaller(caller)
      if (!isOfExperiment(subject, query.experiment, clock.nowMs()))
        throw notAllowed('people.manage', query.experiment, 'you are not in this experiment')
      return await listInvitations(room, subject, query)
    },

    async revokeInvitation({ params }, { caller, request }) {
      requireWholePerson(caller)
      const subject = subjectOfCaller(caller)
      await room.change(async (trx) => {
        const row = await requireInvitation(room, trx, params.invitation, subject)
        await revokeInvitation(room, trx, row, originOf(caller, request))
      })
      return await showInvitation(room, await requireInvitation(room, kysely, params.invitation, subject))
    },

    async renewInvitation({ params, body }, { caller, request }) {
      requireWholePerson(caller)
      const subject = subjectOfCaller(caller)
      const { url } = await room.change(async (trx) => {
        const row = await requireInvitation(room, trx, params.invitation, subject)
        return await renewInvitation(room, trx, row, body.lifetimeMs, subject, originOf(caller, request))
      })
      return await showNewInvitation(room, { id: params.invitation, url })
    },

    async showClass({ params }, { require }) {
      const row = await requireClass(room, kysely, params.invitation)
      require('people.manage', row.experiment, { group: row.group_path })
      return { invitation: await showInvitation(room, row), people: await listGuests(room, { invitation: row.id }) }
    },

    async endClass({ params }, { caller, request, require }) {
      requireWholePerson(caller)
      const row = await requireClass(room, kysely, params.invitation)
      require('people.manage', row.experiment, { group: row.group_path })
      const people = (await listGuests(room, { invitation: row.id })).filter(({ state }) => state === 'active')
      const origin = originOf(caller, request)
      await room.change(async (trx) => {
        const now = await requireClass(room, trx, params.invitation)
        if (now.state === 'open') await revokeInvitation(room, trx, now, origin)
        for (const { id } of people) await beginGrace(room, trx, id, origin)
        const detail = { ended: people.length }
        const event = { action: 'class-ended', target: row.id, experiment: row.experiment, detail } as const
        await room.audit(trx, origin, event)
      })
      return { ended: people.length }
    },

    async decideJoin({ params, body }, { caller, request }) {
      requireWholePerson(caller)
      const subject = subjectOfCaller(caller)
      const confirmation = await requireConfirmation(kysely, params.confirmation)
      const invitation = await requireInvitation(room, kysely, confirmation.invitation_id, subject)
      const origin = originOf(caller, request)
      await room.change((trx) => decideJoin(room, trx, confirmation, invitation, body, origin))
      return await showInvitation(room, await requireInvitation(room, kysely, invitation.id, subject))
    },

    async showTerms({ query }, { caller }) {
      const terms = await currentTerms(kysely, query.language)
      const version = caller.kind === 'person' ? await acceptedVersion(kysely, caller.id) : null
      return {
        ...terms,
        acceptedVersion: version,
        due: subjectOfCaller(caller).standing === 'terms-due',
      }
    },

    async acceptTerms({ body }, { caller, request }) {
      requireWholePerson(caller)
      await room.change((trx) => acceptTerms(room, trx, caller.id, body.version, originOf(caller, request)))
      return { version: body.version }
    },

    async publishTerms({ body }, { caller, request }) {
      requireFresh(caller, { withinMs: adminProofMs, twoFactors: true })
      return await room.change((trx) => publishTerms(room, trx, body.text, originOf(caller, request)))
    },

    async listGuests({ query }, { caller }) {
      requireWholePerson(caller)
      const { experiment } = query
      if (experiment === undefined) return { items: await listGuests(room, { sponsor: caller.id }) }
      const subject = subjectOfCaller(caller)
      if (!isOfExperiment(subject, experiment, clock.nowMs()))
        throw notAllowed('people.manage', experiment, 'you are not in this experiment')
      const manages = (group?: string) => decide(subject, 'people.manage', { experiment, group }, clock.nowMs()).allow
      const items = await listGuests(room, { experiment })
      return { items: items.filter(({ groups }) => manages() || groups.some(manages)) }
    },

    async renewGuest({ params, body }, { caller, request }) {
      requireWholePerson(caller)
      const subject = subjectOfCaller(caller)
      const origin = originOf(caller, request)
      await room.change((trx) => renewGuest(room, trx, params.person, body.accessEndMs, subject, origin))
      return await showGuest(room, params.person)
    },

    async endAccess({ params }, { caller, request }) {
      requireWholePerson(caller)
      await room.change(async (trx) => {
        await requireGuest(room, trx, params.person, subjectOfCaller(caller))
        const { name, state } = await requireSubject(trx, params.person, 'person')
        if (state !== 'active') throw identityFaults.notInThisState(`${name} is ${state} already.`)
        await beginGrace(room, trx, params.person, originOf(caller, request))
      })
      return await showGuest(room, params.person)
    },

    async archivePerson({ params }, { caller, request }) {
      requireFresh(caller, { withinMs: adminProofMs, twoFactors: true })
      await room.change((trx) => archivePerson(room, trx, params.person, originOf(caller, request)))
      return await showGuest(room, params.person)
    },

    async erasePerson({ params }, { caller, request }) {
      requireFresh(caller, { withinMs: adminProofMs, twoFactors: true })
      await room.change((trx) => erasePerson(room, trx, params.person, originOf(caller, request)))
      return await showGuest(room, params.person)
    },

    async showContact(_request, { caller }) {
      requireWholePerson(caller)
      return await showContact(room, caller.id)
    },

    async setContact({ body }, { caller, request }) {
      requirePersonInBrowser(caller)
      await room.change((trx) => setContact(room, trx, caller.id, body, originOf(caller, request)))
      return await showContact(room, caller.id)
    },

    async requestExperiment({ body }, { caller, request }) {
      refuseOtherOrigin(request, publicUrl)
      requests.take(addressOf(request))
      requestsByAll.take('all')
      const who = { personId: caller.kind === 'person' ? caller.id : null, mailGoesOut: room.mailGoesOut }
      return await room.change((trx) => requestExperiment(room, trx, body, who, originOf(caller, request)))
    },

    async confirmRequest({ body }, { caller, request }) {
      refuseOtherOrigin(request, publicUrl)
      return await confirmations.attempt(addressOf(request), () =>
        room.change((trx) => confirmRequest(room, trx, body.code, originOf(caller, request))),
      )
    },

    listRequests: async ({ query }) => await listRequests(kysely, query),

    async approveRequest({ params, body }, { caller, request }) {
      requireFresh(caller, { withinMs: adminProofMs, twoFactors: true })
      const admin = subjectOfCaller(caller)
      const origin = originOf(caller, request)
      const { url } = await room.change((trx) => approveRequest(room, trx, params.request, body, admin, origin))
      return { request: await showRequest(kysely, params.request), url }
    },

    async rejectRequest({ params, body }, { caller, request }) {
      requireFresh(caller, { withinMs: adminProofMs, twoFactors: true })
      const origin = originOf(caller, request)
      await room.change((trx) => rejectRequest(room, trx, params.request, body.reason, origin))
      return await showRequest(kysely, params.request)
    },

    async listMail({ query }) {
      const { items, nextCursor } = await listMail(kysely, query)
      return { items: items.map(mailOf), nextCursor, configured: room.mailGoesOut }
    },

    async retryMail({ params }) {
      return mailOf(await room.change((trx) => retryMail(room, trx, params.mail)))
    },
  }
}
