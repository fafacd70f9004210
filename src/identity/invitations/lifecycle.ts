/**
 * Accounts that end: active, then read-only for 14 days, suspended, archived after 90 days, erased after a year. Driven
 * by a sweep that looks only at what is stored and at the clock: it may run twice, stop in the middle, or be late, and
 * each stage still lasts as long as was promised.
 */
import { platformOrigin } from '../audit.ts'
import { experimentOf } from '../groups/policy.ts'
import { bumpEpoch } from '../subject-rows.ts'
import type { Room } from '../room.ts'
import type { IdentityTables, IdentityTransaction } from '../tables.ts'
import { archiveAfterMs, eraseAfterMs, type AccountRow } from './accounts.ts'
import { dayMs, graceMs } from './contract.ts'
import { archivePerson, erasePerson } from './off-boarding.ts'
import { dropUseless, mailPerson } from './outbox.ts'
import { suspendPerson } from './suspension.ts'

/** Days before the end at which guest and sponsor are told. */
const noticeDays = [30, 14, 3]
const atOnce = 500
const keptMailMs = 90 * dayMs

type Candidate = AccountRow &
  Pick<IdentityTables['identity_subject'], 'name' | 'display_name' | 'state' | 'created_at_ms'>

export async function sweepAccounts(room: Room): Promise<void> {
  const nowMs = room.clock.nowMs()
  for (const account of await candidates(room, nowMs)) {
    try {
      if (await isDue(room, account)) await room.change((trx) => step(room, trx, account.person_id))
    } catch (error) {
      // One account that cannot go on must not keep the others.
      room.log.error({ error, personId: account.person_id }, 'an account could not be taken to its next state')
    }
  }
  await room.kysely.deleteFrom('identity_join_ticket').where('expires_at_ms', '<=', nowMs).execute()
  await dropUseless(room)
  await forgetOld(room)
}

/** Addresses and names are kept no longer than somebody may ask about them. */
async function forgetOld(room: Room): Promise<void> {
  const { kysely } = room
  const nowMs = room.clock.nowMs()
  await kysely
    .deleteFrom('identity_mail')
    .where('state', 'in', ['sent', 'dropped', 'dead'])
    .where('ended_at_ms', '<=', nowMs - keptMailMs)
    .execute()
  await kysely
    .deleteFrom('identity_join_confirmation')
    .where('created_at_ms', '<=', nowMs - keptMailMs)
    .execute()
  await kysely
    .updateTable('identity_invitation')
    .set({ addressed_to: null })
    .where('expires_at_ms', '<=', nowMs - keptMailMs)
    .where('addressed_to', 'is not', null)
    .execute()
}

/** Accounts for which it may be time; decided again in each one's transaction. */
async function candidates(room: Room, nowMs: number): Promise<Candidate[]> {
  return await room.kysely
    .selectFrom('identity_account as account')
    .innerJoin('identity_subject as subject', 'subject.id', 'account.person_id')
    .selectAll('account')
    .select(['subject.name', 'subject.display_name', 'subject.state', 'subject.created_at_ms'])
    .where('subject.site_admin', '=', 0)
    .where((row) =>
      row.or([
        row.and([
          row('subject.state', '=', 'active'),
          row('account.access_end_ms', '<=', nowMs + noticeDays[0]! * dayMs),
          // Those who have had their last notice wait for the end.
          row.or([
            row('account.access_end_ms', '<=', nowMs),
            row.not(
              row.exists(
                row
                  .selectFrom('identity_notice as notice')
                  .select('notice.days')
                  .whereRef('notice.person_id', '=', 'account.person_id')
                  .whereRef('notice.access_end_ms', '=', 'account.access_end_ms')
                  .where('notice.days', '=', noticeDays.at(-1)!),
              ),
            ),
          ]),
        ]),
        row.and([row('subject.state', '=', 'grace'), row('account.state_since_ms', '<=', nowMs - graceMs)]),
        row.and([
          row('subject.state', '=', 'suspended'),
          row('account.by_end', '=', 1),
          row('account.state_since_ms', '<=', nowMs - archiveAfterMs),
        ]),
        row.and([
          row('subject.state', '=', 'archived'),
          row('account.guest', '=', 1),
          row('account.state_since_ms', '<=', nowMs - eraseAfterMs),
        ]),
      ]),
    )
    .orderBy('account.person_id')
    .limit(atOnce)
    .execute()
}

