/** Single-use tickets that carry a signed-in person to the content origin. */
import { randomToken } from '../foundation/ids.ts'
import { contentCookieLifetimeMs, type ContentAccess } from './content-access.ts'
import { identityFaults } from './errors.ts'
import type { Room } from './room.ts'
import { hashOf } from './seal.ts'

export const ticketLifetimeMs = 30_000

/** A ticket for one person to one notebook session, good once within 30 s. Goes into a URL of the content origin. */
export async function createContentTicket(
  room: Room,
  personId: string,
  sessionId: string,
  windowId?: string,
): Promise<string> {
  const ticket = randomToken(24)
  const window =
    windowId === undefined
      ? undefined
      : await room.kysely
          .selectFrom('identity_browser_session')
          .select(['id', 'expires_at_ms'])
          .where('id', '=', windowId)
          .where('person_id', '=', personId)
          .executeTakeFirst()
  await room.kysely
    .insertInto('identity_content_ticket')
    .values({
      ticket_hash: hashOf(ticket),
      person_id: personId,
      session_id: sessionId,
      expires_at_ms: room.clock.nowMs() + ticketLifetimeMs,
      used_at_ms: null,
      window_id: window?.id ?? null,
      window_until_ms: window?.expires_at_ms ?? null,
    })
    .execute()
  return ticket
}

/** What the gateway signs into its cookie. @throws Fault identity.invalid_code */
export async function redeemContentTicket(room: Room, ticket: string): Promise<ContentAccess> {
  const nowMs = room.clock.nowMs()
  const used = await room.kysely
    .updateTable('identity_content_ticket')
    .set({ used_at_ms: nowMs })
    .where('ticket_hash', '=', hashOf(ticket))
    .where('used_at_ms', 'is', null)
    .where('expires_at_ms', '>', nowMs)
    .returning(['person_id', 'session_id', 'window_id'])
    .executeTakeFirst()
  const person =
    used &&
    (await room.kysely
      .selectFrom('identity_subject')
      .select(['id', 'epoch'])
      .where('id', '=', used.person_id)
      .where('state', '=', 'active')
      .executeTakeFirst())
  if (!used || !person) {
    throw identityFaults.invalidCode('This way in has been used or is over.', {
      hint: 'Open the session again from its page.',
    })
  }
  return {
    personId: person.id,
    epoch: person.epoch,
    sessionId: used.session_id,
    expiresAtMs: nowMs + contentCookieLifetimeMs,
    ...(used.window_id !== null && { windowId: used.window_id }),
  }
}

/**
 * For the published part: browser sessions that were ended before their time, from which notebooks were opened. One that
 * is only idle is not among them: whoever works in his notebook does not look at our pages.
 */
export async function readEndedWindows(room: Room): Promise<string[]> {
  const rows = await room.kysely
    .selectFrom('identity_content_ticket as ticket')
    .select('ticket.window_id')
    .distinct()
    .where('ticket.window_until_ms', '>', room.clock.nowMs())
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom('identity_browser_session as session')
            .select('session.id')
            .whereRef('session.id', '=', 'ticket.window_id'),
        ),
      ),
    )
    .execute()
  return rows.flatMap(({ window_id: id }) => (id === null ? [] : [id])).sort()
}
