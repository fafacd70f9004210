/** From an opened invitation to a person who is in. */
import { uuid7 } from '../../foundation/ids.ts'
import { Fault } from '../../foundation/errors.ts'
import type { Origin } from '../audit.ts'
import { identityFaults } from '../errors.ts'
import { linkIdentity } from '../federation/identities.ts'
import { membershipChange } from '../groups/memberships.ts'
import { createPerson } from '../people.ts'
import { requireSubject } from '../subject-rows.ts'
import type { Room } from '../room.ts'
import { startBrowserSession, type BrowserSession, type SignInProof } from '../sign-in.ts'
import type { IdentityKysely, IdentityTables, IdentityTransaction } from '../tables.ts'
import { accountOf, joinAccount } from './accounts.ts'
import { graceMs } from './contract.ts'
import { placeOf, type InvitationRow } from './invite.ts'
import { findTicket, invitationOver, isOpen, type TicketRow } from './join-ticket.ts'
import { accountNames } from './newcomer-name.ts'
import { mailPerson } from './outbox.ts'
import { isGuest } from './guest-accounts.ts'
import { mayInvite, policyAt, requireSponsorRoom } from './sponsors.ts'
import { acceptTerms, currentTerms, requireCurrent } from './terms.ts'

export type Newcomer =
  /** Somebody who has an account already and has just proved it; `email` as below. */
  | { personId: string; email?: string | undefined }
  | {
      /** As he chose it; absent: one is made from what he is called. */
      name?: string | undefined
      /** What an institute calls him: taken if it is free and possible. */
      suggestedName?: string | undefined
      displayName: string
      /** Only an address that an issuer has verified, never one that somebody typed. */
      email?: string | undefined
    }

/** An institute's word about who this is. */
export interface VouchedIdentity {
  issuer: string
  subject: string
  label: string
  assurance: string
}

export type JoinProof = SignInProof & { identity?: VouchedIdentity | undefined }

export type AcceptedInvitation =
  | { personId: string; session: BrowserSession }
  /** The sponsor has to say who this is; the page /join tells so. */
  | { personId: undefined; session: undefined }

/**
 * Accepts the invitation that this browser has opened and signs the person in. The rules of the site have to be agreed
 * to before, on the page /join.
 * @throws Fault identity.invitation_over, terms_changed, other_institute, sponsor_limit, name_taken, name_reserved
 */
export async function acceptInvitation(
  room: Room,
  trx: IdentityTransaction,
  ticket: string | undefined,
  newcomer: Newcomer,
  proof: JoinProof,
  origin: Origin & { userAgent?: string },
): Promise<AcceptedInvitation> {
  const admitted = await admit(room, trx, ticket, newcomer, proof, origin)
  if (admitted === undefined) return { personId: undefined, session: undefined }
  const { personId, identityId } = admitted
  const { identity: _, ...signIn } = proof
  const session = await startBrowserSession(room, trx, personId, {
    address: origin.address,
    userAgent: origin.userAgent ?? '',
    proof: { ...signIn, ...(identityId !== undefined && { identityId }) },
  })
  const { name } = await requireSubject(trx, personId, 'person')
  const self = { ...origin, actor: { id: personId, kind: 'person', name } }
  await room.audit(trx, self, { action: 'sign-in', target: personId, detail: { method: proof.method } })
  return { personId, session }
}

/** The same for somebody who is signed in already. Undefined: his sponsor has to confirm it. */
export async function admit(
  room: Room,
  trx: IdentityTransaction,
  ticket: string | undefined,
  newcomer: Newcomer,
  proof: JoinProof,
  origin: Origin,
): Promise<{ personId: string; identityId: string | undefined } | undefined> {
  const nowMs = room.clock.nowMs()
  const { row, invitation } = await findTicket(room, trx, ticket)
  if (row.used_at_ms !== null || row.confirmation_id !== null || !isOpen(invitation, nowMs)) throw invitationOver()
  await requireCurrent(trx, row.terms_version ?? -1)
  const known = await knownPerson(trx, newcomer, proof)
  await requireIssuer(trx, invitation, proof, known)
  const verified = await verifiedAddress(trx, newcomer, known)
  if (isOtherAddress(invitation.addressed_to, verified) && known !== invitation.sponsor_id) {
    await waitForSponsor(room, trx, { row, invitation, newcomer, proof, known, email: verified! }, origin)
    return undefined
  }
  const wanted = {
    invitation,
    newcomer,
    identity: proof.identity,
    known,
    termsVersion: row.terms_version!,
    language: row.language,
    verified,
  }
  const admitted = await enter(room, trx, wanted, origin)
  await trx
    .updateTable('identity_join_ticket')
    .set({ used_at_ms: nowMs, person_id: admitted.personId })
    .where('ticket_hash', '=', row.ticket_hash)
    .execute()
  return admitted
}

