/** Accounts beyond their name: who answers for them, when their access ends, how to write to them. */
import type { z } from 'zod'
import type { Origin } from '../audit.ts'
import { decide } from '../decide.ts'
import { identityFaults } from '../errors.ts'
import { membershipChange } from '../groups/memberships.ts'
import { experimentOf } from '../groups/policy.ts'
import { bumpEpoch, requireSubject } from '../subject-rows.ts'
import type { Room } from '../room.ts'
import type { PersonRole, Subject } from '../subject.ts'
import type { IdentityKysely, IdentityTables, IdentityTransaction } from '../tables.ts'
import {
  dayMs,
  graceMs,
  guestAccessMs,
  longestGuestAccessMs,
  type contactSchema,
  type guestSchema,
} from './contract.ts'
import type { InvitationRow } from './invite.ts'
import { isGuest } from './guest-accounts.ts'
import { isSponsor, mayInvite, policyAt, requireSponsorRoom, type InvitedPlace } from './sponsors.ts'

export type AccountRow = IdentityTables['identity_account']
export type Guest = z.output<typeof guestSchema>
type Reading = IdentityKysely | IdentityTransaction

/** Suspended for so long, somebody whose access has ended is archived; and a guest erased after so long again. */
export const archiveAfterMs = 90 * dayMs
export const eraseAfterMs = 365 * dayMs

export async function accountOf(kysely: Reading, personId: string): Promise<AccountRow | undefined> {
  return await kysely.selectFrom('identity_account').selectAll().where('person_id', '=', personId).executeTakeFirst()
}

/** The account after an invitation was accepted: a newcomer's is made, a guest's may get a later end or become a member's. */
export async function joinAccount(
  room: Room,
  trx: IdentityTransaction,
  joined: {
    personId: string
    isNew: boolean
    invitation: InvitationRow
    email: string | null
    emailVerified: boolean
    language: string
  },
): Promise<AccountRow> {
  const { personId, isNew, invitation } = joined
  const nowMs = room.clock.nowMs()
  const present = isNew ? undefined : await accountOf(trx, personId)
  const asGuest = invitation.role === 'guest'
  const base = present ?? { ...emptyAccount(personId, nowMs), language: joined.language }
  const ends = isNew || present?.guest === 1
  const account: AccountRow = {
    ...base,
    ...(joined.email !== null &&
      (base.email === null || joined.emailVerified) && {
        email: joined.email,
        email_verified: joined.emailVerified ? 1 : 0,
      }),
    ...(ends && {
      guest: asGuest ? 1 : 0,
      sponsor_id: asGuest ? (base.sponsor_id ?? invitation.sponsor_id) : null,
      invitation_id: base.invitation_id ?? invitation.id,
      access_end_ms: laterEnd(present, invitation.access_end_ms),
    }),
  }
  await writeAccount(trx, account)
  if (present !== undefined && ends) await reviveAccount(room, trx, personId)
  return account
}

/** None is later than any; of a newcomer it is the invitation's. */
function laterEnd(present: AccountRow | undefined, endMs: number | null): number | null {
  if (present === undefined || endMs === null) return endMs
  return present.access_end_ms === null ? null : Math.max(present.access_end_ms, endMs)
}

export function emptyAccount(personId: string, nowMs: number): AccountRow {
  return {
    person_id: personId,
    guest: 0,
    sponsor_id: null,
    invitation_id: null,
    access_end_ms: null,
    state_since_ms: nowMs,
    by_end: 0,
    orphan_since_ms: null,
    home_name: null,
    heir_experiment: null,
    email: null,
    email_verified: 0,
    language: 'en',
  }
}

export async function writeAccount(trx: IdentityTransaction, account: AccountRow): Promise<void> {
  const { person_id: _, ...change } = account
  await trx
    .insertInto('identity_account')
    .values(account)
    .onConflict((conflict) => conflict.column('person_id').doUpdateSet(change))
    .execute()
}

