/** Somebody asks for an experiment of his own; an admin says yes with three clicks, or no with a reason. */
import type { z } from 'zod'
import { randomToken, uuid7 } from '../../foundation/ids.ts'
import type { Origin } from '../audit.ts'
import { identityFaults } from '../errors.ts'
import { experimentFromTemplate } from '../groups/template.ts'
import type { Room } from '../room.ts'
import { hashOf } from '../seal.ts'
import type { Subject } from '../subject.ts'
import type { IdentityKysely, IdentityTables, IdentityTransaction } from '../tables.ts'
import { dayMs, longestInvitationMs, type experimentRequestSchema } from './contract.ts'
import { createInvitation } from './invite.ts'
import { dropMail, enqueueMail, mailPerson } from './outbox.ts'

export type ExperimentRequest = z.output<typeof experimentRequestSchema>
type RequestRow = IdentityTables['identity_experiment_request']

export interface NewExperimentRequest {
  name: string
  title: string
  purpose: string
  people: number
  storageBytes: number
  endsAtMs: number
  applicant: string
  email: string
  language: 'en' | 'it'
}

/** Requests nobody has confirmed are forgotten after so long. */
const unconfirmedMs = 7 * dayMs
/** A page that anybody reaches must not fill the table. */
const mostWaiting = 200

/** @throws Fault identity.name_taken, invitation_refused, too_many_attempts */
export async function requestExperiment(
  room: Room,
  trx: IdentityTransaction,
  input: NewExperimentRequest,
  { personId, mailGoesOut }: { personId: string | null; mailGoesOut: boolean },
  origin: Origin,
): Promise<{ id: string; state: 'unconfirmed' | 'waiting' }> {
  const nowMs = room.clock.nowMs()
  if (input.endsAtMs <= nowMs) throw identityFaults.invitationRefused('The experiment would have ended already.')
  await forgetUnconfirmed(room, trx)
  await requireFreeName(trx, input.name)
  const waiting = await trx
    .selectFrom('identity_experiment_request')
    .select('id')
    .where('state', 'in', ['unconfirmed', 'waiting'])
    .execute()
  if (waiting.length >= mostWaiting) {
    throw identityFaults.tooManyAttempts('There are too many requests already.', {
      hint: 'Write to the administrator of the platform.',
    })
  }
  const code = personId === null && mailGoesOut ? randomToken(20) : null
  const row: RequestRow = {
    id: uuid7(nowMs),
    name: input.name,
    title: input.title,
    purpose: input.purpose,
    people: input.people,
    storage_bytes: input.storageBytes,
    ends_at_ms: input.endsAtMs,
    applicant: input.applicant,
    email: input.email,
    language: input.language,
    known_by: personId === null ? 'nothing' : 'account',
    person_id: personId,
    confirm_hash: code === null ? null : hashOf(code),
    state: code === null ? 'waiting' : 'unconfirmed',
    created_at_ms: nowMs,
    decided_at_ms: null,
    decided_by: null,
    reason: null,
    invitation_id: null,
    address: origin.address.slice(0, 100),
  }
  await trx.insertInto('identity_experiment_request').values(row).execute()
  const detail = { name: input.name, applicant: input.applicant, knownBy: row.known_by }
  await room.audit(trx, origin, { action: 'experiment-requested', target: row.id, detail })
  if (code === null) await tellAdmins(room, trx, row)
  else {
    await enqueueMail(room, trx, {
      to: input.email,
      template: 'request-confirm',
      language: input.language,
      usefulUntilMs: nowMs + unconfirmedMs,
      data: {
        experiment: input.name,
        site: new URL(room.publicUrl).host,
        url: `${room.publicUrl}/request-experiment#code=${code}`,
      },
    })
  }
  return { id: row.id, state: row.state as 'unconfirmed' | 'waiting' }
}