export interface Entry {
  invitation: InvitationRow
  newcomer: Newcomer
  identity: VouchedIdentity | undefined
  known: string | undefined
  termsVersion: number
  language: string
  verified: string | undefined
}

/** Takes a seat, makes the account if there is none, gives the membership. */
export async function enter(
  room: Room,
  trx: IdentityTransaction,
  entry: Entry,
  origin: Origin,
): Promise<{ personId: string; identityId: string | undefined }> {
  const { invitation, known } = entry
  const nowMs = room.clock.nowMs()
  const place = placeOf(invitation)
  const policy = await policyAt(trx, place)
  // What the inviter may give today counts, not what he could when he made the link.
  const inviter = room.subjectNow(invitation.invited_by)
  if (inviter === undefined || !(await mayInvite(room, trx, inviter, place, policy))) {
    throw identityFaults.invitationOver('Whoever invited you may no longer do so.', {
      hint: 'Ask for a new invitation.',
    })
  }
  if (place.role === 'guest' && invitation.kind === 'person' && (known === undefined || (await isGuest(trx, known)))) {
    const sponsor = await requireSubject(trx, invitation.sponsor_id, 'person')
    const but = known === undefined ? {} : { but: known }
    await requireSponsorRoom(trx, sponsor, policy, { countOpen: false, nowMs, ...but })
  }
  await takeSeat(trx, invitation, nowMs)
  const inviterRow = await requireSubject(trx, invitation.invited_by, 'person')
  const byInvitation: Origin = {
    ...origin,
    actor: { id: invitation.invited_by, kind: 'invitation', name: inviterRow.name },
  }
  const personId = known ?? (await createNewcomer(room, trx, entry.newcomer, byInvitation))
  const { name, display_name } = await requireSubject(trx, personId, 'person')
  const self: Origin = { ...origin, actor: { id: personId, kind: 'person', name } }
  const identityId = entry.identity && (await linkIdentity(room, trx, personId, entry.identity, self))
  // Whoever waited for his sponsor while the rules changed is asked again.
  const terms = await currentTerms(trx)
  if (terms.version === entry.termsVersion) await acceptTerms(room, trx, personId, terms.version, self, entry.language)
  const account = await joinAccount(room, trx, {
    personId,
    isNew: known === undefined,
    invitation,
    email: entry.verified ?? invitation.addressed_to,
    emailVerified: entry.verified !== undefined,
    language: entry.language,
  })
  const endMs = invitation.access_end_ms
  await membershipChange(
    room,
    trx,
    {
      personId,
      group: place.group,
      role: place.role,
      // Whose account ends with the access may read for some days more, and needs the role for that.
      untilMs: endMs === null ? null : account.access_end_ms === null ? endMs : endMs + graceMs,
      source: `invitation:${invitation.id}`,
    },
    byInvitation,
  )
  const detail = { invitation: invitation.id, group: place.group, role: place.role, sponsor: invitation.sponsor_id }
  const event = { action: 'invitation-accepted', target: personId, experiment: place.experiment, detail } as const
  await room.audit(trx, self, event)
  await room.changed(trx, personId, 'joined')
  if (invitation.kind === 'person') {
    await mailPerson(room, trx, invitation.sponsor_id, {
      template: 'guest-joined',
      data: {
        guest: display_name,
        account: name,
        group: place.group,
        url: `${room.publicUrl}/e/${place.experiment}/invitations`,
      },
    })
  }
  return { personId, identityId }
}