/** Of those who are told before their end: is there a notice that was not given? Everything else is due as found. */
async function isDue(room: Room, account: Candidate): Promise<boolean> {
  const { state, access_end_ms: endMs } = account
  const nowMs = room.clock.nowMs()
  if (state !== 'active' || endMs === null || endMs <= nowMs) return true
  const nearest = dueNotices(account, endMs, nowMs).at(-1)
  if (nearest === undefined) return false
  const given = await room.kysely
    .selectFrom('identity_notice')
    .select('days')
    .where('person_id', '=', account.person_id)
    .where('access_end_ms', '=', endMs)
    .where('days', '=', nearest)
    .executeTakeFirst()
  return given === undefined
}

function dueNotices(account: Candidate, endMs: number, nowMs: number): number[] {
  return noticeDays.filter((days) => {
    const atMs = endMs - days * dayMs
    return atMs <= nowMs && atMs > account.created_at_ms
  })
}

async function step(room: Room, trx: IdentityTransaction, personId: string): Promise<void> {
  const nowMs = room.clock.nowMs()
  const account = await trx
    .selectFrom('identity_account as account')
    .innerJoin('identity_subject as subject', 'subject.id', 'account.person_id')
    .selectAll('account')
    .select(['subject.name', 'subject.display_name', 'subject.state', 'subject.created_at_ms'])
    .where('account.person_id', '=', personId)
    .executeTakeFirstOrThrow()
  const { state, access_end_ms, state_since_ms } = account
  if (state === 'active' && access_end_ms !== null) {
    if (access_end_ms <= nowMs) await endNow(room, trx, account)
    else await giveNotice(room, trx, account, access_end_ms)
  } else if (state === 'grace' && state_since_ms <= nowMs - graceMs) {
    await suspendPerson(room, trx, personId, platformOrigin)
    await trx.updateTable('identity_account').set({ by_end: 1 }).where('person_id', '=', personId).execute()
    await mailPerson(room, trx, personId, { template: 'account-closed', data: { site: new URL(room.publicUrl).host } })
  } else if (state === 'suspended' && account.by_end === 1 && state_since_ms <= nowMs - archiveAfterMs) {
    await archivePerson(room, trx, personId, platformOrigin)
  } else if (state === 'archived' && account.guest === 1 && state_since_ms <= nowMs - eraseAfterMs) {
    await erasePerson(room, trx, personId, platformOrigin)
  }
}

async function endNow(room: Room, trx: IdentityTransaction, account: Candidate): Promise<void> {
  if (account.guest === 0 && (await hasOtherRoles(room, trx, account))) {
    // A member who is here for other reasons too: only what the invitation gave has ended.
    await trx
      .updateTable('identity_account')
      .set({ access_end_ms: null })
      .where('person_id', '=', account.person_id)
      .execute()
    return
  }
  await beginGrace(room, trx, account.person_id)
}

