/**
 * What happens to a browser that is back from an institute: signed in, linked, joined, named, or told that nobody has
 * invited it. Who somebody is, is (issuer, subject), and never an address or a name.
 */
import type { z } from 'zod'
import type { Caller } from '../../foundation/http.ts'
import { requireFresh } from '../authority.ts'
import type { Origin } from '../audit.ts'
import { identityFaults } from '../errors.ts'
import { ownProofMs } from '../factors/contract.ts'
import { credentialOf } from '../gate.ts'
import { rememberAddress } from '../invitations/accounts.ts'
import { placeOf } from '../invitations/invite.ts'
import { findTicket } from '../invitations/join-ticket.ts'
import { acceptInvitation, type Newcomer } from '../invitations/join.ts'
import { mailPerson } from '../invitations/outbox.ts'
import { createPerson, requireSubject } from '../people.ts'
import type { Room } from '../room.ts'
import { endBrowserSession, startBrowserSession, type BrowserSession, type SignInProof } from '../sign-in.ts'
import type { PersonRole } from '../subject.ts'
import type { IdentityTransaction } from '../tables.ts'
import { endAttempt, type Attempt } from './attempts.ts'
import { assuranceOf, claimsForRules, displayNameOf, labelOf, proposedNameOf } from './claims.ts'
import type { federationRoutes, landingSchema } from './contract.ts'
import { findIdentity, keepArrival, linkIdentity, type IdentityRow, type NewIdentity } from './identities.ts'
import { applyRules, isRole, ruleGives, rulesOf } from './imports.ts'
import { requireLoginIssuer } from './issuers.ts'
import type { Arrival, LoginIssuer } from './upstream.ts'

export type Landing = z.infer<typeof landingSchema>
type Wish = z.output<(typeof federationRoutes)['continueInstituteLogin']['body']>

export interface Lander {
  caller: Caller
  address: string
  requestId: string
  userAgent: string
  /** Of the invitation that this browser has opened. */
  joinTicket: string | undefined
}

/** The multi-factor profile of REFEDS: an institute that says so has checked two factors. */
const twoFactorsThere = 'https://refeds.org/profile/mfa'

/** @throws Fault of whatever the institute or we had against it */
export async function land(
  room: Room,
  attempt: Attempt,
  wish: Wish,
  lander: Lander,
): Promise<{ landing: Landing; session?: BrowserSession; over: boolean }> {
  const { content } = attempt
  const issuer = await requireLoginIssuer(room.kysely, attempt.issuer_id)
  const { arrival } = content
  if (arrival === undefined) throw identityFaults.noSuchRequest('This sign-in has not been answered.')
  const said = { ...arrival.userInfo, ...arrival.claims }
  const knownAs = labelOf(said, arrival.claims.sub)
  const identity = await findIdentity(room.kysely, { issuer: issuer.issuer, subject: arrival.claims.sub })
  const visit = { room, attempt, issuer, arrival, knownAs, lander }
  if (attempt.purpose === 'link') return await link(visit, identity, wish.confirm === true)
  if (identity !== undefined) return await signIn(visit, identity)

  const gives =
    attempt.purpose === 'join' ? [await invitedTo(room, lander.joinTicket)] : await importsFor(room, issuer, arrival)
  if (gives.length === 0) {
    const { publicUrl: platform } = room
    const landing = { step: 'not-invited', institute: issuer.label, knownAs, subject: arrival.claims.sub, platform }
    return { landing: landing as Landing, over: false }
  }
  if (wish.name === undefined) {
    const landing = {
      step: 'choose-name',
      institute: issuer.label,
      knownAs,
      proposedName: proposedNameOf(said),
      displayName: displayNameOf(said),
      gives,
      invited: attempt.purpose === 'join',
    } satisfies Landing
    return { landing, over: false }
  }
  return await begin(visit, { name: wish.name, displayName: wish.displayName ?? (displayNameOf(said) || wish.name) })
}

interface Visiting {
  room: Room
  attempt: Attempt
  issuer: LoginIssuer
  arrival: Arrival
  knownAs: string
  lander: Lander
}

type Landed = { landing: Landing; session?: BrowserSession; over: boolean }

