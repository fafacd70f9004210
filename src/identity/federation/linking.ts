/** The identities that belong to a person: shown, and unlinked while another way to sign in stays. */
import type { z } from 'zod'
import type { Origin } from '../audit.ts'
import { identityFaults } from '../errors.ts'
import { hasOwnWay } from '../factors/own-ways.ts'
import { mailPerson } from '../invitations/outbox.ts'
import { requireSubject } from '../people.ts'
import type { Room } from '../room.ts'
import type { IdentityKysely, IdentityTransaction } from '../tables.ts'
import type { identitySchema } from './contract.ts'
import { removeIdentities } from './identities.ts'
import { applyRules } from './imports.ts'
import { isLoginIssuer } from './issuers.ts'

export async function listIdentities(
  kysely: IdentityKysely | IdentityTransaction,
  personId: string,
): Promise<z.infer<typeof identitySchema>[]> {
  const issuers = await kysely.selectFrom('identity_issuer').selectAll().execute()
  const rows = await kysely
    .selectFrom('identity_identity as identity')
    .leftJoin('identity_upstream_grant as grant', 'grant.identity_id', 'identity.id')
    .selectAll('identity')
    .select('grant.checked_at_ms')
    .where('identity.person_id', '=', personId)
    .orderBy('identity.id')
    .execute()
  return rows.map((row) => {
    const issuer = issuers.find((candidate) => candidate.issuer === row.issuer)
    return {
      id: row.id,
      issuer: row.issuer,
      issuerLabel: issuer?.label ?? row.issuer,
      label: row.label,
      subject: row.subject,
      usable: issuer !== undefined && isLoginIssuer(issuer),
      assurance: row.assurance,
      createdAtMs: row.created_at_ms,
      lastUsedAtMs: row.last_used_at_ms,
      checkedAtMs: row.checked_at_ms,
    }
  })
}

/** Can this person sign in by an institute, leaving `exceptId` aside? For whoever is about to take a way in away. */
export async function hasUsableIdentity(
  kysely: IdentityKysely | IdentityTransaction,
  personId: string,
  exceptId?: string,
): Promise<boolean> {
  const identities = await listIdentities(kysely, personId)
  return identities.some(({ id, usable }) => usable && id !== exceptId)
}

/** @throws Fault identity.no_such_identity, identity.last_factor */
export async function unlinkIdentity(
  room: Room,
  trx: IdentityTransaction,
  { personId, identityId, sessionId }: { personId: string; identityId: string; sessionId: string },
  origin: Origin,
): Promise<void> {
  const identity = (await listIdentities(trx, personId)).find(({ id }) => id === identityId)
  if (identity === undefined) {
    throw identityFaults.noSuchIdentity('You have no such identity.', { hint: 'They are listed on the page Me.' })
  }
  if (!(await hasUsableIdentity(trx, personId, identityId)) && !(await hasOwnWay(trx, personId))) {
    throw identityFaults.lastFactor('This is your last way to sign in.', {
      hint: 'Make a passkey or a password first, or link another identity.',
    })
  }
  await removeIdentities(trx, [identityId], { exceptSessionId: sessionId })
  await trx
    .updateTable('identity_browser_session')
    .set({ identity_id: null, upstream_session: null })
    .where('identity_id', '=', identityId)
    .execute()
  const { issuer, subject, label, issuerLabel: institute } = identity
  await room.audit(trx, origin, { action: 'identity-unlinked', target: personId, detail: { issuer, subject, label } })
  await applyRules(room, trx, personId, origin)
  const { name } = await requireSubject(trx, personId, 'person')
  const data = { institute, label, account: name, url: `${room.publicUrl}/me` }
  await mailPerson(room, trx, personId, { template: 'identity-unlinked', data })
}
