/**
 * What happens to everything a person has when he leaves. In the caller's transaction, and safe to repeat. What rooms
 * above hold of him (sessions, jobs, his home) they end or hand over on the fact 'identity.subject-changed'.
 */
import { printTime } from '../../foundation/time.ts'
import type { Origin } from '../audit.ts'
import { identityFaults } from '../errors.ts'
import { experimentOf, isWithin, rootOf } from '../groups/policy.ts'
import { bumpEpoch, endEverySignIn, requireSubject } from '../subject-rows.ts'
import type { Room } from '../room.ts'
import type { IdentityKysely, IdentityTransaction } from '../tables.ts'
import { accountOf, emptyAccount, writeAccount } from './accounts.ts'
import { dayMs, graceMs } from './contract.ts'
import { hashOfName } from './former-names.ts'
import { dropMail, mailPerson } from './outbox.ts'

/** Guests of somebody who has left have so long to find another sponsor. */
export const orphanMs = 30 * dayMs

/** Of a suspension, after the person's sign-ins have ended. */
export async function offBoard(room: Room, trx: IdentityTransaction, personId: string, origin: Origin): Promise<void> {
  const nowMs = room.clock.nowMs()
  const person = await requireSubject(trx, personId, 'person')
  await trx
    .updateTable('identity_account')
    .set({ state_since_ms: nowMs, by_end: 0 })
    .where('person_id', '=', personId)
    .execute()
  await trx
    .updateTable('identity_access_key')
    .set({ revoked_at_ms: nowMs })
    .where('subject_id', '=', personId)
    .where('kind', '=', 'sts')
    .where('revoked_at_ms', 'is', null)
    .execute()
  await trx
    .updateTable('identity_device')
    .set({ revoked_at_ms: nowMs })
    .where('person_id', '=', personId)
    .where('revoked_at_ms', 'is', null)
    .execute()
  await revokeInvitations(room, trx, personId, origin)
  await leaveGuests(room, trx, person, origin)
  await passRolesOn(room, trx, person, origin)
}

/** A guest whose access ended while he was suspended gets two weeks, in which his sponsor can renew it. */
export async function backOnBoard(room: Room, trx: IdentityTransaction, personId: string): Promise<void> {
  const nowMs = room.clock.nowMs()
  await trx
    .updateTable('identity_account')
    .set({ state_since_ms: nowMs, by_end: 0 })
    .where('person_id', '=', personId)
    .execute()
  await trx
    .updateTable('identity_account')
    .set({ access_end_ms: nowMs + graceMs })
    .where('person_id', '=', personId)
    .where('access_end_ms', '<=', nowMs)
    .execute()
}

async function revokeInvitations(
  room: Room,
  trx: IdentityTransaction,
  personId: string,
  origin: Origin,
): Promise<void> {
  const revoked = await trx
    .updateTable('identity_invitation')
    .set({ state: 'revoked' })
    .where((row) => row.or([row('invited_by', '=', personId), row('sponsor_id', '=', personId)]))
    .where('state', '=', 'open')
    .returning(['id', 'experiment', 'mail_id'])
    .execute()
  for (const { id, experiment, mail_id } of revoked) {
    await dropMail(room, trx, mail_id)
    const detail = { because: 'sponsor-left' }
    await room.audit(trx, origin, { action: 'invitation-revoked', target: id, experiment, detail })
  }
}

/** His guests are told, and have thirty days to find somebody else. */
async function leaveGuests(
  room: Room,
  trx: IdentityTransaction,
  sponsor: { id: string; display_name: string },
  origin: Origin,
): Promise<void> {
  const nowMs = room.clock.nowMs()
  const guests = await trx
    .selectFrom('identity_account as account')
    .innerJoin('identity_subject as subject', 'subject.id', 'account.person_id')
    .select(['account.person_id', 'account.access_end_ms'])
    .where('account.sponsor_id', '=', sponsor.id)
    .where('account.guest', '=', 1)
    .where('account.orphan_since_ms', 'is', null)
    .where('subject.state', 'in', ['active', 'grace'])
    .execute()
  for (const { person_id, access_end_ms } of guests) {
    const untilMs = Math.min(access_end_ms ?? Infinity, nowMs + orphanMs)
    await trx
      .updateTable('identity_account')
      .set({ orphan_since_ms: nowMs, access_end_ms: untilMs })
      .where('person_id', '=', person_id)
      .execute()
    const detail = { sponsor: sponsor.id, accessEndMs: untilMs }
    await room.audit(trx, origin, { action: 'sponsor-left', target: person_id, detail })
    await mailPerson(room, trx, person_id, {
      template: 'sponsor-left',
      data: { sponsor: sponsor.display_name, untilMs },
    })
  }
}

