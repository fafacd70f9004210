/** Making, listing, revoking and renewing invitations. */
import type { z } from 'zod'
import { uuid7 } from '../../foundation/ids.ts'
import type { Origin } from '../audit.ts'
import { decide } from '../decide.ts'
import { identityFaults } from '../errors.ts'
import { rootOf, type Policy } from '../groups/policy.ts'
import { requireSubject } from '../subject-rows.ts'
import type { Room } from '../room.ts'
import type { PersonRole, Subject } from '../subject.ts'
import type { IdentityKysely, IdentityTables, IdentityTransaction } from '../tables.ts'
import {
  dayMs,
  guestAccessMs,
  longestGuestAccessMs,
  type invitationSchema,
  type newInvitationSchema,
} from './contract.ts'
import { hashOfInvitationCode, joinUrl, newInvitationCode } from './invitation-code.ts'
import { dropMail, enqueueMail } from './outbox.ts'
import { policyAt, requireInviter, requireSponsorRoom, type InvitedPlace } from './sponsors.ts'

export type InvitationRow = IdentityTables['identity_invitation']
export type Invitation = z.output<typeof invitationSchema>

export interface NewInvitation {
  experiment: string
  group?: string | undefined
  role: PersonRole
  sponsor?: string | undefined
  addressedTo?: string | undefined
  issuers?: string[] | undefined
  message: string
  accessEndMs?: number | undefined
  lifetimeMs: number
  language: 'en' | 'it'
  /** A class link. */
  seats?: number
}

/** @throws Fault identity.beyond_ceiling, invitation_refused, sponsor_limit, no_such_group, no_such_person */
export async function createInvitation(
  room: Room,
  trx: IdentityTransaction,
  input: NewInvitation,
  inviter: Subject,
  origin: Origin,
): Promise<{ id: string; url: string }> {
  const nowMs = room.clock.nowMs()
  const place = { experiment: input.experiment, group: input.group ?? rootOf(input.experiment), role: input.role }
  const policy = await policyAt(trx, place)
  await requireInviter(room, trx, inviter, place, policy)
  const sponsor = await sponsorOf(room, trx, input.sponsor, inviter, place, policy)
  const isClass = input.seats !== undefined
  if (place.role === 'guest') {
    if (!policy.ceiling.guestAllowed) {
      throw identityFaults.beyondCeiling(`The policy of ${place.group} lets no guests in.`, {
        hint: 'Who sets its ceiling can change that.',
      })
    }
    if (!isClass) await requireSponsorRoom(trx, sponsor, policy, { countOpen: true, nowMs })
  }
  const accessEndMs = accessEndOf(input, policy, nowMs)
  const code = newInvitationCode()
  const row: InvitationRow = {
    id: uuid7(nowMs),
    kind: isClass ? 'class' : 'person',
    code_hash: hashOfInvitationCode(code),
    experiment: place.experiment,
    group_path: place.group,
    role: place.role,
    invited_by: inviter.id,
    sponsor_id: sponsor.id,
    addressed_to: input.addressedTo ?? null,
    issuers: input.issuers === undefined ? null : JSON.stringify(input.issuers),
    message: input.message,
    access_end_ms: accessEndMs,
    max_uses: input.seats ?? 1,
    used: 0,
    created_at_ms: nowMs,
    expires_at_ms: nowMs + input.lifetimeMs,
    state: 'open',
    mail_id: null,
  }
  const url = joinUrl(room.publicUrl, code)
  row.mail_id = await mailLink(room, trx, row, url, input.language)
  await trx.insertInto('identity_invitation').values(row).execute()
  const detail = {
    group: place.group,
    role: place.role,
    sponsor: sponsor.id,
    addressedTo: row.addressed_to,
    accessEndMs,
    expiresAtMs: row.expires_at_ms,
    ...(isClass && { seats: row.max_uses }),
  }
  await room.audit(trx, origin, { action: 'invitation-created', target: row.id, experiment: place.experiment, detail })
  return { id: row.id, url }
}

/** Guests always have an end; nobody stays longer than the policies allow. */
function accessEndOf({ role, accessEndMs }: NewInvitation, policy: Policy, nowMs: number): number | null {
  const { membershipMaxDays } = policy.ceiling
  const policyMs = membershipMaxDays === undefined ? Infinity : membershipMaxDays * dayMs
  const mostMs = role === 'guest' ? Math.min(longestGuestAccessMs, policyMs) : policyMs
  if (accessEndMs === undefined) {
    if (role === 'guest') return nowMs + Math.min(guestAccessMs, mostMs)
    return mostMs === Infinity ? null : nowMs + mostMs
  }
  if (accessEndMs <= nowMs) throw identityFaults.invitationRefused('The access would have ended already.')
  if (accessEndMs > nowMs + mostMs) {
    throw identityFaults.beyondCeiling(`The access can last ${Math.floor(mostMs / dayMs)} days at most.`, {
      hint: 'Choose an earlier end; it can be renewed.',
    })
  }
  return accessEndMs
}

