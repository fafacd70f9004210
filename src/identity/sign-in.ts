/** One-time sign-in codes and the browser sessions they open. Codes and cookies lie hashed: a copy of the database opens nothing. */
import { randomToken, uuid7 } from '../foundation/ids.ts'
import type { Origin } from './audit.ts'
import { identityFaults } from './errors.ts'
import { sweepChallenges } from './factors/challenges.ts'
import { createPerson } from './people.ts'
import type { Room } from './room.ts'
import { hashOf } from './seal.ts'
import type { CodePurpose, IdentityTables, IdentityTransaction } from './tables.ts'

export const codeLifetimeMs = 30 * 60_000
export const sessionLifetimeMs = 12 * 3_600_000
export const sessionIdleMs = 60 * 60_000
/** What ends later than it can was made by a clock that was ahead, and is not valid. */
const clockToleranceMs = 10 * 60_000
/** The time of last use is written at most this often: a page's burst of requests is one write. */
const sessionTouchMs = 60_000

export interface SignInLink {
  /** `<publicUrl>/sign-in#code=…`: a fragment never leaves the browser. */
  url: string
  code: string
  expiresAtMs: number
}

/** A link that signs this person in once; earlier unused ones stop working unless they are to be kept. */
export async function createSignInLink(
  room: Room,
  trx: IdentityTransaction,
  personId: string,
  origin: Origin,
  { keepEarlier = false, purpose = 'sign-in' }: { keepEarlier?: boolean; purpose?: CodePurpose } = {},
): Promise<SignInLink> {
  const code = randomToken(20)
  const nowMs = room.clock.nowMs()
  const expiresAtMs = nowMs + codeLifetimeMs
  if (!keepEarlier)
    await trx
      .deleteFrom('identity_one_time_code')
      .where('person_id', '=', personId)
      .where('used_at_ms', 'is', null)
      .execute()
  await trx
    .insertInto('identity_one_time_code')
    .values({
      code_hash: hashOf(code),
      person_id: personId,
      purpose,
      created_at_ms: nowMs,
      expires_at_ms: expiresAtMs,
      used_at_ms: null,
    })
    .execute()
  await room.audit(trx, origin, { action: 'sign-in-link-created', target: personId, detail: { purpose } })
  return { url: `${room.publicUrl}/sign-in#code=${code}`, code, expiresAtMs }
}

/** The first active site admin; made as `admin` on an empty installation. */
export async function ensureSiteAdmin(room: Room, trx: IdentityTransaction, origin: Origin): Promise<string> {
  const existing = await trx
    .selectFrom('identity_subject')
    .select('id')
    .where('kind', '=', 'person')
    .where('site_admin', '=', 1)
    .where('state', '=', 'active')
    .orderBy('id')
    .executeTakeFirst()
  if (existing !== undefined) return existing.id
  const person = { name: 'admin', displayName: 'Site administrator', siteAdmin: true, roles: [] }
  return await createPerson(room, trx, person, origin, { reservedNameAllowed: true })
}

/**
 * Uses a code up and returns whose it was and what it is for.
 * @throws Fault identity.invalid_code, the same words for unknown, used, expired and suspended
 */
export async function consumeCode(
  room: Room,
  trx: IdentityTransaction,
  code: string,
): Promise<{ person: IdentityTables['identity_subject']; purpose: CodePurpose }> {
  const nowMs = room.clock.nowMs()
  const used = await trx
    .updateTable('identity_one_time_code')
    .set({ used_at_ms: nowMs })
    .where('code_hash', '=', hashOf(code))
    .where('used_at_ms', 'is', null)
    .where('expires_at_ms', '>', nowMs)
    .where('expires_at_ms', '<=', nowMs + codeLifetimeMs + clockToleranceMs)
    .returning(['person_id', 'purpose'])
    .executeTakeFirst()
  const person =
    used &&
    (await trx
      .selectFrom('identity_subject')
      .selectAll()
      .where('id', '=', used.person_id)
      .where('kind', '=', 'person')
      .where('state', 'in', ['active', 'grace'])
      .executeTakeFirst())
  if (used && person) return { person, purpose: used.purpose }
  throw identityFaults.invalidCode('This sign-in link has been used, has expired, or never existed.', {
    hint: 'Ask for a new one; a link works once and for 30 minutes.',
  })
}

export interface BrowserSession {
  id: string
  /** The cookie's value; only here, never in the database. */
  token: string
  expiresAtMs: number
}

/** How somebody has just proved who he is. */
export interface SignInProof {
  /** 'recovery' lets in only to make a new factor. */
  method: 'link' | 'passkey' | 'password' | 'institute' | 'invitation' | 'recovery'
  /** A passkey with user verification counts as two factors. */
  twoFactors?: boolean
  /** Row of `identity_identity`, and the session at its issuer (`sid`), of an institute login. */
  identityId?: string
  upstreamSession?: string
}