/** Groups are never without somebody: those who are left, else the experiment's admins, else the site's, are told. */
async function passRolesOn(
  room: Room,
  trx: IdentityTransaction,
  person: { id: string; display_name: string },
  origin: Origin,
): Promise<void> {
  const held = await trx
    .selectFrom('identity_membership')
    .select(['group_path', 'role'])
    .distinct()
    .where('person_id', '=', person.id)
    .where('role', 'in', ['manager', 'exp-admin'])
    .execute()
  for (const { group_path: group, role } of held) {
    const experiment = experimentOf(group)
    const heirs = await heirsOf(trx, person.id, group)
    const detail = { role, group, to: heirs }
    await room.audit(trx, origin, { action: 'role-passed-on', target: person.id, experiment, detail })
    for (const heir of heirs) {
      await mailPerson(room, trx, heir, {
        template: 'role-passed-on',
        data: { person: person.display_name, group, url: `${room.publicUrl}/e/${experiment}/people` },
        onceKey: `role-passed-on.${person.id}.${group}.${heir}`,
      })
    }
  }
}

/** Managers of the group or above it, else admins of the experiment, else of the site. */
async function heirsOf(trx: IdentityTransaction, personId: string, group: string): Promise<string[]> {
  const root = rootOf(experimentOf(group))
  const rows = await trx
    .selectFrom('identity_membership as membership')
    .innerJoin('identity_subject as subject', 'subject.id', 'membership.person_id')
    .select(['membership.person_id', 'membership.group_path', 'membership.role'])
    .where('membership.person_id', '!=', personId)
    .where('membership.role', 'in', ['manager', 'exp-admin'])
    .where('subject.state', '=', 'active')
    .where((row) =>
      row.or([row('membership.group_path', '=', root), row('membership.group_path', 'like', `${root}/%`)]),
    )
    .orderBy('membership.person_id')
    .execute()
  const managers = rows.filter((row) => row.role === 'manager' && isWithin(group, row.group_path))
  const admins = rows.filter((row) => row.role === 'exp-admin' && row.group_path === root)
  const found = managers.length > 0 ? managers : admins
  if (found.length > 0) return [...new Set(found.map((row) => row.person_id))]
  const site = await trx
    .selectFrom('identity_subject')
    .select('id')
    .where('kind', '=', 'person')
    .where('site_admin', '=', 1)
    .where('state', '=', 'active')
    .where('id', '!=', personId)
    .orderBy('id')
    .execute()
  return site.map(({ id }) => id)
}

/**
 * For good: memberships and credentials are gone; rooms above remove waiting jobs and hand the home over. Names, numbers
 * and what he wrote stay his.
 * @throws Fault identity.not_in_this_state unless the person is suspended
 */
export async function archivePerson(
  room: Room,
  trx: IdentityTransaction,
  personId: string,
  origin: Origin,
): Promise<void> {
  const nowMs = room.clock.nowMs()
  const person = await requireSubject(trx, personId, 'person')
  if (person.state !== 'suspended') {
    throw identityFaults.notInThisState(`${person.name} is ${person.state}.`, {
      hint: 'Only somebody suspended can be archived.',
    })
  }
  const groups = await trx
    .deleteFrom('identity_membership')
    .where('person_id', '=', personId)
    .returning(['group_path', 'role'])
    .execute()
  await trx
    .updateTable('identity_access_key')
    .set({ revoked_at_ms: nowMs })
    .where('subject_id', '=', personId)
    .where('revoked_at_ms', 'is', null)
    .execute()
  await trx
    .updateTable('identity_subject')
    .set({ state: 'archived', site_admin: 0 })
    .where('id', '=', personId)
    .execute()
  const account = (await accountOf(trx, personId)) ?? emptyAccount(personId, nowMs)
  const heir = await heirOf(
    trx,
    account.invitation_id,
    groups.map((row) => row.group_path),
  )
  await writeAccount(trx, {
    ...account,
    state_since_ms: nowMs,
    orphan_since_ms: null,
    home_name: person.name,
    heir_experiment: heir,
  })
  await endEverySignIn(room, trx, personId, 'archived')
  const held = groups.map((row) => ({ group: row.group_path, role: row.role }))
  await room.audit(trx, origin, { action: 'person-archived', target: personId, detail: { name: person.name, held } })
}

/** The experiment that gets what he leaves behind: the one he was invited to, else the first he was in. */
async function heirOf(
  trx: IdentityTransaction,
  invitationId: string | null,
  groups: readonly string[],
): Promise<string | null> {
  const invitation =
    invitationId === null
      ? undefined
      : await trx
          .selectFrom('identity_invitation')
          .select('experiment')
          .where('id', '=', invitationId)
          .executeTakeFirst()
  const [first] = groups.map(experimentOf).toSorted()
  return invitation?.experiment ?? first ?? null
}