/** Two who accept at the same moment cannot have the same seat. */
async function takeSeat(trx: IdentityTransaction, invitation: InvitationRow, nowMs: number): Promise<void> {
  const taken = await trx
    .updateTable('identity_invitation')
    .set((row) => ({
      used: row('used', '+', 1),
      state: row
        .case()
        .when(row('used', '+', 1), '>=', row.ref('max_uses'))
        .then('used' as const)
        .else('open' as const)
        .end(),
    }))
    .where('id', '=', invitation.id)
    .where('state', '=', 'open')
    .where('expires_at_ms', '>', nowMs)
    .whereRef('used', '<', 'max_uses')
    .returning('id')
    .executeTakeFirst()
  if (taken === undefined) throw invitationOver()
}

async function createNewcomer(
  room: Room,
  trx: IdentityTransaction,
  newcomer: Newcomer,
  origin: Origin,
): Promise<string> {
  if ('personId' in newcomer) return newcomer.personId
  const { displayName, name, suggestedName } = newcomer
  const make = (chosen: string): Promise<string> =>
    createPerson(room, trx, { name: chosen, displayName, siteAdmin: false, roles: [] }, origin)
  if (name !== undefined) return await make(name)
  for (const candidate of accountNames(displayName, suggestedName)) {
    try {
      return await make(candidate)
    } catch (error) {
      if (!(error instanceof Fault) || ![409, 422].includes(error.status)) throw error
    }
  }
  throw identityFaults.nameTaken('No account name could be made from this name.', { hint: 'Choose one.' })
}

/** The account whose identity this is; never found by an e-mail address or a name. */
async function knownPerson(
  trx: IdentityTransaction,
  newcomer: Newcomer,
  { identity }: JoinProof,
): Promise<string | undefined> {
  if ('personId' in newcomer) return newcomer.personId
  if (identity === undefined) return undefined
  const row = await trx
    .selectFrom('identity_identity')
    .select('person_id')
    .where('issuer', '=', identity.issuer)
    .where('subject', '=', identity.subject)
    .executeTakeFirst()
  if (row === undefined) return undefined
  const person = await requireSubject(trx, row.person_id, 'person')
  if (person.state !== 'active' && person.state !== 'grace') throw invitationOver()
  return row.person_id
}

/** An invitation may name the institutes that have to vouch. */
async function requireIssuer(
  trx: IdentityTransaction,
  invitation: InvitationRow,
  { identity }: JoinProof,
  known: string | undefined,
): Promise<void> {
  if (invitation.issuers === null) return
  const allowed = JSON.parse(invitation.issuers) as string[]
  if (identity !== undefined && allowed.includes(identity.issuer)) return
  if (identity === undefined && known !== undefined && allowed.length > 0) {
    const linked = await trx
      .selectFrom('identity_identity')
      .select('id')
      .where('person_id', '=', known)
      .where('issuer', 'in', allowed)
      .executeTakeFirst()
    if (linked !== undefined) return
  }
  throw identityFaults.otherInstitute('This invitation is for people of a certain institute.', {
    hint: `Sign in with: ${allowed.join(', ')}.`,
  })
}

async function verifiedAddress(
  trx: IdentityTransaction,
  newcomer: Newcomer,
  known: string | undefined,
): Promise<string | undefined> {
  if (newcomer.email !== undefined) return newcomer.email
  if (known === undefined) return undefined
  const account = await accountOf(trx, known)
  return account?.email_verified === 1 && account.email !== null ? account.email : undefined
}

function isOtherAddress(addressedTo: string | null, verified: string | undefined): boolean {
  if (addressedTo === null || verified === undefined) return false
  return addressedTo.toLowerCase() !== verified.toLowerCase()
}