/** Who answers for the guest: whoever invites, or somebody he names who could invite himself. */
async function sponsorOf(
  room: Room,
  trx: IdentityTransaction,
  sponsorId: string | undefined,
  inviter: Subject,
  place: InvitedPlace,
  policy: Policy,
): Promise<{ id: string; name: string }> {
  if (sponsorId === undefined || sponsorId === inviter.id) return inviter
  const { name } = await requireSubject(trx, sponsorId, 'person')
  const sponsor = room.subjectNow(sponsorId)
  if (sponsor === undefined)
    throw identityFaults.invitationRefused(`${name} is not active and cannot answer for anybody.`)
  await requireInviter(room, trx, sponsor, place, policy)
  return sponsor
}

async function mailLink(
  room: Room,
  trx: IdentityTransaction,
  row: InvitationRow,
  url: string,
  language: string,
): Promise<string | null> {
  if (row.addressed_to === null) return null
  const sponsor = await requireSubject(trx, row.sponsor_id, 'person')
  return await enqueueMail(room, trx, {
    to: row.addressed_to,
    template: 'invitation',
    language,
    usefulUntilMs: row.expires_at_ms,
    data: {
      site: new URL(room.publicUrl).host,
      sponsor: sponsor.display_name,
      experiment: row.experiment,
      group: row.group_path,
      message: row.message,
      url,
      expiresAtMs: row.expires_at_ms,
      accessEndMs: row.access_end_ms,
    },
  })
}

/** Who manages the people of the group, or who invited or answers for it. A stranger learns nothing. */
export async function requireInvitation(
  room: Room,
  kysely: IdentityKysely | IdentityTransaction,
  invitationId: string,
  subject: Subject,
): Promise<InvitationRow> {
  const row = await kysely
    .selectFrom('identity_invitation')
    .selectAll()
    .where('id', '=', invitationId)
    .executeTakeFirst()
  if (row !== undefined && isOwnOrManaged(row, subject, room.clock.nowMs())) return row
  throw identityFaults.noSuchInvitation('There is no such invitation of yours.')
}

function isOwnOrManaged(row: InvitationRow, subject: Subject, nowMs: number): boolean {
  if (row.invited_by === subject.id || row.sponsor_id === subject.id) return true
  return decide(subject, 'people.manage', { experiment: row.experiment, group: row.group_path }, nowMs).allow
}

/** @throws Fault identity.not_in_this_state when it is over already */
export async function revokeInvitation(
  room: Room,
  trx: IdentityTransaction,
  row: InvitationRow,
  origin: Origin,
): Promise<void> {
  const revoked = await trx
    .updateTable('identity_invitation')
    .set({ state: 'revoked' })
    .where('id', '=', row.id)
    .where('state', '=', 'open')
    .returning('id')
    .executeTakeFirst()
  if (revoked === undefined) {
    throw identityFaults.notInThisState('This invitation is over already.', {
      hint: 'Who has come in by it is among the guests; end the access there.',
    })
  }
  await dropMail(room, trx, row.mail_id)
  const event = { action: 'invitation-revoked', target: row.id, experiment: row.experiment } as const
  await room.audit(trx, origin, event)
}

/** A new link in place of the old one. What the first one gave is checked again, against what holds now. */
export async function renewInvitation(
  room: Room,
  trx: IdentityTransaction,
  row: InvitationRow,
  lifetimeMs: number,
  renewer: Subject,
  origin: Origin,
): Promise<{ url: string }> {
  const nowMs = room.clock.nowMs()
  if (row.state !== 'open' && row.state !== 'declined') {
    throw identityFaults.notInThisState('This invitation was used or revoked and cannot be renewed.', {
      hint: 'Invite again.',
    })
  }
  const place = placeOf(row)
  const policy = await policyAt(trx, place)
  await requireInviter(room, trx, renewer, place, policy)
  const keptMs = row.access_end_ms === null ? undefined : row.access_end_ms
  const left = keptMs !== undefined && keptMs > nowMs ? keptMs : undefined
  const accessEndMs =
    row.kind === 'class' ? row.access_end_ms : accessEndOf({ ...inputOf(row), accessEndMs: left }, policy, nowMs)
  if (accessEndMs !== null && accessEndMs <= nowMs)
    throw identityFaults.invitationRefused('The course has ended.', { hint: 'Make a new class link.' })
  const code = newInvitationCode()
  const url = joinUrl(room.publicUrl, code)
  const renewed: InvitationRow = {
    ...row,
    code_hash: hashOfInvitationCode(code),
    invited_by: renewer.id,
    access_end_ms: accessEndMs,
    expires_at_ms: nowMs + lifetimeMs,
    state: 'open',
  }
  await dropMail(room, trx, row.mail_id)
  const language = await languageOfMail(trx, row.mail_id)
  renewed.mail_id = await mailLink(room, trx, renewed, url, language)
  await trx.updateTable('identity_invitation').set(renewed).where('id', '=', row.id).execute()
  const detail = { expiresAtMs: renewed.expires_at_ms }
  await room.audit(trx, origin, { action: 'invitation-renewed', target: row.id, experiment: row.experiment, detail })
  return { url }
}

