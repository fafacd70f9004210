/** An opened invitation: the browser holds a ticket in a cookie, so that the code leaves the address bar at once. */
import type { FastifyRequest } from 'fastify'
import { randomToken } from '../../foundation/ids.ts'
import { joinCookieName } from '../cookie-names.ts'
import { identityFaults } from '../errors.ts'
import { readCookie } from '../gate.ts'
import type { Room } from '../room.ts'
import { hashOf } from '../seal.ts'
import type { IdentityKysely, IdentityTables, IdentityTransaction } from '../tables.ts'
import { hashOfInvitationCode } from './invitation-code.ts'
import type { InvitationRow } from './invite.ts'

export type TicketRow = IdentityTables['identity_join_ticket']

export const joinTicketMs = 30 * 60_000

/** The ticket of this browser; undefined: it has opened no invitation. */
export function joinTicketOf(request: FastifyRequest, publicUrl: string): string | undefined {
  return readCookie(request.headers.cookie, joinCookieName(publicUrl))
}

/** Lax, not strict: an institute sends the browser back to us from its own site. */
export function joinCookie(publicUrl: string, ticket: string, lifetimeMs: number): string {
  const secure = publicUrl.startsWith('https:') ? '; Secure' : ''
  const maxAge = Math.max(0, Math.floor(lifetimeMs / 1000))
  return `${joinCookieName(publicUrl)}=${ticket}; Path=/; Max-Age=${maxAge}; HttpOnly; SameSite=Lax${secure}`
}

/**
 * Opens an invitation, which accepts nothing: programs that follow links in mails do it too.
 * @throws Fault identity.invitation_over, the same words for unknown, used, revoked and expired
 */
export async function openJoin(
  room: Room,
  trx: IdentityTransaction,
  code: string,
  language: string,
): Promise<{ ticket: string; invitation: InvitationRow; row: TicketRow }> {
  const nowMs = room.clock.nowMs()
  const invitation = await trx
    .selectFrom('identity_invitation')
    .selectAll()
    .where('code_hash', '=', hashOfInvitationCode(code))
    .executeTakeFirst()
  if (invitation === undefined || !isOpen(invitation, nowMs)) throw invitationOver()
  const ticket = randomToken(32)
  const row: TicketRow = {
    ticket_hash: hashOf(ticket),
    invitation_id: invitation.id,
    created_at_ms: nowMs,
    expires_at_ms: nowMs + joinTicketMs,
    terms_version: null,
    language,
    used_at_ms: null,
    person_id: null,
    confirmation_id: null,
  }
  await trx.insertInto('identity_join_ticket').values(row).execute()
  return { ticket, invitation, row }
}

/** @throws Fault identity.invitation_over */
export async function findTicket(
  room: Room,
  kysely: IdentityKysely | IdentityTransaction,
  ticket: string | undefined,
): Promise<{ row: TicketRow; invitation: InvitationRow }> {
  const row =
    ticket === undefined
      ? undefined
      : await kysely
          .selectFrom('identity_join_ticket')
          .selectAll()
          .where('ticket_hash', '=', hashOf(ticket))
          .where('expires_at_ms', '>', room.clock.nowMs())
          .executeTakeFirst()
  const invitation =
    row &&
    (await kysely.selectFrom('identity_invitation').selectAll().where('id', '=', row.invitation_id).executeTakeFirst())
  if (row && invitation) return { row, invitation }
  throw identityFaults.invitationOver('This browser has no opened invitation any more.', {
    hint: 'Open the link that you were sent once more.',
  })
}

export function isOpen(invitation: InvitationRow, nowMs: number): boolean {
  return invitation.state === 'open' && invitation.expires_at_ms > nowMs && invitation.used < invitation.max_uses
}

export function invitationOver(): Error {
  return identityFaults.invitationOver('This invitation was used, revoked or has expired, or it never existed.', {
    hint: 'Ask the person who invited you for a new link; that is one click.',
  })
}