/** The applicant has his mail. Confirming twice is fine. @throws Fault identity.invalid_code */
export async function confirmRequest(
  room: Room,
  trx: IdentityTransaction,
  code: string,
  origin: Origin,
): Promise<{ name: string; state: 'waiting' | 'approved' | 'rejected' }> {
  const row = await trx
    .selectFrom('identity_experiment_request')
    .selectAll()
    .where('confirm_hash', '=', hashOf(code))
    .executeTakeFirst()
  if (row === undefined) {
    throw identityFaults.invalidCode('This confirmation is not valid, or too old.', {
      hint: 'Ask again for the experiment.',
    })
  }
  if (row.state !== 'unconfirmed') return { name: row.name, state: row.state }
  const confirmed = { ...row, state: 'waiting', known_by: 'mail' } as const
  await trx
    .updateTable('identity_experiment_request')
    .set({ state: confirmed.state, known_by: confirmed.known_by })
    .where('id', '=', row.id)
    .where('state', '=', 'unconfirmed')
    .execute()
  await room.audit(trx, origin, { action: 'experiment-request-confirmed', target: row.id, detail: { name: row.name } })
  await tellAdmins(room, trx, confirmed)
  return { name: row.name, state: 'waiting' }
}

async function tellAdmins(room: Room, trx: IdentityTransaction, row: RequestRow): Promise<void> {
  const admins = await trx
    .selectFrom('identity_subject')
    .select('id')
    .where('kind', '=', 'person')
    .where('site_admin', '=', 1)
    .where('state', '=', 'active')
    .execute()
  for (const { id } of admins) {
    await mailPerson(room, trx, id, {
      template: 'request-arrived',
      data: { applicant: row.applicant, experiment: row.name, url: `${room.publicUrl}/site/requests` },
    })
  }
}

/** An experiment of that name, or somebody who asked for it before. */
async function requireFreeName(trx: IdentityTransaction, name: string): Promise<void> {
  const group = await trx.selectFrom('identity_group').select('path').where('path', '=', `/${name}`).executeTakeFirst()
  const asked = await trx
    .selectFrom('identity_experiment_request')
    .select('id')
    .where('name', '=', name)
    .where('state', '=', 'waiting')
    .executeTakeFirst()
  if (group === undefined && asked === undefined) return
  throw identityFaults.nameTaken(`There is an experiment named '${name}' already, or somebody has asked for one.`, {
    hint: 'Choose another name.',
  })
}

async function forgetUnconfirmed(room: Room, trx: IdentityTransaction): Promise<void> {
  await trx
    .deleteFrom('identity_experiment_request')
    .where('state', '=', 'unconfirmed')
    .where('created_at_ms', '<=', room.clock.nowMs() - unconfirmedMs)
    .execute()
}

/**
 * The experiment with its groups, policies, quota and end, all or nothing; the applicant runs it, at once if he has an
 * account, else by an invitation.
 * @throws Fault identity.no_such_request, not_in_this_state; of the logbook if the name is taken
 */
export async function approveRequest(
  room: Room,
  trx: IdentityTransaction,
  requestId: string,
  wish: { quotaBytes?: number | undefined; endsAtMs?: number | undefined },
  admin: Subject,
  origin: Origin,
): Promise<{ url: string | null }> {
  const nowMs = room.clock.nowMs()
  const row = await decideOn(room, trx, requestId, { state: 'approved', reason: null }, origin)
  const quotaBytes = wish.quotaBytes ?? row.storage_bytes
  const endsAtMs = wish.endsAtMs ?? row.ends_at_ms
  const { name: experiment, title } = row
  const owner = row.person_id === null ? undefined : room.subjectNow(row.person_id)
  await experimentFromTemplate(room, trx, { experiment, title, ownerId: owner?.id, endsAtMs, quotaBytes }, origin)
  const detail = { name: experiment, quotaBytes, endsAtMs, owner: owner?.id ?? row.email }
  const event = { action: 'experiment-request-approved', target: row.id, experiment, detail } as const
  await room.audit(trx, origin, event)
  if (owner !== undefined) {
    await mailPerson(room, trx, owner.id, {
      template: 'request-approved',
      data: { experiment, url: `${room.publicUrl}/e/${experiment}`, known: true, expiresAtMs: null },
    })
    return { url: null }
  }
  const made = await createInvitation(
    room,
    trx,
    {
      experiment,
      role: 'exp-admin',
      addressedTo: row.email,
      message: '',
      lifetimeMs: longestInvitationMs,
      language: row.language === 'it' ? 'it' : 'en',
    },
    admin,
    origin,
  )
  const invitation = await trx
    .selectFrom('identity_invitation')
    .select('mail_id')
    .where('id', '=', made.id)
    .executeTakeFirstOrThrow()
  // One mail, and the one that says what he asked for.
  await dropMail(room, trx, invitation.mail_id)
  const mailId = await enqueueMail(room, trx, {
    to: row.email,
    template: 'request-approved',
    language: row.language,
    usefulUntilMs: nowMs + longestInvitationMs,
    data: { experiment, url: made.url, known: false, expiresAtMs: nowMs + longestInvitationMs },
  })
  await trx.updateTable('identity_invitation').set({ mail_id: mailId }).where('id', '=', made.id).execute()
  await trx
    .updateTable('identity_experiment_request')
    .set({ invitation_id: made.id })
    .where('id', '=', row.id)
    .execute()
  return { url: made.url }
}

