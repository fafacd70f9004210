/** The landing page of an invitation: opened by a code, accepted by a person. */
import type { FastifyRequest } from 'fastify'
import type { z } from 'zod'
import type { Handlers } from '../../foundation/http.ts'
import { requirePersonInBrowser } from '../authority.ts'
import { platformOrigin, type Origin } from '../audit.ts'
import { addPasskey, newPasskeyQuestion, verifyNewPasskey } from '../factors/passkeys.ts'
import { addressOf, originOf, refuseOtherOrigin, sessionCookie } from '../gate.ts'
import { requireSubject } from '../subject-rows.ts'
import { createRateLimit, createSecretLimit } from '../rate-limit.ts'
import type { RouteParts } from '../routes.ts'
import { hashOf } from '../seal.ts'
import type { IdentityTransaction } from '../tables.ts'
import type { invitationRoutes, joinSchema } from './contract.ts'
import { placeOf, type InvitationRow } from './invite.ts'
import { acceptInvitation, admit, type JoinProof, type Newcomer } from './join.ts'
import {
  findTicket,
  invitationOver,
  isOpen,
  joinCookie,
  joinTicketMs,
  joinTicketOf,
  openJoin,
  type TicketRow,
} from './join-ticket.ts'
import { accountNames } from './newcomer-name.ts'
import { dropMail, mailPerson } from './outbox.ts'
import { currentTerms, requireCurrent } from './terms.ts'

type JoinRoutes = Pick<
  typeof invitationRoutes,
  | 'openJoin'
  | 'showJoin'
  | 'joinByCode'
  | 'joinAsMyself'
  | 'joinPasskeyOptions'
  | 'joinByPasskey'
  | 'acceptJoinTerms'
  | 'declineJoin'
>