/** An issuer has said that this address is his: kept if he has given none himself. */
export async function rememberAddress(
  room: Room,
  trx: IdentityTransaction,
  personId: string,
  email: string,
): Promise<void> {
  const present = await accountOf(trx, personId)
  if (present !== undefined && present.email !== null && present.email !== email) return
  if (present?.email === email && present.email_verified === 1) return
  const base = present ?? emptyAccount(personId, room.clock.nowMs())
  await writeAccount(trx, { ...base, email, email_verified: 1 })
}

/** What the person himself says about where notices go, and in which language. */
export async function setContact(
  room: Room,
  trx: IdentityTransaction,
  personId: string,
  { email, language }: { email: string | null; language: string },
  origin: Origin,
): Promise<void> {
  const base = (await accountOf(trx, personId)) ?? emptyAccount(personId, room.clock.nowMs())
  const verified = email !== null && email === base.email ? base.email_verified : 0
  await writeAccount(trx, { ...base, email, email_verified: verified, language })
  await room.audit(trx, origin, { action: 'contact-changed', target: personId, detail: { language } })
}

export async function showContact(room: Room, personId: string): Promise<z.output<typeof contactSchema>> {
  const account = await accountOf(room.kysely, personId)
  const sponsorId = account?.sponsor_id ?? null
  const sponsor = sponsorId === null ? null : await requireSubject(room.kysely, sponsorId, 'person')
  return {
    email: account?.email ?? null,
    verified: account?.email_verified === 1,
    language: account?.language ?? 'en',
    accessEndMs: account?.access_end_ms ?? null,
    sponsor: sponsor?.display_name ?? null,
    mailGoesOut: room.mailGoesOut,
  }
}

/** Out of grace or suspension, if it was the end of the access that led there. */
async function reviveAccount(room: Room, trx: IdentityTransaction, personId: string): Promise<void> {
  const { state } = await requireSubject(trx, personId, 'person')
  if (state !== 'grace' && state !== 'suspended') return
  await trx.updateTable('identity_subject').set({ state: 'active' }).where('id', '=', personId).execute()
  await trx
    .updateTable('identity_account')
    .set({ state_since_ms: room.clock.nowMs(), by_end: 0, orphan_since_ms: null })
    .where('person_id', '=', personId)
    .execute()
  await bumpEpoch(room, trx, personId, 'reinstated')
}

/** Where the guest works, as far as invitations gave it. */
async function placesOf(kysely: Reading, personId: string): Promise<(InvitedPlace & { source: string })[]> {
  const rows = await kysely
    .selectFrom('identity_membership')
    .selectAll()
    .where('person_id', '=', personId)
    .where('source', 'like', 'invitation:%')
    .orderBy('group_path')
    .execute()
  return rows.map((row) => ({
    experiment: experimentOf(row.group_path),
    group: row.group_path,
    role: row.role as PersonRole,
    source: row.source,
  }))
}

/**
 * May he decide about this guest: as the sponsor, as one who manages the people of the group, or, when the sponsor has
 * left, as anybody who could have invited him.
 */
async function mayAnswerFor(
  room: Room,
  kysely: Reading,
  subject: Subject,
  account: AccountRow,
  places: readonly InvitedPlace[],
): Promise<boolean> {
  const nowMs = room.clock.nowMs()
  if (subject.kind !== 'person' || (await isGuest(kysely, subject.id))) return false
  if (decide(subject, 'site.admin', {}, nowMs).allow) return true
  for (const place of places) {
    if (decide(subject, 'people.manage', place, nowMs).allow) return true
    if (account.sponsor_id !== subject.id && account.orphan_since_ms === null) continue
    if (isSponsor(subject, place, await policyAt(kysely, place), nowMs)) return true
  }
  return false
}

/** @throws Fault identity.no_such_guest: what is not his to decide looks like nothing */
export async function requireGuest(
  room: Room,
  kysely: Reading,
  personId: string,
  subject: Subject,
): Promise<{ account: AccountRow; places: (InvitedPlace & { source: string })[] }> {
  const account = await accountOf(kysely, personId)
  const places = account === undefined ? [] : await endedPlacesOf(kysely, personId, account)
  if (account !== undefined && (await mayAnswerFor(room, kysely, subject, account, places))) return { account, places }
  throw identityFaults.noSuchGuest('There is no such guest of yours.', {
    hint: 'The sponsor, or a manager of the group, can do this.',
  })
}