/** Somebody who is known by this identity. */
async function signIn(visit: Visiting, identity: IdentityRow): Promise<Landed> {
  const { room, attempt } = visit
  const session = await room.change(async (trx) => {
    const person = await requireSubject(trx, identity.person_id, 'person')
    if (person.state !== 'active' && person.state !== 'grace') {
      throw identityFaults.notAllowed('This account is suspended.', {
        hint: 'Ask your sponsor, a manager of your experiment, or the person who runs this platform.',
      })
    }
    const origin = originOf(visit, person)
    const email = verifiedEmail({ ...visit.arrival.userInfo, ...visit.arrival.claims })
    if (attempt.purpose === 'join') return await join(visit, trx, { personId: person.id, email }, origin)
    return await enter(visit, trx, { personId: person.id, identityId: identity.id, origin })
  })
  return await signedIn(visit, session)
}

/** Somebody new, whom a rule or an invitation lets in and who has chosen a name. */
async function begin(visit: Visiting, newcomer: { name: string; displayName: string }): Promise<Landed> {
  const { room, attempt, arrival, knownAs } = visit
  const session = await room.change(async (trx) => {
    const origin = originOf(visit, { id: 'newcomer', name: knownAs })
    if (attempt.purpose === 'join') {
      const email = verifiedEmail({ ...arrival.userInfo, ...arrival.claims })
      return await join(visit, trx, { ...newcomer, email }, origin)
    }
    const personId = await createPerson(room, trx, { ...newcomer, siteAdmin: false, roles: [] }, origin)
    const own = originOf(visit, { id: personId, name: newcomer.name })
    const identityId = await linkIdentity(room, trx, personId, toldOf(visit), own)
    return await enter(visit, trx, { personId, identityId, origin: own })
  })
  return await signedIn(visit, session)
}

/** Accepts the invitation; undefined: its sponsor has to say first who this is. */
async function join(
  visit: Visiting,
  trx: IdentityTransaction,
  newcomer: Newcomer,
  origin: Origin,
): Promise<BrowserSession | undefined> {
  const { room, lander } = visit
  const told = toldOf(visit)
  const proof = { ...proofOf(visit, undefined), identity: told }
  const from = { ...origin, userAgent: lander.userAgent }
  const { personId, session } = await acceptInvitation(room, trx, lander.joinTicket, newcomer, proof, from)
  if (personId === undefined) return undefined
  const identityId = await linkIdentity(room, trx, personId, told, origin)
  await settle(visit, trx, identityId, session.id)
  await applyRules(room, trx, personId, origin, { signedIn: true })
  return session
}

async function enter(
  visit: Visiting,
  trx: IdentityTransaction,
  { personId, identityId, origin }: { personId: string; identityId: string; origin: Origin },
): Promise<BrowserSession> {
  const { room, issuer, lander } = visit
  const { address, userAgent } = lander
  const email = verifiedEmail({ ...visit.arrival.userInfo, ...visit.arrival.claims })
  if (email !== undefined) await rememberAddress(room, trx, personId, email)
  const proof = proofOf(visit, identityId)
  const session = await startBrowserSession(room, trx, personId, { address, userAgent, proof })
  await settle(visit, trx, identityId, session.id)
  await applyRules(room, trx, personId, origin, { signedIn: true })
  const detail = { method: 'institute', issuer: issuer.issuer }
  await room.audit(trx, origin, { action: 'sign-in', target: personId, detail })
  return session
}

/** What is remembered of every sign-in by an institute; an earlier session of this browser is over. */
async function settle(
  { room, issuer, arrival, lander }: Visiting,
  trx: IdentityTransaction,
  identityId: string,
  sessionId: string,
): Promise<void> {
  await keepArrival(room, trx, { id: identityId, issuer, arrival })
  await trx
    .insertInto('identity_upstream_session')
    .values({
      session_id: sessionId,
      identity_id: identityId,
      issuer_id: issuer.id,
      sealed_id_token: room.seal.close(arrival.idToken, `upstream-session.${sessionId}`),
      created_at_ms: room.clock.nowMs(),
    })
    .execute()
  const { sid } = arrival.claims
  await trx
    .updateTable('identity_browser_session')
    .set({ identity_id: identityId, upstream_session: sid ?? null })
    .where('id', '=', sessionId)
    .execute()
  const before = credentialOf(lander.caller)
  if (before.by === 'browser-session') await endBrowserSession(trx, before.sessionId)
}