export function joinHandlers({ room }: RouteParts): Handlers<JoinRoutes> {
  const { clock, publicUrl, kysely } = room
  const codes = createSecretLimit(clock)
  const questions = createRateLimit({ clock, burst: 30, perMinute: 30 })

  /** The newcomer before he has a name. */
  function from(request: FastifyRequest): Origin & { userAgent: string } {
    return {
      actor: { id: 'newcomer', kind: 'anonymous', name: 'newcomer' },
      address: addressOf(request),
      requestId: request.id,
      userAgent: request.headers['user-agent'] ?? '',
    }
  }

  async function describe(
    row: TicketRow,
    invitation: InvitationRow,
    language: string,
  ): Promise<z.input<typeof joinSchema>> {
    const [inviter, sponsor] = await Promise.all([
      requireSubject(kysely, invitation.invited_by, 'person'),
      requireSubject(kysely, invitation.sponsor_id, 'person'),
    ])
    const { experiment, group, role } = placeOf(invitation)
    const isIn = row.used_at_ms !== null && row.person_id !== null
    const isWaiting = !isIn && row.confirmation_id !== null
    if (!isIn && !isWaiting && !isOpen(invitation, clock.nowMs())) throw invitationOver()
    return {
      kind: invitation.kind,
      experiment,
      group,
      role,
      sponsor: sponsor.display_name,
      invitedBy: inviter.display_name,
      addressedTo: invitation.addressed_to,
      message: invitation.message,
      issuers: invitation.issuers === null ? null : (JSON.parse(invitation.issuers) as string[]),
      accessEndMs: invitation.access_end_ms,
      expiresAtMs: invitation.expires_at_ms,
      terms: await currentTerms(kysely, language),
      state: isIn ? 'in' : isWaiting ? 'waiting' : 'open',
    }
  }

  /** Agrees to the rules on the ticket, then comes in. */
  async function comeIn(
    request: FastifyRequest,
    agreed: { termsVersion: number; language: string },
    newcomer: Newcomer,
    proof: JoinProof,
    more: (trx: IdentityTransaction, personId: string, origin: Origin) => Promise<void> = async () => {},
  ) {
    const ticket = joinTicketOf(request, publicUrl)
    return await room.change(async (trx) => {
      const { row, invitation } = await findTicket(room, trx, ticket)
      await agree(trx, row, agreed.termsVersion, agreed.language)
      const origin = from(request)
      const { personId, session } = await acceptInvitation(room, trx, ticket, newcomer, proof, origin)
      // Only an institute knows an address that could be another one.
      if (session === undefined) throw invitationOver()
      const { name } = await requireSubject(trx, personId, 'person')
      await more(trx, personId, { ...origin, actor: { id: personId, kind: 'person', name } })
      return { name, experiment: invitation.experiment, session }
    })
  }

  async function agree(trx: IdentityTransaction, row: TicketRow, version: number, language: string): Promise<void> {
    await requireCurrent(trx, version)
    await trx
      .updateTable('identity_join_ticket')
      .set({ terms_version: version, language })
      .where('ticket_hash', '=', row.ticket_hash)
      .execute()
  }

  return {
    async openJoin({ body }, { request, reply }) {
      refuseOtherOrigin(request, publicUrl)
      const { ticket, row, invitation } = await codes.attempt(
        addressOf(request),
        () => room.change((trx) => openJoin(room, trx, body.code, body.language)),
        async () => {
          const origin = {
            ...platformOrigin,
            actor: from(request).actor,
            address: addressOf(request),
            requestId: request.id,
          }
          await room.audit(kysely, origin, { action: 'invitation-code-refused', target: '-', decision: 'deny' })
        },
      )
      reply.header('set-cookie', joinCookie(publicUrl, ticket, joinTicketMs))
      return await describe(row, invitation, body.language)
    },

    async showJoin({ query }, { request }) {
      const { row, invitation } = await findTicket(room, kysely, joinTicketOf(request, publicUrl))
      return await describe(row, invitation, query.language)
    },

    async joinByCode({ body }, { request, reply }) {
      refuseOtherOrigin(request, publicUrl)
      const { displayName, name } = body
      const newcomer = { displayName, ...(name !== undefined && { name }) }
      const come = await comeIn(request, body, newcomer, { method: 'invitation' })
      const { session } = come
      reply.header('set-cookie', sessionCookie(publicUrl, session.token, session.expiresAtMs - clock.nowMs()))
      return { name: come.name, experiment: come.experiment, expiresAtMs: session.expiresAtMs }
    },

    async joinAsMyself({ body }, { caller, request }) {
      requirePersonInBrowser(caller)
      const ticket = joinTicketOf(request, publicUrl)
      return await room.change(async (trx) => {
        const { row, invitation } = await findTicket(room, trx, ticket)
        await agree(trx, row, body.termsVersion, row.language)
        const me = { personId: caller.id }
        await admit(room, trx, ticket, me, { method: 'invitation' }, originOf(caller, request))
        return { experiment: invitation.experiment }
      })
    },

    async joinPasskeyOptions({ body }, { request }) {
      refuseOtherOrigin(request, publicUrl)
      questions.take(addressOf(request))
      const { row } = await findTicket(room, kysely, joinTicketOf(request, publicUrl))
      const [proposed] = accountNames(body.displayName)
      const { displayName, name = proposed ?? 'guest' } = body
      return await newPasskeyQuestion(room, { boundTo: boundTo(row), name, displayName })
    },

    async joinByPasskey({ body }, { request, reply }) {
      refuseOtherOrigin(request, publicUrl)
      const { row } = await findTicket(room, kysely, joinTicketOf(request, publicUrl))
      const passkey = await verifyNewPasskey(room, body.passkey, boundTo(row))
      const { displayName, name, label } = body
      const newcomer = { displayName, ...(name !== undefined && { name }) }
      const proof = { method: 'passkey', twoFactors: true } as const
      const come = await comeIn(request, body, newcomer, proof, async (trx, personId, origin) => {
        await addPasskey(room, trx, { personId, label, passkey }, origin)
      })
      const { session } = come
      reply.header('set-cookie', sessionCookie(publicUrl, session.token, session.expiresAtMs - clock.nowMs()))
      return { name: come.name, experiment: come.experiment, expiresAtMs: session.expiresAtMs }
    },

    async acceptJoinTerms({ body }, { request }) {
      refuseOtherOrigin(request, publicUrl)
      await room.change(async (trx) => {
        const { row } = await findTicket(room, trx, joinTicketOf(request, publicUrl))
        await agree(trx, row, body.version, body.language)
      })
      return { accepted: true }
    },

    async declineJoin(_request, { request, reply }) {
      refuseOtherOrigin(request, publicUrl)
      await room.change(async (trx) => {
        const { row, invitation } = await findTicket(room, trx, joinTicketOf(request, publicUrl))
        await trx.deleteFrom('identity_join_ticket').where('ticket_hash', '=', row.ticket_hash).execute()
        // One student who says no does not close the course.
        if (invitation.kind === 'class' || row.used_at_ms !== null) return
        const declined = await trx
          .updateTable('identity_invitation')
          .set({ state: 'declined' })
          .where('id', '=', invitation.id)
          .where('state', '=', 'open')
          .returning('id')
          .executeTakeFirst()
        if (declined === undefined) return
        await dropMail(room, trx, invitation.mail_id)
        const { experiment, group } = placeOf(invitation)
        await room.audit(trx, from(request), { action: 'invitation-declined', target: invitation.id, experiment })
        const data = { group, addressedTo: invitation.addressed_to ?? '–' }
        await mailPerson(room, trx, invitation.sponsor_id, { template: 'invitation-declined', data })
      })
      reply.header('set-cookie', joinCookie(publicUrl, '', 0))
      return { declined: true }
    },
  }
}

/** A passkey is made for one opened invitation, in one browser. */
function boundTo(row: TicketRow): string {
  return hashOf(`join:${row.ticket_hash}`)
}