/** From now on the person may only read, for fourteen days. */
export async function beginGrace(
  room: Room,
  trx: IdentityTransaction,
  personId: string,
  origin = platformOrigin,
): Promise<void> {
  const nowMs = room.clock.nowMs()
  const moved = await trx
    .updateTable('identity_subject')
    .set({ state: 'grace' })
    .where('id', '=', personId)
    .where('state', '=', 'active')
    .returning('id')
    .executeTakeFirst()
  if (moved === undefined) return
  const account = await trx
    .updateTable('identity_account')
    .set((row) => ({
      state_since_ms: nowMs,
      by_end: 1,
      access_end_ms: row.case().when('access_end_ms', '<', nowMs).then(row.ref('access_end_ms')).else(nowMs).end(),
    }))
    .where('person_id', '=', personId)
    .returningAll()
    .executeTakeFirst()
  // To read he needs what he was given, until the last day.
  await trx
    .updateTable('identity_membership')
    .set({ until_ms: nowMs + graceMs })
    .where('person_id', '=', personId)
    .where('source', 'like', 'invitation:%')
    .execute()
  const sponsor = await nameOfSponsor(trx, account)
  await mailPerson(room, trx, personId, { template: 'access-ended', data: { untilMs: nowMs + graceMs, sponsor } })
  await room.audit(trx, origin, { action: 'access-ended', target: personId, detail: { readsUntilMs: nowMs + graceMs } })
  await bumpEpoch(room, trx, personId, 'grace')
}

async function hasOtherRoles(room: Room, trx: IdentityTransaction, account: AccountRow): Promise<boolean> {
  const other = await trx
    .selectFrom('identity_membership')
    .select('role')
    .where('person_id', '=', account.person_id)
    .where('source', '!=', `invitation:${account.invitation_id ?? ''}`)
    .where((row) => row.or([row('until_ms', 'is', null), row('until_ms', '>', room.clock.nowMs())]))
    .limit(1)
    .executeTakeFirst()
  return other !== undefined
}

/** Of the notices that are due only the nearest is given: after a long sleep nobody gets three mails at once. */
async function giveNotice(room: Room, trx: IdentityTransaction, account: Candidate, endMs: number): Promise<void> {
  const nowMs = room.clock.nowMs()
  const due = dueNotices(account, endMs, nowMs)
  const nearest = due.at(-1)
  if (nearest === undefined) return
  let isNew = false
  for (const days of due) {
    const added = await trx
      .insertInto('identity_notice')
      .values({ person_id: account.person_id, access_end_ms: endMs, days, at_ms: nowMs })
      .onConflict((conflict) => conflict.columns(['person_id', 'access_end_ms', 'days']).doNothing())
      .returning('days')
      .executeTakeFirst()
    if (added?.days === nearest) isNew = true
  }
  if (!isNew) return
  const groups = await trx
    .selectFrom('identity_membership')
    .select('group_path')
    .where('person_id', '=', account.person_id)
    .orderBy('group_path')
    .execute()
  const experiment = groups[0] === undefined ? '' : experimentOf(groups[0].group_path)
  const sponsor = await nameOfSponsor(trx, account)
  const days = Math.max(1, Math.ceil((endMs - nowMs) / dayMs))
  await mailPerson(room, trx, account.person_id, {
    template: 'access-ends',
    data: { experiment, days, endMs, sponsor },
    usefulUntilMs: endMs,
  })
  if (account.sponsor_id !== null) {
    await mailPerson(room, trx, account.sponsor_id, {
      template: 'guest-access-ends',
      data: { guest: account.display_name, experiment, days, endMs, url: `${room.publicUrl}/me` },
      usefulUntilMs: endMs,
    })
  }
  const detail = { days: nearest, accessEndMs: endMs, sponsor: account.sponsor_id }
  await room.audit(trx, platformOrigin, { action: 'access-notice', target: account.person_id, detail })
}

/** Who can renew; null: the sponsor has left. */
async function nameOfSponsor(trx: IdentityTransaction, account: AccountRow | undefined): Promise<string | null> {
  if (account === undefined || account.sponsor_id === null || account.orphan_since_ms !== null) return null
  const row = await trx
    .selectFrom('identity_subject')
    .select('display_name')
    .where('id', '=', account.sponsor_id)
    .executeTakeFirst()
  return row?.display_name ?? null
}