async function link(visit: Visiting, identity: IdentityRow | undefined, confirmed: boolean): Promise<Landed> {
  const { room, attempt, issuer, arrival, knownAs, lander } = visit
  const credential = credentialOf(lander.caller)
  const isSame = credential.by === 'browser-session' && credential.sessionId === attempt.session_id
  if (!isSame || lander.caller.id !== attempt.person_id) {
    throw identityFaults.noSuchRequest('The account that asked for this is no longer signed in here.', {
      hint: 'Sign in again, then link the identity on the page Me.',
    })
  }
  if (identity !== undefined && identity.person_id !== lander.caller.id) {
    throw identityFaults.identityTaken('This identity of the institute is linked to another account here.', {
      hint: 'Sign in with it to see which; unlink it there first.',
    })
  }
  const person = await requireSubject(room.kysely, lander.caller.id, 'person')
  if (!confirmed) {
    const account = { name: person.name, displayName: person.display_name }
    return { landing: { step: 'confirm-link', institute: issuer.label, knownAs, account }, over: false }
  }
  requireFresh(lander.caller, { withinMs: ownProofMs })
  await room.change(async (trx) => {
    const origin = originOf(visit, person)
    const identityId = await linkIdentity(room, trx, person.id, toldOf(visit), origin)
    await keepArrival(room, trx, { id: identityId, issuer, arrival })
    await applyRules(room, trx, person.id, origin, { signedIn: true })
    const data = { institute: issuer.label, label: knownAs, account: person.name, url: `${room.publicUrl}/me` }
    await mailPerson(room, trx, person.id, { template: 'identity-linked', data })
  })
  await endAttempt(room, attempt)
  return { landing: { step: 'linked', institute: issuer.label, knownAs, next: '/me' }, over: true }
}

async function signedIn({ room, attempt }: Visiting, session: BrowserSession | undefined): Promise<Landed> {
  await endAttempt(room, attempt)
  if (session === undefined) return { landing: { step: 'waiting', next: '/join' }, over: true }
  return { landing: { step: 'signed-in', next: attempt.content.next }, session, over: true }
}

/** @throws Fault identity.invitation_over */
async function invitedTo(room: Room, ticket: string | undefined): Promise<{ group: string; role: PersonRole }> {
  const { group, role } = placeOf((await findTicket(room, room.kysely, ticket)).invitation)
  return { group, role }
}

function toldOf({ issuer, arrival, knownAs }: Visiting): NewIdentity {
  const { sub: subject } = arrival.claims
  return { issuer: issuer.issuer, subject, label: knownAs, assurance: assuranceOf(arrival.claims) }
}

/** What the rules would give to somebody of whom the institute said this. */
async function importsFor(room: Room, issuer: LoginIssuer, { claims, userInfo }: Arrival) {
  const nowMs = room.clock.nowMs()
  const known = claimsForRules(claims, userInfo)
  const rules = await rulesOf(room.kysely, issuer.id)
  return rules
    .filter((rule) => ruleGives(rule, known, nowMs, nowMs) !== undefined)
    .flatMap(({ group_path: group, role }) => (isRole(role) ? [{ group, role }] : []))
}

function proofOf({ arrival }: Visiting, identityId: string | undefined): SignInProof {
  const { sid, acr } = arrival.claims
  return {
    method: 'institute',
    twoFactors: acr === twoFactorsThere,
    ...(identityId !== undefined && { identityId }),
    ...(sid !== undefined && { upstreamSession: sid }),
  }
}

function originOf({ lander: { address, requestId } }: Visiting, person: { id: string; name: string }): Origin {
  return { actor: { id: person.id, kind: 'person', name: person.name }, address, requestId }
}

/** For comparing with the address of an invitation, nothing else; only if the institute says that it has checked it. */
function verifiedEmail(said: Record<string, unknown>): string | undefined {
  const { email } = said
  if (said['email_verified'] !== true || typeof email !== 'string' || email.length > 254) return undefined
  return /^[^\s@"<>,;\p{Cc}]+@[^\s@"<>,;\p{Cc}]+$/u.test(email) ? email : undefined
}