/**
 * One click: another half year. Whoever renews answers for the guest from now on. What the policies of the groups allow
 * today counts, also for how long.
 * @throws Fault identity.beyond_ceiling, sponsor_limit, not_in_this_state
 */
export async function renewGuest(
  room: Room,
  trx: IdentityTransaction,
  personId: string,
  wantedEndMs: number | undefined,
  renewer: Subject,
  origin: Origin,
): Promise<void> {
  const nowMs = room.clock.nowMs()
  const { account } = await requireGuest(room, trx, personId, renewer)
  const { state } = await requireSubject(trx, personId, 'person')
  if (!isRenewable(state, account)) {
    throw identityFaults.notInThisState('This account can no longer be renewed.', {
      hint: state === 'suspended' ? 'An administrator has suspended it.' : 'Invite the person anew.',
    })
  }
  const places = await endedPlacesOf(trx, personId, account)
  const kept: { place: (typeof places)[number]; mostMs: number }[] = []
  for (const place of places) {
    const policy = await policyAt(trx, place)
    const mayGive = await mayInvite(room, trx, renewer, place, policy)
    if (!mayGive || (place.role === 'guest' && !policy.ceiling.guestAllowed)) continue
    if (account.guest === 1 && account.sponsor_id !== renewer.id)
      await requireSponsorRoom(trx, renewer, policy, { countOpen: false, nowMs, but: personId })
    const { membershipMaxDays = Infinity } = policy.ceiling
    kept.push({
      place,
      mostMs: Math.min(account.guest === 1 ? longestGuestAccessMs : Infinity, membershipMaxDays * dayMs),
    })
  }
  if (kept.length === 0) {
    throw identityFaults.beyondCeiling('You may not invite into any group this person was in.', {
      hint: 'Ask a manager of the group.',
    })
  }
  const mostMs = Math.max(...kept.map((one) => one.mostMs))
  const endMs = wantedEndMs ?? nowMs + Math.min(guestAccessMs, mostMs)
  if (endMs <= nowMs) throw identityFaults.invitationRefused('This end is already over.')
  if (endMs > nowMs + mostMs) {
    throw identityFaults.beyondCeiling(`The access can last ${Math.floor(mostMs / dayMs)} days at most.`, {
      hint: 'Choose an earlier end; it can be renewed again.',
    })
  }
  for (const { place, mostMs: most } of kept) {
    const untilMs = Math.min(endMs, nowMs + most) + graceMs
    const { group, role, source } = place
    await membershipChange(
      room,
      trx,
      { personId, group, role, untilMs, source: source as `invitation:${string}` },
      origin,
    )
  }
  await trx
    .updateTable('identity_account')
    .set({
      access_end_ms: endMs,
      orphan_since_ms: null,
      ...(account.guest === 1 && { sponsor_id: renewer.id }),
    })
    .where('person_id', '=', personId)
    .execute()
  await reviveAccount(room, trx, personId)
  await room.audit(trx, origin, {
    action: 'access-renewed',
    target: personId,
    experiment: kept[0]!.place.experiment,
    detail: { accessEndMs: endMs, sponsor: account.guest === 1 ? renewer.id : account.sponsor_id },
  })
  await room.changed(trx, personId, 'access-renewed')
}

/** What the person has, and of somebody who is suspended what his invitation gave. */
async function endedPlacesOf(
  trx: Reading,
  personId: string,
  account: AccountRow,
): Promise<(InvitedPlace & { source: string })[]> {
  const places = await placesOf(trx, personId)
  if (places.length > 0 || account.invitation_id === null) return places
  const row = await trx
    .selectFrom('identity_invitation')
    .selectAll()
    .where('id', '=', account.invitation_id)
    .executeTakeFirst()
  if (row === undefined) return []
  const role = row.role as PersonRole
  return [{ experiment: row.experiment, group: row.group_path, role, source: `invitation:${row.id}` }]
}