export async function rejectRequest(
  room: Room,
  trx: IdentityTransaction,
  requestId: string,
  reason: string,
  origin: Origin,
): Promise<void> {
  const row = await decideOn(room, trx, requestId, { state: 'rejected', reason }, origin)
  const detail = { name: row.name, reason }
  await room.audit(trx, origin, { action: 'experiment-request-rejected', target: row.id, detail })
  await enqueueMail(room, trx, {
    to: row.email,
    template: 'request-rejected',
    language: row.language,
    data: { experiment: row.name, reason },
  })
}

/** One decision, whoever else has the page open. */
async function decideOn(
  room: Room,
  trx: IdentityTransaction,
  requestId: string,
  decision: { state: 'approved' | 'rejected'; reason: string | null },
  origin: Origin,
): Promise<RequestRow> {
  const row = await trx
    .updateTable('identity_experiment_request')
    .set({ ...decision, decided_at_ms: room.clock.nowMs(), decided_by: origin.actor.name })
    .where('id', '=', requestId)
    .where('state', '=', 'waiting')
    .returningAll()
    .executeTakeFirst()
  if (row !== undefined) return row
  const present = await trx
    .selectFrom('identity_experiment_request')
    .select('state')
    .where('id', '=', requestId)
    .executeTakeFirst()
  if (present === undefined) throw identityFaults.noSuchRequest('There is no such request.')
  throw identityFaults.notInThisState(`This request is ${present.state} already.`)
}

/** Newest first; what nobody has confirmed is not shown. */
export async function listRequests(
  kysely: IdentityKysely,
  { limit, cursor }: { limit: number; cursor?: string | undefined },
): Promise<{ items: ExperimentRequest[]; nextCursor: string | null }> {
  let query = kysely
    .selectFrom('identity_experiment_request')
    .selectAll()
    .where('state', '!=', 'unconfirmed')
    .orderBy('id', 'desc')
    .limit(limit + 1)
  if (cursor !== undefined) query = query.where('id', '<', cursor)
  const rows = await query.execute()
  const items = rows.slice(0, limit).map(requestOf)
  return { items, nextCursor: rows.length > limit ? items.at(-1)!.id : null }
}

/** @throws Fault identity.no_such_request */
export async function showRequest(kysely: IdentityKysely, id: string): Promise<ExperimentRequest> {
  const row = await kysely.selectFrom('identity_experiment_request').selectAll().where('id', '=', id).executeTakeFirst()
  if (row === undefined) throw identityFaults.noSuchRequest('There is no such request.')
  return requestOf(row)
}

function requestOf(row: RequestRow): ExperimentRequest {
  return {
    id: row.id,
    name: row.name,
    title: row.title,
    purpose: row.purpose,
    people: row.people,
    storageBytes: row.storage_bytes,
    endsAtMs: row.ends_at_ms,
    applicant: row.applicant,
    email: row.email,
    knownBy: row.known_by,
    state: row.state,
    createdAtMs: row.created_at_ms,
    decidedAtMs: row.decided_at_ms,
    decidedBy: row.decided_by,
    reason: row.reason,
  }
}