export async function startBrowserSession(
  room: Room,
  trx: IdentityTransaction,
  personId: string,
  { address, userAgent, proof = { method: 'link' } }: { address: string; userAgent: string; proof?: SignInProof },
): Promise<BrowserSession> {
  const nowMs = room.clock.nowMs()
  const session = { id: uuid7(nowMs), token: randomToken(32), expiresAtMs: nowMs + sessionLifetimeMs }
  await trx
    .insertInto('identity_browser_session')
    .values({
      id: session.id,
      token_hash: hashOf(session.token),
      person_id: personId,
      created_at_ms: nowMs,
      last_seen_at_ms: nowMs,
      expires_at_ms: session.expiresAtMs,
      address: address.slice(0, 100),
      user_agent: userAgent.slice(0, 200),
      method: proof.method,
      proved_at_ms: nowMs,
      two_factors_at_ms: proof.twoFactors === true ? nowMs : null,
      identity_id: proof.identityId ?? null,
      upstream_session: proof.upstreamSession ?? null,
    })
    .execute()
  return session
}

/** The living session of a cookie; marks it used. */
export async function findBrowserSession(
  room: Room,
  token: string,
): Promise<IdentityTables['identity_browser_session'] | undefined> {
  const nowMs = room.clock.nowMs()
  const row = await room.kysely
    .selectFrom('identity_browser_session')
    .selectAll()
    .where('token_hash', '=', hashOf(token))
    .where('expires_at_ms', '>', nowMs)
    .where('expires_at_ms', '<=', nowMs + sessionLifetimeMs + clockToleranceMs)
    .where('last_seen_at_ms', '>', nowMs - sessionIdleMs)
    .executeTakeFirst()
  if (row !== undefined && nowMs - row.last_seen_at_ms > sessionTouchMs) {
    await room.kysely
      .updateTable('identity_browser_session')
      .set({ last_seen_at_ms: nowMs })
      .where('id', '=', row.id)
      .where('last_seen_at_ms', '<', nowMs)
      .execute()
  }
  return row
}

/** Is it, without anybody being seen by the question? */
export async function isBrowserSessionOpen(room: Room, sessionId: string): Promise<boolean> {
  const nowMs = room.clock.nowMs()
  const row = await room.kysely
    .selectFrom('identity_browser_session')
    .select('id')
    .where('id', '=', sessionId)
    .where('expires_at_ms', '>', nowMs)
    .where('last_seen_at_ms', '>', nowMs - sessionIdleMs)
    .executeTakeFirst()
  return row !== undefined
}

export async function listBrowserSessions(
  room: Room,
  personId: string,
): Promise<IdentityTables['identity_browser_session'][]> {
  const nowMs = room.clock.nowMs()
  return await room.kysely
    .selectFrom('identity_browser_session')
    .selectAll()
    .where('person_id', '=', personId)
    .where('expires_at_ms', '>', nowMs)
    .where('expires_at_ms', '<=', nowMs + sessionLifetimeMs + clockToleranceMs)
    .where('last_seen_at_ms', '>', nowMs - sessionIdleMs)
    .orderBy('id', 'desc')
    .execute()
}

export async function endBrowserSession(trx: IdentityTransaction, sessionId: string): Promise<void> {
  await trx.deleteFrom('identity_browser_session').where('id', '=', sessionId).execute()
}

/** Removes what is over. Nothing depends on it: every lookup asks for the time itself. */
export async function sweepExpired(room: Room): Promise<void> {
  const nowMs = room.clock.nowMs()
  const { kysely } = room
  // Idle ones from which a notebook was opened stay as rows: one that is missing before its end was ended by somebody.
  const windows = kysely
    .selectFrom('identity_content_ticket')
    .select('window_id')
    .where('window_id', 'is not', null)
    .where('window_until_ms', '>', nowMs)
  await kysely
    .deleteFrom('identity_browser_session')
    .where((row) =>
      row.or([
        row('expires_at_ms', '<=', nowMs),
        row.and([row('last_seen_at_ms', '<=', nowMs - sessionIdleMs), row('id', 'not in', windows)]),
      ]),
    )
    .execute()
  await kysely.deleteFrom('identity_one_time_code').where('expires_at_ms', '<=', nowMs).execute()
  await kysely
    .deleteFrom('identity_content_ticket')
    .where('expires_at_ms', '<=', nowMs)
    .where((row) => row.or([row('window_until_ms', 'is', null), row('window_until_ms', '<=', nowMs)]))
    .execute()
  await kysely.deleteFrom('identity_oidc').where('expires_at_ms', '<=', nowMs).execute()
  await sweepChallenges(room)
}