function inputOf(row: InvitationRow): NewInvitation {
  return { ...placeOf(row), message: row.message, lifetimeMs: 0, language: 'en' }
}

export function placeOf(row: InvitationRow): InvitedPlace {
  return { experiment: row.experiment, group: row.group_path, role: row.role as PersonRole }
}

async function languageOfMail(trx: IdentityTransaction, mailId: string | null): Promise<string> {
  if (mailId === null) return 'en'
  const mail = await trx.selectFrom('identity_mail').select('language').where('id', '=', mailId).executeTakeFirst()
  return mail?.language ?? 'en'
}

/** Newest first; those of others only for who manages the group. */
export async function listInvitations(
  room: Room,
  subject: Subject,
  { experiment, limit, cursor }: { experiment: string; limit: number; cursor?: string | undefined },
): Promise<{ items: Invitation[]; nextCursor: string | null }> {
  const nowMs = room.clock.nowMs()
  const managesAll = decide(subject, 'people.manage', { experiment }, nowMs).allow
  const items: InvitationRow[] = []
  let from = cursor
  // Pages are read until one is full: which rows are to be seen is decided here, not by the database.
  while (items.length <= limit) {
    let query = room.kysely
      .selectFrom('identity_invitation')
      .selectAll()
      .where('experiment', '=', experiment)
      .orderBy('id', 'desc')
      .limit(limit + 1)
    if (from !== undefined) query = query.where('id', '<', from)
    const rows = await query.execute()
    items.push(...rows.filter((row) => managesAll || isOwnOrManaged(row, subject, nowMs)))
    if (rows.length <= limit) break
    from = rows.at(-1)!.id
  }
  const shown = items.slice(0, limit)
  return {
    items: await Promise.all(shown.map((row) => showInvitation(room, row))),
    nextCursor: items.length > limit ? shown.at(-1)!.id : null,
  }
}

export async function showInvitation(room: Room, row: InvitationRow): Promise<Invitation> {
  const { kysely } = room
  const [inviter, sponsor] = await Promise.all([
    requireSubject(kysely, row.invited_by, 'person'),
    requireSubject(kysely, row.sponsor_id, 'person'),
  ])
  const mail =
    row.mail_id === null
      ? undefined
      : await kysely.selectFrom('identity_mail').select('state').where('id', '=', row.mail_id).executeTakeFirst()
  const waiting = await kysely
    .selectFrom('identity_join_confirmation')
    .selectAll()
    .where('invitation_id', '=', row.id)
    .where('state', '=', 'waiting')
    .execute()
  return {
    id: row.id,
    kind: row.kind,
    experiment: row.experiment,
    group: row.group_path,
    role: row.role as PersonRole,
    invitedBy: { id: inviter.id, name: inviter.name },
    sponsor: { id: sponsor.id, name: sponsor.name, displayName: sponsor.display_name },
    addressedTo: row.addressed_to,
    issuers: row.issuers === null ? null : (JSON.parse(row.issuers) as string[]),
    message: row.message,
    accessEndMs: row.access_end_ms,
    maxUses: row.max_uses,
    used: row.used,
    createdAtMs: row.created_at_ms,
    expiresAtMs: row.expires_at_ms,
    state: row.state === 'open' && row.expires_at_ms <= room.clock.nowMs() ? 'expired' : row.state,
    mail: mail?.state ?? 'none',
    waiting: waiting.map((one) => ({
      id: one.id,
      displayName: one.display_name,
      email: one.email,
      label: one.label,
      issuer: one.issuer,
    })),
  }
}

export async function showNewInvitation(
  room: Room,
  made: { id: string; url: string },
): Promise<z.output<typeof newInvitationSchema>> {
  const row = await room.kysely
    .selectFrom('identity_invitation')
    .selectAll()
    .where('id', '=', made.id)
    .executeTakeFirstOrThrow()
  return { ...(await showInvitation(room, row)), url: made.url }
}

/** A class link is for who manages people: it opens many doors at once. */
export async function requireClass(
  room: Room,
  kysely: IdentityKysely | IdentityTransaction,
  invitationId: string,
): Promise<InvitationRow> {
  const row = await kysely
    .selectFrom('identity_invitation')
    .selectAll()
    .where('id', '=', invitationId)
    .where('kind', '=', 'class')
    .executeTakeFirst()
  if (row !== undefined) return row
  throw identityFaults.noSuchInvitation('There is no such class link.')
}