/** What rooms above need to hand over what somebody archived has left; undefined: he is not archived. */
export async function leftBehind(kysely: IdentityKysely, personId: string): Promise<LeftBehind | undefined> {
  const row = await kysely
    .selectFrom('identity_account as account')
    .innerJoin('identity_subject as subject', 'subject.id', 'account.person_id')
    .innerJoin('identity_platform_uid as uid', 'uid.person_id', 'account.person_id')
    .select(['account.home_name', 'account.heir_experiment', 'uid.uid'])
    .where('account.person_id', '=', personId)
    .where('subject.state', 'in', ['archived', 'erased'])
    .executeTakeFirst()
  if (row === undefined || row.home_name === null) return undefined
  const admin =
    row.heir_experiment === null
      ? undefined
      : await kysely
          .selectFrom('identity_membership as membership')
          .innerJoin('identity_subject as subject', 'subject.id', 'membership.person_id')
          .select('subject.id')
          .where('membership.group_path', '=', rootOf(row.heir_experiment))
          .where('membership.role', '=', 'exp-admin')
          .where('subject.state', '=', 'active')
          .orderBy('membership.granted_at_ms')
          .orderBy('subject.id')
          .limit(1)
          .executeTakeFirst()
  return { homeName: row.home_name, uid: row.uid, experiment: row.heir_experiment, adminId: admin?.id ?? null }
}

export interface LeftBehind {
  /** Of the home on this machine. */
  homeName: string
  uid: number
  experiment: string | null
  adminId: string | null
}

/**
 * The name becomes a pseudonym, everything that leads to the person is forgotten. Uid, authorship and audit stay; the
 * name is never given again.
 * @throws Fault identity.not_in_this_state unless the person is archived
 */
export async function erasePerson(
  room: Room,
  trx: IdentityTransaction,
  personId: string,
  origin: Origin,
): Promise<void> {
  const person = await requireSubject(trx, personId, 'person')
  if (person.state === 'erased') return
  if (person.state !== 'archived') {
    throw identityFaults.notInThisState(`${person.name} is ${person.state}.`, {
      hint: 'Archive the person first; that hands the home over to the experiment.',
    })
  }
  const { uid } = await trx
    .selectFrom('identity_platform_uid')
    .select('uid')
    .where('person_id', '=', personId)
    .executeTakeFirstOrThrow()
  await trx
    .insertInto('identity_former_name')
    .values({ name_hash: hashOfName(person.name) })
    .onConflict((conflict) => conflict.column('name_hash').doNothing())
    .execute()
  await trx
    .updateTable('identity_subject')
    .set({ state: 'erased', name: `former${uid}`, display_name: `Former member ${uid}` })
    .where('id', '=', personId)
    .execute()
  await forget(room, trx, personId)
  await bumpEpoch(room, trx, personId, 'erased')
  const detail = { pseudonym: `former${uid}`, at: printTime(room.clock.nowMs()) }
  await room.audit(trx, origin, { action: 'person-erased', target: personId, detail })
}

async function forget(room: Room, trx: IdentityTransaction, personId: string): Promise<void> {
  const account = await trx
    .selectFrom('identity_account')
    .select('email')
    .where('person_id', '=', personId)
    .executeTakeFirst()
  if (account !== undefined && account.email !== null) {
    await trx.deleteFrom('identity_mail').where('recipient', '=', account.email).execute()
  }
  await trx
    .updateTable('identity_account')
    .set({ email: null, email_verified: 0, state_since_ms: room.clock.nowMs() })
    .where('person_id', '=', personId)
    .execute()
  const identities = trx.selectFrom('identity_identity').select('id').where('person_id', '=', personId)
  await trx.deleteFrom('identity_upstream_grant').where('identity_id', 'in', identities).execute()
  await trx.deleteFrom('identity_upstream_session').where('identity_id', 'in', identities).execute()
  for (const table of [
    'identity_identity',
    'identity_passkey',
    'identity_password',
    'identity_totp',
    'identity_recovery_code',
    'identity_terms_acceptance',
    'identity_notice',
    'identity_join_confirmation',
    'identity_join_ticket',
  ] as const) {
    await trx.deleteFrom(table).where('person_id', '=', personId).execute()
  }
  await trx
    .updateTable('identity_invitation')
    .set({ addressed_to: null })
    .where(
      'id',
      'in',
      trx
        .selectFrom('identity_account')
        .select('invitation_id')
        .where('person_id', '=', personId)
        .$castTo<{ invitation_id: string }>(),
    )
    .where('kind', '=', 'person')
    .execute()
}