async function waitForSponsor(
  room: Room,
  trx: IdentityTransaction,
  wanted: {
    row: TicketRow
    invitation: InvitationRow
    newcomer: Newcomer
    proof: JoinProof
    known: string | undefined
    email: string
  },
  origin: Origin,
): Promise<void> {
  const { row, invitation, newcomer, proof, known, email } = wanted
  const nowMs = room.clock.nowMs()
  const { issuer = '', subject = '', label = '', assurance = '' } = proof.identity ?? {}
  const displayName =
    'personId' in newcomer
      ? (await requireSubject(trx, newcomer.personId, 'person')).display_name
      : newcomer.displayName
  const confirmation: IdentityTables['identity_join_confirmation'] = {
    id: uuid7(nowMs),
    invitation_id: invitation.id,
    name: 'personId' in newcomer ? null : (newcomer.name ?? newcomer.suggestedName ?? null),
    display_name: displayName,
    email,
    issuer,
    subject,
    label,
    assurance,
    person_id: known ?? null,
    terms_version: row.terms_version!,
    language: row.language,
    address: origin.address.slice(0, 100),
    created_at_ms: nowMs,
    state: 'waiting',
    decided_by: null,
    decided_at_ms: null,
  }
  await trx.insertInto('identity_join_confirmation').values(confirmation).execute()
  await trx
    .updateTable('identity_join_ticket')
    .set({ confirmation_id: confirmation.id })
    .where('ticket_hash', '=', row.ticket_hash)
    .execute()
  await room.audit(trx, origin, {
    action: 'join-waits-for-sponsor',
    target: invitation.id,
    experiment: invitation.experiment,
    detail: { displayName, email, issuer, subject },
  })
  await mailPerson(room, trx, invitation.sponsor_id, {
    template: 'join-waits',
    data: {
      guest: displayName,
      email,
      issuer: issuer === '' ? new URL(room.publicUrl).host : issuer,
      addressedTo: invitation.addressed_to ?? '',
      group: invitation.group_path,
      url: `${room.publicUrl}/e/${invitation.experiment}/invitations`,
    },
  })
}

/** The sponsor's word. He writes the name of the person, so that nobody is let in by a habit of clicking. */
export async function decideJoin(
  room: Room,
  trx: IdentityTransaction,
  confirmation: IdentityTables['identity_join_confirmation'],
  invitation: InvitationRow,
  { decision, displayName }: { decision: 'confirm' | 'refuse'; displayName: string },
  origin: Origin,
): Promise<void> {
  if (decision === 'confirm' && plain(displayName) !== plain(confirmation.display_name)) {
    throw identityFaults.invitationRefused(`That is not the name of the person who waits.`, {
      hint: `Write it as it stands there: ${confirmation.display_name}.`,
    })
  }
  const decided = await trx
    .updateTable('identity_join_confirmation')
    .set({
      state: decision === 'confirm' ? 'confirmed' : 'refused',
      decided_by: origin.actor.id,
      decided_at_ms: room.clock.nowMs(),
    })
    .where('id', '=', confirmation.id)
    .where('state', '=', 'waiting')
    .returning('id')
    .executeTakeFirst()
  if (decided === undefined) throw identityFaults.notInThisState('This has been decided already.')
  const action = decision === 'confirm' ? 'join-confirmed' : 'join-refused'
  const detail = { displayName: confirmation.display_name, email: confirmation.email }
  await room.audit(trx, origin, { action, target: invitation.id, experiment: invitation.experiment, detail })
  if (decision === 'refuse') return
  const { issuer, subject, label, assurance } = confirmation
  const identity = issuer === '' ? undefined : { issuer, subject, label, assurance }
  const newcomer: Newcomer =
    confirmation.person_id === null
      ? { displayName: confirmation.display_name, suggestedName: confirmation.name ?? undefined }
      : { personId: confirmation.person_id }
  const known = await knownPerson(trx, newcomer, { method: 'institute', identity })
  const entry = {
    invitation,
    newcomer,
    identity,
    known,
    termsVersion: confirmation.terms_version,
    language: confirmation.language,
    verified: confirmation.email,
  }
  const { personId } = await enter(room, trx, entry, { ...origin, address: confirmation.address })
  await trx
    .updateTable('identity_join_ticket')
    .set({ used_at_ms: room.clock.nowMs(), person_id: personId })
    .where('confirmation_id', '=', confirmation.id)
    .execute()
}

/** @throws Fault identity.no_such_invitation */
export async function requireConfirmation(
  kysely: IdentityKysely | IdentityTransaction,
  id: string,
): Promise<IdentityTables['identity_join_confirmation']> {
  const row = await kysely.selectFrom('identity_join_confirmation').selectAll().where('id', '=', id).executeTakeFirst()
  if (row !== undefined) return row
  throw identityFaults.noSuchInvitation('Nobody waits under this id.')
}

function plain(name: string): string {
  return name.normalize('NFKC').trim().replaceAll(/\s+/g, ' ').toLowerCase()
}
