/**
 * Visits to institutes: a browser leaves from our page with a cookie of its own, comes back to the callback, and lands on
 * our page. The row is found by the state and the cookie together, and answers once; what is in it is sealed.
 */
import { randomToken } from '../../foundation/ids.ts'
import { identityFaults } from '../errors.ts'
import type { Room } from '../room.ts'
import { hashOf } from '../seal.ts'
import type { IdentityTables } from '../tables.ts'
import { ownPage } from './next-path.ts'
import type { Arrival, Visit } from './upstream.ts'

export const attemptLifetimeMs = 15 * 60_000
const clockToleranceMs = 10 * 60_000

type AttemptRow = IdentityTables['identity_login_attempt']
export type Purpose = AttemptRow['purpose']

export interface FailedVisit {
  code: string
  message: string
  hint: string | undefined
}

/** What a row holds, sealed: the way there, then what came of it. */
export interface AttemptContent {
  next: string
  visit?: Visit
  arrival?: Arrival
  failure?: FailedVisit
  /** Of signing out: what the institute knows the session by. */
  idToken?: string
}

export interface Attempt extends Omit<AttemptRow, 'sealed' | 'state_hash' | 'browser_hash'> {
  stateHash: string
  content: AttemptContent
}

export interface NewAttempt {
  issuerId: string
  purpose: Purpose
  next?: string | undefined
  visit?: Visit
  idToken?: string
  personId?: string | undefined
  sessionId?: string | undefined
}

/** @returns the value of the cookie that this browser brings back. */
export async function beginAttempt(room: Room, attempt: NewAttempt): Promise<string> {
  const cookie = randomToken(32)
  const nowMs = room.clock.nowMs()
  const stateHash = hashOf(attempt.visit?.state ?? randomToken(32))
  const content: AttemptContent = {
    next: ownPage(attempt.next),
    ...(attempt.visit !== undefined && { visit: attempt.visit }),
    ...(attempt.idToken !== undefined && { idToken: attempt.idToken }),
  }
  await room.kysely
    .insertInto('identity_login_attempt')
    .values({
      state_hash: stateHash,
      browser_hash: hashOf(cookie),
      issuer_id: attempt.issuerId,
      purpose: attempt.purpose,
      sealed: room.seal.close(JSON.stringify(content), sealOf(stateHash)),
      stage: attempt.visit === undefined ? 'landed' : 'away',
      person_id: attempt.personId ?? null,
      session_id: attempt.sessionId ?? null,
      created_at_ms: nowMs,
      expires_at_ms: nowMs + attemptLifetimeMs,
    })
    .execute()
  return cookie
}

/** The visit that this state and this browser belong to, taken for good; undefined: none is under way. */
export async function takeAnswer(room: Room, state: string, cookie: string): Promise<Attempt | undefined> {
  const nowMs = room.clock.nowMs()
  const row = await room.kysely
    .updateTable('identity_login_attempt')
    .set({ stage: 'failed' })
    .where('state_hash', '=', hashOf(state))
    .where('browser_hash', '=', hashOf(cookie))
    .where('stage', '=', 'away')
    .where('expires_at_ms', '>', nowMs)
    .where('expires_at_ms', '<=', nowMs + attemptLifetimeMs + clockToleranceMs)
    .returningAll()
    .executeTakeFirst()
  return row && open(room, row)
}

/** Puts down what came of it. */
export async function settleAttempt(
  room: Room,
  { stateHash, content }: Attempt,
  outcome: { arrival: Arrival } | { failure: FailedVisit },
): Promise<void> {
  const kept: AttemptContent = { next: content.next, ...outcome }
  await room.kysely
    .updateTable('identity_login_attempt')
    .set({
      stage: 'arrival' in outcome ? 'landed' : 'failed',
      sealed: room.seal.close(JSON.stringify(kept), sealOf(stateHash)),
    })
    .where('state_hash', '=', stateHash)
    .execute()
}

/** @throws Fault identity.no_such_request if this browser has none, or the institute has not answered yet */
export async function attemptOf(room: Room, cookie: string | undefined): Promise<Attempt> {
  const nowMs = room.clock.nowMs()
  const row =
    cookie === undefined
      ? undefined
      : await room.kysely
          .selectFrom('identity_login_attempt')
          .selectAll()
          .where('browser_hash', '=', hashOf(cookie))
          .where('stage', '!=', 'away')
          .where('expires_at_ms', '>', nowMs)
          .where('expires_at_ms', '<=', nowMs + attemptLifetimeMs + clockToleranceMs)
          .executeTakeFirst()
  if (row !== undefined) return open(room, row)
  throw identityFaults.noSuchRequest('This sign-in is over, or it was begun in another browser.', {
    hint: 'Start again on the sign-in page.',
  })
}

export async function endAttempt(room: Room, { stateHash }: Pick<Attempt, 'stateHash'>): Promise<void> {
  await room.kysely.deleteFrom('identity_login_attempt').where('state_hash', '=', stateHash).execute()
}

function open(room: Room, { sealed, state_hash: stateHash, ...row }: AttemptRow): Attempt {
  return { ...row, stateHash, content: JSON.parse(room.seal.open(sealed, sealOf(stateHash))) as AttemptContent }
}

function sealOf(stateHash: string): string {
  return `login-attempt.${stateHash}`
}
