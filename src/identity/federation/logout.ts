/** Signing out both ways: from here to the institute, and from the institute to here. */
import { identityFaults } from '../errors.ts'
import { bumpEpoch } from '../people.ts'
import type { Room } from '../room.ts'
import { hashOf } from '../seal.ts'
import type { IdentityTransaction } from '../tables.ts'
import { beginAttempt, endAttempt, type Attempt } from './attempts.ts'
import type { Landing } from './landing.ts'
import { findIssuerByUrl, isLoginIssuer, requireLoginIssuer } from './issuers.ts'
import { claimedIssuer, refuse, verifyLogoutToken } from './statements.ts'
import type { Upstream } from './upstream.ts'

/**
 * A browser session that began at an institute is about to end: gives the cookie with which the browser learns, on our
 * page, where the session there ends. Undefined: there is none.
 */
export async function offerUpstreamLogout(room: Room, sessionId: string): Promise<string | undefined> {
  const row = await room.kysely
    .selectFrom('identity_upstream_session as upstream')
    .innerJoin('identity_issuer as issuer', 'issuer.id', 'upstream.issuer_id')
    .select(['upstream.issuer_id', 'upstream.sealed_id_token'])
    .where('upstream.session_id', '=', sessionId)
    .where('issuer.state', '=', 'enabled')
    .executeTakeFirst()
  if (row === undefined) return undefined
  const idToken = room.seal.open(row.sealed_id_token, `upstream-session.${sessionId}`)
  await room.kysely.deleteFrom('identity_upstream_session').where('session_id', '=', sessionId).execute()
  return await beginAttempt(room, { issuerId: row.issuer_id, purpose: 'leave', idToken })
}

/** The page after signing out asks here. */
export async function leave(room: Room, upstream: Upstream, attempt: Attempt): Promise<Landing> {
  const issuer = await requireLoginIssuer(room.kysely, attempt.issuer_id)
  await endAttempt(room, attempt)
  const address = await upstream.logoutAddress(issuer, attempt.content.idToken ?? '').catch(() => undefined)
  return { step: 'signed-out', institute: issuer.label, location: address ?? null }
}

/**
 * OpenID Connect Back-Channel Logout: the institute says that somebody has signed out there. His browser sessions from
 * that session there end here, and everything that hangs on them.
 * @returns how many ended
 * @throws Fault identity.institute_refused, institute_unreachable
 */
export async function acceptUpstreamLogout(
  room: Room,
  upstream: Upstream,
  token: string,
  from: { address: string; requestId: string },
): Promise<number> {
  const claimed = claimedIssuer(token)
  const issuer = claimed === undefined ? undefined : await findIssuerByUrl(room.kysely, claimed)
  if (issuer === undefined || !isLoginIssuer(issuer)) throw refuse('a logout token of an unknown or disabled issuer')
  const claims = await verifyLogoutToken(token, await upstream.expectedOf(issuer), upstream.keys)
  return await room.change(async (trx) => {
    const spent = await trx
      .insertInto('identity_spent_statement')
      .values({
        issuer_id: issuer.id,
        jti_hash: hashOf(claims.jti),
        // Refused as too old long before.
        expires_at_ms: room.clock.nowMs() + 86_400_000,
      })
      .onConflict((conflict) => conflict.columns(['issuer_id', 'jti_hash']).doNothing())
      .returning('jti_hash')
      .executeTakeFirst()
    if (spent === undefined) throw refuse('this logout token has been used')
    const { sub: subject, sid } = claims
    const ended = await endSessions(trx, issuer.issuer, { subject, sid })
    const origin = { actor: { id: issuer.id, kind: 'issuer', name: issuer.label }, ...from }
    for (const personId of new Set(ended)) {
      await room.audit(trx, origin, {
        action: 'institute-sign-out',
        target: personId,
        detail: { sessions: ended.length },
      })
      await bumpEpoch(room, trx, personId, 'signed-out-upstream')
    }
    return ended.length
  })
}

async function endSessions(
  trx: IdentityTransaction,
  issuer: string,
  { subject, sid }: { subject: string | undefined; sid: string | undefined },
): Promise<string[]> {
  let identities = trx.selectFrom('identity_identity').select('id').where('issuer', '=', issuer)
  if (subject !== undefined) identities = identities.where('subject', '=', subject)
  let sessions = trx.deleteFrom('identity_browser_session').where('identity_id', 'in', identities)
  // A session whose issuer gave it no name belongs to whoever is meant by name.
  if (sid !== undefined) {
    sessions = sessions.where((row) =>
      subject === undefined
        ? row('upstream_session', '=', sid)
        : row.or([row('upstream_session', '=', sid), row('upstream_session', 'is', null)]),
    )
  }
  const ended = await sessions.returning(['id', 'person_id']).execute()
  const ids = ended.map(({ id }) => id)
  if (ids.length > 0) await trx.deleteFrom('identity_upstream_session').where('session_id', 'in', ids).execute()
  return ended.map((row) => row.person_id)
}

/** What a form with a logout token holds. @throws Fault identity.institute_refused */
export function logoutTokenOf(form: string): string {
  const tokens = new URLSearchParams(form).getAll('logout_token')
  if (tokens.length === 1 && tokens[0] !== '') return tokens[0]!
  throw identityFaults.instituteRefused('The form must carry one logout_token.', {
    hint: 'OpenID Connect Back-Channel Logout 1.0, section 2.5.',
  })
}