function isRenewable(state: string, account: AccountRow): boolean {
  return state === 'active' || state === 'grace' || (state === 'suspended' && account.by_end === 1)
}

/** Guests of a sponsor, or of an experiment; soonest end first. */
export async function listGuests(
  room: Room,
  filter: { sponsor?: string; experiment?: string; invitation?: string },
): Promise<Guest[]> {
  const { kysely } = room
  let query = kysely
    .selectFrom('identity_account as account')
    .innerJoin('identity_subject as subject', 'subject.id', 'account.person_id')
    .leftJoin('identity_subject as sponsor', 'sponsor.id', 'account.sponsor_id')
    .selectAll('account')
    .select([
      'subject.name',
      'subject.display_name',
      'subject.state',
      'subject.created_at_ms',
      'sponsor.name as sponsor_name',
    ])
    .where('subject.state', '!=', 'erased')
    .orderBy('account.access_end_ms')
    .orderBy('subject.name')
    .limit(1000)
  if (filter.sponsor !== undefined) query = query.where('account.sponsor_id', '=', filter.sponsor)
  if (filter.invitation !== undefined) query = query.where('account.invitation_id', '=', filter.invitation)
  if (filter.experiment !== undefined) {
    const invitations = kysely
      .selectFrom('identity_invitation')
      .select('id')
      .where('experiment', '=', filter.experiment)
    query = query.where('account.invitation_id', 'in', invitations).where('account.access_end_ms', 'is not', null)
  }
  const rows = await query.execute()
  const memberships =
    rows.length === 0
      ? []
      : await kysely
          .selectFrom('identity_membership')
          .select(['person_id', 'group_path'])
          .where(
            'person_id',
            'in',
            rows.map((row) => row.person_id),
          )
          .orderBy('group_path')
          .execute()
  return rows.map((row) => ({
    id: row.person_id,
    name: row.name,
    displayName: row.display_name,
    state: row.state,
    sponsor: row.sponsor_id === null ? null : { id: row.sponsor_id, name: row.sponsor_name ?? '' },
    email: row.email,
    groups: [...new Set(memberships.filter((one) => one.person_id === row.person_id).map((one) => one.group_path))],
    accessEndMs: row.access_end_ms,
    nextStepAtMs: nextStepOf(row),
    orphan: row.orphan_since_ms !== null,
    joinedAtMs: row.created_at_ms,
  }))
}

export async function showGuest(room: Room, personId: string): Promise<Guest> {
  const { name, display_name, state, created_at_ms } = await requireSubject(room.kysely, personId, 'person')
  const account = await accountOf(room.kysely, personId)
  const groups = await room.kysely
    .selectFrom('identity_membership')
    .select('group_path')
    .distinct()
    .where('person_id', '=', personId)
    .orderBy('group_path')
    .execute()
  const sponsorId = account?.sponsor_id ?? null
  const sponsor = sponsorId === null ? null : await requireSubject(room.kysely, sponsorId, 'person')
  return {
    id: personId,
    name,
    displayName: display_name,
    state,
    sponsor: sponsor && { id: sponsor.id, name: sponsor.name },
    email: account?.email ?? null,
    groups: groups.map((row) => row.group_path),
    accessEndMs: account?.access_end_ms ?? null,
    nextStepAtMs: account === undefined ? null : nextStepOf({ ...account, state }),
    orphan: account !== undefined && account.orphan_since_ms !== null,
    joinedAtMs: created_at_ms,
  }
}

function nextStepOf(row: AccountRow & { state: string }): number | null {
  if (row.state === 'grace') return row.state_since_ms + graceMs
  if (row.state === 'suspended' && row.by_end === 1) return row.state_since_ms + archiveAfterMs
  if (row.state === 'archived' && row.guest === 1) return row.state_since_ms + eraseAfterMs
  return null
}
